"""The data as the authors released it: slices in .tfrecords, volumes of PnP-AdaNet in .npz.

Both have no geometry: a slice is a picture of so many pixels, z-scored per volume beforehand. Their grey values are
scaled as `source_normalisation` and `target_normalisation` say; the authors' own statistics are "sifa_mr", "sifa_ct".
"""

from __future__ import annotations

import logging
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..imaging.intensity import Intensity, scores_to_unit
from ..models import PAPERS, STRUCTURES
from ..models.structures import UNKNOWN
from ..support.errors import DataError
from . import label_values, tfrecord
from .domains import Slices, of_one_scan
from .scans import Scan, Verdict, content_hash, unforeseen
from .settings import DataSettings

log = logging.getLogger(__name__)

KINDS = ("TFRecord", "npz")  # of Scan
RECORDS_AT_ONCE = 200  # files in one entry of the cache, 52 MB of slices
MOST_BYTES = 1 << 32  # of an array in an .npz file


def examine_all(scans: Sequence[Scan], domain: str, settings: DataSettings) -> tuple[list[Scan], list[Slices]]:
    """What each file is and what is wrong with it; the slices of those with which nothing is."""
    pairs = [_examine(replace(scan, domain=domain), settings) for scan in scans]
    checked = of_one_size([scan for scan, _ in pairs])
    return checked, [s for scan, (_, s) in zip(checked, pairs, strict=True) if s is not None and not scan.problems]


def of_one_size(scans: Sequence[Scan]) -> list[Scan]:
    """The scans of one domain with a problem added to every such file whose slices have another size than the first's."""
    first: Scan | None = None
    checked = []
    for scan in scans:
        if scan.kind in KINDS and not scan.problems:
            first = first or scan
            if scan.size[:2] != first.size[:2]:
                sizes = [f"{s.size[1]} x {s.size[0]}" for s in (scan, first)]
                problem = (
                    f"{scan.image} has slices of {sizes[0]} pixels, {first.image} of {sizes[1]}; "
                    "put them into different folders."
                )
                scan = replace(scan, problems=(Verdict(problem, "other_size", file=scan.image),))
        checked.append(scan)
    return checked


def _examine(scan: Scan, settings: DataSettings) -> tuple[Scan, Slices | None]:
    domain, labelled = scan.domain, settings.labelled(scan.domain)
    try:
        images, labels = read(scan.image)
    except DataError as error:
        return replace(scan, problems=(Verdict(str(error), error.code, file=scan.image),)), None
    except Exception as error:  # nobody foresaw it, and the other files are still to be looked at
        log.warning("%s cannot be read", scan.image, exc_info=error)
        return replace(scan, problems=(unforeseen(scan.image, error),)), None
    n, h, w = images.shape
    scan = replace(
        scan,
        size=(w, h, n),
        slices=n,
        intensity=(float(images.min()), float(np.median(images)), float(images.max())),
        content=content_hash(images),
        label_values=label_values.found(labels) or () if labelled else (),
    )
    problems = []
    if images.min() == images.max():
        problems.append(
            Verdict(f"{scan.image} is constant; there is nothing to see in it.", "constant", file=scan.image)
        )
    if h != w or h < settings.size or h % 8:
        problem = (
            f"{scan.image} has slices of {h} x {w} pixels; with a size of {settings.size} they must be square, "
            "at least as large, and a multiple of 8 (the authors' are 256 x 256: use --size 256)."
        )
        problems.append(Verdict(problem, "slice_size", file=scan.image))
    if problems:
        return replace(scan, problems=tuple(problems)), None
    scores = settings.normalisation(domain)
    if scores is None:
        warning = (
            "grey values are scaled by percentiles of each file, not as the authors do: for that, set "
            f"data.{domain}_normalisation to sifa_mr or sifa_ct"
        )
        scan = replace(scan, warnings=(Verdict(warning, "not_the_authors_scale"),))
    classes = _classes(labels, settings) if labelled else None
    if classes is not None:
        scan = replace(scan, missing=tuple(c for c in range(1, settings.classes) if not (classes == c).any()))
    return scan, of_one_scan(scan.name, _unit(images, scores, settings), classes)


def _classes(labels: np.ndarray, settings: DataSettings) -> np.ndarray:
    """Labels as classes. A value that no mapping names keeps: the authors' 5 belongs to no class, knowingly, and is not
    the right ventricle of a model that has one."""
    seven = settings.classes > len(STRUCTURES)
    if not settings.label_values and not seven:
        return labels
    lookup = np.arange(256, dtype=np.uint8)
    if seven:
        lookup[len(PAPERS) + 1 :] = UNKNOWN
    for value, label in settings.label_values.items():
        if 0 <= int(value) <= 255:
            lookup[int(value)] = label
    classes: np.ndarray = lookup[labels]
    return classes


def _unit(images: np.ndarray, scores: tuple[float, float] | None, settings: DataSettings) -> np.ndarray:
    """Grey values [n, h, w] to the network's range: the authors' way without limits, or by percentiles."""
    if scores is not None:
        return scores_to_unit(images, scores).astype(np.float32)
    rule = Intensity("percentiles", None, settings.preprocessing.percentiles)
    return rule.normalise(images, np.ones(images.shape, bool))


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The slices of a .tfrecords or .npz file: float32 [n, h, w] as stored, labels uint8. DataError names the file."""
    if path.name.lower().endswith(".npz"):
        return read_npz(path)
    pairs = list(tfrecord.slices(path))
    if not pairs:
        raise DataError(f"{path} holds no record; copy it again.")
    if len({image.shape for image, _ in pairs}) > 1:
        raise DataError(f"{path} holds slices of different sizes.")
    return np.stack([image for image, _ in pairs]), np.stack([labels for _, labels in pairs])


def read_npz(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A volume of PnP-AdaNet's: arr_0 the image, arr_1 the labels, both [h, w, slices].

    Returns float32 and uint8 [slices, h, w], turned by half a turn in the plane, as the authors' evaluate.py does
    (:161-165), which makes them lie like the slices in the .tfrecords files. Raises DataError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if any(item.file_size > MOST_BYTES for item in archive.infolist()):
                raise DataError(f"{path} holds arrays of more than 4 GB; it is no volume of a heart.")
        with np.load(path, allow_pickle=False) as arrays:
            image, labels = arrays["arr_0"], arrays["arr_1"]
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path} is gone; bring it back or leave it out.") from None
    except (  # whatever zipfile and numpy raise for an archive that is damaged, encrypted or hostile
        OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error
    ) as error:  # fmt: skip
        raise DataError(f"{path} is no volume of PnP-AdaNet's (arr_0 image, arr_1 labels): {error}.") from error
    numbers = all(np.issubdtype(a.dtype, np.number) and not np.iscomplexobj(a) for a in (image, labels))
    if image.ndim != 3 or image.shape != labels.shape or not image.size or not numbers:
        raise DataError(
            f"{path} holds an image of {image.shape} and labels of {labels.shape}; two equal volumes are needed."
        )
    if not np.isfinite(image).all() or not ((labels >= 0) & (labels <= 255) & (np.rint(labels) == labels)).all():
        raise DataError(f"{path} holds grey values that are no numbers or labels out of 0..255.")
    image, labels = (np.moveaxis(array, 2, 0)[:, ::-1, ::-1] for array in (image, labels))
    return np.ascontiguousarray(image, np.float32), np.ascontiguousarray(labels, np.uint8)
