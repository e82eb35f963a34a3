"""Scans of every kind in which a heart may have to be found, drawn from phantoms: cut, turned, mixed up, or without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation
from SIFALib import phantom
from SIFALib.imaging import reading
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.localisation import SMALL, TURNS
from SIFALib.models import PAPERS
from SIFALib.phantom.tissues import known_to

SPACING_MM = 3.0
CROP_MM = 192.0  # side of the bundled model's slices


@dataclass(frozen=True)
class Case:
    """A scan and its labels; `heart`: whether it shows one; `lies`: whether its header is wrong."""

    image: Volume
    labels: Volume
    heart: bool = True
    lies: bool = False


def draw(number: int, scenario: str, cache: Path, seeds: range) -> Case:
    """Case `number`: an anatomy, a modality and all else by chance, the same whenever it is asked for."""
    rng = np.random.default_rng([7, number])
    turn = number // len(SCENARIOS)
    seed, modality = seeds[turn % len(seeds)], ("ct", "mr")[(turn + turn // len(seeds)) % 2]
    tissues = reading.read(cache / f"{seed}.nrrd")
    image = phantom.appearance(tissues, seed + number, modality)
    labels = Volume(phantom.tissues.LABEL_OF_TISSUE[tissues.array], tissues.geometry, "labels")
    whole = Case(Volume(image.array, image.geometry, f"{modality} {seed} {scenario}"), labels)
    return SCENARIOS[scenario](rng, whole)


def box_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """(low, high) voxels [k, j, i] of the papers' four structures, both within them."""
    where = np.argwhere(known_to(case.labels.array, len(PAPERS) + 1))
    return where.min(axis=0), where.max(axis=0)


def cut(case: Case, low: np.ndarray, high: np.ndarray) -> Case:
    """The block from voxel `low` to voxel `high` (k, j, i; cut to what there is)."""
    low, high = (np.maximum(low, 0).astype(int), np.minimum(high, np.array(case.image.array.shape) - 1).astype(int))
    block = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
    geometry = case.image.geometry.part(low[::-1], (high - low + 1)[::-1])
    parts = (Volume(np.ascontiguousarray(v.array[block]), geometry, v.name) for v in (case.image, case.labels))
    image, labels = parts
    return replace(case, image=image, labels=labels)


def mm(low: float, high: float, rng: np.random.Generator, n: int = 3) -> np.ndarray:
    """n random lengths in voxels."""
    return np.rint(rng.uniform(low, high, n) / SPACING_MM)


def whole_thorax(rng: np.random.Generator, case: Case) -> Case:
    low, high = box_of(case)
    size = np.array(case.image.array.shape) - 1
    return cut(case, rng.uniform(0, 0.5, 3) * low, high + rng.uniform(0.5, 1, 3) * (size - high))


def abdomen_too(rng: np.random.Generator, case: Case) -> Case:
    """The slices below the heart once more, upside down, and again: as long as a scan of the trunk."""
    low, _ = box_of(case)
    below = slice(0, max(4, int(low[0]) - 3))
    repeats = int(rng.integers(1, 4))
    rows = [(v.array, v.array[below]) for v in (case.image, case.labels)]
    grown = []
    for array, part in rows:
        for n in range(repeats):
            array = np.concatenate([part[::-1] if n % 2 == 0 else part, array])
        grown.append(array)
    geometry = case.image.geometry
    start = (0, 0, -repeats * (below.stop))
    longer = geometry.part(start, grown[0].shape[::-1])
    return replace(case, image=Volume(grown[0], longer, case.image.name), labels=Volume(grown[1], longer, "labels"))


def tight(rng: np.random.Generator, case: Case) -> Case:
    low, high = box_of(case)
    return cut(case, low - mm(5, 30, rng), high + mm(5, 30, rng))


def cut_off(rng: np.random.Generator, case: Case) -> Case:
    """A quarter to a half of the heart lies beyond one side of the scan."""
    low, high = box_of(case)
    axis, end = int(rng.choice([0, 0, 0, 1, 2])), int(rng.integers(2))
    ends = [np.zeros(3), np.array(case.image.array.shape) - 1.0]
    share = rng.uniform(0.25, 0.5) * (high - low)[axis]
    ends[end][axis] = low[axis] + share if end == 0 else high[axis] - share
    return cut(case, ends[0], ends[1])


def stored_otherwise(rng: np.random.Generator, case: Case) -> Case:
    """Axes in another order and direction, and an oblique patient: the header tells all of it."""
    order, signs = rng.permutation(3), rng.choice([-1, 1], 3)
    tilt = Rotation.from_rotvec(np.radians(rng.normal(0, 12)) * unit(rng)).as_matrix()
    image = restored(case.image, order, signs, tilt)
    return replace(case, image=image, labels=restored(case.labels, order, signs, tilt))


def unit(rng: np.random.Generator) -> np.ndarray:
    axis = rng.normal(size=3)
    return axis / np.linalg.norm(axis)


def restored(scan: Volume, order: np.ndarray, signs: np.ndarray, tilt: np.ndarray) -> Volume:
    """The same scan with index axis n being the old axis order[n], run backwards where signs[n] is -1; then tilted."""
    array = scan.array.transpose([2 - order[2 - n] for n in range(3)])
    array = array[tuple(slice(None, None, int(signs[2 - n])) for n in range(3))]
    geometry = scan.geometry
    first = [0 if signs[n] > 0 else geometry.size[order[n]] - 1 for n in range(3)]
    corner = np.zeros(3)
    corner[order] = first
    axes = tilt @ (geometry.axes[:, order] * signs)
    origin = tilt @ geometry.point(corner)
    return Volume(
        np.ascontiguousarray(array),
        Geometry(array.shape[::-1], tuple(origin), tuple(np.array(geometry.spacing)[order]), tuple(axes.ravel())),
        scan.name,
    )


def wrong_header(rng: np.random.Generator, case: Case) -> Case:
    """The header says one of the three other patient positions."""
    case = whole_thorax(rng, case)
    turn = list(TURNS)[1 + int(rng.integers(3))]

    def lied(scan: Volume) -> Volume:
        axes = np.diag(turn) @ scan.geometry.axes
        return Volume(scan.array, replace(scan.geometry, direction=tuple(axes.ravel())), scan.name)

    return replace(case, image=lied(case.image), labels=lied(case.labels), lies=True)


def abdomen_alone(rng: np.random.Generator, case: Case) -> Case:
    low, _ = box_of(case)
    size = np.array(case.image.array.shape) - 1
    return replace(cut(case, np.zeros(3), np.array([low[0] - 4, size[1], size[2]])), heart=False)


def abdomen_tight(rng: np.random.Generator, case: Case) -> Case:
    """A field of view in the abdomen as small as one around a heart."""
    low, high = box_of(case)
    middle = (low + high) / 2
    top = low[0] - 4
    half = 0.5 * rng.uniform(0.6, 0.95) * SMALL * CROP_MM / SPACING_MM
    ends = (np.array([0, middle[1] - half, middle[2] - half]), np.array([top, middle[1] + half, middle[2] + half]))
    return replace(cut(case, *ends), heart=False)


def shoulders(rng: np.random.Generator, case: Case) -> Case:
    _, high = box_of(case)
    size = np.array(case.image.array.shape) - 1
    return replace(cut(case, np.array([min(high[0] + 4, size[0] - 1), 0, 0]), size), heart=False)


def head(rng: np.random.Generator, case: Case) -> Case:
    """Nothing but ellipsoids: skin, skull, brain with ventricles, and an air cavity, in the case's grey values."""
    shape, spacing = (70, 72, 60), SPACING_MM
    z, y, x = (
        np.arange(n)[tuple(slice(None) if a == b else None for b in range(3))] * spacing for a, n in enumerate(shape)
    )
    centre = np.array(shape) * spacing / 2 + rng.normal(0, 4, 3)
    radii = np.array([95.0, 98.0, 78.0]) * rng.uniform(0.9, 1.08, 3)

    def inside(
        scale: float, at: tuple[float, float, float] = (0, 0, 0), r: tuple[float, ...] = (1, 1, 1)
    ) -> np.ndarray:
        c = centre + np.array(at)
        k = radii * scale * np.array(r)
        return ((z - c[0]) / k[0]) ** 2 + ((y - c[1]) / k[1]) ** 2 + ((x - c[2]) / k[2]) ** 2 < 1

    ct = case.image.array.min() < -500
    air, skin, bone, brain, fluid = (-1000, 20, 1100, 38, 5) if ct else (0, 500, 40, 330, 620)
    array = np.full(shape, air, np.float32)
    for value, mask in (
        (skin, inside(1.0)),
        (bone, inside(0.93)),
        (brain, inside(0.87)),
        (fluid, inside(0.2, (10, 0, 14), (1, 2, 0.7)) | inside(0.2, (10, 0, -14), (1, 2, 0.7))),
        (air, inside(0.2, (-45, -60, 0))),
    ):
        array[mask] = value
    array += rng.normal(0, 12.0, shape)
    array = np.clip(array, -1024, None) if ct else np.abs(array)
    geometry = Geometry(shape[::-1], (0.0, 0.0, 0.0), (spacing,) * 3)
    nothing = Volume(np.zeros(shape, np.uint8), geometry, "labels")
    return Case(Volume(array.astype(np.int16), geometry, case.image.name), nothing, heart=False)


SCENARIOS: dict[str, Callable[[np.random.Generator, Case], Case]] = {
    "whole thorax": whole_thorax,
    "abdomen and thorax": abdomen_too,
    "tight around the heart": tight,
    "heart cut off": cut_off,
    "stored otherwise, oblique": stored_otherwise,
    "wrong header": wrong_header,
    "no heart: abdomen": abdomen_alone,
    "no heart: small abdomen": abdomen_tight,
    "no heart: shoulders": shoulders,
    "no heart: head": head,
}
