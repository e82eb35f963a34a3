"""3x3 convolution with a quarter of the multiplications: Winograd's minimal filtering F(4x4, 3x3).

Tiles of 6x6 input pixels, overlapping by 2, give 4x4 output pixels each:

    Y = A^T [ (G g G^T) * (B^T d B) ] A

The product * is taken element by element and summed over channels, so that it is one matrix product for each of the 36
elements: (tiles x in) (in x out). A. Lavin, S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016,
section 4.3, gives A, B and G, and that 36 products take the place of 144. Both gradients are found in the same way.

In float32 the result differs from the direct sum by about 1e-5 of the largest value, five times the direct sum's own
rounding. It pays where channels are many; `suits` tells where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 4  # output pixels a side of a tile
POINTS = TILE + 2
LEAST_CHANNELS, LEAST_TILES = 128, 128  # fewer make the matrix products too small to pay

B = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
G = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
A = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)
A_TRANSPOSED = tuple(zip(*A, strict=True))


class Conv2d(nn.Conv2d):
    """PyTorch's own convolution, by Winograd's algorithm where that is faster. Stride 1, padding to the same size.

    direct: never by Winograd's algorithm, for comparisons to the last digit.
    """

    direct = False

    def forward(self, x: Tensor) -> Tensor:
        dilation = self.dilation[0]
        if self.direct or not suits(x, self.weight, dilation):
            return super().forward(x)
        y = convolution(x, self.weight, dilation)
        return y if self.bias is None else y + self.bias[:, None, None]


def use_direct(network: nn.Module) -> None:
    """Make all convolutions of a network direct sums."""
    for layer in network.modules():
        if isinstance(layer, Conv2d):
            layer.direct = True


def suits(x: Tensor, weight: Tensor, dilation: int = 1) -> bool:
    """Whether `convolution` can and should be used: on CPUs, in full precision, with whole tiles and many channels."""
    out_channels, in_channels = weight.shape[:2]
    side = TILE * dilation
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and weight.shape[2:] == (3, 3)
        and x.shape[2] % side == 0
        and x.shape[3] % side == 0
        and min(in_channels, out_channels) >= LEAST_CHANNELS
        and x.shape[0] * x.shape[2] * x.shape[3] >= LEAST_TILES * TILE**2
    )


def convolution(x: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """`F.conv2d(x, weight, padding=dilation, dilation=dilation)`, with gradients.

    x [N, in, H, W], weight [out, in, 3, 3]; H and W are multiples of 4 times the dilation, which is 1 or more. The
    result [N, out, H, W] is laid out channels-last.
    """
    y: Tensor = _Convolution.apply(x, weight, dilation)  # type: ignore[no-untyped-call]
    return y


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        context.save_for_backward(x, weight)
        context.dilation = dilation
        kernel = transform_kernel(weight.permute(2, 3, 1, 0))
        return _of_pixels(_convolve(_pixels(x, dilation), kernel), dilation)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = context.saved_tensors
        dilation = context.dilation
        gradient = _pixels(gradients[0], dilation)
        to_x = to_weight = None
        if context.needs_input_grad[0]:  # the same with the kernel turned round, from outputs to inputs
            kernel = transform_kernel(weight.flip(2, 3).permute(2, 3, 0, 1))
            to_x = _of_pixels(_convolve(gradient, kernel), dilation)
        if context.needs_input_grad[1]:
            to_weight = _weight_gradient(_pixels(x, dilation), gradient)
        return to_x, to_weight, None


def _pixels(x: Tensor, dilation: int) -> Tensor:
    """[N, C, H, W] -> [N', H', W', C] in memory; with a dilation d, each of the d x d interleaved grids is an image."""
    x = x.permute(0, 2, 3, 1)
    if dilation > 1:
        n, height, width, channels = x.shape
        x = x.reshape(n, height // dilation, dilation, width // dilation, dilation, channels)
        x = x.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)
    return x.contiguous()


def _of_pixels(x: Tensor, dilation: int) -> Tensor:
    """The inverse of `_pixels`, laid out channels-last."""
    if dilation > 1:
        n, height, width, channels = x.shape
        x = x.reshape(n // dilation**2, dilation, dilation, height, width, channels)
        x = x.permute(0, 3, 1, 4, 2, 5).reshape(-1, height * dilation, width * dilation, channels)
    return x.permute(0, 3, 1, 2)


def _convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """[N, H, W, in] with a transformed kernel [36, in, out] -> [N, H, W, out]."""
    return untransform_tiles(torch.bmm(transform_tiles(x), kernel), x.shape)


def _weight_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """From the input [N, H, W, in] and the gradient of the output [N, H, W, out]: [out, in, 3, 3]."""
    spread = _spread_tiles(gradient)
    products = torch.bmm(transform_tiles(x).transpose(1, 2), spread)  # [36, in, out]
    found = _kernel_matrix(x).T @ products.flatten(1)
    return found.view(3, 3, *products.shape[1:]).permute(3, 2, 0, 1)


def _kernel_matrix(like: Tensor) -> Tensor:
    """[36, 9]: a kernel as a column to G g G^T as a column."""
    matrix = torch.tensor(G, dtype=torch.float64)
    return torch.kron(matrix, matrix).to(like.dtype)


def transform_kernel(weight: Tensor) -> Tensor:
    """G g G^T of a kernel [3, 3, in, out], as [36, in, out]."""
    return (_kernel_matrix(weight) @ weight.reshape(9, -1)).view(POINTS**2, *weight.shape[2:])


def transform_tiles(x: Tensor) -> Tensor:
    """B^T d B of all tiles of an image [N, H, W, C] with zeros around it, as [36, N * H / 4 * W / 4, C]."""
    n, height, width, channels = x.shape
    rows, columns = height // TILE, width // TILE
    padded = F.pad(x, (0, 0, 1, 1, 1, 1))
    half = x.new_empty(POINTS, n, rows, width + 2, channels)
    tiles = x.new_empty(POINTS, POINTS, n, rows, columns, channels)
    lines = [padded[:, k : k + height - TILE + 1 : TILE] for k in range(POINTS)]
    for i, weights in enumerate(B):
        _combine(weights, lines, half[i])
    points = [half[:, :, :, k : k + width - TILE + 1 : TILE] for k in range(POINTS)]
    for j, weights in enumerate(B):
        _combine(weights, points, tiles[:, j])
    return tiles.view(POINTS**2, n * rows * columns, channels)


def untransform_tiles(products: Tensor, shape: Sequence[int]) -> Tensor:
    """A^T m A of all tiles [36, tiles, C], put together to the image [N, H, W, C]; `shape`: its N, H, W, anything."""
    n, height, width = shape[:3]
    rows, columns, channels = height // TILE, width // TILE, products.shape[2]
    products = products.view(POINTS, POINTS, n, rows, columns, channels)
    half = products.new_empty(TILE, POINTS, n, rows, columns, channels)
    image = products.new_empty(n, rows, TILE, columns, TILE, channels)
    for i, weights in enumerate(A):
        _combine(weights, products, half[i])
    for j, weights in enumerate(A):
        for i in range(TILE):
            _combine(weights, half[i], image[:, :, i, :, j])
    return image.view(n, height, width, channels)


def _spread_tiles(image: Tensor) -> Tensor:
    """The adjoint of `untransform_tiles`: A y A^T of all tiles of [N, H, W, C], as [36, tiles, C]."""
    n, height, width, channels = image.shape
    rows, columns = height // TILE, width // TILE
    image = image.view(n, rows, TILE, columns, TILE, channels)
    half = image.new_empty(POINTS, TILE, n, rows, columns, channels)
    tiles = image.new_empty(POINTS, POINTS, n, rows, columns, channels)
    for j in range(TILE):
        lines = [image[:, :, i, :, j] for i in range(TILE)]
        for i, weights in enumerate(A_TRANSPOSED):
            _combine(weights, lines, half[i, j])
    for j, weights in enumerate(A_TRANSPOSED):
        _combine(weights, [half[:, k] for k in range(TILE)], tiles[:, j])
    return tiles.view(POINTS**2, n * rows * columns, channels)


def _combine(weights: Sequence[float], parts: Sequence[Tensor] | Tensor, out: Tensor) -> None:
    """Write the weighted sum of the parts to `out`."""
    terms = [(weight, part) for weight, part in zip(weights, parts, strict=True) if weight]
    terms.sort(key=lambda term: term[0] != 1.0)  # one that needs no factor comes first
    weight, part = terms[0]
    if len(terms) == 1 or weight != 1.0:
        torch.mul(part, weight, out=out)
        rest = terms[1:]
    else:
        torch.add(part, terms[1][1], alpha=terms[1][0], out=out)
        rest = terms[2:]
    for weight, part in rest:
        out.add_(part, alpha=weight)
