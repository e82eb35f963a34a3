"""A verdict in words and figures, for the command line and the card. No torch here."""

from __future__ import annotations

from ..adaptation.verdict import FEWEST, Verdict
from .best import Best


def said(best: Best, start_model: str) -> str:
    """Of the best segmenter of a run that began with the model of that name, in sentences."""
    found = best.verdict
    if found is None:
        return f"It was not compared with {start_model}."
    if found.hearts < FEWEST:
        return f"Whether it is better than {start_model} cannot be told of so few hearts; take at least {FEWEST}."
    if best.iteration == 0:
        return f"Nothing better than {start_model} was found; that one stays."
    figures = figures_of(found)
    if best.vetoes:
        return f"Something speaks against the new model, whatever its figures ({figures}): {' '.join(best.vetoes)}"
    if found.better:
        return f"Most likely better on these scans than {start_model}: {figures}."
    if found.worse:
        return f"Not better, as far as can be told: less steady on these scans than {start_model}: {figures}."
    return f"No difference to {start_model} that can be told on these scans: {figures}."


def figures_of(found: Verdict) -> str:
    """Without a full stop."""
    return (
        f"probability {found.percent}% of being better, expected Dice {found.difference:+.3f} "
        f"(standard error {found.error:.3f}, {found.hearts} hearts, no labels used)"
    )
