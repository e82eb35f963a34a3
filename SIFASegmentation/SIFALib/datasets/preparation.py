"""From the settings to slices on disk: every scan is looked at, cut and kept, and nothing is trained on in silence.

`prepare` refuses data with problems and names all of them at once, those of scans with a heart's box before all others; a
scan that is to be left out is named in the settings' `exclude`.
"""

from __future__ import annotations

import dataclasses
import logging
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..imaging.seg_nrrd import is_segmentation
from ..support import files
from ..support.errors import DataError
from ..support.progress import Progress, Steps, drain
from . import cache, checks, phantoms, placing, released
from .cutting import Locator, cut
from .domains import Domains, Slices, assemble, joined
from .layouts import meaning_of
from .scans import Scan, examine, has_structures
from .settings import PHANTOMS, DataSettings
from .sources import find

log = logging.getLogger(__name__)

VERSION = 2  # of the slices; raised when the code cuts or scales them differently, so that kept ones are made anew
LOCATING = 2  # of the way in which the heart is found in scans without labels; raised when that finds another place
Made = tuple[list[Scan], list[Slices]]  # scans as they were found to be, and their slices if nothing is wrong


@dataclass(frozen=True)
class _Entry:
    """What is kept as one entry of the cache. identities: of what each scan was made, for the choice of validation.
    located: a heart was looked for; entries that do not say whether one was found (until 1.0.0 of `heart`) are made anew."""

    domain: str
    key: str
    names: tuple[str, ...]
    identities: tuple[str, ...]
    scans: tuple[Scan, ...]  # none of phantoms
    make: Callable[[], Made]
    located: bool = False


def prepare(settings: DataSettings, cache_folder: Path | str, locator: Locator | None = None) -> Steps[Domains]:
    """Cut all scans into slices, as far as the cache does not hold them, and return them as Domains.

    locator: finds the heart in scans without labels, and those are left out in which it finds none: slices of liver and
    lung taught to be a heart do harm. Without a locator, slices from all over the scan are kept.
    Raises DataError, which names the files, for data that cannot be trained on or a cache that cannot be written.
    """
    parts, notes = yield from _parts(settings, Path(cache_folder), locator, settings.domains)
    domains = assemble(parts, settings, notes)
    for note in domains.notes:
        log.warning(note)
    yield Progress("Slices are ready", 1.0, 0.0)
    return domains


def prepare_source(settings: DataSettings, cache_folder: Path | str) -> Steps[tuple[Slices, dict[str, str]]]:
    """`prepare` for the source alone, none of it kept for validation: its slices, and its manifest as in Domains."""
    parts, notes = yield from _parts(settings, Path(cache_folder), None, ("source",))
    for note in notes:
        log.warning(note)
    manifest = {f"source:{name}": f"{key}/{name}" for key, part, _ in parts["source"] for name in part.names}
    return joined([part for _, part, _ in parts["source"]]), manifest


def _parts(
    settings: DataSettings, folder: Path, locator: Locator | None, of_domains: tuple[str, ...]
) -> Steps[tuple[dict[str, list[tuple[str, Slices, Sequence[str]]]], list[str]]]:
    """Of each domain (key in the cache, slices, what their scans hold), and what should be said of all of them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder {folder} for prepared slices cannot be made ({error.strerror or error}); name another one."
        ) from error
    files.sweep(folder, cache.STALE_SECONDS)
    hashes = cache.Hashes(folder)
    yield Progress("Looking for scans", 0.0)
    notes: list[str] = []
    entries: list[_Entry] = []
    for domain in of_domains:
        for entry in _entries(settings, domain, hashes, locator, notes):
            entries.append(entry)
            yield Progress("Looking for scans", 0.0)
    hashes.save()
    yield from _insist_on_boxes(entries, settings, folder)
    parts: dict[str, list[tuple[str, Slices, Sequence[str]]]] = {domain: [] for domain in of_domains}
    scans: list[Scan] = []
    told: list[str] = []
    of_scans, of_phantoms = ([e for e in entries if bool(e.scans) is real] for real in (True, False))
    started = time.monotonic()
    for n, entry in enumerate([*of_scans, *of_phantoms]):  # what may be refused comes before what takes minutes
        left = (time.monotonic() - started) * (len(entries) - n) / n if n > 2 else None
        yield Progress(f"Cutting {entry.names[0]}", n / len(entries), left)
        slices, examined = _slices(entry, folder)
        scans += examined
        if slices is not None:
            parts[entry.domain].append((entry.key, slices, entry.identities))
        if n == len(of_scans) - 1:
            told = _insist_on(scans, settings)
            for domain in dict.fromkeys(e.domain for e in of_scans):
                if not parts[domain]:
                    raise DataError(_nowhere(settings.place(domain), sum(scan.domain == domain for scan in scans)))
    return parts, [*notes, *told]


def _insist_on_boxes(entries: Sequence[_Entry], settings: DataSettings, folder: Path) -> Steps[None]:
    """DataError for boxes around hearts that do not belong to their scans, before any other scan is cut."""
    boxed = [e for e in entries if any(f"{e.domain}:{scan.name}" in settings.places for scan in e.scans)]
    examined: list[Scan] = []
    for entry in boxed:  # what is cut here is kept
        yield Progress(f"Cutting {entry.names[0]}", 0.0)
        examined += _slices(entry, folder)[1]
    if refused := checks.refusal(examined, []):
        raise DataError(refused)


def _insist_on(scans: Sequence[Scan], settings: DataSettings) -> list[str]:
    """What should be said of scans that can be trained on. DataError for others."""
    checked = checks.cross_check(scans)
    problems, warnings = checks.of_domains(checked, settings)
    refused = checks.refusal(checked, problems)
    if refused:
        raise DataError(refused)
    return [*warnings, *checks.warnings_of(checked)]


def _nowhere(place: str, scans: int) -> str:
    where = f"none of the {scans} scans" if scans > 1 else "no scan"
    return (
        f"The start model finds a heart in {where} of {place}, so that there is nothing to learn from. Look at what it sees "
        f"with: sifa check-data --target {shlex.quote(place)} --model MODEL --thumbnails FOLDER"
    )


def prepared(settings: DataSettings, cache_folder: Path | str, locator: Locator | None = None) -> Domains:
    """`prepare`, run to its end."""
    return drain(prepare(settings, cache_folder, locator))


def _entries(
    settings: DataSettings, domain: str, hashes: cache.Hashes, locator: Locator | None, notes: list[str]
) -> Iterator[_Entry]:
    """What a domain consists of, each with the key of its slices; what should be said goes to `notes`."""
    if domain == "contours":
        for entry in _entries(settings.of_contours(), "source", hashes, None, notes):
            yield replace(entry, domain=domain)
        return
    place, labelled = settings.place(domain), settings.labelled(domain)
    common: dict[str, Any] = {
        "version": VERSION,
        "size": settings.size,
        "preprocessing": dataclasses.asdict(settings.preprocessing),
        "normalisation": settings.normalisation(domain),
        "classes": settings.classes,
    }
    if place in PHANTOMS:
        kind = phantoms.kind_of(place)
        for seed in phantoms.seeds(settings, domain):

            def make(seed: int = seed) -> Made:
                return [], [phantoms.slices_of(kind, seed, settings, domain)]

            key = cache.key_of({**common, **phantoms.key(kind, seed, settings)})
            yield _Entry(domain, key, (phantoms.name_of(kind, seed),), (f"{kind}:{seed}",), (), make)
        return
    found = find(place, labelled, settings.excluded(domain), cines=not labelled)
    notes += found.notes
    if domain == "target":
        placing.check_names(settings, found.scans)
    if labelled:
        common["label_values"] = dict(settings.label_values)
        if settings.partial_labels:
            common["partial_labels"] = True
    common["locator"] = f"{locator.key} {LOCATING}" if locator and not labelled else ""
    for scans in _grouped(found.scans):

        def make_of(scans: tuple[Scan, ...] = scans) -> Made:
            return _made(scans, domain, settings, locator)

        held: list[list[Any]] = [
            [s.name, hashes.of(s.image), hashes.of_labels(s.label) if s.label else "", *_part(s)] for s in scans
        ]
        said = {"hearts": boxes} if (boxes := _boxes(scans, domain, settings)) else {}
        by_names = _meanings(scans, settings)
        names = tuple(s.name for s in scans)
        identities = tuple(s.heart or image for s, (_, image, *_) in zip(scans, held, strict=True))
        key = cache.key_of({**common, **by_names, **said, "files": held})
        yield _Entry(domain, key, names, identities, scans, make_of, located=bool(common["locator"]))


def _part(scan: Scan) -> list[str]:
    """Which part of its files a scan is, where it is not all, and whose heart it shows, where that is said: who judges, and
    what is judged as one, hang on it."""
    phase = [] if scan.phase is None else [f"phase {scan.phase}"]
    return [*filter(None, [scan.moment]), *phase, *([f"heart {scan.heart}"] if scan.heart else [])]


def _meanings(scans: Sequence[Scan], settings: DataSettings) -> dict[str, Any]:
    """What else than the settings decides what the values of label maps mean, for the key of the slices. DataError."""
    labels = [s.label for s in scans if s.label is not None]
    told: dict[str, Any] = {"segments": 1} if any(map(is_segmentation, labels)) else {}
    if settings.label_values or not has_structures(settings.classes):
        return told
    meanings = [meaning.labels for label in labels if (meaning := meaning_of(label)) is not None]
    others = [sorted(each.items()) for each in meanings if any(value != label for value, label in each.items())]
    return told | ({"meanings": others} if others else {})


def _boxes(scans: Sequence[Scan], domain: str, settings: DataSettings) -> list[Any]:
    """What somebody said of where the hearts in these scans are, for the key of their slices."""
    keys = (f"{domain}:{scan.name}" for scan in scans)
    said = ((key, dataclasses.asdict(settings.places[key])) for key in keys if key in settings.places)
    return [[key, {name: value for name, value in heart.items() if value or name != "grid"}] for key, heart in said]


def _grouped(scans: Sequence[Scan]) -> Iterator[tuple[Scan, ...]]:
    """Records of single slices by the hundred, everything else one by one."""
    single = [s for s in scans if s.kind == "TFRecord"]
    for first in range(0, len(single), released.RECORDS_AT_ONCE):
        yield tuple(single[first : first + released.RECORDS_AT_ONCE])
    for scan in scans:
        if scan.kind != "TFRecord":
            yield (scan,)


def _made(scans: tuple[Scan, ...], domain: str, settings: DataSettings, locator: Locator | None) -> Made:
    if scans[0].kind in released.KINDS:
        return released.examine_all(scans, domain, settings)
    scan, image, labels = examine(scans[0], domain, settings)
    if image is None:
        return [scan], []
    heart = None
    if labels is None:
        nowhere = "the start model finds no heart in it; it is left out"
        scan, heart = placing.located(scan, image, settings, locator, nowhere)
    return [scan], [] if scan.problems else [cut(image, labels, settings, domain, heart)]


def _slices(entry: _Entry, folder: Path) -> tuple[Slices | None, list[Scan]]:
    """The slices of an entry, from the cache or cut now, and what its scans are; no slices if any is bad or left out."""
    kept = cache.read(folder, entry.key)
    if kept is not None and entry.located and "left_out" not in kept[1]:
        cache.drop(folder, entry.key)
        kept = None
    if kept is None:
        scans, made = entry.make()
        if any(scan.problems for scan in scans):
            return None, scans
        left_out = any(scan.without_heart for scan in scans)
        facts: dict[str, Any] = {
            "names": entry.names,
            "identities": entry.identities,
            "scans": [scan.record() for scan in scans],
        }
        facts |= {"left_out": left_out} if entry.located else {}
        kept = cache.write(folder, entry.key, joined(made).arrays(), facts)
    arrays, info = kept
    records = info["scans"] if "scans" in info else info["findings"]  # as version 0.3 called them
    files = zip(records, entry.scans, strict=True) if entry.scans else ()
    known = [replace(Scan.of_record(r), domain=entry.domain, image=s.image, label=s.label) for r, s in files]
    return None if info.get("left_out") else Slices.of(arrays, info["names"]), known
