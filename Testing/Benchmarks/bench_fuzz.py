"""Damaged and hostile headers, thousands a format: does any end the process, hang it, or fill the memory?

    python bench_fuzz.py --count 10000

Sound NIfTI, NRRD and MetaImage files are changed by chance, the same for the same seed: bits, bytes, fields, numbers out
of all bounds, lines twice, names with percent signs, long texts. Each is read in a child process, whose memory and time
are limited; a child that dies is replaced, and the case that killed it is kept beside the table. What may come of a file
is an image or a VolumeError (a sentence); anything else counts: signals, hangs, too much memory, other exceptions.
"""

from __future__ import annotations

import argparse
import gzip
import json
import multiprocessing
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

SIZE = (12, 11, 10)  # voxels (i, j, k) of the sound files
SECONDS = 10.0  # that a file may take
MEMORY = 1500 * 1024**2  # bytes that a child may have beyond what it has before its first file
RESULTS = Path(__file__).parent / "results"
FORMATS = ("nifti", "nrrd", "metaimage")
VOXELS = np.random.default_rng(0).integers(-1000, 2000, SIZE[::-1]).astype("<i2").tobytes()
HOSTILE = (
    *("0", "-1", "1", "3", "100", "99999999999999", "1e308", "-1e308", "nan", "inf", "9" * 5000, "0x10", "1e-320"),
    *("%s", "%n%n%n", "%s%s%s.raw 1 20 1", "s%d.raw 1 20 0", "s%05000d.raw 1 3 1", "LIST", "LIST 99", "LOCAL", "/dev/zero"),
    *("", " ", "x" * 9000, "(" * 300, "(1,0,0) (0,1,0) (0,0,1)", "(nan,0,0) none (0,0,1)", '"' * 50, "\0", "é" * 300),
    *("short", "block", "MET_DOUBLE", "MET_CHAR_ARRAY", "gzip", "hex", "bzip2", "True", "1 " * 3000, "12 11 10 1", "12 11"),
)  # fmt: skip
FIELDS = (
    *("type", "dimension", "sizes", "space", "space directions", "space origin", "encoding", "endian", "kinds", "units"),
    *("line skip", "byte skip", "data file", "spacings", "block size", "measurement frame", "space dimension", "labels"),
    *("NDims", "DimSize", "ElementType", "ElementSpacing", "Offset", "TransformMatrix", "CompressedData", "HeaderSize"),
    *("CompressedDataSize", "ElementDataFile", "ElementNumberOfChannels", "BinaryData", "ObjectType", "Name", "Color"),
)  # fmt: skip


def cases(form: str, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """(ending, content) of that many damaged files of a format, the same for the same seed."""
    rng = np.random.default_rng([seed, FORMATS.index(form)])
    for _ in range(count):
        if form == "nifti":
            yield _nifti(rng)
        else:
            yield _text_header(rng, form)


def _nifti(rng: np.random.Generator) -> tuple[str, bytes]:
    header = bytearray(352)
    for place, kind, *values in (
        *((0, "i", 348), (40, "8h", 3, *SIZE, 1, 1, 1, 1), (70, "2h", 4, 16), (76, "4f", 1, 1, 2, 3), (108, "f", 352)),
        *((112, "2f", 1, 0), (252, "2h", 1, 1), (280, "12f", 1, 0, 0, 5, 0, 2, 0, 6, 0, 0, 3, 7)),
    ):
        struct.pack_into(f"<{kind}", header, place, *values)
    header[344:348] = b"n+1\0"
    for _ in range(int(rng.integers(1, 4))):
        place = int(rng.integers(0, 348))
        match int(rng.integers(4)):
            case 0:
                header[place] ^= 1 << int(rng.integers(8))
            case 1:
                header[place] = int(rng.integers(256))
            case 2:
                header[place : place + 4] = struct.pack("<f", float(rng.choice([np.nan, np.inf, -1e38, 1e38, 0, -1])))
            case _:
                place = 40 + 2 * int(rng.integers(0, 8))
                struct.pack_into("<h", header, place, int(rng.choice([0, -1, 1, 7, 32767, -32768])))
    content = bytes(header[:352]) + VOXELS
    if rng.random() < 0.1:
        content = content[: int(rng.integers(0, len(content)))]
    return (".nii.gz", gzip.compress(content, 1, mtime=0)) if rng.random() < 0.5 else (".nii", content)


def _text_header(rng: np.random.Generator, form: str) -> tuple[str, bytes]:
    packed = rng.random() < 0.5
    size = " ".join(map(str, SIZE))
    if form == "nrrd":
        lines = [
            *("NRRD0004", "type: short", "dimension: 3", "space: left-posterior-superior", f"sizes: {size}"),
            *("space directions: (1,0,0) (0,2,0) (0,0,3)", "kinds: domain domain domain", "endian: little"),
            *(f"encoding: {'gzip' if packed else 'raw'}", "space origin: (1,2,3)", "key:=value"),
        ]
        data, colon, last, ending = gzip.compress(VOXELS, 1, mtime=0) if packed else VOXELS, ": ", "", ".nrrd"
    else:
        data = zlib.compress(VOXELS) if packed else VOXELS
        lines = [
            *("ObjectType = Image", "NDims = 3", "BinaryData = True", "BinaryDataByteOrderMSB = False"),
            *(f"CompressedData = {packed}", f"CompressedDataSize = {len(data)}", "TransformMatrix = 1 0 0 0 1 0 0 0 1"),
            *("Offset = 1 2 3", "ElementSpacing = 1 2 3", f"DimSize = {size}", "ElementType = MET_SHORT"),
        ]
        colon, last, ending = " = ", "ElementDataFile = LOCAL", ".mha"
    for _ in range(int(rng.integers(1, 4))):
        _damage(lines, colon, rng)
    if last and rng.random() < 0.3:
        last = f"ElementDataFile = {rng.choice(HOSTILE)}"
    content = bytearray("\n".join([*lines, last, ""]).encode("utf-8", "replace") + data)
    for _ in range(int(rng.integers(0, 3))):
        place = int(rng.integers(0, len(content) - len(data)))
        content[place] = int(rng.integers(256)) if rng.random() < 0.5 else content[place] ^ (1 << int(rng.integers(8)))
    return ending, bytes(content)


def _damage(lines: list[str], colon: str, rng: np.random.Generator) -> None:
    """Change one line, or add one, or take one away, or move one."""
    n = int(rng.integers(0, len(lines)))
    key = lines[n].partition(colon)[0]
    match int(rng.integers(7)):
        case 0 | 1:
            lines[n] = f"{key}{colon}{rng.choice(HOSTILE)}"
        case 2:
            lines.insert(n, f"{rng.choice(FIELDS)}{colon}{rng.choice(HOSTILE)}")
        case 3:
            lines.insert(int(rng.integers(0, len(lines))), lines[n])
        case 4:
            del lines[n]
        case 5:
            lines.insert(0, lines.pop(n))
        case _:
            words = lines[n].split(" ")
            words[int(rng.integers(0, len(words)))] = str(rng.choice(HOSTILE))
            lines[n] = " ".join(words)


def read_all(pipe: Connection, folder: str) -> None:
    """In a child: read what comes through the pipe as (ending, content), and answer with what came of it."""
    import SimpleITK as sitk
    from SIFALib import imaging
    from SIFALib.support.errors import VolumeError

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        ending, content = pipe.recv()
        path = Path(folder) / f"scan{ending}"
        path.write_bytes(content)
        try:
            imaging.read(path)
            told = "read"
        except VolumeError:
            told = "refused"
        except Exception as error:
            told = f"{type(error).__name__}: {str(error)[:80]}"
        pipe.send((told, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))


class Child:
    """A process that reads files, until one kills it."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=read_all, args=(theirs, str(folder)), daemon=True)
        self.process.start()
        theirs.close()

    def read(self, ending: str, content: bytes, patience: float) -> tuple[str, int]:
        """What came of a file, and the most memory so far in bytes; `patience`: in seconds."""
        try:
            self.pipe.send((ending, content))
            if not self.pipe.poll(patience):
                return "hang", 0
            told, peak = self.pipe.recv()
            return str(told), int(peak)
        except (EOFError, ConnectionError, BrokenPipeError):
            self.process.join()
            return f"signal {-(self.process.exitcode or 0)}", 0

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def fuzz(form: str, count: int, seed: int, keep: Path | None = None) -> dict[str, object]:
    """What came of that many files: how often what, the slowest in seconds, the most memory in bytes, and what is bad."""
    outcomes: Counter[str] = Counter()
    slowest, peak, bad = 0.0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        child, fresh = Child(Path(folder)), True
        try:
            for number, (ending, content) in enumerate(cases(form, count, seed)):
                began = time.monotonic()
                told, most = child.read(ending, content, SECONDS + 50 * fresh)  # a new child has yet to start
                slowest, peak = max(slowest, 0 if fresh else time.monotonic() - began), max(peak, most)
                fresh = False
                outcomes[told] += 1
                if told in ("read", "refused"):
                    continue
                bad.append({"number": number, "outcome": told})
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{form}-{seed}-{number}{ending}").write_bytes(content)
                if told == "hang" or told.startswith("signal"):
                    child.end()
                    child, fresh = Child(Path(folder)), True
        finally:
            child.end()
    return {"format": form, "count": count, "outcomes": dict(outcomes), "slowest": slowest, "peak": peak, "bad": bad}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="files of each format (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=FORMATS, nargs="+", default=FORMATS)
    parser.add_argument("--out", type=Path, default=RESULTS / "fuzz", help="where what is bad is kept, and the table")
    options = parser.parse_args()
    rows = [fuzz(form, options.count, options.seed, options.out) for form in options.only]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "fuzz.json").write_text(json.dumps(rows, indent=1))
    print(f"{'format':<10} {'files':>6} {'read':>6} {'refused':>8} {'other':>6} {'slowest s':>10} {'peak MB':>8}")
    for row in rows:
        told = Counter(row["outcomes"])
        print(
            f"{row['format']:<10} {row['count']:>6} {told['read']:>6} {told['refused']:>8} {len(row['bad']):>6} "
            f"{row['slowest']:>10.2f} {row['peak'] / 1e6:>8.0f}"
        )
        for outcome, times in told.items():
            if outcome not in ("read", "refused"):
                print(f"    {times} x {outcome}")
    return int(any(row["bad"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
