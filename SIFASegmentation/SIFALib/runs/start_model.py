"""The model that a run adapts: its weights to begin with, and its eye for where the heart is in unlabelled scans."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from ..datasets.cutting import Locator, Place
from ..datasets.places import BoxMm
from ..imaging.geometry import Volume
from ..inference import segmentation
from ..models.card import ModelCard
from ..models.store import ModelPackage
from ..networks import loading
from ..networks.segmenter import Segmenter
from ..support.errors import ModelError
from .configuration import Configuration
from .preflight import start_package


class StartModel:
    """What `Configuration.start_model` names; nothing, if it names none. It is read once it is needed: a run that goes
    on may do without. ModelError then, if it is not there or does not fit."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    @cached_property
    def package(self) -> ModelPackage | None:
        try:
            return start_package(self.configuration)
        except ModelError as error:
            what = "The run needs the model that it begins with, which also finds the hearts in its scans."
            raise ModelError(f"{what} {error}") from None

    @cached_property
    def segmenter(self) -> Segmenter | None:
        return loading.load_segmenter(self.package) if self.package else None

    def check(self) -> None:
        """ModelError if it cannot be used."""
        self.weights()

    @property
    def key(self) -> str:
        """id@version; "" without a model."""
        return self.package.card.key if self.package else ""

    @property
    def sha256(self) -> str:
        """Of its weights; "" without a model."""
        return self.package.card.sha256 if self.package else ""

    def weights(self, sha256: str = "") -> dict[str, Tensor] | None:
        """The segmenter's state, or None. ModelError if its weights are not those of this hash; "": any are."""
        if sha256 and self.sha256 != sha256:
            raise ModelError(
                f"The model {self.key} has other weights now than when the run's data were prepared. Bring back the one "
                "of then, or start a new run."
            )
        return self.segmenter.state_dict() if self.segmenter else None

    def locator(self) -> Locator | None:
        """Finds the heart in a scan, as inference does."""
        package, segmenter = self.package, self.segmenter
        if package is None or segmenter is None:
            return None
        return locator_of(package.card, segmenter)


def locator_of(card: ModelCard, segmenter: Segmenter) -> Locator:
    """Finds the heart in a scan, as `segment` does with that model."""

    def find(volume: Volume) -> Place | None:
        found = segmentation.locate(volume, segmenter, card)
        return None if found is None else Place(found.box, found.quarters, found.note)

    def turned(volume: Volume, box: BoxMm) -> int:
        found = segmentation.locate(volume, segmenter, card, segmentation.Options(roi=box))
        return 0 if found is None else found.quarters

    return Locator(card.sha256, find, turned)
