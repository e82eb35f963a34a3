"""Checkpoints: all that is needed to go on, `checkpoints/00000120.pt` after iteration 120.

What is read is checked against the CRC-32 of every part that torch's zip files hold (torch itself skips them), and
nothing in it is ever executed (weights_only). If the newest is damaged, the one before serves.
"""

from __future__ import annotations

import logging
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..support.errors import RunError
from ..support.files import written

FORMAT = 1

log = logging.getLogger(__name__)


def save(folder: Path, iteration: int, content: dict[str, Any], keep: int) -> Path:
    """Write the checkpoint of that iteration, then delete all but the newest `keep`. OSError.

    Raises FloatingPointError, and writes nothing, if a number in it is not finite: the one before stays the last.
    """
    bad = not_finite(content)
    if bad:
        raise FloatingPointError(
            f"{bad} is not finite after iteration {iteration}; the training diverged. Resume it from the last "
            "checkpoint on another device, or start again with a lower learning rate."
        )
    path = folder / f"{iteration:08d}.pt"
    with written(path) as file:
        try:
            torch.save({"format": FORMAT, "iteration": iteration, **content}, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch's zip writer stumbles over what the disk refused
                raise error.__context__ from None
            raise
    for old in _all(folder)[:-keep]:
        old.unlink(missing_ok=True)
    return path


def load_newest(folder: Path) -> dict[str, Any] | None:
    """The newest checkpoint that is sound, on the CPU; None if there is none. RunError if all are damaged."""
    reasons = []
    for path in reversed(_all(folder)):
        try:
            return load(path)
        except RunError as error:
            log.warning("%s", error)
            reasons.append(str(error))
    if reasons:
        raise RunError(f"{reasons[0]} No older one is left; start the training anew.")
    return None


def drop_after(folder: Path, iteration: int) -> None:
    """Delete the (damaged) checkpoints of later iterations. OSError."""
    for path in _all(folder):
        if int(path.stem) > iteration:
            path.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """What `save` wrote, tensors on the CPU. RunError if the file is damaged or of a newer format."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        content = None if damaged else torch.load(path, weights_only=True, map_location="cpu")
    except MemoryError:
        raise
    except Exception as error:  # whatever torch and zipfile raise for a file that is not what it should be
        raise RunError(f"The checkpoint {path} cannot be read ({type(error).__name__}).") from error
    if damaged:
        raise RunError(f"The checkpoint {path} is damaged (in {damaged}).")
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise RunError(f"{path} is no checkpoint that this SIFA reads; update SIFA, or delete the file.")
    return content


def newest(folder: Path) -> int | None:
    """The iteration of the newest checkpoint, None if there is none."""
    paths = _all(folder)
    return int(paths[-1].stem) if paths else None


def not_finite(content: Any, name: str = "") -> str:
    """The name of the first tensor or number in there that is infinite or no number; "" if there is none."""
    if isinstance(content, Tensor):
        return name if content.is_floating_point() and not bool(content.isfinite().all()) else ""
    if isinstance(content, float):
        return name if not torch.tensor(content).isfinite() else ""
    items: Any = ()
    if isinstance(content, dict):
        items = content.items()
    elif isinstance(content, (list, tuple)):
        items = enumerate(content)
    return next((bad for key, value in items if (bad := not_finite(value, f"{name}.{key}".strip(".")))), "")


def _all(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted((p for p in folder.glob("*.pt") if p.stem.isdecimal()), key=lambda p: int(p.stem))
