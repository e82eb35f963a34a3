"""`sifa doctor`; it runs where packages that SIFA needs are missing."""

from __future__ import annotations

import argparse
from typing import Any

from .. import doctor
from .console import OK, OTHER, say
from .shared import add_command


def add(commands: Any) -> None:
    add_command(commands, "doctor", run, "check the installation and say how to repair it", of_store=True)


def run(options: argparse.Namespace) -> int:
    well = True
    for finding in doctor.examine(options.models_folder):
        say(f"{'ok    ' if finding.ok else 'REPAIR'}  {finding.name}: {finding.detail}")
        if finding.repair:
            say(f"        {finding.repair}")
        well = well and finding.ok
    return OK if well else OTHER
