"""What lies around the heart, in everybody (azygos vein, vessels of the liver) or in some: thymus, pleural fluid, arms."""

from __future__ import annotations

import numpy as np

from .heart_plan import Plan
from .person import Person
from .shapes import Space, cone, ellipsoid, tube
from .thorax import chest_sizes, spine_centre
from .tissues import Tissue


def paint_azygos(tissues: np.ndarray, space: Space, p: Person) -> None:
    """Up along the right front of the spine, and in an arch over the right bronchus into the upper vena cava."""
    n = p.size
    heights = np.array([-170.0, -60.0, 0.0, 40.0]) * n
    course = [[-7 * n, float(spine_centre(p, np.float32(z))) - 17 * n, z] for z in heights]
    course += [[-13 * n, 56, 64 * n], [-24 * n, 32, 76 * n], [-27 * n, 4, 74 * n]]
    points = np.array(course)
    block, part = space.around(tissues, points, 8)
    width = 3.6 * n * float(np.exp(p.variation("azygos", 0.25)))
    field = tube(part, points, np.full(len(points), width), 4)
    free = np.isin(block, (Tissue.MEDIASTINAL_FAT, Tissue.LUNG, Tissue.FAT))
    block[free & (field < 0)] = Tissue.AZYGOS_VEIN


def paint_thymus(tissues: np.ndarray, space: Space, p: Person) -> None:
    """The thymus of a child: between the sternum and the great vessels, at the cost of lung."""
    if p.thymus < 0.15:
        return
    n = p.size
    _, depth, middle = chest_sizes(p)
    for name, side in (("right", -1.0), ("left", 1.0)):
        size = p.thymus * (1 + p.variation(f"thymus {name}", 0.2))
        centre = np.array([side * 15 * size * n, middle - depth + 24 * n, (48 + p.variation("thymus height", 8)) * n])
        radii = np.array([22 * size, 8 + 14 * size, 26 + 24 * size]) * n
        block, part = space.window(tissues, centre - radii, centre + radii)
        free = (block == Tissue.MEDIASTINAL_FAT) | (block == Tissue.LUNG)
        block[free & (ellipsoid(part, centre, radii) < 0)] = Tissue.THYMUS


def paint_pleural_fluid(tissues: np.ndarray, space: Space, p: Person) -> None:
    """Fluid at the back of the pleural spaces of a person lying down, and the lung that collapses in front of it."""
    if max(p.pleural_mm) <= 0:
        return
    width, depth, middle = chest_sizes(p)
    lung = tissues == Tissue.LUNG
    meniscus = np.float32(18) * np.square(space.x / np.float32(width)) + np.float32(0.08) * space.z
    for side, mm in zip((-1.0, 1.0), p.pleural_mm, strict=True):
        if mm > 0:
            level = space.y + meniscus - np.float32(middle + depth - mm)
            here = lung & (space.x * np.float32(side) > 0)
            tissues[here & (level > -0.35 * mm)] = Tissue.COLLAPSED_LUNG
            tissues[here & (level > 0)] = Tissue.PLEURAL_FLUID


def paint_arms(tissues: np.ndarray, space: Space, p: Person) -> None:
    """Upper arms beside the chest, as far as the field of view shows them."""
    if not p.arms_down:
        return
    n = p.size
    width, _, middle = chest_sizes(p)
    radius = (34 + 0.4 * p.fat_mm + 0.6 * p.muscle_mm) * n
    for side in (-1.0, 1.0):
        x = side * (1.12 * width + 12 + p.muscle_mm + p.fat_mm + radius + 3)
        y = middle + (20 + p.variation("arm depth", 12)) * n
        points = np.array([[x, y, -260.0], [x - side * 14, y, 110 * n], [x - side * 40 * n, y, 190 * n]])
        block, part = space.around(tissues, points, radius)
        field = np.minimum(
            cone(part, points[0], points[1], radius, 1.1 * radius), cone(part, points[1], points[2], radius, radius)
        )
        free = block == Tissue.AIR
        for inside, tissue in (
            (0.0, Tissue.SKIN),
            (1.8, Tissue.FAT),
            (2 + 0.3 * p.fat_mm, Tissue.MUSCLE),
            (radius - 12 * n, Tissue.CORTICAL_BONE),
            (radius - 8 * n, Tissue.MARROW),
        ):
            block[free & (field < -inside)] = tissue


def paint_liver_vessels(tissues: np.ndarray, space: Space, p: Person, rng: np.random.Generator) -> None:
    """Veins of the liver, straight twigs that become thinner from its hilum outwards."""
    start = np.array([-12.0, 8.0, -95.0]) * p.size - np.array([0, 0, p.inspiration])
    twigs = [(start, np.array([-1.0, 0.0, 0.3]) + 0.7 * rng.standard_normal(3), 5.0 * p.size) for _ in range(6)]
    for _ in range(110):
        if not twigs:
            break
        begin, way, radius = twigs.pop(0)
        way = way / np.linalg.norm(way)
        end = begin + way * radius * float(rng.uniform(4, 7))
        block, part = space.around(tissues, np.array([begin, end]), radius)
        if (block == Tissue.LIVER).any():
            field = cone(part, begin, end, radius, 0.85 * radius)
            block[(block == Tissue.LIVER) & (field < 0)] = Tissue.LIVER_VESSEL
        if radius > 1.4:
            twigs += [(end, way + 0.45 * rng.standard_normal(3), 0.78 * radius) for _ in range(2)]


def paint_neighbours(tissues: np.ndarray, space: Space, plan: Plan, rng: np.random.Generator) -> None:
    p = plan.person
    paint_azygos(tissues, space, p)
    paint_thymus(tissues, space, p)
    paint_pleural_fluid(tissues, space, p)
    paint_liver_vessels(tissues, space, p, rng)
    paint_arms(tissues, space, p)
