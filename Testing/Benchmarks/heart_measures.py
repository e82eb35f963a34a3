"""Measures of a heart as a label volume, the same for real and made-up ones: lengths mm, volumes ml, angles degrees.

Labels are those of `models.structures`: 1 MYO, 2 LA, 3 LV, 4 AA, 5 RV, 6 RA, 7 PA; what a volume lacks is not measured.
The left ventricle's axis goes from the middle of the mitral valve to the apex; `septal` is the way across it to the right
ventricle's centre, `upper` completes them. Segments: along the axis basal, middle, apical; around it septal, lateral (each
120 degrees) and between.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from SIFALib.imaging import Volume

MYO, LA, LV, AA, RV, RA, PA = range(1, 8)
LEVELS = {"basal": (0.15, 0.4), "middle": (0.4, 0.68), "apical": (0.68, 0.92)}
"""Parts of the way from mitral valve to apex."""
VALVE_MM = 6.0
"""Blood of a ventricle that is so near to an atrium or artery is at the valve."""
SLAB_MM = 6.0
"""Thickness of the short-axis slabs that are measured."""
OPENING_MM = 7.0
"""The atria's sizes are those without what is narrower than a ball of this radius: veins, appendages, where they are cut."""
SECTIONS = {"basal": 0.27, "middle": 0.5, "apical": 0.75}
"""Name -> where along the axis, as a part of the way from mitral valve to apex."""


@dataclass(frozen=True, eq=False)
class Heart:
    """Points (LPS mm) [n, 3] of each label, on a grid of `spacing` mm, with the left ventricle's frame."""

    points: dict[int, np.ndarray]
    spacing: float
    mitral: np.ndarray
    axes: np.ndarray
    """[3, 3], rows: unit vectors to the apex, septal, upper."""
    length: float
    """From mitral valve to apex."""

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """[n, 3]: along the axis, septal, upper, mm from the mitral valve."""
        return np.asarray((points - self.mitral) @ self.axes.T)

    def ml(self, label: int) -> float:
        return len(self.points.get(label, ())) * self.spacing**3 / 1000


def measures(volume: Volume) -> dict[str, float]:
    """All measures of a label volume with cubic voxels by name."""
    heart, depth_mm = heart_of(volume)
    found = _volumes(heart) | _left_ventricle(heart) | _wall(heart, volume, depth_mm) | _pose(heart)
    return found | _right_ventricle(heart) | _atria(heart, volume) | _vessels(heart) | _places(heart)


def heart_of(volume: Volume) -> tuple[Heart, dict[int, np.ndarray]]:
    """The heart's points and frame, and the distances of `_distance`."""
    depth_mm = _distance(volume)
    places = {v: np.argwhere(volume.array == v) for v in range(1, 8)}
    points = {v: volume.geometry.point(p[:, ::-1]) for v, p in places.items() if len(p) > 50}
    at_valve = depth_mm[LA][tuple(places[LV].T)] < VALVE_MM
    mitral = points[LV][at_valve].mean(axis=0)
    away = np.linalg.norm(points[LV] - mitral, axis=1)
    along = _unit(points[LV][away > np.percentile(away, 99.5)].mean(axis=0) - mitral)
    septal = points[RV].mean(axis=0) - points[LV].mean(axis=0)
    septal = _unit(septal - (septal @ along) * along)
    length = float(np.percentile((points[LV] - mitral) @ along, 99.8))
    axes = np.array([along, septal, np.cross(septal, along)])
    return Heart(points, volume.geometry.spacing[0], mitral, axes, length), depth_mm


def _distance(volume: Volume) -> dict[int, np.ndarray]:
    """Label -> distance (mm) of every voxel to the nearest voxel of that label."""
    spacing = volume.geometry.spacing[::-1]
    return {v: ndimage.distance_transform_edt(volume.array != v, spacing) for v in (LA, LV, RV, AA)}


def _unit(v: np.ndarray) -> np.ndarray:
    return np.asarray(v / np.linalg.norm(v))


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(_unit(a) @ _unit(b), -1, 1))))


def _volumes(h: Heart) -> dict[str, float]:
    found = {f"{name} ml": h.ml(v) for name, v in zip(("MYO", "LA", "LV", "RV", "RA"), (1, 2, 3, 5, 6), strict=True)}
    return found | {
        "MYO/LV": h.ml(MYO) / h.ml(LV),
        "RV/LV": h.ml(RV) / h.ml(LV),
        "LA/LV": h.ml(LA) / h.ml(LV),
        "RA/LA": h.ml(RA) / h.ml(LA),
    }


def _slab(h: Heart, label: int, part: float) -> np.ndarray:
    """Short-axis coordinates (septal, upper; mm) of a label's voxels in a slab at this part of the axis."""
    c = h.coordinates(h.points[label])
    return np.asarray(c[np.abs(c[:, 0] - part * h.length) < SLAB_MM / 2][:, 1:])


def _area(h: Heart, section: np.ndarray) -> float:
    return len(section) * h.spacing**3 / SLAB_MM


def _diameter(area: float) -> float:
    return float(np.sqrt(4 * area / np.pi))


def _left_ventricle(h: Heart) -> dict[str, float]:
    found = {"LV length": h.length}
    for name, part in SECTIONS.items():
        blood, wall = _slab(h, LV, part), _slab(h, MYO, part)
        inner, outer = _diameter(_area(h, blood)), _diameter(_area(h, blood) + _area(h, wall))
        found |= {f"LV diameter {name}": inner, f"section wall {name}": (outer - inner) / 2}
    middle = _slab(h, LV, 0.5)
    spread = np.linalg.eigvalsh(np.cov(middle.T))
    found["LV oval"] = float(np.sqrt(spread[1] / spread[0]))
    found["LV length/diameter"] = h.length / found["LV diameter middle"]
    found["LV taper"] = found["LV diameter apical"] / found["LV diameter basal"]
    found["LV sphericity"] = h.ml(LV) * 1000 / (np.pi / 6 * h.length**3)
    myo = h.coordinates(h.points[MYO])[:, 0]
    found["MYO beyond apex"] = float(np.percentile(myo, 99.9)) - h.length
    found["MYO before valve"] = -float(np.percentile(myo, 0.5))
    return found


def _pose(h: Heart) -> dict[str, float]:
    x, y, z = h.axes[0]
    found = {"azimuth": float(np.degrees(np.arctan2(x, -y))), "declination": float(-np.degrees(np.arcsin(z)))}
    level = _unit(np.cross([0.0, 0.0, 1.0], h.axes[0]))  # across the axis, in the axial plane, to the right and front
    level = level if level @ [-1, -1, 0] > 0 else -level
    above = np.cross(level, h.axes[0])
    above = above if above[2] > 0 else -above
    found["roll"] = float(np.degrees(np.arctan2(h.axes[1] @ above, h.axes[1] @ level)))
    return found


def _right_ventricle(h: Heart) -> dict[str, float]:
    c = h.coordinates(h.points[RV])
    found = {
        "RV apex": float(np.percentile(c[:, 0], 99.5)) / h.length,
        "RV base": float(np.percentile(c[:, 0], 0.5)) / h.length,
    }
    for name, part in SECTIONS.items():
        section, middle = _slab(h, RV, part), _slab(h, LV, part).mean(axis=0)
        if len(section) < 20:
            continue
        area = _area(h, section)
        away = section - middle
        angle = np.degrees(np.arctan2(away[:, 1], away[:, 0]))
        angle -= np.degrees(np.arctan2(away[:, 1].mean(), away[:, 0].mean()))
        angle = (angle + 180) % 360 - 180
        found[f"RV section/LV {name}"] = area / max(_area(h, _slab(h, LV, part)), 1.0)
        found[f"RV opening {name}"] = float(np.percentile(angle, 98) - np.percentile(angle, 2))
        found[f"RV height {name}"] = float(np.ptp(np.percentile(away[:, 1], (1, 99))))
        near = np.abs(away[:, 1] - np.median(away[:, 1])) < 5
        found[f"RV width {name}"] = float(near.sum() * h.spacing**3 / SLAB_MM / 10)
        found[f"RV upper {name}"] = float(away[:, 1].mean())
    return found


def _atria(h: Heart, volume: Volume) -> dict[str, float]:
    found = {}
    for name, v in (("LA", LA), ("RA", RA)):
        c = h.coordinates(volume.geometry.point(np.argwhere(_opened(volume, v))[:, ::-1]))
        for axis, way in enumerate(("along", "septal", "upper")):
            found[f"{name} size {way}"] = float(np.ptp(np.percentile(c[:, axis], (2, 98))))
        found[f"{name} angle"] = _angle(h.points[v].mean(axis=0) - h.mitral, -h.axes[0])
    back = h.points[LV] - h.mitral
    valve = back[(back @ h.axes[0]) < 0.12 * h.length]
    found["mitral plane angle"] = _angle(_normal(valve, h.axes[0]), h.axes[0])
    return found


def _opened(volume: Volume, label: int) -> np.ndarray:
    mask, mm = volume.array == label, volume.geometry.spacing[0]
    core = ndimage.distance_transform_edt(mask, mm) > OPENING_MM
    return np.asarray(mask & (ndimage.distance_transform_edt(~core, mm) < OPENING_MM + 0.5 * mm))


def _normal(points: np.ndarray, way: np.ndarray) -> np.ndarray:
    normal = np.linalg.eigh(np.cov((points - points.mean(axis=0)).T))[1][:, 0]
    return np.asarray(normal if normal @ way > 0 else -normal)


def _vessels(h: Heart) -> dict[str, float]:
    root = h.points[AA]
    start = _near(h, AA, LV)
    way = _unit(root.mean(axis=0) - start)
    found = {"AA angle": _angle(way, h.axes[0])}
    along = (root - start) @ way
    for name, low, high in (("root", 8.0, 14.0), ("tube", 22.0, 30.0)):
        part = root[(along > low) & (along < high)]
        if len(part) > 20:
            across = part - np.outer((part - start) @ way, way)
            spread = np.linalg.eigvalsh(np.cov(across.T))[1:]
            found[f"AA diameter {name}"] = float(4 * np.sqrt(np.sqrt(spread[0] * spread[1])))
    return found


def _near(h: Heart, label: int, other: int) -> np.ndarray:
    """Middle of a label's voxels that lie nearest to another's: the valve between them."""
    away = cKDTree(h.points[other]).query(h.points[label])[0]
    return np.asarray(h.points[label][away <= away.min() + VALVE_MM].mean(axis=0))


def _wall(h: Heart, volume: Volume, depth_mm: dict[int, np.ndarray]) -> dict[str, float]:
    """Thickness: from the muscle's outermost voxels to the nearest blood, by segments."""
    outside = ~np.isin(volume.array, (MYO, LV))
    surface = (volume.array == MYO) & ndimage.binary_dilation(outside)
    places = np.argwhere(surface)
    c = h.coordinates(volume.geometry.point(places[:, ::-1]))
    thick = depth_mm[LV][tuple(places.T)]
    part = c[:, 0] / h.length
    angle = np.abs(np.degrees(np.arctan2(c[:, 2], c[:, 1])))
    free = (part > 0.15) & (depth_mm[LA][tuple(places.T)] > 10) & (depth_mm[AA][tuple(places.T)] > 10)
    found = {"wall": float(np.mean(thick[free & (part < 0.92)])), "wall apex": float(np.mean(thick[part > 1.0]))}
    for name, (low, high) in LEVELS.items():
        level = free & (part > low) & (part < high)
        found[f"wall {name}"] = float(np.mean(thick[level]))
        for side, here in (("septal", angle < 60), ("lateral", angle > 120)):
            found[f"wall {name} {side}"] = float(np.mean(thick[level & here]))
    level = free & (part < 0.92)
    found["wall spread"] = float(np.std(thick[level]) / np.mean(thick[level]))
    found["wall 95 %"] = float(np.percentile(thick[level], 95))
    return found


def _places(h: Heart) -> dict[str, float]:
    """Where centres lie from the left ventricle's, in its frame, relative to the size of ventricle and wall."""
    size = ((h.ml(LV) + h.ml(MYO)) * 1000) ** (1 / 3)
    middle = {v: h.points[v].mean(axis=0) for v in (LA, LV, RV, RA)} | {AA: _near(h, AA, LV)}
    if PA in h.points:
        middle[PA] = _near(h, PA, RV)
    found = {}
    for name, v in (("LA", LA), ("RV", RV), ("RA", RA), ("aortic valve", AA), ("pulmonary valve", PA)):
        offset = h.axes @ (middle.get(v, np.full(3, np.nan)) - middle[LV]) / size
        found |= {f"{name} {way}": float(o) for way, o in zip(("along", "septal", "upper"), offset, strict=True)}
    del found["RV upper"]  # nothing, as the frame is laid
    return found
