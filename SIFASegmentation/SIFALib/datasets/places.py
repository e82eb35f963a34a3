"""Where people say that the hearts are: boxes in the world that replace what the start model finds, and scans left out.

`check-data --write-places` writes such a file, people or the panel correct it, and `train`, `adapt` and `check-data`
take it with --places. A box is (xmin, xmax, ymin, ymax, zmin, zmax) in LPS mm, as of `segment --roi`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..imaging.geometry import Geometry
from ..support import schema
from ..support.errors import DataError, RecordError
from ..support.files import read_limited, write_text
from ..support.messages import reason
from ..support.schema import require

FORMAT = 1
MAX_BYTES = 1024**2  # of a file; a heart takes 400
MOST = 2000  # hearts, so that they fit into a run.json
FARTHEST_MM = 100_000.0  # from the origin
LEAST_MM, MOST_MM = 5.0, 1000.0  # sides of a box: from a rat's heart to a whole scan
TARGET = "target:"
SAME_MM = 0.025  # between the corners of one grid: each is told to 0.01 mm

BoxMm = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class HeartBox:
    """The box around one heart. content: SHA-256 of the grey values that it was drawn on, as `Scan.content`; "": of any.

    grid: where these lay, as of `grid_of`; "": anywhere, as in files of before.
    """

    box: BoxMm
    content: str = ""
    grid: str = ""

    def __post_init__(self) -> None:
        sides = [self.box[n + 1] - self.box[n] for n in (0, 2, 4)]
        rule = f"must be xmin, xmax, ymin, ymax, zmin, zmax in mm, {LEAST_MM:g} to {MOST_MM:g} mm a side"
        require(all(LEAST_MM <= side <= MOST_MM for side in sides), "box", list(self.box), rule)
        near, rule = max(map(abs, self.box)) <= FARTHEST_MM, f"must be within {FARTHEST_MM:g} mm of the origin"
        require(near, "box", list(self.box), rule)
        require(not self.grid or _corners(self.grid) is not None, "grid", self.grid, "must be 12 numbers in mm")


@dataclass(frozen=True)
class Places:
    """hearts: "target:NAME" -> its box. left_out: "target:NAME" of scans that are not trained on."""

    hearts: dict[str, HeartBox] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    format: int = FORMAT

    def __post_init__(self) -> None:
        check_keys(self.hearts, "hearts")
        for name in self.left_out:
            require(name.startswith(("source:", TARGET)), "left_out", name, "must be like target:NAME")


def check_keys(hearts: dict[str, HeartBox], where: str) -> None:
    """RecordError for hearts of anything but scans of the target."""
    require(len(hearts) <= MOST, where, len(hearts), f"must be at most {MOST} hearts")
    for name in hearts:
        rule = "must be like target:NAME; those of labelled scans are where their labels are"
        require(name.startswith(TARGET) and len(name) > len(TARGET), where, name, rule)


def records(hearts: Mapping[str, HeartBox]) -> dict[str, Any]:
    """Hearts as JSON holds them, for `configuration.changed`."""
    return {name: dataclasses.asdict(heart) | {"box": list(heart.box)} for name, heart in hearts.items()}


def grid_of(geometry: Geometry) -> str:
    """Where an image lies, in LPS to 0.01 mm: the centres of its first voxel and of the first beyond it along i, j and k."""
    corners = geometry.point(np.vstack([np.zeros(3), np.diag(geometry.size)]))
    return " ".join(f"{value:.2f}" for value in corners.ravel())


def moved(geometry: Geometry, grid: str) -> str:
    """How an image lies otherwise than `grid` says, in words; "" if it lies there, or nobody said where."""
    if not grid:
        return ""
    (told, found) = corners = [_corners(each) for each in (grid, grid_of(geometry))]
    assert told is not None and found is not None, corners  # `HeartBox` refuses others
    if float(np.abs(told - found).max()) <= SAME_MM:
        return ""
    (before, edges), (origin, now) = ((each[:3], each[3:].reshape(3, 3) - each[:3]) for each in (told, found))
    sizes = [" x ".join(f"{mm:.1f}" for mm in np.linalg.norm(each, axis=1)) for each in (edges, now)]
    if sizes[0] != sizes[1]:
        return f"it covers {sizes[1]} mm where it covered {sizes[0]} mm"
    if float(np.abs(edges - now).max()) > SAME_MM:
        return "its axes point elsewhere"
    return f"its first voxel has moved by {np.linalg.norm(origin - before):.1f} mm"


def _corners(grid: str) -> np.ndarray | None:
    """The twelve numbers of a grid; None for any other text."""
    try:
        values = np.array([float(value) for value in grid.split()])
    except ValueError:
        return None
    return values if values.shape == (12,) and bool(np.isfinite(values).all()) else None


def read(path: Path) -> Places:
    """What a file says. DataError names the file, the key and the rule."""
    try:
        text = read_limited(path, MAX_BYTES)
        if len(text) > MAX_BYTES:
            raise DataError(f"{path} is larger than any file of places; name one that check-data or the panel wrote.")
        data = schema.parse(text, str(path))
        if isinstance(data, dict) and type(data.get("format")) is int and data["format"] > FORMAT:
            raise DataError(f"{path} is of format {data['format']}, this SIFA reads {FORMAT}; update SIFA to use it.")
        read_: Places = schema.decode_file(Places, data, str(path))
    except RecordError as error:
        raise DataError(f"{error} Write it anew with: sifa check-data --write-places") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({reason(error)}).") from error
    return read_


def write(path: Path, places: Places) -> None:
    """OSError."""
    write_text(path, json.dumps(dataclasses.asdict(places), indent=1, ensure_ascii=False) + "\n")
