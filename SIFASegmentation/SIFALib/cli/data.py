"""`sifa check-data`: what the files of a training are, and what is wrong with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..datasets import PHANTOMS, DataSettings, checks, label_values, released, scans, sources
from ..datasets.scans import Scan
from ..support.errors import DataError
from .console import (
    BAD_INPUT,
    OK,
    OUTPUT,
    USAGE,
    Failure,
    ProgressLine,
    check_outputs,
    fails_as,
    quiet_itk,
    say,
    table,
    write_text,
)

HEADS = ("Scan", "What", "Voxels", "Spacing (mm)", "Field of view (mm)", "Plane", "Grey values", "Labels", "Verdict")


def check_data(options: argparse.Namespace) -> int:
    """Print a row for each file, then what is wrong; BAD_INPUT if training on these would be refused."""
    settings = settings_of(options)
    found = _found(options, settings)
    _check_places(options, found)
    quiet_itk(options.debug)
    findings: list[Scan] = []
    problems: list[str] = []
    notes: list[str] = []
    line = ProgressLine(quiet=False)
    for domain in ("source", "target"):
        place = getattr(options, domain)
        if not place or place in PHANTOMS:
            if place:
                notes.append(f"The {domain} is {PHANTOMS[place]}; there is nothing to check.")
            continue
        here = found[domain]
        if isinstance(here, DataError):
            problems.append(str(here))
            continue
        notes += here.notes
        own = []
        for n, scan in enumerate(here.scans):
            line(f"Looking at the {domain}", n / len(here.scans), None)
            own.append(_examined(scan, domain, settings, options.thumbnails))
        findings += released.of_one_size(own)
        line.end()
    findings = checks.cross_check(findings)
    of_all, warnings = checks.of_domains(findings, settings)
    problems += of_all
    refused = bool(problems or any(f.problems for f in findings))
    if findings:
        say(table(HEADS, [_row(f) for f in findings]))
    _say_what_is_wrong(findings, problems, [*notes, *warnings], refused)
    if options.json:
        report = {
            "usable": not refused,
            "problems": problems,
            "warnings": [*notes, *warnings],
            "scans": [f.record() for f in findings],
        }
        with fails_as(OUTPUT, OSError):
            write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", options.json)
    return BAD_INPUT if refused else OK


def settings_of(options: argparse.Namespace) -> DataSettings:
    """The settings of the data that a command line names. Failure for values that cannot be."""
    if not options.source and not options.target:
        raise Failure(USAGE, "Name what to check with --source, --target or both.")
    try:
        return DataSettings(
            source=options.source or "phantom",
            target=options.target or "phantom",
            label_values=label_values.parse(options.label_values or ""),
            target_labels=options.target_labels,
            classes=options.classes,
            size=options.size,
            exclude=tuple(options.exclude),
        )
    except ValueError as error:  # of the mapping, or a RecordError of an option
        raise Failure(USAGE, str(error)) from error


def _found(options: argparse.Namespace, settings: DataSettings) -> dict[str, sources.Found | DataError]:
    """What each place on the disk holds, by domain, or why it holds nothing."""
    found: dict[str, sources.Found | DataError] = {}
    for domain in ("source", "target"):
        place = getattr(options, domain)
        if place and place not in PHANTOMS:
            try:
                found[domain] = sources.find(place, settings.labelled(domain), settings.excluded(domain))
            except DataError as error:
                found[domain] = error
    return found


def _check_places(options: argparse.Namespace, found: dict[str, sources.Found | DataError]) -> None:
    """Find out before the work that an output cannot be written."""
    lists = [path for domain in found if (path := Path(getattr(options, domain)).expanduser()).is_file()]
    here = [f for f in found.values() if isinstance(f, sources.Found)]
    check_outputs({"--json": options.json}, *lists, *(file for f in here for file in f.files))
    if options.thumbnails is not None:
        try:
            options.thumbnails.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(OUTPUT, f"The folder {options.thumbnails} cannot be made ({error.strerror}).") from error


def _examined(scan: Scan, domain: str, settings: DataSettings, thumbnails: Path | None) -> Scan:
    """What is found about one scan; its thumbnail is written on the way, while the scan is in memory."""
    if scan.kind in released.KINDS:
        return released.examine_all([scan], domain, settings)[0][0]
    finding, image, labels = scans.examine(scan, domain, settings)
    if image is not None and thumbnails is not None:
        import numpy as np

        from ..imaging.geometry import Volume
        from ..imaging.pictures import overlay

        if labels is None:
            labels = Volume(np.zeros(image.geometry.shape, np.uint8), image.geometry)
        name = f"{domain}-{scan.name.replace('/', '-')}.png"
        with fails_as(OUTPUT, OSError):
            overlay(image, labels, thumbnails / name, size=240)
    return finding


def _row(finding: Scan) -> tuple[str, ...]:
    f = finding
    grey = " / ".join(f"{v:.4g}" for v in f.intensity)
    values = ", ".join(map(str, f.label_values[:9])) + (" ..." if len(f.label_values) > 9 else "")
    verdict = "REFUSED" if f.problems else "ok, see below" if f.warnings else "ok"
    return (
        f.key,
        f"{f.kind}{' ' + f.looks_like if f.looks_like else ''}",
        " x ".join(map(str, f.size)) or "-",
        " x ".join(f"{s:.3g}" for s in f.spacing_mm) or "-",
        " x ".join(f"{e:.0f}" for e in f.field_of_view_mm) or "-",
        f.plane or "-",
        grey or "-",
        values or "-",
        verdict,
    )


def _say_what_is_wrong(findings: list[Scan], problems: list[str], notes: list[str], refused: bool) -> None:
    for text in (*notes, *checks.warnings_of(findings)):
        say(f"note: {text}")
    for text in (*problems, *(p for f in findings for p in f.problems)):
        say(f"REFUSED: {text}")
    good = sum(not f.problems for f in findings)
    options = checks.exclusion(findings)
    if not refused:
        say(f"{good} scan{'' if good == 1 else 's'} can be trained on.")
    elif options:
        say(
            f"Training would refuse {len(findings) - good} of {len(findings)} scans. Mend or remove them, or train on "
            f"the other {good} with: {options}"
        )
