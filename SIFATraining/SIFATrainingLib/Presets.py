"""What "quick look", "standard" and "thorough" mean: how long, how often it is scored, how many phantoms.

All three do the same in one iteration, so that one measurement tells how long each takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .Parameters import Preset

if TYPE_CHECKING:
    from SIFALib.runs import Configuration
    from SIFALib.runs.presets import Budget

SCORING = 8.0  # iterations' worth of time that a judgement takes


def budget(preset: Preset) -> Budget:
    """What the library means by it."""
    from SIFALib.runs.presets import BUDGETS

    return BUDGETS[preset.value]


def of(preset: Preset, timed: dict[str, Any]) -> float:
    """Seconds that a preset takes; `timed` is the answer of the library's task "time"."""
    own = budget(preset)
    return _seconds(own.iterations, own.judge_every, own.phantoms, timed)


def seconds(configuration: Configuration, timed: dict[str, Any]) -> float:
    """Seconds that a run takes: iterations, scores, phantoms."""
    phantoms = configuration.data.phantoms
    return _seconds(configuration.iterations, configuration.judge_every, phantoms, timed)


def _seconds(iterations: int, judgeEvery: int, phantoms: int, timed: dict[str, Any]) -> float:
    scores = 1 + iterations / judgeEvery if judgeEvery else 0  # the start is judged, too
    return float(timed["seconds"] * (iterations + SCORING * scores) + timed["phantom"] * phantoms)
