"""The model that a run adapts: its weights to begin with, and its eye for where the heart is in unlabelled scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from .. import inference, models
from ..datasets.cutting import Locator
from ..volume import Volume
from .configuration import Configuration, RunError


class StartModel:
    """What `Configuration.start_model` names; nothing, if it names none. RunError or ModelError if it does not fit."""

    def __init__(self, configuration: Configuration) -> None:
        name, method = configuration.start_model, configuration.method
        self.package: models.ModelPackage | None = None
        if not name:
            return
        self.package = models.read_package(name) if Path(name).is_dir() else models.default_store().get(name)
        card = self.package.card
        has = (card.architecture.variant, card.architecture.width, card.architecture.classes)
        wanted = (method.variant, method.width, method.classes)
        if has != wanted:
            raise RunError(
                f"The start model {card.key} is of variant, width and classes {has}, the method of {wanted}; choose "
                "another model, or set the method to the model's."
            )
        self.segmenter = models.load_segmenter(self.package)

    def weights(self) -> dict[str, Tensor] | None:
        """The segmenter's state, or None."""
        return None if self.package is None else self.segmenter.state_dict()

    def locator(self) -> Locator | None:
        """Finds the heart in a scan, as the coarse pass of inference does."""
        if self.package is None:
            return None
        card, segmenter = self.package.card, self.segmenter

        def find(volume: Volume) -> np.ndarray | None:
            return inference.locate(volume, segmenter, card)

        return Locator(card.sha256, find)
