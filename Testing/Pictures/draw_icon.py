"""Draws the icons: the left heart with its four structures. Writes SIFA.png and the two modules' icons.

Plain numpy and zlib: every shape is a signed distance (negative inside), painted with soft edges on a grid
four times as fine as the icon. Coordinates: -1..1, y upwards, as one looks at the patient.
"""

from __future__ import annotations

import itertools
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "SIFASegmentation"))
from SIFALib.models.structures import structure_by_id  # noqa: E402

FINE = 4  # samples a pixel, along each side
GAP = 0.045  # white line around each structure
Shape = Callable[[np.ndarray, np.ndarray], np.ndarray]


def turned(shape: Shape, degrees: float, x0: float = 0.0, y0: float = 0.0) -> Shape:
    """`shape`, turned counter-clockwise and moved to (x0, y0)."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return lambda x, y: shape(c * (x - x0) + s * (y - y0), -s * (x - x0) + c * (y - y0))


def ellipse(a: float, b: float) -> Shape:
    def distance(x, y):
        k0, k1 = np.hypot(x / a, y / b), np.hypot(x / a**2, y / b**2)
        return k0 * (k0 - 1) / np.maximum(k1, 1e-9)

    return distance


def heart(width: float) -> Shape:
    """The heart of playing cards, `width` from side to side: a square on its tip with two half discs."""

    def distance(x, y):
        x, y = np.abs(x) / width * 1.2, y / width * 1.2 + 0.58
        corner = np.hypot(x - 0.25, y - 0.75) - np.sqrt(2) / 4
        edge = np.sqrt(
            np.minimum(x**2 + (y - 1) ** 2, (x - np.maximum(x + y, 0) / 2) ** 2 + (y - np.maximum(x + y, 0) / 2) ** 2)
        )
        return np.where(x + y > 1, corner, edge * np.sign(x - y)) * width / 1.2

    return distance


def rounded(shape: Shape, radius: float) -> Shape:
    return lambda x, y: shape(x, y) - radius


def tube(points: list[tuple[float, float]], radius: float) -> Shape:
    """A bent pipe with round ends."""

    def distance(x, y):
        best = np.full(x.shape, np.inf)
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            dx, dy = bx - ax, by - ay
            t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
            best = np.minimum(best, np.hypot(x - ax - t * dx, y - ay - t * dy))
        return best - radius

    return distance


def arch() -> list[tuple[float, float]]:
    """Ascending aorta: up from the valve, then to the patient's left."""
    turn = np.radians(np.linspace(180, 50, 14))
    return [(-0.06, -0.02), (-0.12, 0.3), *((0.14 + 0.27 * np.cos(t), 0.52 + 0.26 * np.sin(t)) for t in turn)]


def paint(size: int, layers: list[tuple[Shape, tuple[int, int, int]]]) -> np.ndarray:
    """RGBA uint8 [size, size, 4]; later layers cover earlier ones, each within a white line."""
    n = size * FINE
    axis = (np.arange(n) + 0.5) / n * 2 - 1
    x, y = np.meshgrid(axis, -axis)
    image = np.zeros((n, n, 4))
    for shape, color in layers:
        distance = shape(x, y)
        for reach, rgb in ((GAP, (255, 255, 255)), (0.0, color)):
            alpha = np.clip((reach - distance) * n / 4 + 0.5, 0, 1)[..., None]
            below = image[..., 3:] * (1 - alpha)
            total = np.maximum(alpha + below, 1e-9)
            image[..., :3] = (np.array(rgb) * alpha + image[..., :3] * below) / total
            image[..., 3:] = alpha + below
    blocks = image.reshape(size, FINE, size, FINE, 4)
    alpha = blocks[..., 3:].mean(axis=(1, 3))
    rgb = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / np.maximum(alpha, 1e-9)
    return np.rint(np.concatenate([rgb, 255 * alpha], axis=-1)).astype(np.uint8)


def write_png(path: Path, rgba: np.ndarray) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, _ = rgba.shape
    rows = b"".join(b"\0" + row.tobytes() for row in rgba)
    header = struct.pack(">2I5B", width, height, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)


def heart_layers() -> list[tuple[Shape, tuple[int, int, int]]]:
    colors = {i: structure_by_id(i).color for i in ("MYO", "LA", "LV", "AA")}
    return [
        (turned(rounded(heart(1.36), 0.13), 14, 0.0, -0.17), colors["MYO"]),
        (turned(ellipse(0.24, 0.37), 26, 0.04, -0.34), colors["LV"]),
        (turned(ellipse(0.27, 0.19), 22, 0.4, 0.06), colors["LA"]),
        (tube(arch(), 0.145), colors["AA"]),
    ]


def main() -> None:
    layers = heart_layers()
    write_png(ROOT / "SIFA.png", paint(128, layers))
    write_png(ROOT / "SIFASegmentation" / "Resources" / "Icons" / "SIFASegmentation.png", paint(64, layers))
    arrow = tube([(0.42, -0.72), (0.86, -0.72), (0.66, -0.5), (0.86, -0.72), (0.66, -0.94)], 0.07)
    training = [*layers, (arrow, (70, 78, 92))]
    write_png(ROOT / "SIFATraining" / "Resources" / "Icons" / "SIFATraining.png", paint(64, training))


if __name__ == "__main__":
    main()
