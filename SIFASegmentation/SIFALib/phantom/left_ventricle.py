"""The left ventricle: cavity, muscle of uneven thickness, outflow, mitral valve, papillary muscles, trabeculae."""

from __future__ import annotations

import numpy as np

from .heart_plan import Plan, Sizes
from .person import APICAL_KIND, THICK_SEPTUM
from .shapes import Space, along, cone, egg, smooth_max, smooth_min

Fields = dict[str, np.ndarray]
"""Name of a part -> its field (see `shapes`), float32 [K, J, I], all on the same grid."""

EQUATOR = 0.28
"""Where along the ventricle (fraction of its length from the base) it is widest."""
INWARD = 0.35
"""Part of a sick wall's local thickening that grows into the cavity; the rest, and all in health, grows outwards."""
TWIST = 0.7
"""Turn (radians) of the muscle's pattern from base to apex: fibres and trabeculae wind around the cavity."""


def annulus(plan: Plan) -> np.ndarray:
    """Centre of the aortic valve (LPS mm)."""
    p = plan.person
    shift = np.array([0.25, 0.97, 0.1]) * p.override_mm * plan.scale
    return plan.at(-11.5, -14, 9) + shift @ plan.axes


def root_direction(plan: Plan) -> np.ndarray:
    """Unit vector from the left ventricle through the aortic valve."""
    return plan.direction(-0.32, -0.3, 0.9)


def wall_pattern(plan: Plan, wall_mm: float, axial: np.ndarray, septal: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Thickness of the muscle relative to `wall_mm`, minus one; the coordinates (mm) and the result are fields.

    Thickest at the basal septum, thinnest at the apex, uneven around the circumference by some tenths
    (Kawel et al., Circ Cardiovasc Imaging 2012).
    """
    p, length = plan.person, plan.lv_length
    rho = np.sqrt(septal * septal + upper * upper) + np.float32(1)
    turn = np.float32(TWIST / length) * axial
    cos, sin = np.cos(turn), np.sin(turn)
    c, s = (septal * cos - upper * sin) / rho, (septal * sin + upper * cos) / rho
    apical = np.clip((axial / np.float32(length) - 0.6) / 0.4, 0, 1)
    reach = np.float32((0.6 if p.septum < THICK_SEPTUM else 0.9) * length)
    basal = np.clip(1 - np.square(axial / reach), 0, 1)
    uneven = (
        np.float32(p.variation("wall oval", 0.14)) * (2 * c * c - 1) + np.float32(p.variation("wall lean", 0.14)) * s
    )
    uneven += np.float32(p.variation("wall diagonal", 0.11)) * (2 * s * c)
    wave = np.sin(np.float32(2.2 * np.pi / length) * axial + np.float32(3 * p.variation("wall wave")))
    uneven += np.float32(p.variation("wall three", 0.15)) * (4 * c * c * c - 3 * c) * wave
    uneven += np.float32(p.variation("wall four", 0.15)) * (3 * s - 4 * s * s * s)
    toward = np.clip(septal / rho + np.float32(p.variation("septum turn", 0.3)) * upper / rho, -0.35, 1)
    pattern = np.float32(p.septum) * basal * toward + np.float32(apical_change(plan, wall_mm)) * apical * apical
    return pattern + uneven * (1 - apical)


def apical_change(plan: Plan, wall_mm: float) -> float:
    """Relative change of the wall's thickness at the apex: thick walls spare it, but in the apical kind of
    hypertrophy, where it is a part of the disease."""
    p = plan.person
    if p.apical_wall > APICAL_KIND:
        return p.apical_wall
    usual = 10.0 * plan.scale
    return p.apical_wall - 0.75 * max(wall_mm - usual, 0.0) / wall_mm


def left_ventricle(space: Space, plan: Plan, sizes: Sizes) -> Fields:
    """All that belongs to the left ventricle but its papillary muscles: see `chamber`, `mitral_valve`, `outflow`."""
    f = chamber(space, plan, sizes)
    mitral_valve(space, plan, sizes, f)
    outflow(space, plan, sizes, f)
    return f


def chamber(space: Space, plan: Plan, sizes: Sizes) -> Fields:
    """The ventricle's coordinates `axial`, `septal`, `upper` (mm from the centre of its base), `inner` (the smooth inside
    of its wall), `outer`, and `myo` (what lies within `outer`, closed at the base)."""
    p, length = plan.person, plan.lv_length
    base = np.asarray(p.base)
    axial, septal, upper = (along(space, base, axis) for axis in plan.axes)
    r = sizes.lv_mm
    oval = 1.075 + p.variation("lv oval", 0.04)
    equator = EQUATOR + p.variation("equator", 0.05)
    turn = p.variation("lv oval turn", 0.5)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    s, u = (
        septal - np.float32(p.variation("apex to septum", 0.04) * r),
        upper - np.float32(p.variation("apex up", 0.04) * r),
    )
    inner = egg(
        (axial - np.float32(equator * length), s * cos + u * sin, u * cos - s * sin),
        np.array([(1 - equator) * length, r / oval, r * oval]),
        p.variation("lv taper", 0.06),
    )
    if p.flat_septum > 0:
        inner = smooth_max(inner, septal - np.float32(r * (1 - 0.75 * p.flat_septum)), 10.0)
    wall = np.float32(sizes.wall_mm)
    extra = wall * wall_pattern(plan, sizes.wall_mm, axial, septal, upper)
    thick = np.maximum(extra, 0)
    if p.septum > THICK_SEPTUM or p.apical_wall > 0:
        inner = inner + np.float32(INWARD) * thick
        extra = extra - np.float32(INWARD) * thick
    outer = inner - np.maximum(wall + extra, np.float32(2.5))
    myo = smooth_max(outer, -(axial + np.float32(3.0)), 5.0)
    return {"axial": axial, "septal": septal, "upper": upper, "inner": inner, "outer": outer, "myo": myo}


def mitral_valve(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `funnel` (from the valve into the atrium), `orifice` (its hole in the muscle) and `leaflets`."""
    p, r, axial = plan.person, sizes.lv_mm, f["axial"]
    ring = 0.62 * r / (1 - 0.25 * p.systole) * (plan.scale * 25 / r) ** 0.4
    mitral = plan.inside(0, 0.02 * r, -0.17 * r)
    la_centre = plan.at(-23.5, 14, 13)
    f["funnel"] = cone(space, mitral - 3 * plan.axes[0], mitral + 0.75 * (la_centre - mitral), ring, ring * 1.15)
    f["orifice"] = np.maximum(
        cone(space, mitral - 4 * plan.axes[0], mitral + 4 * plan.axes[0], ring, ring) + 0.3, np.abs(axial) - 5
    )
    # The leaflets hang open into the ventricle in diastole and nearly close its mouth in systole.
    hang, gap = (15.0 * plan.scale, 0.6) if p.systole < 0.3 else (6.0 * plan.scale, 0.12)
    leaflets = np.abs(cone(space, mitral, mitral + hang * plan.axes[0], ring - 1, gap * ring)) - 0.8
    f["leaflets"] = np.maximum(leaflets, np.abs(axial - np.float32(hang / 2)) - np.float32(hang / 2))


def outflow(space: Space, plan: Plan, sizes: Sizes, f: Fields) -> None:
    """Adds `height` (mm above the aortic valve), `lvot` (the way to it) and `lv` (all of the ventricle's blood), and lays
    a sleeve of muscle around the way out, into `myo`."""
    r, axial = sizes.lv_mm, f["axial"]
    valve, root = annulus(plan), root_direction(plan)
    valve_mm = 0.83 * min(sizes.aorta_mm, 18.0 * plan.scale)  # radius
    height = along(space, valve, root)
    start = plan.inside(0.26 * plan.lv_length, 0.12 * r, 0.12 * r)
    channel = cone(space, start, valve + 2 * root, min(0.6 * r, 1.15 * valve_mm), valve_mm)
    lvot = np.maximum(channel, height)
    sleeve = max(0.35 * min(float(np.float32(sizes.wall_mm)), 10.0), 3.6 * plan.scale)
    rise = 10 * np.clip(f["septal"] * np.float32(1.4 / r), 0, 1)  # the septum rises to the aortic valve
    collar = np.maximum(channel - np.float32(sleeve), -(axial + 6 + rise))
    f["height"], f["lvot"] = height, lvot
    f["lv"] = np.minimum(smooth_max(f["inner"], -axial, 3.0), lvot)
    f["myo"] = np.maximum(smooth_min(f["myo"], np.maximum(collar, height + 3), 3.0), -(axial + 7 + rise))


def papillary(space: Space, plan: Plan, sizes: Sizes) -> np.ndarray:
    """Field of the two papillary muscles, anterolateral (`front`) and posteromedial (`back`), each with two heads."""
    p, r, length = plan.person, sizes.lv_mm, plan.lv_length
    k = plan.scale * p.papillary * min(r / (20 * plan.scale), 1.0)
    fields = []
    for name, angle, thick in (("front", 2.45, 4.3), ("back", 4.35, 4.7)):
        angle += p.variation(f"papillary {name}", 0.18)
        foot_at = 0.74 + p.variation(f"papillary foot {name}", 0.04)
        foot = np.array([np.cos(angle + 0.2), np.sin(angle + 0.2)])
        for spread in (-0.16, 0.16):
            tip = np.array([np.cos(angle + spread), np.sin(angle + spread)])
            low = plan.inside(foot_at * length, *(0.72 * r * foot))
            top = plan.inside((0.33 + 0.3 * abs(spread)) * length, *(0.55 * r * tip))
            fields.append(cone(space, low, top, thick * k, 0.5 * thick * k))
    return np.minimum.reduce(fields)


def trabeculae(f: Fields, plan: Plan, rough: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Muscle strands on the inside of the wall, winding from mid-ventricle to apex: bool [n], for the n voxels `where`.

    rough: unit noise on the grid; it frays the strands. where: bool on the grid.
    """
    p, length = plan.person, plan.lv_length
    axial, septal, upper = f["axial"][where], f["septal"][where], f["upper"][where]
    angle = np.arctan2(upper, septal)
    turns = axial * np.float32(2 * np.pi / length)
    ridges = np.zeros(angle.shape, np.float32)
    for n in range(5):
        count = 7 + 2 * n
        phase = 3 * p.variation(f"strand {n}")
        wind = 0.5 + p.variation(f"strand wind {n}", 0.7)
        ridges += np.sin(np.float32(count) * angle + np.float32(wind) * turns + np.float32(phase))
    ridges = ridges * np.float32(0.45) + np.float32(0.6) * rough[where]
    low = np.clip((axial / np.float32(length) - 0.25) / 0.5, 0, 1)
    free = 1 - 0.6 * np.clip(septal / np.float32(15), 0, 1)
    height = np.float32(plan.scale * p.trabeculation * 9) * low * free * np.clip(ridges - 0.15, 0, 1)
    return f["inner"][where] > -height
