"""Rows of bench_real, one for each scan, summed up by set and structure, and printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from SIFALib.models.structures import STRUCTURES

PREDICTORS = ("agreement", "expected_dice", "unlike")
BAD, GOOD = 0.6, 0.8  # mean Dice of a result below which it should be warned of, and above which not


def summarise(rows: Sequence[dict]) -> dict[str, dict[str, dict]]:
    """Per data set and structure: mean Dice, ASSD, volume bias in %, number of cases and of missing structures.

    A refused scan counts in the Dice as 0 and not in the bias, which is that of all volumes of a set together.
    """
    summary: dict[str, dict[str, dict]] = {}
    for dataset in dict.fromkeys(r["dataset"] for r in rows if "dice" in r):
        mine = [r for r in rows if r["dataset"] == dataset and "dice" in r]
        for s in STRUCTURES:
            values = [r["dice"][s.id] for r in mine if s.id in r["dice"]]
            distances = [r["assd_mm"][s.id] for r in mine if s.id in r["assd_mm"]]
            if values:
                summary.setdefault(dataset, {})[s.id] = {
                    "dice": float(np.mean(values)),
                    "assd_mm": float(np.mean(distances)) if distances else None,
                    "bias_percent": bias_percent([r for r in mine if not r.get("refused")], s.id),
                    "cases": len(values),
                    "missing": sum(1 for r in mine if s.id in r["missing"]),
                }
    return summary


def bias_percent(rows: Sequence[dict], structure: str) -> float | None:
    """By how much too large a structure is drawn; None where no row tells its volumes."""
    pairs = [(r["drawn_ml"][structure], r["true_ml"][structure]) for r in rows if structure in r.get("true_ml", {})]
    drawn, true = (sum(values) for values in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
    return 100.0 * (drawn / true - 1.0) if true else None


def mean_dice(row: dict) -> float | None:
    """Of all the structures that count in a case; None where none does."""
    values = list(row.get("dice", {}).values())
    return float(np.mean(values)) if values else None


def trust(rows: Sequence[dict]) -> dict[str, dict[str, Any]]:
    """Per data set, and for "all": cases, refused, warned, seconds; of results (refused scans are none) that are BAD and of
    those that are GOOD how many there are and how many were warned of; wall thickness in mm, drawn and true."""
    sets = dict.fromkeys(r["dataset"] for r in rows)
    groups = {name: [r for r in rows if r["dataset"] == name] for name in sets} | {"all": list(rows)}
    return {name: _trust(mine) for name, mine in groups.items()}


def _trust(rows: Sequence[dict]) -> dict[str, Any]:
    results = [(mean_dice(r), r) for r in rows if not r.get("refused")]
    bad = [r for value, r in results if value is not None and value < BAD]
    good = [r for value, r in results if value is not None and value > GOOD]
    walls = [r["wall_mm"] for r in rows if r.get("wall_mm")]
    return {
        "cases": len(rows),
        "refused": sum(bool(r.get("refused")) for r in rows),
        "warned": sum(bool(r.get("warned")) for r in rows),
        "bad": {"results": len(bad), "warned": sum(bool(r["warned"]) for r in bad)},
        "good": {"results": len(good), "warned": sum(bool(r["warned"]) for r in good)},
        "wall_mm": {k: float(np.mean([w[k] for w in walls])) for k in ("drawn", "true")} if walls else None,
        "seconds": float(np.mean([r["seconds"] for r in rows])) if rows else None,
    }


def correlations(rows: Sequence[dict]) -> dict[str, dict]:
    """Of each label-free predictor: Spearman's rank correlation with the mean Dice over the labelled cases.

    Cases that lack the predictor are left out; fewer than 5 say nothing. `unlike` is turned round: high is bad.
    """
    found = {}
    for name in PREDICTORS:
        pairs = [(r[name], mean_dice(r)) for r in rows if r.get(name) is not None and mean_dice(r) is not None]
        if len(pairs) >= 5 and len({p for p, _ in pairs}) > 1 and len({d for _, d in pairs}) > 1:
            one, other = np.array(pairs, float).T
            sign = -1.0 if name == "unlike" else 1.0
            found[name] = {"rho": spearman(sign * one, other), "cases": len(pairs)}
    return found


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of ranks; equal values share their mean rank."""
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def table(summary: dict) -> str:
    lines = [f"{'data set':14} {'structure':10} {'Dice':>6} {'ASSD mm':>8} {'bias %':>7} {'cases':>6} {'missing':>8}"]
    for dataset, structures in summary.items():
        for name, v in structures.items():
            assd, bias = _number(v["assd_mm"], ".1f"), _number(v["bias_percent"], "+.0f")
            counts = f"{v['cases']:6d} {v['missing']:8d}"
            lines.append(f"{dataset:14} {name:10} {v['dice']:6.3f} {assd:>8} {bias:>7} {counts}")
        lines.append(f"{dataset:14} {'mean':10} {mean_of(structures):6.3f}")
    return "\n".join(lines)


def trust_table(found: dict[str, dict[str, Any]]) -> str:
    """warned below, warned above: of results with a mean Dice below BAD and above GOOD, how many were warned of."""
    below, above = f"below {BAD}", f"above {GOOD}"
    head = f"{'data set':14} {'cases':>6} {'refused':>8} {'warned':>7} {below:>10} {above:>10} {'wall mm':>12} {'s':>6}"
    lines = [head]
    for name, v in found.items():
        bad, good = (f"{v[k]['warned']} of {v[k]['results']}" for k in ("bad", "good"))
        wall = f"{v['wall_mm']['drawn']:.1f} for {v['wall_mm']['true']:.1f}" if v["wall_mm"] and name != "all" else "-"
        counts = f"{v['cases']:6d} {v['refused']:8d} {v['warned']:7d}"
        lines.append(f"{name:14} {counts} {bad:>10} {good:>10} {wall:>12} {_number(v['seconds'], '.1f'):>6}")
    return "\n".join(lines)


def mean_of(structures: dict) -> float:
    return float(np.mean([v["dice"] for v in structures.values()]))


def comparison(summaries: dict[str, dict]) -> str:
    """Mean Dice per data set and structure, a column for each method."""
    names = list(summaries)
    width = max(10, *(len(name) for name in names)) + 1
    lines = [f"{'Dice':14} {'structure':10}" + "".join(f"{name:>{width}}" for name in names)]
    for dataset in dict.fromkeys(d for summary in summaries.values() for d in summary):
        found = [summaries[name].get(dataset, {}) for name in names]
        for structure in dict.fromkeys(s for structures in found for s in structures):
            cells = [f"{_number(f.get(structure, {}).get('dice'), '.3f'):>{width}}" for f in found]
            lines.append(f"{dataset:14} {structure:10}" + "".join(cells))
        cells = [f"{_number(mean_of(f) if f else None, '.3f'):>{width}}" for f in found]
        lines.append(f"{dataset:14} {'mean':10}" + "".join(cells))
    return "\n".join(lines)


def line(row: dict) -> str:
    """One row, as it comes."""
    scored = row.get("dice") or row.get("ml") or {}
    unit = "Dice" if "dice" in row else "ml"
    text = "  ".join(f"{k} {v:.2f}" if unit == "Dice" else f"{k} {v:.0f}" for k, v in scored.items())
    agrees, flags = _number(row.get("agreement"), ".2f"), ", ".join(row.get("flags", []))
    return f"{row['case']:26} {row['seconds']:5.1f} s  {unit}: {text}  agreement {agrees}  {flags} {row['note']}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def without_infinity(value: Any) -> Any:
    """The same with None for numbers that JSON cannot say."""
    if isinstance(value, dict):
        return {key: without_infinity(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_infinity(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
