"""Random grey values of the phantom's tissues for training: wider than the phantom's own CT and MR, on purpose.

Each function gives two tables over tissue ids: mean grey value [256] and amplitude of the texture [256].
"""

from __future__ import annotations

import numpy as np

from .phantom.tissues import Tissue

T = Tissue
LEFT_BLOOD = [
    T.LV_BLOOD,
    T.LA_BLOOD,
    T.LA_APPENDAGE,
    T.ASCENDING_AORTA,
    T.AORTA,
    T.PULMONARY_VEIN,
    T.CORONARY_ARTERY,
]
RIGHT_BLOOD = [
    T.RV_BLOOD,
    T.RA_BLOOD,
    T.PULMONARY_ARTERY,
    T.VENA_CAVA_SUPERIOR,
    T.VENA_CAVA_INFERIOR,
    T.CORONARY_VEIN,
]
HEART_MUSCLE = [T.MYOCARDIUM, T.LV_PAPILLARY, T.RV_TRABECULA, T.RV_WALL, T.ATRIAL_WALL]
SOFT = [
    T.VESSEL_WALL,
    T.PERICARDIUM,
    T.OESOPHAGUS,
    T.AIRWAY_WALL,
    T.SPINAL_CANAL,
    T.STOMACH_WALL,
    T.VALVE,
    T.SKIN,
]
FATTY = [T.EPICARDIAL_FAT, T.MEDIASTINAL_FAT, T.FAT]
HOLLOW = [T.AIR, T.AIRWAY, T.GAS, T.TABLE_FOAM]
BONY = [T.CORTICAL_BONE, T.MARROW, T.CARTILAGE, T.DISC, T.CALCIFICATION, T.TABLE_SHELL]


def ct_contrast(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """HU [256] of the tissues and texture amplitudes [256], in a random contrast phase (one in eight without contrast)."""
    mean, texture = np.full(256, 40.0), np.full(256, 6.0)
    left = rng.uniform(160, 520)
    right = rng.choice([left * rng.uniform(0.15, 0.6), left * rng.uniform(0.6, 1.05), rng.uniform(200, 700)])
    muscle = 55 + 0.17 * left * rng.uniform(0.6, 1.4)
    if rng.random() < 0.12:
        left = right = rng.uniform(32, 55)
        muscle = left + rng.uniform(-2, 16)
    _set(rng, mean, LEFT_BLOOD, left, 0.035 * left)
    _set(rng, mean, RIGHT_BLOOD, right, 0.1 * right)
    _set(rng, mean, HEART_MUSCLE, muscle, 6)
    _set(rng, mean, SOFT, rng.uniform(30, 80), 15)
    _set(rng, mean, FATTY, -95, 12)
    _set(rng, mean, HOLLOW, -990, 10)
    _set(rng, mean, BONY, 350, 180)
    values = {
        T.LUNG: (-830, 40),
        T.LUNG_VESSEL: (right * 0.8, 60),
        T.LIVER: (rng.uniform(50, 130), 8),
        T.SPLEEN: (120, 30),
    }
    values |= {T.MUSCLE: (58, 8), T.BREAST: (20, 25), T.STOMACH_CONTENT: (rng.uniform(0, 200), 10)}
    for tissue, (value, spread) in values.items():
        mean[tissue] = rng.normal(value, spread)
    texture[[T.RV_BLOOD, T.RA_BLOOD, T.VENA_CAVA_SUPERIOR, T.VENA_CAVA_INFERIOR]] = 0.15 * right  # mixing
    texture[[T.LUNG, T.MARROW]] = 40.0
    return mean, texture


def mr_contrast(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Relative signals [256] and textures [256] as in balanced SSFP or contrast-enhanced gradient-echo MR; blood is 1."""
    mean, texture = np.full(256, 0.4), np.full(256, 0.03)
    _set(rng, mean, LEFT_BLOOD, 1.0, 0.05)
    _set(rng, mean, RIGHT_BLOOD, rng.uniform(0.75, 1.1), 0.07)
    _set(rng, mean, HEART_MUSCLE, rng.uniform(0.2, 0.5), 0.03)
    _set(rng, mean, SOFT, rng.uniform(0.15, 0.5), 0.1)
    _set(
        rng, mean, FATTY, rng.choice([rng.uniform(0.1, 0.35), rng.uniform(0.5, 1.2)]), 0.06
    )  # saturated or not
    _set(rng, mean, HOLLOW, 0.02, 0.01)
    _set(rng, mean, BONY, rng.uniform(0.05, 0.4), 0.1)
    values = {T.LUNG: (0.06, 0.03), T.LUNG_VESSEL: (0.5, 0.2), T.LIVER: (0.4, 0.12), T.SPLEEN: (0.45, 0.15)}
    values |= {
        T.MUSCLE: (rng.uniform(0.15, 0.4), 0.03),
        T.SPINAL_CANAL: (0.8, 0.25),
        T.STOMACH_CONTENT: (0.5, 0.3),
    }
    for tissue, (value, spread) in values.items():
        mean[tissue] = abs(rng.normal(value, spread))
    texture[LEFT_BLOOD + RIGHT_BLOOD] = rng.uniform(0.0, 0.12)  # flow
    return mean, texture


def any_contrast(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Any brightness for any tissue: values [256] in 0..1 and textures [256]; kinds of tissue keep together."""
    mean = rng.uniform(0, 1, 256)
    for group in (LEFT_BLOOD, RIGHT_BLOOD, HEART_MUSCLE, FATTY, HOLLOW):
        _set(rng, mean, group, mean[group[0]], 0.04)
    if rng.random() < 0.5:
        _set(rng, mean, RIGHT_BLOOD, mean[T.LV_BLOOD], 0.05)
    if (
        abs(mean[T.LV_BLOOD] - mean[T.MYOCARDIUM]) < 0.15
    ):  # blood that cannot be told from its wall teaches nothing
        mean[HEART_MUSCLE] += np.copysign(0.3, mean[T.MYOCARDIUM] - mean[T.LV_BLOOD])
    return mean, rng.uniform(0, 0.08, 256)


def _set(
    rng: np.random.Generator, table: np.ndarray, tissues: list[Tissue], value: float, spread: float
) -> None:
    table[tissues] = value + rng.normal(0, abs(spread), len(tissues))


CONTRASTS = {"ct": ct_contrast, "mr": mr_contrast, "any": any_contrast}
