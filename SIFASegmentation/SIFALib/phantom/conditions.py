"""What the phantom's persons suffer from: diseases of the heart, children, traces of treatment.

All shares are ours and far above the population's: the persons stand for those who are scanned. So are the ranges of
sizes in the diseases: from the reference limits of health (Kawel-Boehm et al., J Cardiovasc Magn Reson 2020) to hearts
as sick as are seen; where a source tells a limit of the disease it is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .person import STREAM, Person, draw_healthy

CONDITIONS: dict[str, float] = {
    "normal": 0.51,
    "septal hypertrophy": 0.07,
    "concentric hypertrophy": 0.06,
    "dilated": 0.08,
    "large atria": 0.07,
    "dilated aorta": 0.05,
    "right load": 0.06,
    "septal defect": 0.05,
    "fallot": 0.05,
}
"""Condition -> share of persons."""
CHILD_SHARE: dict[str, float] = {
    "normal": 0.14,
    "septal hypertrophy": 0.1,
    "concentric hypertrophy": 0.1,
    "dilated": 0.15,
    "right load": 0.2,
    "septal defect": 0.6,
    "fallot": 0.7,
}
"""Condition -> share of children among those who have it."""
EFFUSION_SHARE, OPERATED_SHARE, PACEMAKER_SHARE, PLEURAL_SHARE = 0.07, 0.08, 0.05, 0.07
ELECTRODES_SHARE, ARMS_DOWN_SHARE, DISSECTION_SHARE, STENT_SHARE = 0.35, 0.25, 0.03, 0.03
"""Of the persons whose condition does not make it likelier (see `treated`)."""


def draw_person(seed: int) -> Person:
    """The person of this seed (0 or more). Health, treatment, disease and growth have streams of their own, so that a
    number more in one of them does not change the others."""
    rng = np.random.Generator(np.random.PCG64([seed, STREAM]))
    person = draw_healthy(seed, rng)
    condition = str(rng.choice(list(CONDITIONS), p=list(CONDITIONS.values())))
    child = bool(rng.uniform() < CHILD_SHARE.get(condition, 0.0))
    person = treated(np.random.Generator(np.random.PCG64([seed, STREAM, 1])), person, condition)
    person = afflicted(np.random.Generator(np.random.PCG64([seed, STREAM, 2])), person, condition)
    return grown(np.random.Generator(np.random.PCG64([seed, STREAM, 3])), person) if child else person


def afflicted(rng: np.random.Generator, p: Person, condition: str) -> Person:
    """The healthy person with a disease (a key of CONDITIONS)."""
    p = replace(p, condition=condition)
    return p if condition == "normal" else DISEASES[condition](rng, p)


def septal_hypertrophy(rng: np.random.Generator, p: Person) -> Person:
    """Hypertrophic cardiomyopathy, one in seven of the apical kind. The wall is 15 mm thick or more (Maron and Maron,
    Lancet 2013)."""
    u = rng.uniform
    apical = bool(u() < 0.15)
    return replace(
        p,
        septum=u(0.1, 0.5) if apical else u(0.5, 1.5),
        apical_wall=u(0.21, 0.5) if apical else u(-0.25, 0.15),  # above APICAL_KIND, or below
        lv_ml=p.lv_ml * u(0.65, 1.05),
        myo_ml=p.myo_ml * u(1.25, 2.2),
        la_ml=p.la_ml * u(1.0, 3.0),
        ra_ml=p.ra_ml * u(1.0, 1.7),
        ejection=u(0.62, 0.85),
        papillary=p.papillary * u(1.1, 1.5),
        rv_wall_mm=u(3.0, 6.0),
    )


def concentric_hypertrophy(rng: np.random.Generator, p: Person) -> Person:
    """A wall thick all around, as high pressure makes it."""
    u = rng.uniform
    return replace(
        p,
        lv_ml=p.lv_ml * u(0.5, 1.0),
        myo_ml=p.myo_ml * u(1.25, 2.2),
        apical_wall=u(-0.25, 0.1),
        la_ml=p.la_ml * u(1.0, 2.2),
        ejection=u(0.5, 0.85),
        papillary=p.papillary * u(1.0, 1.5),
        rv_wall_mm=u(3.0, 6.0),
        aorta_root=u(0.95, 1.1),
    )


def dilated(rng: np.random.Generator, p: Person) -> Person:
    """Wide, weak ventricles of up to 3.4 times the volume in health. In experts' contours of 17 patients with heart failure
    muscle is 0.4 to 0.75 of the blood (Radau et al., MIDAS Journal 2009)."""
    u = rng.uniform
    return replace(
        p,
        lv_ml=p.lv_ml * u(1.3, 3.4),
        myo_ml=p.myo_ml * u(0.9, 1.6),
        la_ml=p.la_ml * u(1.1, 2.4),
        rv_ml=p.rv_ml * u(1.0, 1.7),
        ra_ml=p.ra_ml * u(1.0, 2.0),
        ejection=u(0.15, 0.45),
        lv_slimness=p.lv_slimness * u(0.88, 1.02),
    )


def large_atria(rng: np.random.Generator, p: Person) -> Person:
    """Atria of up to 4 times the volume in health, as after years of atrial fibrillation."""
    u = rng.uniform
    return replace(p, la_ml=p.la_ml * u(1.5, 4.0), ra_ml=p.ra_ml * u(1.2, 3.0), appendage=p.appendage * 1.15)


def dilated_aorta(rng: np.random.Generator, p: Person) -> Person:
    """An ascending aorta of about 40 to 65 mm; from 50 to 55 mm on it is operated on (Isselbacher et al., Circulation
    2022)."""
    u = rng.uniform
    return replace(
        p,
        aa_ml=p.aa_ml * u(1.6, 3.8),
        aorta_root=u(0.82, 1.25),
        aorta_forward_mm=p.aorta_forward_mm + u(0, 14),
        arch_top=p.arch_top + u(0, 12),
        lv_ml=p.lv_ml * u(1.0, 1.7),
        myo_ml=p.myo_ml * u(1.0, 1.5),
    )


def right_load(rng: np.random.Generator, p: Person) -> Person:
    """A right heart under pressure; its ventricle's wall counts as thick above 5 mm (Rudski et al., J Am Soc
    Echocardiogr 2010)."""
    u = rng.uniform
    return replace(
        p,
        rv_ml=p.rv_ml * u(1.2, 2.4),
        ra_ml=p.ra_ml * u(1.2, 2.6),
        pulmonary=p.pulmonary * u(1.1, 1.6),
        rv_wall_mm=u(4, 10),
        flat_septum=u(0.2, 1.0),
        lv_ml=p.lv_ml * u(0.65, 1.0),
    )


def septal_defect(rng: np.random.Generator, p: Person) -> Person:
    """A hole between the atria (the right heart grows) or the ventricles (the left one does)."""
    u = rng.uniform
    atrial = bool(u() < 0.5)
    return replace(
        p,
        atrial_defect_mm=u(5, 12) if atrial else 0.0,
        ventricular_defect_mm=0.0 if atrial else u(4, 10),
        rv_ml=p.rv_ml * u(1.1, 2.0),
        ra_ml=p.ra_ml * (u(1.2, 2.2) if atrial else u(0.9, 1.4)),
        la_ml=p.la_ml * (u(0.8, 1.3) if atrial else u(1.1, 2.2)),
        lv_ml=p.lv_ml * (u(0.75, 1.0) if atrial else u(1.0, 1.7)),
        myo_ml=p.myo_ml * u(0.9, 1.5),
        pulmonary=p.pulmonary * u(1.05, 1.5),
        rv_wall_mm=u(3, 7),
        flat_septum=u(0.0, 0.6),
    )


def fallot(rng: np.random.Generator, p: Person) -> Person:
    """Fallot's four: a hole between the ventricles, an aorta that rides on it, mostly narrow pulmonary arteries and
    a thick right ventricle."""
    u = rng.uniform
    return replace(
        p,
        ventricular_defect_mm=u(5, 11),
        override_mm=u(4, 14),
        aa_ml=p.aa_ml * u(1.1, 1.9),
        aorta_forward_mm=p.aorta_forward_mm + u(0, 10),
        pulmonary=p.pulmonary * u(0.5, 1.25),
        rv_ml=p.rv_ml * u(1.0, 2.0),
        ra_ml=p.ra_ml * u(1.0, 1.8),
        lv_ml=p.lv_ml * u(0.7, 1.05),
        rv_wall_mm=u(5, 11),
        flat_septum=u(0.0, 0.8),
        roll=p.roll + u(-10, 15),
    )


_DISEASES = (
    septal_hypertrophy,
    concentric_hypertrophy,
    dilated,
    large_atria,
    dilated_aorta,
    right_load,
    septal_defect,
    fallot,
)
DISEASES: dict[str, Callable[[np.random.Generator, Person], Person]] = {
    disease.__name__.replace("_", " "): disease for disease in _DISEASES
}
"""Condition -> what it does to a healthy person."""


def treated(rng: np.random.Generator, p: Person, condition: str) -> Person:
    """The person with what is found beside the heart's disease, and with what doctors left in and on it."""
    u = rng.uniform
    inborn = condition in ("septal defect", "fallot")
    operated = bool(u() < (0.5 if inborn else OPERATED_SHARE))
    effusion = u() < (0.2 if operated else EFFUSION_SHARE)
    p = replace(
        p,
        effusion_mm=u(4, 24) if effusion else u(0.0, 1.2),
        operated=operated,
        pacemaker=bool(u() < (0.3 if condition == "dilated" else PACEMAKER_SHARE)),
        electrodes=int(rng.integers(1, 7)) if u() < ELECTRODES_SHARE else 0,
        arms_down=bool(u() < ARMS_DOWN_SHARE),
        pleural_mm=(u(4, 50) * (u() < 0.75), u(4, 50) * (u() < 0.75)) if u() < PLEURAL_SHARE else (0.0, 0.0),
        dissection=bool(u() < (0.2 if condition == "dilated aorta" else DISSECTION_SHARE)),
        stent=bool(u() < STENT_SHARE),
    )
    return replace(p, epicardial_fat_mm=u(0.2, 1.8), fat_mm=min(p.fat_mm, 18.0)) if operated else p


def grown(rng: np.random.Generator, p: Person) -> Person:
    """A child: small as a whole, lean, with a round chest, a large heart and right ventricle, and a thymus.

    Nearly in proportion, as the heart's volumes grow with nearly the body's mass (Buechel et al., J Cardiovasc Magn
    Reson 2009); yet the heart of the smallest takes more of the chest (Edwards, Higgins and Gilpin, AJR Am J
    Roentgenol 1981). How much more is ours, and there are no newborns: the smallest have 0.45 of an adult's lengths.
    """
    growth = float(rng.uniform(0.45, 0.9))
    young = (0.9 - growth) / 0.45
    heart = float(1 + rng.uniform(0.0, 0.35) * (0.3 + 0.7 * young))
    return replace(
        p,
        growth=growth,
        female=False,
        fat_mm=p.fat_mm * 0.45 + 2,
        muscle_mm=p.muscle_mm * 0.7,
        chest_depth=p.chest_depth * float(1 + 0.2 * young * rng.uniform(0.3, 1)),
        frame_ml=p.frame_ml * heart,
        lv_ml=p.lv_ml * heart,
        myo_ml=p.myo_ml * heart,
        la_ml=p.la_ml * heart,
        rv_ml=p.rv_ml * heart * float(1 + 0.15 * young),
        ra_ml=p.ra_ml * heart * float(1 + 0.15 * young),
        aa_ml=p.aa_ml * heart,
        rv_wall_mm=p.rv_wall_mm * float(1 + 0.4 * young),
        epicardial_fat_mm=p.epicardial_fat_mm * float(rng.uniform(0.05, 0.5)),
        calcification=0.0,
        kyphosis=0.0,
        thymus=float(np.clip(rng.normal(0.35 + 0.6 * young, 0.25), 0, 1.2)),
        pacemaker=False,
        dissection=False,
        stent=False,
    )
