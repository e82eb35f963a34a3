"""What the logic needs of the library, as one collaborator that tests can replace."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from typing import TYPE_CHECKING, Protocol

from SIFALib import networks

if TYPE_CHECKING:
    from SIFALib.imaging.geometry import Volume
    from SIFALib.inference.segmentation import Options, Progress, Result
    from SIFALib.models.store import ModelPackage, ModelStore
    from SIFALib.networks.segmenter import Segmenter


class Backend(Protocol):
    """Models, and the segmentation of a volume by one of them."""

    def store(self) -> ModelStore: ...

    def options(self, **choices) -> Options: ...

    def steps(self, volume: Volume, package: ModelPackage, options: Options) -> Generator[Progress, None, Result]: ...


class LibraryBackend:
    """SIFALib. Importing torch waits until the first segmentation; the last network stays loaded."""

    def __init__(self) -> None:
        self._loaded: tuple[str, Segmenter] | None = None

    def store(self) -> ModelStore:
        from SIFALib.models.store import default_store

        return default_store()

    def options(self, **choices) -> Options:
        from SIFALib.inference.segmentation import Options

        return Options(**choices)

    def steps(self, volume: Volume, package: ModelPackage, options: Options) -> Generator[Progress, None, Result]:
        from SIFALib.inference import segmentation

        if self._loaded is None or self._loaded[0] != package.card.sha256:
            self._loaded = (package.card.sha256, networks.load_segmenter(package))
        if networks.choose_device(options.device).type == "cpu":
            # More slices at once are no faster there, and single ones let the panel answer within a moment.
            options = dataclasses.replace(options, batch_size=1)
        result = yield from segmentation.segment_steps(volume, self._loaded[1], package.card, options)
        return result
