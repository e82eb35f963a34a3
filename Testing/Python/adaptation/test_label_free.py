"""The score without target labels tells good from bad, sees what cannot be right, and disturbs nothing."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import torch
from SIFALib import adaptation
from SIFALib.adaptation import label_free, plausibility
from SIFALib.adaptation.method import Method
from SIFALib.datasets.domains import Domains, Slices
from SIFALib.datasets.planes import Stack
from SIFALib.datasets.settings import DataSettings
from torch import Tensor, nn

SIZE = 64
SETTINGS = DataSettings(source="phantom:mr", target="phantom:ct", size=SIZE)
GREY = (-0.8, -0.4, 0.0, 0.4, 0.8)  # of background and the four structures, in the source
BORDER = 80  # side of a kept slice


def heart(seed: int, scan: int) -> np.ndarray:
    """Labels uint8 [BORDER, BORDER]: a ring with its inside, and two discs, about where hearts have them."""
    rng = np.random.default_rng([seed, scan])
    rows, columns = np.mgrid[:BORDER, :BORDER] - (BORDER - 1) / 2
    y, x = rng.normal(0, 2, 2)
    scale = 1 + 0.1 * np.sin(seed)

    def disc(row: float, column: float, radius: float) -> np.ndarray:
        return (rows - row * scale - y) ** 2 + (columns - column * scale - x) ** 2 < (radius * scale) ** 2

    labels = np.zeros((BORDER, BORDER), np.uint8)
    labels[disc(8, 8, 11)] = 1
    labels[disc(8, 8, 7)] = 3
    labels[disc(-10, -4, 8)] = 2
    labels[disc(-14, 14, 6)] = 4
    return labels


def scans(seed: int, target: bool, labelled: bool = True, count: int = 3) -> Slices:
    """Scans of eight slices; those of the target have the source's contrast turned into another."""
    labels = np.stack([heart(seed + n, scan) for scan in range(count) for n in range(8)])
    images = np.array(GREY, np.float32)[labels] + np.random.default_rng(seed).normal(0, 0.03, labels.shape)
    if target:
        images = translation(torch.tensor(images)).numpy()
    n = len(labels)
    return Slices(
        Stack.of([images.astype(np.float32)]),
        Stack.of([labels]) if labelled else None,
        np.repeat(np.arange(count), 8),
        np.tile(np.arange(8.0), count),
        np.zeros(n, bool),
        tuple(f"scan{k}" for k in range(count)),
        np.ones((count, 3)),
    )


def translation(images: Tensor) -> Tensor:
    """What the target's scanner makes of it: another curve of grey values, order kept."""
    return 1.6 * ((images + 0.8) / 1.6).clamp(min=0.0) ** 1.7 - 0.8


DOMAINS = Domains(scans(1, False), scans(2, False, count=2), scans(3, True, False), scans(4, True, False, 2), "", {})


class ByGrey(nn.Module):
    """A segmenter that knows the classes by their grey values; `levels` is all its state. Noisy where asked to be."""

    in_channels = 1

    def __init__(self, levels: tuple[float, ...], noise: float = 0.0, only_background: bool = False) -> None:
        super().__init__()
        self.levels = nn.Parameter(torch.tensor(levels))
        self.noise, self.only_background = noise, only_background
        self.seen = 0

    def encoder(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Grey values as features, coarse and their squares."""
        coarse = nn.functional.avg_pool2d(x, 8)
        return coarse, coarse**2

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        dark, bright = x.flatten(1).median(1).values, x.flatten(1).quantile(0.999, 1)
        dark, bright = (v[:, None, None, None] for v in (dark, bright))
        x = 1.6 * (x - dark) / (bright - dark) - 0.8  # like a network, it looks at contrast
        logits = -40.0 * (x - self.levels[None, :, None, None]).abs()
        if self.noise:  # depends on the image alone, as a network's do
            noise = torch.sin(9000.0 * x + torch.arange(5.0)[None, :, None, None])
            logits = logits + self.noise * 40.0 * noise
        if self.only_background:
            logits = logits - 100.0 * torch.tensor([0.0, 1, 1, 1, 1])[None, :, None, None]
        return logits


class Translator(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


TARGET_LEVELS = tuple(float(v) for v in translation(torch.tensor(GREY)))


def state_of(segmenter: nn.Module, objective: str = "full", function=translation) -> adaptation.State:
    method = Method(objective=objective, width=2)
    translators: dict[str, nn.Module] = {"generator": Translator(function)} if method.translates else {}
    average = {name: value.clone() for name, value in segmenter.state_dict().items()}
    return adaptation.State(method, 0, 100, segmenter, translators, {}, {}, average)  # type: ignore[arg-type]


def judged(segmenter: nn.Module, objective: str = "full", function=translation) -> label_free.Score:
    return label_free.score(state_of(segmenter, objective, function), DOMAINS, SETTINGS)


def between(share: float) -> tuple[float, ...]:
    """Levels on the way from the source's to the target's."""
    return tuple((1 - share) * a + share * b for a, b in zip(GREY, TARGET_LEVELS, strict=True))


def test_a_segmenter_that_fits_the_target_scores_high_and_nothing_speaks_against_it() -> None:
    score = judged(ByGrey(TARGET_LEVELS))
    assert score.vetoes == ()
    assert score.parts["supervised"] > 0.95
    assert score.parts["teacher"] == 1.0
    assert score.parts["augmented"] > 0.5
    assert 0.6 < score.value <= 1.0
    assert score.value == pytest.approx(label_free.value_of(score.parts), abs=1e-4)


def test_the_better_it_fits_the_target_the_higher_it_scores() -> None:
    values = [judged(ByGrey(between(share))).value for share in (0.0, 0.5, 0.75, 1.0)]
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.3


def test_certainty_of_nothing_but_background_scores_worst_and_is_vetoed_for_every_structure() -> None:
    empty = judged(ByGrey(TARGET_LEVELS, only_background=True))
    assert empty.value < 0.0
    assert empty.parts["pseudo_loss"] > 0.7
    assert empty.value < min(judged(ByGrey(between(share))).value for share in (0.5, 1.0))
    vanished = [v for v in empty.vetoes if "has vanished" in v]
    assert len(vanished) == 4
    assert "Left atrium has vanished from the target." in vanished
    assert empty.parts["augmented"] == 0.0 and empty.parts["teacher"] == 0.0


def test_noise_that_does_not_survive_a_change_of_the_image_cost() -> None:
    calm, noisy = judged(ByGrey(TARGET_LEVELS)), judged(ByGrey(TARGET_LEVELS, noise=0.3))
    assert noisy.parts["augmented"] < calm.parts["augmented"] - 0.1
    assert noisy.parts["pseudo_loss"] > calm.parts["pseudo_loss"]
    assert noisy.value < calm.value


def test_a_student_that_left_its_teacher_costs() -> None:
    state = state_of(ByGrey(TARGET_LEVELS))
    calm = label_free.score(state, DOMAINS, SETTINGS)
    with torch.no_grad():
        state.segmenter.levels += 0.2  # type: ignore[operator]
    restless = label_free.score(state, DOMAINS, SETTINGS)
    assert restless.parts["supervised"] == calm.parts["supervised"]  # it is the average that is judged
    assert restless.parts["teacher"] < 0.7
    assert restless.value < calm.value


def test_an_inverted_and_an_invented_translation_are_vetoed() -> None:
    inverted = judged(ByGrey(TARGET_LEVELS), function=lambda x: -x)
    assert any("dark into bright" in v for v in inverted.vetoes)
    assert inverted.parts["intensity_correlation"] < -0.9
    moved = judged(ByGrey(TARGET_LEVELS), function=lambda x: torch.roll(x.flip(2), 9, 3))
    assert any("does not keep what images show" in v for v in moved.vetoes)
    blank = judged(ByGrey(TARGET_LEVELS), function=torch.zeros_like)
    assert any("does not keep what images show" in v for v in blank.vetoes)


@pytest.mark.parametrize("objective", ["source_only", "target_supervised"])
def test_training_without_translation_is_judged_too(objective: str) -> None:
    domains = DOMAINS
    if objective == "target_supervised":
        domains = dataclasses.replace(DOMAINS, target_validation=scans(4, True, True, 2))
    levels = GREY if objective == "source_only" else TARGET_LEVELS
    score = label_free.score(state_of(ByGrey(levels), objective), domains, SETTINGS)
    assert score.parts["supervised"] > 0.95
    assert "edge_correlation" not in score.parts
    assert (score.vetoes == ()) == (objective == "target_supervised")


def test_where_no_scan_was_kept_for_validation_the_others_judge() -> None:
    none = Slices(DOMAINS.source.images.only(np.zeros(0, int)), None, *[np.zeros(0, int)] * 3, (), np.zeros((0, 3)))
    domains = dataclasses.replace(DOMAINS, source_validation=none, target_validation=none)
    assert label_free.score(state_of(ByGrey(TARGET_LEVELS)), domains, SETTINGS).parts["supervised"] > 0.95
    with pytest.raises(ValueError, match="labelled validation images"):
        unlabelled = dataclasses.replace(DOMAINS, source_validation=scans(2, False, False))
        label_free.score(state_of(ByGrey(TARGET_LEVELS)), unlabelled, SETTINGS)


def test_judging_draws_no_random_number_and_changes_nothing() -> None:
    state = adaptation.start(Method(width=2), 3, 10)
    for network in state.networks().values():
        network.train()
    before = {name: {k: v.clone() for k, v in n.state_dict().items()} for name, n in state.networks().items()}
    random = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    first = label_free.score(state, DOMAINS, SETTINGS, slices=6)
    second = label_free.score(state, DOMAINS, SETTINGS, slices=6)
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), random[0])
    assert np.array_equal(np.random.get_state()[1], random[1])  # type: ignore[index]
    for name, network in state.networks().items():
        assert network.training
        for key, value in network.state_dict().items():
            assert torch.equal(value, before[name][key])
    assert all(np.isfinite(v) for v in [first.value, *first.parts.values()])


def test_judging_costs_at_most_five_passes_over_the_slices_of_a_domain(monkeypatch) -> None:
    seen = []
    forward = ByGrey.forward

    def counted(self: ByGrey, x: Tensor) -> Tensor:
        seen.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(ByGrey, "forward", counted)
    state = state_of(ByGrey(TARGET_LEVELS))
    label_free.score(state, dataclasses.replace(DOMAINS, source_validation=scans(1, False, True, 20)), SETTINGS)
    assert sum(seen) <= 5 * label_free.SLICES
    assert max(seen) <= label_free.BATCH


KNOWN = plausibility.expected([DOMAINS.source, DOMAINS.source_validation], SIZE, 5)


def hearts(seed: int = 9) -> np.ndarray:
    margin = (BORDER - SIZE) // 2
    return np.stack([heart(seed + n, n) for n in range(12)])[:, margin:-margin, margin:-margin]


def test_hearts_as_the_source_has_them_are_plausible() -> None:
    assert plausibility.of_predictions(hearts(), KNOWN) == []
    assert KNOWN.present == (1, 2, 3, 4)


def test_hearts_in_a_small_part_of_a_scan_are_plausible_and_nothing_is_asked_of_what_the_source_lacks() -> None:
    assert plausibility.of_predictions(np.concatenate([hearts()] + [hearts() * 0] * 5), KNOWN) == []
    source = scans(1, False)
    assert source.labels is not None
    without = source.labels.parts[0] * (source.labels.parts[0] != 2)
    lacking = plausibility.expected([dataclasses.replace(source, labels=Stack.of([without]))], SIZE, 5)
    assert lacking.present == (1, 3, 4)
    assert not any("atrium has vanished" in v for v in plausibility.of_predictions(hearts() * 0, lacking))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda h: h * (h != 2), "Left atrium has vanished"),
        (lambda h: h * ((h != 4) | (np.indices(h.shape)[0] % 6 == 0)), "Ascending aorta makes up"),
        (lambda h: np.where(h == 0, 3, h), "Left ventricle makes up"),
        (lambda h: np.choose(h, [0, 1, 4, 3, 2]), "lies elsewhere among the structures"),
        (lambda h: np.where(np.indices(h.shape).sum(0) % 4 < 2, h * (np.indices(h.shape)[2] % 4 < 2), 0), "in pieces"),
        (lambda h: np.where((h == 3) & (np.indices(h.shape)[0] % 6 > 0), 1, h), "Left ventricle makes up"),
    ],
)
def test_what_cannot_be_is_vetoed_by_the_name_of_the_structure(change, sentence: str) -> None:
    vetoes = " ".join(plausibility.of_predictions(change(hearts()).astype(np.uint8), KNOWN))
    assert re.search(sentence, vetoes), vetoes


def test_structures_that_fill_everything_are_vetoed() -> None:
    big = hearts().repeat(3, axis=1).repeat(3, axis=2)[:, 64:128, 64:128]  # three times as large: 9 times the area
    vetoes = plausibility.of_predictions(big, dataclasses.replace(KNOWN, largest=KNOWN.largest / 2))
    assert any("of the target's slices" in v for v in vetoes)


def test_images_that_are_not_translated_cost_the_score_what_the_gap_to_the_target_is() -> None:
    knows_both = ByGrey(TARGET_LEVELS)
    translated = judged(knows_both)
    untouched = judged(knows_both, function=lambda images: images)
    assert translated.parts["gap"] < 0.3 * untouched.parts["gap"]
    assert translated.value > untouched.value
    same = label_free._gap(state_of(knows_both), knows_both, *[torch.rand(3, 1, 16, 16)] * 2)  # type: ignore[arg-type]
    assert same == 0.0
