"""What training reads and how: the settings of the data. No torch here.

A place (`source`, `target`) is a folder, a JSON list, one image file, or one of PHANTOMS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from ..models.card import NORMALISATIONS, Preprocessing
from ..models.structures import UNKNOWN
from ..support.limits import Choice, Range, check_limits
from ..support.schema import require
from .places import HeartBox, check_keys

PHANTOMS = {
    "phantom": "slices of digital thoraxes in any plane and contrast, as the bundled model was trained on",
    "phantom:mr": "MR-like scans of digital thoraxes",
    "phantom:ct": "CT-like scans of digital thoraxes",
    "phantom+contours": "slices of phantom, and as many of 11 real hearts whose left ventricle experts outlined",
}
CONTOURED = "phantom+contours"
"""As a source alone. Of the contours see Resources/ContouredScans/README.md."""
_HERE = Path(__file__).resolve().parents[1]
_INSTALLED = _HERE / "contoured_scans"  # where pip puts them; in the extension they lie among its resources
CONTOURS = _INSTALLED if _INSTALLED.is_dir() else _HERE.parent / "Resources" / "ContouredScans"
WHOLE = re.compile(r"-?[0-9]{1,18}")  # a value of a label map, as text
MMWHS = {  # Zhuang and Shen, Medical Image Analysis 31, 2016: MM-WHS's values to the structures'
    "205": 1,  # myocardium of the left ventricle
    "420": 2,  # left atrium
    "421": 2,  # a slip for 420 in the released maps
    "500": 3,  # left ventricle
    "820": 4,  # ascending aorta
    "600": 5,  # right ventricle
    "550": 6,  # right atrium
    "850": 7,  # pulmonary artery
}
MOST_PHANTOMS = 400  # so that source and target take different ones, and none that judges models
MOST_SEED = 900_000  # of the first phantom; models are judged on seeds from 1,000,000 on
TARGET_PHANTOMS = 500  # added to the seeds of the target's phantoms

Share = Annotated[float, Range(0, 1)]
Normalisation = Annotated[str, Choice(*NORMALISATIONS)]


@dataclass(frozen=True)
class Augmentation:
    """How far a slice is changed at random before it is trained on; everything 0 leaves it as it is.

    rotation_deg: up to so many degrees either way. zoom: side lengths by up to this factor's logarithm. shear: up to
    this tangent. shift: up to this share of the slice's side. Of grey values, as shares of the range 0..1 that -1..1
    is mapped to: gain (factor's logarithm), offset, gamma (exponent's logarithm), noise (standard deviation, at most).
    """

    rotation_deg: Annotated[float, Range(0, 180, unit="degrees")] = 10.0
    zoom: Share = 0.1
    shear: Share = 0.05
    shift: Share = 0.1
    gain: Share = 0.08
    offset: Share = 0.04
    gamma: Share = 0.12
    noise: Share = 0.02

    def __post_init__(self) -> None:
        check_limits(self)

    @property
    def moves(self) -> bool:
        """Whether pixels move."""
        return bool(self.rotation_deg or self.zoom or self.shear or self.shift)

    @property
    def recolours(self) -> bool:
        """Whether grey values change."""
        return bool(self.gain or self.offset or self.gamma or self.noise)


NO_AUGMENTATION = Augmentation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class DataSettings:
    """Which data, and how they become batches.

    source: labelled images; target: images of the site, whose labels are read only with `target_labels`. Each is a
    folder, a JSON list, one file, or a key of PHANTOMS. label_values: value in the files -> class; 0 and UNKNOWN mean
    themselves, the values 1 .. classes - 1 too if nothing is named at all, and others are refused; a structure that
    a model of so many classes does not have (5 to 7, to one of the papers' four) is background; any other class of
    `classes` or above is none. exclude: names of scans to leave out, of one domain as
    "source:NAME" or "target:NAME".
    places: "target:NAME" -> the box around that scan's heart, in place of what the start model finds.
    partial_labels: a structure of which a scan of the source has no voxel is not labelled there, and may be anywhere in its
    background; otherwise it counts as background.
    balanced: draw a scan first and then one of its slices, so that none counts more for having more of them; otherwise all
    slices alike, as the papers do.
    size: side of a training slice, pixels. coarse_share: of slices as the coarse pass sees the whole scan.
    validation_share: of the scans, kept from training. phantoms: how many of each domain; phantom_seed: of the
    first; phantom_spacing_mm: their voxel size. The _normalisation pair: keys of NORMALISATIONS.
    """

    source: str
    target: str
    label_values: dict[str, int] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    size: Annotated[int, Range(32, 1024, multiple=8)] = 128
    classes: Annotated[int, Range(2, 32)] = 5
    coarse_share: Share = 0.25
    validation_share: Annotated[float, Range(0, 0.5)] = 0.2
    augmentation: Augmentation = Augmentation()
    phantoms: Annotated[int, Range(1, MOST_PHANTOMS)] = 16
    phantom_seed: Annotated[int, Range(0, MOST_SEED)] = 0
    phantom_spacing_mm: Annotated[float, Range(0.5, 10, unit="mm")] = 1.5
    target_labels: bool = False
    partial_labels: bool = False
    balanced: bool = False
    exclude: tuple[str, ...] = ()
    places: dict[str, HeartBox] = field(default_factory=dict)
    source_normalisation: Normalisation = "card"
    target_normalisation: Normalisation = "card"

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            require(bool(getattr(self, name).strip()), name, "", "must name a folder, a list or phantom")
        for name in self.exclude:
            sided = name.startswith(("source:", "target:"))
            require(sided, "exclude", name, "must be like source:NAME or target:NAME")
        check_keys(self.places, "places")
        unlabelled = not self.target_labels or not self.places
        require(unlabelled, "target_labels", True, "must be false with places of hearts: hearts are where labels are")
        for value, label in self.label_values.items():
            whole = bool(WHOLE.fullmatch(value)) and 0 <= label <= UNKNOWN
            require(whole, f"label_values.{value}", label, "must be a whole number's class, 0 to 255")
        require(self.target != CONTOURED, "target", self.target, "must be scans to adapt to, or phantom")
        near, rule = 0 <= self.phantom_seed <= MOST_SEED, f"must be 0 to {MOST_SEED}; the phantoms beyond judge models"
        require(near, "phantom_seed", self.phantom_seed, rule)
        check_limits(self)

    def place(self, domain: str) -> str:
        """What `source` or `target` says."""
        return self.source if domain == "source" else self.target

    @property
    def domains(self) -> tuple[str, ...]:
        """Of what slices are made; the built-in contours go with the source."""
        return ("source", "contours", "target") if self.source == CONTOURED else ("source", "target")

    def of_contours(self) -> DataSettings:
        """With the built-in contours as the source."""
        return replace(self, source=str(CONTOURS), partial_labels=True, label_values={}, exclude=())

    def labelled(self, domain: str) -> bool:
        """Whether that domain's labels are read."""
        return domain == "source" or self.target_labels

    def excluded(self, domain: str) -> tuple[str, ...]:
        """Names of that domain's scans to leave out."""
        return tuple(name.removeprefix(f"{domain}:") for name in self.exclude if name.startswith(f"{domain}:"))

    def normalisation(self, domain: str) -> tuple[float, float] | None:
        """Grey values that become -1 and 1; None: as the card says."""
        return NORMALISATIONS[self.source_normalisation if domain == "source" else self.target_normalisation]
