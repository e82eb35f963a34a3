"""The table of bench_adaptation: what its judgements of runs say together.

A judgement holds the run's direction, way and seed (the repetition), its checkpoints (the first is the start), each with
its score without labels and the Dice and ASSD of every test scan, and which of them were chosen by that score
("label_free") and by labels ("oracle"). Native CT counts in a column of its own only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from SIFALib.models.structures import PAPERS

CHOICES = {"label_free": "score", "oracle": "oracle"}
Judgement = dict[str, Any]


def mean_dice(scans: list[dict[str, Any]], native: bool | None = None, structure: str = "") -> float:
    """Over scans (None: all; else those that are native, or not) and structures; NaN if there are none."""
    chosen = [scan["dice"] for scan in scans if native is None or scan["native"] == native]
    values = [value for dice in chosen for i, value in dice.items() if structure in ("", i)]
    return float(np.mean(values)) if values else math.nan


def lines(rows: list[Judgement], ways: Sequence[str], bounds: tuple[str, str]) -> Iterator[str]:
    """The tables of every direction, and how well the score without labels orders the checkpoints.

    ways: in this order; bounds: which of them adaptation lies between.
    """
    for direction in dict.fromkeys(row["direction"] for row in rows):
        own = [row for row in rows if row["direction"] == direction]
        yield f"\n{direction}"
        yield f"{'':24} runs | Dice, by score  | Dice, by oracle | gap closed by score, oracle | native | source | hours"
        for way in ways:
            if these := [row for row in own if row["way"] == way]:
                yield _overall(way, these, own, bounds)
        names = " ".join(f"{s.id:>5}" for s in PAPERS)
        yield f"{'':24}        | Dice {names} | ASSD, mm {names} | missing"
        for way in ways:
            for choice, word in CHOICES.items():
                if these := [row for row in own if row["way"] == way]:
                    yield _by_structure(f"{way:24} {word:>6}", [chosen(row, choice) for row in these])
    yield from _verdicts([r for r in rows if not r["way"].startswith("source only") and r["way"] not in bounds])
    ranks = [(row["way"], value) for row in rows if (value := rank_correlation(row)) is not None]
    if ranks:
        adapting = [value for way, value in ranks if not way.startswith("source") and way not in bounds]
        yield "\nSpearman's rank correlation of the score without labels with the Dice on the test phantoms, over the"
        yield (
            f"checkpoints of a run: mean {np.mean([v for _, v in ranks]):.2f} over all {len(ranks)} runs"
            + (f", {np.mean(adapting):.2f} over the {len(adapting)} that adapt." if adapting else ".")
        )


def _verdicts(rows: list[Judgement]) -> Iterator[str]:
    """Of runs that adapt: how often the score calls them better than their start, and what became of the true Dice."""
    changes: dict[bool, list[float]] = {True: [], False: []}
    for row in rows:
        found, start = chosen(row, "label_free"), row["checkpoints"][0]
        last = row["checkpoints"][-1] if found is start else found
        change = mean_dice(last["test"], False) - mean_dice(start["test"], False)
        changes[found is not start].append(change)
    words = {True: "called better than their start", False: "not; then their last checkpoint counts here"}
    for better, values in changes.items():
        if values:
            yield (
                f"\n{len(values)} of {len(rows)} runs that adapt are {words[better]}: their Dice on the test phantoms "
                f"rose in {sum(v > 0 for v in values)}, changed by {np.mean(values):+.3f} on average, "
                f"{min(values):+.3f} at worst and {max(values):+.3f} at best."
            )


def gains(rows: list[Judgement], way: str, control: str) -> dict[str, list[float]]:
    """By direction: mean test Dice of `way` less that of `control`, in every repetition that has both.

    Both after their last iteration: no choice of a checkpoint has a part in it. Native scans are left out.
    """
    last = {
        (row["direction"], row["seed"], row["way"]): mean_dice(row["checkpoints"][-1]["test"], False) for row in rows
    }
    found: dict[str, list[float]] = {}
    for (direction, seed, name), value in last.items():
        if name == way and (direction, seed, control) in last:
            found.setdefault(direction, []).append(value - last[direction, seed, control])
    return found


def lower_bound(values: Sequence[float]) -> float:
    """Where the true mean lies above with 95 % confidence, by Student's t; of a single value nothing is known."""
    from scipy.stats import t

    if len(values) < 2:
        return -math.inf
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return float(np.mean(values)) - float(t.ppf(0.95, len(values) - 1)) * error


def promise(rows: list[Judgement], way: str, control: str, margin: float) -> tuple[list[str], bool]:
    """What is said of `gains`, and whether they are above the margin in every direction, surely and not by luck."""
    said, kept = [], True
    found = gains(rows, way, control)
    for direction, values in found.items():
        low = lower_bound(values)
        kept &= low > margin
        said.append(
            f"{direction}: {way} over {control}, equal start and iterations: {np.mean(values):+.3f} on average, "
            f"{min(values):+.3f} to {max(values):+.3f} in {len(values)} repetitions, above {low:+.3f} with 95 % "
            f"confidence; promised {margin:+.3f}: {'kept' if low > margin else 'NOT KEPT'}"
        )
    return said, kept and bool(found)


def _overall(name: str, rows: list[Judgement], all_rows: list[Judgement], bounds: tuple[str, str]) -> str:
    """A way's mean and standard deviation over repetitions, and its share of the gap in those same repetitions."""
    cells = [f"{name:24} {len(rows):4d}"]
    closed = []
    for choice in CHOICES:
        means = [mean_dice(chosen(row, choice)["test"], False) for row in rows]
        low, high = (_bound(all_rows, way, choice, {row["seed"] for row in rows}) for way in bounds)
        closed.append((float(np.mean(means)) - low) / (high - low))
        cells.append(f"{np.mean(means):6.3f} ± {np.std(means):5.3f} ")
    native = np.mean([mean_dice(chosen(row, "label_free")["test"], True) for row in rows])
    cells.append(" ".join(f"{share:12.0%}" if math.isfinite(share) else f"{'?':>12}" for share in closed) + "  ")
    cells.append(f"{native:6.3f}" if math.isfinite(native) else f"{'-':>6}")
    cells += [f"{np.mean([row['source'] for row in rows]):6.3f}", f"{np.mean([row['hours'] for row in rows]):5.2f}"]
    return " | ".join(cells)


def _by_structure(name: str, checkpoints: list[dict[str, Any]]) -> str:
    """Dice, ASSD (mm, where the structure was found) and how many structures were not found, over all test scans."""
    scans = [scan for c in checkpoints for scan in c["test"] if not scan["native"]]
    dice = [np.mean([scan["dice"][s.id] for scan in scans]) for s in PAPERS]
    found = [[scan["assd_mm"][s.id] for scan in scans if scan["assd_mm"][s.id] is not None] for s in PAPERS]
    distances = [f"{np.mean(values):5.1f}" if values else "    -" for values in found]
    missing = sum(len(scans) - len(values) for values in found)
    return f"{name} |      {' '.join(f'{v:5.3f}' for v in dice)} |          {' '.join(distances)} | {missing:7d}"


def _bound(rows: list[Judgement], way: str, choice: str, seeds: set[int]) -> float:
    """Mean test Dice of a bound in these repetitions; NaN if it has not been trained."""
    own = [row for row in rows if row["way"] == way and row["seed"] in seeds]
    values = [mean_dice(chosen(row, choice)["test"], False) for row in own]
    return float(np.mean(values)) if values else math.nan


def chosen(row: Judgement, choice: str) -> dict[str, Any]:
    """The checkpoint that was chosen so."""
    return next(c for c in row["checkpoints"] if c["iteration"] == row[choice])


def rank_correlation(row: Judgement) -> float | None:
    """Spearman's rho of label-free score and test Dice over a run's checkpoints; None with fewer than three."""
    from scipy.stats import spearmanr

    pairs = [(c["score"], mean_dice(c["test"], False)) for c in row["checkpoints"] if c["score"] is not None]
    if len(pairs) < 3 or len({a for a, _ in pairs}) < 2:
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)
