"""The thorax around the heart: chest wall, bones, lungs, abdomen, table, painted into a tissue map."""

from __future__ import annotations

import numpy as np

from .person import Person
from .shapes import Space, ellipsoid, smooth_max, smooth_min, tube
from .tissues import Tissue

RIB_PITCH = 27.0
"""Distance between neighbouring ribs at the side of the chest, and of thoracic vertebrae, mm."""
HALF_WIDTH_MM, HALF_DEPTH_MM = 129, 81
"""Of the average pleural cavity at the height of the heart."""
TABLE_HALF_WIDTH_MM = 205
"""Of a CT table; its thickness and curvature below go with it."""


def oval(x: np.ndarray, y: np.ndarray, half_width: np.ndarray, half_depth: np.ndarray) -> np.ndarray:
    """Radial distance (mm) to a rounded rectangle in the axial plane (between an ellipse and a squircle)."""
    u, v = x / half_width, y / half_depth
    u *= u
    v *= v
    square = u + v
    k = np.sqrt(np.sqrt(square * square - np.float32(0.45) * u * v)) + np.float32(1e-6)
    radius = np.sqrt(x * x + y * y)
    return radius - radius / k


def chest_sizes(p: Person) -> tuple[float, float, float]:
    """Half width and half depth of the pleural cavity at heart level, and its centre in y (mm)."""
    return HALF_WIDTH_MM * p.size, HALF_DEPTH_MM * p.size * p.chest_depth, 20 * p.size


def paint_wall(tissues: np.ndarray, space: Space, p: Person) -> np.ndarray:
    """Body surface, fat, muscle and ribs. Returns the field of the pleural and abdominal cavity."""
    heights = space.grid(2)
    width, depth, middle = chest_sizes(p)
    rise = np.clip((heights - 15 * p.size) / (165 * p.size), 0, 1.25)
    narrowing = np.sqrt(np.clip(1 - rise**2.3, 0.0, 1)) * 0.97 + 0.03
    flare = 1 + 0.05 * np.clip(-heights / 120, 0, 1)
    profile = (narrowing * flare).astype(np.float32)[:, None, None]
    apex_shift = (12 * rise**2 * p.size).astype(np.float32)[:, None, None]
    shoulders = np.clip((heights - 60) / 110, 0, 1).astype(np.float32)[:, None, None]
    y = space.y - np.float32(middle)
    cavity = oval(space.x, y - apex_shift, np.float32(width) * profile, np.float32(depth) * (0.25 + 0.75 * profile))
    chest = oval(space.x, y, width * (1 + 0.12 * shoulders), np.float32(depth) * (1 - 0.06 * shoulders))
    back = np.clip(y / np.float32(depth), -1, 1)
    side = np.clip(np.abs(space.x) / np.float32(width), 0, 1)
    muscle = np.float32(p.muscle_mm) * (np.float32(0.55) + np.float32(0.5) * back + np.float32(0.25) * side)
    muscle = 12 + np.maximum(muscle, 3) + 6 * shoulders
    fat = np.float32(p.fat_mm) * (np.float32(0.75) + np.float32(0.25) * np.abs(back) + 0.15 * side)
    surface = chest - (muscle + fat)
    if p.female:
        for sign in (-1.0, 1.0):
            centre = np.array([sign * 0.56 * width, middle - 0.86 * depth - p.muscle_mm - 0.25 * p.breast_mm, 0.0])
            where = space.slices(centre - p.breast_mm * 1.4, centre + p.breast_mm * 1.4)
            part = space.part(where)
            breast = ellipsoid(part, centre, p.breast_mm * np.array([1.35, 0.6, 1.15]))
            surface[where] = smooth_min(surface[where], breast, 16.0)
            gland = ellipsoid(part, centre, p.breast_mm * np.array([0.8, 0.36, 0.7]))
            tissues[where][(gland < 0) & (surface[where] < -4)] = Tissue.BREAST
    keep = tissues == Tissue.BREAST
    tissues[surface < 0] = Tissue.SKIN
    tissues[surface < -1.8] = Tissue.FAT
    tissues[keep] = Tissue.BREAST
    tissues[chest - muscle < 0] = Tissue.MUSCLE
    tissues[cavity < 1] = Tissue.FAT
    paint_scapulae(tissues, space, p, cavity, depth, middle)
    paint_ribs(tissues, space, p, cavity, depth, middle)
    return cavity


def paint_scapulae(
    tissues: np.ndarray, space: Space, p: Person, cavity: np.ndarray, depth: float, middle: float
) -> None:
    """Shoulder blades: thin plates behind the upper ribs."""
    n = p.size
    across = np.abs(space.x) - np.float32(88 * n) - 0.25 * (space.z - np.float32(90 * n))
    plate = (cavity > 13) & (cavity < 19) & (space.y > np.float32(middle + 0.15 * depth)) & (np.abs(across) < 32 * n)
    plate &= (np.abs(space.z - np.float32(95 * n)) < 70 * n) & (tissues == Tissue.MUSCLE)
    tissues[plate] = Tissue.CORTICAL_BONE
    tissues[plate & (cavity > 14.6) & (cavity < 17.4) & (np.abs(across) > 12 * n)] = Tissue.MARROW


def paint_ribs(tissues: np.ndarray, space: Space, p: Person, cavity: np.ndarray, depth: float, middle: float) -> None:
    """Ribs fall from the spine to the front; in front of the mid-clavicular line they are cartilage."""
    layer = (cavity > 1.5) & (cavity < 9.5)
    flat = space.flat(layer)
    distance = cavity[layer]
    front = np.clip((np.float32(middle + 0.75 * depth) - flat.y) / np.float32(1.9 * depth), 0, 1.1)
    drop = np.float32(78 * p.size) * (1 - (1 - front) ** 2)
    pitch = np.float32(RIB_PITCH * p.size)
    position = (flat.z + drop) / pitch
    offset = (position - np.round(position)) * pitch
    across = np.hypot(offset / np.float32(6.5), (distance - np.float32(5.5)) / np.float32(3.7))
    real = (flat.z > -125 * p.size) | (front < 0.5)
    cartilage = front > np.float32(0.86)
    bone = np.full(distance.shape, Tissue.MUSCLE, np.uint8)
    bone[(across < 1) & real] = Tissue.CORTICAL_BONE
    bone[(across < 0.72) & real] = Tissue.MARROW
    bone[(across < 1) & real & cartilage] = Tissue.CARTILAGE
    tissues[layer] = bone


def spine_centre(p: Person, z: np.ndarray) -> np.ndarray:
    """y (mm) of the centre of the vertebral bodies at height z."""
    t = z / np.float32(150 * p.size)
    return np.float32(79 * p.size) + np.float32(0.35 * p.kyphosis) - np.float32(0.6 * p.kyphosis + 8) * t * t


def paint_spine(tissues: np.ndarray, space: Space, p: Person) -> None:
    n = p.size
    block, part = space.window(tissues, np.array([-48 * n, 40, -400]), np.array([48 * n, 165 * n, 400]))
    x, y = part.x, part.y - spine_centre(p, part.z)
    level = part.z / np.float32(RIB_PITCH * n)
    offset = (level - np.round(level)) * np.float32(RIB_PITCH * n)  # 0 in the middle of a vertebra
    erector = np.hypot((np.abs(x) - 25 * n) / (22 * n), (y - 33 * n) / (17 * n))
    block[(erector < 1) & (block != Tissue.SKIN) & (block != Tissue.AIR)] = Tissue.MUSCLE
    waist = 1 - 0.1 * np.cos(offset * np.float32(2 * np.pi / (RIB_PITCH * n)))
    body = np.hypot(x / (18 * n), y / (14.5 * n)) / waist
    disc = np.abs(offset) > np.float32((RIB_PITCH / 2 - 2.6) * n)
    block[body < 1] = Tissue.CORTICAL_BONE
    block[(body < 0.9) & (np.abs(offset) < np.float32((RIB_PITCH / 2 - 3.8) * n))] = Tissue.MARROW
    block[(body < 1) & disc] = Tissue.DISC
    ring = np.hypot(x, y - 22 * n)
    arch = (ring < 14 * n) & (np.abs(offset) < 8 * n) & (body > 1)
    spine = (np.abs(x) < 3.2 * n) & (y > 30 * n) & (y < 47 * n) & (np.abs(offset + (y - 30 * n) * 0.35) < 8 * n)
    wings = (
        (np.abs(x) < 33 * n)
        & (np.abs(y - 24 * n - np.abs(x) * 0.25) < 5 * n)
        & (np.abs(offset - 2) < 5.5 * n)
        & (body > 1)
    )
    bone = arch | spine | wings
    block[bone] = Tissue.CORTICAL_BONE
    marrow = bone & (
        ((np.abs(y - 24 * n - np.abs(x) * 0.25) < 3 * n) & (np.abs(x) > 12 * n) & (np.abs(offset - 2) < 4 * n))
        | ((np.abs(x) < 1.8 * n) & (y > 36 * n))
    )
    block[marrow] = Tissue.MARROW
    block[ring < 9.5 * n] = Tissue.SPINAL_CANAL


def paint_sternum(tissues: np.ndarray, space: Space, p: Person) -> None:
    n = p.size
    _, depth, middle = chest_sizes(p)
    front = middle - depth - 1
    low, high = np.array([-32 * n, front - 20, -62 * n]), np.array([32 * n, front + 60, 118 * n])
    block, part = space.window(tissues, low, high)
    lean = np.clip(part.z - 40 * n, 0, None) * np.float32(0.14)
    y = part.y - np.float32(front - 2) - lean
    half = 15 * n + np.clip((part.z - 70 * n) * 0.35, 0, 12 * n)
    plate = np.maximum(np.hypot(part.x / half, y / (6.5 * n)) * 6 - 6, np.abs(part.z - 28 * n) - 84 * n)
    block[plate < 0] = Tissue.CORTICAL_BONE
    block[plate < -1.3] = Tissue.MARROW


def mediastinum(space: Space, p: Person, tubes: np.ndarray) -> np.ndarray:
    """Field of the fat between the lungs: around `tubes` (vessels, airways) and behind the sternum."""
    n = p.size
    _, depth, middle = chest_sizes(p)
    front = np.float32(middle - depth)
    widening = np.float32(0.16 + 0.022 * p.epicardial_fat_mm)
    wedge = np.abs(space.x - 3) - (1.5 + widening * np.maximum(space.y - front, 0))
    wedge = smooth_max(wedge, np.abs(space.y - (front + 20)) - 26, 12.0)
    wedge = smooth_max(wedge, np.abs(space.z - 35 * n) - 75 * n, 40.0)
    prevertebral = np.hypot(space.x / (20 * n), (space.y - spine_centre(p, space.z) + 8) / (19 * n)) * 18 - 18
    return smooth_min(smooth_min(tubes, wedge, 10.0), prevertebral, 8.0)


def airways(space: Space, p: Person) -> tuple[np.ndarray, np.ndarray]:
    """Fields of trachea with main bronchi (outer wall) and of the oesophagus."""
    n = p.size
    way = [[1, 46, 200], [2, 47, 120], [4, 54, 60], [6, 62, 20], [10, 58, -40], [20, 40, -75]]
    trachea, right, left, gullet = (
        tube(space, np.array(points) * n, np.array(radii) * n, 10)
        for points, radii in (
            ([[0, 22, 200], [-1, 25, 130], [1, 30, 94], [1, 35, 62]], [8.8, 8.8, 8.5, 9.0]),
            ([[1, 35, 62], [-18, 39, 48], [-36, 43, 30], [-52, 50, 6]], [8, 7.5, 6.0, 4.5]),
            ([[1, 35, 62], [20, 42, 48], [40, 50, 33], [56, 58, 8]], [7.5, 6.5, 5.5, 4.0]),
            (way, [6.0] * 6),
        )
    )
    return np.minimum(smooth_min(trachea, right, 3.0), left), gullet


def paint_table(tissues: np.ndarray, space: Space, growth: float) -> None:
    """A curved CT table under the back: as large for a child, on whose grid a mm is only `growth` mm."""
    xs, ys, shape = space.grid(0), space.grid(1), space.shape
    middle = tissues[shape[0] // 2]
    rows = np.flatnonzero((middle[:, shape[2] // 3 : 2 * shape[2] // 3] != Tissue.AIR).any(axis=1))
    top = float(ys[rows[-1]]) + 1.0
    half_width = TABLE_HALF_WIDTH_MM / growth
    scale = half_width / TABLE_HALF_WIDTH_MM
    sag = ys[:, None] - (top - np.square(xs[None, :]) / (900.0 * scale))
    shell = (sag > 0) & (sag < 45 * scale) & (np.abs(xs)[None, :] < half_width)
    foam = (sag > 2.5 * scale) & (sag < 42 * scale) & (np.abs(xs)[None, :] < half_width - 3 * scale)
    for mask, tissue in ((shell, Tissue.TABLE_SHELL), (foam, Tissue.TABLE_FOAM)):
        where = np.broadcast_to(mask, shape) & ((tissues == Tissue.AIR) | (tissues == Tissue.TABLE_SHELL))
        tissues[where] = tissue
