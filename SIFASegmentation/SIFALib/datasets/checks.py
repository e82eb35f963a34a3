"""What only shows when scans are looked at together: the same image twice, in both domains, too little in all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from ..models.structures import structure_name
from .scans import Scan, Verdict
from .settings import DataSettings

MOST_NAMED = 10  # problems that one message names
LEAST_SLICES = 8  # native slices in all, below which there is nothing to learn from


def cross_check(scans: Sequence[Scan]) -> list[Scan]:
    """The scans with a problem added to every image that is there twice, be it in one domain or in both, and a warning to
    labels that are those of another image."""
    first: dict[str, Scan] = {}
    labelled: dict[str, Scan] = {}
    checked = []
    for scan in scans:
        usable = scan.content and not scan.problems  # else it must go or be mended anyway
        other = first.setdefault(scan.content, scan) if usable else scan
        if other is not scan:
            code, where = (
                ("in_both_domains", "the same image; the target must not hold what the source teaches")
                if other.domain != scan.domain
                else ("twice", "the same image under two names; it would count twice and judge what it has taught")
            )
            problem = f"{scan.image} ({scan.domain}) and {other.image} ({other.domain}) are {where}."
            scan = replace(scan, problems=(*scan.problems, Verdict(problem, code, file=scan.image, other=other.image)))
        alike = labelled.setdefault(scan.label_content, scan) if usable and scan.label_content else scan
        if alike is not scan and other is scan:
            warning = (
                f"its labels are those of {alike.key}, voxel by voxel; one of them may be a copy under a wrong name"
            )
            scan = replace(scan, warnings=(*scan.warnings, Verdict(warning, "same_labels", other=alike.label)))
        checked.append(scan)
    return checked


def of_domains(scans: Sequence[Scan], settings: DataSettings) -> tuple[list[str], list[str]]:
    """Problems of, and warnings about, a domain as a whole, as Verdicts; scans with problems are not counted."""
    problems: list[str] = []
    warnings: list[str] = []
    for domain in ("source", "target"):
        good = [s for s in scans if s.domain == domain and not s.problems]
        if not good:  # phantoms, or nothing but scans with problems, which are named
            continue
        place, total = settings.place(domain), sum(s.slices for s in good)
        if total < LEAST_SLICES:
            problem = f"The {domain}, {place}, has {total} slice(s) in all; at least {LEAST_SLICES} are needed."
            problems.append(Verdict(problem, "too_few_slices", domain=domain, slices=total))
        nowhere = [c for c in range(1, settings.classes) if all(c in s.missing for s in good)]
        if domain == "source" and nowhere and not settings.partial_labels:
            names = ", ".join(f"{c} ({structure_name(c)})" for c in nowhere)
            warning = (
                f"No label map of the source, {place}, holds class {names}: the model will never draw it. "
                "Check the mapping of label values."
            )
            warnings.append(Verdict(warning, "class_nowhere", classes=nowhere))
    return problems, warnings


def refusal(scans: Sequence[Scan], problems: Sequence[str]) -> str:
    """Why these cannot be trained on, in one text that names every kind of problem; empty if they can."""
    bad = [s for s in scans if s.problems]
    sentences = [*problems, *_alike([p for s in bad for p in s.problems])]
    if not sentences:
        return ""
    text = " ".join(sentences[:MOST_NAMED])
    if len(sentences) > MOST_NAMED:
        text += f" There are {len(sentences) - MOST_NAMED} more problems; `sifa check-data` lists them all."
    options = exclusion(scans)
    if options and len(bad) <= MOST_NAMED:
        text += f" Mend or remove the files, or leave them out: {options}"
    return text


def _alike(problems: Sequence[str]) -> list[str]:
    """Problems as sentences; the same fault of several files is said once, with the first file's name."""
    groups: dict[object, list[str]] = {}
    for problem in problems:
        fault = problem.fields.get("fault") if isinstance(problem, Verdict) else None
        groups.setdefault((problem.code, fault) if isinstance(problem, Verdict) and fault else problem, []).append(
            problem
        )
    sentences = []
    for first, *more in groups.values():
        if more and isinstance(first, Verdict) and "fault" in first.fields:
            first = f"{first.fields['file']} and {len(more)} more: {first.fields['fault']}"
        sentences.append(first)
    return sentences


def warnings_of(scans: Sequence[Scan]) -> list[str]:
    """What should be said of the scans, the same about several of them once."""
    groups: dict[str, list[str]] = {}
    for scan in scans:
        for warning in scan.warnings:
            groups.setdefault(warning, []).append(scan.key)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {warning}."
        for warning, names in groups.items()
    ]


def exclusion(scans: Sequence[Scan]) -> str:
    """The options that leave the scans with problems out; empty if a domain would be left without any."""
    bad = [s for s in scans if s.problems]
    if {s.domain for s in bad} - {s.domain for s in scans if not s.problems}:
        return ""
    return " ".join(f"--exclude {shlex.quote(s.key)}" for s in bad)
