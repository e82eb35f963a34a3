"""Every network alone, and each of its layers, against the authors' graph."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import torch
from SIFALib.models import VARIANTS
from SIFALib.networks.arrays import to_numpy
from SIFALib.networks.layers import ConvNorm
from SIFALib.networks.segmenter import Segmenter
from SIFALib.networks.tensorflow.names import TF_NETWORKS, segmenter_names, tf_names
from torch import Tensor, nn

from . import recipe
from .layers import mask_dropout, nchw, nhwc, recorded, sub4
from .references import Parts

# Item -> the largest |difference| / max |reference| allowed: what two TensorFlow versions and PyTorch differ
# by, and some room. Training is off more because TensorFlow adds up batch statistics one by one in float32.
TOLERANCES = {
    "recipe": 1e-6,
    "inputs": 1e-6,
    "e_B eval": 3e-5,
    "e_B eval layers": 3e-5,
    "e_B train": 1e-3,
    "e_B train layers": 1e-3,
    "e_B train moving": 1e-4,  # absolute
    "e_B mask": 1e-3,
    "e_B mask layers": 1e-3,
    "s_B eval": 3e-5,
    "s_B_ll eval": 3e-5,
    "s_B mask": 3e-5,
    "prediction eval": 3e-5,
    "prediction train": 1e-3,
    "g_A": 1e-4,
    "g_A layers": 1e-4,
    "de_B nodrop": 3e-5,
    "de_B nodrop layers": 3e-5,
    "de_B mask": 3e-5,
    "de_B mask layers": 3e-5,
    "d_A": 3e-5,
    "d_A layers": 3e-5,
    "d_B": 3e-5,
    "d_B layers": 3e-5,
    "d_P": 3e-5,
    "d_P layers": 3e-5,
    "d_P_ll": 3e-5,
    "d_P_ll layers": 3e-5,
}
OF_THE_GRAPH = "prediction train"
"""The same numbers as the graph's logits in training, with which `method_parity` compares them as well."""


def computed(variant: str, of_the_graph: bool = True) -> Iterator[tuple[str, Parts]]:
    """Every item that `TOLERANCES` names and this variant has, with its parts; `OF_THE_GRAPH` if it is asked for."""
    with torch.inference_mode():
        segmenter = recipe.segmenter(variant, keep_rate=1.0)
        others = {name: recipe.network(variant, name) for name in recipe.networks_beside_the_segmenter(variant)}
        yield "inputs", _inputs()
        yield "recipe", _checksums(segmenter, others)
        yield from _segmenter(segmenter, of_the_graph)
        yield from _translators(variant, others["generator"], others["decoder"])
        yield from _discriminators(others)


def variables(network: nn.Module, names: dict[str, tuple[str, tuple[int, ...]]]) -> Parts:
    """The state under the authors' names and in their layout."""
    state = network.state_dict()
    return {name: to_numpy(state[key]).transpose(np.argsort(axes)) for key, (name, axes) in names.items()}


def _inputs() -> Parts:
    given = {
        f"image({tag},{n})": recipe.images(tag, n)
        for tag, n in (("img_A", 1), ("img_B", 2), ("img_D", 2), ("A0", 2), ("B0", 2), ("A1", 2), ("B1", 2))
    }
    parts = {name: _checksum(batch) for name, batch in given.items()}
    for tag in ("A0", "A1"):
        counts = np.bincount(recipe.labels(tag, 2).ravel(), minlength=recipe.CLASSES)[: recipe.CLASSES]
        parts[f"labels({tag},2)"] = counts
    whole = recipe.latent().astype(np.float64)
    parts["latent(latent_B,1)"] = np.array([whole.sum(), whole.max()])
    return parts


def _segmenter(segmenter: Segmenter, of_the_graph: bool) -> Iterator[tuple[str, Parts]]:
    in_training = deepcopy(segmenter).train()
    masked = _with_masks(deepcopy(segmenter)).train()

    latents, layers = _encode(segmenter, recipe.images("img_B", 1))
    yield "e_B eval", latents
    yield "e_B eval layers", layers

    given = nchw(recipe.latent())
    yield "s_B eval", {"logits": nhwc(segmenter.segmentation_head(given))}
    if segmenter.segmentation_head_ll is not None:
        yield "s_B_ll eval", {"logits": nhwc(segmenter.segmentation_head_ll(given))}
    yield "prediction eval", sub4(_predict(segmenter, recipe.images("B0", 2)))

    latents, layers = _encode(in_training, recipe.images("img_B", 2))
    yield "e_B train", sub4(latents)
    yield "e_B train layers", layers
    state = variables(in_training, segmenter_names(in_training.architecture))
    yield "e_B train moving", {name: v for name, v in state.items() if "/moving_" in name}
    if of_the_graph:
        yield OF_THE_GRAPH, sub4(_predict(in_training, recipe.images("B0", 2)))

    latents, layers = _encode(masked, recipe.images("img_B", 2))
    yield "e_B mask", sub4(latents)
    yield "e_B mask layers", layers
    yield "s_B mask", sub4({"logits": nhwc(masked.segmentation_head(given))})


def _translators(variant: str, generator: nn.Module, decoder: nn.Module) -> Iterator[tuple[str, Parts]]:
    with recorded(generator, "Model/g_A") as layers:
        fake = generator(_channels(variant, nchw(recipe.images("img_A", 1))))
    yield "g_A", {"fake_images_b": nhwc(fake)}
    yield "g_A layers", layers

    given = nchw(recipe.latent()), nchw(recipe.images("img_B", 1))
    for mode in ("nodrop", "mask"):
        if mode == "mask":
            mask_dropout(decoder.get_submodule("blocks"), "Model/de_B")
        with recorded(decoder, "Model/de_B") as layers:
            fake = decoder(*given)
        yield f"de_B {mode}", {"fake_images_a": nhwc(fake)}
        yield f"de_B {mode} layers", layers


def _discriminators(others: dict[str, nn.Module]) -> Iterator[tuple[str, Parts]]:
    image, logits = nchw(recipe.images("img_D", 2)), nchw(recipe.logits(2))
    for name, network in others.items():
        if name.startswith("discriminator"):
            theirs = TF_NETWORKS[name]
            with recorded(network, f"Model/{theirs}") as layers:
                judged = nhwc(network(logits if "prediction" in name else image))
            yield theirs, {"prob": judged[..., :1], "prob_aux": judged[..., 1:]}
            yield f"{theirs} layers", layers


def _encode(segmenter: Segmenter, batch: np.ndarray) -> tuple[Parts, Parts]:
    """Both latents; and the output of every convolution, normalisation and block by TensorFlow's names."""
    with recorded(segmenter.encoder, "Model/e_B") as layers:
        latent, latent_ll = segmenter.encoder(_channels(segmenter.variant, nchw(batch)))
    return {"latent": nhwc(latent), "latent_ll": nhwc(latent_ll)}, layers


def _predict(segmenter: Segmenter, batch: np.ndarray) -> Parts:
    logits, logits_ll = segmenter.forward_both(_channels(segmenter.variant, nchw(batch)))
    parts = {"pred_mask_b": nhwc(logits)}
    if logits_ll is not None:
        parts["pred_mask_b_ll"] = nhwc(logits_ll)
    return parts


def _channels(variant: str, batch: Tensor) -> Tensor:
    return batch.repeat(1, VARIANTS[variant].in_channels, 1, 1)


def _with_masks(segmenter: Segmenter) -> Segmenter:
    for path, module in segmenter.encoder.named_modules():
        if isinstance(module, ConvNorm):
            module.dropout = recipe.MaskedDropout("Model/e_B/" + path.replace(".", "/"))
    segmenter.segmentation_head.dropout = recipe.MaskedDropout("Model/s_B/c8")
    return segmenter


def _checksums(segmenter: Segmenter, others: dict[str, nn.Module]) -> Parts:
    every = variables(segmenter, segmenter_names(segmenter.architecture))
    for name, network in others.items():
        every |= variables(network, tf_names(network, name))
    return {name: _checksum(value) for name, value in every.items()}


def _checksum(values: np.ndarray) -> np.ndarray:
    flat = values.ravel().astype(np.float64)
    return np.array([flat.sum(), np.abs(flat).sum(), flat[0], flat[-1]])
