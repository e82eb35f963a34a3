"""From the settings to slices on disk: every scan is looked at, cut and kept, and nothing is trained on in silence.

`prepare` refuses data with problems and names all of them at once; a scan that is to be left out is named in the
settings' `exclude`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..job import Progress
from . import cache, judgement, phantoms, released
from .cache import Entry, Stack
from .cutting import Cut, Locator, border_size, cut
from .scans import Finding, examine
from .settings import PHANTOMS, DataError, DataSettings
from .sources import Scan, find

log = logging.getLogger(__name__)

VERSION = (
    1  # of the slices; raised when the code cuts or scales them differently, so that kept ones are made anew
)
MOST_NAMED = 10  # problems that one message names


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices of one part of a domain, read from disk as they are asked for.

    images: float32 [n, S, S], -1..1. labels: uint8 [n, S, S], None where there are none or none may be used.
    volume: which scan, [n], an index into names. position: mm along the scan, [n]. coarse: bool [n], whether it is a
    slice as the coarse pass sees them. spacing_mm: [scans, 3], of each scan's fine slices (columns, rows, slices).
    S is border_size(settings.size), or the side of the authors' slices; `view` cuts out what is trained on.
    """

    images: Stack
    labels: Stack | None
    volume: np.ndarray
    position: np.ndarray
    coarse: np.ndarray
    names: tuple[str, ...]
    spacing_mm: np.ndarray

    def __len__(self) -> int:
        return len(self.volume)


@dataclass(frozen=True, eq=False)
class Domains:
    """All that is trained and judged on. manifest: "source:NAME" -> hash of that scan's slices. notes: warnings."""

    source: Slices
    source_validation: Slices
    target: Slices
    target_validation: Slices
    fingerprint: str
    manifest: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Piece:
    """What becomes one entry of the cache."""

    domain: str
    key: str
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
    folder.mkdir(parents=True, exist_ok=True)
    cache.sweep(folder)
    hashes = cache.Hashes(folder)
    started = time.monotonic()
    yield Progress("Looking for scans", 0.0)
    notes: list[str] = []
    pieces: list[_Piece] = []
    for domain in ("source", "target"):
        for piece in _pieces(settings, domain, hashes, locator, notes):
            pieces.append(piece)
            yield Progress("Looking for scans", 0.0)
    hashes.save()
    entries: dict[str, Entry] = {}
    findings: list[Finding] = []
    for n, piece in enumerate(pieces):
        left = (time.monotonic() - started) * (len(pieces) - n) / n if n > 2 else None
        yield Progress(f"Cutting {piece.name}", n / len(pieces), left)
        entry, found = _entry(piece, settings, folder, locator)
        findings += found
        if entry is not None:
            entries[piece.key] = entry
    notes += _refuse(findings, settings)
    notes += [f"{f.name}: {w}" for f in findings for w in f.warnings]
    domains = _assemble(pieces, entries, settings, notes)
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
        "size": border_size(settings.size),
        "preprocessing": dataclasses.asdict(settings.preprocessing),
        "normalisation": settings.normalisation(domain),
        "classes": settings.classes,
    }
    if place in PHANTOMS:
        for seed in phantoms.seeds(settings, domain):
            key = cache.key_of({**common, **phantoms.key(place, seed, settings)})
            yield _Piece(domain, key, phantom=place, seed=seed)
        return
    found = find(place, settings.labelled(domain), settings.excluded(domain))
    notes += found.notes
    mapping = {"label_values": dict(settings.label_values)} if settings.labelled(domain) else {}
    for scans in _grouped(found.scans):
        files = [[s.name, hashes.of(s.image), hashes.of(s.label) if s.label else ""] for s in scans]
        where = locator.key if locator and not settings.labelled(domain) else ""
        yield _Piece(domain, cache.key_of({**common, **mapping, "files": files, "locator": where}), scans)


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
        return kept, [judgement.finding_of(f, piece.domain, scan) for f, scan in known]
    findings: list[Finding] = []
    if piece.phantom:
        cuts = [phantoms.slices_of(piece.phantom, piece.seed, settings, piece.domain)]
    elif piece.scans[0].kind in ("TFRecord", "npz"):
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
    info = {"names": names, "findings": [dataclasses.asdict(f) for f in findings]}
    return cache.write(folder, piece.key, arrays, info)


def _refuse(findings: list[Finding], settings: DataSettings) -> list[str]:
    """Raise DataError if anything speaks against training on these; else what should be said of them as a whole."""
    judged = judgement.cross_check(findings)
    bad = [f for f in judged if f.problems]
    of_all, warnings = judgement.of_domains(judged, settings)
    problems = [p for f in bad for p in f.problems] + of_all
    if not problems:
        return warnings
    text = " ".join(problems[:MOST_NAMED])
    if len(problems) > MOST_NAMED:
        text += f" And {len(problems) - MOST_NAMED} more; `sifa check-data` lists them all."
    if bad:
        names = " ".join(f"--exclude {f.key}" for f in bad[:MOST_NAMED])
        text += f" Mend or remove them, or leave them out knowingly: {names}"
    raise DataError(text)


def _assemble(
    pieces: list[_Piece], entries: Mapping[str, Entry], settings: DataSettings, notes: list[str]
) -> Domains:
    parts: dict[str, Slices] = {}
    manifest: dict[str, str] = {}
    for domain in ("source", "target"):
        own = [p for p in pieces if p.domain == domain]
        slices = _joined([entries[p.key] for p in own], domain, settings)
        kept = {f"{domain}:{name}": f"{p.key}/{name}" for p in own for name in entries[p.key].info["names"]}
        manifest |= kept
        for_validation = _validation(list(kept.values()), settings.validation_share)
        if len(slices.names) == 1 and settings.validation_share > 0:
            notes.append(
                f"The {domain} is one scan, {slices.names[0]}; it serves for training and for validation."
            )
        which = np.isin(slices.volume, sorted(for_validation))
        alone = len(slices.names) == 1
        parts[domain] = slices if alone else _only(slices, ~which)
        parts[f"{domain}_validation"] = (
            slices if alone and settings.validation_share > 0 else _only(slices, which)
        )
    for note in notes:
        log.warning(note)
    what = {
        "manifest": manifest,
        "version": VERSION,
        "settings": {
            k: getattr(settings, k) for k in ("size", "classes", "validation_share", "target_labels")
        },
    }
    fingerprint = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return Domains(
        parts["source"], parts["source_validation"], parts["target"], parts["target_validation"],
        fingerprint, manifest, tuple(notes),
    )  # fmt: skip


def _joined(entries: list[Entry], domain: str, settings: DataSettings) -> Slices:
    """The entries of a domain as one."""
    sides = {e.arrays["images"].shape[1:]: e for e in entries}
    if len(sides) > 1:
        a, b = list(sides.items())[:2]
        raise DataError(
            f"The slices of {a[1].info['names'][0]} have {a[0][0]} pixels a side, those of {b[1].info['names'][0]} "
            f"{b[0][0]}; put them into different folders."
        )
    first = np.cumsum([0, *(len(e.info["names"]) for e in entries)])
    labelled = settings.labelled(domain) and all("labels" in e.arrays for e in entries)
    return Slices(
        Stack.of([e.arrays["images"] for e in entries]),
        Stack.of([e.arrays["labels"] for e in entries]) if labelled else None,
        np.concatenate([e.arrays["volume"] + n for e, n in zip(entries, first, strict=False)]),
        np.concatenate([e.arrays["position"] for e in entries]),
        np.concatenate([e.arrays["coarse"] for e in entries]),
        tuple(name for e in entries for name in e.info["names"]),
        np.concatenate([e.arrays["spacing_mm"] for e in entries]),
    )


def _validation(keys: list[str], share: float) -> set[int]:
    """Which scans judge and do not train: so many, chosen by what they hold, so that names and order do not matter."""
    if share == 0 or len(keys) < 2:
        return set()
    count = min(len(keys) - 1, max(1, round(share * len(keys))))
    order = sorted(range(len(keys)), key=lambda n: hashlib.sha256(keys[n].encode()).digest())
    return set(order[:count])


def _only(slices: Slices, which: np.ndarray) -> Slices:
    """The chosen slices; scans without any are dropped."""
    index = np.flatnonzero(which)
    volumes, volume = np.unique(slices.volume[index], return_inverse=True)
    return Slices(
        slices.images.only(index),
        None if slices.labels is None else slices.labels.only(index),
        volume,
        slices.position[index],
        slices.coarse[index],
        tuple(slices.names[v] for v in volumes),
        slices.spacing_mm[volumes],
    )


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """What is other in the second manifest, scan by scan, as clauses: "target:ct_07 is gone"."""
    gone = [f"{name} is gone" for name in before.keys() - after.keys()]
    new = [f"{name} is new" for name in after.keys() - before.keys()]
    other = [f"{name} has changed" for name in before.keys() & after.keys() if before[name] != after[name]]
    return tuple(sorted(gone + new + other))
