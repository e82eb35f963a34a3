"""Who the phantom is: every random number about pose, size, habitus and disease, drawn once per seed."""

from __future__ import annotations

import zlib
from dataclasses import asdict, dataclass

import numpy as np

STREAM = 1541
"""Which stream of random numbers makes the persons: one in which seeds 0 to 5 are healthy adults at end-diastole, for
examples and tests."""
WIDE_POSE_SHARE = 0.22
"""Of persons whose heart may lie or hang as far as hearts do; the others' are near the average."""
SYSTOLE_SHARE = 0.4
"""Of persons who are not at end-diastole."""
APICAL_KIND = 0.2
"""`apical_wall` from which on it is the apical kind of hypertrophy."""
THICK_SEPTUM = 0.4
"""`septum` from which on it is asymmetric hypertrophy; healthy ones stay below."""


@dataclass(frozen=True)
class Person:
    """Random choices for one phantom. Angles in degrees; points are LPS mm; x = 0 is the midline.

    All lengths (mm) and volumes (ml) are those of the adult whom the person is drawn as; a child is such an
    adult with a child's proportions, made smaller as a whole: its lengths are `growth` times these, its volumes
    `growth` cubed. Where nothing else is said a number is relative to an average adult's, 1.
    """

    seed: int
    condition: str
    """One of `conditions.CONDITIONS`."""
    growth: float
    """Size of the whole body: 1 for adults, 0.45 for the smallest children."""
    size: float
    """Chest dimensions relative to an average adult (before `growth`)."""
    fat_mm: float
    """Thickness of the fat under the skin."""
    muscle_mm: float
    """Thickness of the muscle on the chest."""
    chest_depth: float
    """Depth over width of the chest relative to average; a barrel chest is above 1."""
    female: bool
    """Has breasts; children have none, whatever their sex."""
    breast_mm: float
    """Size of the breasts, if there are any: about half their height."""
    base: tuple[float, float, float]
    """Centre of the left-ventricular base."""
    azimuth: float
    """Angle of the ventricular long axis from straight anterior towards the patient's left."""
    declination: float
    """Angle of the long axis below the horizontal."""
    roll: float
    """Turn of the ventricles about their long axis; above 0 the right one goes up."""
    follow: float
    """How much of the ventricles' turn the atria and great vessels take part in, 0 to 1."""
    systole: float
    """0 end-diastole, 1 end-systole."""
    ejection: float
    """Ejection fraction of the left ventricle."""
    frame_ml: float
    """End-diastolic volume of this person's left ventricle in health; it sets the size of the heart's frame."""
    lv_ml: float
    """At end-diastole, as all volumes; `heart.targets_ml` says what they are at other moments."""
    myo_ml: float
    la_ml: float
    rv_ml: float
    ra_ml: float
    aa_ml: float
    """Blood from the aortic annulus to the beginning of the arch."""
    aorta_bulge: float
    """Width of the aortic sinuses relative to the tubular part."""
    aorta_forward_mm: float
    """How far the ascending aorta bows towards the sternum."""
    aorta_root: float
    """Widening of the root against the tubular part, relative."""
    pulmonary: float
    """Width of the pulmonary arteries relative to average."""
    lv_slimness: float
    """Length of the left ventricle."""
    septum: float
    """Relative extra thickness of the basal septum; see THICK_SEPTUM."""
    apical_wall: float
    """Relative extra thickness of the apical wall (it is thinner in health); see APICAL_KIND."""
    flat_septum: float
    """0 round, 1 pushed flat by the right ventricle."""
    rv_wall_mm: float
    trabeculation: float
    """0 smooth walls of the ventricles, 1 as many muscle strands as there may be."""
    papillary: float
    """Width of the papillary muscles relative to average."""
    appendage: float
    arch_top: float
    """Height (z) of the top of the aortic arch, mm for a person of `size` 1."""
    inspiration: float
    """Descent of the diaphragm relative to the average, mm."""
    epicardial_fat_mm: float
    kyphosis: float
    """How far the spine is bent, mm."""
    stomach_gas: bool
    table: bool
    """Lies on a CT table."""
    calcification: float
    """How much of the aorta and the coronary arteries is calcified, 0 to 1; mostly little."""
    atrial_defect_mm: float = 0.0
    """Radius of a hole between the atria; 0 none."""
    ventricular_defect_mm: float = 0.0
    """Radius of a hole between the ventricles; 0 none."""
    override_mm: float = 0.0
    """Shift of the aortic root over the septum."""
    effusion_mm: float = 0.0
    """Depth of fluid in the pericardium; 1 or less is not shown."""
    operated: bool = False
    """Wires in the sternum, hardly any fat around the heart."""
    thymus: float = 0.0
    """Size of the thymus relative to an infant's."""
    pacemaker: bool = False
    """With leads to the right ventricle and mostly to the right atrium."""
    electrodes: int = 0
    """ECG electrodes on the chest."""
    arms_down: bool = False
    pleural_mm: tuple[float, float] = (0.0, 0.0)
    """Depth of pleural fluid on the right and left."""
    dissection: bool = False
    """A flap in the descending aorta."""
    stent: bool = False
    """In the descending aorta."""

    def described(self) -> dict[str, object]:
        return asdict(self)

    def variation(self, name: str, spread: float = 1.0) -> float:
        """A random deviation that has no field: normal with this standard deviation, within two of them; the
        same at every call with this name."""
        rng = np.random.default_rng([self.seed, 11, zlib.crc32(name.encode())])
        return float(np.clip(rng.standard_normal(), -2, 2)) * spread


def between(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    """A normal random number, cut at low and high."""
    return float(np.clip(rng.normal(mean, sd), low, high))


def draw_healthy(seed: int, rng: np.random.Generator) -> Person:
    """A healthy adult. What is not a volume (angles, fat and the like) is ours.

    Volumes follow reference values of cardiac MR and CT: Petersen et al., J Cardiovasc Magn Reson 2017 (UK
    Biobank: left ventricle 166 +- 32 ml in men and 124 +- 21 in women, right ventricle 182 +- 36 and 130 +- 24),
    Kawel-Boehm et al., J Cardiovasc Magn Reson 2020, and Fuchs et al., Eur Heart J Cardiovasc Imaging 2016;
    they lie somewhat lower, as CT's do.
    """
    female = bool(rng.uniform() < 0.5)
    lv = between(rng, 116, 19, 78, 165) if female else between(rng, 144, 26, 95, 215)
    systole = float(rng.uniform(0, 1)) if rng.uniform() < SYSTOLE_SHARE else 0.0
    wide = bool(rng.uniform() < WIDE_POSE_SHARE)
    return Person(
        seed=seed,
        condition="normal",
        growth=1.0,
        size=between(rng, 0.97 if female else 1.03, 0.05, 0.86, 1.14),
        fat_mm=float(np.clip(rng.gamma(4.0, 3.6), 4, 38)),
        muscle_mm=between(rng, 11, 3, 5, 18),
        chest_depth=between(rng, 1.0, 0.07, 0.86, 1.16),
        female=female,
        breast_mm=between(rng, 48, 10, 28, 75),
        base=(between(rng, 17, 5, 7, 28), between(rng, 14, 2.5, 8, 20), 0.0),
        azimuth=float(rng.uniform(15, 82)) if wide else between(rng, 50, 9, 31, 72),
        declination=float(rng.uniform(2, 68)) if wide else between(rng, 36, 8, 16, 54),
        roll=float(rng.uniform(-28, 42)) if wide else between(rng, 7, 8, -12, 26),
        follow=float(rng.uniform(0.4, 0.8)),
        systole=systole,
        ejection=between(rng, 0.61, 0.05, 0.5, 0.72),
        frame_ml=lv,
        lv_ml=lv,
        myo_ml=float(np.clip(lv * between(rng, 1.05, 0.26, 0.52, 1.65), 52, 225)),
        la_ml=between(rng, 69, 16, 37, 108),
        rv_ml=float(np.clip(lv * between(rng, 1.2, 0.15, 0.86, 1.58), 85, 260)),
        ra_ml=between(rng, 81, 18, 44, 130),
        aa_ml=between(rng, 55, 11, 33, 84),
        aorta_bulge=between(rng, 1.14, 0.05, 1.04, 1.28),
        aorta_forward_mm=between(rng, 3, 5, -6, 14),
        aorta_root=1.0,
        pulmonary=between(rng, 1.0, 0.07, 0.86, 1.16),
        lv_slimness=between(rng, 1.0, 0.07, 0.85, 1.16),
        septum=between(rng, 0.15, 0.1, -0.06, 0.38),
        apical_wall=between(rng, -0.28, 0.08, -0.45, -0.1),
        flat_septum=0.0,
        rv_wall_mm=between(rng, 3.0, 0.5, 2.2, 4.0),
        trabeculation=between(rng, 0.5, 0.25, 0.0, 1.0),
        papillary=between(rng, 1.0, 0.15, 0.7, 1.35),
        appendage=between(rng, 1.0, 0.18, 0.6, 1.4),
        arch_top=between(rng, 92, 7, 78, 106),
        inspiration=between(rng, 0, 9, -18, 18),
        epicardial_fat_mm=between(rng, 5.0, 2.2, 1.0, 11),
        kyphosis=between(rng, 0, 6, -10, 14),
        stomach_gas=bool(rng.uniform() < 0.6),
        table=bool(rng.uniform() < 0.85),
        calcification=float(rng.uniform() ** 2),
    )
