"""Texts made fit for strangers: without names of persons and scans, without places on the disk or in a network.

Better too little than too much: of a line that names a place, all that follows is left out, since names of folders may
hold blanks.
"""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Callable, Iterable
from pathlib import Path

OURS = ("SIFASegmentation", "SIFATraining", "site-packages")  # what of a path may be told begins with one of these
SHORTEST = 2  # letters of a name; a single one stands in every word
_FRAME = re.compile(r'^(\s*File ")([^"]*)(", line \d+.*)$')
_PLACE = re.compile(r"(?:(?<![\w.])(?:[A-Za-z]:)?[\\/]+(?=\S)|\b\w+://|~[\\/]).*$")
_PART = re.compile(r"\S*[\w.-][\\/]+[\w.-]\S*.*$")  # a/b; not "and / or"
_SCAN = re.compile(r"\b(source|target):(?=\S)(?:(.*?)(:)(?=\s)|(.*)$)")  # target:NAME: what is said of it
_FILE = re.compile(r"^.*\.(?:nii(?:\.gz)?|nrrd|nhdr|mha|mhd|dcm|ima|zip|tfrecords?|npz|seg)\b", re.IGNORECASE)


def without_names(text: str, names: Iterable[str] = ()) -> str:
    """The text without these names, without the user's and the computer's, and without paths; line by line."""
    own = {Path.home().name: "[user]", _user(): "[user]", platform.node(): "[computer]"}
    known = {name.strip(): "[name]" for name in names} | own
    told = {name.lower(): said for name, said in known.items() if len(name) >= SHORTEST}
    longest = sorted(map(re.escape, told), key=len, reverse=True)
    pattern = re.compile(rf"(?<![^\W_])(?:{'|'.join(longest) or '(?!)'})(?![^\W_])", re.IGNORECASE)

    def unnamed(line: str) -> str:
        return pattern.sub(lambda found: told.get(found[0].lower(), "[name]"), line)

    return "\n".join(_line(line, unnamed) for line in text.splitlines())


def scans(text: str) -> list[str]:
    """The names of scans that a log tells as `target:NAME: ...`, of all lines."""
    found = (match for line in text.splitlines() for match in _SCAN.finditer(line))
    return [name.strip() for match in found if (name := match[2] or match[4])]


def _line(line: str, unnamed: Callable[[str], str]) -> str:
    frame = _FRAME.match(line)
    if frame is not None:
        return f"{frame[1]}{_ours(frame[2])}{frame[3]}"
    line = unnamed(_SCAN.sub(lambda found: f"{found[1]}:[name]{found[3] or ''}", line))
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
