"""Named starting points of a configuration: our default, and the papers' settings. No torch here.

The authors train 20,000 iterations of 8 slices with 256 x 256 pixels (TMI 2020), and 20 epochs of their slices (AAAI
2019; about as many). Their released slices were turned, zoomed and sheared beforehand and are scaled by the statistics
of the modality (`data.source_normalisation`, `data.target_normalisation`).
"""

from __future__ import annotations

import dataclasses

from ..datasets.settings import NO_AUGMENTATION, DataSettings
from ..method import PRESETS
from .configuration import Configuration, RunError

NAMES = tuple(PRESETS)
_PAPERS = ("tmi2020", "aaai2019")


def configuration(preset: str, source: str, target: str) -> Configuration:
    """A run of that preset on these data. RunError for an unknown name."""
    if preset not in PRESETS:
        raise RunError(f"There is no preset '{preset}'; choose {', '.join(PRESETS)}.")
    data = DataSettings(source=source, target=target, classes=PRESETS[preset].classes)
    made = Configuration(data, PRESETS[preset], name=preset)
    if preset not in _PAPERS:
        return made
    data = dataclasses.replace(data, size=256, coarse_share=0.0, augmentation=NO_AUGMENTATION)
    return dataclasses.replace(made, data=data, iterations=20_000, save_every=300)
