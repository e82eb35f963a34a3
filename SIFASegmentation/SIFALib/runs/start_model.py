"""The model that a run adapts: its weights to begin with, and its eye for where the heart is in unlabelled scans."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..datasets.cutting import Locator
from ..imaging.geometry import Volume
from ..inference import segmentation
from ..networks import loading
from .configuration import Configuration
from .preflight import start_package


class StartModel:
    """What `Configuration.start_model` names; nothing, if it names none. ModelError if it does not fit."""

    def __init__(self, configuration: Configuration) -> None:
        self.package = start_package(configuration)
        if self.package is None:
            return
        self.segmenter = loading.load_segmenter(self.package)

    def weights(self) -> dict[str, Tensor] | None:
        """The segmenter's state, or None."""
        return None if self.package is None else self.segmenter.state_dict()

    def locator(self) -> Locator | None:
        """Finds the heart in a scan, as the coarse pass of inference does."""
        if self.package is None:
            return None
        card, segmenter = self.package.card, self.segmenter

        def find(volume: Volume) -> np.ndarray | None:
            return segmentation.locate(volume, segmenter, card)

        return Locator(card.sha256, find)
