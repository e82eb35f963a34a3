"""Names of the authors' TensorFlow variables for the entries of our networks' states, and the order of axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...models.architectures import Architecture, tensor_shapes

if TYPE_CHECKING:
    from torch import nn

Names = dict[str, tuple[str, tuple[int, ...]]]
"""Entry of a network's state -> (the authors' variable, axes that transpose it to our order)."""

TF_CONV_PERMUTATION = (3, 2, 0, 1)
"""TensorFlow keeps kernels as [height, width, in, out]; PyTorch as [out, in, height, width]."""

TF_NETWORKS = {
    "encoder": "e_B",
    "segmentation_head": "s_B",
    "segmentation_head_ll": "s_B_ll",
    "generator": "g_A",
    "decoder": "de_B",
    "discriminator_source": "d_A",
    "discriminator_target": "d_B",
    "discriminator_prediction": "d_P",
    "discriminator_prediction_ll": "d_P_ll",
}
"""Our name of a network -> the authors'."""

_BATCH, _INSTANCE = "batch_norm/BatchNorm", "instance_norm/InstanceNorm"
_LEAVES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_TRANSPOSED = {("generator", "c4"), ("generator", "c5"), ("decoder", "c3"), ("decoder", "c4"), ("decoder", "c5")}


def tf_names(network: nn.Module, name: str) -> Names:
    """The authors' names for `network`, by the entries of its state; `name` is a key of TF_NETWORKS.

    TensorFlow's kernels are [height, width, in, out], those of transposed convolutions [height, width, out, in]; ours
    [out, in, height, width] and [in, out, height, width].
    """
    return _names({key: value.ndim for key, value in network.state_dict().items()}, name)


def segmenter_names(architecture: Architecture) -> Names:
    """The authors' names for encoder and head(s) of a segmenter, by the entries of its state; needs no torch."""
    found: Names = {}
    for key, shape in tensor_shapes(architecture).items():
        network, _, rest = key.partition(".")
        found |= {f"{network}.{k}": variable for k, variable in _names({rest: len(shape)}, network).items()}
    return found


def _names(dimensions: Mapping[str, int], name: str) -> Names:
    return {
        key: (f"Model/{TF_NETWORKS[name]}/{_variable(name, key)}", TF_CONV_PERMUTATION if count == 4 else (0,))
        for key, count in dimensions.items()
    }


def _variable(name: str, key: str) -> str:
    """`r1.c2.conv.weight` of an encoder -> `r1/c2/Conv/weights`."""
    parts = key.split(".")
    if parts[0] in ("blocks", "convs", "norms"):  # our containers; the authors count on
        kind = {"convs": ["conv"], "norms": ["norm"]}.get(parts[0], [])
        parts = [*parts[1:-1], *kind, parts[-1]]
    *layers, leaf = parts
    if leaf == "unused_bias":
        return "/".join([*layers, "biases"])
    if layers[-1] == "norm":
        norm = _BATCH if name == "encoder" else _INSTANCE
        return "/".join([*layers[:-1], norm, _LEAVES[leaf]])
    if layers[-1] == "conv":
        layers = layers[:-1]
    values = {"weight": "weights", "bias": "biases"}[leaf]
    if name == "encoder" and layers[0].startswith("d"):
        return "/".join([*layers, values])  # the dilated convolutions have no level of their own
    transposed = (name, layers[0]) in _TRANSPOSED
    return "/".join([*layers, "Conv2d_transpose" if transposed else "Conv", values])
