"""The shape of the networks, their start, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from golden import recipe
from SIFALib.models import VARIANTS
from SIFALib.networks.arrays import to_numpy, to_tensor
from SIFALib.networks.layers import INIT_STD, legacy_bilinear_resize
from SIFALib.networks.segmenter import Encoder, SegmentationHead, Segmenter
from SIFALib.networks.tensorflow.names import segmenter_names

INFERENCE = ("encoder.", "segmentation_head.")


pytestmark = pytest.mark.usefixtures("one_thread")


def values(segmenter: Segmenter, prefixes: tuple[str, ...] = ("",)) -> int:
    return sum(value.numel() for key, value in segmenter.state_dict().items() if key.startswith(prefixes))


def small(variant: str = "tmi2020", **options: float) -> Segmenter:
    torch.manual_seed(7)
    return Segmenter(variant, width=2, **options)


@pytest.mark.parametrize(
    ("variant", "width", "expected"),
    [("tmi2020", 16, 27_538_128), ("aaai2019", 16, 27_539_696), ("tmi2020", 8, 6_893_928)],
)
def test_the_number_of_values_is_that_of_the_papers(variant: str, width: int, expected: int) -> None:
    with torch.device("meta"):
        segmenter = Segmenter(variant, width)
    assert values(segmenter, INFERENCE) == expected
    unused = [p for name, p in segmenter.named_parameters() if name.endswith("unused_bias")]
    assert sum(p.numel() for p in unused) == 4 * 32 * width  # 2,048 in the paper


def test_the_second_head_belongs_to_the_later_paper_only() -> None:
    assert values(small("tmi2020"), ("segmentation_head_ll.",)) == 64 * 5
    assert values(small("aaai2019"), ("segmentation_head_ll.",)) == 0
    logits, logits_ll = small("aaai2019").eval().forward_both(torch.zeros(1, 3, 8, 8))
    assert logits.shape == (1, 5, 8, 8)
    assert logits_ll is None


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 40), (24, 16), (72, 56), (64, 128)])
def test_any_multiple_of_eight_goes_in_and_comes_out(height: int, width: int) -> None:
    logits, logits_ll = small(classes=3).eval().forward_both(torch.zeros(2, 1, height, width))
    assert logits.shape == (2, 3, height, width)
    assert logits_ll is not None
    assert logits_ll.shape == (2, 3, height, width)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 20, 24), "multiples of 8 pixels but got 20 x 24; crop or pad"),
        ((1, 1, 24, 0), "multiples of 8 pixels but got 24 x 0"),
        ((1, 3, 16, 16), "1 channel.* but got 3"),
        ((1, 16, 16), r"batch of slices \[N, 1, H, W\] but got \[1, 16, 16\]"),
    ],
)
def test_wrong_slices_are_refused_in_a_sentence(shape: tuple[int, ...], message: str) -> None:
    segmenter = small()
    with pytest.raises(ValueError, match=message):
        segmenter(torch.zeros(shape))
    with pytest.raises(ValueError, match=message):
        segmenter.forward_both(torch.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "miccai"}, "variant is 'miccai'; it must be tmi2020, aaai2019, unet"),
        ({"width": 7}, "width is 7; it must be an even number from 2 to 32"),
        ({"width": 0}, "width is 0"),
        ({"classes": 1}, "classes is 1; it must be 2 to 32"),
        ({"keep_rate": 0.0}, "above 0"),
        ({"keep_rate": 1.5}, "at most 1"),
    ],
)
def test_networks_that_cannot_be_are_refused_in_a_sentence(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Segmenter(**{"width": 2, **options})


@pytest.mark.parametrize(("height", "width", "factor"), [(1, 1, 8), (4, 7, 8), (5, 3, 2)])
def test_the_resize_is_tensorflows_old_one(height: int, width: int, factor: int) -> None:
    """Source = index / factor: no half-pixel centres; beyond the edge, the last row and column again."""
    coarse = np.random.default_rng(1).normal(size=(height, width))
    expected = np.empty((height * factor, width * factor))
    for row in range(height * factor):
        for column in range(width * factor):
            top, left = row // factor, column // factor
            down, right = row / factor - top, column / factor - left
            bottom, beside = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = coarse[top, left] + (coarse[top, beside] - coarse[top, left]) * right
            lower = coarse[bottom, left] + (coarse[bottom, beside] - coarse[bottom, left]) * right
            expected[row, column] = upper + (lower - upper) * down
    fine = to_numpy(legacy_bilinear_resize(to_tensor(coarse)[None, None], factor))[0, 0]
    np.testing.assert_allclose(fine, expected, atol=1e-14)
    np.testing.assert_array_equal(fine[::factor, ::factor], coarse)
    np.testing.assert_array_equal(fine[-factor:], np.repeat(fine[-1:], factor, axis=0))


def test_the_resize_lets_gradients_through() -> None:
    x = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda t: legacy_bilinear_resize(t, 2), x)


def test_kernels_start_as_a_truncated_normal_the_rest_neutral_and_a_seed_starts_the_same_network() -> None:
    torch.manual_seed(0)
    segmenter = Segmenter(width=8)
    for name, value in segmenter.state_dict().items():
        if value.ndim == 4:
            assert value.abs().max() <= 2 * INIT_STD, name
        else:
            assert (value == float(name.endswith(("norm.weight", "running_var")))).all(), name
    drawn = segmenter.encoder.c3.conv.weight
    assert drawn.std().item() == pytest.approx(0.0088, rel=0.01)
    assert drawn.mean().item() == pytest.approx(0.0, abs=1e-4)
    one, two = small().state_dict(), small().state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_the_unused_bias_changes_nothing() -> None:
    segmenter = small().eval()
    x = torch.randn(1, 1, 16, 16)
    before = segmenter(x)
    with torch.no_grad():
        segmenter.encoder.d1.c1.unused_bias.fill_(100.0)
    assert torch.equal(segmenter(x), before)


def test_dropout_acts_in_training_only_and_as_the_variant_says() -> None:
    x = torch.rand(2, 3, 32, 32)
    old = small("aaai2019")
    assert not torch.equal(old(x), old(x))
    old.eval()
    assert torch.equal(old(x), old(x))
    new = small("tmi2020", keep_rate=None)
    assert torch.equal(new(x[:, :1]), new(x[:, :1]))
    half = small("tmi2020", keep_rate=0.5)
    assert not torch.equal(half(x[:, :1]), half(x[:, :1]))


def test_the_head_drops_logits_before_the_resize() -> None:
    torch.manual_seed(3)
    head = SegmentationHead(4, classes=5, keep_rate=0.5)
    torch.nn.init.ones_(head.c8.weight)
    logits = head(torch.ones(1, 4, 6, 6))
    coarse = logits[:, :, ::8, ::8]
    assert set(coarse.unique().tolist()) == {0.0, 8.0}  # dropped, or four ones twice as large
    assert torch.equal(logits, legacy_bilinear_resize(coarse))


def test_the_lower_level_features_are_taken_before_the_dilated_blocks() -> None:
    encoder = Encoder("tmi2020", width=2).eval()
    x = torch.randn(1, 1, 16, 16)
    latent, latent_ll = encoder(x)
    with torch.no_grad():
        encoder.d1.c2.norm.bias.fill_(3.0)
    changed, unchanged = encoder(x)
    assert torch.equal(latent_ll, unchanged)
    assert not torch.equal(latent, changed)


def test_a_state_without_metadata_loads_as_safetensors_gives_it() -> None:
    state = dict(small().state_dict())
    assert all(value.is_floating_point() for value in state.values())
    torch.manual_seed(8)
    other = Segmenter(width=2)
    other.load_state_dict(state)  # strict
    for key, value in other.state_dict().items():
        assert torch.equal(value, state[key])


@pytest.mark.parametrize("variant", [name for name, variant in VARIANTS.items() if variant.authors])
def test_every_value_has_a_name_in_the_authors_checkpoint(variant: str) -> None:
    with torch.device("meta"):
        segmenter = Segmenter(variant)
    names = segmenter_names(segmenter.architecture)
    assert set(names) == set(segmenter.state_dict())
    assert len({name for name, _ in names.values()}) == len(names)
    recorded = json.loads(Path(recipe.__file__).with_name("variables.json").read_text())[variant]
    shapes = {}
    for key, (name, axes) in names.items():
        ours = segmenter.state_dict()[key].shape
        shapes[name] = [ours[axes.index(axis)] for axis in range(len(axes))]
    assert shapes == recorded


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_network_whose_weights_are_read_is_made_without_pytorchs_compiler(variant):
    with mock.patch.dict(sys.modules, {"torch._dynamo": None}), torch.device("meta"):  # to import it is an error
        made = Segmenter(variant, 4, 5)
    assert all(weights.is_meta for weights in made.parameters())
