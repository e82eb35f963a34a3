"""The model card: everything about a model but its weights, as `model.json` beside them.

A card is checked when it is made, whoever makes it. It is plain data: a panel can show it before torch is
installed.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from ..support import schema
from ..support.errors import ModelError, RecordError
from ..support.limits import Choice, Range, check_limits
from ..support.schema import require
from .architectures import VARIANTS, Architecture, placed
from .structures import PAPERS, Structure

FORMAT = 2  # of model.json; a newer one is refused with the advice to update SIFA
AUTOMATIC = "auto"  # names no model: the scan decides (choice.py)
LONGEST_NAME = 100  # characters of what people call a model
REFERENCES = 1  # version of the block `out_of_distribution`: changes when the numbers in it mean something else
PLACES = 11  # numbers that out_of_distribution.places gives
CHANNELS = 32  # of the network's probe that out_of_distribution.features looks at, at most
MODALITIES = ("CT", "MR", "CT/MR")
BUILT_IN_SOURCES = ("phantom", "phantom+contours")  # what comes with SIFA and was learned from, see datasets.settings
PLANES = {
    "axial": ((0, 1), (1, 1), (2, 1)),
    "sagittal": ((1, 1), (2, -1), (0, 1)),
    "coronal": ((0, 1), (2, -1), (1, 1)),
}
"""How slices lie: (anatomical axis, sign) of columns, rows, slices; LPS axes 0 = x, 1 = y, 2 = z."""

SPACING = Range(0.1, 20, unit="mm")
HEART_MM, BODY_MM = 200.0, 500.0  # sides of cubes that a heart and what a scan shows of a body fit into
MOST_VOXELS = 100e6  # of any of them on the network's grids, and of the network's own block: some minutes on a CPU
STATISTIC = Range(-1e6, 1e6)  # of features, standard deviations and distances: none that can be is near these
POSITIVE = Range(1e-6, 1e6)
NARROWEST_HU, NARROWEST_SCORE = 1.0, 0.01  # windows of grey values

_ID = "[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?"
_NUMBER = r"(0|[1-9]\d{0,5})"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-([0-9A-Za-z-]{{1,20}}(?:\.[0-9A-Za-z-]{{1,20}}){{0,4}}))?")
_NUMBERS = re.compile(r"(?<=\[)\n\s*-?\d[-+.\deE,\s]*(?=\])")  # of a list of numbers in JSON with line breaks


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes slices for the network.

    plane: anatomical plane of the slices of an isotropic scan. spacing_mm: pixel size of the network's grid;
    slice_spacing_mm: distance of the slices; crop: side of the square slice, pixels. The locate_ pair: the
    same for the coarse pass that finds the heart. ct_window_hu: HU that become -1 and 1; percentiles: of an
    MR image, likewise. zscore_range: for models that were trained on z-scores (grey values of mean 0 and
    standard deviation 1) instead, the two that become -1 and 1, without a limit there; otherwise empty.
    """

    plane: Annotated[str, Choice(*sorted(PLANES))] = "axial"
    spacing_mm: Annotated[float, SPACING] = 1.0
    slice_spacing_mm: Annotated[float, SPACING] = 2.0
    crop: int = 192
    locate_spacing_mm: Annotated[float, SPACING] = 2.5
    locate_slice_spacing_mm: Annotated[float, SPACING] = 8.0
    ct_window_hu: tuple[float, float] = (-200.0, 600.0)
    percentiles: tuple[float, float] = (1.0, 99.0)
    zscore_range: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        check_limits(self)
        sides = 32 <= self.crop <= 1024 and self.crop % 8 == 0
        require(sides, "crop", self.crop, "must be a multiple of 8 from 32 to 1024")
        low, high = self.ct_window_hu
        require(-2000 <= low < high <= 10000, "ct_window_hu", [low, high], "must rise, within -2000 to 10000 HU")
        low, high = self.percentiles
        require(0 <= low < high <= 100, "percentiles", [low, high], "must rise, within 0 to 100")
        scores = list(self.zscore_range)
        rising = len(scores) == 2 and -100 <= scores[0] < scores[1] <= 100
        require(not scores or rising, "zscore_range", scores, "must be empty or two that rise, -100 to 100")

    def check_cost(self) -> None:
        """RecordError for a grid on which a scan of a person would take too long or more memory than there is."""
        for prefix, side in (("", HEART_MM), ("locate_", BODY_MM)):
            across, along = getattr(self, f"{prefix}spacing_mm"), getattr(self, f"{prefix}slice_spacing_mm")
            voxels = (side / across) ** 2 * (side / along)
            rule = f"must, with {along:g} mm between slices, make at most {MOST_VOXELS / 1e6:.0f} million voxels of"
            what = f"a cube of {side:g} mm; these are {voxels / 1e6:.0f}"
            require(voxels <= MOST_VOXELS, f"preprocessing.{prefix}spacing_mm", across, f"{rule} {what}")
        block = self.crop**2 * max(1.0, self.crop * self.spacing_mm / self.slice_spacing_mm)
        rule = f"must make a block of at most {MOST_VOXELS / 1e6:.0f} million voxels; it has {block / 1e6:.0f}"
        require(block <= MOST_VOXELS, "preprocessing.crop", self.crop, rule)
        low, high = self.ct_window_hu
        require(high - low >= NARROWEST_HU, "preprocessing.ct_window_hu", [low, high], "must be 1 HU wide at least")
        low, high = self.percentiles
        require(high - low >= NARROWEST_HU, "preprocessing.percentiles", [low, high], "must be 1 apart at least")
        if self.zscore_range:
            low, high = self.zscore_range
            wide = high - low >= NARROWEST_SCORE
            require(wide, "preprocessing.zscore_range", [low, high], f"must be {NARROWEST_SCORE} apart at least")


@dataclass(frozen=True)
class Quality:
    """One measurement: `values` of `measure` (Dice, say) per structure id, on `data`, counted by `rule`."""

    data: str
    measure: str
    rule: str
    values: dict[str, float]

    def __post_init__(self) -> None:
        for field in ("data", "measure", "rule"):
            require(bool(getattr(self, field).strip()), field, "", "must say something")


@dataclass(frozen=True)
class Reference:
    """A normal distribution of F numbers and how far from it is too far; see `out_of_distribution.distances`.

    mean, scale: of each number. directions: K unit vectors [K, F] of the numbers less mean, over scale; variances:
    along these; rest: along any other. limit: the distance beyond which something is unlike.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]
    directions: tuple[tuple[float, ...], ...]
    variances: tuple[float, ...]
    rest: float
    limit: float

    def __post_init__(self) -> None:
        count, kept = len(self.mean), len(self.directions)
        require(count > 0, "mean", [], "must hold numbers")
        require(len(self.scale) == count, "scale", len(self.scale), f"must have {count} numbers, as mean has")
        require(len(self.variances) == kept, "variances", len(self.variances), f"must have {kept} numbers")
        for field in ("scale", "variances", "rest", "limit"):
            value = getattr(self, field)
            for each in value if isinstance(value, tuple) else (value,):
                require(each > 0, field, each, "must be above 0")
                require(POSITIVE.holds(each), field, each, f"must be {POSITIVE.rule}")
        for each in self.mean:
            require(STATISTIC.holds(each), "mean", each, f"must be {STATISTIC.rule}")
        for direction in self.directions:
            length = sum(v * v for v in direction)
            fits = len(direction) == count and abs(length - 1.0) < 0.01
            require(fits, "directions", len(direction), f"must each have {count} numbers and the length 1")


@dataclass(frozen=True)
class OutOfDistribution:
    """What the model's training looked like, to tell scans that do not. made_of: in words.

    network: of what its probe sees. places: of directions between structures and ratios of their volumes, where it is
    known. version: of what the numbers mean; another one is not used.
    """

    made_of: str
    network: Reference
    places: Reference | None = None
    version: int = REFERENCES

    def __post_init__(self) -> None:
        require(bool(self.made_of.strip()), "made_of", "", "must say something")
        rule = f"must be {REFERENCES}; update SIFA, or leave it out"
        require(self.version == REFERENCES, "version", self.version, rule)
        if self.places is not None:
            count = len(self.places.mean)
            require(count == PLACES, "places.mean", count, f"must have {PLACES} numbers")


@dataclass(frozen=True)
class DiceCurve:
    """What Dice an expected Dice e came with, of results in three planes: 1 / (1 + exp(-(offset + slope log(e / (1 - e))))).

    Fitted on scans whose truth is known; made_of: in words.
    """

    made_of: str
    offset: Annotated[float, Range(-20, 20)]
    slope: Annotated[float, Range(0, 10, open_low=True)]

    def __post_init__(self) -> None:
        require(bool(self.made_of.strip()), "made_of", "", "must say something")
        check_limits(self)


@dataclass(frozen=True)
class ModelCard:
    """What `model.json` holds; in format 1 `out_of_distribution` was called `familiarity`.

    sha256: of the file model.safetensors, 64 hexadecimal digits.
    modality: what the model was made for. created: ISO 8601. labels: in the order of the network's classes.
    out_of_distribution, dice_curve: None where nobody has measured what its training looked like, and how sure it is
    of what. built_in_source: what an adaptation of it learns from beside the target if nobody names a source, so that it
    does not forget what it knows.
    """

    RENAMED: ClassVar[dict[str, str]] = {"familiarity": "out_of_distribution"}

    id: str
    name: str
    version: str
    sha256: str
    architecture: Architecture
    modality: Annotated[str, Choice(*MODALITIES)]
    preprocessing: Preprocessing
    trained_on: str
    licence: str
    citation: str
    sifa_version: str
    created: str
    labels: tuple[Structure, ...] = PAPERS
    quality: tuple[Quality, ...] = ()
    out_of_distribution: OutOfDistribution | None = None
    dice_curve: DiceCurve | None = None
    built_in_source: Annotated[str, Choice(*BUILT_IN_SOURCES)] = "phantom"
    format: int = FORMAT

    def __post_init__(self) -> None:
        require(self.format == FORMAT, "format", self.format, f"must be {FORMAT}")
        check_names(self.id, self.version, self.name, self.licence)
        digits = re.fullmatch("[0-9a-f]{64}", self.sha256)
        require(bool(digits), "sha256", self.sha256, "must be 64 hexadecimal digits")
        check_limits(self)
        self.preprocessing.check_cost()
        for field in ("trained_on", "citation", "sifa_version"):
            require(bool(getattr(self, field).strip()), field, "", "must say something")
        require(_is_date(self.created), "created", self.created, "must be a date like 2026-11-23T14:00:00+00:00")
        _check_labels(self.labels, self.architecture.classes)
        multiple = VARIANTS[self.architecture.variant].reduction
        rule = f"must be a multiple of {multiple} for a network of this kind"
        require(self.preprocessing.crop % multiple == 0, "preprocessing.crop", self.preprocessing.crop, rule)
        ids = [s.id for s in self.labels]
        for quality in self.quality:
            foreign = sorted(set(quality.values) - set(ids))
            require(not foreign, "quality.values", foreign, f"must be of structures of this model ({', '.join(ids)})")
        if self.out_of_distribution is not None:
            count, needed = len(self.out_of_distribution.network.mean), feature_count(self.architecture)
            rule = f"must have {needed} numbers for a network of width {self.architecture.width}"
            require(count == needed, "out_of_distribution.network.mean", count, rule)

    @property
    def key(self) -> str:
        """`id@version`: what picks exactly this model."""
        return f"{self.id}@{self.version}"

    def to_json(self) -> str:
        """The text of model.json; a list of numbers stands in one line."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)
        return _NUMBERS.sub(lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"

    @staticmethod
    def from_json(text: str | bytes, source: str = "model.json") -> ModelCard:
        """The card in `text`; `source` is what messages call the file. Raises ModelError."""
        try:
            data = schema.parse(text, source)
        except RecordError as error:
            raise ModelError(str(error)) from None
        if isinstance(data, dict) and type(data.get("format")) is int:
            if data["format"] > FORMAT:
                raise ModelError(
                    f"{source} is of format {data['format']}, this SIFA reads {FORMAT}; update SIFA to use it."
                )
            if data["format"] == 1:
                data["format"] = FORMAT
        try:
            card: ModelCard = schema.decode(ModelCard, data)
        except RecordError as error:
            raise ModelError(f"{source}: {error}") from None
        return card


def probed_channels(architecture: Architecture) -> range:
    """Which channels of the network's probe `out_of_distribution.features` looks at."""
    probe = VARIANTS[architecture.variant].probe
    channels = placed(architecture.variant, architecture.width)[probe].channels
    return range(0, channels, -(-channels // CHANNELS))


def feature_count(architecture: Architecture) -> int:
    """How many numbers `out_of_distribution.features` gives for a slice: mean and standard deviation of each channel."""
    return 2 * len(probed_channels(architecture))


def version_key(version: str) -> tuple[object, ...]:
    """Sorts versions as semver.org 2.0.0, section 11, orders them: a pre-release before its release."""
    match = _VERSION.fullmatch(version)
    if not match:
        raise ModelError(f"{version!r} is no version; write it like 1.0.0 or 1.0.0-beta.1.")
    numbers = tuple(int(n) for n in match.groups()[:3])
    if match[4] is None:
        return (*numbers, 1, ())
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in match[4].split("."))
    return (*numbers, 0, parts)


def _check_labels(labels: tuple[Structure, ...], classes: int) -> None:
    values, expected = [s.value for s in labels], list(range(1, classes))
    require(values == expected, "labels", values, f"must have the values {expected}, one for each class of the network")
    ids = [s.id for s in labels]
    require(len({i.lower() for i in ids}) == len(ids), "labels", ids, "must have ids that differ")
    for s in labels:
        require(bool(re.fullmatch("[A-Za-z0-9_]{1,16}", s.id)), "labels.id", s.id, "must be 1 to 16 letters and digits")
        require(_is_short_line(s.name), "labels.name", s.name, "must be one line of at most 100 characters")
        require(all(0 <= c <= 255 for c in s.color), "labels.color", s.color, "must be three numbers from 0 to 255")
        for code in (s.category, s.type):
            # ^ and ~ divide the fields of Slicer's terminology entry, | divides the tags of a segment
            texts = [code.scheme, code.value, code.meaning]
            plain = all(t and not set(t) & set("^~|\n") for t in texts)
            require(plain, "labels.type", texts, "must be three texts without ^, ~ and |")


def check_names(model_id: str, version: str, name: str, licence: str, called: str = "id") -> None:
    """RecordError for what no model can be called, or be licensed under: also before there is a model.

    called: what the id is to the person who gave it.
    """
    rule = "must be 1 to 64 small letters, digits and hyphens, like sifa-phantom"
    require(bool(re.fullmatch(_ID, model_id)), called, model_id, rule)
    require(model_id != AUTOMATIC, called, model_id, "means that the scan decides, and can be no model's name")
    require(bool(_VERSION.fullmatch(version)), "version", version, "must be like 1.0.0 or 1.0.0-beta.1")
    for field, text in (("name", name), ("licence", licence)):
        require(bool(text.strip()), field, "", "must say something")
    require(_is_short_line(name), "name", name, f"must be one line of at most {LONGEST_NAME} characters")


def _is_short_line(text: str) -> bool:
    return bool(text.strip()) and len(text) <= LONGEST_NAME and "\n" not in text


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


NORMALISATIONS: dict[str, tuple[float, float] | None] = {
    "card": None,  # as inference does it: by the window or the percentiles of the preprocessing
    # grey values, z-scored per volume beforehand, that become -1 and 1 in the authors' code, without clipping
    "sifa_mr": (-1.8, 4.4),
    "sifa_ct": (-2.8, 3.2),
    "sifa_ct_old": (-1.9, 3.0),  # of their older published CT models
}
