"""The selector of models, with a line on the one that is chosen."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import qt

from . import Words

if TYPE_CHECKING:
    from SIFALib.models import ModelCard, ModelPackage


class ModelChoice:
    """onChosen(`id@version`) is called when the person chooses another one, not when the panel does."""

    def __init__(self, selector: qt.QComboBox, label: qt.QLabel, onChosen: Callable[[str], None]) -> None:
        self.selector, self.label, self._onChosen = selector, label, onChosen
        self._cards: list[ModelCard] = []
        self._filling = False
        selector.connect("currentIndexChanged(int)", self._onIndex)

    def fill(self, packages: Sequence[ModelPackage]) -> None:
        """Fill the list anew."""
        self._cards = [package.card for package in packages]
        self._filling = True
        self.selector.clear()
        for card in self._cards:
            self.selector.addItem(Words.modelName(card), card.key)
        self._filling = False

    def card(self, wanted: str) -> ModelCard | None:
        """The card of the model of that key, "" for the default one; None if it is not installed."""
        return next((card for card in self._cards if wanted in ("", card.key)), None)

    def show(self, wanted: str) -> ModelCard | None:
        """Select that model and say what it is; returns its card."""
        card = self.card(wanted)
        self._filling = True
        self.selector.currentIndex = self._cards.index(card) if card is not None else -1
        self._filling = False
        self.label.text = f"<small>{html.escape(Words.modelLine(card))}</small>" if card else ""
        self.label.toolTip = Words.modelToolTip(card) if card else ""
        return card

    def _onIndex(self, index: int) -> None:
        if not self._filling and 0 <= index < len(self._cards):
            self._onChosen(self._cards[index].key)
