"""The models by which a benchmark's scans are segmented: as in the default command, or the one that was named."""

from __future__ import annotations

from SIFALib.imaging.geometry import Volume
from SIFALib.inference import serving
from SIFALib.models import ModelCard, ModelPackage, default_store, models_of
from SIFALib.models.choice import found
from SIFALib.networks import Segmenter, loading


def find(model: str | None) -> ModelPackage:
    """The model of that id or in that folder; the bundled one without."""
    return found(default_store(), model) if model else default_store().default()


class Chosen:
    """Of that id or in that folder, or those that come with SIFA, of which each scan decides; their networks are loaded."""

    def __init__(self, model: str | None) -> None:
        self.models = models_of(default_store(), model or "")
        self._networks = {package.folder: loading.load_segmenter(package) for package in self.models.packages}

    def of(self, scan: Volume) -> tuple[Segmenter, ModelCard]:
        """The network that serves the scan, and its card."""
        package = serving(self.models, scan)
        return self._networks[package.folder], package.card
