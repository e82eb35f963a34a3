"""Random slices through what is not a thorax: heads and limbs, so that a network learns where no heart is.

They are drawn in two dimensions of the phantom's tissues, and everything that a slice of a thorax can look like they can
look like, too. All sizes and shares are ours, about those of adults and children.
"""

from __future__ import annotations

import numpy as np

from ..tissues import Tissue
from .planes import Cut, bent, field_of_view, random_pixel_mm, smooth
from .randomisation import Randomisation

T = Tissue
LIMB_SHARE = 0.25
OFF_CENTRE_MM = 22.0  # standard deviation
ROUGH_MM = (0.0, 7.0)  # how far an outline strays from an ellipse


def random_body(rng: np.random.Generator, size: int, randomisation: Randomisation, kind: str) -> Cut:
    """A slice of `size` pixels through a head or a limb; nothing in it is labelled. Its plane is "head" or "limb"."""
    coarse, pixel_mm = random_pixel_mm(rng, randomisation)
    u, v = bent(rng, size, pixel_mm, randomisation.amount("bend"))
    u, v = u - np.float32(rng.normal(0, OFF_CENTRE_MM)), v - np.float32(rng.normal(0, OFF_CENTRE_MM))
    plane = "limb" if rng.random() < LIMB_SHARE else "head"
    tissues = (limb if plane == "limb" else head)(rng, u, v)
    inside = field_of_view(rng, size, np.ones((size, size), bool), coarse)
    return Cut(np.repeat(tissues[None], 3, axis=0), inside, pixel_mm, plane, kind)


def head(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Scalp, skull and brain with its ventricles, vessels and the cavities of the face: tissues uint8 of the shape of u.

    u, v: mm from the middle, to the patient's side and to the back.
    """
    half = rng.uniform((60, 70), (85, 108))
    depth = _depth(rng, u, v, half)
    tissues = np.full(u.shape, T.AIR, np.uint8)
    layers: list[tuple[Tissue, float | np.ndarray]] = [
        (T.SKIN, rng.uniform(1.5, 3)),
        (T.FAT, rng.uniform(1, 9)),
        (T.MUSCLE, rng.uniform(0, 6) * (smooth(rng, len(u), 3) > 0)),
        (T.CORTICAL_BONE, rng.uniform(1, 3)),
        (T.MARROW, rng.uniform(0, 4)),
        (T.CORTICAL_BONE, rng.uniform(1, 3)),
        (T.PERICARDIAL_FLUID, rng.uniform(0, 5)),  # as clear as what surrounds the brain
        (T.SPLEEN, rng.uniform(3, 8)),  # of grey matter, an organ as good as any
    ]
    below = _paint_layers(tissues, depth, layers)
    tissues[below > 0] = T.LIVER  # of white matter
    folds = (np.abs(smooth(rng, len(u), int(rng.integers(9, 16)))) < 0.25) & (below > -8) & (below < 14)
    tissues[folds] = T.PERICARDIAL_FLUID
    middle, wide = rng.normal(0, 12), rng.uniform(2, 16)
    for side in (-1, 1):
        long = rng.uniform(6, 35)
        ventricle = _ellipse(u - side * rng.uniform(4, 18), v - middle, wide, long)
        tissues[(ventricle < 1) & (below > 0)] = T.PERICARDIAL_FLUID
    for _ in range(int(rng.integers(0, 7))):
        place, radius = rng.normal(0, 30, 2), rng.uniform(1, 6)
        tissues[(_ellipse(u - place[0], v - place[1], radius, radius) < 1) & (below > 0)] = _vessel(rng)
    for _ in range(int(rng.integers(0, 4))):  # sinuses, mouth, mastoids
        place = rng.normal((0, -0.6 * half[1]), (22, 15))
        cavity = _ellipse(u - place[0], v - place[1], *rng.uniform(3, 20, 2))
        tissues[(cavity < 1.3) & (depth > 4)] = T.CORTICAL_BONE
        tissues[(cavity < 1) & (depth > 4)] = T.GAS
    return tissues


def limb(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """One or two bones, muscles and vessels under fat and skin: tissues uint8 of the shape of u; u, v as for `head`."""
    half = np.sqrt(rng.uniform(0.8, 1.25)) * rng.uniform(30, 95) * np.array([1.0, rng.uniform(0.8, 1.2)])
    depth = _depth(rng, u, v, half)
    tissues = np.full(u.shape, T.AIR, np.uint8)
    below = _paint_layers(tissues, depth, [(T.SKIN, 2.0), (T.FAT, rng.uniform(2, 0.35 * half.min()))])
    tissues[below > 0] = T.MUSCLE
    seams = np.abs(smooth(rng, len(u), int(rng.integers(4, 9)))) < rng.uniform(0.03, 0.15)
    tissues[seams & (below > 0)] = T.FAT
    for _ in range(int(rng.integers(1, 3))):
        place, radius = rng.normal(0, 0.25, 2) * half, rng.uniform(0.12, 0.32) * half.min()
        shaft = _ellipse(u - place[0], v - place[1], radius, radius * rng.uniform(0.8, 1.3))
        tissues[(shaft < 1) & (below > 0)] = T.CORTICAL_BONE
        tissues[(shaft < rng.uniform(0.3, 0.9)) & (below > 0)] = T.MARROW
    for _ in range(int(rng.integers(1, 6))):
        place, radius = rng.normal(0, 0.4, 2) * half, rng.uniform(1.5, 6)
        tissues[(_ellipse(u - place[0], v - place[1], radius, radius) < 1) & (below > 0)] = _vessel(rng)
    return tissues


def _depth(rng: np.random.Generator, u: np.ndarray, v: np.ndarray, half: np.ndarray) -> np.ndarray:
    """About how many mm below the surface of a rough ellipse with these half axes (mm) a pixel lies; negative outside."""
    rough = smooth(rng, len(u), int(rng.integers(3, 7)), rng.uniform(*ROUGH_MM))
    return (1 - np.sqrt(_ellipse(u, v, *half))) * np.float32(half.mean()) + rough


def _ellipse(u: np.ndarray, v: np.ndarray, across: float, along: float) -> np.ndarray:
    """Square of the distance from the middle, 1 on the ellipse with these half axes."""
    return np.square(u / np.float32(across)) + np.square(v / np.float32(along))


def _paint_layers(
    tissues: np.ndarray, depth: np.ndarray, layers: list[tuple[Tissue, float | np.ndarray]]
) -> np.ndarray:
    """Paint layers of a thickness (mm, a number or one a pixel) from the surface inwards; returns the depth below them."""
    for tissue, thick in layers:
        tissues[(depth > 0) & (depth <= thick)] = tissue
        depth = depth - np.asarray(thick, np.float32)
    return depth


def _vessel(rng: np.random.Generator) -> Tissue:
    """An artery or a vein: which of them holds contrast medium, the contrast says."""
    return T(rng.choice([T.AORTA, T.AZYGOS_VEIN]))
