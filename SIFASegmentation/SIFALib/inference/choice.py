"""Which of several models serves a scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..imaging import slices
from ..imaging.intensity import chosen_modality
from .fusion import far_apart

if TYPE_CHECKING:
    from ..imaging.geometry import Volume
    from ..models.choice import Models
    from ..models.store import ModelPackage

__all__ = ["serving"]


def serving(models: Models, volume: Volume, modality: str = "auto") -> ModelPackage:
    """The model for stacks where the volume is MR whose slices lie far apart, as short axes do, one slice or many; the other
    for everything else. modality: ct, mr or auto, as `Options.modality`. Looks at grey values only where it must.
    """
    if not models.automatic:
        return models.stacks
    pre = models.card.preprocessing
    own = slices.choose_plane(volume.geometry, pre.plane)
    stack = far_apart(volume.geometry, own, pre.spacing_mm) and chosen_modality(volume, modality).modality == "mr"
    return models.stacks if stack else models.others
