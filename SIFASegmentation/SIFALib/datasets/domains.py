"""The slices of both domains, for training and for validation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..support.errors import DataError
from .planes import Planes, Stack
from .settings import DataSettings


@dataclass(frozen=True, eq=False)
class Slices:
    """Slices of one scan, or of one part of a domain; those of a cache are read from disk as they are asked for.

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

    @cached_property
    def known(self) -> np.ndarray:
        """Bool [scans, 256]: of which classes the labels of a scan show a voxel, and the background."""
        known = np.zeros((len(self.names), 256), bool)
        known[:, 0] = True
        if self.labels is not None:
            for index, scan in enumerate(self.volume):
                known[scan, np.unique(self.labels[index])] = True
        return known

    @staticmethod
    def of(arrays: Mapping[str, Planes], names: Sequence[str]) -> Slices:
        """The slices of these arrays, as `arrays` gives them."""
        labels = Stack.of([arrays["labels"]]) if "labels" in arrays else None
        volume, position, coarse, spacing_mm = (np.asarray(arrays[name]) for name in FACTS)
        return Slices(Stack.of([arrays["images"]]), labels, volume, position, coarse, tuple(names), spacing_mm)

    def arrays(self) -> dict[str, np.ndarray]:
        """All but the names, in memory; no "labels" where there are none."""
        labels = {} if self.labels is None else {"labels": np.asarray(self.labels)}
        return {"images": np.asarray(self.images), **labels, **{name: getattr(self, name) for name in FACTS}}

    def only(self, which: np.ndarray) -> Slices:
        """The slices that `which`, bool [n], chooses; scans without any are dropped."""
        index = np.flatnonzero(which)
        volumes, volume = np.unique(self.volume[index], return_inverse=True)
        labels = None if self.labels is None else self.labels.only(index)
        names = tuple(self.names[v] for v in volumes)
        facts = volume, self.position[index], self.coarse[index], names, self.spacing_mm[volumes]
        return Slices(self.images.only(index), labels, *facts)


FACTS = ("volume", "position", "coarse", "spacing_mm")


def of_one_scan(
    name: str,
    images: np.ndarray,
    labels: np.ndarray | None,
    position: np.ndarray | None = None,
    coarse: np.ndarray | None = None,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Slices:
    """Slices as in `Slices`; position None: their numbers, coarse None: none is."""
    n = len(images)
    return Slices(
        Stack.of([images]),
        None if labels is None else Stack.of([labels]),
        np.zeros(n, int),
        np.arange(n, dtype=float) if position is None else position,
        np.zeros(n, bool) if coarse is None else coarse,
        (name,),
        np.array([spacing_mm]),
    )


def joined(parts: Sequence[Slices], labelled: bool = True) -> Slices:
    """The slices of several scans as one; labels where all have them and they are wanted."""
    first = np.cumsum([0, *(len(part.names) for part in parts)])
    labels = [part.labels for part in parts if part.labels is not None]
    return Slices(
        Stack.joined([part.images for part in parts]),
        Stack.joined(labels) if labelled and len(labels) == len(parts) else None,
        np.concatenate([part.volume + n for part, n in zip(parts, first, strict=False)]),
        np.concatenate([part.position for part in parts]),
        np.concatenate([part.coarse for part in parts]),
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.spacing_mm for part in parts]),
    )


@dataclass(frozen=True, eq=False)
class Domains:
    """All that is trained and judged on. manifest: "source:NAME" -> hash of that scan's slices. notes: warnings.

    hearts: of each of the target's scans, by name, what is the same for all phases of one heart. contours: real slices of
    which a part is labelled; half of the source's in a batch come from them. None: only `source` is learned from.
    """

    source: Slices
    source_validation: Slices
    target: Slices
    target_validation: Slices
    fingerprint: str
    manifest: dict[str, str]
    notes: tuple[str, ...] = ()
    hearts: Mapping[str, str] = field(default_factory=dict)
    contours: Slices | None = None


def assemble(
    parts: Mapping[str, Sequence[tuple[str, Slices, Sequence[str]]]], settings: DataSettings, notes: Sequence[str]
) -> Domains:
    """Of "source" and "target", (key in the cache, slices, what their scans hold), with some scans for validation."""
    contours = joined([part for _, part, _ in parts["contours"]]) if "contours" in parts else None
    made: dict[str, Slices] = {}
    manifest = {
        f"contours:{name}": f"{key}/{name}" for key, part, _ in parts.get("contours", ()) for name in part.names
    }
    notes = list(notes)
    for domain, own in parts.items():
        _check_sides([part for _, part, _ in own])
        if domain == "contours":  # nothing judges by them
            continue
        slices = joined([part for _, part, _ in own], settings.labelled(domain))
        manifest |= {f"{domain}:{name}": f"{key}/{name}" for key, part, _ in own for name in part.names}
        identities = [i for *_, each in own for i in each]
        alone = len(set(identities)) == 1 and settings.validation_share > 0
        if alone:
            only = slices.names[0]
            notes.append(f"The {domain} is one scan, {only}; it serves for training and for validation.")
        judging = np.isin(slices.volume, _validation(identities, settings.validation_share))
        made[domain] = slices if alone else slices.only(~judging)
        made[f"{domain}_validation"] = slices if alone else slices.only(judging)
    chosen = ("size", "classes", "validation_share", "target_labels")
    what = {"manifest": manifest, "settings": {name: getattr(settings, name) for name in chosen}}
    if settings.partial_labels:
        what["settings"]["partial_labels"] = True
    fingerprint = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
    named = ((part.names, identities) for _, part, identities in parts.get("target", ()))
    hearts = {name: heart for names, identities in named for name, heart in zip(names, identities, strict=True)}
    return Domains(
        **made, fingerprint=fingerprint, manifest=manifest, notes=tuple(notes), hearts=hearts, contours=contours
    )


def _check_sides(parts: Sequence[Slices]) -> None:
    sides = {part.images.shape[1:]: part.names[0] for part in parts}
    if len(sides) > 1:
        ((a, *_), one), ((b, *_), other) = list(sides.items())[:2]
        raise DataError(
            f"The slices of {one} have {a} pixels a side, those of {other} {b}; put them into different folders."
        )


def _validation(identities: Sequence[str], share: float) -> list[int]:
    """Which scans judge and do not train: so many, chosen by what they hold, whatever their names and order. All phases of
    a cine are of one identity, and on one side."""
    hearts = sorted(set(identities), key=lambda identity: hashlib.sha256(identity.encode()).digest())
    if share == 0 or len(hearts) < 2:
        return []
    chosen = set(hearts[: min(len(hearts) - 1, max(1, round(share * len(hearts))))])
    return [n for n, identity in enumerate(identities) if identity in chosen]


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """What is other in the second manifest, scan by scan, as clauses: "target:ct_07 is gone"."""
    gone = [f"{name} is gone" for name in before.keys() - after.keys()]
    new = [f"{name} is new" for name in after.keys() - before.keys()]
    other = [f"{name} has changed" for name in before.keys() & after.keys() if before[name] != after[name]]
    return tuple(sorted(gone + new + other))
