"""Planes of many scans as one array, read from disk as they are asked for.

A file is mapped into memory for the moment in which a plane is copied out of it, and not longer: any number of scans
can be trained on, whatever number of files the system lets a process hold open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..support.errors import DataError


@dataclass(frozen=True)
class OnDisk:
    """An array in a .npy file that stays there; `array[n]` reads plane n, `np.asarray(array)` everything.

    Reading raises DataError, with the file's name, when the file is gone or cut off.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @staticmethod
    def of(path: Path) -> OnDisk:
        """The array in `path`. Raises OSError or ValueError where it is no whole .npy file."""
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        return OnDisk(path, mapped.shape, mapped.dtype, mapped.offset)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        return np.array(self._mapped()[row])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._mapped(), dtype)

    def _mapped(self) -> np.ndarray:
        try:
            return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        except (FileNotFoundError, ValueError) as error:  # ValueError: the file is shorter than the array
            raise DataError(
                f"{self.path}, slices that are being trained on, is gone or cut off; start again, and it is made anew."
            ) from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror or error}).") from error


Planes = np.ndarray | OnDisk


@dataclass(frozen=True, eq=False)
class Stack:
    """Equal planes [S, S] of many arrays as one array [n, S, S]; an index or a slice reads a copy.

    Row n is row `row[n]` of array `part[n]`.
    """

    parts: tuple[Planes, ...]
    part: np.ndarray
    row: np.ndarray

    @staticmethod
    def of(parts: Sequence[Planes]) -> Stack:
        counts = [len(p) for p in parts]
        rows = [np.arange(n) for n in counts]
        return Stack(tuple(parts), np.repeat(np.arange(len(parts)), counts), np.concatenate([np.zeros(0, int), *rows]))

    @staticmethod
    def joined(stacks: Sequence[Stack]) -> Stack:
        """The planes of all stacks, one after the other."""
        first = np.cumsum([0, *(len(stack.parts) for stack in stacks)])
        return Stack(
            tuple(part for stack in stacks for part in stack.parts),
            np.concatenate([stack.part + n for stack, n in zip(stacks, first, strict=False)]),
            np.concatenate([stack.row for stack in stacks]),
        )

    def __len__(self) -> int:
        return len(self.row)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.row), *(self.parts[0].shape[1:] if self.parts else (0, 0)))

    @property
    def dtype(self) -> np.dtype:
        return self.parts[0].dtype if self.parts else np.dtype(np.float32)

    @property
    def ndim(self) -> int:
        return 3

    def only(self, which: np.ndarray) -> Stack:
        """The planes of these indices, still on disk."""
        return Stack(self.parts, self.part[which], self.row[which])

    def __getitem__(self, key: Any) -> np.ndarray:
        if isinstance(key, (int, np.integer)):
            return np.array(self.parts[int(self.part[key])][int(self.row[key])])
        part, row = self.part[key], self.row[key]
        out = np.empty((len(row), *self.shape[1:]), self.dtype)
        for n, (p, r) in enumerate(zip(part, row, strict=True)):
            out[n] = self.parts[int(p)][int(r)]
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        everything = self[:]
        return everything if dtype is None else everything.astype(dtype)
