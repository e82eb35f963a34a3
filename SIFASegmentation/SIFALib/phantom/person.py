"""Who the phantom is: every random number about pose, size and habitus, drawn once per seed."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np


@dataclass(frozen=True)
class Person:
    """Random choices for one phantom. Lengths in mm, volumes in ml, angles in degrees.

    Points are LPS; x = 0 is the midline.

    End-diastolic volumes follow normal values of CT and MR (Fuchs et al. 2016; Kawel-Boehm et al. 2020).
    """

    seed: int
    size: float
    """Body size relative to an average adult (chest dimensions scale with it)."""
    fat_mm: float
    muscle_mm: float
    chest_depth: float
    """Depth over width of the chest relative to average; a barrel chest is above 1."""
    female: bool
    breast_mm: float
    base: tuple[float, float, float]
    """Centre of the left-ventricular base."""
    azimuth: float
    """Angle of the ventricular long axis from straight anterior towards the patient's left."""
    declination: float
    """Angle of the long axis below the horizontal."""
    roll: float
    systole: float
    """0 end-diastole, 1 end-systole."""
    lv_ml: float
    myo_ml: float
    la_ml: float
    rv_ml: float
    ra_ml: float
    aa_ml: float
    """Blood from the aortic annulus to the beginning of the arch."""
    aorta_bulge: float
    lv_slimness: float
    septum: float
    """Relative extra thickness of the basal septum."""
    trabeculation: float
    appendage: float
    arch_top: float
    inspiration: float
    """Descent of the diaphragm relative to the average, mm."""
    epicardial_fat_mm: float
    kyphosis: float
    stomach_gas: bool
    table: bool
    calcification: float
    """Chance scale of aortic and coronary calcification, 0 to 1 (grows with age)."""

    def described(self) -> dict[str, object]:
        return asdict(self)


def _between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def draw_person(seed: int) -> Person:
    """The person of this seed. Every call draws the same numbers in the same order."""
    rng = np.random.Generator(np.random.PCG64([seed, 1]))
    lv = _between(rng, 115, 17, 84, 146)
    systole = float(rng.uniform(0, 1)) if rng.uniform() < 0.35 else 0.0
    return Person(
        seed=seed,
        size=_between(rng, 1.0, 0.055, 0.88, 1.12),
        fat_mm=float(np.clip(rng.gamma(4.0, 3.6), 4, 38)),
        muscle_mm=_between(rng, 11, 3, 5, 18),
        chest_depth=_between(rng, 1.0, 0.07, 0.86, 1.16),
        female=bool(rng.uniform() < 0.5),
        breast_mm=_between(rng, 48, 10, 28, 75),
        base=(_between(rng, 17, 5, 7, 28), _between(rng, 14, 2.5, 8, 20), 0.0),
        azimuth=_between(rng, 57, 8, 38, 74),
        declination=_between(rng, 30, 7, 14, 46),
        roll=_between(rng, 7, 8, -12, 26),
        systole=systole,
        lv_ml=lv,
        myo_ml=float(np.clip(lv * _between(rng, 1.2, 0.15, 0.85, 1.6), 106, 196)),
        la_ml=_between(rng, 65, 11, 43, 87),
        rv_ml=float(np.clip(lv * _between(rng, 1.27, 0.12, 1.0, 1.6), 105, 190)),
        ra_ml=_between(rng, 78, 12, 52, 104),
        aa_ml=_between(rng, 42, 8, 27, 58),
        aorta_bulge=_between(rng, 1.14, 0.05, 1.04, 1.28),
        lv_slimness=_between(rng, 1.0, 0.06, 0.86, 1.14),
        septum=_between(rng, 0.1, 0.09, -0.05, 0.35),
        trabeculation=_between(rng, 0.5, 0.2, 0.0, 1.0),
        appendage=_between(rng, 1.0, 0.15, 0.65, 1.35),
        arch_top=_between(rng, 92, 7, 78, 106),
        inspiration=_between(rng, 0, 9, -18, 18),
        epicardial_fat_mm=_between(rng, 5.0, 2.0, 1.5, 10),
        kyphosis=_between(rng, 0, 6, -10, 14),
        stomach_gas=bool(rng.uniform() < 0.6),
        table=bool(rng.uniform() < 0.85),
        calcification=float(rng.uniform() ** 2),
    )
