"""From the settings to slices on disk: every scan is looked at, cut and kept, and nothing is trained on in silence.

`prepare` refuses data with problems and names all of them at once; a scan that is to be left out is named in the
settings' `exclude`.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..support.errors import DataError
from ..support.progress import Progress
from . import cache, checks, phantoms, released
from .cache import Entry
from .cutting import Cut, Locator, cut
from .domains import Domains, assemble
from .scans import Finding, examine
from .settings import PHANTOMS, DataSettings
from .sources import Scan, find

log = logging.getLogger(__name__)

VERSION = 2  # of the slices; raised when the code cuts or scales them differently, so that kept ones are made anew


@dataclass(frozen=True)
class _Piece:
    """What becomes one entry of the cache. identities: of what each scan was made, for the choice of validation."""

    domain: str
    key: str
    identities: tuple[str, ...]
    scans: tuple[Scan, ...] = ()
    phantom: str = ""
    seed: int = 0

    @property
    def name(self) -> str:
        return self.scans[0].name if self.scans else f"{self.phantom.replace(':', '-')}-{self.seed}"


def prepare(
    settings: DataSettings, cache_folder: Path | str, locator: Locator | None = None
) -> Generator[Progress, None, Domains]:
    """Cut all scans into slices, as far as the cache does not hold them, and return them as Domains.

    locator: finds the heart in scans without labels; without it, slices from all over the scan are kept.
    Raises DataError, which names the files, for data that cannot be trained on or a cache that cannot be written.
    """
    folder = Path(cache_folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder {folder} for prepared slices cannot be made ({error.strerror or error}); name another one."
        ) from error
    cache.sweep(folder)
    hashes = cache.Hashes(folder)
    yield Progress("Looking for scans", 0.0)
    notes: list[str] = []
    pieces: list[_Piece] = []
    for domain in ("source", "target"):
        for piece in _pieces(settings, domain, hashes, locator, notes):
            pieces.append(piece)
            yield Progress("Looking for scans", 0.0)
    hashes.save()
    entries: dict[str, list[Entry]] = {"source": [], "target": []}
    findings: list[Finding] = []
    started = time.monotonic()
    for n, piece in enumerate(pieces):
        left = (time.monotonic() - started) * (len(pieces) - n) / n if n > 2 else None
        yield Progress(f"Cutting {piece.name}", n / len(pieces), left)
        entry, found = _entry(piece, settings, folder, locator)
        findings += found
        if entry is not None:
            entries[piece.domain].append(entry)
    judged = checks.cross_check(findings)
    problems, warnings = checks.of_domains(judged, settings)
    refused = checks.refusal(judged, problems)
    if refused:
        raise DataError(refused)
    notes += [*warnings, *checks.warnings_of(judged)]
    domains = assemble(entries, settings, notes)
    for note in domains.notes:
        log.warning(note)
    yield Progress("Slices are ready", 1.0, 0.0)
    return domains


def prepared(settings: DataSettings, cache_folder: Path | str, locator: Locator | None = None) -> Domains:
    """`prepare`, run to its end."""
    steps = prepare(settings, cache_folder, locator)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _pieces(
    settings: DataSettings, domain: str, hashes: cache.Hashes, locator: Locator | None, notes: list[str]
) -> Iterator[_Piece]:
    """What a domain consists of, each with the key of its slices."""
    place = settings.place(domain)
    common = {
        "version": VERSION,
        "size": settings.size,
        "preprocessing": dataclasses.asdict(settings.preprocessing),
        "normalisation": settings.normalisation(domain),
        "classes": settings.classes,
    }
    if place in PHANTOMS:
        for seed in phantoms.seeds(settings, domain):
            key = cache.key_of({**common, **phantoms.key(place, seed, settings)})
            yield _Piece(domain, key, (f"{place}:{seed}",), phantom=place, seed=seed)
        return
    found = find(place, settings.labelled(domain), settings.excluded(domain))
    notes += found.notes
    mapping = {"label_values": dict(settings.label_values)} if settings.labelled(domain) else {}
    for scans in _grouped(found.scans):
        files = [[s.name, hashes.of(s.image), hashes.of(s.label) if s.label else ""] for s in scans]
        where = locator.key if locator and not settings.labelled(domain) else ""
        key = cache.key_of({**common, **mapping, "files": files, "locator": where})
        yield _Piece(domain, key, tuple(image for _, image, _ in files), scans)


def _grouped(scans: Sequence[Scan]) -> Iterator[tuple[Scan, ...]]:
    """Records of single slices by the hundred, everything else one by one."""
    single = [s for s in scans if s.kind == "TFRecord"]
    for first in range(0, len(single), released.RECORDS_AT_ONCE):
        yield tuple(single[first : first + released.RECORDS_AT_ONCE])
    for scan in scans:
        if scan.kind != "TFRecord":
            yield (scan,)


def _entry(
    piece: _Piece, settings: DataSettings, folder: Path, locator: Locator | None
) -> tuple[Entry | None, list[Finding]]:
    """The slices of a piece, from the cache or cut now, and what was found about its scans; None if any is bad."""
    kept = cache.read(folder, piece.key)
    if kept is not None:
        known = zip(kept.info["findings"], piece.scans, strict=True) if piece.scans else ()
        return kept, [checks.finding_of(f, piece.domain, scan) for f, scan in known]
    findings: list[Finding] = []
    if piece.phantom:
        cuts = [phantoms.slices_of(piece.phantom, piece.seed, settings, piece.domain)]
    elif piece.scans[0].kind in released.KINDS:
        findings, cuts = released.examine_all(piece.scans, piece.domain, settings)
    else:
        finding, loaded = examine(piece.scans[0], piece.domain, settings)
        box = None
        if loaded is not None and loaded.labels is None and locator is not None:
            box = locator(loaded.image)
            if box is None:
                note = "the start model finds no heart in it; slices from all over it are used"
                finding = dataclasses.replace(finding, warnings=(*finding.warnings, note))
        findings = [finding]
        cuts = [cut(loaded.image, loaded.labels, settings, piece.domain, box)] if loaded is not None else []
    if any(f.problems for f in findings):
        return None, findings
    names = [s.name for s in piece.scans] or [piece.name]
    return _keep(folder, piece, names, cuts, findings), findings


def _keep(folder: Path, piece: _Piece, names: list[str], cuts: list[Cut], findings: list[Finding]) -> Entry:
    arrays = {
        "images": np.concatenate([c.images for c in cuts]),
        "position": np.concatenate([c.position for c in cuts]),
        "coarse": np.concatenate([c.coarse for c in cuts]),
        "volume": np.repeat(np.arange(len(cuts)), [len(c.images) for c in cuts]),
        "spacing_mm": np.array([c.spacing_mm for c in cuts]),
    }
    if cuts[0].labels is not None:
        arrays["labels"] = np.concatenate([c.labels for c in cuts if c.labels is not None])
    info = {"names": names, "identities": piece.identities, "findings": [dataclasses.asdict(f) for f in findings]}
    return cache.write(folder, piece.key, arrays, info)
