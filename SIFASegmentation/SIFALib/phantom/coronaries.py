"""Coronary arteries and the coronary sinus, running in the fat of the grooves."""

from __future__ import annotations

import numpy as np

from .atria import tricuspid
from .heart_plan import Plan, Sizes
from .shapes import Space, tube


def coronaries(space: Space, plan: Plan, sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Fields of the three main coronary arteries and of the great cardiac vein.

    Widths 2 to 5 mm (Dodge et al., Circulation 1992). They are painted only where there
    is fat, so that their course need not be exact.
    """
    length, k = plan.lv_length, plan.scale
    outer = sizes.lv_mm + sizes.wall_mm

    def groove(degrees: float, along: float, lift: float) -> np.ndarray:
        """A point on the outside of the left ventricle; degrees from the septum towards the anterior wall."""
        x = max(1 - ((along - 0.28) / 0.86) ** 2, 0.05)
        radius = outer * np.sqrt(x) + lift
        angle = np.radians(degrees)
        return plan.inside(along * length, radius * np.cos(angle), radius * np.sin(angle))

    main = plan.at(-1, -8, 25)
    fork = plan.at(14, -8, 24)
    descending = [main, fork] + [groove(66 - 6 * a, a, 3.0) for a in (0.05, 0.25, 0.45, 0.65, 0.85)]
    circumflex = [fork] + [groove(angle, -0.05, 0.0) for angle in (105, 135, 165, 195, 220)]
    valve, axis = tricuspid(plan)
    first = plan.direction(0.2, -0.2, 0.9)
    first -= (first @ axis) * axis
    first /= np.linalg.norm(first)
    second = np.cross(axis, first)
    ring = [valve + 23 * k * (np.cos(t) * first + np.sin(t) * second) for t in np.radians([-10, -50, -90, -130, -170])]
    if ring[2][0] > valve[0]:  # the artery runs on the right side of the valve
        ring = [2 * (valve + (p - valve) @ first * first) - p for p in ring]
    right = [plan.at(-13, -22, 24), *ring]
    arteries = [
        tube(space, np.array(course), np.linspace(first_mm, last_mm, len(course)) * k, 4)
        for course, first_mm, last_mm in ((descending, 2.3, 1.1), (circumflex, 2.0, 1.2), (right, 2.2, 1.5))
    ]
    course = np.array([groove(angle, -0.09, 0.0) for angle in (150, 185, 215, 245)] + [plan.at(-30, 4, -20)])
    vein = tube(space, course, np.array([1.8, 2.4, 3.2, 4.2, 4.8]) * k, 4)
    return np.minimum.reduce(arteries), vein
