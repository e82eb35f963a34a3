"""Read a scan with its label map and find out all that is wrong with it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..imaging import checks, files, reading, slices
from ..imaging.geometry import Geometry, Volume
from ..imaging.intensity import looks_like_hounsfield
from ..support.errors import VolumeError
from . import label_values
from .settings import DataSettings
from .sources import Scan

log = logging.getLogger(__name__)

FEW_SLICES = 3  # native slices; fewer are named
SAME_PLACE = 0.1  # of the smallest spacing: how far corners of image and label map may lie apart


@dataclass(frozen=True)
class Finding:
    """What one scan is and what is wrong with it; plain data.

    size: voxels (i, j, k). spacing_mm, field_of_view_mm: along i, j, k. intensity: least, median, largest grey value.
    looks_like: "CT" for Hounsfield units, else "MR". label_values: as they stand in the file. missing: classes
    without a voxel. content: SHA-256 of the grey values. problems keep it from training, warnings do not.
    """

    domain: str
    name: str
    path: str
    label_path: str = ""
    kind: str = ""
    size: tuple[int, ...] = ()
    spacing_mm: tuple[float, ...] = ()
    field_of_view_mm: tuple[float, ...] = ()
    plane: str = ""
    slices: int = 0
    intensity: tuple[float, ...] = ()
    looks_like: str = ""
    label_values: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    content: str = ""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """How `exclude` names it."""
        return f"{self.domain}:{self.name}"


@dataclass(frozen=True, eq=False)
class Loaded:
    """A scan that can be trained on: the image, and its labels as classes, uint8, on the same grid."""

    image: Volume
    labels: Volume | None


@dataclass
class _Notes:
    """What is found while a scan is looked at."""

    facts: dict = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def examine(scan: Scan, domain: str, settings: DataSettings) -> tuple[Finding, Loaded | None]:
    """What the scan is, and the scan itself if nothing keeps it from training. Raises nothing for bad files."""
    notes = _Notes()
    image = _read(scan.image, notes)
    labels = None
    if image is not None:
        try:
            _look(image, settings, notes)
            if settings.labelled(domain):
                labels = _labels_of(scan, image, settings, notes)
        except Exception as error:  # nobody foresaw it, and the other scans are still to be looked at
            log.warning("%s cannot be judged", scan.image, exc_info=error)
            notes.problems.append(unforeseen(scan.image, error))
    finding = Finding(
        domain, scan.name, str(scan.image), str(scan.label or ""), scan.kind,
        **notes.facts, problems=tuple(notes.problems), warnings=tuple(notes.warnings),
    )  # fmt: skip
    if image is None or finding.problems:
        return finding, None
    return finding, Loaded(image, labels)


def _read(path: Path, notes: _Notes) -> Volume | None:
    try:
        files.check_name(path)
        return reading.read(path)
    except VolumeError as error:
        notes.problems.append(str(error))
    except FileNotFoundError:
        notes.problems.append(f"{path} is gone; bring it back or leave it out.")
    except OSError as error:
        notes.problems.append(f"{path} cannot be read ({error.strerror or error}).")
    except Exception as error:  # as above
        log.warning("%s cannot be read", path, exc_info=error)
        notes.problems.append(unforeseen(path, error))
    return None


def unforeseen(path: Path, error: Exception) -> str:
    """A problem for an error that nobody foresaw."""
    what = " ".join(str(error).split()).rstrip(".")
    return f"{path} cannot be used ({type(error).__name__}: {what}). It may be damaged; copy it again or leave it out."


def _look(image: Volume, settings: DataSettings, notes: _Notes) -> None:
    """Facts about the image; what `volume.check` refuses."""
    geometry = image.geometry
    notes.facts.update(
        size=tuple(geometry.size),
        spacing_mm=tuple(float(s) for s in geometry.spacing),
        field_of_view_mm=tuple(float(e) for e in geometry.extent_mm),
    )
    array = image.array
    finite = array[np.isfinite(array)] if np.issubdtype(array.dtype, np.floating) else array.ravel()
    if finite.size:
        median = float(np.median(finite[:: max(1, finite.size // 500_000)]))
        notes.facts.update(intensity=(float(finite.min()), median, float(finite.max())))
    try:
        checks.check(image)
    except VolumeError as error:
        notes.problems.append(str(error))
        return
    plane = slices.choose_plane(geometry, settings.preprocessing.plane)
    notes.facts.update(
        plane=plane.name,
        slices=int(geometry.size[plane.axes[2]]),
        looks_like="CT" if looks_like_hounsfield(array) else "MR",
        content=content_hash(array),
    )
    if notes.facts["slices"] < FEW_SLICES:
        notes.warnings.append(f"only {notes.facts['slices']} slice(s); it teaches little")


def content_hash(array: np.ndarray) -> str:
    """SHA-256 of the grey values, whatever their type and the file's format."""
    digest = hashlib.sha256(str(array.shape).encode())
    for plane in array:
        digest.update(np.ascontiguousarray(plane, np.float32).data)
    return digest.hexdigest()


def _labels_of(scan: Scan, image: Volume, settings: DataSettings, notes: _Notes) -> Volume | None:
    if scan.label is None:
        notes.problems.append(
            f"{scan.image} has no label map; put it beside the image as {scan.image.name.split('.')[0]}_label, "
            "in a folder labels, or leave the image out."
        )
        return None
    labels = _read(scan.label, notes)
    if labels is None:
        return None
    difference = mismatch(image.geometry, labels.geometry)
    if difference:
        notes.problems.append(
            f"{scan.label} has {difference[1]} but {scan.image} has {difference[0]}; resample one of them."
        )
    values = label_values.found(labels.array)
    if values is None:
        notes.problems.append(f"{scan.label} holds values that are no whole numbers; is it a label map?")
        return None
    notes.facts["label_values"] = values
    classes = label_values.table(values, settings.label_values, settings.classes)
    if classes is None:
        wrong = label_values.advice(values, settings.label_values, settings.classes)
        notes.problems.append(f"{scan.label}: {wrong}")
        return None
    if difference:
        return None
    _judge_classes(scan, set(classes.values()), settings, notes)
    return Volume(label_values.mapped(labels.array, classes), image.geometry, labels.name)


def _judge_classes(scan: Scan, present: set[int], settings: DataSettings, notes: _Notes) -> None:
    missing = tuple(c for c in range(1, settings.classes) if c not in present)
    notes.facts["missing"] = missing
    if len(missing) == settings.classes - 1:
        notes.problems.append(f"{scan.label} labels nothing: every voxel is background.")
    elif missing:
        names = ", ".join(map(str, missing))
        notes.warnings.append(f"nothing is labelled as class {names}; what there is of it counts as background")


def mismatch(image: Geometry, labels: Geometry) -> tuple[str, str] | None:
    """What tells the grids of an image and its label map apart, (image's, labels'); None if they are the same."""
    if image.size != labels.size:
        return f"{_times(image.size)} voxels", f"{_times(labels.size)} voxels"
    apart = np.abs(image.corners() - labels.corners()).max()
    if apart <= SAME_PLACE * min(image.spacing):
        return None
    for what, name, form in (("spacing", "spacing", "mm"), ("origin", "origin", "mm (LPS)")):
        ours, theirs = getattr(image, what), getattr(labels, what)
        if not np.allclose(ours, theirs, rtol=1e-3, atol=SAME_PLACE * min(image.spacing)):
            return f"{name} {_numbers(ours)} {form}", f"{name} {_numbers(theirs)} {form}"
    return f"direction {_numbers(image.direction)}", f"direction {_numbers(labels.direction)}"


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


def _numbers(values: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"
