"""What MR sequences in which blood is bright make of a tissue map: arbitrary units."""

from __future__ import annotations

import numpy as np

from ..imaging import Volume
from . import scan_effects
from .filters import blur
from .scan_effects import noise_field
from .tissues import BLOOD, LEFT_BLOOD, MR_SIGNAL, RIGHT_BLOOD, WALLS, Tissue

FATS = (Tissue.FAT, Tissue.EPICARDIAL_FAT, Tissue.MEDIASTINAL_FAT)
FLUIDS = (Tissue.SPINAL_CANAL, Tissue.PERICARDIAL_FLUID, Tissue.PLEURAL_FLUID, Tissue.STOMACH_CONTENT)
SEQUENCES = ("steady state", "gadolinium", "late enhancement")
SEQUENCE_CHANCES = (0.55, 0.33, 0.12)  # of SEQUENCES
TEXTURE = {  # relative to blood, standard deviation of what is uneven within a tissue
    Tissue.LIVER: 0.02,
    Tissue.MUSCLE: 0.03,
    Tissue.MARROW: 0.07,
    Tissue.BREAST: 0.08,
    Tissue.STOMACH_CONTENT: 0.07,
    Tissue.BOWEL: 0.08,
    Tissue.LUNG: 0.02,
}


def appearance_mr(tissues: Volume, seed: int) -> tuple[Volume, dict[str, object]]:
    """MR image (int16, arbitrary units, 0 to 32000) of a tissue map that holds a left ventricle, and the scan's random
    settings; `resolution_mm` is the standard deviation of its blur, `snr` that of blood in the left ventricle."""
    rng = np.random.Generator(np.random.PCG64([seed, 4]))
    sequence = str(rng.choice(SEQUENCES, p=SEQUENCE_CHANCES))
    fat_suppressed = bool(rng.uniform() < 0.4) or sequence == "gadolinium"
    opposed = sequence == "steady state" and bool(rng.uniform() < 0.5)  # dark lines where fat and water meet
    snr = float(rng.uniform(12, 45))
    resolution_mm = float(rng.uniform(0.5, 1.0))
    thickness_mm = float(rng.choice([0.0, rng.uniform(2.0, 6.0)], p=[0.6, 0.4]))
    table = _signals(rng, sequence)
    _treat_fat(rng, table, fat_suppressed, opposed)
    labels, spacing = tissues.array, tissues.geometry.spacing[0]
    signal = np.abs(blur(_uneven(rng, table, tissues), resolution_mm / spacing))
    axis = int(rng.integers(3))
    if thickness_mm > 0:
        scan_effects.thick_slices(signal, axis, thickness_mm / spacing)

    sigma = np.float32(float(signal[labels == Tissue.LV_BLOOD].mean()) / snr)
    limit = float(signal[labels == Tissue.LV_BLOOD].mean()) * rng.uniform(1.05, 1.5)
    _shade(rng, signal, tissues, sequence == "steady state", axis)
    signal += sigma * rng.standard_normal(labels.shape, dtype=np.float32)
    np.hypot(signal, sigma * rng.standard_normal(labels.shape, dtype=np.float32), out=signal)
    clipped = bool(rng.random() < 0.2)  # stored with a window that cut the brightest off
    if clipped:
        np.minimum(signal, np.float32(limit), out=signal)
    gain = np.float32(rng.uniform(250, 900))
    image = np.clip(np.rint(signal * gain), 0, 32000).astype(np.int16)
    settings: dict[str, object] = {
        "modality": "mr",
        "sequence": sequence,
        "fat_suppressed": fat_suppressed,
        "snr": snr,
        "resolution_mm": resolution_mm,
        "thickness_mm": thickness_mm,
        "clipped": clipped,
    }
    return Volume(image, tissues.geometry, tissues.name), settings


def _signals(rng: np.random.Generator, sequence: str) -> np.ndarray:
    """Signals float32 [tissue] of this person in this sequence, blood about 1."""
    table = MR_SIGNAL * (1 + 0.08 * rng.standard_normal(len(MR_SIGNAL)).astype(np.float32))
    apart = 3.0 if rng.random() < 0.2 else 1.0
    for group, spread in ((LEFT_BLOOD, 0.02), (RIGHT_BLOOD, 0.03)):  # neighbouring blood is nearly equal
        common = 1 + 0.06 * rng.standard_normal()
        table[list(group)] = common * (1 + apart * spread * rng.standard_normal(len(group)))
    table[[Tissue.LV_PAPILLARY, Tissue.RV_TRABECULA]] = table[Tissue.MYOCARDIUM]
    muscle = rng.uniform(0.8, 1.35)
    if sequence == "gadolinium":  # long T1 is dark, whatever its T2
        muscle = rng.uniform(0.45, 1.2)
        table[list(FLUIDS)] *= np.float32(rng.uniform(0.1, 0.4))
        table[[Tissue.LIVER, Tissue.SPLEEN, Tissue.KIDNEY]] *= np.float32(rng.uniform(1.0, 1.8))
    if sequence == "late enhancement":  # healthy muscle is nulled
        muscle = rng.uniform(0.08, 0.5)
        table[list(FLUIDS)] *= np.float32(rng.uniform(0.1, 0.6))
    table[list(WALLS)] *= np.float32(muscle)
    return table


def _treat_fat(rng: np.random.Generator, table: np.ndarray, suppressed: bool, opposed: bool) -> None:
    """Fat dark, or of the opposite sign, in place."""
    if suppressed:
        table[list(FATS)] *= np.float32(rng.uniform(0.12, 0.45))
        table[Tissue.MARROW] *= 0.5
    elif opposed:
        table[list(FATS)] *= -1


def _uneven(rng: np.random.Generator, table: np.ndarray, tissues: Volume) -> np.ndarray:
    """Signals float32 [K, J, I] of the table, with what is uneven within a tissue: grain, flowing blood."""
    flow = np.zeros(len(table), np.float32)
    flow[list(TEXTURE)] = list(TEXTURE.values())
    flow[list(BLOOD)] = np.float32(rng.uniform(0.015, 0.08))
    signal = table[tissues.array]
    signal += noise_field(rng, tissues, 9.0) * flow[tissues.array]
    return signal


def _shade(rng: np.random.Generator, signal: np.ndarray, tissues: Volume, steady: bool, axis: int) -> None:
    """Coils, and one scan in a few each: dark bands (in `steady` state), the border of a slab along `axis`, ghosts; in
    place."""
    bias = noise_field(rng, tissues, 140.0)
    banding, slab, ghosting = rng.random(3) < (0.3, 0.2, 0.15)
    if banding and steady:
        phase = bias * np.float32(rng.uniform(0.4, 1.1)) + np.float32(rng.uniform(0, 0.6))
        signal *= scan_effects.bands(phase, rng.uniform(0.3, 0.9), rng.uniform(0.08, 0.2))
    bias *= np.float32(rng.uniform(0.03, 0.2))
    depth = np.linspace(0, 1, signal.shape[1], dtype=np.float32)[None, :, None]
    bias -= np.float32(rng.uniform(0, 0.9)) * depth  # a surface coil on the chest sees the front better
    signal *= np.exp(bias, out=bias)
    if slab:
        count, mm = signal.shape[axis], tissues.geometry.spacing[0]
        profile = scan_effects.slab_profile(count, mm, rng.uniform(0, 40), rng.uniform(2, 10), rng.random() < 0.5)
        shape = [1, 1, 1]
        shape[axis] = count
        signal *= profile.reshape(shape)
    if ghosting:
        along = int(rng.integers(1, 3))
        shift = int(signal.shape[along] / rng.choice([2, 3, 4]) * rng.uniform(0.9, 1.1))
        scan_effects.ghosts(signal, along, shift, rng.uniform(0.01, 0.06))
