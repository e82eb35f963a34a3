"""What doctors put into and onto a person, and the dissected aorta that they do it for."""

from __future__ import annotations

import numpy as np

from .atria import tricuspid
from .great_vessels import DESCENDING, aorta_course
from .heart_plan import Plan, Sizes
from .heart_shapes import right_ventricle
from .person import Person
from .shapes import Space, ellipsoid, tube
from .thorax import chest_sizes
from .tissues import Tissue

LEAD_MM, WIRE_MM, CABLE_MM = 1.1, 0.8, 1.2
"""Radii of pacemaker leads (7 French), sternal wires and ECG cables."""


def paint_thread(tissues: np.ndarray, space: Space, points: np.ndarray, radius: float) -> None:
    """A metal thread of `radius` mm through `points` (LPS mm, [n, 3]), within the body: in no air.

    It stays at least two thirds of a voxel thick, so that it does not fall apart on coarse grids.
    """
    radius = max(radius, 0.66 * space.spacing)
    block, part = space.around(tissues, points, radius + 1)
    block[(block != Tissue.AIR) & (tube(part, points, np.full(len(points), radius), 1) < 0)] = Tissue.METAL


def paint_pacemaker(tissues: np.ndarray, space: Space, plan: Plan, sizes: Sizes) -> None:
    """Leads from below the left clavicle through the upper vena cava to the right atrium and ventricle."""
    p = plan.person
    n = p.size
    _, depth, middle = chest_sizes(p)
    way = [
        [88 * n, middle - 0.95 * depth, 128 * n],
        [52 * n, -8, 138 * n],
        [28 * n, -10, 121 * n],
        [0, -22, 108 * n],
        [-25 * n, -7, 95 * n],
        [-27 * n, -6, 78 * n],
    ]
    cava = [plan.at(-46, -3, 42), plan.at(-46, -4, 20)]
    centre, radii = right_ventricle(plan, sizes)
    valve, axis = tricuspid(plan)
    tip = centre + 0.75 * radii[0] * plan.axes[0] - 0.3 * radii[2] * plan.axes[2]
    ventricular = [plan.at(-48, -6, -4), valve, valve + 18 * axis, tip]
    paint_thread(tissues, space, np.array([*way, *cava, *ventricular]), LEAD_MM)
    if p.variation("atrial lead") > -0.3:
        ear = [plan.at(-52, -12, 2), plan.at(-46, -26, 10), plan.at(-40, -33, 19)]
        paint_thread(tissues, space, np.array([*way, *cava, *ear]), LEAD_MM)
    can = np.array([100 * n, middle - 0.98 * depth - p.muscle_mm, 128 * n])
    block, part = space.window(tissues, can - 30, can + 30)
    field = ellipsoid(part, can, np.array([24.0, 6.0, 26.0]))
    block[(field < 0) & (block != Tissue.AIR) & (block != Tissue.LUNG)] = Tissue.METAL


def paint_sternal_wires(tissues: np.ndarray, space: Space, p: Person) -> None:
    """Wire loops that hold the sternum together after an operation."""
    n = p.size
    _, depth, middle = chest_sizes(p)
    front = middle - depth - 3
    for height in np.linspace(-38, 92, 6) * n:
        y = front + max(height - 40 * n, 0) * 0.14
        loop = [[-9, y + 7, height - 2], [-14, y, height], [-7, y - 8, height + 1], [0, y - 9.5, height + 2]]
        loop += [[7, y - 8, height + 3], [14, y, height + 2], [9, y + 7, height]]
        paint_thread(tissues, space, np.array(loop) * [n, 1, 1], WIRE_MM)


def paint_electrodes(tissues: np.ndarray, space: Space, p: Person, rng: np.random.Generator) -> None:
    """ECG electrodes on the front of the chest, with cables that run to the shoulders before the skin."""
    width, _, _ = chest_sizes(p)
    n, xs, ys, zs = p.size, space.grid(0), space.grid(1), space.grid(2)
    for _ in range(p.electrodes):
        x, z = rng.uniform(-0.75, 0.75) * width, rng.uniform(-95, 110) * n
        end_x, lift = float(np.sign(x) * rng.uniform(0.3, 0.9) * width), float(rng.uniform(1, 10))
        points = []
        for t in np.linspace(0, 1, 9):
            px, pz = x + t * (end_x - x) + 6 * np.sin(5 * t), z + t * (185 * n - z)
            i, k = int(np.argmin(np.abs(xs - px))), int(np.argmin(np.abs(zs - pz)))
            column = tissues[k, :, i] != Tissue.AIR
            if column.any():
                points.append([px, float(ys[int(np.argmax(column))]) - lift * min(4 * t, 1.0) - CABLE_MM, pz])
        if len(points) < 3:
            continue
        course = np.array(points)
        paint_thread_unwarped(tissues, space, course, CABLE_MM)
        pad = np.stack([course[0] + [0, 1.0, 0], course[0] + [1.5, 1.0, 0]])
        paint_thread_unwarped(tissues, space, pad, 3.5)


def paint_thread_unwarped(tissues: np.ndarray, space: Space, points: np.ndarray, radius: float) -> None:
    """A metal thread in air, its points given on the grid's own axes instead of the warped body's."""
    radius = max(radius, 0.66 * space.spacing)
    block, part = space.around(tissues, points, radius)
    z, y, x = np.meshgrid(part.grid(2), part.grid(1), part.grid(0), indexing="ij")
    straight = Space(x, y, z, part.origin, part.spacing, 0.0)
    field = tube(straight, points, np.full(len(points), radius), 1)
    block[(field < 0) & (block == Tissue.AIR)] = Tissue.METAL


def paint_descending_aorta(tissues: np.ndarray, space: Space, plan: Plan, sizes: Sizes) -> None:
    """A dissection with flap, false lumen and perhaps clot, a stent, or both, in the descending aorta."""
    p = plan.person
    points, radii, _ = aorta_course(plan, sizes)
    course, widths = points[DESCENDING], radii[DESCENDING]
    block, part = space.around(tissues, course, float(widths.max()) + 3)
    order = np.argsort(course[:, 2])
    cx, cy, width = (np.interp(part.z, course[order, 2], v[order]) for v in (course[:, 0], course[:, 1], widths))
    dx, dy = part.x - cx.astype(np.float32), part.y - cy.astype(np.float32)
    lumen = (block == Tissue.AORTA) & (part.y > 30 * p.size)
    if p.dissection:
        turn = np.float32(p.variation("flap turn", 2.0)) + part.z * np.float32(p.variation("flap twist", 0.006))
        aside = np.cos(turn) * dx + np.sin(turn) * dy - np.float32(p.variation("flap place", 3.0))
        block[lumen & (aside > 0.8)] = Tissue.FALSE_LUMEN
        block[lumen & (np.abs(aside) <= 0.8)] = Tissue.VESSEL_WALL
        if p.variation("clot") > 0:
            clot = np.hypot(dx, dy) > width - 5
            block[lumen & (aside > 3) & clot] = Tissue.THROMBUS
    if p.stent:
        shell = np.abs(np.hypot(dx, dy) - width + 0.3)
        zigzag = np.abs((part.z / 14 + 0.5 * np.abs((np.arctan2(dy, dx) * 1.27) % 2 - 1)) % 1 - 0.5)
        vessel = np.isin(block, (Tissue.AORTA, Tissue.VESSEL_WALL, Tissue.FALSE_LUMEN, Tissue.THROMBUS))
        ends = (part.z > -80 * p.size) & (part.z < 60 * p.size) & (part.y > 30 * p.size)
        block[vessel & ends & (shell < max(0.7, 0.6 * space.spacing)) & (zigzag < 0.17)] = Tissue.STENT


def paint_devices(tissues: np.ndarray, space: Space, plan: Plan, sizes: Sizes, rng: np.random.Generator) -> None:
    p = plan.person
    if p.dissection or p.stent:
        paint_descending_aorta(tissues, space, plan, sizes)
    if p.pacemaker:
        paint_pacemaker(tissues, space, plan, sizes)
    if p.operated:
        paint_sternal_wires(tissues, space, p)
    paint_electrodes(tissues, space, p, rng)
