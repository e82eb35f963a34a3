"""Where a random training slice lies, and the tissues there: any plane, any zoom, smoothly bent.

A slice is shown as inference shows it (`slices.PLANES`): however oblique it is, its columns and rows run as in the
anatomical plane that lies nearest.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ...imaging import Geometry, Volume
from ...imaging.slices import choose_plane
from ...models import PLANES
from ..shapes import bspline_matrix
from ..tissues import LABEL_OF_TISSUE, LEFT_HEART, Tissue
from .randomisation import Randomisation

# All shares and ranges are ours.
FINE_MM = (0.68, 1.75)  # pixel sizes, least and most; a small heart at 1 mm looks like a large one at 1.7
COARSE_MM = (1.9, 3.4)
FAR_SHARE = (0.12, 0.4)  # fine, coarse: slices from anywhere ...
FAR_MM = (95.0, 190.0)  # ... up to so far from the heart
OFF_CENTRE_MM = (12.0, 35.0)  # fine, coarse: how far the heart is from a slice's middle, standard deviation
# By kind of contrast: CT is cut across the body, cardiac MR across and along the heart.
FRAME_SHARES = {
    "ct": {"axial": 0.48, "sagittal": 0.2, "coronal": 0.14, "short": 0.07, "long": 0.05, "oblique": 0.06},
    "mr": {"axial": 0.19, "sagittal": 0.15, "coronal": 0.08, "short": 0.34, "long": 0.17, "oblique": 0.07},
    "any": {"axial": 0.34, "sagittal": 0.18, "coronal": 0.1, "short": 0.21, "long": 0.1, "oblique": 0.07},
}
# Of these, how often a slice lies in its plane as a file that does not know the body may have it: turned anyhow.
TURNED_SHARES = {"short": 0.7, "long": 0.7, "oblique": 0.5}
TILT_DEG = 11.0  # standard deviation of the turn about a random axis
THICKNESS_MM = ((0.8, 4.0), (4.0, 10.0))  # of thin slices and of thick ones
THICK_SHARE = {"short": 0.85, "long": 0.8}  # of slices across or along the heart; of others OTHER_THICK
OTHER_THICK = 0.33
TIGHT_SHARE = {"ct": 0.05, "mr": 0.16, "any": 0.1}  # of scans cut off tightly around the heart, or around one chamber
TIGHT_HALF_MM = (35.0, 95.0)
TIGHT_OFF_MM = 9.0  # standard deviation
LAYERS = (-0.3, 0.0, 0.3)  # of the thickness: where across a slice it is looked at
LEAST_SHOWN = 0.2  # of a slice must lie within the scan


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A tissue map (uint8 [k, j, i]) with the place of its heart: `centre` (LPS mm) and standard deviation `spread` (mm
    along x, y, z) of the voxels of LEFT_HEART, `apex`: the unit vector from the left atrium's centre to the left
    ventricle's."""

    tissues: np.ndarray
    geometry: Geometry
    centre: np.ndarray
    spread: np.ndarray
    apex: np.ndarray


@dataclass(frozen=True, eq=False)
class Cut:
    """tissues: uint8 [3, n, n], layers of a slice whose middle one is labelled. inside: bool [n, n], what the scan shows.
    pixel_mm: its pixel size. plane: a key of FRAME_SHARES, or a body without a heart (`bodies`). kind: of contrast that
    it is meant for, one of `randomisation.KINDS`."""

    tissues: np.ndarray
    inside: np.ndarray
    pixel_mm: float
    plane: str
    kind: str

    @property
    def labels(self) -> np.ndarray:
        """uint8 [n, n], 0..7."""
        return np.where(self.inside, LABEL_OF_TISSUE[self.tissues[1]], 0).astype(np.uint8)


def anatomy_of(tissues: Volume) -> Anatomy:
    """A tissue map that holds left atrium and left ventricle, with where they are."""
    labels = LABEL_OF_TISSUE[tissues.array]
    points = tissues.geometry.point(np.argwhere(LEFT_HEART[tissues.array])[:, ::-1])
    middle = {v: tissues.geometry.point(np.argwhere(labels == v).mean(axis=0)[::-1]) for v in (2, 3)}
    apex = middle[3] - middle[2]
    return Anatomy(
        tissues.array, tissues.geometry, points.mean(axis=0), points.std(axis=0), apex / np.linalg.norm(apex)
    )


def random_cut(rng: np.random.Generator, anatomy: Anatomy, size: int, randomisation: Randomisation, kind: str) -> Cut:
    """A slice somewhere through the anatomy, `size` pixels wide and high, in a plane that scans of that kind have."""
    coarse, pixel_mm = random_pixel_mm(rng, randomisation)
    plane, frame = _frame(rng, anatomy, randomisation.amount("planes"), kind)
    centre = _centre(rng, anatomy, frame, coarse, plane)
    u, v = bent(rng, size, pixel_mm, randomisation.amount("bend"))
    thick = int(rng.random() < THICK_SHARE.get(plane, OTHER_THICK))
    thickness = rng.uniform(*THICKNESS_MM[thick]) * min(1.0, randomisation.amount("resolution"))
    tissues, there = _read(anatomy, centre, u, v, frame, thickness)
    inside = field_of_view(rng, size, there, coarse)
    if rng.random() < TIGHT_SHARE[kind] * (not coarse):
        inside = _tight(rng, inside, LABEL_OF_TISSUE[tissues[1]], pixel_mm)
    return Cut(tissues, inside, pixel_mm, plane, kind)


def _tight(rng: np.random.Generator, inside: np.ndarray, labels: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Of a field of view, a rectangle about the labelled structures or about one of them; all of it where that is none."""
    shown = np.unique(labels[labels > 0])
    if not shown.size:
        return inside
    around = labels > 0 if rng.random() < 0.7 else labels == rng.choice(shown)
    middle = np.argwhere(around).mean(axis=0) + rng.normal(0, TIGHT_OFF_MM / pixel_mm, 2)
    half = rng.uniform(*TIGHT_HALF_MM, 2) / pixel_mm
    low, high = np.maximum(middle - half, 0).astype(int), np.ceil(middle + half).astype(int)
    cut = np.zeros_like(inside)
    cut[low[0] : high[0], low[1] : high[1]] = inside[low[0] : high[0], low[1] : high[1]]
    return cut


def random_pixel_mm(rng: np.random.Generator, randomisation: Randomisation) -> tuple[bool, float]:
    """Whether the slice is as the coarse pass sees it, and its pixel size."""
    coarse = bool(rng.random() < randomisation.coarse)
    low, high = np.log(COARSE_MM if coarse else FINE_MM)
    middle, zoom = (low + high) / 2, randomisation.amount("zoom")
    return coarse, float(np.exp(middle + zoom * (rng.uniform(low, high) - middle)))


def _frame(rng: np.random.Generator, anatomy: Anatomy, amount: float, kind: str) -> tuple[str, np.ndarray]:
    """Name and unit vectors [3, 3] (columns, rows, across) of a random plane, LPS."""
    shares = FRAME_SHARES[kind]
    plane = str(rng.choice(list(shares), p=list(shares.values())))
    if rng.random() >= amount:  # as rarely as an ablation wants it
        plane = plane if plane in PLANES else "axial"
    if plane in PLANES:
        frame = np.array([sign * np.eye(3)[axis] for axis, sign in PLANES[plane]])
    elif plane == "oblique":
        frame = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    else:
        frame = _across_or_along(rng, anatomy.apex, plane == "short")
    frame = as_shown(frame @ turn(rng.normal(size=3), np.radians(rng.normal(0, TILT_DEG)) * amount).T)
    if rng.random() < TURNED_SHARES.get(plane, 0.0) * amount:
        frame = frame @ turn(frame[2], rng.uniform(0, 2 * np.pi)).T
    return plane, frame


def _across_or_along(rng: np.random.Generator, apex: np.ndarray, short: bool) -> np.ndarray:
    """Frame [3, 3] of a plane across the heart's long axis `apex` (short), or through it, turned anyhow about that axis and
    in itself."""
    other = np.cross(apex, rng.normal(size=3))
    other /= np.linalg.norm(other)
    third = np.cross(apex, other)
    if short:
        return np.stack([other, third, apex])
    angle = rng.uniform(0, 2 * np.pi)
    return np.stack([np.cos(angle) * apex + np.sin(angle) * other, np.cos(angle) * other - np.sin(angle) * apex, third])


def turn(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation matrix [3, 3] by `angle` (radians) about `axis` of any length (Rodrigues)."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def as_shown(frame: np.ndarray) -> np.ndarray:
    """The same plane with columns, rows and across as `slices.choose_plane` lays them: frame [3, 3], rows unit vectors."""
    stack = Geometry((1, 1, 1), (0.0, 0.0, 0.0), (1.0, 1.0, 2.0), tuple(frame.T.ravel()))  # coarser across
    plane = choose_plane(stack)
    return np.stack([frame[axis] * sign for axis, sign in zip(plane.axes, plane.signs, strict=True)])


def _centre(rng: np.random.Generator, anatomy: Anatomy, frame: np.ndarray, coarse: bool, plane: str) -> np.ndarray:
    """LPS mm of the middle of the slice: near the heart in the plane; across it through the heart, or far away."""
    columns, rows, across = frame
    centre = anatomy.centre + rng.normal(0, 0.6, 3) * anatomy.spread
    centre -= across * np.dot(centre - anatomy.centre, across)
    spread = float(np.sqrt((across**2 * anatomy.spread**2).sum()))
    if rng.random() < FAR_SHARE[coarse]:
        centre += across * rng.uniform(-1, 1) * FAR_MM[coarse]
    else:
        centre += across * rng.normal(0, 0.5 if plane == "long" else 1.35) * spread
    return centre + (columns * rng.normal(0, 1) + rows * rng.normal(0, 1)) * OFF_CENTRE_MM[coarse]


def bent(rng: np.random.Generator, size: int, pixel_mm: float, amount: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions (mm) along columns and rows, float32 [size, size], about the middle: stretched, sheared, bent."""
    pixel = ((np.arange(size) - (size - 1) / 2) * pixel_mm).astype(np.float32)
    stretch = np.exp(rng.normal(0, 0.09, 2) * amount).astype(np.float32)
    shear = np.float32(rng.normal(0, 0.07) * amount)
    knots = int(rng.integers(3, 7))
    bend = rng.uniform(0, 4.2) * max(pixel_mm, 1.0) * min(1.0, 4.0 / knots) * amount  # mm
    u, v = smooth(rng, size, knots, bend), smooth(rng, size, knots, bend)
    u += (pixel * stretch[0])[None, :] + (pixel * shear)[:, None]
    v += (pixel * stretch[1])[:, None]
    return u, v


def smooth(rng: np.random.Generator, size: int, knots: int, amplitude: float = 1.0) -> np.ndarray:
    """Smooth random field float32 [size, size], mean 0 and about that standard deviation, with `knots` bumps a side."""
    spline = bspline_matrix(np.linspace(0, knots - 1, size), knots + 2)
    values = rng.standard_normal((knots + 2, knots + 2), dtype=np.float32)
    return (spline @ values @ spline.T) * np.float32(2.08 * amplitude)  # the weights shrink it by 0.48


def _read(
    anatomy: Anatomy, centre: np.ndarray, u: np.ndarray, v: np.ndarray, frame: np.ndarray, thickness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Tissues uint8 [3, n, n] and where the map holds any, bool [n, n]."""
    g = anatomy.geometry
    inverse = (np.linalg.inv(g.axes) / np.asarray(g.spacing)[:, None]).astype(np.float32)
    start = g.index(centre).astype(np.float32)
    du, dv, across = (inverse @ np.asarray(d, np.float32) for d in (*frame[:2], frame[2] * thickness))
    index = [start[a] + du[a] * u + dv[a] * v for a in range(3)]  # i, j, k of the middle layer
    flat, (ni, nj, nk) = anatomy.tissues.ravel(), g.size
    layers = []
    for part in LAYERS:
        i, j, k = (
            np.clip((x + (across[a] * part + 0.5)).astype(np.int32), 0, n - 1)
            for a, (x, n) in enumerate(zip(index, g.size, strict=True))
        )
        layers.append(flat.take((k * nj + j) * ni + i))
    there = np.ones(u.shape, bool)
    for x, n in zip(index, g.size, strict=True):
        there &= (x >= -0.5) & (x <= n - 0.5)
    nearest = layers[1].copy()
    _smooth_borders(layers[1], flat, index, (ni, nj, nk))
    tissues = np.stack([np.where(layer == nearest, layers[1], layer) for layer in layers])
    tissues[:, ~there] = Tissue.AIR
    return tissues, there


def _smooth_borders(nearest: np.ndarray, flat: np.ndarray, index: list[np.ndarray], size: tuple[int, int, int]) -> None:
    """Where tissues meet, let the eight voxels around vote with their trilinear weights, in place of the nearest one:
    else every border would run in steps as large as the map's voxels, and no scan's does."""
    height, width = nearest.shape
    border = np.zeros((height, width), bool)
    across, down = nearest[:, 1:] != nearest[:, :-1], nearest[1:] != nearest[:-1]
    for shift in (0, 1):
        border[:, shift : width - 1 + shift] |= across
        border[shift : height - 1 + shift] |= down
    grown = border.copy()
    for one, other in ((grown, border), (grown.T, border.T)):  # by a pixel
        one[1:] |= other[:-1]
        one[:-1] |= other[1:]
    where = np.flatnonzero(grown)
    if where.size == 0:
        return
    low, weight = [], []
    for x, n in zip(index, size, strict=True):
        position = np.clip(x.ravel()[where], 0, n - 1.001)
        low.append(position.astype(np.int32))
        weight.append(position - low[-1])
    corners, votes = [], []
    for a, b, c in itertools.product((0, 1), repeat=3):
        corners.append(flat.take(((low[2] + c) * size[1] + low[1] + b) * size[0] + low[0] + a))
        share = [w if side else 1 - w for w, side in zip(weight, (a, b, c), strict=True)]
        votes.append(share[0] * share[1] * share[2])
    best, most = corners[0].copy(), np.zeros(where.size, np.float32)
    for tissue in corners:
        total = np.zeros(where.size, np.float32)
        for other, vote in zip(corners, votes, strict=True):
            total += vote * (other == tissue)
        better = total > most
        best[better], most[better] = tissue[better], total[better]
    nearest.ravel()[where] = best


def field_of_view(rng: np.random.Generator, size: int, there: np.ndarray, coarse: bool) -> np.ndarray:
    """Bool [size, size]: where the map holds tissues and the scan shows them; sometimes that ends inside of the slice,
    straight or as CT's circle."""
    inside = there.copy()
    chance = rng.random()
    if chance < 0.3:
        for axis, end in itertools.product((0, 1), (0, 1)):
            if rng.random() < 0.5:
                cut = int(rng.uniform(0, 0.25) * size)
                edge = slice(0, cut) if end == 0 else slice(size - cut, size)
                inside[(edge, slice(None)) if axis == 0 else (slice(None), edge)] = False
    elif chance < (0.5 if coarse else 0.36):
        y, x = np.ogrid[:size, :size]
        middle = (size - 1) / 2 + rng.normal(0, 0.05, 2) * size
        inside &= (x - middle[0]) ** 2 + (y - middle[1]) ** 2 < (rng.uniform(0.42, 0.66) * size) ** 2
    return inside if inside.mean() > LEAST_SHOWN else there
