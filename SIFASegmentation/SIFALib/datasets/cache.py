"""Slices on disk: an entry is a folder of arrays whose name says what they were made of.

An entry appears complete or not at all. It is checked (sizes and CRC-32) when it is opened; one that is damaged is
removed and made anew. While it is read, it must stay: `OnDisk` says so, by name, if it does not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.files import files_below, visible_files
from ..imaging.headers import read_header
from ..support.errors import DataError
from ..support.files import absolute, made_folder, write_text
from .planes import OnDisk

log = logging.getLogger(__name__)

INFO = "info.json"
HASHES = "hashes.json"
STALE_SECONDS = 3600.0  # age at which the leftover of a killed process is swept away
BLOCK = 1 << 24  # bytes hashed at once
STAY = ("images", "labels")  # on disk; the other arrays are small

Entry = tuple[dict[str, np.ndarray | OnDisk], dict[str, Any]]
"""Arrays by name, those in STAY left on disk, and what `info` was kept with them."""


def key_of(parts: Mapping[str, Any]) -> str:
    """A name for an entry: other parts, another name."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def write(cache: Path, key: str, arrays: Mapping[str, np.ndarray], info: Mapping[str, Any]) -> Entry:
    """Keep arrays and JSON data under a key. Raises DataError, with the reason, where the disk refuses."""
    folder = cache / key
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with made_folder(folder) as stage:
            sums = {}
            for name, array in arrays.items():
                np.save(stage / f"{name}.npy", array, allow_pickle=False)
                sums[name] = _sum(stage / f"{name}.npy")
            (stage / INFO).write_text(json.dumps({"sums": sums, "info": info}), encoding="utf-8")
    except OSError as error:
        if not folder.is_dir():  # else another process was faster
            raise DataError(
                f"Slices cannot be kept in {cache} ({error.strerror or error}); make room or name another folder."
            ) from error
    entry = read(cache, key)
    if entry is None:
        raise DataError(f"What was written to {folder} does not come back as it was; check the disk.")
    return entry


def read(cache: Path, key: str) -> Entry | None:
    """The entry, or None if there is none that is whole; the remains of one that is not are removed.

    Raises DataError where the system refuses to open what may well be whole.
    """
    folder = cache / key
    try:
        kept = json.loads((folder / INFO).read_text(encoding="utf-8"))
        arrays: dict[str, np.ndarray | OnDisk] = {}
        for name, expected in kept["sums"].items():
            path = folder / f"{name}.npy"
            if _sum(path) != expected:
                raise ValueError("damaged")
            arrays[name] = OnDisk.of(path) if name in STAY else np.load(path, allow_pickle=False)
        return arrays, dict(kept["info"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        if folder.exists():
            log.warning("The cached slices in %s are damaged; they are made anew.", folder)
            shutil.rmtree(folder, ignore_errors=True)
        return None
    except OSError as error:  # too many open files, no permission: no reason to delete what is there
        raise DataError(f"The cached slices in {folder} cannot be read ({error.strerror or error}).") from error


def drop(cache: Path, key: str) -> None:
    """Remove an entry, as far as the system lets it go."""
    shutil.rmtree(cache / key, ignore_errors=True)


def _sum(path: Path) -> list[int]:
    """Size and CRC-32 of a file."""
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            crc = zlib.crc32(block, crc)
        return [file.tell(), crc]


@dataclass
class Hashes:
    """SHA-256 of files, remembered by path, size and times of change in `hashes.json` of the cache.

    Archives and copies set the time of writing; the system's own time of change (ctime) tells of another file all the same.
    """

    cache: Path
    known: dict[str, list[Any]] = field(default_factory=dict)
    changed: bool = False

    def __post_init__(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            known = json.loads((self.cache / HASHES).read_text(encoding="utf-8"))
            self.known = known if isinstance(known, dict) else {}

    def of_labels(self, path: Path) -> str:
        """The hash of a label map, or of a folder of masks, whose names say what they show, with these. DataError."""
        if not path.is_dir():
            return self.of(path)
        files = visible_files(path)
        return hashlib.sha256(json.dumps([[f.name, self.of(f)] for f in files]).encode()).hexdigest()

    def of(self, path: Path) -> str:
        """The hash of a file, or of a folder's files, or of a header and the voxels beside it, together. Raises DataError
        that names a file that is gone."""
        try:
            if path.is_dir():
                return self._together(files_below(path))
            header = read_header(path)
            beside = header.files() if header else []
            return self._together([path, *beside]) if beside else self._of_file(path)
        except FileNotFoundError as error:
            raise DataError(f"{error.filename} is gone; bring it back or leave it out.") from None
        except OSError as error:
            raise DataError(f"{error.filename or path} cannot be read ({error.strerror or error}).") from error

    def _together(self, files: Sequence[Path]) -> str:
        return hashlib.sha256("\n".join(map(self._of_file, files)).encode()).hexdigest()

    def _of_file(self, path: Path) -> str:
        """OSError."""
        status = path.stat()
        state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        kept = self.known.get(str(absolute(path)))
        if isinstance(kept, list) and kept[:3] == state and len(kept) == 4:
            return str(kept[3])
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        self.known[str(absolute(path))] = [*state, digest.hexdigest()]
        self.changed = True
        return digest.hexdigest()

    def save(self) -> None:
        """Keep what was found out; a shortcut only, so that nothing is lost where it cannot be written."""
        if self.changed:
            with contextlib.suppress(OSError):
                write_text(self.cache / HASHES, json.dumps(self.known))
        self.changed = False
