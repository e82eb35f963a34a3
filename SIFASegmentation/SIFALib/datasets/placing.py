"""Places of hearts (`places`) put onto scans: boxes in the world to boxes of voxels, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..imaging import pictures, slices
from ..imaging.geometry import Geometry, Volume
from ..imaging.moments import MOMENTS
from ..support.errors import DataError, RequestError
from . import released
from .cutting import Locator, Place
from .places import TARGET, BoxMm, HeartBox, Places, moved
from .scans import NO_HEART, Scan, Verdict
from .settings import DataSettings

PICTURE = 240  # pixels


def of_scans(scans: Sequence[Scan], left_out: Sequence[str] = ()) -> Places:
    """The places of hearts that are known; scans of the target in which none was found are left out, and those that were.
    Of those in which nobody looked nothing is said."""
    own = [s for s in scans if s.key.startswith(TARGET) and not s.problems]
    hearts = {s.key: HeartBox(box_mm(s.heart_mm), s.content, s.grid) for s in own if s.heart_mm}
    return Places(hearts, tuple(dict.fromkeys((*left_out, *(s.key for s in own if s.without_heart)))))


def check_names(settings: DataSettings, scans: Sequence[Scan]) -> None:
    """DataError for the first of `strangers`."""
    if found := strangers(settings, scans):
        raise DataError(found[0])


def strangers(settings: DataSettings, scans: Sequence[Scan]) -> list[Verdict]:
    """What is wrong with places of scans that the target does not hold, or that consist of slices that are cut already.

    scans: of the target, without those that are excluded.
    """
    kinds = {f"{TARGET}{scan.name}": scan.kind for scan in scans}
    found = []
    for key in settings.places:
        name = key.removeprefix(TARGET)
        if key not in kinds and key not in settings.exclude and (form := _other_form(key, kinds)):
            said = f"The place of a heart is said of {name}, but {form}; draw it anew, or take it out of the places."
            found.append(Verdict(said, "box_of_other"))
        elif key not in kinds and key not in settings.exclude:
            said = f"The place of a heart is said of {name}, but {settings.target} holds no such scan; "
            found.append(Verdict(f"{said}mend its name, or take it out of the places.", "place_of_nothing"))
        elif kinds.get(key) in released.KINDS:
            said = f"{name} consists of slices that are cut already; take it out of the places of hearts."
            found.append(Verdict(said, "place_of_slices"))
    return found


def _other_form(key: str, kinds: Mapping[str, str]) -> str:
    """What the image that this key named has become since: of one volume a cine, or the reverse; "" if it is gone."""
    name = key.removeprefix(TARGET)
    if any(f"{key} {moment}" in kinds for moment in MOMENTS):
        return f"the image is a cine now, and its phases are scans of their own: {', '.join(f'{name} {m}' for m in MOMENTS)}"
    volume = next((key.removesuffix(f" {m}") for m in MOMENTS if key.endswith(f" {m}")), "")
    return f"the image is no cine any more but one volume, {volume.removeprefix(TARGET)}" if volume in kinds else ""


def located(
    scan: Scan, image: Volume, settings: DataSettings, locator: Locator | None, nowhere: str
) -> tuple[Scan, Place | None]:
    """The scan, and where its heart is: as somebody says (`applied`), else as the locator sees it; None if nobody looks.

    What is odd about it is a warning to the scan, and `nowhere` is one if no heart is seen.
    """
    if scan.key in settings.places:
        return applied(scan, image, settings.places[scan.key], locator)
    if locator is None:
        return scan, None
    heart = locator(image)
    note = Verdict(nowhere, NO_HEART) if heart is None else Verdict(heart.note, "turned")
    return replace(scan, warnings=(*scan.warnings, *filter(None, [note]))), heart


def applied(scan: Scan, image: Volume, said: HeartBox, locator: Locator | None) -> tuple[Scan, Place | None]:
    """The scan, and where it is cut: in that box, turned as the model sees it best; with a problem, and no place, where
    the box does not belong to the image."""
    fault, code, advice = "", "", "draw it anew (sifa check-data --write-places, or the panel)"
    elsewhere = moved(image.geometry, said.grid)
    if said.content and said.content != scan.content:
        how = elsewhere or "its grey values are others, or their number along an axis is"
        fault, code = f"is not the image any more that its heart's box was drawn on ({how})", "box_of_other"
    elif elsewhere:
        fault, code = f"lies elsewhere now than when its heart's box was drawn on it ({elsewhere})", "box_of_other"
    else:
        try:
            box = index_box(image.geometry, said.box)
        except RequestError:
            fault, code = f"has its heart's box outside of the image, {_extent(image.geometry)}", "box_outside"
            advice = "correct the box"
    if fault:
        problem = f"{scan.image} {fault}; {advice}, or take it out of the places of hearts."
        return replace(scan, problems=(*scan.problems, Verdict(problem, code, file=scan.image))), None
    place = Place(box)
    if locator is not None and locator.turned is not None:
        place = replace(place, quarters=locator.turned(image, said.box))
    return scan, place


def _extent(geometry: Geometry) -> str:
    """Where an image lies, in words."""
    box = world_box(geometry, slices.whole_box(geometry))
    sides = (f"{axis} {low:.0f} to {high:.0f}" for axis, low, high in zip("xyz", box[::2], box[1::2], strict=True))
    return f"which reaches from {', '.join(sides)} mm (LPS)"


def index_box(geometry: Geometry, box: BoxMm) -> np.ndarray:
    """[2, 3] voxel indices (low, high; i, j, k) of a box in the world, cut to the image. RequestError outside of it."""
    return slices.box_of_roi(geometry, box)


def world_box(geometry: Geometry, box: np.ndarray) -> BoxMm:
    """The upright box in the world around one of voxel indices [2, 3]; `index_box` gives the latter back where the image
    stands upright."""
    ends = [(box[0, axis], box[1, axis]) for axis in range(3)]
    corners = geometry.point(np.array([(i, j, k) for i in ends[0] for j in ends[1] for k in ends[2]]))
    return box_mm(np.stack([corners.min(axis=0), corners.max(axis=0)]).T.ravel().tolist())


def box_mm(values: Sequence[float]) -> BoxMm:
    """Six numbers as a box. ValueError for any other number of them."""
    a, b, c, d, e, f = (float(value) for value in values)
    return (a, b, c, d, e, f)


def shown(image: Volume, box: np.ndarray) -> Volume:
    """A box of voxel indices as labels, for a picture."""
    labels = np.zeros(image.geometry.shape, np.uint8)
    low, high = np.ceil(box[0]).astype(int), np.floor(box[1]).astype(int) + 1
    labels[low[2] : high[2], low[1] : high[1], low[0] : high[0]] = 1
    return Volume(labels, image.geometry, "box")


def draw(image: Volume, box: Sequence[float], path: Path) -> None:
    """Picture of a scan with the box, in LPS mm; () for none. OSError."""
    picture(image, shown(image, index_box(image.geometry, box_mm(box))) if box else None, path)


def picture(image: Volume, labels: Volume | None, path: Path) -> None:
    """Picture of a scan with its labels, small enough for a list of scans. OSError."""
    pictures.overlay(
        image, labels or Volume(np.zeros(image.geometry.shape, np.uint8), image.geometry), path, size=PICTURE
    )
