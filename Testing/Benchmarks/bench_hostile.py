"""Command lines that a hostile or unlucky person types: every place of every command, with everything it should not be.

    python bench_hostile.py [--only WORD]

Each line runs in a child process of its own, as a user without rights, beside files that are nobody's business. Well is an
exit code that `sifa --help` knows, and that says which place is wrong; one sentence; no traceback, no signal, nothing
slower than 60 seconds; the other files untouched, no unfinished file left behind, and no file without content.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import itertools
import json
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).parents[1] / "Python" / "fixtures"
RESULTS = Path(__file__).parent / "results"
SECONDS = 60
MEMORY = 3 * 1024**3  # bytes of address space beyond what the process has at its start
OK, USAGE, INPUT, MODEL, NO_HEART, OUTPUT = 0, 2, 3, 4, 5, 6

DOORS = {
    "segment X o.nrrd -M": {INPUT}, "segment i.nrrd X -M": {OUTPUT}, "segment i.nrrd o.nrrd --report X -M": {OUTPUT},
    "segment i.nrrd o.nrrd --picture X -M": {OUTPUT}, "segment i.nrrd o.nrrd --uncertainty X -M": {OUTPUT},
    "segment i.nrrd o.nrrd --model X": {MODEL},
    "batch X out -M": {INPUT}, "batch scans X -M": {OUTPUT}, "batch scans out --table": {INPUT},
    "check-data --target X": {INPUT}, "check-data --source X": {INPUT}, "check-data --target scans --json X": {OUTPUT},
    "check-data --target scans --thumbnails X": {OUTPUT}, "evaluate --images X -M": {INPUT},
    "evaluate --images scans --labels X -M": {INPUT}, "phantom X --spacing 12": {OUTPUT},
    "phantom o.nrrd --spacing 12 --labels X": {OUTPUT}, "models show X": {MODEL}, "models verify X": {MODEL},
    "models import X -F": {MODEL, OUTPUT}, "models list --models-folder X": {MODEL}, "models delete X -F": {MODEL},
    "models export tiny X -F": {OUTPUT, MODEL}, "train --configuration X": {INPUT},
    "train r --start-model X": {INPUT, MODEL},
    "runs list X": {INPUT}, "runs status X": {INPUT}, "runs stop X": {INPUT, OUTPUT}, "export X a -F": {INPUT},
    "export nowhere X -F": {INPUT, MODEL}, "import-tf X": {INPUT, MODEL},
    "cine X out -M": {INPUT}, "cine beats/a.nii.gz X -M": {OUTPUT}, "cine beats/a.nii.gz out --stack X -M": {INPUT},
    "batch X out --cine -M": {INPUT}, "batch beats X --cine -M": {OUTPUT},
    "adapt X a --start-model tiny -F": {INPUT}, "adapt scans X --start-model tiny -F": {INPUT, MODEL},
    "adapt scans a --start-model X -F": {INPUT, MODEL}, "adapt scans a --run X --start-model tiny -F": {INPUT, OUTPUT},
    "adapt scans a --source X --start-model tiny -F": {INPUT},
    "adapt scans a --exclude target:X --start-model tiny -F": {INPUT}, "check-data --source X --label-values acdc": {INPUT},
}  # fmt: skip
"""Command lines with a place X; the codes that may refuse it. -M: a tiny model; -F: its folder."""


def things(folder: Path) -> dict[str, str]:
    """What X is, by what it is called here; made in `folder`."""
    (folder / "empty").mkdir()
    (folder / "locked").mkdir()
    (folder / "locked" / "x.nrrd").write_text("x")
    (folder / "loop.nrrd").symlink_to("loop.nrrd")
    (folder / "dangling.nrrd").symlink_to("nowhere.nrrd")
    (folder / "to-mine.nrrd").symlink_to("mine/thesis.nrrd")
    for name in ("pipe.nrrd", "pipe.json", "pipe.zip"):
        os.mkfifo(folder / name)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "socket.nrrd"))
    (folder / "zero.nrrd").write_bytes(b"")
    (folder / "binary.nrrd").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "text.json").write_text("[" * 100_000)
    (folder / "~").mkdir()
    (folder / "deep").mkdir()
    shutil.copy(folder / "i.nrrd", folder / "täst %s%n $(x).nrrd")
    (folder / "locked").chmod(0)
    names = (
        *("missing.nrrd", "empty", "locked", "locked/x.nrrd", "loop.nrrd", "loop.nrrd/x.nrrd", "dangling.nrrd"),
        *("to-mine.nrrd", "pipe.nrrd", "pipe.json", "pipe.zip", "socket.nrrd", "zero.nrrd", "binary.nrrd", "text.json"),
        *(
            "/dev/zero",
            "/dev/null",
            "/dev/full",
            "/dev/stdin",
            "/proc/self/mem",
            "/proc/self/fd/1",
            "/proc/self",
            ".",
            "..",
            "",
        ),
        *(
            "~",
            "~/x.nrrd",
            "~nobody-here/x.nrrd",
            "i.nrrd/x.nrrd",
            "i.nrrd/",
            "i.nrrd",
            "mine",
            "deep/" * 60 + "x.nrrd",
        ),
        *(
            "n" * 255,
            "n" * 256,
            "n" * 300 + ".nrrd",
            "é" * 130 + ".nrrd",
            "d/" * 3000 + "x.nrrd",
            "täst %s%n $(x).nrrd",
        ),
        *(
            os.fsdecode(b"k\xe4se.nrrd"),
            "a\nb.nrrd",
            "\x1b[2J.nrrd",
            "\u202egnp.nrrd",
            "nowhere/x.nrrd",
            "x.nrrd.",
            ".nrrd",
        ),
    )
    return {name: name for name in names}


@dataclass(frozen=True)
class Outcome:
    """What came of a line. said: of standard error, the last line. faults: what is not well about it."""

    line: str
    thing: str
    code: int
    seconds: float
    said: str
    faults: tuple[str, ...]


def prepare(folder: Path) -> None:
    """The files that command lines name, and those that they must leave alone."""
    import SimpleITK as sitk
    import tiny_models

    scan = np.random.default_rng(0).normal(0, 50, (20, 44, 40)).astype(np.int16)
    (folder / "scans").mkdir()
    for path in (folder / "i.nrrd", folder / "scans" / "a.nrrd"):
        sitk.WriteImage(sitk.GetImageFromArray(scan), str(path))
    (folder / "beats").mkdir()
    beat = [sitk.GetImageFromArray(scan[:6] + phase) for phase in range(6)]
    sitk.WriteImage(sitk.JoinSeries(beat), str(folder / "beats" / "a.nii.gz"))
    (folder / "mine").mkdir()
    (folder / "mine" / "thesis.nrrd").write_text("years of work")
    (folder / "store").mkdir()
    tiny_models.write_constant(folder / "store" / "tiny-1.0.0", 3)


def run_line(line: str, thing: str, folder: Path, allowed: set[int]) -> Outcome:
    words = [thing if word == "X" else word.replace(":X", f":{thing}") for word in line.split()]
    for short, options in (
        ("-M", ["--model", "tiny", "--models-folder", "store"]),
        ("-F", ["--models-folder", "store"]),
    ):
        if short in words:
            words.remove(short)
            words += options
    before, began = witness(folder), time.monotonic()
    child = os.fork()
    if child == 0:
        _in_child(words, folder)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seconds = time.monotonic() - began
    text = (folder.parent / "err").read_bytes().decode("utf-8", "replace")
    said = next((part for part in reversed(text.strip().splitlines()) if part.strip()), "")
    faults = []
    if code not in {OK, USAGE, NO_HEART, *allowed}:
        faults.append(f"ended with {code}")
    if seconds > SECONDS - 5:
        faults.append("hangs")
    faults += [f"says {word!r}" for word in ("Traceback", "unexpected", "Exception ignored") if word in text]
    told = (folder.parent / "out").stat().st_size > 0  # as `check-data` and `batch` do, of each scan
    if (
        code not in (OK, *range(-64, 0))
        and not told
        and not said.rstrip().endswith((".", "!", "?", ")"))
        and "error:" not in said
    ):
        faults.append("says no sentence")
    faults += [f"changed {name}" for name in changed(before, witness(folder))]
    for path in folder.rglob(".*tmp*"):
        faults.append(f"left {path.name}")
    return Outcome(line, thing, code, seconds, said[:300], tuple(faults))


def _in_child(words: list[str], folder: Path) -> None:
    """Never returns."""
    code = 99
    try:
        os.chdir(folder)
        for name, number in (("out", 1), ("err", 2)):
            os.dup2(os.open(folder.parent / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
        os.environ.update(HOME=str(folder / "home"), TMPDIR=str(folder.parent))
        with open("/proc/self/statm") as file:
            size = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        _without_rights()
        signal.alarm(SECONDS)
        from SIFALib.cli.main import main

        code = main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException as error:
        sys.stderr.write(f"Traceback: {type(error).__name__}: {error}\n")
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)


def _without_rights() -> None:
    """Give up what root may do to files that are closed to everybody, and all the rest. Linux."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of capset(2), this process
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())


def witness(folder: Path) -> dict[str, str]:
    """What the files hold that no line may change."""
    kept = [
        folder / "i.nrrd",
        *(folder / "scans").rglob("*"),
        *(folder / "beats").rglob("*"),
        *(folder / "mine").rglob("*"),
        *(folder / "store").rglob("*"),
    ]
    kept += [path for path in folder.iterdir() if path.name.startswith(("loop", "dangling", "to-", "pipe", "socket"))]
    found = {}
    for path in kept:
        info = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path.relative_to(folder))] = f"{info.st_mode} {content}"
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in before if after.get(name) != before[name]]


def clear(folder: Path, kept: set[str]) -> None:
    """Remove what a line wrote."""
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="lines and things that hold this word")
    parser.add_argument("--every", type=int, default=1, help="of all lines only every so many")
    options = parser.parse_args()
    sys.path.insert(0, str(FIXTURES))
    import skimage.measure  # noqa: F401  (each child has these from here)
    import torch
    from SIFALib import inference, runs  # noqa: F401

    torch.set_num_threads(1)
    os.umask(0)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o777)
        folder = Path(place) / "work"
        folder.mkdir()
        prepare(folder)
        named = things(folder)
        kept = {path.name for path in folder.iterdir()}
        pairs = [p for p in itertools.product(DOORS, named) if options.only in f"{p[0]} {p[1]}"]
        for line, thing in pairs[:: options.every]:
            outcome = run_line(line, named[thing], folder, DOORS[line])
            outcomes.append(outcome)
            clear(folder, kept)
            if outcome.faults:
                sys.stdout.write(f"{line}  X={ascii(thing)[:50]}: {'; '.join(outcome.faults)}: {outcome.said}\n")
                sys.stdout.flush()
        (folder / "locked").chmod(0o777)
    bad = [o for o in outcomes if o.faults]
    codes = Counter(o.code for o in outcomes)
    sys.stdout.write(f"{len(outcomes)} lines, {len(bad)} not well; exit codes {dict(sorted(codes.items()))}\n")
    RESULTS.mkdir(exist_ok=True)
    record = {"lines": len(outcomes), "codes": codes, "not_well": [o.__dict__ for o in bad]}
    (RESULTS / "hostile.json").write_text(json.dumps(record, indent=1) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
