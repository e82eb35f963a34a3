"""The selector of models, with a line on the one that is chosen."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import qt

from . import Words

if TYPE_CHECKING:
    from SIFALib.models import Models


class ModelChoice:
    """onChosen("auto" or `id@version`) is called when the person chooses otherwise, not when the panel does."""

    def __init__(self, selector: qt.QComboBox, label: qt.QLabel, onChosen: Callable[[str], None]) -> None:
        self.selector, self.label, self._onChosen = selector, label, onChosen
        self._models: list[Models] = []
        self._filling = False
        selector.connect("currentIndexChanged(int)", self._onIndex)

    def fill(self, offered: Iterable[Models]) -> None:
        """Fill the list anew."""
        self._models = list(offered)
        self._filling = True
        self.selector.clear()
        for models in self._models:
            self.selector.addItem(Words.modelsName(models), models.name)
        self._filling = False

    def models(self, wanted: str) -> Models | None:
        """What is chosen by that name, "" for what is taken where nothing is chosen; None if it is not installed."""
        return next((models for models in self._models if wanted in ("", models.name)), None)

    def show(self, wanted: str) -> Models | None:
        """Select it and say what it is; returns it."""
        models = self.models(wanted)
        self._filling = True
        self.selector.currentIndex = self._models.index(models) if models is not None else -1
        self._filling = False
        self.label.text = f"<small>{html.escape(Words.modelsLine(models))}</small>" if models else ""
        self.label.toolTip = Words.modelsToolTip(models) if models else ""
        return models

    def _onIndex(self, index: int) -> None:
        if not self._filling and 0 <= index < len(self._models):
            self._onChosen(self._models[index].name)
