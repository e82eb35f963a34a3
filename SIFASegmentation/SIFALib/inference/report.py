"""What a segmentation says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .. import __version__
from .flags import Flag


@dataclass(frozen=True)
class MadeBy:
    """The model that made it. sha256: of its weights."""

    id: str
    version: str
    sha256: str

    @property
    def key(self) -> str:
        """`id@version`."""
        return f"{self.id}@{self.version}"


@dataclass(frozen=True)
class MadeOf:
    """The scan that it was made of. size: voxels (i, j, k)."""

    name: str
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Report:
    """How a segmentation came about, and what can be told of it without the truth.

    intensity: the rule of grey values, in words; read_as: as CT or MR, and why, "" where there was nothing to choose.
    plane: in which the scan is cut; views: all planes in which passes were made. quarter_turns: clockwise, by which slices
    were shown to the network turned; in_turns: other turns in which passes were made. heart_score: 0..1, how much like a
    heart a quick look at it was; None where none was needed. slices, batch_size: of the first pass. seconds: by stage.
    notes: sentences on what nobody asked for.
    out_of_distribution: what was measured. volumes_ml: by structure id. expected_dice: by structure id, 0..1, None where
    nothing was found; dice_calibrated: whether by the curve of the model's card.
    """

    model: MadeBy
    input: MadeOf
    device: str
    precision: str
    intensity: str
    read_as: str
    plane: str
    views: tuple[str, ...]
    quarter_turns: int
    in_turns: tuple[int, ...]
    heart_score: float | None
    slices: int
    batch_size: int
    seconds: Mapping[str, float]
    notes: tuple[str, ...]
    out_of_distribution: Mapping[str, Any]
    volumes_ml: Mapping[str, float]
    dice_calibrated: bool
    expected_dice: Mapping[str, float | None]
    flags: tuple[Flag, ...]

    def to_json(self) -> dict[str, Any]:
        """The report as data for JSON; a new dictionary at every call."""
        return {"sifa_version": __version__, **asdict(self), "flags": [flag.record() for flag in self.flags]}
