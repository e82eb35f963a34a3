"""Many processes, on one computer or on many that share a file system, that work one cohort into one folder.

All of it lies in one hidden folder within that of the results, for as long as any of them works:

    .sifa-unfinished/
        MEMBER/         a folder for each process: its lock, with signs of life, and what it has not finished yet
        claims/SCAN     a file for each scan that is being worked on, made by one process alone; it holds the member
        rows/KEY.json   what became of each scan, for the tables of all

A scan whose member no longer works (killed, or on a computer that was not heard of) is free again. The files of a claim
appear by exclusive creation, which every file system does for one process alone; a dead one's is looked at again, taken
away and made anew by one process at a time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...support import files, lock
from ...support.errors import BatchError
from ...support.messages import reason, sayable
from .cases import Case

WAITING, WORKING, DONE, KEPT, FAILED = "waiting", "working", "done", "finished before", "failed"
FOLDER = ".sifa-unfinished"
CLAIMS, ROWS = "claims", "rows"
SILENCE_SECONDS = 120.0  # after so long without a sign of life, a process on another computer counts as gone
_EMPTY_SECONDS = 60.0  # a claim without a word in it, for so long, was made by a process that died just then
_TRIES = 20  # to enter, while another process takes the folder away
NOT_WRITABLE = "The folder {} cannot be written to ({}); mend that, or choose another folder for the results."
TAKEN = (
    "Nothing was heard of this process for so long that others took over its scans. What it finished is kept; start the "
    "same batch again to take part."
)


@dataclass(frozen=True)
class Row:
    """What became of a case. state: one of this module's; volumes_ml: by structure id; flags: sentences that warn;
    made_by: model and options of the result, in words."""

    name: str
    source: str
    state: str = WAITING
    message: str = ""
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    seconds: float = 0.0
    made_by: str = ""


@dataclass(eq=False)
class Member:
    """One process of a cohort.

    folder: its own, for unfinished files. settings: all besides the scan that a row depends on; JSON. known: rows, by file.
    """

    folder: Path
    settings: Mapping[str, Any]
    known: dict[str, Row] = field(default_factory=dict)

    def claim(self, case: Case) -> bool:
        """Whether the case is this process's now: no other works on it. OSError, BatchError."""
        self.check()
        file = self._claim(case)
        if self._made(file):
            return True
        if not self._is_free(file):
            return False
        with lock.guard(self.folder.parent):  # else what is taken away could be the claim of one who has just done so
            return self._is_free(file) and self._taken_away(file) and self._made(file)

    def release(self, case: Case) -> None:
        """Let go of a claimed case."""
        with suppress(OSError):
            file = self._claim(case)
            if file.read_text(encoding="ascii") == self.folder.name:
                file.unlink()

    def check(self) -> None:
        """BatchError if others took this process for dead."""
        if not (self.folder / lock.FILE).exists():
            raise BatchError(TAKEN)

    def save(self, case: Case, row: Row) -> None:
        """Tell the others what became of a case. OSError."""
        name = f"{self._key(case)}.json"
        (self.folder / name).write_text(json.dumps(asdict(row)), encoding="ascii")  # not synced: it need not last
        files.replace(self.folder / name, self._rows / name)

    def row_of(self, case: Case) -> Row | None:
        """What another process, with the same model and options, made of a case meanwhile; None: nothing yet.

        Of a scan without a place, which may be another one than the other process's, always None.
        """
        return self._read(self._rows / f"{self._key(case)}.json") if case.path else None

    def rows(self) -> list[Row]:
        """What became of all scans that any process told of, by name."""
        with suppress(OSError):
            for file in self._rows.glob("*.json"):
                self._read(file)
        return sorted(self.known.values(), key=lambda row: (row.name, row.source))

    def count(self) -> int:
        """How many processes there are, or seem to be; this one alone: 1."""
        with suppress(OSError):
            return max(1, sum((folder / lock.FILE).exists() for folder in _members(self.folder.parent)))
        return 1

    @property
    def _rows(self) -> Path:
        return self.folder.parent / ROWS

    def _claim(self, case: Case) -> Path:
        """The claim is on what is written: the name, of which some file systems do not see the case."""
        return self.folder.parent / CLAIMS / hashlib.sha256(case.name.lower().encode("utf-8", "replace")).hexdigest()

    def _key(self, case: Case) -> str:
        what = [case.name, sayable(case.source), dict(self.settings)]
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode("utf-8", "replace")).hexdigest()

    def _read(self, file: Path) -> Row | None:
        if file.name not in self.known:
            with suppress(OSError, ValueError, TypeError):  # TypeError: of another version of this program
                row = json.loads(file.read_bytes())
                self.known[file.name] = Row(**{**row, "flags": tuple(row.get("flags", ()))})
        return self.known.get(file.name)

    def _made(self, file: Path) -> bool:
        """Whether the file is there now with this member in it, and was not before. OSError."""
        try:
            with open(file, "x", encoding="ascii") as stream:
                stream.write(self.folder.name)
        except FileExistsError:
            return False
        except OSError:  # of a full disk, an empty claim may be left
            with suppress(OSError):
                if not file.read_bytes():
                    file.unlink()
            raise
        return True

    def _is_free(self, file: Path) -> bool:
        """Whether nobody who works has made the claim."""
        try:
            name = file.read_text(encoding="ascii")
            if not name:
                return files.clock(self.folder) - file.stat().st_mtime > _EMPTY_SECONDS
        except FileNotFoundError:
            return False  # let go of just now, and the case is perhaps done
        except (OSError, ValueError):
            return False
        return name != self.folder.name and not _works(file.parent.parent / name)

    def _taken_away(self, file: Path) -> bool:
        """Whether this process alone took a dead one's claim away."""
        mine = self.folder / file.name
        try:
            file.rename(mine)
        except OSError:
            return False
        mine.unlink(missing_ok=True)
        return True


@contextmanager
def joined(folder: Path, settings: Mapping[str, Any]) -> Iterator[Member]:
    """Take part in the work on the results in `folder` while the block lasts. BatchError where nothing can be written.

    The first one to come finds nothing of those before, the last one to go leaves nothing.
    """
    place = folder / FOLDER
    with ExitStack() as stack:
        try:
            mine = _entered(place, stack)
            stack.enter_context(lock.beating(mine))
        except OSError as error:
            raise BatchError(NOT_WRITABLE.format(folder, reason(error))) from error
        yield Member(mine, settings)


def _entered(place: Path, stack: ExitStack) -> Path:
    """A folder of one's own in `place`, until the stack is closed. OSError."""
    for attempt in range(_TRIES):
        if place.is_symlink():  # never through a link, of which who knows where it leads
            files.check_replaceable(place)
        place.mkdir(exist_ok=True)
        before = place.stat().st_ino
        try:
            with lock.guard(place):
                if place.stat().st_ino != before:
                    continue  # the last one of before has just taken it away
                _sweep(place)
                for name in (CLAIMS, ROWS):
                    (place / name).mkdir(exist_ok=True)
                mine = place / uuid.uuid4().hex
                mine.mkdir()
                stack.callback(_left, mine)
                stack.enter_context(lock.held(mine))
                return mine
        except FileNotFoundError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(0.05)
    raise OSError(f"{place} comes and goes")


def _left(mine: Path) -> None:
    """Remove what was one's own, and everything if nobody is left."""
    place = mine.parent
    with suppress(OSError):
        with lock.guard(place):
            _drop(mine)
            if any(_works(folder) for folder in _members(place)):
                return
            doomed = place.with_name(f".{uuid.uuid4().hex}{files.TEMPORARY}")
            with suppress(OSError):  # Windows keeps a folder with an open file in its place
                place = place.rename(doomed)
        shutil.rmtree(place, ignore_errors=True)


def _sweep(place: Path) -> None:
    """Remove what dead members left; if all are dead, everything that they knew, too."""
    dead = [folder for folder in _members(place) if not _works(folder)]
    if len(dead) == len(_members(place)):
        for entry in place.iterdir():
            if entry.name != lock.GUARD:
                _drop(entry)
    for folder in dead:
        _drop(folder)


def _drop(path: Path) -> None:
    """Remove a file, a link or a folder, following no link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _members(place: Path) -> list[Path]:
    return [path for path in place.iterdir() if len(path.name) == 32 and path.is_dir() and not path.is_symlink()]


def _works(folder: Path) -> bool:
    """Whether the member of that folder still works."""
    return lock.is_held(folder, SILENCE_SECONDS)
