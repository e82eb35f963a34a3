"""The heart and the roots of its vessels as implicit surfaces."""

from __future__ import annotations

import numpy as np

from .coronaries import coronaries
from .heart_plan import Plan, Sizes
from .shapes import Space, along, cone, ellipsoid, smooth_max, smooth_min, tube

Fields = dict[str, np.ndarray]

REACH = np.array([[-100.0, -82.0, -95.0], [110.0, 80.0, 70.0]])
"""Box around the base centre (LPS mm) in which the heart is evaluated."""

EQUATOR = 0.28
"""Where along the ventricle (fraction of its length from the base) it is widest."""


def right_ventricle(plan: Plan, sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Centre and radii (along the heart's axes) of the ellipsoid of the right ventricle's body."""
    k = sizes.rv * plan.scale
    centre = plan.inside(0.36 * plan.lv_length, 29 * plan.scale, -5 * plan.scale)
    return centre, np.array([0.62 * plan.lv_length, 29 * k, 37 * k])


def lowest_point(plan: Plan, sizes: Sizes) -> np.ndarray:
    """Where the heart comes lowest (LPS mm): it rests there on the diaphragm."""
    reach = sizes.lv_mm + sizes.wall_mm
    left = plan.inside(EQUATOR * plan.lv_length, 0, 0), np.array([0.8 * plan.lv_length, reach, reach])
    points = []
    for centre, radii in (left, right_ventricle(plan, sizes)):
        pull = (radii**2 * plan.axes[:, 2]) @ plan.axes
        points.append(centre - pull / np.sqrt(pull[2]))
    return min(points, key=lambda point: float(point[2]))


def ventricles(space: Space, plan: Plan, sizes: Sizes) -> Fields:
    """Left ventricle (`lv`, `myo`), outflow (`lvot`), mitral funnel, right ventricle (`rv`)."""
    p, length = plan.person, plan.lv_length
    base = np.asarray(p.base)
    axial, septal, upper = (along(space, base, axis) for axis in plan.axes)
    r = sizes.lv_mm
    inner = ellipsoid(
        space,
        plan.inside(EQUATOR * length, 0, 0),
        np.array([(1 - EQUATOR) * length, r * 0.97, r * 1.03]),
        plan.axes,
    )
    rho = np.sqrt(septal * septal + upper * upper) + np.float32(1)
    apical = np.clip((axial / np.float32(length) - 0.7) / 0.35, 0, 1)
    basal = np.clip(1 - axial / np.float32(0.6 * length), 0, 1)
    wall = np.float32(sizes.wall_mm) * (
        1 + np.float32(p.septum) * basal * (septal / rho) - np.float32(0.28) * apical * apical
    )
    outer = inner - wall
    myo = smooth_max(outer, -(axial + np.float32(3.0)), 5.0)

    ring = 0.62 * r / (1 - 0.25 * p.systole)
    mitral = plan.inside(0, -0.24 * r, -0.17 * r)
    la_centre = plan.at(-19, 18, 12)
    funnel = cone(space, mitral - 3 * plan.axes[0], mitral + 0.75 * (la_centre - mitral), ring, ring * 1.15)
    orifice = np.maximum(
        cone(space, mitral - 4 * plan.axes[0], mitral + 4 * plan.axes[0], ring, ring) + 0.3, np.abs(axial) - 5
    )

    # The leaflets hang open into the ventricle in diastole and nearly close its mouth in systole.
    hang, gap = (15.0 * plan.scale, 0.6) if p.systole < 0.3 else (6.0 * plan.scale, 0.12)
    leaflets = np.abs(cone(space, mitral, mitral + hang * plan.axes[0], ring - 1, gap * ring)) - 0.8
    leaflets = np.maximum(leaflets, np.abs(axial - np.float32(hang / 2)) - np.float32(hang / 2))

    annulus = plan.at(-7, -7.5, 14)
    root = plan.direction(-0.32, -0.3, 0.9)
    ra = 0.83 * sizes.aorta_mm
    height = along(space, annulus, root)
    outflow = cone(space, plan.inside(0.26 * length, 0.12 * r, 0.12 * r), annulus + 2 * root, 0.6 * r, ra)
    lvot = np.maximum(outflow, height)
    lv = np.minimum(smooth_max(inner, -axial, 3.0), lvot)
    collar = np.maximum(outflow - 0.35 * np.float32(sizes.wall_mm), -(axial + 6))
    myo = np.maximum(smooth_min(myo, np.maximum(collar, height + 3), 3.0), -(axial + 7))

    centre, radii = right_ventricle(plan, sizes)
    body = ellipsoid(space, centre, radii, plan.axes)
    pulmonary = plan.at(9, -34, 31)
    conus = tube(
        space,
        np.array([plan.inside(0.42 * length, 40 * plan.scale, 6), plan.at(2, -42, 12), pulmonary]),
        np.array([17, 15.5, 12.0]) * plan.scale,
        30,
    )
    tricuspid = plan.at(-27, -32, -13)
    tricuspid_axis = plan.direction(0.78, -0.42, -0.35)
    body = smooth_max(body, -along(space, tricuspid, tricuspid_axis), 6.0)
    rv = smooth_min(body, conus, 10.0)
    rv = np.maximum(rv, along(space, pulmonary, plan.direction(0.15, 0.45, 0.85)))
    return {
        "axial": axial,
        "septal": septal,
        "inner": inner,
        "outer": outer,
        "lv": lv,
        "myo": myo,
        "funnel": funnel,
        "orifice": orifice,
        "leaflets": leaflets,
        "lvot": lvot,
        "rv": rv,
        "height": height,
    }


def atria(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `la`, `laa` (appendage), `pv` (pulmonary veins), `ra` with its appendage, `svc`, `ivc`."""
    p, scale = plan.person, plan.scale
    k = sizes.la * scale
    body = ellipsoid(
        space,
        plan.at(-19, 18, 12),
        np.array([29 * k, 19.5 * k, 25 * k]),
        np.array(
            [plan.direction(1, 0.12, 0.1), plan.direction(-0.12, 1, 0.15), plan.direction(-0.1, -0.15, 1)]
        ),
    )
    stems, veins = [], []
    for ostium, way, radius in (
        ((-41, 21, 23), (-0.9, -0.05, 0.38), 7.0),
        ((-39, 29, 2), (-0.82, 0.5, -0.2), 6.5),
        ((6, 23, 25), (0.75, 0.25, 0.6), 6.5),
        ((8, 28, 8), (0.92, 0.3, -0.12), 6.0),
    ):
        start, d = plan.at(*ostium), plan.direction(*way)
        inward = start - 9 * k * d
        stems.append(cone(space, inward, start + 7 * d, radius * k * 1.25, radius * k))
        bend = np.array([0.0, 4.0, 4.0 * np.sign(way[2])])
        veins.append(
            tube(
                space,
                np.array([inward, start + 8 * d, start + 24 * d + bend, start + 42 * d + 3 * bend]),
                np.array([radius, radius, radius * 0.85, radius * 0.6]) * k,
                8,
            )
        )
    la = smooth_min(body, stems[0], 5.0)
    for stem in stems[1:]:
        la = smooth_min(la, stem, 5.0)
    la = smooth_min(la, f["funnel"], 7.0)
    f["la"] = np.maximum(la, f["axial"])
    f["pv"] = np.minimum.reduce(veins)
    a = scale * p.appendage
    f["laa"] = tube(
        space,
        np.array([plan.at(2, 12, 22), plan.at(17, 6, 30), plan.at(28, -4, 30), plan.at(31, -17, 26)]),
        np.array([6.5, 8.0, 8.0, 5.0]) * a,
        8,
    )

    k = sizes.ra * scale
    chamber = ellipsoid(
        space,
        plan.at(-47, -9, -4),
        np.array([21 * k, 26 * k, 31 * k]),
        np.array([plan.direction(1, -0.25, 0), plan.direction(0.25, 1, 0), plan.direction(0, 0, 1)]),
    )
    ear = tube(
        space,
        np.array([plan.at(-48, -22, 12), plan.at(-38, -38, 22), plan.at(-24, -44, 26)]),
        np.array([13, 11, 6.0]) * k,
        14,
    )
    valve = plan.at(-27, -32, -13)
    axis = plan.direction(0.78, -0.42, -0.35)
    vestibule = cone(space, plan.at(-44, -16, -7), valve + 2 * axis, 18 * k, 16 * scale)
    ra = smooth_min(smooth_min(chamber, vestibule, 6.0), ear, 6.0)
    f["ra"] = np.maximum(ra, along(space, valve, axis))
    top, bottom = plan.at(-46, -3, 20), plan.at(-43, 8, -26)
    f["svc"] = tube(
        space,
        np.array([plan.at(-46, -5, 8), top, plan.at(-46, -3, 45), [-27 * p.size, -6, 80.0 * p.size]]),
        np.array([11, 10, 9.5, 9.0]) * scale,
        12,
    )
    f["ivc"] = tube(
        space,
        np.array(
            [plan.at(-44, 2, -16), bottom, bottom + np.array([2, 6, -25]), bottom + np.array([4, 8, -60])]
        ),
        np.array([13, 12.5, 12.0, 12.0]) * scale,
        12,
    )


def aorta_course(plan: Plan, sizes: Sizes) -> tuple[np.ndarray, np.ndarray, int]:
    """Centre line of the whole aorta, radii, and how many of its points belong to the ascending part."""
    p = plan.person
    r, n = sizes.aorta_mm, p.size
    annulus = plan.at(-7, -7.5, 14)
    top = p.arch_top * n
    points = np.array(
        [
            annulus,
            plan.at(-11, -11, 26),
            plan.at(-16, -14.5, 40),
            plan.at(-20, -15, 54),
            [-9 * n, -11, top - 22],
            [-3 * n, 2, top - 5],
            [7 * n, 20, top],
            [17 * n, 38, top - 6],
            [24 * n, 56, top - 28],
            [27 * n, 67, top - 60],
            [26 * n, 69, 0],
            [18 * n, 62, -60],
            [10 * n, 54, -110],
            [6 * n, 52, -170],
        ]
    )
    radii = (
        np.array([0.85, p.aorta_bulge, 1.0, 1.02, 1.0, 0.95, 0.9, 0.86, 0.84, 0.83, 0.8, 0.76, 0.72, 0.7]) * r
    )
    return points, radii, 6


def vessels(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `aorta` (whole), `ascending` (annulus to arch), `pa` (pulmonary trunk and its branches)."""
    scale, bulge = plan.scale, plan.person.aorta_bulge
    points, radii, ascending = aorta_course(plan, sizes)
    aorta = tube(space, points[: ascending + 2], radii[: ascending + 2], 14)
    rest = tube(space, points[ascending:], radii[ascending:], 14)
    root = plan.direction(-0.32, -0.3, 0.9)
    side = np.cross(root, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    for turn in np.radians([20, 140, 260]):  # the three sinuses of Valsalva
        out = np.cos(turn) * side + np.sin(turn) * np.cross(root, side)
        sinus = points[0] + 10 * scale * root + 0.5 * sizes.aorta_mm * out
        lobe = cone(
            space,
            sinus - 1.5 * root,
            sinus + 2 * root,
            0.72 * sizes.aorta_mm * bulge,
            0.7 * sizes.aorta_mm * bulge,
        )
        aorta = smooth_min(aorta, lobe, 3.0)
    root_part = np.maximum(aorta, -f["height"])
    # The label ends where the arch begins: a plane across the vessel before the first arch branch.
    end = points[ascending - 1]
    way = points[ascending] - points[ascending - 2]
    f["aorta"] = np.minimum(root_part, rest)
    f["ascending"] = np.maximum(root_part, along(space, end, way / np.linalg.norm(way)))
    f["ascending"] = np.maximum(
        f["ascending"], along(space, points[ascending] + [0, 14, 0], np.array([0.0, 1.0, 0.0]))
    )
    trunk = tube(
        space,
        np.array(
            [
                plan.at(9, -36, 28),
                plan.at(12, -27, 40),
                plan.at(13, -12, 52),
                plan.at(22, 8, 58),
                plan.at(38, 27, 56),
                plan.at(46, 40, 42),
            ]
        ),
        np.array([12, 13.5, 13, 11, 9.5, 7.5]) * scale,
        12,
    )
    trunk = np.maximum(trunk, -along(space, plan.at(9, -34, 31), plan.direction(0.15, 0.45, 0.85)))
    right = tube(
        space,
        np.array(
            [
                plan.at(13, -8, 52),
                plan.at(2, 9, 50),
                plan.at(-18, 14, 47.5),
                plan.at(-42, 16, 44),
                plan.at(-58, 24, 34),
            ]
        ),
        np.array([11, 10.5, 10, 9, 6.5]) * scale,
        12,
    )
    f["pa"] = smooth_min(trunk, right, 5.0)


def papillary(space: Space, plan: Plan, sizes: Sizes) -> np.ndarray:
    """Field of the two papillary muscles (anterolateral, posteromedial)."""
    r, length = sizes.lv_mm, plan.lv_length
    fields = []
    for angle, thick in ((2.45, 3.9), (4.35, 4.3)):
        d = np.array([np.cos(angle), np.sin(angle)])
        foot = plan.inside(0.74 * length, *(0.72 * r * d))
        tip = plan.inside(0.36 * length, *(0.52 * r * d))
        fields.append(cone(space, foot, tip, thick * plan.scale, 0.7 * thick * plan.scale))
    return np.minimum(*fields)


def heart_fields(space: Space, plan: Plan, sizes: Sizes) -> Fields:
    """All fields of the heart over a (small) space."""
    f = ventricles(space, plan, sizes)
    atria(space, plan, sizes, f)
    vessels(space, plan, sizes, f)
    f["papillary"] = papillary(space, plan, sizes)
    f["coronary"], f["sinus"] = coronaries(space, plan, sizes)
    return f
