"""Files and folders that appear complete or not at all, whatever happens to the process, the disk or the power.

The only writers of this library: a temporary name beside the place, the content, fsync, a look whether all of it is
there, then the rename. What is no ordinary file (a device, a pipe, a link) is neither replaced nor followed.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a user's share of it, what it takes as one file
TEMPORARY = ".tmp"  # what the name of an unfinished file or folder ends in, before the ending that tells its kind
_OURS = re.compile(rf"\.[0-9a-f]{{32}}{re.escape(TEMPORARY)}(\.|$)")  # the names of unfinished files
LONGEST_TAIL = 100_000  # bytes
_STALE_SECONDS = 3600.0  # nothing is written for so long without a byte
_PATIENCE_SECONDS = 2.0  # Windows refuses to replace a file while another program reads it


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that becomes `path` when the block ends well, and vanishes when it does not. OSError."""
    length = 0

    def check(temporary: Path) -> None:
        if temporary.stat().st_size != length:
            raise OSError(errno.EIO, "only a part of it reached the disk", str(path))

    with made(path, check) as temporary, open(temporary, "xb") as file:
        yield file
        file.flush()
        length = file.tell()


@contextmanager
def made(path: Path, check: Callable[[Path], object] | None = None) -> Iterator[Path]:
    """The name of a file that whoever writes by name makes, and that becomes `path` when the block ends well.

    It has the suffixes of `path`, in small letters, which tell some libraries the format. check: raises OSError unless
    all of it is there (None: it must not be empty). OSError, also where something else than an ordinary file has that
    name.
    """
    check_replaceable(path)
    _sweep_beside(path)
    suffix = "".join(path.suffixes[-2:]) if path.name.lower().endswith(".gz") else path.suffix
    temporary = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}{suffix.lower()}")
    try:
        yield temporary
        _sync(temporary)
        if check is not None:
            check(temporary)
        elif temporary.stat().st_size == 0:
            raise OSError(errno.EIO, "nothing of it reached the disk", str(path))
        check_replaceable(path)
        replace(temporary, path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):  # of a disk that lets nothing be done
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; complete or not at all. OSError."""
    with written(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text, with ? for what none can hold; complete or not at all. OSError."""
    write_bytes(path, text.encode("utf-8", "replace"))


@contextmanager
def made_folder(path: Path) -> Iterator[Path]:
    """A new folder that becomes `path` when the block ends well, and vanishes when it does not.

    Its files are synced to the disk first. FileExistsError where `path` is there already, OSError.
    """
    check_free(path)
    with scratch_folder(path.parent) as stage:
        yield stage
        settle(stage, path)


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` that vanishes when the block ends, unless `settle` gave it a name before. OSError."""
    stage = parent / f".{uuid.uuid4().hex}{TEMPORARY}"
    stage.mkdir()
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def settle(stage: Path, path: Path) -> None:
    """Give a complete folder its name, its files synced to the disk first. FileExistsError, OSError."""
    check_free(path)
    for file in stage.rglob("*"):
        if file.is_file():
            _sync(file)
    sync_folder(stage)
    stage.rename(path)
    sync_folder(path.parent)


def check_free(path: Path) -> None:
    """FileExistsError if there is anything at `path`."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "it is there already", str(path))


def remove_folder(path: Path) -> None:
    """Take a folder away: at once by its name, then file by file from the disk; links in it are not followed. OSError."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link; delete it yourself", str(path))
    doomed = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    path.rename(doomed)
    shutil.rmtree(doomed)


def check_replaceable(path: Path) -> None:
    """OSError if there is something at `path` that is no ordinary file: a folder, a link, a device, a pipe."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    what = kinds.get(stat.S_IFMT(mode), "a device")
    code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EEXIST
    raise OSError(code, f"it is {what}, which is never replaced; choose another name", str(path))


def check_place(path: Path) -> None:
    """OSError for a path that no file system can hold, or that this user may not look at; it need not be there."""
    text = str(path)
    if "\0" in text:
        raise OSError(errno.EINVAL, "its name has a zero byte, which no name may have", text.replace("\0", "?"))
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "its name has bytes that are no text; rename it", text) from None
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OSError(error.errno, "its name is longer than a file's may be; choose a shorter one", text) from None
        if error.errno != errno.ELOOP:  # a link that leads nowhere is told by who follows it
            raise


def expanded(text: str) -> Path:
    """The path that a person means: literally, or with ~ as a home folder if there is nothing of that very name."""
    path = Path(text)
    if text.startswith("~") and not os.path.lexists(path):
        with suppress(RuntimeError):  # there is no such user, or no home
            return path.expanduser()
    return path


def absolute(path: Path | str) -> Path:
    """From the root on and without links, as Path.resolve, which dies of links in a circle before Python 3.13; those stay as
    they are, and whoever opens them says so."""
    return Path(os.path.realpath(path))


def read_limited(path: Path, most_bytes: int) -> bytes:
    """The bytes of an ordinary file, one more than `most_bytes` if it has more. OSError, at once for a pipe or a device."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
        return file.read(most_bytes + 1)


def tail(path: Path) -> str:
    """The last bytes of a UTF-8 text, from the start of a line if it is longer; "" if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LONGEST_TAIL))
            text = file.read()
    except OSError:
        return ""
    return (text if size <= LONGEST_TAIL else text[text.find(b"\n") + 1 :]).decode("utf-8", "replace")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power; Windows does so by itself."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: Path, older_than_seconds: float = 0.0) -> None:
    """Remove what killed processes left unfinished in a folder; of those alive, only who may know that none writes."""
    for path in folder.glob(f".*{TEMPORARY}*"):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime < older_than_seconds:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def clock(folder: Path) -> float:
    """What time it is for the file system of a folder, in seconds since 1970: other computers may go wrong. OSError."""
    probe = folder / f".{uuid.uuid4().hex}{TEMPORARY}"
    try:
        with open(probe, "xb"):
            return probe.stat().st_mtime
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """OSError if no file can be made in the folder, or nothing be written to it."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
        probe.flush()


def _sweep_beside(path: Path) -> None:
    """Remove what killed processes of this program left beside a file: by its name ours, and untouched for an hour."""
    with suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if not _OURS.match(entry.name):
                continue
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False) and time.time() - entry.stat().st_mtime > _STALE_SECONDS:
                    Path(entry.path).unlink()


def replace(temporary: Path, path: Path) -> None:
    """Give a complete file its name, in place of another; with patience where somebody reads that one. OSError."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            os.replace(temporary, path)
            return
        except PermissionError:
            if sys.platform != "win32" or time.monotonic() > until:
                raise
            time.sleep(0.02)


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
