"""Boxes around hearts that the person has corrected: what is kept of them, and for which scans."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .Parameters import Scans, SIFATrainingParameterNode

if TYPE_CHECKING:
    from SIFALib.datasets import HeartBox
    from SIFALib.datasets.scans import Scan

Box = tuple[float, ...]  # xmin, xmax, ymin, ymax, zmin, zmax in the world, LPS mm; () for none


@dataclass(frozen=True)
class Corrected:
    """box: around the heart, as the person drew it. content: SHA-256 of the grey values that it was drawn on. found: where
    the start model had seen the heart, () if nowhere. grid: where these values lay, "" if it was not kept.
    """

    box: Box
    content: str
    found: Box = ()
    grid: str = ""


def kept(parameters: SIFATrainingParameterNode) -> dict[str, Corrected]:
    """By the key of a row; of the scans that are chosen now, not of others that may have the same names."""
    try:
        held = json.loads(parameters.correctedHearts)
        boxes = held.get("boxes", {}) if held.get("place") == _place(parameters) else {}
        return {key: _corrected(record) for key, record in boxes.items()}
    except (ValueError, TypeError, KeyError, AttributeError):  # of a scene that something else has changed
        return {}


def keep(parameters: SIFATrainingParameterNode, boxes: Mapping[str, Corrected]) -> None:
    """In the scene, with the folder that they belong to."""
    found = {key: asdict(corrected) for key, corrected in boxes.items()}
    parameters.correctedHearts = json.dumps({"place": _place(parameters), "boxes": found} if found else {})


def hearts(
    parameters: SIFATrainingParameterNode, names: Mapping[str, str] | None, findings: Sequence[Scan] | None
) -> dict[str, HeartBox]:
    """The boxes as the library takes them, of these scans or of all. names: key of a row -> what the library calls it; None:
    the same."""
    from SIFALib.datasets import HeartBox, placing

    known = None if findings is None else {finding.name for finding in findings}
    found = {}
    for key, corrected in kept(parameters).items():
        name = key if names is None else names.get(key, "")
        if name and (known is None or name in known):
            found[f"target:{name}"] = HeartBox(placing.box_mm(corrected.box), corrected.content, corrected.grid)
    return found


def _corrected(c: Mapping[str, Any]) -> Corrected:
    return Corrected(_box(c["box"]), str(c["content"]), _box(c["found"]), str(c.get("grid", "")))


def _box(values: list[float]) -> Box:
    return tuple(map(float, values))


def _place(parameters: SIFATrainingParameterNode) -> str:
    return "" if parameters.scans is Scans.SCENE else f"folder {parameters.scansFolder}"
