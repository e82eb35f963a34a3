"""Model packages on the move: out of a folder or a zip file from anywhere, into a zip file for anybody.

A package is a flat set of known files. Whatever else a folder or a zip holds, or wherever its names point, it
is refused before a byte of it is used; only what the operating system leaves behind in folders is passed
over.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from ..support.errors import ModelError
from ..support.schema import shown
from .weights import MAX_BYTES

CARD, WEIGHTS = "model.json", "model.safetensors"
LIMITS = {CARD: 1024**2, WEIGHTS: MAX_BYTES, "LICENSE.txt": 1024**2, "README.md": 1024**2}  # bytes
CLUTTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # of macOS and Windows
MAX_DIRECTORY = 64 * 1024  # bytes of a zip's table of contents; a package needs less than 1 kB
CHUNK = 1024**2
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error, UnicodeDecodeError)


def copy_in(source: Path, target: Path) -> None:
    """Copy the package at `source`, a folder or a zip file, into the empty folder `target`.

    Raises ModelError when `source` is no package or is hostile, OSError when `target` cannot be written.
    """
    if source.is_dir():
        _copy_folder(source, target)
    elif not source.exists():
        raise ModelError(f"{source} does not exist; check the path.")
    elif source.name in LIMITS:
        raise ModelError(f"{source} is one file of a model; give the folder that it lies in, or a zip of it.")
    elif not source.is_file():
        raise ModelError(f"{source} is a pipe or a device; give a folder or a zip file.")
    else:
        _unzip(source, target)
    for name in (CARD, WEIGHTS):
        if not (target / name).is_file():
            raise ModelError(f"{source} is no model: there is no {name} in it.")


def write_zip(folder: Path, target: Path, top: str) -> None:
    """Write the package in `folder` as a zip with the top folder `top`; reproducible."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in LIMITS:
            if (folder / name).is_file():
                info = zipfile.ZipInfo(f"{top}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = (stat.S_IFREG | 0o644) << 16
                archive.writestr(info, (folder / name).read_bytes())


def _copy_folder(source: Path, target: Path) -> None:
    try:
        entries = sorted(os.scandir(source), key=lambda e: e.name)
    except OSError as error:
        raise ModelError(f"{source} cannot be read ({error.strerror}).") from error
    for entry in entries:
        if entry.name in CLUTTER:
            continue
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            raise ModelError(f"{source} contains {shown(entry.name)}, a link or a device; a model holds files only.")
        if entry.name not in LIMITS or entry.is_dir():
            raise ModelError(_foreign(source, entry.name))
        if entry.stat().st_size > LIMITS[entry.name]:
            raise ModelError(_too_large(entry.path, LIMITS[entry.name]))
    for entry in entries:
        if entry.name not in CLUTTER:
            with open(entry.path, "rb") as file:
                _copy(file, target / entry.name, entry.path)


def _unzip(source: Path, target: Path) -> None:
    try:
        with open(source, "rb") as file:
            _check_table(file, source)
            with zipfile.ZipFile(file) as archive:
                for name, info in _members(archive, source):
                    with archive.open(info) as member:
                        _copy(member, target / name, f"{source}: {name}")
    except DAMAGE as error:
        raise ModelError(f"{source} is no zip file, or is damaged ({error}); copy it again.") from error


def _check_table(file: IO[bytes], source: Path) -> None:
    """Refuse a table of contents that would itself fill the memory, before zipfile reads it."""
    size = file.seek(0, os.SEEK_END)
    if size > 2 * MAX_BYTES:
        raise ModelError(f"{source} has {size / 1e6:.0f} MB; that is too much for a model.")
    start = max(0, size - 65557)  # the end record: 22 bytes and a comment of at most 65535
    file.seek(start)
    tail = file.read()
    position = tail.rfind(b"PK\x05\x06")
    if position < 0 or position + 22 > len(tail):
        raise ModelError(f"{source} is neither a folder nor a zip file; give one of them.")
    length = int.from_bytes(tail[position + 12 : position + 16], "little")
    if length > MAX_DIRECTORY or tail[max(0, position - 20) : position].startswith(b"PK\x06\x07"):
        raise ModelError(f"{source} has far more entries than a model has; it is no model, or hostile.")


def _members(archive: zipfile.ZipFile, source: Path) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """(file name, entry) of each file, once every entry has been found harmless by name, kind and size."""
    files: dict[str, zipfile.ZipInfo] = {}
    folders = set()
    for info in archive.infolist():
        name = info.orig_filename
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or set(name) & set("\\:\0") or not path.parts:
            raise ModelError(f"{source} contains the path {shown(name)}, which leads out of its folder; it is hostile.")
        if info.is_dir() or path.parts[0] == "__MACOSX" or path.name in CLUTTER:
            continue
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise ModelError(f"{source} contains {shown(name)}, a link or a device; a model holds files only.")
        if path.name not in LIMITS or len(path.parts) > 2:
            raise ModelError(_foreign(source, name))
        if path.name in files:
            raise ModelError(f"{source} contains {path.name} twice; it is hostile or holds several models.")
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"{source} is encrypted or compressed in an unusual way; zip the model's folder again.")
        if info.file_size > LIMITS[path.name]:
            raise ModelError(_too_large(f"{source}: {path.name}", LIMITS[path.name]))
        files[path.name] = info
        folders.add(path.parent)
    if len(folders) > 1:
        raise ModelError(f"{source} has its files in several folders; zip one model's folder by itself.")
    yield from files.items()


def _copy(source: IO[bytes], target: Path, name: str) -> None:
    """Copy to the end or the limit, whatever size was declared."""
    limit = LIMITS[target.name]
    with open(target, "xb") as copy:
        total = 0
        while chunk := source.read(CHUNK):
            total += len(chunk)
            if total > limit:
                raise ModelError(_too_large(name, limit))
            copy.write(chunk)


def _too_large(name: str, limit: int) -> str:
    return f"{name} is larger than the {limit / 1e6:.0f} MB that a model may have; it is hostile or no model."


def _foreign(source: Path, name: str) -> str:
    pickled = name.lower().endswith((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin"))
    kind = ", a pickled file, which could run any program" if pickled else ""
    return f"{source} contains {shown(name)}{kind}; a model holds only {', '.join(LIMITS)}."
