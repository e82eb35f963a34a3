"""Vessels of the neck and the branching vessels and bronchi of the lungs."""

from __future__ import annotations

import numpy as np

from .atria import pulmonary_veins
from .heart_plan import Plan, Sizes
from .shapes import Space, cone, tube
from .tissues import Tissue

MOST_TWIGS = 2200
Twig = tuple[np.ndarray, np.ndarray, float, bool]
"""Start (LPS mm), direction, radius (mm), and whether it is a bronchus."""


def neck_vessels(space: Space, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Fields of the arteries from the arch and of the brachiocephalic veins (with the upper vena cava)."""
    p = plan.person
    n, top = p.size, p.arch_top * p.size
    arteries = []
    for start, way, radius in (
        ((-4 * n, 4, top - 4), (-20, -2, 50), 6.0),
        ((5 * n, 18, top), (8, -6, 55), 4.2),
        ((14 * n, 32, top - 4), (18, -2, 55), 4.8),
    ):
        begin, d = np.array(start), np.array(way) * n
        points = np.array([begin, begin + 0.45 * d, begin + d, begin + 1.9 * d * [1.1, 1, 0.9]])
        arteries.append(tube(space, points, np.full(4, radius) * n, 8))
    right = np.array([plan.at(-46, -3, 40), [-27 * n, -6, 80 * n], [-27 * n, -4, 108 * n], [-40 * n, 2, 190 * n]])
    left = np.array([[-26 * n, -6, 96 * n], [0, -22, 108 * n], [28 * n, -10, 122 * n], [42 * n, 0, 190 * n]])
    veins = tube(space, right, np.array([9, 9, 8, 6.5]) * n, 8), tube(space, left, np.array([8, 6.5, 6.5, 6]) * n, 8)
    return np.minimum.reduce(arteries), np.minimum(*veins)


def stems(plan: Plan, sizes: Sizes, rng: np.random.Generator) -> list[Twig]:
    """Where the trees of both lungs begin: arteries and bronchi at the hila, veins at the ends of the pulmonary veins."""
    n = plan.person.size
    queue: list[Twig] = []
    hila = (plan.at(-50, 24, 34), plan.at(42, 34, 42))
    for side, hilum in zip((-1.0, 1.0), hila, strict=True):
        for root in range(18):
            way = np.array([side * 0.8, 0.0, -0.1]) + rng.standard_normal(3) * [0.35, 0.8, 0.95]
            start = hilum + rng.standard_normal(3) * [4, 7, 11]
            queue.append((start, way / np.linalg.norm(way), float(rng.uniform(2.6, 4.8)) * n, root % 5 == 4))
        for _ in range(150):  # smaller ones whose stems are not followed
            start = hilum + rng.uniform([-60, -85, -120], [60, 75, 110]) * n + [side * 25, 0, 0]
            way = (start - hilum) / np.linalg.norm(start - hilum) + 0.5 * rng.standard_normal(3)
            queue.append((start, way / np.linalg.norm(way), float(rng.uniform(0.9, 2.0)) * n, False))
    for vein in pulmonary_veins(plan, sizes):
        way = vein.points[-1] - vein.points[-2]
        for _ in range(3):
            turned = way / np.linalg.norm(way) + 0.4 * rng.standard_normal(3)
            queue.insert(0, (vein.points[-1] - 2 * turned, turned, 0.8 * float(vein.radii[-1]), False))
    return queue


def paint_trees(tissues: np.ndarray, space: Space, plan: Plan, sizes: Sizes, rng: np.random.Generator) -> None:
    """Random trees of vessels and bronchi, at most MOST_TWIGS, stems before branches; only lung is painted over."""
    queue = stems(plan, sizes, rng)
    painted = 0
    while queue and painted < MOST_TWIGS:
        start, way, radius, bronchus = queue.pop(0)
        length = (5 + radius * 4) * float(rng.uniform(0.8, 1.6))
        end = start + way * length
        block, part = space.around(tissues, np.array([start, end]), radius)
        if not (block == Tissue.LUNG).any():
            continue
        field = cone(part, start, end, radius, radius * 0.86)
        lung = (block == Tissue.LUNG) | ((block == Tissue.LUNG_VESSEL) & bronchus)
        block[lung & (field < 0)] = Tissue.AIRWAY_WALL if bronchus else Tissue.LUNG_VESSEL
        if bronchus and radius > 1.8:
            block[(block == Tissue.AIRWAY_WALL) & (field < -1.3)] = Tissue.AIRWAY
        painted += 1
        if radius < 0.8:
            continue
        for _ in range(2):
            bend = way + rng.standard_normal(3) * 0.4
            queue.append((end, bend / np.linalg.norm(bend), radius * float(rng.uniform(0.66, 0.9)), bronchus))
