"""The signs see what they are there to see, and the verdict believes no more than they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from SIFALib.adaptation import signs
from SIFALib.adaptation.verdict import ANOTHER_OUTLINE, STRAYING, UNKNOWN, WEIGHTS, Verdict, compared
from SIFALib.datasets.domains import Domains, of_one_scan
from SIFALib.support import schema
from torch import nn

SIDE = 48


def disc(radius: float, row: float = 0.0) -> np.ndarray:
    rows, columns = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return (rows - row) ** 2 + columns**2 < radius**2


def scan(name: str = "a", jump: float = 0.0) -> signs.Slices:
    """Six slices of a bright disc on a dark ground; every second one is elsewhere by so many pixels."""
    images = np.stack([np.where(disc(12, jump * (n % 2)), 0.5, -0.5) for n in range(6)]).astype(np.float32)
    return of_one_scan(name, images, None)


class Threshold(nn.Module):
    """Draws what is brighter than a level. noise: at random besides, other pixels each time."""

    in_channels = 1

    def __init__(self, level: float = 0.0, noise: float = 0.0) -> None:
        super().__init__()
        self.level, self.noise = nn.Parameter(torch.tensor(level)), noise
        self.random = torch.Generator().manual_seed(0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found = (images[:, 0] > self.level) ^ (torch.rand(images[:, 0].shape, generator=self.random) < self.noise)
        return torch.stack([~found, found], 1).float() * 9.0


def of(segmenter: nn.Module, own: signs.Slices) -> tuple[float, ...]:
    ((found),) = signs.of_hearts(segmenter, [[own]], SIDE)
    return found


def test_who_agrees_with_itself_has_more_agreement():
    calm, restless = of(Threshold(), scan()), of(Threshold(noise=0.2), scan())
    assert 0.9 < calm[0] <= 1.0 and restless[0] < 0.75


def test_what_jumps_from_slice_to_slice_has_less_steadiness():
    assert of(Threshold(), scan())[1] == 1.0 and of(Threshold(), scan(jump=8.0))[1] < 0.75


def test_an_outline_on_the_edge_of_the_image_is_steeper_than_one_beside_it():
    images = np.repeat(np.where(disc(12), 0.5, -0.5)[None], 3, 0).astype(np.float32)
    found = {radius: signs.edges(images, np.repeat(disc(radius)[None], 3, 0)) for radius in (6, 9, 12, 16)}
    assert found[12] > 1.5 and all(found[12] > 2 * found[radius] for radius in (6, 9, 16))
    assert signs.edges(np.zeros_like(images), np.repeat(disc(12)[None], 3, 0)) == 0.0


def test_who_finds_nothing_has_no_sign_of_being_good():
    assert of(Threshold(level=2.0), scan()) == signs.NOTHING


def test_phases_of_one_heart_are_one_witness_and_kept_scans_come_first():
    def joined(*names: str) -> signs.Slices:
        from SIFALib.datasets.domains import joined

        return joined([scan(name) for name in names])

    hearts = {"b diastole": "b", "b systole": "b", "b between": "b", "c": "c", "a": "a"}
    source, target = joined("s"), joined("b diastole", "b systole", "b between", "c")
    domains = Domains(source, source, target, joined("a", "c"), "", {}, hearts=hearts)
    judging = [[each.names[0] for each in phases] for phases in signs.judging(domains)]
    assert judging == [["a"], ["c"], ["b diastole", "b systole"]]
    found = signs.of_hearts(Threshold(), [[scan("x"), scan("y", jump=8.0)]], SIDE)
    one, other = of(Threshold(), scan("x")), of(Threshold(), scan("y", jump=8.0))
    assert found[0] == pytest.approx([(a + b) / 2 for a, b in zip(one, other, strict=True)])


def test_the_verdict_is_students_t_of_the_expected_differences():
    start = tuple((0.8, 0.7, 1.0) for _ in range(4))
    gains = (0.01, 0.02, 0.03, 0.06)
    found = compared(start, tuple((a + gain, s, e) for (a, s, e), gain in zip(start, gains, strict=True)))
    expected = WEIGHTS[0] * np.array(gains)
    assert found.difference == pytest.approx(expected.mean()) and found.hearts == 4
    assert found.error == pytest.approx(expected.std(ddof=1) / math.sqrt(4))
    assert found.probability == pytest.approx(0.9655, abs=1e-3)  # t = 2.777 with three degrees of freedom
    turned = compared(tuple((a + gain, s, e) for (a, s, e), gain in zip(start, gains, strict=True)), start)
    assert turned.probability == pytest.approx(1 - found.probability) and turned.difference == -found.difference


def test_edges_count_only_beyond_what_another_outline_explains():
    start = tuple((0.8, 0.7, 1.0) for _ in range(4))
    steadier = [(0.8, 0.7 + gain, 1.0) for gain in (0.02, 0.03, 0.03, 0.04)]
    plain = compared(start, tuple(steadier))
    off = compared(start, tuple((a, s, e - ANOTHER_OUTLINE) for a, s, e in steadier))
    assert plain.better and off.better and off.difference == pytest.approx(plain.difference)
    far = compared(start, tuple((a, s, e - ANOTHER_OUTLINE - 0.05) for a, s, e in steadier))
    assert far.difference == pytest.approx(plain.difference - 0.05 * STRAYING) and far.worse and not far.better


def test_a_verdict_that_counted_scans_is_read():
    old = {"probability": 0.93, "difference": 0.01, "error": 0.004, "scans": 6}
    assert schema.decode(Verdict, old) == Verdict(0.93, 0.01, 0.004, 6)


def test_too_few_or_other_hearts_tell_nothing():
    two = ((0.8, 0.7, 1.0), (0.7, 0.6, 1.0))
    better = tuple((a + 0.1, s, e) for a, s, e in two)
    assert compared(two, better).probability == UNKNOWN.probability and not compared(two, better).better
    assert not compared((*two, *two), better).better
    same = compared((*two, *two), (*two, *two))
    assert (same.probability, same.difference, same.better, same.worse) == (0.5, 0.0, False, False)


@pytest.mark.parametrize(
    ("probability", "percent"),
    [(0.0, 0), (0.096, 10), (0.102, 11), (0.5, 50), (0.625, 62), (0.8985, 89), (0.9, 90), (0.904, 90), (1.0, 100)],
)
def test_a_probability_that_misses_a_limit_is_not_rounded_to_it(probability, percent):
    found = Verdict(probability, 0.01, 0.005, 11)
    assert found.percent == percent and found.better is (percent >= 90)
