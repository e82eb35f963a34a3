"""The atria, their appendages, and the veins that enter them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .heart_plan import Plan, Sizes
from .left_ventricle import Fields
from .shapes import Space, along, cone, ellipsoid, smooth_max, smooth_min, tube
from .thorax import spine_centre

VEIN_ROOT_MM = 9.0
"""How deep in the left atrium a pulmonary vein begins, in an average heart."""
LABELLED_VEIN_MM = 8.0
"""How far the left atrium's label goes into the pulmonary veins, from their mouths."""


@dataclass(frozen=True)
class Vein:
    """A pulmonary vein: points from within the atrium into the lung (LPS mm), radii (mm) and its direction."""

    points: np.ndarray
    radii: np.ndarray
    direction: np.ndarray


def left_atrium_body(plan: Plan, sizes: Sizes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre (LPS mm), radii (mm) and axes (rows) of the left atrium's body.

    A growing atrium grows sideways and upwards more than to the back, where the spine is.
    """
    p, g = plan.person, sizes.la
    more = g - 1.0
    centre = plan.at(
        -23.5 - 5 * more + p.variation("la x", 2.5),
        14 - 4 * more + p.variation("la y", 1.5),
        13 + 9 * more + p.variation("la z", 2.5),
    )
    shape = np.array([30.5 * g**1.1, 19.5 * g**0.85, 25 * g**1.05]) * plan.scale
    shape *= np.exp([p.variation("la width", 0.07), p.variation("la depth", 0.07), p.variation("la height", 0.08)])
    lean = p.variation("la lean", 0.12)
    axes = np.array(
        [plan.direction(1, 0.12, 0.1 + lean), plan.direction(-0.12, 1, 0.15), plan.direction(-0.1 - lean, -0.15, 1)]
    )
    return centre, shape, axes


def pulmonary_veins(plan: Plan, sizes: Sizes) -> list[Vein]:
    """Right upper and lower, left upper and lower; a fifth, the right middle, in one person of five.

    Widths of 10 to 15 mm at the mouths (Kim et al., Radiology 2005); a joint left trunk and a middle vein of
    its own are the commonest variants (Marom et al., Radiology 2004).
    """
    p = plan.person
    centre, radii, axes = left_atrium_body(plan, sizes)
    k = plan.scale * (0.6 + 0.4 * sizes.la)
    joint = 0.55 if p.variation("joint left veins") > 1.1 else 1.0
    mouths = [
        ("right upper", (-0.78, 0.12, 0.44), (-0.9, -0.05, 0.42), 7.0),
        ("right lower", (-0.70, 0.52, -0.38), (-0.82, 0.5, -0.25), 6.6),
        ("left upper", (0.86, 0.24, 0.5 * joint), (0.78, 0.2, 0.58 * joint), 6.6),
        ("left lower", (0.84, 0.5, -0.12 * joint), (0.86, 0.45, -0.2), 6.2),
    ]
    if p.variation("middle vein") > 0.85:
        mouths.append(("right middle", (-0.82, 0.1, 0.02), (-0.95, -0.3, 0.05), 4.2))
    veins = []
    for name, at, way, radius in mouths:
        spread = np.array([p.variation(f"{name} {axis}", 0.09) for axis in "xyz"])
        start = centre + ((np.array(at) + spread) * radii) @ axes
        d = plan.direction(*(np.array(way) + spread))
        width = radius * k * float(np.exp(p.variation(f"{name} width", 0.14)))
        bend = np.array(
            [0.0, 3.0 + p.variation(f"{name} bend", 4.0), (5.0 + p.variation(f"{name} rise", 4.0)) * np.sign(way[2])]
        )
        points = [start - VEIN_ROOT_MM * plan.scale * d, start + 8 * d, start + 26 * d + bend]
        points += [start + 46 * d + 3 * bend, start + 62 * d + 5.5 * bend]
        veins.append(Vein(np.array(points), np.array([1.0, 1.0, 0.85, 0.6, 0.4]) * width, d))
    return veins


def left_atrium(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `la` (with the beginnings of its veins), `laa` (appendage), `pv` (pulmonary veins)."""
    p = plan.person
    centre, radii, axes = left_atrium_body(plan, sizes)
    la = ellipsoid(space, centre, radii, axes)
    veins = pulmonary_veins(plan, sizes)
    for vein in veins:
        mouth = vein.points[0] + VEIN_ROOT_MM * plan.scale * vein.direction
        end = mouth + LABELLED_VEIN_MM * vein.direction
        stem = cone(space, vein.points[0], end + 4 * vein.direction, 1.3 * vein.radii[0], vein.radii[0])
        la = smooth_min(la, smooth_max(stem, along(space, end, vein.direction), 1.0), 6.0)
    la = smooth_min(la, f["funnel"], 7.0)
    f["la"] = smooth_max(np.maximum(la, f["axial"]), 3 - spine_distance(space, plan), 8.0)
    f["pv"] = np.maximum(
        np.minimum.reduce([tube(space, v.points, v.radii, 8) for v in veins]), 1 - spine_distance(space, plan)
    )
    a = plan.scale * p.appendage * (0.7 + 0.3 * sizes.la)
    stray = np.array([p.variation(f"appendage {axis}", 3.5) for axis in "xyz"])
    course = [(0, 14, 21), (16, 7, 28), (28, -4, 29), (32, -17, 25)]
    points = np.array([plan.at(*(np.array(c) + stray * n / 3)) for n, c in enumerate(course)])
    points[0] = 0.5 * points[0] + 0.5 * (centre + (np.array([0.6, -0.2, 0.35]) * radii) @ axes)
    lobe = plan.at(*(np.array((26, 4, 18)) + stray))
    side = np.array([points[1], lobe, lobe + plan.scale * np.array([4, -6, -4])])
    main = tube(space, points, np.array([7.5, 8.0, 8.0, 4.5]) * a, 8)
    f["laa"] = np.minimum(main, tube(space, side, np.array([6, 6, 3.5]) * a, 8))


def spine_distance(space: Space, plan: Plan) -> np.ndarray:
    """About how far (mm) every voxel is from the vertebral bodies; negative inside, a field."""
    n = plan.person.size
    y = space.y - spine_centre(plan.person, space.z)
    return np.hypot(space.x, y * np.float32(1.15)) - np.float32(18 * n)


def right_atrium(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `ra` with its appendage, `svc` and `ivc`."""
    p, scale = plan.person, plan.scale
    k, more = sizes.ra * scale, sizes.ra - 1.0
    chamber = ellipsoid(
        space,
        plan.at(
            -45 - 4 * more + p.variation("ra x", 2),
            -7 - 3 * more + p.variation("ra y", 2),
            -4 + p.variation("ra z", 2.5),
        ),
        np.array([17.5 * k, 33 * k, 30 * k])
        * np.exp([p.variation("ra width", 0.06), p.variation("ra depth", 0.06), 0.0]),
        np.array([plan.direction(0.8, -0.6, 0), plan.direction(0.6, 0.8, 0), plan.direction(0, 0, 1)]),
    )
    tip = plan.at(-24, -44, 26 + p.variation("ear", 3))
    ear = tube(space, np.array([plan.at(-48, -22, 12), plan.at(-38, -38, 22), tip]), np.array([13, 11, 6.0]) * k, 14)
    valve, axis = tricuspid(plan)
    vestibule = cone(space, plan.at(-44, -16, -7), valve + 2 * axis, 18 * k, 16 * scale)
    ra = smooth_min(smooth_min(chamber, vestibule, 6.0), ear, 6.0)
    f["ra"] = np.maximum(ra, along(space, valve, axis))
    top, bottom = plan.at(-46, -3, 20), plan.at(-43, 8, -26)
    wide = 1 + p.variation("svc", 0.12)
    course = np.array([plan.at(-46, -5, 8), top, plan.at(-46, -3, 45), [-27 * p.size, -6, 80.0 * p.size]])
    f["svc"] = tube(space, course, np.array([11, 10, 9.5, 9.0]) * scale * wide, 12)
    wide = 1 + p.variation("ivc", 0.12) + 0.2 * max(more, 0.0)
    course = np.array([plan.at(-44, 2, -16), bottom, bottom + np.array([2, 6, -25]), bottom + np.array([4, 8, -60])])
    f["ivc"] = tube(space, course, np.array([13, 12.5, 12.0, 12.0]) * scale * min(wide, 1.5), 12)


def tricuspid(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the tricuspid valve (LPS mm) and the unit vector through it into the right ventricle."""
    return plan.at(-27, -32, -13), plan.direction(0.78, -0.42, -0.35)


def atria(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds both atria with their veins to the fields of the ventricles."""
    left_atrium(space, plan, sizes, f)
    right_atrium(space, plan, sizes, f)
    p = plan.person
    if p.atrial_defect_mm > 0:
        radius = p.atrial_defect_mm * plan.scale
        f["atrial_defect"] = cone(space, plan.at(-21, 8, 6), plan.at(-44, -4, 0), radius, radius)
