"""How wild the random training slices are: what an ablation switches off, one number at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ...support.errors import RecordError

KINDS = ("ct", "mr", "any")
AMOUNTS = ("contrast", "texture", "artefacts", "resolution", "noise", "window", "zoom", "bend", "planes")


@dataclass(frozen=True)
class Randomisation:
    """Shares and amounts of everything that is random about a slice besides the anatomy.

    ct, mr, any: shares of the three kinds of contrast (any sum). coarse: share of slices as the coarse pass sees them, 0
    to 1; a little less of small children, whom such slices may hardly show. no_heart: share of slices of heads and limbs,
    0 to 1 (see `random_bodies`).
    The rest are amounts, 0 none, 1 as the bundled model was trained, all multiplied by `strength`: contrast (how far
    tissues leave the tables of `phantom.tissues`; `any` has none to leave), texture (grain, mixing, trabeculae, lung
    vessels, patches), artefacts (streaks, metal, banding, ghosts, shading, flow voids, slab borders), resolution (blur,
    kernels, thick slices, coarse voxels, motion), noise, window (gain, clipping, percentiles, gamma), zoom (pixel
    sizes), bend (smooth warps, aspect), planes (tilts, short and long axis, any oblique plane).

        Randomisation(any=0)          CT and MR alone
        Randomisation(artefacts=0)    an ablation
        Randomisation(strength=0)     plain slices: the middle of the tables, no blur, no noise

    Raises RecordError for a number that is negative or not finite, for `coarse` or `no_heart` above 1, and for ct, mr and
    any all zero.
    """

    ct: float = 0.38
    mr: float = 0.4
    any: float = 0.22
    coarse: float = 0.3
    no_heart: float = 0.04
    strength: float = 1.0
    contrast: float = 1.0
    texture: float = 1.0
    artefacts: float = 1.0
    resolution: float = 1.0
    noise: float = 1.0
    window: float = 1.0
    zoom: float = 1.0
    bend: float = 1.0
    planes: float = 1.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise RecordError(f"{field.name} of the randomisation is {value}; it must be a number from 0 on.")
        for name in ("coarse", "no_heart"):
            if getattr(self, name) > 1:
                raise RecordError(f"{name} of the randomisation is {getattr(self, name)}; it is a share, at most 1.")
        if not sum(self.shares) > 0:
            raise RecordError("Of ct, mr and any of the randomisation at least one must be more than 0.")

    @property
    def shares(self) -> tuple[float, float, float]:
        """Of `KINDS`, as given."""
        return (self.ct, self.mr, self.any)

    def amount(self, name: str) -> float:
        """An amount (one of AMOUNTS) times the strength."""
        return float(getattr(self, name)) * self.strength
