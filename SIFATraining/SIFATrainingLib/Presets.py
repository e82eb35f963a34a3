"""What "quick look", "standard" and "thorough" mean: how long, how often it is judged, how many phantoms.

All three do the same in one iteration, so that one measurement tells how long each takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .Parameters import Preset

if TYPE_CHECKING:
    from SIFALib.runs import Configuration

VALUES: dict[Preset, dict[str, int]] = {
    Preset.QUICK: {"iterations": 60, "judge_every": 20, "preview_every": 10, "save_every": 20, "data.phantoms": 4},
    Preset.STANDARD: {
        "iterations": 2000,
        "judge_every": 200,
        "preview_every": 50,
        "save_every": 50,
        "data.phantoms": 16,
    },
    Preset.THOROUGH: {
        "iterations": 8000,
        "judge_every": 400,
        "preview_every": 100,
        "save_every": 100,
        "data.phantoms": 32,
    },
}
JUDGING = 2.0  # iterations' worth of time that a score takes


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
    return float(timed["seconds"] * (iterations + JUDGING * scores) + timed["phantom"] * phantoms)
