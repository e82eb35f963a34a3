"""What only shows when scans are looked at together: the same image twice, in both domains, too little in all."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from .scans import Finding
from .settings import DataSettings
from .sources import Scan

MOST_NAMED = 10  # problems that one message names
LEAST_SLICES = 8  # native slices in all, below which there is nothing to learn from


def cross_check(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with a problem added to every image that is there twice, be it in one domain or in both."""
    first: dict[str, Finding] = {}
    judged = []
    for finding in findings:
        usable = finding.content and not finding.problems  # else it must go or be mended anyway
        other = first.setdefault(finding.content, finding) if usable else finding
        if other is not finding:
            where = (
                "the same image; the target must not hold what the source teaches"
                if other.domain != finding.domain
                else "the same image under two names; it would count twice and judge what it has taught"
            )
            problem = f"{finding.path} ({finding.domain}) and {other.path} ({other.domain}) are {where}."
            finding = replace(finding, problems=(*finding.problems, problem))
        judged.append(finding)
    return judged


def of_domains(findings: Sequence[Finding], settings: DataSettings) -> tuple[list[str], list[str]]:
    """Problems of, and warnings about, a domain as a whole; scans with problems are not counted."""
    problems, warnings = [], []
    for domain in ("source", "target"):
        good = [f for f in findings if f.domain == domain and not f.problems]
        if not good:  # phantoms, or nothing but scans with problems, which are named
            continue
        place, total = settings.place(domain), sum(f.slices for f in good)
        if total < LEAST_SLICES:
            problems.append(f"The {domain}, {place}, has {total} slice(s) in all; at least {LEAST_SLICES} are needed.")
        nowhere = [c for c in range(1, settings.classes) if all(c in f.missing for f in good)]
        if domain == "source" and nowhere:
            names = ", ".join(map(str, nowhere))
            warnings.append(
                f"No label map of the source, {place}, holds class {names}: the model will never draw it. "
                "Check the mapping of label values."
            )
    return problems, warnings


def refusal(findings: Sequence[Finding], problems: Sequence[str]) -> str:
    """Why these cannot be trained on, in one text that names every kind of problem; empty if they can."""
    bad = [f for f in findings if f.problems]
    sentences = [*problems, *_alike(bad)]
    if not sentences:
        return ""
    text = " ".join(sentences[:MOST_NAMED])
    if len(sentences) > MOST_NAMED:
        text += f" There are {len(sentences) - MOST_NAMED} more problems; `sifa check-data` lists them all."
    options = exclusion(findings)
    if options and len(bad) <= MOST_NAMED:
        text += f" Mend or remove the files, or leave them out: {options}"
    return text


def warnings_of(findings: Sequence[Finding]) -> list[str]:
    """What should be said of the scans, the same about several of them once."""
    groups: dict[str, list[str]] = {}
    for finding in findings:
        for warning in finding.warnings:
            groups.setdefault(warning, []).append(finding.key)
    return [
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {warning}."
        for warning, names in groups.items()
    ]


def exclusion(findings: Sequence[Finding]) -> str:
    """The options that leave the scans with problems out; empty if a domain would be left without any."""
    bad = [f for f in findings if f.problems]
    good = {f.domain for f in findings if not f.problems}
    if {f.domain for f in bad} - good:
        return ""
    return " ".join(f"--exclude {shlex.quote(f.key)}" for f in bad)


def _alike(bad: Sequence[Finding]) -> list[str]:
    """Problems as sentences; what is wrong with several files alike is said once, with the first file's name."""
    groups: dict[str, list[str]] = {}
    for finding in bad:
        for problem in finding.problems:
            path = finding.label_path if problem.startswith(f"{finding.label_path}:") else ""
            groups.setdefault(problem.removeprefix(path) if path else problem, []).append(path)
    sentences = []
    for problem, paths in groups.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        sentences.append(f"{paths[0]}{more}{problem}")
    return sentences


def finding_of(data: Mapping[str, Any], domain: str, scan: Scan) -> Finding:
    """A finding from JSON, for that domain and for where its files lie now."""
    known: dict[str, Any] = {f.name: data[f.name] for f in fields(Finding) if f.name in data}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
    known |= {"domain": domain, "path": str(scan.image), "label_path": str(scan.label or "")}
    return Finding(**known)
