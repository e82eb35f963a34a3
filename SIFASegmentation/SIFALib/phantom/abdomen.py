"""The lungs' outline, the diaphragm and the organs right below it, painted into a tissue map."""

from __future__ import annotations

import numpy as np

from .person import Person
from .shapes import Slices, Space, ellipsoid, smooth_min
from .tissues import Tissue


def diaphragm(space: Space, p: Person, rest: np.ndarray) -> np.ndarray:
    """Height (mm) above the diaphragm; negative in the abdomen. rest: where the heart lies on it (LPS mm)."""
    n, sink = p.size, p.inspiration
    x, y, z = space.x, space.y, space.z
    bow = np.square((y - np.float32(8 * n)) * np.float32(1 / (88 * n * p.chest_depth))) * np.float32(62)
    right = np.square((x + np.float32(62 * n)) * np.float32(1 / (80 * n))) * np.float32(45)
    left = np.square((x - np.float32(68 * n)) * np.float32(1 / (80 * n))) * np.float32(45)
    middle = np.square((x - np.float32(rest[0])) * np.float32(1 / (55 * n))) * np.float32(30)
    middle -= np.float32(rest[2] + 5)
    domes = bow + smooth_min(right + np.float32(36 * n + sink), left + np.float32(47 * n + sink), 25.0)
    return z + smooth_min(middle + np.float32(0.6) * bow, domes, 16.0)


def paint_cavity(tissues: np.ndarray, space: Space, p: Person, cavity: np.ndarray, rest: np.ndarray) -> None:
    """Lungs above the diaphragm, the organs of the upper abdomen below. cavity: field of both."""
    above = diaphragm(space, p, rest)
    inside = cavity < 0
    tissues[inside & (cavity < -1) & (above > 0)] = Tissue.LUNG
    tissues[inside & (above < 0)] = Tissue.FAT
    tissues[inside & (above < 0) & (above > -3)] = Tissue.MUSCLE
    paint_organs(tissues, space, p, cavity, above, rest)


def paint_organs(
    tissues: np.ndarray, space: Space, p: Person, cavity: np.ndarray, above: np.ndarray, rest: np.ndarray
) -> None:
    """Stomach, spleen, liver, kidneys and in most a loop of bowel, all below the diaphragm (`above` < 0)."""
    n, sink = p.size, p.inspiration
    bottom = np.array([0, 0, -sink])

    def organ(
        centre: tuple[float, float, float], radii: tuple[float, float, float], tissue: Tissue
    ) -> tuple[Slices, np.ndarray]:
        c, r = np.array(centre) * n + bottom, np.array(radii) * n
        where = space.slices(c - r, c + r)
        field = ellipsoid(space.part(where), c, r)
        field = np.maximum(np.maximum(field, above[where] + 3.0), cavity[where] + 2)
        tissues[where][field < 0] = tissue
        return where, field

    full = 1 + p.variation("stomach", 0.18)
    stomach = (
        62 + p.variation("stomach aside", 6),
        p.variation("stomach depth", 8),
        -86 + p.variation("stomach height", 6),
    )
    where, field = organ(stomach, (44 * full, 46 * full, 48 * full), Tissue.STOMACH_WALL)
    inner = field < -3.5
    tissues[where][inner] = Tissue.STOMACH_CONTENT
    if p.stomach_gas:
        tissues[where][inner & (space.y[where] < np.float32(2 * n))] = Tissue.GAS
    organ((96, 60, -92), (26, 40, 48), Tissue.SPLEEN)
    organ((-58, 14, -110), (92, 96, 92), Tissue.LIVER)
    organ((22, -26, (float(rest[2]) + sink) / n - 22), (62, 44, 34), Tissue.LIVER)
    for x in (-54, 56):
        organ((x, 62, -148 + p.variation("kidney", 8)), (24, 22, 48), Tissue.KIDNEY)
    if p.variation("bowel") > -0.2:
        where, field = organ((92, -26, -104 + p.variation("bowel height", 12)), (28, 30, 22), Tissue.BOWEL)
        tissues[where][(field < -3) & (space.y[where] < np.float32(-18 * n))] = Tissue.GAS
