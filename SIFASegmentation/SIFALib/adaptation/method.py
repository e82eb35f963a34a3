"""The settings of the method: what distinguishes the two papers, their ablations and our default. No torch here.

Symbols of the papers and of the authors' code stand beside our names in `iteration`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from ..models import MAX_WIDTH, VARIANTS
from ..support.limits import Choice, Range, check_limits
from ..support.schema import require

OBJECTIVES = {
    "full": "SIFA: image translation, alignment of predictions, auxiliary task of the source discriminator",
    "prediction": "image translation and alignment of predictions, without the auxiliary task",
    "image": "image translation alone; the encoder still shares its features between both tasks",
    "self_training": "supervised on the source, and taught on the target by a mean teacher, without translation",
    "source_only": "supervised on the source images as they are; the lower bound",
    "target_supervised": "supervised on labelled target images; the upper bound",
}
SCHEDULES = ("shared", "faithful")

Share = Annotated[float, Range(0, 1, open_low=True)]
Rate = Annotated[float, Range(0, 0.1, open_low=True)]
Weight = Annotated[float, Range(0, 1000)]


@dataclass(frozen=True)
class Method:
    """How one iteration of SIFA works.

    width: channels of the encoder's first layer (16 in the papers); generator, decoder and discriminators scale
    alike, or have their own translation_width (0: the same). objective: a key of OBJECTIVES. schedule: "faithful"
    recomputes the forward passes before each of the seven updates, as the authors do; "shared" computes them once.
    authors_quirks: what their code does and their papers do not say (the table in the README); each place asks for its
    own: `pool_size`, `shares_step_counter`, `decays_kernels_alone`, `plain_convolutions`.
    keep_rate: of the dropout in encoder and heads; decoder_keep_rate: in the decoder, in training and after it.
    segmentation_rate falls by segmentation_decay every second epoch (AAAI 2019); it rises linearly over the first warm_up
    iterations, and falls by a half cosine to its final_share (1: not at all); adversarial_decay: let
    adversarial_rate fall linearly over the second half. epochs: into how many the iterations are divided.
    source_weight: of the supervised loss on source images as they are, beside that on their translations (0: none, as
    in the papers). segmenter_from: in so many iterations only generator, decoder and discriminators learn; a segmenter
    that can do something already should not learn from pictures that nobody can draw yet.
    self_training_weight: of a mean teacher's loss on target slices (0: none; see `self_training`), reached after
    self_training_warm_up iterations; teacher_confidence: of a pixel that it teaches; self_training_balance: as
    class_balance, of what it teaches. Where a border is not sure, most of its sure pixels are background, which would eat
    the wall: with 0 the myocardium shrank by a fifth in 300 iterations on real scans.
    prediction_from_epoch: when the alignment of predictions sets in, over three epochs (AAAI 2019; 0: at once).
    class_balance: how much rare classes weigh more in the cross entropy: 1 as the authors have it, 0 not at all. Much
    weight draws thin structures too thick: where a border is not sure, the rarer class wins.
    image_pool: fakes that are kept for the discriminators (0: only the newest). average_decay: of the exponential
    moving average of the segmenter. clip: largest norm of the gradient of encoder and heads (0: none).
    """

    RENAMED: ClassVar[dict[str, str]] = {"history": "image_pool"}  # in files until 0.3

    variant: Annotated[str, Choice(*VARIANTS)] = "tmi2020"
    width: Annotated[int, Range(2, MAX_WIDTH, even=True)] = 8
    translation_width: Annotated[int, Range(0, MAX_WIDTH, even=True)] = 0
    classes: Annotated[int, Range(2, 32)] = 5
    objective: Annotated[str, Choice(*OBJECTIVES)] = "full"
    schedule: Annotated[str, Choice(*SCHEDULES)] = "shared"
    authors_quirks: bool = False
    keep_rate: Share = 1.0
    decoder_keep_rate: Share = 0.75
    segmentation_rate: Rate = 2e-4
    segmentation_decay: Share = 1.0
    warm_up: Annotated[int, Range(0, 1_000_000)] = 0
    final_share: Share = 1.0
    adversarial_rate: Rate = 2e-4
    adversarial_decay: bool = False
    epochs: Annotated[int, Range(1, 100_000)] = 1
    prediction_from_epoch: int = 0
    cycle_weight: Weight = 10.0
    translation_weight: Weight = 0.1  # of the decoder's loss in the encoder's
    lower_weight: Weight = 0.1  # of the segmentation loss on the lower-level features
    prediction_weight: Weight = 0.1
    lower_prediction_weight: Weight = 0.01
    auxiliary_weight: Weight = 0.1
    source_weight: Weight = 0.0
    segmenter_from: Annotated[int, Range(0, 1_000_000)] = 0
    self_training_weight: Weight = 0.0
    self_training_warm_up: Annotated[int, Range(0, 1_000_000)] = 100
    teacher_confidence: Annotated[float, Range(0, 1, open_high=True)] = 0.6
    self_training_balance: Annotated[float, Range(0, 1)] = 1.0
    weight_decay: Weight = 1e-4
    class_balance: Annotated[float, Range(0, 1)] = 1.0
    image_pool: Annotated[int, Range(0, 10_000)] = 50
    average_decay: Annotated[float, Range(0, 1, open_high=True)] = 0.999
    clip: Weight = 0.0

    def __post_init__(self) -> None:
        check_limits(self)
        late = 0 <= self.prediction_from_epoch <= self.epochs
        require(late, "prediction_from_epoch", self.prediction_from_epoch, "must lie within the epochs")
        taught = self.objective != "self_training" or self.self_training_weight > 0
        rule = "must be more than 0 for the objective self_training"
        require(taught, "self_training_weight", self.self_training_weight, rule)
        shared = self.translates and self.schedule == "shared"
        for name in ("source_weight", "segmenter_from"):
            value, rule = getattr(self, name), "must be 0 unless images are translated, by the schedule shared"
            require(shared or not value, name, value, rule)

    @property
    def translates(self) -> bool:
        """Whether images are translated: anything but the two supervised bounds and self-training alone."""
        return self.objective in ("full", "prediction", "image")

    @property
    def self_trains(self) -> bool:
        """Whether a mean teacher teaches on the target."""
        return self.self_training_weight > 0 and (self.translates or self.objective == "self_training")

    @property
    def aligns_predictions(self) -> bool:
        return self.objective in ("full", "prediction")

    @property
    def auxiliary(self) -> bool:
        return self.objective == "full"

    @property
    def deep_supervision(self) -> bool:
        """Whether there is a second head on the lower-level features (TMI 2020)."""
        return len(VARIANTS[self.variant].heads) > 1

    @property
    def width_of_translators(self) -> int:
        """Of generator, decoder and discriminators."""
        return self.translation_width or self.width

    @property
    def pool_size(self) -> int:
        """Of the image pools in effect: the authors' code returns a view of its array before it overwrites that."""
        return 0 if self.authors_quirks else self.image_pool

    @property
    def shares_step_counter(self) -> bool:
        """Whether one Adam counts the updates of all adversarial networks (see `tf_adam`)."""
        return self.authors_quirks

    @property
    def decays_kernels_alone(self) -> bool:
        """Whether weight decay spares scales, shifts and biases, also those that normalisation leaves without effect."""
        return not self.authors_quirks

    @property
    def plain_convolutions(self) -> bool:
        """Whether convolutions are plain sums, without the shorter way that rounds otherwise (see `winograd`)."""
        return self.authors_quirks

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

    def self_training_weight_at(self, iteration: int) -> float:
        """Weight of the mean teacher's loss: it rises linearly while the teacher is hardly more than its pupil."""
        return self.self_training_weight * min(1.0, (iteration + 1) / max(1, self.self_training_warm_up))

    def segmenter_learns_at(self, iteration: int) -> bool:
        """Whether the segmenter may move already."""
        return iteration >= self.segmenter_from

    def epoch(self, iteration: int, iterations: int) -> int:
        """The epoch, from 0, of an iteration of so many in all."""
        return min(self.epochs - 1, iteration * self.epochs // max(1, iterations))


PRESETS = {
    "tmi2020": Method(width=16, schedule="faithful", authors_quirks=True, average_decay=0.0, epochs=1),
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
