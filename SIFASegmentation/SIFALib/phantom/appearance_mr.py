"""What a balanced steady-state MR sequence makes of a tissue map: arbitrary units."""

from __future__ import annotations

import numpy as np

from ..volume import Volume
from .appearance_ct import noise_field
from .filters import blur
from .tissues import BLOOD, LEFT_BLOOD, MR_SIGNAL, RIGHT_BLOOD, Tissue

FATS = (Tissue.FAT, Tissue.EPICARDIAL_FAT, Tissue.MEDIASTINAL_FAT)


def appearance_mr(tissues: Volume, seed: int) -> tuple[Volume, dict[str, object]]:
    """MR image (int16, arbitrary units from 0) of a tissue map, and the scan's random settings."""
    rng = np.random.Generator(np.random.PCG64([seed, 4]))
    fat_suppressed = bool(rng.uniform() < 0.5)
    opposed = bool(rng.uniform() < 0.5)  # fat and water of opposite phase: dark lines where they meet
    snr = float(rng.uniform(14, 45))
    resolution_mm = float(rng.uniform(0.5, 1.0))
    table = MR_SIGNAL * (1 + 0.08 * rng.standard_normal(len(MR_SIGNAL)).astype(np.float32))
    for group, spread in ((LEFT_BLOOD, 0.02), (RIGHT_BLOOD, 0.03)):  # neighbouring blood is nearly equal
        common = 1 + 0.06 * rng.standard_normal()
        table[list(group)] = common * (1 + spread * rng.standard_normal(len(group)))
    table[[Tissue.LV_PAPILLARY, Tissue.RV_TRABECULA]] = table[Tissue.MYOCARDIUM]
    contrast = np.float32(rng.uniform(0.8, 1.35))
    table[[Tissue.MYOCARDIUM, Tissue.LV_PAPILLARY, Tissue.RV_TRABECULA, Tissue.RV_WALL]] *= contrast
    if fat_suppressed:
        table[list(FATS)] *= np.float32(rng.uniform(0.15, 0.45))
        table[Tissue.MARROW] *= 0.5
    elif opposed:
        table[list(FATS)] *= -1
    labels = tissues.array
    signal = table[labels]

    flow = np.zeros(len(table), np.float32)
    flow[list(BLOOD)] = np.float32(rng.uniform(0.015, 0.06))
    flow[[Tissue.LIVER, Tissue.MUSCLE, Tissue.MARROW, Tissue.BREAST, Tissue.STOMACH_CONTENT, Tissue.LUNG]] = (
        0.02,
        0.03,
        0.07,
        0.08,
        0.07,
        0.02,
    )
    signal += noise_field(rng, tissues, 9.0) * flow[labels]
    signal = np.abs(blur(signal, resolution_mm / tissues.geometry.spacing[0]))

    strength = float(rng.uniform(0.03, 0.2))
    bias = noise_field(rng, tissues, 140.0) * np.float32(strength)
    depth = np.linspace(0, 1, labels.shape[1], dtype=np.float32)[None, :, None]
    coil = float(rng.uniform(0, 0.9))  # a surface coil on the chest sees the front better than the back
    bias -= np.float32(coil) * depth
    signal *= np.exp(bias, out=bias)
    sigma = np.float32(float(signal[np.isin(labels, [Tissue.LV_BLOOD])].mean()) / snr)
    signal += sigma * rng.standard_normal(labels.shape, dtype=np.float32)
    np.hypot(signal, sigma * rng.standard_normal(labels.shape, dtype=np.float32), out=signal)
    gain = np.float32(rng.uniform(250, 900))
    image = np.clip(np.rint(signal * gain), 0, 32000).astype(np.int16)
    settings: dict[str, object] = {
        "modality": "mr",
        "fat_suppressed": fat_suppressed,
        "snr": snr,
        "resolution_mm": resolution_mm,
    }
    return Volume(image, tissues.geometry, tissues.name), settings
