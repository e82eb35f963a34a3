"""Aorta and pulmonary arteries."""

from __future__ import annotations

import numpy as np

from .atria import left_atrium_body
from .heart_plan import Plan, Sizes
from .left_ventricle import Fields, annulus, root_direction
from .shapes import Space, along, cone, smooth_min, tube

ASCENDING = 6
"""How many points of the aorta's course belong to the ascending part."""
DESCENDING = slice(8, 13)
"""Those of the descending part that is dissected or stented."""


def aorta_course(plan: Plan, sizes: Sizes) -> tuple[np.ndarray, np.ndarray, int]:
    """Centre line of the whole aorta (LPS mm, [14, 3]), radii (mm, [14]), and how many of its points belong to the
    ascending part."""
    p = plan.person
    r, n = sizes.aorta_mm, p.size
    top = p.arch_top * n
    side, sweep = p.variation("arch side", 5.0) * n, p.variation("arch sweep", 5.0) * n
    valve = annulus(plan)
    points = np.array(
        [
            valve,
            0.6 * (valve + plan.turn @ (plan.scale * np.array([-4, -3.5, 12.0]))) + 0.4 * plan.at(-11, -11, 26),
            plan.at(-16, -14.5, 40),
            plan.at(-20, -15, 54),
            [-9 * n + side, -11, top - 22],
            [-3 * n + side, 2, top - 5],
            [7 * n + 0.7 * side, 20, top],
            [17 * n + 0.3 * side + 0.5 * sweep, 38, top - 6],
            [24 * n + sweep, 56, top - 28],
            [27 * n + 0.6 * sweep, 67, top - 60],
            [26 * n, 69, 0],
            [18 * n + p.variation("descending low", 4), 62, -60],
            [10 * n, 54, -110],
            [6 * n, 52, -170],
        ]
    )
    bow = np.array([0, 0.2, 0.7, 1.0, 0.9, 0.5]) * (p.aorta_forward_mm + 0.5 * max(r - 17, 0))
    points[:6, 1] -= bow
    points[:6, 0] -= 0.45 * bow
    points[4] = 0.6 * points[4] + 0.2 * (points[3] + points[5])  # the heart may have moved, the arch has not
    return points, aorta_radii(plan, sizes), ASCENDING


def aorta_radii(plan: Plan, sizes: Sizes) -> np.ndarray:
    """Radii (mm) along `aorta_course`.

    Normal diameters: sinuses 30 +- 5 mm, ascending 31 +- 4 mm, at the diaphragm 24 +- 4 mm (Hager et al., J Thorac
    Cardiovasc Surg 2002); ascending 33 +- 4 mm, descending 24 +- 3 mm (Wolak et al., JACC Cardiovasc Imaging 2008). The
    descending part hardly widens with an aneurysm of the ascending one.
    """
    p, r, n = plan.person, sizes.aorta_mm, plan.person.size
    calm = min(r, 15.5 * n) + 0.25 * max(r - 15.5 * n, 0)  # what comes after the arch
    widths = np.array([0.85, p.aorta_bulge, 1.0, 1.02, 1.0, 0.95]) * r
    widths[:2] *= p.aorta_root
    widths[0] = min(widths[0], 15 * plan.scale)
    rest = np.array([0.9, 0.86, 0.84, 0.83, 0.8, 0.76, 0.72, 0.7]) * calm
    widths[5] = 0.5 * widths[5] + 0.5 * 0.95 * calm
    return np.concatenate([widths, rest])


def aorta(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `aorta` (whole) and `ascending` (annulus to the beginning of the arch)."""
    p, scale = plan.person, plan.scale
    points, radii, ascending = aorta_course(plan, sizes)
    field = tube(space, points[: ascending + 2], radii[: ascending + 2], 14)
    rest = tube(space, points[ascending:], radii[ascending:], 14)
    root = root_direction(plan)
    side = np.cross(root, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    wide = min(sizes.aorta_mm * p.aorta_root, 26 * scale)
    for turn in np.radians([20, 140, 260]):  # the three sinuses of Valsalva
        out = np.cos(turn) * side + np.sin(turn) * np.cross(root, side)
        sinus = points[0] + 10 * scale * root + 0.43 * wide * out
        radius = 0.72 * wide * p.aorta_bulge
        lobe = cone(space, sinus - 1.5 * root, sinus + 2 * root, radius, 0.97 * radius)
        field = smooth_min(field, lobe, 3.0)
    root_part = np.maximum(field, -f["height"])
    # The label ends where the arch begins: a plane across the vessel before the first arch branch.
    end = points[ascending - 1]
    way = points[ascending] - points[ascending - 2]
    f["aorta"] = np.minimum(root_part, rest)
    beyond = along(space, end, way / np.linalg.norm(way))
    behind = along(space, points[ascending] + [0, 14, 0], np.array([0.0, 1.0, 0.0]))  # bent back: arch, too
    # Both planes are endless; the root, far below, may lie beyond them and is not cut.
    aloft = along(space, points[ascending - 2], np.array([0.0, 0.0, 1.0]))
    f["ascending"] = np.maximum(root_part, np.minimum(np.maximum(beyond, behind), aloft))


def pulmonary_valve(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the pulmonary valve (LPS mm) and the unit vector through it into the artery."""
    return plan.at(3.5, -35.5, 26), plan.direction(0.15, 0.45, 0.85)


def pulmonary_arteries(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `pa`: trunk of 20 to 30 mm in health and its branches (Truong et al., Circ Cardiovasc Imaging 2012).

    A wide ascending aorta pushes the trunk to the left; the right branch crosses above the left atrium's roof.
    """
    p = plan.person
    k = plan.scale * p.pulmonary
    push = np.array([0.8, 0.2, 0.1]) * max(sizes.aorta_mm - 17 * plan.scale, 0.0) * 0.8
    centre, radii, axes = left_atrium_body(plan, sizes)
    roof = centre[2] + float(np.sqrt(np.square(radii) @ np.square(axes[:, 2])))
    lift = np.array([0, 0, max(roof + 10 * k + 2 - plan.at(-6, 12, 49)[2], 0.0)])
    trunk_points = [
        plan.at(3.5, -37, 23),
        plan.at(8.5, -28, 37) + 0.6 * push,
        plan.at(13, -12, 52 + p.variation("pa height", 2)) + push,
        plan.at(22, 8, 58 + p.variation("pa left", 3)) + push,
        plan.at(38, 27, 56) + 0.6 * push,
        plan.at(46, 40, 42),
        plan.at(54, 46, 22),
    ]
    trunk = tube(space, np.array(trunk_points), np.array([12, 13.5, 13, 11, 9.5, 7.5, 5]) * k, 12)
    trunk = np.maximum(trunk, -along(space, *pulmonary_valve(plan)))
    right_points = [
        plan.at(13, -8, 52) + push + 0.5 * lift,
        plan.at(2, 9, 50) + lift,
        plan.at(-18, 14, 47.5) + lift,
        plan.at(-42, 16, 44) + lift,
        plan.at(-58, 24, 32) + 0.7 * lift,
        plan.at(-64, 30, 12),
    ]
    right = tube(space, np.array(right_points), np.array([11, 10.5, 10, 9, 6.5, 5]) * k, 12)
    f["pa"] = smooth_min(trunk, right, 5.0)
