"""Which models a segmentation may take: the one that was named, or those that come with SIFA, of which the scan decides."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .card import AUTOMATIC
from .store import ModelPackage, read_package

if TYPE_CHECKING:
    from .card import ModelCard
    from .store import ModelStore

__all__ = ["AUTOMATIC", "Models", "found", "models_of", "named"]

FOR_STACKS, FOR_OTHERS = "heart", "heart-phantom"
"""Of the bundled models: contours of short axes taught the first one these, and cost it a little of everything else
(docs/decisions/0020-the-scan-chooses.md)."""


@dataclass(frozen=True)
class Models:
    """stacks: for MR slices that lie far apart, as short axes do; others: for all other scans. The same where one was named.

    Both draw the same structures. Which of them serves a scan is told by `inference.choice.serving`.
    """

    stacks: ModelPackage
    others: ModelPackage

    @property
    def card(self) -> ModelCard:
        """The card that says what is drawn, and how scans are prepared."""
        return self.stacks.card

    @property
    def automatic(self) -> bool:
        return self.stacks != self.others

    @property
    def packages(self) -> tuple[ModelPackage, ...]:
        return (self.stacks, self.others) if self.automatic else (self.stacks,)

    @property
    def name(self) -> str:
        """By which `models_of` finds them again: AUTOMATIC, or `id@version`."""
        return AUTOMATIC if self.automatic else self.card.key

    @property
    def key(self) -> str:
        """`id@version` of all of them, with "or" between."""
        return " or ".join(package.card.key for package in self.packages)

    @property
    def sha256(self) -> str:
        """Of the weights of all of them, with "+" between."""
        return "+".join(package.card.sha256 for package in self.packages)


def named(package: ModelPackage) -> Models:
    """That one alone, for every scan."""
    return Models(package, package)


def found(store: ModelStore, wanted: str) -> ModelPackage:
    """The model of that id or id@version, or in that folder. ModelError."""
    return read_package(wanted) if Path(wanted).is_dir() else store.get(wanted)


def models_of(store: ModelStore, wanted: str = "") -> Models:
    """The model of that id or id@version, or in that folder; "" or AUTOMATIC: those that come with SIFA.

    Where these are not there, `store.default`. ModelError.
    """
    if wanted and wanted != AUTOMATIC:
        return named(found(store, wanted))
    return automatic(store) or named(store.default())


def automatic(store: ModelStore) -> Models | None:
    """Those that come with SIFA, one for stacks and one for everything else; None where they are not there."""
    bundled = [package for package in store.packages() if store.is_bundled(package)]
    both = [next((p for p in bundled if p.card.id == id_), None) for id_ in (FOR_STACKS, FOR_OTHERS)]
    if both[0] is None or both[1] is None:
        return None
    models = Models(both[0], both[1])
    return models if models.stacks.card.labels == models.others.card.labels else None
