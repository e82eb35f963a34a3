"""The two ways in which the header of a NIfTI file says where its voxels lie, as the format defines them (nifti1.h)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

UNIT_MM = {1: 1000.0, 2: 1.0, 3: 0.001}  # of xyzt_units: metres, millimetres, micrometres; others are taken for mm


@dataclass(frozen=True)
class Forms:
    """What a NIfTI header says of the place of its voxels.

    codes: of qform and sform. qfac: -1 for a third axis turned round. sizes: pixdim of i, j, k. turn: b, c, d of the
    quaternion and its offset. matrix: the three rows of the sform. units: the unit of space, a key of UNIT_MM.
    """

    codes: tuple[int, int]
    qfac: float
    sizes: tuple[float, float, float]
    turn: tuple[float, ...]
    matrix: tuple[float, ...]
    units: int = 2

    @property
    def scale(self) -> float:
        """Millimetres of a unit."""
        return UNIT_MM.get(self.units, 1.0)

    def qform(self) -> np.ndarray:
        """float32 [3, 4], index to RAS units, by the quaternion."""
        b, c, d, *offset = map(float, self.turn)
        rest = 1.0 - (b * b + c * c + d * d)
        if rest < 1e-7:
            length = 1.0 / math.sqrt(b * b + c * c + d * d)
            a, b, c, d = 0.0, b * length, c * length, d * length
        else:
            a = math.sqrt(rest)
        turn = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
            ]
        )
        i, j, k = (abs(s) or 1.0 for s in self.sizes)
        sized = turn * [i, j, -k if self.qfac < 0 else k]
        return np.column_stack([sized, offset]).astype(np.float32)

    def sform(self) -> np.ndarray:
        """float32 [3, 4], index to RAS units, by the matrix."""
        return np.array(self.matrix, np.float32).reshape(3, 4)
