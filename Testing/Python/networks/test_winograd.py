"""Winograd's convolution is the convolution, with its gradients, and is taken where it is faster."""

from __future__ import annotations

import pytest
import tiny_method
import torch
import torch.nn.functional as F
from SIFALib import adaptation
from SIFALib.networks import winograd
from SIFALib.networks.layers import ConvNorm
from torch import Tensor

pytestmark = pytest.mark.rounding


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def both(x: Tensor, weight: Tensor, dilation: int) -> list[list[Tensor]]:
    """Output and gradients of both ways to convolve."""
    found = []
    for convolve in (
        lambda a, b: F.conv2d(a, b, padding=dilation, dilation=dilation),
        lambda a, b: winograd.convolution(a, b, dilation),
    ):
        a, b = x.clone().requires_grad_(), weight.clone().requires_grad_()
        y = convolve(a, b)
        found.append([y.detach(), *torch.autograd.grad(y, (a, b), torch.cos(y.detach()))])
    return found


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_it_is_the_convolution_and_so_are_its_gradients(dilation, memory):
    x = random(3, 5, 16, 24).contiguous(memory_format=memory)
    direct, fast = both(x, random(7, 5, 3, 3, seed=1), dilation)
    for one, other in zip(direct, fast, strict=True):
        assert one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-11)


def test_in_float32_it_rounds_to_a_hundred_thousandth():
    x, weight = random(2, 256, 32, 32).relu(), random(256, 256, 3, 3, seed=1) / 48
    exact, _ = both(x, weight, 1)
    _, fast = both(x.float(), weight.float(), 1)
    for one, other in zip(exact, fast, strict=True):
        assert (one - other).abs().max() < 2e-5 * one.abs().max()


def test_only_the_gradients_that_are_asked_for_are_computed():
    x, weight = random(1, 4, 8, 8), random(4, 4, 3, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(winograd.convolution(x, weight).sum(), (weight,))
    assert gradient.shape == weight.shape
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(winograd.convolution(x, weight.detach()).sum(), (x,))
    assert gradient.shape == x.shape


@pytest.mark.parametrize(
    ("channels", "side", "dilation", "suits"),
    [(128, 48, 1, True), (128, 44, 1, False), (128, 46, 1, False), (64, 48, 1, False), (128, 48, 2, True),
     (128, 52, 2, False)],
)  # fmt: skip
def test_it_is_taken_for_many_channels_and_whole_tiles_only(channels, side, dilation, suits):
    x, weight = torch.empty(1, channels, side, side), torch.empty(128, channels, 3, 3)
    assert winograd.suits(x, weight, dilation) is suits
    assert not winograd.suits(x.bfloat16(), weight.bfloat16(), dilation)
    assert not winograd.suits(x, torch.empty(128, channels, 1, 1), dilation)


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_layer_computes_the_same_either_way(dilation, monkeypatch):
    layer = ConvNorm(128, 128, 3, 1.0, dilation)
    x = random(2, 128, 32, 32, dtype=torch.float32)
    assert winograd.suits(x, layer.conv.weight, dilation)
    fast = layer(x)
    monkeypatch.setattr(winograd, "suits", lambda *_: False)
    direct = layer(x)
    assert not torch.equal(fast, direct) and torch.allclose(fast, direct, rtol=0, atol=1e-4)


@pytest.mark.parametrize("quirks", [False, True])
def test_what_is_to_equal_the_authors_code_is_summed_directly(quirks):
    state = tiny_method.start(authors_quirks=quirks)
    networks = [state.segmenter, *state.translators.values(), adaptation.averaged_segmenter(state)]
    layers = [m for n in networks for m in n.modules() if isinstance(m, winograd.Conv2d)]
    assert len(layers) > 60 and all(layer.direct is quirks for layer in layers)


def test_direct_means_the_same_sum_to_the_last_digit():
    layer = ConvNorm(128, 128, 3, 1.0)
    x = random(1, 128, 48, 48, dtype=torch.float32)
    fast = layer.conv(x)
    winograd.use_direct(layer)
    direct = F.conv2d(x, layer.conv.weight, padding=1)
    assert torch.equal(layer.conv(x), direct) and not torch.equal(fast, direct)


def test_a_bias_is_added():
    layer = winograd.Conv2d(128, 128, 3, padding=1)
    x = random(1, 128, 48, 48, dtype=torch.float32)
    assert winograd.suits(x, layer.weight)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=1)
    assert torch.allclose(layer(x), expected, rtol=0, atol=1e-4)
