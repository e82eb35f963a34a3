"""How data sets that many people have lay out and number their labels: one table, and what follows from it.

The files of a data set tell which it is by their names, or, as nnU-Net's, beside them in `dataset.json`. Values mean
what they mean there: ACDC's 1, the right ventricle, is not the myocardium for being 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..imaging import nifti
from ..imaging.files import split_suffix
from ..imaging.segments import named
from ..models.structures import STRUCTURES, UNKNOWN
from ..support import schema
from ..support.errors import DataError, RecordError, VolumeError
from ..support.files import read_limited
from ..support.messages import reason
from .settings import MMWHS

ACDC = {"1": 5, "2": 1, "3": 3}  # Bernard et al., IEEE TMI 37, 2018: right ventricle, myocardium, left ventricle
MMS = {"1": 3, "2": 1, "3": 5}  # Campello et al., IEEE TMI 40, 2021: left ventricle, myocardium, right ventricle
CHAMBERS = {"1": 1, "2": 2, "3": 3, "4": 6, "5": 5, "6": UNKNOWN, "7": 7}
"""TotalSegmentator's task heartchambers_highres in one file: the sixth is all of the aorta, not its ascending part alone."""
VALUES: Mapping[str, Mapping[str, int]] = {"mmwhs": MMWHS, "acdc": ACDC, "mms": MMS, "totalsegmentator": CHAMBERS}
"""Value in the label maps of a data set -> label of `models.structures`, by what `--label-values` calls it."""

CLASSES = {0, UNKNOWN, *(s.value for s in STRUCTURES)}
DESCRIPTION = "dataset.json"  # of nnU-Net and of the Medical Segmentation Decathlon
LONGEST = 64 * 1024**2  # bytes of it
LONGEST_TABLE = 1024**2  # bytes of a table of labels in a file's header
_LABEL = re.compile(rb'<Label Key="([0-9]{1,5})"[^>]{0,300}>\s*<!\[CDATA\[([^\]]{1,200})\]\]>')
_OF_THE_HEART = re.compile(r"\b[lr]v|\b[lr]a\b|\b(?:endo|epi)\b|ventric|atri|myocard|endocard|epicard")
CHANNEL = re.compile(r"_(\d{4})$")  # which of several images of one scan a file is, to nnU-Net
BACKGROUND = {"background", "bg", "unlabeled", "unlabelled", "clear label"}
PARTS = {
    "aorta", "heart", "left atrial appendage", "atrial appendage left", "pulmonary vein", "pulmonary veins",
}  # fmt: skip
"""Structures that share voxels with one of the seven, nobody knows which: what only they hold is not known."""


@dataclass(frozen=True)
class Layout:
    """name: of the data set. label: what the label maps are called, with `heart`, the same for all scans of one heart.
    values: a key of VALUES. whole: what the cine is called that such scans are single phases of; "" if there is none.
    number: what a `heart` is called that is one heart in whatever folder, as the data set counts its patients; "" if none.
    """

    name: str
    label: re.Pattern[str]
    values: str
    whole: str = ""
    number: str = ""

    @property
    def images(self) -> tuple[re.Pattern[str], ...]:
        """What the images are called that such label maps belong to, and their cines."""
        image = self.label.pattern.removesuffix("_gt")
        cine = self.whole.format(heart="(?P<heart>.+)", view="[sl]a")
        return tuple(re.compile(each, re.IGNORECASE) for each in (image, cine) if each)


LAYOUTS = (
    Layout(
        "ACDC", re.compile(r"(?P<heart>patient\d+)_frame\d+_gt", re.IGNORECASE), "acdc", "{heart}_4d", r"patient\d+"
    ),
    Layout("M&Ms", re.compile(r"(?P<heart>.+)_sa_gt", re.IGNORECASE), "mms"),
    Layout(
        "M&Ms-2",
        re.compile(r"(?P<heart>.+)_(?P<view>[sl]a)_e[ds]_gt", re.IGNORECASE),
        "mms",
        "{heart}_{view}_cine",
        r"\d{3}",
    ),
    Layout("MM-WHS", re.compile(r"(?P<heart>(?:ct|mr)_train_\d+)_label", re.IGNORECASE), "mmwhs"),
)


PHASE = re.compile(r"(?P<heart>.+)[_ -]e[ds]", re.IGNORECASE)
"""What people call end-diastole and end-systole of a heart where no data set says otherwise."""


@dataclass(frozen=True)
class Meaning:
    """What the values of a label map mean. of: whose they are, for sentences. labels: value -> label of
    `models.structures`, UNKNOWN for what nobody can tell. names: of values that are none of those. copied: whether copies
    are about that have the classes in place of these values, of which none is a class."""

    of: str
    labels: Mapping[int, int]
    names: Mapping[int, str] = field(default_factory=dict)
    copied: bool = False

    def are_classes(self, values: Iterable[int]) -> bool:
        """Whether these can only be the classes of such a copy."""
        return self.copied and all(v in CLASSES for v in values)


def meaning_of(label: Path) -> Meaning | None:
    """What the values of a label map mean by the data set that it is of; None if that is not known.

    DataError for a description that should say so and cannot be read.
    """
    description = label.parent.parent / DESCRIPTION
    if label.parent.name.lower().startswith("labelst") and description.is_file():
        return described(description)
    found = _layout_of(_stem(label)) if label.is_file() else None
    if found is None:
        return _named_in_header(label)
    labels = {int(value): label for value, label in VALUES[found.values].items()}
    return Meaning(found.name, labels, copied=labels.keys().isdisjoint(CLASSES))


def _named_in_header(label: Path) -> Meaning | None:
    """What a NIfTI file says of its values itself, as TotalSegmentator's do that hold all structures: names in a table of
    labels (an extension of Connectome Workbench, code 0 or 30, in XML). What is called like no structure is background,
    unless by a word of the heart.
    """
    if not label.name.lower().endswith(nifti.SUFFIXES):
        return None
    try:
        text = nifti.before_voxels(label, LONGEST_TABLE)
    except (VolumeError, OSError):  # told by who reads the voxels
        return None
    told = {int(key): name.decode("utf-8", "replace") for key, name in _LABEL.findall(text)}
    called = {value: label_called(name) for value, name in told.items()}
    names = {value: told[value] for value, label in called.items() if label is None and _of_the_heart(told[value])}
    labels = {value: label or 0 for value, label in called.items() if value not in names}
    known = any(each not in (0, UNKNOWN) for each in labels.values())
    return Meaning("its header", labels, names) if known or names else None


def _of_the_heart(name: str) -> bool:
    """Whether a name that is none of the structures' has a word of the heart in it, so that it may be one of them."""
    words = " ".join(re.findall("[a-z]+|[0-9]+", name.lower()))
    return bool(_OF_THE_HEART.search(words))


def heart_of(image: Path) -> str:
    """What all scans of one heart have in common, labelled or not, by what a data set calls its images; "" if that is not
    known."""
    stem = CHANNEL.sub("", _stem(image))
    for layout in LAYOUTS:
        match = next(filter(None, (pattern.fullmatch(stem) for pattern in layout.images)), None)
        if match:
            heart = match["heart"].lower()
            return f"{layout.name}/{heart}" if re.fullmatch(layout.number, heart) else f"{image.parent.name}/{heart}"
    phase = PHASE.fullmatch(stem)
    return f"{image.parent.name}/{phase['heart'].lower()}" if phase else ""


def described(description: Path) -> Meaning | None:
    """What nnU-Net's `dataset.json` says of the values: names of structures in the usual words. DataError; None if it
    says nothing of them."""
    try:
        data = schema.parse(read_limited(description, LONGEST), str(description))
    except RecordError as error:
        raise DataError(str(error)) from None
    except OSError as error:
        raise DataError(f"{description} cannot be read ({reason(error)}).") from error
    told = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(told, dict) or not told:
        return None
    labels: dict[int, int] = {}
    names: dict[int, str] = {}
    for name, value in _by_name(told, description):
        label = label_called(name)
        if label is None:
            names[value] = name
        else:
            labels[value] = label
    return Meaning(str(description), labels, names)


def _by_name(told: Mapping[str, object], description: Path) -> list[tuple[str, int]]:
    """(name, value) of labels as either version of nnU-Net writes them: {"1": "LV"} or {"LV": 1}. DataError."""
    pairs = []
    for key, value in told.items():
        if isinstance(value, str) and re.fullmatch("[0-9]{1,3}", key.strip()):
            pairs.append((value, int(key)))
        elif isinstance(value, int) and not isinstance(value, bool):
            pairs.append((key, value))
        else:
            raise DataError(
                f"{description} says of the label {key!r} that it is {str(value)[:40]}, which is no value of its own (a "
                "region of several, for example); say with --label-values which class each value is."
            )
    return pairs


def label_called(name: str) -> int | None:
    """The label of `models.structures` of what data sets call so; UNKNOWN for what shares voxels with one of the seven,
    and for voxels that are to be ignored; None for anything else."""
    plain = " ".join(re.findall("[a-z0-9]+", name.lower()))
    if plain in BACKGROUND:
        return 0
    if plain in PARTS or plain == "ignore":
        return UNKNOWN
    structure = named(name)
    return structure.value if structure else None


def without_further_channels(images: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The images of nnU-Net without those that are another image of a scan that is there; notes about them."""
    there = set(images)
    further = [f for f in images if (first := _first_channel(f)) != f and first in there]
    if not further:
        return list(images), []
    notes = [
        f"{further[0]}{f' and {len(further) - 1} more are' if len(further) > 1 else ' is'} another image of a scan that is "
        "there (channel 0000), and passed over."
    ]
    return [f for f in images if f not in set(further)], notes


def _first_channel(image: Path) -> Path:
    """The file of the first of a scan's images."""
    stem = _stem(image)
    first = CHANNEL.sub("_0000", stem)
    nnunet = image.parent.name.lower() in ("imagestr", "imagests")
    return image.with_name(first + image.name[len(stem) :]) if nnunet else image


def phases_of_cines(images: Sequence[Path]) -> list[Path]:
    """Those of the images that are single phases of a cine beside them, by the names of a data set."""
    there = {(f.parent, _stem(f).lower()) for f in images}
    phases = []
    for image in images:
        if (image.parent, cine_of(image)) in there:
            phases.append(image)
    return phases


def cine_of(image: Path) -> str:
    """What the cine is called, in small letters and without a suffix, that an image is a single phase of by the names of a
    data set; "" if it is none."""
    stem = f"{_stem(image)}_gt"
    layout = _layout_of(stem)
    match = layout.label.fullmatch(stem) if layout and layout.whole else None
    return layout.whole.format(**match.groupdict()).lower() if layout and match else ""


def _layout_of(stem: str) -> Layout | None:
    """The layout whose label maps are called so."""
    return next((layout for layout in LAYOUTS if layout.label.fullmatch(stem)), None)


def _stem(file: Path) -> str:
    return split_suffix(file.name)[0]
