"""The settings of the method: what distinguishes the two papers, their ablations and our default. No torch here.

Symbols of the papers and of the authors' code stand beside our names in `adaptation.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..models.card import MAX_WIDTH, VARIANTS
from ..support.schema import require

OBJECTIVES = {
    "full": "SIFA: image translation, alignment of predictions, auxiliary task of the source discriminator",
    "prediction": "image translation and alignment of predictions, without the auxiliary task",
    "image": "image translation alone; the encoder still shares its features between both tasks",
    "source_only": "supervised on the source images as they are; the lower bound",
    "target_supervised": "supervised on labelled target images; the upper bound",
}
SCHEDULES = ("shared", "faithful")


@dataclass(frozen=True)
class Method:
    """How one iteration of SIFA works.

    width: channels of the encoder's first layer (16 in the papers); generator, decoder and discriminators scale
    alike. objective: a key of OBJECTIVES. schedule: "faithful" recomputes the forward passes before each of the
    seven updates, as the authors do; "shared" computes them once. authors_quirks: what their code does and their
    papers do not say (the table in the README): an image history without effect, one step counter for all
    adversarial Adams, L2 decay of normalisation and unused biases; and convolutions as plain sums (see `winograd`).
    keep_rate: of the dropout in encoder and heads; decoder_keep_rate: in the decoder, in training and after it.
    segmentation_rate falls by segmentation_decay every second epoch (AAAI 2019); it rises linearly over the first warm_up
    iterations, and falls by a half cosine to its final_share (1: not at all); adversarial_decay: let
    adversarial_rate fall linearly over the second half. epochs: into how many the iterations are divided.
    prediction_from_epoch: when the alignment of predictions sets in, over three epochs (AAAI 2019; 0: at once).
    history: fakes that are kept for the discriminators (0: only the newest). average_decay: of the exponential
    moving average of the segmenter. clip: largest norm of the gradient of encoder and heads (0: none).
    """

    variant: str = "tmi2020"
    width: int = 8
    classes: int = 5
    objective: str = "full"
    schedule: str = "shared"
    authors_quirks: bool = False
    keep_rate: float = 1.0
    decoder_keep_rate: float = 0.75
    segmentation_rate: float = 2e-4
    segmentation_decay: float = 1.0
    warm_up: int = 0
    final_share: float = 1.0
    adversarial_rate: float = 2e-4
    adversarial_decay: bool = False
    epochs: int = 1
    prediction_from_epoch: int = 0
    cycle_weight: float = 10.0
    translation_weight: float = 0.1  # of the decoder's loss in the encoder's
    lower_weight: float = 0.1  # of the segmentation loss on the lower-level features
    prediction_weight: float = 0.1
    lower_prediction_weight: float = 0.01
    auxiliary_weight: float = 0.1
    weight_decay: float = 1e-4
    history: int = 50
    average_decay: float = 0.999
    clip: float = 0.0

    def __post_init__(self) -> None:
        require(self.variant in VARIANTS, "variant", self.variant, f"must be {' or '.join(VARIANTS)}")
        even = 2 <= self.width <= MAX_WIDTH and self.width % 2 == 0
        require(even, "width", self.width, f"must be an even number from 2 to {MAX_WIDTH}")
        require(2 <= self.classes <= 32, "classes", self.classes, "must be 2 to 32")
        require(self.objective in OBJECTIVES, "objective", self.objective, f"must be {', '.join(OBJECTIVES)}")
        require(self.schedule in SCHEDULES, "schedule", self.schedule, f"must be {' or '.join(SCHEDULES)}")
        for field in ("keep_rate", "decoder_keep_rate", "segmentation_decay", "final_share"):
            value = getattr(self, field)
            require(0 < value <= 1, field, value, "must be above 0 and at most 1")
        for field in ("segmentation_rate", "adversarial_rate"):
            value = getattr(self, field)
            require(0 < value <= 0.1, field, value, "must be above 0 and at most 0.1")
        weights = ("cycle", "translation", "lower", "prediction", "lower_prediction", "auxiliary")
        for field in (*(f"{w}_weight" for w in weights), "weight_decay", "clip"):
            value = getattr(self, field)
            require(0 <= value <= 1000, field, value, "must be 0 to 1000")
        require(0 <= self.warm_up <= 1_000_000, "warm_up", self.warm_up, "must be 0 to 1000000")
        require(1 <= self.epochs <= 100_000, "epochs", self.epochs, "must be 1 to 100000")
        late = 0 <= self.prediction_from_epoch <= self.epochs
        require(late, "prediction_from_epoch", self.prediction_from_epoch, "must lie within the epochs")
        require(0 <= self.history <= 10_000, "history", self.history, "must be 0 to 10000")
        require(0 <= self.average_decay < 1, "average_decay", self.average_decay, "must be 0 to below 1")

    @property
    def translates(self) -> bool:
        """Whether images are translated: anything but the two supervised bounds."""
        return self.objective in ("full", "prediction", "image")

    @property
    def aligns_predictions(self) -> bool:
        return self.objective in ("full", "prediction")

    @property
    def auxiliary(self) -> bool:
        return self.objective == "full"

    @property
    def deep_supervision(self) -> bool:
        """Whether there is a second head on the lower-level features (TMI 2020)."""
        return self.variant == "tmi2020"

    def segmentation_rate_at(self, iteration: int, iterations: int) -> float:
        """Learning rate of encoder and heads; the authors' v1 multiplies it at the start of epochs 2, 4, 6, ..."""
        rate = self.segmentation_rate * self.segmentation_decay ** (self.epoch(iteration, iterations) // 2)
        if iteration < self.warm_up:
            return rate * (iteration + 1) / self.warm_up
        done = min(1.0, (iteration - self.warm_up) / max(1, iterations - self.warm_up))
        return rate * (self.final_share + (1 - self.final_share) * (1 + math.cos(math.pi * done)) / 2)

    def adversarial_rate_at(self, iteration: int, iterations: int) -> float:
        """Learning rate of generator, decoder and discriminators."""
        if not self.adversarial_decay:
            return self.adversarial_rate
        epoch = self.epoch(iteration, iterations)
        half = self.epochs / 2
        return self.adversarial_rate * (1.0 if epoch < half else (self.epochs - epoch) / half)

    def prediction_weight_at(self, iteration: int, iterations: int) -> float:
        """Weight of the alignment of predictions: from `prediction_from_epoch` on a third, two thirds, all of it."""
        if self.prediction_from_epoch == 0:
            return self.prediction_weight
        since = self.epoch(iteration, iterations) - self.prediction_from_epoch
        return self.prediction_weight * min(3, max(0, since + 1)) / 3

    def epoch(self, iteration: int, iterations: int) -> int:
        """The epoch, from 0, of an iteration of so many in all."""
        return min(self.epochs - 1, iteration * self.epochs // max(1, iterations))


PRESETS = {
    "tmi2020": Method(width=16, schedule="faithful", authors_quirks=True, history=50, average_decay=0.0, epochs=1),
    "aaai2019": Method(
        variant="aaai2019",
        width=16,
        schedule="faithful",
        authors_quirks=True,
        keep_rate=0.75,
        segmentation_rate=1e-3,
        segmentation_decay=0.9,
        epochs=20,
        prediction_from_epoch=5,
        average_decay=0.0,
    ),
    "compact": Method(),
}
"""Named starting points: the two papers as their authors' code runs them, and our default."""
