"""Copies of the scene's volumes, as files that a training reads: one folder a check, kept as long as a run needs it."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path

SCANS = ".scans"  # below the folder of runs
MARK = ".sifa-copies"  # a file in each folder of copies: it was made here, and may be removed again
OWNED = "own-scans.txt"  # in a run folder: the name of the folder of copies that belongs to it
DAY_SECONDS = 86_400.0


class ScanCopies:
    """Knows which folders of copies this program made."""

    DELETED = ".deleted"  # what the name of a run ends in while it is being removed

    def __init__(self) -> None:
        self._made: set[Path] = set()

    def folder(self, runs: Path) -> Path:
        """A new folder for copies, beside the runs, marked as ours. OSError."""
        folder = runs / SCANS / uuid.uuid4().hex
        folder.mkdir(parents=True, mode=0o700)
        (folder / MARK).touch()
        self._made.add(folder)
        return folder

    @staticmethod
    def give(scans: Path, run: Path) -> None:
        """Let the copies live as long as the run, if the list of its scans lies among copies. OSError."""
        folder = scans.parent
        if folder.parent == run.parent / SCANS:
            (run / OWNED).write_text(folder.name, encoding="utf-8")

    @staticmethod
    def of(run: Path) -> Path | None:
        """The copies that belong to a run."""
        try:
            name = (run / OWNED).read_text(encoding="utf-8").strip()
        except OSError:
            return None
        return run.parent / SCANS / name if _isHex(name) else None

    def sweep(self, runs: Path, keep: Path | None = None) -> None:
        """Remove copies that no run uses, but `keep`, and what is left of deleted runs.

        Copies that another program made may be on their way into a run, so they must be a day old. Nothing is removed
        that is not marked as a folder of copies, or that is not named as a run that was being deleted.
        """
        used = {self.of(run) for run in _folders(runs)}
        yesterday = time.time() - DAY_SECONDS
        for folder in _folders(runs / SCANS):
            if folder == keep or folder in used or not _isOurs(folder):
                continue
            if folder in self._made or folder.stat().st_mtime < yesterday:
                shutil.rmtree(folder, ignore_errors=True)
        for folder in _folders(runs):
            name = folder.name.removeprefix(".").removesuffix(self.DELETED)
            if folder.name == f".{name}{self.DELETED}" and _isHex(name) and not folder.is_symlink():
                shutil.rmtree(folder, ignore_errors=True)


def _isOurs(folder: Path) -> bool:
    return not folder.is_symlink() and _isHex(folder.name) and (folder / MARK).is_file()


def _isHex(name: str) -> bool:
    """Whether it is a name that this program gave."""
    try:
        return uuid.UUID(hex=name).hex == name
    except ValueError:
        return False


def _folders(place: Path) -> list[Path]:
    """The folders in there; none if it cannot be read."""
    try:
        return [path for path in place.iterdir() if path.is_dir()]
    except OSError:
        return []
