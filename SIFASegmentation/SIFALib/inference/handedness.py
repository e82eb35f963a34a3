"""Is what was drawn a heart, or a heart's mirror image? A turn of the body changes nothing in the answer.

Four structures that do not lie in a plane have a handedness: the sign of the volume of the tetrahedron of their centres.
A header with a wrong sign, or slices stacked from the wrong end, gives each structure its shape and each volume its
millilitres, and exchanges left and right of all of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

QUADRUPLES = (
    ("LA", "LV", "AA", "RA"),
    ("LA", "LV", "PA", "RA"),
    ("LA", "LV", "PA", "RV"),
    ("LV", "RV", "PA", "RA"),
    ("LV", "AA", "RA", "RV"),
)
"""In this order of a right-handed frame, in LPS: of the fifteen quadruples of the six chambers and vessels, the five that
are farthest from a plane for their spread. In 19 adult hearts (Rodero et al., PLOS Comput Biol 17:e1008851 (2021)) their
handedness is 0.49 to 0.62, with a standard deviation of 0.03."""

MIRRORED = -0.2
"""A heart is beyond +0.2, its mirror image beyond this; in between the structures lie like neither."""


def handedness(centres: Mapping[str, np.ndarray]) -> float | None:
    """Mean over QUADRUPLES of the determinant of three edges over the cube of the mean edge: about 0.5 for a heart, -0.5
    for its mirror image.

    centres: of each structure found, by id, float64 [3] in LPS mm. None where no quadruple is complete.
    """
    signed = [_of_four([centres[name] for name in four]) for four in QUADRUPLES if all(n in centres for n in four)]
    return float(np.mean(signed)) if signed else None


def _of_four(points: list[np.ndarray]) -> float:
    edges = [float(np.linalg.norm(one - other)) for one, other in itertools.combinations(points, 2)]
    volume = float(np.linalg.det(np.array([p - points[0] for p in points[1:]])))
    return volume / max(float(np.mean(edges)), 1e-6) ** 3
