"""A scan: its files, what is known of them, and all that is wrong with them."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..imaging import checks, reading, slices
from ..imaging.files import split_suffix
from ..imaging.geometry import Volume
from ..imaging.intensity import WORDS, chosen_modality
from ..imaging.moments import phase_of
from ..imaging.seg_nrrd import is_segmentation
from ..imaging.study import read_cine
from ..models.structures import PAPERS, STRUCTURES, UNKNOWN, structure_name, structures_of
from ..support.errors import DataError, VolumeError
from . import label_files, label_fit, label_rings, label_values
from .grids import mismatch
from .places import grid_of
from .settings import DataSettings

log = logging.getLogger(__name__)
Read = TypeVar("Read")

RECORDS = (".tfrecords", ".tfrecord")
KINDS = {
    **dict.fromkeys(RECORDS, "TFRecord"),
    ".npz": "npz",
    ".nii": "NIfTI",
    ".nii.gz": "NIfTI",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
}
NO_HEART = "no_heart"  # code of the warning to a scan that is left out
_PLAIN, _NOT_PLAIN = re.compile(r"[\w .+-]{1,50}"), re.compile(r"[^\w .+-]")
FEW_SLICES = 3  # native slices; fewer are named


class Verdict(str):
    """A sentence on what keeps data from training, or what should be said of them; programs go by `code` and `fields`.

    fields: file, and fault: what is wrong with it, where the same may be wrong with many.
    """

    code: str
    fields: dict[str, Any]

    def __new__(cls, sentence: str, code: str = "", **fields: Any) -> Verdict:
        verdict = super().__new__(cls, sentence)
        verdict.code, verdict.fields = code, fields
        return verdict


@dataclass(frozen=True)
class Scan:
    """One image and its label map, if it has one; from `domain` on, what `examine` found out about them.

    image: a file, or the folder of a DICOM series or, of a cine, of a study. moment: of a cine, which of its phases the
    scan is (`imaging.moments`). phase: of a cine with a label map of several volumes, which of them, from 0. label: a file,
    or a folder of masks. heart: what several scans of one heart have in common, "" for none. heart_mm: where it is, as
    somebody looked for it or said it (`places.BoxMm`).
    size: voxels (i, j, k). spacing_mm, field_of_view_mm: along i, j, k.
    slices: in the plane of that name. intensity: least, median, largest grey value. looks_like: "CT" for Hounsfield
    units, else "MR". label_values: as they stand in the file, which is what `DataSettings.label_values` is about; none of
    masks and of segments in layers. label_meanings: what each of them is, or else what there is: labels of
    `models.structures`. missing: classes without a voxel. content, label_content: SHA-256 of the grey values, and of the
    labels as classes. grid: where they lie, as of `places.grid_of`. problems keep it from training, warnings do not; they
    are Verdicts, or their sentences from a record.
    """

    name: str
    image: Path
    label: Path | None = None
    domain: str = ""
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
    moment: str = ""
    heart: str = ""
    phase: int | None = None
    heart_mm: tuple[float, ...] = ()
    label_meanings: tuple[int, ...] = ()
    grid: str = ""
    label_content: str = ""

    @property
    def kind(self) -> str:
        """What the image is, in a word or two."""
        if self.phase is not None:
            return f"cine phase {self.phase + 1}"
        _, suffix = split_suffix(self.image.name, KINDS)
        return f"cine {self.moment}" if self.moment else KINDS.get(suffix, "DICOM series")

    @property
    def key(self) -> str:
        """How `exclude` names it."""
        return f"{self.domain}:{self.name}"

    @property
    def picture_name(self) -> str:
        """What a file with its thumbnail is called: its name, and where that is none for a file, a part and a hash of it."""
        if _PLAIN.fullmatch(self.name):
            return f"{self.domain}-{self.name}.png"
        told_apart = hashlib.sha256(self.name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return f"{self.domain}-{_NOT_PLAIN.sub('-', self.name)[:50]}-{told_apart}.png"

    @property
    def without_heart(self) -> bool:
        """Somebody looked for a heart and found none. Not told by a scan of a record."""
        return any(isinstance(warning, Verdict) and warning.code == NO_HEART for warning in self.warnings)

    def record(self) -> dict[str, Any]:
        """The scan for JSON."""
        files = {"path": str(self.image), "label_path": str(self.label or ""), "kind": self.kind}
        facts = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)[4:]}
        return {"domain": self.domain, "name": self.name, **files, **facts}

    @staticmethod
    def of_record(record: Mapping[str, Any]) -> Scan:
        """The scan of a record from JSON."""
        facts = {f.name: record[f.name] for f in dataclasses.fields(Scan)[3:] if f.name in record}
        facts = {k: tuple(v) if isinstance(v, list) else v for k, v in facts.items()}
        label = record.get("label_path") or None
        return Scan(record["name"], Path(record["path"]), Path(label) if label else None, **facts)


def image_of(scan: Scan) -> Volume:
    """The scan's image; of a cine, that of its phase. FileNotFoundError, OSError, VolumeError."""
    if scan.phase is not None:
        return replace(label_files.phase_of(scan.image, scan.phase), name=scan.name)
    if not scan.moment:
        return reading.read(scan.image)
    cine = read_cine(scan.image)
    return replace(cine.volume(phase_of(cine, scan.moment)), name=scan.name)


def examine(scan: Scan, domain: str, settings: DataSettings) -> tuple[Scan, Volume | None, Volume | None]:
    """The scan with what it is; its image and, as classes, uint8, on the same grid, its labels.

    No image if anything keeps it from training, no labels if the domain needs none. Raises nothing for bad files.
    """
    look = _Look(replace(scan, domain=domain), settings)
    if scan.problems:
        return look.scan, None, None
    image, labels = look.read(scan.image, lambda _: image_of(scan)), None
    if image is not None:
        try:
            look.at_image(image)
            if settings.labelled(domain):
                labels = look.at_labels(image)
        except Exception as error:  # nobody foresaw it, and the other scans are still to be looked at
            log.warning("%s cannot be judged", scan.image, exc_info=error)
            look.refuse(unforeseen(scan.image, error))
    return (look.scan, None, None) if look.scan.problems else (look.scan, image, labels)


def unforeseen(path: Path, error: Exception) -> Verdict:
    """A problem for an error that nobody foresaw."""
    what = " ".join(str(error).split()).rstrip(".")
    return Verdict(
        f"{path} cannot be used ({type(error).__name__}: {what}). It may be damaged; copy it again or leave it out.",
        "unforeseen",
        file=path,
    )


class _Look:
    """A look at a scan, and what has been found out so far."""

    def __init__(self, scan: Scan, settings: DataSettings) -> None:
        self.scan, self.settings = scan, settings

    def note(self, **facts: Any) -> None:
        self.scan = replace(self.scan, **facts)

    def refuse(self, problem: str, code: str = "", **fields: Any) -> None:
        """Add a problem: a verdict, or the sentence of one with a code."""
        verdict = problem if isinstance(problem, Verdict) else Verdict(problem, code, **fields)
        self.note(problems=(*self.scan.problems, verdict))

    def warn(self, warning: str, code: str) -> None:
        self.note(warnings=(*self.scan.warnings, Verdict(warning, code)))

    def read(self, path: Path, by: Callable[[Path], Read]) -> Read | None:
        try:
            return by(path)
        except (VolumeError, DataError) as error:
            self.refuse(str(error), error.code, file=path)
        except FileNotFoundError:
            self.refuse(f"{path} is gone; bring it back or leave it out.", "gone", file=path)
        except OSError as error:
            self.refuse(f"{path} cannot be read ({error.strerror or error}).", "unreadable", file=path)
        except Exception as error:  # as above
            log.warning("%s cannot be read", path, exc_info=error)
            self.refuse(unforeseen(path, error))
        return None

    def at_image(self, image: Volume) -> None:
        """Facts about the image; what `imaging.check` refuses."""
        geometry, array = image.geometry, image.array
        self.note(
            size=tuple(geometry.size),
            spacing_mm=tuple(float(s) for s in geometry.spacing),
            field_of_view_mm=tuple(float(e) for e in geometry.extent_mm),
        )
        finite = array[np.isfinite(array)] if np.issubdtype(array.dtype, np.floating) else array.ravel()
        if finite.size:
            median = float(np.median(finite[:: max(1, finite.size // 500_000)]))
            self.note(intensity=(float(finite.min()), median, float(finite.max())))
        try:
            checks.check(image)
        except VolumeError as error:
            self.refuse(str(error), error.code, file=self.scan.image)
            return
        plane = slices.choose_plane(geometry, self.settings.preprocessing.plane)
        count = int(geometry.size[plane.axes[2]])
        read = chosen_modality(image)
        self.note(plane=plane.name, slices=count, looks_like=WORDS[read.modality], content=content_hash(array))
        self.note(grid=grid_of(geometry))
        for note in image.notes:
            self.warn(note.rstrip("."), "header")
        if read.doubtful:
            self.warn(f"read as {WORDS[read.modality]}, because {read.why}; that is in doubt", "modality")
        if count < FEW_SLICES:
            self.warn(f"only {count} slice(s); it teaches little", "few_slices")

    def at_labels(self, image: Volume) -> Volume | None:
        """The label map as classes, on the image's grid; None if there is none, or something is wrong with it."""
        scan, settings, path = self.scan, self.settings, self.scan.label
        if path is None:
            beside = f"{scan.image.name.split('.')[0]}_label"
            self.refuse(
                f"{scan.image} has no label map; put it beside the image as {beside}, in a folder labels, or leave the "
                "image out.",
                "no_labels",
                file=scan.image,
            )
            return None
        read = self.read(path, lambda _: labels_of(scan, settings))
        if read is None:
            return None
        labels = read.volume
        if read.overlap:
            self.warn(f"segments overlap in {read.overlap} voxels, which count as the later one's", "overlap")
        if read.of and path.is_file() and not is_segmentation(path):
            self.warn(f"its label values are read as {read.of} has them; --label-values says otherwise", "meaning")
        difference = mismatch(image.geometry, labels.geometry)
        if difference:
            ours, theirs = difference
            self.refuse(
                f"{path} has {theirs} but {scan.image} has {ours}; resample one of them.", "other_grid", file=path
            )
        values = label_values.found(labels.array)
        if values is None:
            self.refuse(f"{path} holds values that are no whole numbers; is it a label map?", "fractions", file=path)
            return None
        mapping = {} if path.is_dir() else settings.label_values
        if mapping != settings.label_values:
            self.warn("its masks are what their files are called; --label-values is not for them", "masks")
        meanings = label_values.meanings(values, mapping, settings.classes)
        self.note(label_values=values, label_meanings=meanings)
        if read.stored is not None:
            stored = dict(sorted(read.stored.items()))
            self.note(label_values=tuple(stored), label_meanings=tuple(stored.values()) or meanings)
        classes = label_values.table(values, mapping, settings.classes)
        if classes is None:
            fault = label_values.advice(values, mapping, settings.classes)
            self.refuse(f"{path}: {fault}", "label_values", file=path, fault=fault)
            return None
        if difference or self._walled_wrongly(labels, read.of):
            return None
        missing = tuple(c for c in range(1, settings.classes) if c not in classes.values())
        self.note(missing=missing)
        if len(missing) == settings.classes - 1:
            self.refuse(f"{path} labels nothing: every voxel is background.", "nothing_labelled", file=path)
        elif missing and not settings.partial_labels:
            names = ", ".join(f"{c} ({structure_name(c)})" for c in missing)
            self.warn(f"nothing is labelled as class {names}; what there is of it counts as background", "missing")
        mapped = label_values.mapped(labels.array, classes)
        if not ((mapped == 0) | (mapped == UNKNOWN)).any():
            self.refuse(
                f"{path} labels every voxel, so that structures would fill the whole scan; write 0 around them, or "
                f"{UNKNOWN} where it is not known what voxels are.",
                "no_background",
                file=path,
            )
        self.note(label_content=content_hash(mapped))
        better = label_fit.better_place(image.array, mapped)
        if better:
            self.warn(
                f"its labels would fit the grey values much better {better}; look whether they lie on the heart "
                "(check-data --thumbnails)",
                "misplaced",
            )
        return Volume(mapped, image.geometry, labels.name)

    def _walled_wrongly(self, labels: Volume, of: str) -> bool:
        """Whether something else than the myocardium lies around something else than the left ventricle: told as a problem.
        Who says what the values are is believed."""
        settings, path = self.settings, self.scan.label
        if settings.label_values or not has_structures(settings.classes):
            return False
        found = label_rings.wall(labels.array, labels.geometry.spacing)
        if found is None:
            return False
        names = [structure_name(value) for value in found]
        by = f"as {of} has them" if of else "as classes"
        self.refuse(
            f"{path}: read {by}, its values would put the {names[0]} around the {names[1]}, as only the muscle of the left "
            "ventricle lies around its blood. Say which class each value is with --label-values: acdc, mms, or like "
            "1=3,2=1,3=5.",
            "wall",
            file=path,
        )
        return True


def has_structures(classes: int) -> bool:
    """Whether a network of so many classes draws the structures whose names are known (`models.structures`)."""
    return structures_of(classes) in (PAPERS, STRUCTURES)


def labels_of(scan: Scan, settings: DataSettings) -> label_files.Labels:
    """The scan's labels, which it must have: with values of `models.structures` where that can be known, unless the
    settings say what the values of the files are. VolumeError, DataError, FileNotFoundError, OSError."""
    assert scan.label is not None
    given = bool(settings.label_values)
    return label_files.read_labels(scan.label, scan.phase, given, has_structures(settings.classes))


def content_hash(array: np.ndarray) -> str:
    """SHA-256 of the grey values, whatever their type and the file's format."""
    digest = hashlib.sha256(str(array.shape).encode())
    for plane in array:
        digest.update(np.ascontiguousarray(plane, np.float32).data)
    return digest.hexdigest()
