"""The table of bench_adapt_real: what its runs say together. Pure: dictionaries in, lines out.

A run: {"way", "seed", "milliseconds" (of an iteration, median), "checkpoints"}. Its checkpoints, the first is the start:
{"iteration", "score", "vetoes" (keys), "verdict" ([probability, difference] or None),
"patients": {patient: {pixel size: {structure: {"dice", "assd_mm", "missing"}}}}}.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from SIFALib.adaptation.verdict import CERTAIN, LEAST

STRUCTURES = ("MYO", "LV")
START, CONTROL, BOUND = "start", "source only", "supervised bound"
CHOICES = {
    "last": "the last",
    "verdict": "by the verdict without labels; the start, where nothing is better",
    "score": "by the score without labels that runs without a start model have",
    "oracle": "by the truth (oracle)",
}
WORSE, BETTER = -0.005, 0.02  # of true Dice against the start: must not, and should be offered
RESAMPLED = 4000  # times that patients are drawn for an interval

Run = dict[str, Any]
Checkpoint = dict[str, Any]


def lines(runs: Sequence[Run], ways: Sequence[str]) -> Iterator[str]:
    """All tables of these runs; ways: in this order, the start first."""
    runs = [*starts(runs), *runs]
    present = [way for way in (START, *ways) if any(run["way"] == way for run in runs)]
    yield from _last(runs, present)
    for choice in CHOICES:
        yield from _chosen(runs, present, choice)
    yield from _ranks(runs, present)


def until(runs: Sequence[Run], iteration: int) -> list[Run]:
    """The runs that were judged at this iteration, as if they had ended there."""
    own = [{**run, "checkpoints": [c for c in run["checkpoints"] if c["iteration"] <= iteration]} for run in runs]
    return [run for run in own if run["checkpoints"][-1]["iteration"] == iteration]


def starts(runs: Sequence[Run]) -> list[Run]:
    """The start as a row of its own: of every seed, the first checkpoint of one run; the control's, if there is one."""
    found: dict[int, Run] = {}
    for run in sorted(runs, key=lambda run: run["way"] != CONTROL):
        first = {**run["checkpoints"][0], "score": None}
        found.setdefault(run["seed"], {**run, "way": START, "checkpoints": [first], "milliseconds": None})
    return list(found.values())


def chosen(run: Run, choice: str) -> Checkpoint:
    """The checkpoint of a run that a key of CHOICES takes. By score: the highest among those without vetoes, if any."""
    checkpoints: list[Checkpoint] = run["checkpoints"]
    if choice == "oracle":
        return max(checkpoints, key=mean_dice)
    if choice == "verdict" and all(c.get("verdict") is not None for c in checkpoints):
        return max([checkpoints[0], *filter(sound(run), checkpoints[1:])], key=lambda c: c["verdict"][1])
    if choice == "score" and all(c["score"] is not None for c in checkpoints):
        return max([c for c in checkpoints if not c["vetoes"]] or checkpoints, key=lambda c: c["score"])
    return checkpoints[-1]


def sound(run: Run) -> Callable[[Checkpoint], bool]:
    """Whether nothing speaks against a checkpoint that the start does not bear."""
    borne = set(run["checkpoints"][0]["vetoes"])
    return lambda checkpoint: not set(checkpoint["vetoes"]) - borne


def mean_dice(checkpoint: Checkpoint, structure: str = "", pixel: str = "") -> float:
    """Over patients, structures and pixel sizes ("": all of them)."""
    return float(np.mean([_of_patient(c, structure, pixel) for c in checkpoint["patients"].values()]))


def _of_patient(sizes: dict[str, Any], structure: str = "", pixel: str = "") -> float:
    return float(
        np.mean(
            [
                found["dice"]
                for size, structures in sizes.items()
                for name, found in structures.items()
                if structure in ("", name) and pixel in ("", size)
            ]
        )
    )


def differences(runs: Sequence[Run], way: str, choice: str, structure: str, control: str = CONTROL) -> list[float]:
    """By patient: mean over the seeds that have both of the way's Dice less the control's, both chosen in the same way."""
    both = {(run["way"], run["seed"]): chosen(run, choice)["patients"] for run in runs if run["way"] in (way, control)}
    pairs = [(c, both[control, seed]) for (name, seed), c in both.items() if name == way and (control, seed) in both]
    if not pairs or way == control:
        return []
    patients = sorted(set.intersection(*(set(c) for pair in pairs for c in pair)))
    return [
        float(np.mean([_of_patient(a[p], structure) - _of_patient(b[p], structure) for a, b in pairs]))
        for p in patients
    ]


def interval(values: Sequence[float], share: float = 0.95) -> tuple[float, float]:
    """Where the mean lies with this confidence: percentiles of the means of as many values, drawn with replacement."""
    drawn = np.random.default_rng(0).integers(0, len(values), (RESAMPLED, len(values)))
    means = np.asarray(values)[drawn].mean(axis=1)
    low, high = np.percentile(means, [50 * (1 - share), 50 * (1 + share)])
    return float(low), float(high)


def gap_closed(runs: Sequence[Run], way: str, choice: str) -> float:
    """(way - start) / (bound - start) on mean Dice, in the seeds that have all; of the bound the last checkpoint counts."""
    values = {(run["way"], run["seed"]): mean_dice(chosen(run, choice)) for run in runs if run["way"] == way}
    low = {run["seed"]: mean_dice(run["checkpoints"][0]) for run in runs if run["way"] == way}
    high = {run["seed"]: mean_dice(run["checkpoints"][-1]) for run in runs if run["way"] == BOUND}
    seeds = [seed for _, seed in values if seed in high]
    if not seeds:
        return math.nan
    below, above, here = (
        float(np.mean([of[s] for s in seeds])) for of in (low, high, {s: values[way, s] for s in seeds})
    )
    return (here - below) / (above - below) if above != below else math.nan


def rank_correlation(run: Run, by: str = "score") -> float | None:
    """Spearman's rho of the score without labels (or of the verdict's difference) and true Dice over a run's checkpoints;
    None with fewer than three."""
    from scipy.stats import spearmanr

    if by == "verdict":
        pairs = [(c["verdict"][1], mean_dice(c)) for c in run["checkpoints"] if c.get("verdict") is not None]
    else:
        pairs = [(c["score"], mean_dice(c)) for c in run["checkpoints"] if c["score"] is not None]
    if len(pairs) < 3 or any(len(set(column)) < 2 for column in zip(*pairs, strict=True)):
        return None
    return float(spearmanr(*zip(*pairs, strict=True)).statistic)


def _last(runs: Sequence[Run], ways: Sequence[str]) -> Iterator[str]:
    sizes = list(next(iter(runs[0]["checkpoints"][0]["patients"].values())))
    heads = "  ".join(f"{f'MYO, LV {size} mm':>15}" for size in sizes)
    yield f"\nAfter the last iteration, mean over patients and seeds\n{'':36} runs | {heads} | ASSD, mm   | missing | ms"
    for way in ways:
        own = [run for run in runs if run["way"] == way]
        last = [run["checkpoints"][-1] for run in own]
        dice = "  ".join(
            " ".join(f"{np.mean([mean_dice(c, s, size) for c in last]):7.3f}" for s in STRUCTURES) for size in sizes
        )
        cells = [f"{way:36} {len(own):4d}", dice]
        found = {
            s: [x[s] for c in last for sizes in c["patients"].values() for x in sizes.values()] for s in STRUCTURES
        }
        distances = {s: [x["assd_mm"] for x in found[s] if x["assd_mm"] is not None] for s in STRUCTURES}
        cells.append(" ".join(f"{np.mean(v):5.2f}" if v else "    -" for v in distances.values()))
        cells.append(f"{np.mean([x['missing'] for v in found.values() for x in v]):7.1%}")
        times = [run["milliseconds"] for run in own if run["milliseconds"] is not None]
        cells.append(f"{np.mean(times):.0f}" if times else "-")
        yield " | ".join(cells)
    yield "ASSD: by slice, where truth and result have the structure; missing: share of slices where only the truth has it."


def _chosen(runs: Sequence[Run], ways: Sequence[str], choice: str) -> Iterator[str]:
    yield (
        f"\nCheckpoint: {CHOICES[choice]}; mean of both pixel sizes; less the control, chosen alike, with 95 % "
        f"intervals over patients\n{'':36} iteration |   MYO    LV | MYO - control           | LV - control            | gap"
    )
    for way in ways:
        picks = [chosen(run, choice) for run in runs if run["way"] == way]
        cells = [f"{way:36} {np.mean([c['iteration'] for c in picks]):9.0f}"]
        cells.append(" ".join(f"{np.mean([mean_dice(c, s) for c in picks]):5.3f}" for s in STRUCTURES))
        for structure in STRUCTURES:
            values = differences(runs, way, choice, structure)
            low, high = interval(values) if values else (math.nan, math.nan)
            cells.append(f"{np.mean(values):+.3f} ({low:+.3f} to {high:+.3f})" if values else f"{'-':23}")
        share = gap_closed(runs, way, choice)
        cells.append(f"{share:5.0%}" if math.isfinite(share) else "    -")
        yield " | ".join(cells)


def _ranks(runs: Sequence[Run], ways: Sequence[str]) -> Iterator[str]:
    yield (
        "\nRank correlation (Spearman) with true Dice over the checkpoints of a run, the start among them: of the verdict's "
        f"difference and of the score\n{'':36} verdict                  | score                    | vetoed"
    )
    every: dict[str, list[float]] = {"verdict": [], "score": []}
    for way in ways:
        own = [run for run in runs if run["way"] == way and len(run["checkpoints"]) > 1]
        if not own:
            continue
        cells = []
        for by, values in every.items():
            found = [value for run in own if (value := rank_correlation(run, by)) is not None]
            values += found
            cells.append(f"{np.mean(found):+.2f} ({min(found):+.2f} to {max(found):+.2f})" if found else "-")
        judged = [(run, c) for run in own for c in run["checkpoints"][1:]]
        vetoed = sum(not sound(run)(c) for run, c in judged)
        yield f"{way:36} {cells[0]:24} | {cells[1]:24} | {vetoed} of {len(judged)}"
    for by, values in every.items():
        if values:
            yield f"mean over all {len(values)} runs, {by}: {np.mean(values):+.2f}"
    yield from _offers(runs)


def _offers(runs: Sequence[Run]) -> Iterator[str]:
    """How the verdict's offers stand to the truth, over all checkpoints of all runs."""
    judged = [
        (mean_dice(c) - mean_dice(run["checkpoints"][0]), offered(run, c))
        for run in runs
        for c in run["checkpoints"][1:]
        if c.get("verdict") is not None
    ]
    if judged:
        true_of_offers = [true for true, is_offered in judged if is_offered]
        better = [is_offered for true, is_offered in judged if true >= BETTER]
        worse = sum(true < WORSE for true in true_of_offers)
        yield (
            f"Offered: {len(true_of_offers)} of {len(judged)} checkpoints, {worse} of them worse than the start by more "
            f"than {-WORSE}; of {len(better)} better by {BETTER} or more, {sum(better)} are offered."
        )


def offered(run: Run, checkpoint: Checkpoint) -> bool:
    """Whether a site would be told that it is better."""
    probability, difference = checkpoint["verdict"]
    return probability >= CERTAIN and difference >= LEAST and sound(run)(checkpoint)
