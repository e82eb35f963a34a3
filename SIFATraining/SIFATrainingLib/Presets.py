"""What "quick look", "standard" and "thorough" mean: how long, how often it is scored, how many phantoms.

All three do the same in one iteration, so that one measurement tells how long each takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .Parameters import Preset

if TYPE_CHECKING:
    from SIFALib.runs import Configuration

_KEYS = ("iterations", "judge_every", "preview_every", "save_every", "data.phantoms")
_ROWS = {
    Preset.QUICK: (60, 20, 10, 20, 4),
    Preset.STANDARD: (2000, 200, 50, 50, 16),
    Preset.THOROUGH: (8000, 400, 100, 100, 32),
}
VALUES: dict[Preset, dict[str, int]] = {preset: dict(zip(_KEYS, row, strict=True)) for preset, row in _ROWS.items()}
SCORING = 2.0  # iterations' worth of time that a score takes


def of(preset: Preset, timed: dict[str, Any]) -> float:
    """Seconds that a preset takes; `timed` is the answer of the library's task "time"."""
    values = VALUES[preset]
    return _seconds(values["iterations"], values["judge_every"], values["data.phantoms"], timed)


def seconds(configuration: Configuration, timed: dict[str, Any]) -> float:
    """Seconds that a run takes: iterations, scores, phantoms."""
    phantoms = configuration.data.phantoms
    return _seconds(configuration.iterations, configuration.judge_every, phantoms, timed)


def _seconds(iterations: int, judgeEvery: int, phantoms: int, timed: dict[str, Any]) -> float:
    scores = iterations / judgeEvery if judgeEvery else 0
    return float(timed["seconds"] * (iterations + SCORING * scores) + timed["phantom"] * phantoms)
