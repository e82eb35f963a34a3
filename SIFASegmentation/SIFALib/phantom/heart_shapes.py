"""The heart and the roots of its vessels as implicit surfaces."""

from __future__ import annotations

import numpy as np

from .atria import atria, tricuspid
from .coronaries import coronaries
from .great_vessels import aorta, pulmonary_arteries, pulmonary_valve
from .heart_plan import Plan, Sizes
from .left_ventricle import EQUATOR, Fields, left_ventricle, papillary
from .shapes import Space, along, cone, egg, smooth_max, smooth_min, tube

TAPER, LEAN, NEARER = 0.38, 0.14, 0.2
"""How much narrower (relative), lower and nearer to the septum the right ventricle's body is towards its apex than in its
middle; at the base as much wider, higher and farther."""
REACH = np.array([[-118.0, -95.0, -105.0], [122.0, 80.0, 75.0]])
"""Box around the base centre (LPS mm) in which the heart is evaluated."""


def right_ventricle(plan: Plan, sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Centre (LPS mm) and radii (mm, along the ventricles' axes) of the ellipsoid of the right ventricle's body."""
    p, k = plan.person, sizes.rv * plan.scale
    aside = 0.4 * 31 * plan.scale + 0.6 * (sizes.lv_mm + (0.65 + 0.3 * p.septum) * sizes.wall_mm + 2)
    centre = plan.inside(
        (0.33 + p.variation("rv along", 0.03)) * plan.lv_length, aside, (-5 + p.variation("rv up", 3)) * plan.scale
    )
    radii = np.array([0.6 * plan.lv_length * min(k / plan.scale, 1.15) ** 0.5, 35 * k, 32.5 * k])
    return centre, radii * np.exp(
        [p.variation("rv length", 0.06), p.variation("rv width", 0.09), p.variation("rv height", 0.08)]
    )


def right_body(plan: Plan, centre: np.ndarray, radii: np.ndarray, f: Fields) -> np.ndarray:
    """Field of the right ventricle's body: an ellipsoid that is wide at the base and comes to a point at the apex, low
    beside the septum (see TAPER, LEAN, NEARER)."""
    middle = plan.axes @ (centre - np.asarray(plan.person.base))
    coordinates = [f[name] - np.float32(m) for name, m in zip(("axial", "septal", "upper"), middle, strict=True)]
    toward = np.clip(coordinates[0] * np.float32(1 / radii[0]), -1.2, 1.2)
    coordinates[1] += np.float32(NEARER * middle[1]) * toward
    coordinates[2] += np.float32(LEAN * radii[2]) * toward
    return egg(coordinates, radii, TAPER)


def extremes(plan: Plan, sizes: Sizes, way: np.ndarray) -> np.ndarray:
    """Point (LPS mm) of the ventricles that lies farthest along the unit vector `way`."""
    reach = sizes.lv_mm + sizes.wall_mm * (1 + 0.5 * max(plan.person.septum, 0.0))
    left = plan.inside(EQUATOR * plan.lv_length, 0, 0), np.array([0.8 * plan.lv_length, reach, reach])
    centre, radii = right_ventricle(plan, sizes)
    points = []
    for middle, half in (left, (centre, radii + plan.person.rv_wall_mm)):
        pull = (half**2 * (plan.axes @ way)) @ plan.axes
        points.append(middle + pull / np.sqrt(pull @ way))
    return max(points, key=lambda point: float(point @ way))


def lowest_point(plan: Plan, sizes: Sizes) -> np.ndarray:
    """Where the heart comes lowest (LPS mm): it rests there on the diaphragm."""
    return extremes(plan, sizes, np.array([0.0, 0.0, -1.0]))


def right_heart(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `rv`, a crescent around the left ventricle with inflow, apex and outflow, and its `band`."""
    length, scale, k = plan.lv_length, plan.scale, sizes.rv * plan.scale
    centre, radii = right_ventricle(plan, sizes)
    body = right_body(plan, centre, radii, f)
    valve, axis = tricuspid(plan)
    aside = float((centre - np.asarray(plan.person.base)) @ plan.axes[1])
    apex = plan.inside(0.86 * length, 0.75 * aside, -4 * scale)
    inflow = cone(space, valve + 14 * scale * axis, apex, 19 * k, 6 * k)
    body = smooth_max(smooth_min(body, inflow, 8.0), -along(space, valve, axis), 6.0)
    pulmonary, outward = pulmonary_valve(plan)
    width = scale * (0.6 + 0.4 * sizes.rv)
    course = np.array([plan.inside(0.42 * length, aside + 11 * scale, 6), plan.at(-3, -43, 9), pulmonary])
    conus = tube(space, course, np.array([17, 15.5, 12.0 * (0.5 + 0.5 * plan.person.pulmonary)]) * width, 30)
    rv = smooth_min(body, conus, 10.0)
    f["rv"] = np.maximum(rv, along(space, pulmonary, outward))
    across = plan.inside(0.6 * length, aside + 0.75 * radii[1], -0.35 * radii[2])
    f["band"] = cone(space, plan.inside(0.52 * length, 0.6 * aside, 0.1 * radii[2]), across, 2.6 * scale, 2.2 * scale)


def heart_fields(space: Space, plan: Plan, sizes: Sizes) -> Fields:
    """All fields of the heart over a space; some only in some persons: `atrial_defect`, `ventricular_defect`."""
    f = left_ventricle(space, plan, sizes)
    right_heart(space, plan, sizes, f)
    atria(space, plan, sizes, f)
    aorta(space, plan, sizes, f)
    pulmonary_arteries(space, plan, sizes, f)
    f["papillary"] = papillary(space, plan, sizes)
    f["coronary"], f["sinus"] = coronaries(space, plan, sizes)
    p = plan.person
    if p.ventricular_defect_mm > 0:
        r, wall = sizes.lv_mm, sizes.wall_mm
        d = np.array([0.14 * plan.lv_length, 0.0, 0.4 * r])
        radius = p.ventricular_defect_mm * plan.scale
        inside, outside = (
            plan.inside(d[0], s, d[2]) for s in (0.7 * r, 1.05 * r + wall * (1.4 + p.septum) + 5 * plan.scale)
        )
        f["ventricular_defect"] = cone(space, inside, outside, radius, radius)
    return f
