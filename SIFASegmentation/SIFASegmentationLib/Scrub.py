"""Texts made fit for strangers: without names of persons and scans, without places on the disk or in a network.

Better too little than too much: of a line that names a place, all that follows is left out, since names of folders may
hold blanks.
"""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Iterable
from pathlib import Path

OURS = ("SIFASegmentation", "SIFATraining", "site-packages")  # what of a path may be told begins with one of these
SHORTEST = 2  # letters of a name; a single one stands in every word
_FRAME = re.compile(r'^(\s*File ")([^"]*)(", line \d+.*)$')
_PLACE = re.compile(r"(?:(?<![\w.])(?:[A-Za-z]:)?[\\/]+(?=\S)|\b\w+://|~[\\/]).*$")
_PART = re.compile(r"\S*[\w.-][\\/]+[\w.-]\S*.*$")  # a/b; not "and / or"
_FILE = re.compile(r"^.*\.(?:nii(?:\.gz)?|nrrd|nhdr|mha|mhd|dcm|ima|zip|tfrecords?|npz|seg)\b", re.IGNORECASE)


def without_names(text: str, names: Iterable[str] = ()) -> str:
    """The text without these names, without the user's and the computer's, and without paths; line by line."""
    own = {Path.home().name: "[user]", _user(): "[user]", platform.node(): "[computer]"}
    known = {name.strip(): "[name]" for name in names} | own
    return "\n".join(_line(line, known) for line in text.splitlines())


def _line(line: str, known: dict[str, str]) -> str:
    frame = _FRAME.match(line)
    if frame is not None:
        return f"{frame[1]}{_ours(frame[2])}{frame[3]}"
    for name in sorted(filter(lambda name: len(name) >= SHORTEST, known), key=len, reverse=True):
        line = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", known[name], line, flags=re.IGNORECASE)
    for pattern in (_PLACE, _PART):
        line = pattern.sub("[path]", line)
    return _FILE.sub("[file]", line)


def _ours(path: str) -> str:
    """What of the path of a program's file is not the user's."""
    parts = re.split(r"[\\/]+", path)
    starts = [n for n, part in enumerate(parts) if part in OURS]
    return "/".join(parts[starts[0] :]) if starts else f"[path]/{parts[-1]}" if path.endswith(".py") else "[path]"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # nobody has that number
        return ""
