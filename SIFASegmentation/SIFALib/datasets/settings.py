"""What training reads and how: the settings of the data. No torch here.

A place (`source`, `target`) is a folder, a JSON list, one image file, or one of PHANTOMS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..models.card import NORMALISATIONS, Preprocessing
from ..support.schema import require

PHANTOMS = {
    "phantom": "slices of digital thoraxes in any plane and contrast, as the bundled model was trained on",
    "phantom:mr": "MR-like scans of digital thoraxes",
    "phantom:ct": "CT-like scans of digital thoraxes",
}
WHOLE = re.compile(r"-?[0-9]{1,18}")  # a value of a label map, as text
UNKNOWN = 255  # as a label: the voxel belongs to no class and teaches nothing
MMWHS = {  # Zhuang and Shen, Medical Image Analysis 31, 2016: MM-WHS's values to SIFA's classes
    "205": 1,  # myocardium of the left ventricle
    "420": 2,  # left atrium
    "421": 2,  # a slip for 420 in the released maps
    "500": 3,  # left ventricle
    "820": 4,  # ascending aorta
    "550": 0,  # right atrium
    "600": 0,  # right ventricle
    "850": 0,  # pulmonary artery
}
MOST_PHANTOMS = 400  # so that source and target take different ones, and none that judges models
MOST_SEED = 900_000  # of the first phantom; models are judged on seeds from 1,000,000 on
TARGET_PHANTOMS = 500  # added to the seeds of the target's phantoms


@dataclass(frozen=True)
class Augmentation:
    """How far a slice is changed at random before it is trained on; everything 0 leaves it as it is.

    rotation_deg: up to so many degrees either way. zoom: side lengths by up to this factor's logarithm. shear: up to
    this tangent. shift: up to this share of the slice's side. Of grey values, as shares of the range 0..1 that -1..1
    is mapped to: gain (factor's logarithm), offset, gamma (exponent's logarithm), noise (standard deviation, at most).
    """

    rotation_deg: float = 10.0
    zoom: float = 0.1
    shear: float = 0.05
    shift: float = 0.1
    gain: float = 0.08
    offset: float = 0.04
    gamma: float = 0.12
    noise: float = 0.02

    def __post_init__(self) -> None:
        require(0 <= self.rotation_deg <= 180, "rotation_deg", self.rotation_deg, "must be 0 to 180 degrees")
        for name in ("zoom", "shear", "shift", "gain", "offset", "gamma", "noise"):
            value = getattr(self, name)
            require(0 <= value <= 1, name, value, "must be 0 to 1")

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
    themselves, the values 1 .. classes - 1 too if nothing is named at all, and others are refused; a class of
    `classes` or above is none. exclude: names of scans to leave out, of one domain as
    "source:NAME" or "target:NAME".
    size: side of a training slice, pixels. coarse_share: of slices as the coarse pass sees the whole scan.
    validation_share: of the scans, kept from training. phantoms: how many of each domain; phantom_seed: of the
    first; phantom_spacing_mm: their voxel size. The _normalisation pair: keys of NORMALISATIONS.
    """

    source: str
    target: str
    label_values: dict[str, int] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    size: int = 128
    classes: int = 5
    coarse_share: float = 0.25
    validation_share: float = 0.2
    augmentation: Augmentation = Augmentation()
    phantoms: int = 16
    phantom_seed: int = 0
    phantom_spacing_mm: float = 1.5
    target_labels: bool = False
    exclude: tuple[str, ...] = ()
    source_normalisation: str = "card"
    target_normalisation: str = "card"

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            require(bool(getattr(self, name).strip()), name, "", "must name a folder, a list or phantom")
        require(
            32 <= self.size <= 1024 and self.size % 8 == 0, "size", self.size, "must be a multiple of 8 from 32 to 1024"
        )
        for name in self.exclude:
            sided = name.startswith(("source:", "target:"))
            require(sided, "exclude", name, "must be like source:NAME or target:NAME")
        require(2 <= self.classes <= 32, "classes", self.classes, "must be 2 to 32")
        for value, label in self.label_values.items():
            whole = bool(WHOLE.fullmatch(value)) and 0 <= label <= 255
            require(whole, f"label_values.{value}", label, "must be a whole number's class, 0 to 255")
        require(0 <= self.coarse_share <= 1, "coarse_share", self.coarse_share, "must be 0 to 1")
        require(0 <= self.validation_share <= 0.5, "validation_share", self.validation_share, "must be 0 to 0.5")
        rule = f"must be 1 to {MOST_PHANTOMS}"
        require(1 <= self.phantoms <= MOST_PHANTOMS, "phantoms", self.phantoms, rule)
        require(
            0 <= self.phantom_seed <= MOST_SEED,
            "phantom_seed",
            self.phantom_seed,
            f"must be 0 to {MOST_SEED}; the phantoms beyond judge models",
        )
        spacing = self.phantom_spacing_mm
        require(0.5 <= spacing <= 10, "phantom_spacing_mm", spacing, "must be 0.5 to 10 mm")
        for name in ("source_normalisation", "target_normalisation"):
            known = ", ".join(NORMALISATIONS)
            require(getattr(self, name) in NORMALISATIONS, name, getattr(self, name), f"must be {known}")

    def place(self, domain: str) -> str:
        """What `source` or `target` says."""
        return self.source if domain == "source" else self.target

    def labelled(self, domain: str) -> bool:
        """Whether that domain's labels are read."""
        return domain == "source" or self.target_labels

    def excluded(self, domain: str) -> tuple[str, ...]:
        """Names of that domain's scans to leave out."""
        return tuple(name.removeprefix(f"{domain}:") for name in self.exclude if name.startswith(f"{domain}:"))

    def normalisation(self, domain: str) -> tuple[float, float] | None:
        """Grey values that become -1 and 1; None: as the card says."""
        return NORMALISATIONS[self.source_normalisation if domain == "source" else self.target_normalisation]
