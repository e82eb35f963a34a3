"""What only shows when scans are looked at together: the same image twice, in both domains, too little in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from .scans import Finding
from .settings import DataSettings
from .sources import Scan

LEAST_SLICES = 8  # native slices in all, below which there is nothing to learn from


def cross_check(findings: Sequence[Finding]) -> list[Finding]:
    """The findings with a problem added to every image that is there twice, be it in one domain or in both."""
    first: dict[str, Finding] = {}
    judged = []
    for finding in findings:
        other = first.setdefault(finding.content, finding) if finding.content else finding
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
            problems.append(
                f"The {domain}, {place}, has {total} slice(s) in all; at least {LEAST_SLICES} are needed."
            )
        nowhere = [c for c in range(1, settings.classes) if all(c in f.missing for f in good)]
        if domain == "source" and nowhere:
            names = ", ".join(map(str, nowhere))
            warnings.append(
                f"No label map of the source, {place}, holds class {names}: the model will never draw it. "
                "Check the mapping of label values."
            )
    return problems, warnings


def finding_of(data: Mapping[str, Any], domain: str, scan: Scan) -> Finding:
    """A finding from JSON, for that domain and for where its files lie now."""
    known: dict[str, Any] = {f.name: data[f.name] for f in fields(Finding) if f.name in data}
    known = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
    known |= {"domain": domain, "path": str(scan.image), "label_path": str(scan.label or "")}
    return Finding(**known)
