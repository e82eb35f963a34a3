"""Curves over a heartbeat, drawn as a picture. Pillow draws it, which scikit-image brings along."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..support.files import write_bytes

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

SIZE = (1500, 750)  # pixels
LEFT, TOP, RIGHT, BOTTOM = 110, 40, 40, 110  # margins, pixels
INK, FAINT = (40, 40, 40), (222, 222, 222)
LETTERS = 26  # pixels
STEPS = (1, 2, 2.5, 5, 10)  # of the numbers at an axis, times a power of ten


@dataclass(frozen=True)
class Curve:
    """values: one a moment, NaN where nothing is known. marks: (number of the value, what is written there)."""

    name: str
    values: Sequence[float]
    color: tuple[int, int, int]
    marks: tuple[tuple[int, str], ...] = ()


def png(image: np.ndarray) -> bytes:
    """uint8 [h, w, 3] as the bytes of a PNG."""
    from PIL import Image

    made = io.BytesIO()
    Image.fromarray(image).save(made, "PNG", optimize=True)
    return made.getvalue()


def write(curves: Sequence[Curve], moments: Sequence[float], x_name: str, path: str | os.PathLike[str]) -> None:
    """Write a PNG; complete or not at all. OSError."""
    write_bytes(Path(path), png(draw(curves, moments, x_name)))


def draw(curves: Sequence[Curve], moments: Sequence[float], x_name: str, y_name: str = "ml") -> np.ndarray:
    """uint8 [h, w, 3]: the curves over the same moments, with axes from 0, their names and marks."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", SIZE, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(LETTERS)
    known = [v for curve in curves for v in curve.values if np.isfinite(v)]
    top = _steps(max([*known, 1.0]) * 1.12)
    across = _steps(max(moments))
    box = (LEFT, TOP, SIZE[0] - RIGHT, SIZE[1] - BOTTOM)
    low, high = min(0.0, *moments), max(moments[-1], across[-1] if across[-1] < 1.15 * moments[-1] else moments[-1])

    def place(moment: float, value: float) -> tuple[float, float]:
        x = box[0] + (box[2] - box[0]) * (moment - low) / max(high - low, 1e-9)
        return x, box[3] - (box[3] - box[1]) * value / top[-1]

    for value in top:
        _, y = place(low, value)
        pen.line((box[0], y, box[2], y), fill=FAINT, width=2)
        pen.text((box[0] - 14, y), f"{value:g}", INK, font, "rm")
    for moment in across:
        if moment <= high:
            x, _ = place(moment, 0)
            pen.line((x, box[3], x, box[3] + 8), fill=INK, width=2)
            pen.text((x, box[3] + 14), f"{moment:g}", INK, font, "mt")
    pen.line((box[0], box[1], box[0], box[3], box[2], box[3]), fill=INK, width=2)
    pen.text(((box[0] + box[2]) / 2, SIZE[1] - 50), x_name, INK, font, "mt")
    pen.text((box[0] + 10, box[1] - 8), y_name, INK, font, "lb")
    for curve in curves:
        _curve(pen, font, curve, [place(m, v) for m, v in zip(moments, curve.values, strict=True)])
    _legend(pen, font, curves, box)
    return np.asarray(image)


def _curve(pen: ImageDraw, font: object, curve: Curve, points: Sequence[tuple[float, float]]) -> None:
    for one, other in itertools.pairwise(points):
        if np.isfinite([*one, *other]).all():
            pen.line((*one, *other), fill=curve.color, width=5)
    for x, y in points:
        if np.isfinite(y):
            pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=curve.color)
    for number, text in curve.marks:
        x, y = points[number]
        if np.isfinite(y):
            pen.ellipse((x - 11, y - 11, x + 11, y + 11), outline=INK, width=3)
            pen.text((x, y - 18), text, INK, font, "mb", stroke_width=3, stroke_fill="white")  # type: ignore[arg-type]


def _legend(pen: ImageDraw, font: object, curves: Sequence[Curve], box: tuple[int, int, int, int]) -> None:
    x = box[2] - 10
    for curve in reversed(curves):
        width = pen.textlength(curve.name, font)  # type: ignore[arg-type]
        pen.text((x, box[1] - 8), curve.name, curve.color, font, "rb")  # type: ignore[arg-type]
        x -= int(width) + 30


def _steps(top: float) -> list[float]:
    """Round numbers from 0 to at least `top`, five or so."""
    raw = top / 5
    power = 10.0 ** np.floor(np.log10(max(raw, 1e-9)))
    step = next(s * power for s in STEPS if s * power >= raw * 0.999)
    return [float(n * step) for n in range(int(np.ceil(top / step - 1e-9)) + 1)]
