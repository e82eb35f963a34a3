"""Grey values for a random slice: tissues get their brightness and texture, a scanner images them, a window cuts them.

In order: paint (partial volume, texture, mixing, vessels in the lung, trabeculae, meshwork, patches, scars) - CT or MR
artefacts - resolution - noise - window. Amounts and shares: `Randomisation`.
"""

from __future__ import annotations

import numpy as np

from ...models.card import Preprocessing
from ..tissues import Tissue
from . import artefacts as effects
from . import meshwork
from .contrast import GROUPS, Contrast, group_of, random_contrast
from .planes import Cut, smooth
from .randomisation import Randomisation

WINDOW_HU = Preprocessing().ct_window_hu  # as inference has it
AIR = Tissue.AIR
FAR_FROM_COIL = 1.3  # by which share of the window's width it may end above what this slice shows
SCAR_SHARE = 0.5  # of slices with late enhancement


def _mask(*groups: list[int]) -> np.ndarray:
    """Bool [256]: which tissue ids are in any of the groups."""
    table = np.zeros(256, bool)
    table[[tissue for group in groups for tissue in group]] = True
    return table


BLOOD, MUSCLE = _mask(GROUPS["left"], GROUPS["right"]), _mask(GROUPS["muscle"])
DENSE = _mask([Tissue.METAL, Tissue.STENT, Tissue.VENA_CAVA_SUPERIOR])
CAVITIES = _mask([Tissue.LV_BLOOD, Tissue.RV_BLOOD])


def random_appearance(rng: np.random.Generator, cut: Cut, randomisation: Randomisation) -> np.ndarray:
    """Image float32 [n, n] in -1..1, -1 outside of the field of view, in the cut's kind of contrast."""
    kind = cut.kind
    contrast = random_contrast(rng, kind, randomisation.amount("contrast"), cut.plane)
    size = cut.tissues.shape[-1]
    image = _paint(rng, contrast, cut.tissues, randomisation.amount("texture"), kind == "mr")
    if kind == "ct":
        image = _ct_artefacts(rng, image, cut, randomisation.amount("artefacts"))
    else:
        image = _mr_artefacts(rng, image, cut, contrast, randomisation.amount("artefacts"))
    left, right = _resolution(rng, size, kind, randomisation.amount("resolution"))
    image = left @ image @ right.T
    image = _noisy(rng, image, contrast, (left, right), randomisation.amount("noise"))
    low, high = _window(rng, cut, image, randomisation.amount("window"))
    if kind == "ct":
        image = _clipped(rng, image, randomisation.amount("window"))
    image = (image - np.float32(low)) * np.float32(2.0 / max(high - low, 1e-4)) - 1
    if kind != "ct" and rng.random() < 0.3 * randomisation.amount("window"):
        image = 2 * np.clip((image + 1) / 2, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.25))) - 1
    return np.where(cut.inside, np.clip(image, -1, 1), np.float32(-1)).astype(np.float32)


def _paint(
    rng: np.random.Generator, contrast: Contrast, tissues: np.ndarray, amount: float, meshed: bool
) -> np.ndarray:
    """Mean grey values through the slice's thickness, and all that varies within a tissue. meshed: whether the left
    ventricle may have a meshwork."""
    size, middle, mean = tissues.shape[-1], tissues[1], contrast.mean
    edge = np.float32(rng.uniform(0.12, 0.36))
    image = edge * (mean[tissues[0]] + mean[tissues[2]]) + (1 - 2 * edge) * mean[middle]
    if amount <= 0:
        return image
    slow, fine = smooth(rng, size, int(rng.integers(5, 22))), smooth(rng, size, int(rng.integers(24, 90)))
    image += (contrast.flow * amount)[middle] * slow + (contrast.texture * amount)[middle] * fine
    if rng.random() < 0.75 * amount:
        vessels = np.clip((fine - rng.uniform(1.4, 2.6)) * 2.5, 0, 1) * np.float32(rng.uniform(0.4, 1))
        image += (middle == Tissue.LUNG) * vessels * (mean[Tissue.LUNG_VESSEL] - mean[Tissue.LUNG])
    if rng.random() < 0.4 * amount:
        _trabeculae(rng, image, middle, fine, mean)
    if meshed and rng.random() < meshwork.SHARE * amount:
        meshwork.add(rng, image, middle, float(mean[Tissue.MYOCARDIUM]))
    if rng.random() < 0.25 * amount:
        _patch(rng, image, middle, mean)
    if contrast.name == "late enhancement" and rng.random() < SCAR_SHARE * amount:
        _scar(rng, image, middle, mean)
    return image


def _scar(rng: np.random.Generator, image: np.ndarray, middle: np.ndarray, mean: np.ndarray) -> None:
    """Parts of the myocardium as bright as blood or brighter, in place: fibrosis that has taken up gadolinium."""
    spot = np.clip((smooth(rng, len(image), int(rng.integers(3, 9))) - rng.uniform(0.0, 1.2)) * 4, 0, 1)
    bright = mean[Tissue.LV_BLOOD] * np.float32(rng.uniform(0.8, 1.4))
    image += (middle == Tissue.MYOCARDIUM) * spot * (bright - image)


def _trabeculae(
    rng: np.random.Generator, image: np.ndarray, middle: np.ndarray, fine: np.ndarray, mean: np.ndarray
) -> None:
    """Muscle beams in the blood near the ventricles' walls, in place: they count as blood (MM-WHS)."""
    wall = MUSCLE[middle].astype(np.float32)
    blur = effects.gauss(len(image), rng.uniform(1.5, 5.0))
    near = np.clip((blur @ wall @ blur.T) * 4 - 0.3, 0, 1) * CAVITIES[middle]
    beams = np.clip((fine - np.float32(rng.uniform(-0.4, 1.0))) * 2, 0, 1) * near
    image += beams * (mean[Tissue.MYOCARDIUM] - image) * np.float32(rng.uniform(0.3, 1))


def _patch(rng: np.random.Generator, image: np.ndarray, middle: np.ndarray, mean: np.ndarray) -> None:
    """Part of a kind of tissue looks like another, in place: scars, effusions, atelectasis, clot, swirls, infiltrates."""
    shown = np.unique(middle)
    tissue, other = rng.choice(shown, 2)
    members = _mask(group_of(int(tissue)) if rng.random() < 0.5 else [int(tissue)])
    spot = np.clip((smooth(rng, len(image), int(rng.integers(3, 14))) - rng.uniform(0.3, 1.6)) * 3, 0, 1)
    if tissue != AIR:
        image += members[middle] * spot * (mean[other] - image) * np.float32(rng.uniform(0.2, 1))


def _ct_artefacts(rng: np.random.Generator, image: np.ndarray, cut: Cut, amount: float) -> np.ndarray:
    """Streaks from dense contrast medium and metal, beam hardening, scatter (HU); `image` is changed and returned."""
    size = len(image)
    if rng.random() < 0.5 * amount:
        image += smooth(rng, size, int(rng.integers(2, 6)), rng.gamma(1.5, 8.0))
    if rng.random() < 0.1 * amount:  # a lead, a clip, a stent or a coil that the tissue map does not have
        row, column = rng.uniform(0.15, 0.85, 2) * size
        spot = effects.blob(rng, size, row, column, rng.uniform(0.6, 3.0))
        image += spot * np.float32(rng.uniform(600, 3000))
        rays = effects.streaks(rng, size, row, column, rng.uniform(0.1, 0.5) * size, int(rng.integers(8, 40)))
        image += rays * np.float32(rng.gamma(2, 90))
    if rng.random() < 0.35 * amount:
        dense = np.argwhere(DENSE[cut.tissues[1]])
        if len(dense):
            row, column = dense[int(rng.integers(len(dense)))]
            rays = effects.streaks(rng, size, row, column, rng.uniform(0.1, 0.6) * size, int(rng.integers(8, 40)))
            image += rays * np.float32(rng.gamma(1.5, 40))
    if rng.random() < 0.12 * amount:  # photon starvation through shoulders and arms
        lines = rng.standard_normal((size, 1), dtype=np.float32)
        blur = effects.gauss(size, rng.uniform(0.4, 1.5))
        lines = (blur @ lines) * np.float32(rng.gamma(2, 12))
        image += lines * (0.6 + 0.4 * smooth(rng, size, 3))
    return image


def _mr_artefacts(
    rng: np.random.Generator, image: np.ndarray, cut: Cut, contrast: Contrast, amount: float
) -> np.ndarray:
    """Flow voids, banding, dark fat-water borders, coil shading, slab borders, ghosts (relative signals); `image` is
    changed and returned."""
    size, middle = len(image), cut.tissues[1]
    if contrast.name == "steady state" and rng.random() < 0.3 * amount:
        image *= np.where(_mask(GROUPS["fat"])[middle], np.float32(-1), np.float32(1))  # of opposite phase
    if rng.random() < 0.3 * amount:
        blood = np.argwhere(BLOOD[middle])
        for _ in range(int(rng.integers(1, 4)) if len(blood) else 0):
            row, column = blood[int(rng.integers(len(blood)))]
            jet = effects.blob(rng, size, row, column, rng.uniform(2, 9))
            image *= 1 - jet * BLOOD[middle] * np.float32(rng.uniform(0.3, 1))
    if contrast.name != "gadolinium" and rng.random() < 0.2 * amount:
        image *= effects.bands(rng, size)
    if rng.random() < 0.85 * amount:
        image *= effects.shading(rng, size, amount)
    if rng.random() < 0.12 * amount:
        image *= effects.slab_border(rng, size)
    if rng.random() < 0.15 * amount:
        effects.ghosts(rng, image, amount)
    return image


def _resolution(rng: np.random.Generator, size: int, kind: str, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """Matrices [n, n] for rows (from the left) and columns: the scanner's kernel, its voxels, motion."""
    if amount <= 0:
        return np.eye(size, dtype=np.float32), np.eye(size, dtype=np.float32)
    sigma = rng.uniform(0.2, 0.75) if rng.random() < 0.65 else rng.uniform(0.75, 1.6)
    if kind == "ct" and rng.random() < 0.35:
        kernel = effects.sharp_kernel(size, 0.35 + sigma / 2, rng.uniform(0.1, 0.7) * amount)
    else:
        kernel = effects.gauss(size, sigma * amount)
    left = right = kernel
    if kind != "ct" and rng.random() < 0.35 * amount:
        soft = bool(rng.random() < 0.5)
        left = effects.band_limit(size, rng.uniform(0.35, 1.0), soft) @ left
        right = effects.band_limit(size, rng.uniform(0.35, 1.0), soft) @ right
    if rng.random() < 0.4 * amount:  # voxels larger than the network's pixels, the same or not on both axes
        pitches = rng.uniform(1.0, 2.6) * np.array([1.0, 1.0])
        if rng.random() < 0.5:
            pitches[rng.integers(2)] = rng.uniform(1.5, 5.0)
        left = effects.coarse_voxels(size, pitches[0], rng.random()) @ left
        right = effects.coarse_voxels(size, pitches[1], rng.random()) @ right
    if rng.random() < 0.12 * amount:
        move = effects.moved(size, rng.uniform(1, 5) * rng.choice([-1, 1]), rng.uniform(0.1, 0.5))
        if rng.random() < 0.5:
            left = move @ left
        else:
            right = move @ right
    return left, right


def _noisy(
    rng: np.random.Generator,
    image: np.ndarray,
    contrast: Contrast,
    resolution: tuple[np.ndarray, np.ndarray],
    amount: float,
) -> np.ndarray:
    """With noise of some grain: Gaussian in CT, Rician in MR (the magnitude is taken), either in `any`."""
    if amount <= 0:
        return image if contrast.kind == "ct" else np.abs(image)
    sigma = rng.gamma(2.0, 11.0) if contrast.kind == "ct" else rng.gamma(1.5, 0.03)
    if rng.random() < 0.08:
        sigma *= 2.5
    noise = _grain(rng, len(image), resolution) * np.float32(sigma * amount)
    if rng.random() < 0.4:
        noise *= np.exp(smooth(rng, len(image), 2, 0.3))
    if contrast.kind == "ct":
        return image + noise
    if contrast.kind == "any" and rng.random() < 0.5:
        return np.abs(image + noise)
    return np.hypot(image + noise, _grain(rng, len(image), resolution) * np.float32(sigma * amount))


def _grain(rng: np.random.Generator, size: int, resolution: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Noise of variance 1: white, soft, with few low frequencies as of a sharp kernel, or as coarse as the voxels."""
    noise = rng.standard_normal((size, size), dtype=np.float32)
    choice = rng.random()
    if choice < 0.18:
        return noise
    if choice < 0.55:
        blur = effects.gauss(size, rng.uniform(0.4, 1.2))
        noise = blur @ noise @ blur.T
    elif choice < 0.75:
        blur, wide = effects.gauss(size, rng.uniform(0.35, 0.7)), effects.gauss(size, rng.uniform(1.0, 2.0))
        noise = blur @ noise @ blur.T
        noise -= np.float32(rng.uniform(0.4, 1)) * (wide @ noise @ wide.T)
    else:
        noise = resolution[0] @ noise @ resolution[1].T
    return noise / max(float(noise[::2, ::2].std()), 1e-6)


def _clipped(rng: np.random.Generator, image: np.ndarray, amount: float) -> np.ndarray:
    """HU as some files hold them: cut by a window when they were stored, all below as dark as can be or as it was cut."""
    if rng.random() >= 0.25 * amount:
        return image
    low, high = rng.uniform(-220, -20), rng.uniform(280, 700)
    floor = low if rng.random() < 0.4 else -1000.0
    return np.where(image < low, np.float32(floor), np.minimum(image, np.float32(high)))


def _window(rng: np.random.Generator, cut: Cut, image: np.ndarray, amount: float) -> tuple[float, float]:
    """The grey values that become -1 and 1: as inference does it, for scans whose values are not what they should be."""
    if cut.kind == "ct" and rng.random() >= 0.12 * amount:
        gain, offset = np.exp(rng.normal(0, 0.07)), rng.normal(0, 18)
        if rng.random() < 0.25:
            gain, offset = rng.uniform(0.75, 1.35), rng.normal(0, 55)
        low, high = WINDOW_HU
        gain, offset = gain**amount, offset * amount
        return low * gain + offset, high * gain + offset
    seen = image[cut.inside][::3] if amount > 0 else image[cut.inside]
    below, above = rng.uniform(0, 3) * amount, rng.gamma(1.3, 2.0) * amount  # percent
    low, high = np.percentile(seen, [min(below, 45.0), 100 - min(above, 45.0)])
    # The volume's percentiles are not this slice's; fat at the coil may be twice as bright as the heart far from it.
    farthest = FAR_FROM_COIL if cut.kind == "mr" and rng.random() < 0.5 else 0.35
    high += rng.uniform(-0.3, farthest) * amount * (high - low)
    return float(low), float(high)
