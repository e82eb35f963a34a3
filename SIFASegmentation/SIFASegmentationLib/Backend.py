"""What the logic needs of the library, as one collaborator that tests can replace."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import slicer
from SIFALib import networks

from . import SceneConversion

if TYPE_CHECKING:
    from SIFALib.imaging import Volume
    from SIFALib.imaging.cine import Cine
    from SIFALib.inference.cine import CineResult
    from SIFALib.inference.segmentation import Options, Result
    from SIFALib.models import ModelPackage, Models, ModelStore
    from SIFALib.models.structures import Structure
    from SIFALib.networks import Segmenter
    from SIFALib.support.progress import Steps

    from .Parameters import SIFASegmentationParameterNode


@dataclass(frozen=True)
class Choices:
    """How to segment.

    model: `id@version`; empty or "auto": as the scan decides. roi: a Markups ROI node that holds the heart. structures: ids
    such as "LV", None for all. views: auto, one or three, the planes that are looked in. uncertainty: also make a volume of
    how unsure the model is of every voxel, 0 to 1.
    """

    model: str = ""
    device: str = "auto"
    precision: str = "auto"
    roi: slicer.vtkMRMLMarkupsROINode | None = None
    structures: Sequence[str] | None = None
    views: str = "auto"
    uncertainty: bool = False

    @staticmethod
    def of(node: SIFASegmentationParameterNode, models: Models) -> Choices:
        """What the panel says, but for what is said of one scan alone: a region, and whether a map is wanted."""
        excluded = node.excludedStructures.split()
        structures = [s.id for s in models.card.labels if s.id not in excluded]
        return Choices(models.name, node.device.value, node.precision.value, None, structures, node.views.value)

    def options(self) -> dict[str, Any]:
        """What the library's Options say of them."""
        return {
            "device": self.device,
            "precision": self.precision,
            "roi": SceneConversion.roiBox(self.roi) if self.roi is not None else None,
            "structures": tuple(self.structures) if self.structures is not None else None,
            "views": self.views,
            "uncertainty": self.uncertainty,
        }

    def wanted(self, models: Models) -> tuple[Structure, ...]:
        """Those of the models' structures that were asked for."""
        return tuple(s for s in models.card.labels if self.structures is None or s.id in self.structures)


def load() -> None:
    """Import what takes long to import."""
    import SIFALib.inference.batch.run
    import SIFALib.inference.cine
    import SIFALib.inference.segmentation  # noqa: F401


class Backend(Protocol):
    """Models, and the segmentation of a volume by that of some of them which serves it."""

    def store(self) -> ModelStore: ...

    def options(self, **choices: Any) -> Options: ...

    def steps(self, volume: Volume, models: Models, options: Options) -> Steps[Result]: ...

    def cineSteps(self, cine: Cine, models: Models, options: Options) -> Steps[CineResult]: ...


class LibraryBackend:
    """SIFALib. Importing torch waits until the first segmentation; the last network stays loaded."""

    def __init__(self) -> None:
        self._loaded: tuple[str, Segmenter] | None = None

    def store(self) -> ModelStore:
        from SIFALib.models.store import default_store

        return default_store()

    def options(self, **choices: Any) -> Options:
        from SIFALib.inference.segmentation import Options

        return Options(**choices)

    def steps(self, volume: Volume, models: Models, options: Options) -> Steps[Result]:
        from SIFALib.inference import segmentation, serving

        package = serving(models, volume, options.modality)
        segmenter, options = self._ready(package, options)
        result = yield from segmentation.segment_steps(volume, segmenter, package.card, options)
        return result

    def cineSteps(self, cine: Cine, models: Models, options: Options) -> Steps[CineResult]:
        from SIFALib.inference import cine as inference

        segmenter, options = self._ready(models.stacks, options)
        result = yield from inference.segment_cine_steps(cine, segmenter, models.stacks.card, options)
        return result

    def _ready(self, package: ModelPackage, options: Options) -> tuple[Segmenter, Options]:
        if self._loaded is None or self._loaded[0] != package.card.sha256:
            self._loaded = (package.card.sha256, networks.load_segmenter(package))
        if networks.choose_device(options.device).type == "cpu":
            # More slices at once are no faster there, and single ones let the panel answer within a moment.
            options = dataclasses.replace(options, batch_size=1)
        return self._loaded[1], options
