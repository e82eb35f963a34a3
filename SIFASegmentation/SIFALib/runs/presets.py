"""Named starting points of a configuration: how a site adapts, how models are made, the papers' settings. No torch here.

The authors train on batches of 8 slices of 256 x 256 pixels: 20,000 iterations (TMI 2020), or 20 epochs of
floor(slices of the larger domain / 8) iterations (AAAI 2019). Their released slices were turned, zoomed and sheared
beforehand, and are scaled by the statistics of the modality.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..adaptation.method import PRESETS, Method
from ..datasets.settings import NO_AUGMENTATION, PHANTOMS, Augmentation, DataSettings
from ..support.errors import RunError
from ..support.files import absolute
from .configuration import Configuration, PhantomSlices

if TYPE_CHECKING:
    from ..models.card import ModelCard

PRETRAINING, ADAPTATION = "pretraining", "adaptation"
NAMES = (ADAPTATION, *PRESETS, PRETRAINING)
PAPERS = {"tmi2020": 20_000, "aaai2019": 0}
"""Preset -> iterations; 0: the epochs of the method."""
_PRETRAINING = Configuration(
    DataSettings("phantom", "phantom", size=128, classes=8),
    Method(
        variant="unet", width=16, classes=8, objective="source_only", segmentation_rate=1e-3, warm_up=100,
        final_share=0.01, clip=5.0, average_decay=0.995, class_balance=0.0,
    ),
    name=PRETRAINING, iterations=9_000, batch=32, seed=1, judge_every=500, preview_every=500,
    phantom_slices=PhantomSlices(anatomies=480),
)  # fmt: skip
"""How the bundled model is made."""
LABELLED_BATCH, SCANS_SHARE = 16, 0.5  # of the slices of a batch, that come from labelled scans where there are any
ANY_TURN = Augmentation(
    rotation_deg=180, zoom=0.35, shear=0.08, shift=0.12, gain=0.15, offset=0.08, gamma=0.3, noise=0.04
)
"""Of those: stacks of slices come turned in every way, in pixels of 0.7 to 1.4 mm, from any scanner."""
_ADAPTATION = Method(
    variant="unet", width=16, classes=8, objective="self_training", self_training_weight=1.0,
    class_balance=0.0, segmentation_rate=2e-4, warm_up=50, final_share=0.1, clip=5.0, average_decay=0.995,
)  # fmt: skip
"""How a model that can do something already is adapted: measured on real scans by `make bench-adapt-real`."""


TRANSLATION_WIDTH = 8  # channels of the translators, where the network's 16 take twice as long


@dataclass(frozen=True)
class Budget:
    """How long an adaptation takes. phantoms: of the source. Then iterations between scores, previews, checkpoints."""

    iterations: int
    phantoms: int
    judge_every: int
    preview_every: int
    save_every: int


BUDGETS = {
    "quick": Budget(100, 24, 25, 25, 25),
    "standard": Budget(300, 48, 50, 50, 25),
    "thorough": Budget(1000, 96, 100, 100, 50),
}
"""On two cores about ten minutes, half an hour, two hours. All do the same in an iteration. No longer: on real scans what is
to be gained is gained within 150 iterations, and more of them did harm (docs/explanation/adaptation.md)."""
_MODALITY = re.compile(r"(?<![a-z])(ct|mr)(?![a-z])")


def configuration(
    preset: str,
    source: str = "",
    target: str = "",
    source_normalisation: str | None = None,
    target_normalisation: str | None = None,
) -> Configuration:
    """A run of that preset on these data.

    The normalisations (None: those of the preset) are keys of NORMALISATIONS. RunError for an unknown preset, and for
    files of the authors' whose names do not tell the modality; DataError for a paper's preset and a place without images.
    The preset "adaptation" is of the budget "standard"; `within` makes it another.
    The preset "pretraining" makes its own data, to which it adds the labelled scans of `source`, if one is named.
    """
    if preset == PRETRAINING:
        return _pretraining(source)
    if preset == ADAPTATION:
        data = DataSettings(
            source=source, target=target, classes=_ADAPTATION.classes, balanced=True,
            source_normalisation=source_normalisation or "card", target_normalisation=target_normalisation or "card",
        )  # fmt: skip
        return within("standard", Configuration(data, _ADAPTATION, name=ADAPTATION))
    if preset not in PRESETS:
        raise RunError(f"There is no preset '{preset}'; choose {', '.join(NAMES)}.")
    data = DataSettings(source=source, target=target, classes=PRESETS[preset].classes)
    if preset not in PAPERS:
        normalisations = (source_normalisation or "card", target_normalisation or "card")
    else:
        data = dataclasses.replace(data, size=256, coarse_share=0.0, augmentation=NO_AUGMENTATION)
        normalisations = (
            source_normalisation or _statistics(source, "source"),
            target_normalisation or _statistics(target, "target"),
        )
    data = dataclasses.replace(data, source_normalisation=normalisations[0], target_normalisation=normalisations[1])
    made = Configuration(data, PRESETS[preset], name=preset)
    if preset not in PAPERS:
        return made
    return dataclasses.replace(made, iterations=PAPERS[preset], batch=8, save_every=300)


def within(budget: str, configuration: Configuration) -> Configuration:
    """As long as that key of BUDGETS says."""
    own = BUDGETS[budget]
    return dataclasses.replace(
        configuration,
        data=dataclasses.replace(configuration.data, phantoms=own.phantoms),
        iterations=own.iterations,
        judge_every=own.judge_every,
        preview_every=own.preview_every,
        save_every=own.save_every,
    )


def adaptation(source: str, target: str, card: ModelCard) -> Configuration:
    """Of a model with that card, with the budget "standard". source "": what the card says."""
    network = card.architecture
    method = dataclasses.replace(_ADAPTATION, variant=network.variant, width=network.width, classes=network.classes)
    data = DataSettings(
        source=source or card.built_in_source, target=target, preprocessing=card.preprocessing,
        classes=network.classes, balanced=True,
    )  # fmt: skip
    return within("standard", Configuration(data, method, name=ADAPTATION))


def translating(configuration: Configuration) -> Configuration:
    """The same with SIFA's translation and alignment beside the teacher, for a segmenter that can do something already:
    narrower translators, which learn alone for the first third of the iterations, and the source as it is beside.

    Measured at a made-up site by `make bench-adapt-site`. An iteration takes about three times as long.
    """
    method = dataclasses.replace(
        configuration.method, objective="full", translation_width=TRANSLATION_WIDTH, source_weight=1.0,
        segmenter_from=configuration.iterations // 3,
    )  # fmt: skip
    return dataclasses.replace(configuration, method=method)


def _pretraining(source: str) -> Configuration:
    if source in PHANTOMS and source != "phantom":
        raise RunError(
            f"The preset {PRETRAINING} makes its own phantoms and takes no {source}; name a folder, or nothing."
        )
    if not source or source == "phantom":
        return _PRETRAINING
    data = dataclasses.replace(
        _PRETRAINING.data, source=source, augmentation=ANY_TURN, coarse_share=0.1, partial_labels=True
    )
    slices = PhantomSlices(anatomies=120, scans_per_batch=round(LABELLED_BATCH * SCANS_SHARE))
    method = dataclasses.replace(_PRETRAINING.method, segmentation_rate=5e-4)
    return dataclasses.replace(
        _PRETRAINING, data=data, method=method, iterations=2_000, batch=LABELLED_BATCH, phantom_slices=slices
    )


def _statistics(place: str, domain: str) -> str:
    """The authors' normalisation for their own files, by the word in the files' names or else in their folder's."""
    from ..datasets import released, sources

    if place in PHANTOMS:
        return "card"
    scans = sources.find(place, False).scans
    if not all(scan.kind in released.KINDS for scan in scans):
        return "card"
    for names in ([scan.image.name for scan in scans], [absolute(place).name]):
        found = {word for name in names for word in _MODALITY.findall(name.lower())}
        if len(found) == 1:
            return f"sifa_{found.pop()}"
    raise RunError(
        f"The names of the files in {place} do not tell whether they are of MR or CT.",
        advice="normalisation",
        domain=domain,
    )
