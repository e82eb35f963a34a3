"""What a CT scanner makes of a tissue map: Hounsfield units."""

from __future__ import annotations

import numpy as np

from ..imaging import Volume
from . import scan_effects
from .filters import blur, correlated_noise
from .scan_effects import noise_field
from .tissues import CONTRAST_PHASES, CT_HU, LEFT_BLOOD, LEFT_HEART, RIGHT_BLOOD, Tissue

PHASE_CHANCES = (0.5, 0.2, 0.17, 0.13)  # of CONTRAST_PHASES
STREAKING_HU = 350.0  # contrast medium denser than this casts streaks
LEAST_RADIUS_MM = 120.0  # of a field of view that is cut, about the heart
MIXING = {  # of the contrast medium in the arterial phases: how far each part of the blood varies
    Tissue.VENA_CAVA_SUPERIOR: 0.3,
    Tissue.RA_BLOOD: 0.5,
    Tissue.RV_BLOOD: 0.33,
    Tissue.PULMONARY_ARTERY: 0.1,
    Tissue.VENA_CAVA_INFERIOR: 0.25,
    Tissue.LA_APPENDAGE: 0.12,
    Tissue.FALSE_LUMEN: 0.2,
}
TEXTURE = {  # HU, standard deviation of what is uneven within a tissue
    Tissue.LUNG: 14,
    Tissue.MARROW: 32,
    Tissue.MUSCLE: 9,
    Tissue.BREAST: 28,
    Tissue.STOMACH_CONTENT: 10,
    Tissue.BOWEL: 25,
    Tissue.FAT: 5,
    Tissue.EPICARDIAL_FAT: 8,
    Tissue.THYMUS: 10,
}


def appearance_ct(tissues: Volume, seed: int) -> tuple[Volume, dict[str, object]]:
    """CT image (int16, -1024 to 3071 HU) of a tissue map, and the scan's random settings (kernel_mm: sigma of its blur)."""
    rng = np.random.Generator(np.random.PCG64([seed, 3]))
    phase = str(rng.choice(CONTRAST_PHASES, p=PHASE_CHANCES))
    noise_hu = float(np.clip(rng.gamma(4.0, 5.0), 5, 45))
    kernel_mm = float(rng.uniform(0.45, 0.9))
    sharpness = float(rng.uniform(0, 1))
    thickness_mm = float(rng.choice([0.0, rng.uniform(1.5, 5.0)], p=[0.6, 0.4]))
    hu = _levels(rng, phase)
    image = hu[tissues.array]
    _vary(rng, image, tissues, hu, phase)

    spacing = tissues.geometry.spacing[0]
    image = blur(image, kernel_mm / spacing)
    if thickness_mm > 0:
        scan_effects.thick_slices(image, 0, thickness_mm / spacing)
    if sharpness > 0.75:  # kernels for lung and bone overshoot at edges
        image += np.float32(rng.uniform(0.1, 0.5)) * (image - blur(image, 1.0))
    motion = bool(rng.random() < 0.15)
    if motion:
        share, axis = rng.uniform(0.15, 0.45), int(rng.integers(1, 3))
        scan_effects.smeared(image, axis, max(1, round(rng.uniform(1, 4) / spacing)), share)
    _streaks(rng, image, tissues, hu)
    shading = noise_field(rng, tissues, 90.0)  # beam hardening and scatter, a few HU
    image += shading * np.float32(rng.uniform(1, 5))
    noise = correlated_noise(rng, image.shape, min(0.55 / spacing, 0.8), sharpness)
    noise *= np.float32(noise_hu) * (1 + 0.15 * np.clip(shading, -2.5, 2.5))  # it is not the same everywhere
    image += noise
    radius_mm = _cut_field(rng, image, tissues)
    np.clip(np.rint(image, out=image), -1024, 3071, out=image)
    settings: dict[str, object] = {
        "modality": "ct",
        "contrast_phase": phase,
        "noise_hu": noise_hu,
        "kernel_mm": kernel_mm,
        "thickness_mm": thickness_mm,
        "motion": motion,
        "field_radius_mm": radius_mm,
    }
    return Volume(image.astype(np.int16), tissues.geometry, tissues.name), settings


def _levels(rng: np.random.Generator, phase: str) -> np.ndarray:
    """HU float32 [tissue] of this person in this phase: at most 2.2 spreads from the table's mean."""
    table = CT_HU[phase]
    level = rng.standard_normal(len(table)).astype(np.float32)
    # Neighbouring blood is mostly nearly equal: what tells its parts apart must be their shape. Not so where blood of
    # both sides mixes, or where the scan came too early.
    apart = 0.35 if phase in ("arterial", "mixed") and rng.random() < 0.2 else 0.03
    left, right, everything = rng.standard_normal(3)
    level[list(LEFT_BLOOD)] = apart * level[list(LEFT_BLOOD)] + np.float32(0.8 * everything + 0.6 * left)
    level[list(RIGHT_BLOOD)] = 0.15 * level[list(RIGHT_BLOOD)] + np.float32(0.6 * everything + 0.8 * right)
    level[Tissue.CORONARY_ARTERY] -= 0.2
    level[[Tissue.LV_PAPILLARY, Tissue.RV_TRABECULA]] = level[Tissue.MYOCARDIUM]
    return table[:, 0] + np.clip(level, -2.2, 2.2) * table[:, 1]


def _vary(rng: np.random.Generator, image: np.ndarray, tissues: Volume, hu: np.ndarray, phase: str) -> None:
    """Add, in place, what is uneven within a tissue: mixing contrast medium, grain, the lung's density, its small
    vessels."""
    labels, count = tissues.array, len(hu)
    if phase in ("arterial", "mixed"):
        strength = np.zeros(count, np.float32)
        strength[list(MIXING)] = list(MIXING.values())
        strength *= np.float32(rng.uniform(0.15, 0.75)) * np.abs(hu - 40)
        strength[Tissue.RA_BLOOD] += 20
        image += noise_field(rng, tissues, 11.0) * strength[labels]
        veins = np.isin(labels, RIGHT_BLOOD)
        image[veins] = np.maximum(image[veins], 35)
    texture = np.zeros(count, np.float32)
    texture[list(TEXTURE)] = list(TEXTURE.values())
    fine = noise_field(rng, tissues, 5.0)
    image += fine * texture[labels]
    lung = labels == Tissue.LUNG
    depth = np.linspace(-1, 1, labels.shape[1], dtype=np.float32)[None, :, None]
    image += lung * depth * np.float32(rng.uniform(10, 60))  # lung is denser below (supine)
    vessels = np.clip(fine - np.float32(rng.uniform(1.7, 2.4)), 0, 0.5, out=fine)  # too small for the tissue map
    vessels *= lung
    image += vessels * np.float32(0.8 * (hu[Tissue.LUNG_VESSEL] - hu[Tissue.LUNG]))


def _streaks(rng: np.random.Generator, image: np.ndarray, tissues: Volume, hu: np.ndarray) -> None:
    """Add streaks, in place: from metal always, from the superior vena cava if its blood is dense enough."""
    cava = float(hu[Tissue.VENA_CAVA_SUPERIOR])
    for tissue, strength in (
        (Tissue.METAL, rng.uniform(80, 300)),
        (Tissue.VENA_CAVA_SUPERIOR, rng.uniform(0.05, 0.2) * (cava - STREAKING_HU)),
    ):
        dense = tissues.array == tissue
        if strength > 5 and dense.any():
            scan_effects.streaks(rng, image, dense, tissues.geometry, float(strength))


def _cut_field(rng: np.random.Generator, image: np.ndarray, tissues: Volume) -> float | None:
    """One scan in five is reconstructed in a circle about the heart that cuts the body's sides off, in place; its radius
    (mm), or None."""
    radius_mm = float(rng.uniform(LEAST_RADIUS_MM, 190.0))
    if rng.random() >= 0.2:
        return None
    heart = LEFT_HEART[tissues.array].any(axis=0)
    rows, columns = np.nonzero(heart)
    middle = (float(rows.mean()), float(columns.mean())) if len(rows) else (image.shape[1] / 2, image.shape[2] / 2)
    image[:, ~scan_effects.circle(image.shape, tissues.geometry.spacing[0], radius_mm, middle)] = -1024
    return radius_mm
