"""Our segmenter against the authors' graph: what is computed, compared with what, and how far it may be off.

`measure` runs everything that has golden vectors and belongs to the way from image to logits: the encoder
in evaluation, in training (batch statistics, moving averages) and with dropout, both heads, and whole
predictions; each layer too, at 16 places. The references are either the full set (`full_references`) or the
subset kept beside this file (`subset_references`), which is the same at fewer places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from SIFALib.arrays import to_numpy, to_tensor
from SIFALib.networks import ConvNorm, ResidualBlock, Segmenter
from SIFALib.tf_names import tf_name_map
from torch import Tensor, nn

from . import recipe

FOLDERS = {"tmi2020": "v2", "aaai2019": "v1"}  # variant -> folder of the full set

# Item -> the largest |difference| / max |reference| allowed: what two TensorFlow versions and PyTorch differ
# by, and some room. Training is off more because TensorFlow adds up batch statistics one by one in float32.
TOLERANCES = {
    "recipe": 1e-6,
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
    "prediction eval losses.json": 3e-5,
    "prediction of fake B eval": 1e-4,
    "prediction train": 1e-3,
}


@dataclass(frozen=True)
class Reference:
    """What the authors' code computes: values at flat positions (None: all); the array's largest |value|."""

    values: np.ndarray
    positions: np.ndarray | None
    scale: float

    def deviation(self, ours: np.ndarray) -> float:
        flat = ours.ravel()
        if self.positions is not None:
            flat = flat[self.positions]
        if flat.shape != self.values.shape:
            raise ValueError(f"ours has {flat.size} values, the reference has {self.values.size}")
        return float(np.max(np.abs(flat.astype(np.float64) - self.values)) / self.scale)


@dataclass(frozen=True)
class Row:
    """One line of the comparison: the item, its part that is off most, by how much, how much is allowed."""

    variant: str
    item: str
    worst: str
    parts: int
    deviation: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.deviation <= self.tolerance


References = dict[tuple[str, str], Reference]  # (item, part) -> reference


def measure(variant: str, references: References, fake_b: np.ndarray | None = None) -> Iterator[Row]:
    """Compare all that the references speak of, item by item.

    ``fake_b``: the authors' fake target image [1, 256, 256, 1], which our generator cannot make yet.
    Raises ValueError if a reference is never met, so that nothing is left out silently.
    """
    open_parts = set(references)
    for item, parts in _computed(variant, fake_b):
        deviations = {}
        for part, ours in parts.items():
            if (item, part) in references:
                deviations[part] = references[item, part].deviation(ours)
                open_parts.discard((item, part))
        if deviations:
            worst = max(deviations, key=lambda part: deviations[part])
            yield Row(variant, item, worst, len(deviations), deviations[worst], TOLERANCES[item])
    if open_parts:
        raise ValueError(f"{variant}: nothing was computed for {sorted(open_parts)[:5]} ...")


Parts = dict[str, np.ndarray]


def _computed(variant: str, fake_b: np.ndarray | None) -> Iterator[tuple[str, Parts]]:
    segmenter = recipe.segmenter(variant, keep_rate=1.0)
    in_training = deepcopy(segmenter).train()
    masked = _with_masks(deepcopy(segmenter)).train()
    yield "recipe", {name: _checksum(value) for name, value in _variables(segmenter).items()}

    with torch.inference_mode():
        latents, layers = _encode(segmenter, recipe.images("img_B", 1))
        yield "e_B eval", latents
        yield "e_B eval layers", layers

        given = _nchw(recipe.latent())
        yield "s_B eval", {"logits": _nhwc(segmenter.segmentation_head(given))}
        if segmenter.segmentation_head_ll is not None:
            yield "s_B_ll eval", {"logits": _nhwc(segmenter.segmentation_head_ll(given))}

        predictions = _predict(segmenter, recipe.images("B0", 2))
        yield "prediction eval", _sub4(predictions)
        first = {f"n1 {name}": value[:1] for name, value in predictions.items()}
        both = {f"n2 {name}": value for name, value in predictions.items()}
        yield "prediction eval losses.json", first | both
        if fake_b is not None:
            fakes = {name.replace("_b", "_fake_b", 1): v for name, v in _predict(segmenter, fake_b).items()}
            yield "prediction of fake B eval", _sub4(fakes)

        latents, layers = _encode(in_training, recipe.images("img_B", 2))
        yield "e_B train", _sub4(latents)
        yield "e_B train layers", layers
        moving = {name: v for name, v in _variables(in_training).items() if "/moving_" in name}
        yield "e_B train moving", moving
        yield "prediction train", _sub4(_predict(in_training, recipe.images("B0", 2)))

        latents, layers = _encode(masked, recipe.images("img_B", 2))
        yield "e_B mask", _sub4(latents)
        yield "e_B mask layers", layers
        yield "s_B mask", _sub4({"logits": _nhwc(masked.segmentation_head(given))})


def _encode(segmenter: Segmenter, batch: np.ndarray) -> tuple[Parts, Parts]:
    """Both latents; and the output of every convolution, normalisation and block by TensorFlow's names."""
    layers: Parts = {}

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            layers[name] = _nhwc(output)

        return hook

    handles = []
    for path, module in segmenter.encoder.named_modules():
        scope = "Model/e_B/" + path.replace(".", "/")
        if isinstance(module, ConvNorm):
            dilated = module.conv.dilation != (1, 1)
            conv = f"{scope}/convolution/BatchToSpaceND" if dilated else f"{scope}/Conv/Conv2D"
            norm = f"{scope}/batch_norm/BatchNorm/FusedBatchNorm"
            handles.append(module.conv.register_forward_hook(keep(conv)))
            handles.append(module.register_forward_hook(keep(norm)))
        elif isinstance(module, ResidualBlock):
            handles.append(module.register_forward_hook(keep(f"{scope}/Relu")))
    latent, latent_ll = segmenter.encoder(_network_input(segmenter, batch))
    for handle in handles:
        handle.remove()
    return {"latent": _nhwc(latent), "latent_ll": _nhwc(latent_ll)}, layers


def _predict(segmenter: Segmenter, batch: np.ndarray) -> Parts:
    logits, logits_ll = segmenter.forward_both(_network_input(segmenter, batch))
    parts = {"pred_mask_b": _nhwc(logits)}
    if logits_ll is not None:
        parts["pred_mask_b_ll"] = _nhwc(logits_ll)
    return parts


def _with_masks(segmenter: Segmenter) -> Segmenter:
    for path, module in segmenter.encoder.named_modules():
        if isinstance(module, ConvNorm):
            module.dropout = recipe.MaskedDropout("Model/e_B/" + path.replace(".", "/"))
    segmenter.segmentation_head.dropout = recipe.MaskedDropout("Model/s_B/c8")
    return segmenter


def _variables(segmenter: Segmenter) -> Parts:
    """The state under the authors' names and in their layout."""
    state = segmenter.state_dict()
    return {
        name: to_numpy(state[key]).transpose(np.argsort(axes))
        for key, (name, axes) in tf_name_map(segmenter).items()
    }


def _checksum(values: np.ndarray) -> np.ndarray:
    flat = values.ravel().astype(np.float64)
    return np.array([flat.sum(), np.abs(flat).sum(), flat[0], flat[-1]])


def _network_input(segmenter: Segmenter, batch: np.ndarray) -> Tensor:
    return _nchw(batch).repeat(1, segmenter.in_channels, 1, 1)


def _nchw(array: np.ndarray) -> Tensor:
    return to_tensor(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def _nhwc(tensor: Tensor) -> np.ndarray:
    return np.ascontiguousarray(to_numpy(tensor).transpose(0, 2, 3, 1))


def _sub4(parts: Parts) -> Parts:
    return {f"{name}_sub4": value[:, ::4, ::4] for name, value in parts.items()}


def full_references(golden: Path, variant: str) -> tuple[References, np.ndarray]:
    """All references of the way from image to logits in the full set, and the authors' fake target image.

    Raises FileNotFoundError if the folder does not hold the set.
    """
    folder = golden / FOLDERS[variant]
    if not (folder / "full_eval_n2.npz").is_file():
        raise FileNotFoundError(f"The golden vectors are not in {golden}: no {folder.name}/full_eval_n2.npz.")
    references: References = {}

    def add(item: str, part: str, values: np.ndarray, scale: float | None = None) -> None:
        values = np.asarray(values, np.float64)
        scale = float(np.abs(values).max()) if scale is None else scale
        references[item, part] = Reference(values.ravel(), None, scale)

    checksums = json.loads((golden / "recipe_checksums.json").read_text())[FOLDERS[variant]]
    for name, sums in checksums.items():
        if name.startswith(("Model/e_B/", "Model/s_B")):
            add("recipe", name, sums)
    for item in ("e_B eval", "e_B train", "e_B mask", "s_B eval", "s_B_ll eval", "s_B mask"):
        path = folder / f"subnet_{item.replace(' ', '_')}.npz"
        if path.exists():  # there is no s_B_ll in the first paper
            for part, values in np.load(path).items():
                add(item, part, values)
    for name, values in np.load(folder / "subnet_e_B_train_moving.npz").items():
        add("e_B train moving", name.replace("|", "/"), values, scale=1.0)
    for item, mode in (("prediction eval", "eval"), ("prediction train", "train")):
        whole = np.load(folder / f"full_{mode}_n2.npz")
        for part in ("pred_mask_b_sub4", "pred_mask_b_ll_sub4"):
            if part in whole:
                add(item, part, whole[part])
            if part in whole and mode == "eval":
                fake = part.replace("_b", "_fake_b", 1)
                add("prediction of fake B eval", fake, whole[fake][:1])
    probes = json.loads((folder / "subnet_probes.json").read_text())
    for mode in ("eval", "train", "mask"):
        for name, probe in probes[f"e_B/{mode}"]["layers"].items():
            if not name.endswith(
                ("/relu", "MaxPool", "MaxPool_1", "MaxPool_2")
            ):  # inside of what is compared
                references[f"e_B {mode} layers", name] = _probe(probe)
    losses = json.loads((folder / "losses.json").read_text())
    for count in ("n1", "n2"):
        for name in ("pred_mask_b", "pred_mask_b_ll"):
            if name in losses[f"eval_{count}"]["seg"]:
                probe = losses[f"eval_{count}"]["seg"][name]
                references["prediction eval losses.json", f"{count} {name}"] = _probe(probe)
    return references, np.load(folder / "full_eval_n2.npz")["fake_b"]


def _probe(probe: dict) -> Reference:
    scale = max(abs(probe["min"]), abs(probe["max"]))
    return Reference(np.array(probe["val"]), np.array(probe["idx"]), scale)


def write_subset(references: References, path: Path, places: int = 2500) -> None:
    """Keep each reference at up to ``places`` places, spread at random but the same every time."""
    keys, scales, values, positions = [], [], [], []
    for (item, part), reference in references.items():
        if item == "prediction of fake B eval":
            continue  # would need the authors' image too
        size = reference.values.size
        where = np.arange(size) if reference.positions is None else reference.positions
        limit = 64 if item == "e_B train moving" else places
        chosen = np.sort(recipe.generator(f"{item}|{part}").permutation(size)[:limit])
        keys.append(f"{item}|{part}|{len(chosen)}")
        scales.append(reference.scale)
        values.append(reference.values[chosen].astype(np.float32))
        positions.append(where[chosen].astype(np.int32))
    np.savez_compressed(
        path, keys=keys, scales=scales, values=np.concatenate(values), positions=np.concatenate(positions)
    )


def subset_references(variant: str) -> References:
    """The references kept beside this file."""
    kept = np.load(Path(__file__).with_name(f"{variant}.npz"))
    values, positions = kept["values"], kept["positions"]
    references: References = {}
    start = 0
    for key, scale in zip(kept["keys"].tolist(), kept["scales"].tolist(), strict=True):
        item, part, count = key.split("|")
        here = slice(start, start + int(count))
        references[item, part] = Reference(values[here], positions[here], scale)
        start = here.stop
    return references
