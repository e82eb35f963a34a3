"""Random slices of phantoms for training: any plane, any contrast, with exact labels.

An anatomy is a tissue map; a slice is cut out of it at random, every tissue gets a grey value (as in CT, as in MR,
or any at all), and blur, noise, coil shading and cut fields of view are laid over it. Domain randomisation of this
kind is due to Billot et al., "SynthSeg", Medical Image Analysis 2023; anatomy and appearance here are our own.

A slice depends on the anatomies, the seed and its number alone, so that a training can stop and go on anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from . import phantom, random_contrast
from .phantom.tissues import LABEL_OF_TISSUE, Tissue
from .volume import Geometry, Volume

COARSE_SHARE = 0.3  # slices as the coarse pass sees them
FINE_MM, COARSE_MM = (0.85, 1.45), (2.0, 3.2)  # pixel sizes
LEAST_SHOWN = 0.1  # of a slice that must show anything
FAR_SHARE, FAR_MM = (
    (0.12, 0.4),
    (95.0, 190.0),
)  # fine, coarse: slices from anywhere, up to so far from the heart
FRAMES = {  # columns, rows, slices in LPS; as inference cuts them
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}
FRAME_SHARES = (0.5, 0.28, 0.22)
TILT_DEG = 12.0  # standard deviation of the turn about a random axis
OBLIQUE_SHARE = 0.2  # slices turned much further
OBLIQUE_TILT_DEG = 40.0


@dataclass(frozen=True)
class Anatomy:
    """A tissue map with the LPS position of its heart: `centre` of the labelled structures and `spread` (mm, per axis)."""

    tissues: np.ndarray
    geometry: Geometry
    centre: np.ndarray
    spread: np.ndarray


def anatomy_of(tissues: Volume) -> Anatomy:
    heart = np.argwhere(LABEL_OF_TISSUE[tissues.array] > 0)[:, ::-1]
    points = tissues.geometry.point(heart)
    return Anatomy(tissues.array, tissues.geometry, points.mean(axis=0), points.std(axis=0))


def make_anatomies(folder: Path, seeds: Sequence[int], spacing_mm: float) -> None:
    """Write the tissue maps of `seeds` that `folder` does not hold yet (a file appears complete or not at all)."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.nrrd"
        if path.exists():
            continue
        temporary = path.with_name(f".{os.getpid()}-{seed}.nrrd")
        tissues, _ = phantom.anatomy(seed, spacing_mm)
        sitk.WriteImage(tissues.image(), str(temporary), True)
        os.replace(temporary, path)


def load_anatomies(folder: Path) -> list[Anatomy]:
    """All tissue maps in `folder`, in the order of their seeds."""
    paths = sorted(folder.glob("[0-9]*.nrrd"), key=lambda p: int(p.stem))
    return [anatomy_of(Volume.of(sitk.ReadImage(str(p)), p.stem)) for p in paths]


def random_slice(
    anatomies: Sequence[Anatomy], size: int, seed: int, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """Slice `number` of the endless row `seed`: image float32 [size, size] in -1..1, labels uint8 [size, size] 0..4."""
    rng = np.random.default_rng([seed, number])
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    tissues, inside = _cut(rng, anatomy, size)
    while inside.mean() < LEAST_SHOWN:  # a far or tilted slice may miss the thorax
        tissues, inside = _cut(rng, anatomy, size)
    image = _appearance(rng, tissues, inside)
    return image, np.where(inside, LABEL_OF_TISSUE[tissues[len(tissues) // 2]], 0).astype(np.uint8)


def _cut(rng: np.random.Generator, anatomy: Anatomy, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Tissues uint8 [3, size, size] in three layers of a slice, and the part that the scan's field of view shows."""
    coarse = rng.random() < COARSE_SHARE
    spacing = rng.uniform(*(COARSE_MM if coarse else FINE_MM))
    aspect = np.exp(rng.normal(0, 0.06, 2))
    thickness = rng.uniform(1.0, 4.0) if rng.random() < 0.6 else rng.uniform(4.0, 9.0)
    columns, rows, across = _frame(rng)
    centre = anatomy.centre + rng.normal(0, 0.6, 3) * anatomy.spread
    centre -= across * np.dot(centre - anatomy.centre, across)  # stay near the heart in the plane ...
    if rng.random() < FAR_SHARE[coarse]:  # ... and go through all that a scan may show besides ...
        centre += across * rng.uniform(-1, 1) * FAR_MM[coarse]
    else:  # ... or through the heart
        centre += across * rng.normal(0, 1.35) * np.sqrt((across**2 * anatomy.spread**2).sum())
    centre += (columns * rng.normal(0, 1) + rows * rng.normal(0, 1)) * (35.0 if coarse else 10.0)
    pixel = (np.arange(size) - (size - 1) / 2) * spacing
    bend_u, bend_v = _smooth(rng, size, 5, 3.0), _smooth(rng, size, 5, 3.0)  # mm
    u = (pixel * aspect[0])[None, :] + bend_u
    v = (pixel * aspect[1])[:, None] + bend_v
    plane = centre + u[..., None] * columns + v[..., None] * rows
    layers = plane[None] + (np.array([-0.3, 0.0, 0.3]) * thickness)[:, None, None, None] * across
    index = np.rint(anatomy.geometry.index(layers)).astype(int)
    n = np.array(anatomy.geometry.size)
    there = ((index >= 0) & (index < n)).all(axis=-1)
    i, j, k = np.moveaxis(np.clip(index, 0, n - 1), -1, 0)
    tissues = np.where(there, anatomy.tissues[k, j, i], Tissue.AIR).astype(np.uint8)
    return tissues, _field_of_view(rng, size, there[1], coarse)


def _frame(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit vectors (columns, rows, across) of a random plane: one of the three, turned a little or a lot."""
    frame = np.array(FRAMES[rng.choice(list(FRAMES), p=FRAME_SHARES)], float)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    tilt = OBLIQUE_TILT_DEG if rng.random() < OBLIQUE_SHARE else TILT_DEG
    angle = np.radians(rng.normal(0, tilt))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross  # Rodrigues
    columns, rows, across = frame @ turn.T
    return columns, rows, across


def _field_of_view(rng: np.random.Generator, size: int, there: np.ndarray, coarse: bool) -> np.ndarray:
    """Bool [size, size]: sometimes the scan ends inside of the slice, straight or as CT's circle."""
    inside = there.copy()
    if rng.random() < 0.3:
        for axis in (0, 1):
            for end in (0, 1):
                if rng.random() < 0.5:
                    cut = int(rng.uniform(0, 0.22) * size)
                    edge = slice(0, cut) if end == 0 else slice(size - cut, size)
                    inside[(edge, slice(None)) if axis == 0 else (slice(None), edge)] = False
    elif coarse and rng.random() < 0.3:
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        inside &= x**2 + y**2 < (rng.uniform(0.42, 0.6) * size) ** 2
    return inside if inside.mean() > 0.2 else there


def _appearance(rng: np.random.Generator, tissues: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Grey values float32 [size, size] in -1..1 for three layers of tissues; -1 outside of the field of view."""
    size = tissues.shape[-1]
    kind = rng.choice(["ct", "mr", "any"], p=[0.4, 0.3, 0.3])
    mean, texture = random_contrast.CONTRASTS[kind](rng)
    image = mean[tissues].mean(axis=0) + texture[tissues[1]] * _smooth(
        rng, size, int(rng.integers(16, 64)), 1.0
    )
    low, high = _window(rng, kind, image, inside)
    image = (image - low) * (2.0 / (high - low)) - 1.0
    if kind != "ct":
        image = (image + 1.0) * np.exp(_smooth(rng, size, 3, rng.uniform(0, 0.25))) - 1.0  # coil shading
        if rng.random() < 0.3:
            image = np.sign(image + 1) * np.abs((image + 1) / 2) ** np.exp(rng.normal(0, 0.25)) * 2 - 1
    image = _blur(image, rng.uniform(0.2, 1.2))
    noise = rng.normal(0, 1, image.shape)
    if rng.random() < 0.6:
        noise = _blur(noise, rng.uniform(0.4, 1.1))
        noise /= noise.std()
    image = image + noise * rng.gamma(1.6, 0.045)
    return np.where(inside, np.clip(image, -1, 1), -1).astype(np.float32)


def _window(
    rng: np.random.Generator, kind: str, image: np.ndarray, inside: np.ndarray
) -> tuple[float, float]:
    """The grey values that become -1 and 1: as inference does it, give or take."""
    if kind == "ct":
        low, high = -200.0 + rng.normal(0, 25), 600.0 + rng.normal(0, 60)
    else:
        low, high = np.percentile(image[inside], [rng.uniform(0, 3), rng.uniform(96, 100)])
        high += rng.uniform(-0.1, 0.35) * (high - low)  # the whole volume's percentiles are not this slice's
    return float(low), float(max(high, low + 1e-3))


def _smooth(rng: np.random.Generator, size: int, knots: int, amplitude: float) -> np.ndarray:
    """A smooth random field float [size, size]: normal numbers of that amplitude on a grid of knots, interpolated."""
    coarse = rng.normal(0, amplitude, (knots, knots))
    where = np.linspace(0, knots - 1, size)
    low = np.minimum(where.astype(int), knots - 2)
    weight = where - low
    rows = coarse[low] * (1 - weight)[:, None] + coarse[low + 1] * weight[:, None]
    return rows[:, low] * (1 - weight) + rows[:, low + 1] * weight


def _blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of [h, w], sigma in pixels, edges extended."""
    reach = max(1, int(3 * sigma + 0.5))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        padded = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        image = sum(
            w
            * padded[
                (slice(n, n + image.shape[0]), slice(None))
                if axis == 0
                else (slice(None), slice(n, n + image.shape[1]))
            ]
            for n, w in enumerate(kernel)
        )
    return image
