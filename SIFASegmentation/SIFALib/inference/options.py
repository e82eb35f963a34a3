"""What can be chosen about a segmentation. It needs no torch, so that a panel can offer it before that is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..models.structures import Structure, chosen
from ..support.limits import Choice, Range, check_limits


@dataclass(frozen=True)
class Options:
    """How to segment. RecordError, a ValueError, for a value beyond its limit.

    device: auto, cpu, cuda, cuda:N or mps. batch_size: slices at once; None: as many as the device does best.
    roi: (xmin, xmax, ymin, ymax, zmin, zmax) in LPS mm around the heart; it replaces the localisation.
    structures: ids to keep in the result (None: all; "papers": the four of the papers). modality: for the rule of grey
    values. views: planes in which passes are made (see `fusion.planes`). keep_probabilities, uncertainty: maps that the
    result should hold besides the labels.
    """

    device: str = "auto"
    precision: Annotated[str, Choice("auto", "float32", "bfloat16")] = "auto"
    batch_size: Annotated[int | None, Range(1, 65536)] = None
    roi: tuple[float, ...] | None = None
    structures: tuple[str, ...] | None = None
    modality: Annotated[str, Choice("auto", "ct", "mr")] = "auto"
    keep_probabilities: bool = False
    views: Annotated[str, Choice("auto", "one", "three")] = "auto"
    uncertainty: bool = False

    def __post_init__(self) -> None:
        check_limits(self)

    def wanted(self, labels: tuple[Structure, ...]) -> tuple[Structure, ...]:
        """Those of a model's structures that the result shall show, in its order. ValueError if one is not among them."""
        return labels if self.structures is None else chosen(self.structures, labels)
