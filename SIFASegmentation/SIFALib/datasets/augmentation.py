"""Slices changed at random: turned, zoomed, sheared, shifted; brighter, flatter, noisier. Image and labels together.

Everything a slice undergoes is drawn from the generator that is handed in, so that the same generator gives the same
slice. numpy alone: 16,000 pixels are worth no more machinery.
"""

from __future__ import annotations

import numpy as np

from .settings import Augmentation


def augment(
    image: np.ndarray, labels: np.ndarray | None, size: int, settings: Augmentation, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """A random change of a slice: image float32 [S, S] and labels uint8 [S, S] to [size, size].

    What comes from beyond the slice is the darkest value (at most -1) and background. Grey values stay within -1..1
    or, where the image has others, within its own range; -1 itself, which is air and what lies outside of the scan,
    stays -1.
    """
    if settings.moves:
        matrix, shift = _movement(size, settings, rng)
        image, labels = _moved(image, labels, size, matrix, shift)
    else:
        image = centre(image, size)
        labels = None if labels is None else centre(labels, size)
    if settings.recolours:
        image = _recoloured(image, settings, rng)
    return image, labels


def centre(plane: np.ndarray, size: int) -> np.ndarray:
    """The middle [size, size] of a plane at least as large, a copy."""
    row, column = ((n - size) // 2 for n in plane.shape)
    middle: np.ndarray = plane[row : row + size, column : column + size].copy()
    return middle


def _movement(size: int, settings: Augmentation, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(rows, columns) of the new slice, from its middle, to those of the old one: a matrix [2, 2] and a shift [2]."""
    angle, zoom_rows, zoom_columns, shear_rows, shear_columns = rng.uniform(-1, 1, 5)
    shift = rng.uniform(-1, 1, 2) * settings.shift * size
    angle = np.radians(angle * settings.rotation_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1.0, shear_rows * settings.shear], [shear_columns * settings.shear, 1.0]])
    zoom = np.diag(np.exp(np.array([zoom_rows, zoom_columns]) * settings.zoom))
    return turn @ shear @ zoom, shift


def _moved(
    image: np.ndarray, labels: np.ndarray | None, size: int, matrix: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Image (linear) and labels (nearest) at the moved places."""
    height, width = image.shape
    fill = np.float32(min(-1.0, float(image.min())))
    pixel = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
    middle = np.array([(height - 1) / 2, (width - 1) / 2]) + shift + 1.0  # in the plane with one pixel of border
    m = matrix.astype(np.float32)
    row = m[0, 0] * pixel[:, None] + (m[0, 1] * pixel + np.float32(middle[0]))[None, :]
    column = m[1, 0] * pixel[:, None] + (m[1, 1] * pixel + np.float32(middle[1]))[None, :]
    np.clip(row, 0, height + 0.999, out=row)
    np.clip(column, 0, width + 0.999, out=column)
    stride = width + 2
    padded = np.full((height + 2, stride), fill, np.float32)
    padded[1:-1, 1:-1] = image
    low_row, low_column = row.astype(np.int32), column.astype(np.int32)
    weight_row, weight_column = row - low_row, column - low_column
    first = low_row * stride + low_column
    flat = padded.ravel()
    upper = flat[first]
    upper += weight_column * (flat[first + 1] - upper)
    first += stride
    lower = flat[first]
    lower += weight_column * (flat[first + 1] - lower)
    upper += weight_row * (lower - upper)
    if labels is None:
        return upper, None
    framed = np.zeros((height + 2, stride), labels.dtype)
    framed[1:-1, 1:-1] = labels
    nearest = (row + np.float32(0.5)).astype(np.int32) * stride + (column + np.float32(0.5)).astype(np.int32)
    return upper, framed.ravel()[nearest]


def _recoloured(image: np.ndarray, settings: Augmentation, rng: np.random.Generator) -> np.ndarray:
    """Other grey values, -1 excepted."""
    gain, offset, gamma, noise = rng.uniform(-1, 1, 4)
    air = image <= -1.0
    low, high = min(-1.0, float(image.min())), max(1.0, float(image.max()))
    unit = (image + np.float32(1.0)) * np.float32(0.5)
    unit = np.sign(unit) * np.abs(unit) ** np.float32(np.exp(gamma * settings.gamma))
    unit *= np.float32(np.exp(gain * settings.gain))
    unit += np.float32(offset * settings.offset)
    if settings.noise:
        level = np.float32(abs(noise) * settings.noise)
        unit += rng.standard_normal(image.shape, dtype=np.float32) * level
    unit *= 2.0
    unit -= 1.0
    np.clip(unit, low, high, out=unit)
    return np.where(air, image, unit)
