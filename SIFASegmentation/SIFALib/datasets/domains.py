"""The slices of both domains, for training and for validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..support.errors import DataError
from .cache import Entry
from .planes import Stack
from .settings import DataSettings


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


def assemble(entries: Mapping[str, Sequence[Entry]], settings: DataSettings, notes: Sequence[str]) -> Domains:
    """The entries of "source" and "target", with a part of each domain's scans set aside for validation."""
    parts: dict[str, Slices] = {}
    manifest: dict[str, str] = {}
    notes = list(notes)
    for domain, own in entries.items():
        slices = _joined(own, domain, settings)
        manifest |= {f"{domain}:{name}": f"{e.folder.name}/{name}" for e in own for name in e.info["names"]}
        alone = len(slices.names) == 1 and settings.validation_share > 0
        if alone:
            only = slices.names[0]
            notes.append(f"The {domain} is one scan, {only}; it serves for training and for validation.")
        judging = _validation([i for e in own for i in e.info["identities"]], settings.validation_share)
        which = np.isin(slices.volume, judging)
        parts[domain] = slices if alone else _only(slices, ~which)
        parts[f"{domain}_validation"] = slices if alone else _only(slices, which)
    chosen = ("size", "classes", "validation_share", "target_labels")
    what = {"manifest": manifest, "settings": {name: getattr(settings, name) for name in chosen}}
    fingerprint = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    return Domains(**parts, fingerprint=fingerprint, manifest=manifest, notes=tuple(notes))


def _joined(entries: Sequence[Entry], domain: str, settings: DataSettings) -> Slices:
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


def _validation(identities: Sequence[str], share: float) -> list[int]:
    """Which scans judge and do not train: so many, chosen by what they hold, whatever their names and order."""
    if share == 0 or len(identities) < 2:
        return []
    count = min(len(identities) - 1, max(1, round(share * len(identities))))
    order = sorted(range(len(identities)), key=lambda n: hashlib.sha256(identities[n].encode()).digest())
    return order[:count]


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
