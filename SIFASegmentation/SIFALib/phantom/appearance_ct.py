"""What a CT scanner makes of a tissue map: Hounsfield units."""

from __future__ import annotations

import numpy as np

from ..volume import Volume
from .filters import blur, correlated_noise
from .shapes import smooth_noise
from .tissues import CONTRAST_PHASES, CT_HU, LEFT_BLOOD, RIGHT_BLOOD, Tissue

PHASE_CHANCES = (0.5, 0.2, 0.17, 0.13)


def noise_field(rng: np.random.Generator, volume: Volume, wavelength: float) -> np.ndarray:
    """Smooth unit noise over the whole volume, the same at every spacing."""
    g = volume.geometry
    first = np.asarray(g.origin) - np.asarray(g.spacing) / 2
    return smooth_noise(
        rng,
        volume.array.shape,
        np.asarray(g.origin),
        g.spacing[0],
        first,
        first + np.asarray(g.extent_mm),
        wavelength,
    )


def appearance_ct(tissues: Volume, seed: int) -> tuple[Volume, dict[str, object]]:
    """CT image (int16 HU) of a tissue map, and the scan's random settings."""
    rng = np.random.Generator(np.random.PCG64([seed, 3]))
    phase = str(rng.choice(CONTRAST_PHASES, p=PHASE_CHANCES))
    noise_hu = float(np.clip(rng.gamma(4.0, 5.0), 5, 45))
    kernel_mm = float(rng.uniform(0.45, 0.9))
    sharpness = float(rng.uniform(0, 1))
    table = CT_HU[phase]
    level = rng.standard_normal(len(table)).astype(np.float32)
    # Neighbouring blood is nearly equal: what tells its parts apart must be their shape.
    left, right, everything = rng.standard_normal(3)
    level[list(LEFT_BLOOD)] = 0.03 * level[list(LEFT_BLOOD)] + np.float32(0.8 * everything + 0.6 * left)
    level[list(RIGHT_BLOOD)] = 0.15 * level[list(RIGHT_BLOOD)] + np.float32(0.6 * everything + 0.8 * right)
    level[Tissue.CORONARY_ARTERY] -= 0.2
    level[[Tissue.LV_PAPILLARY, Tissue.RV_TRABECULA]] = level[Tissue.MYOCARDIUM]
    hu = table[:, 0] + np.clip(level, -2.2, 2.2) * table[:, 1]
    labels = tissues.array
    image = hu[labels]

    mixing = noise_field(rng, tissues, 11.0)
    if phase in ("arterial", "mixed"):
        strength = np.zeros(len(table), np.float32)
        strength[[Tissue.VENA_CAVA_SUPERIOR, Tissue.RA_BLOOD, Tissue.RV_BLOOD, Tissue.PULMONARY_ARTERY]] = (
            0.3,
            0.5,
            0.33,
            0.1,
        )
        strength[[Tissue.VENA_CAVA_INFERIOR, Tissue.LA_APPENDAGE]] = 0.25, 0.12
        strength *= np.float32(rng.uniform(0.15, 0.75)) * np.abs(hu - 40)
        strength[Tissue.RA_BLOOD] += 20
        image += mixing * strength[labels]
        veins = np.isin(labels, RIGHT_BLOOD)
        image[veins] = np.maximum(image[veins], 35)
    texture = np.zeros(len(table), np.float32)
    texture[
        [Tissue.LUNG, Tissue.MARROW, Tissue.MUSCLE, Tissue.BREAST, Tissue.STOMACH_CONTENT, Tissue.FAT]
    ] = 14, 32, 9, 28, 10, 5
    fine = noise_field(rng, tissues, 5.0)
    image += fine * texture[labels]
    depth = np.linspace(-1, 1, labels.shape[1], dtype=np.float32)[None, :, None]
    lung = labels == Tissue.LUNG
    image += np.where(lung, depth * np.float32(rng.uniform(10, 60)), 0)  # lung is denser below (supine)

    spacing = tissues.geometry.spacing[0]
    image = blur(image, kernel_mm / spacing)
    shading = noise_field(rng, tissues, 90.0)  # beam hardening and scatter, a few HU
    image += shading * np.float32(rng.uniform(1, 4))
    image += correlated_noise(rng, labels.shape, min(0.55 / spacing, 0.8), sharpness) * np.float32(noise_hu)
    np.clip(np.rint(image, out=image), -1024, 3071, out=image)
    settings: dict[str, object] = {
        "modality": "ct",
        "contrast_phase": phase,
        "noise_hu": noise_hu,
        "kernel_mm": kernel_mm,
    }
    return Volume(image.astype(np.int16), tissues.geometry, tissues.name), settings
