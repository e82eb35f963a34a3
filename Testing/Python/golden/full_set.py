"""Reads the full set of golden vectors into references. Item names are those of the `..._parity` modules."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import recipe, references
from .references import FOLDERS, References

WITHOUT_EFFECT = re.compile(r"/g_A/(c[1-5]|r\d+/c[12])/.*biases$|/Conv2d_transpose/biases$")
"""Biases that an instance normalisation takes off again: their gradients are rounding noise, and so are their steps."""

PROBED = ("Conv/BiasAdd", "Conv2d_transpose/BiasAdd", "BatchToSpaceND", "FusedBatchNorm", "add_1", "/Relu")
FIRST_UPDATES = ("g_A", "d_B")  # of an iteration: no weight that they depend on has moved yet


def networks(golden: Path, variant: str) -> References:
    """What `networks_parity` computes. Raises FileNotFoundError if the folder does not hold the set."""
    folder = _folder(golden, variant)
    found: References = {}
    checksums = json.loads((golden / "recipe_checksums.json").read_text())[FOLDERS[variant]]
    for name, sums in checksums.items():
        found["recipe", name] = references.of(sums)
    for name, sums in json.loads((golden / "input_checksums.json").read_text()).items():
        found["inputs", name] = references.of(sums)
    del found["inputs", "image(img_B,1)"]  # the first of image(img_B,2)
    for path in sorted(folder.glob("subnet_*.npz")):
        item = path.stem.removeprefix("subnet_")
        if item == "e_B_train_moving":
            for name, values in np.load(path).items():
                found["e_B train moving", name.replace("|", "/")] = references.of(values, scale=1.0)
            continue
        for mode in ("eval", "train", "mask", "nodrop"):
            item = item.replace(f"_{mode}", f" {mode}")
        for part, values in np.load(path).items():
            found[item, part] = references.of(values)
    for mode in ("eval", "train"):
        whole = np.load(folder / f"full_{mode}_n2.npz")
        for part in ("pred_mask_b_sub4", "pred_mask_b_ll_sub4"):
            if part in whole:
                found[f"prediction {mode}", part] = references.of(whole[part])
    for run, record in json.loads((folder / "subnet_probes.json").read_text()).items():
        if run.startswith("s_B"):
            continue  # a head has one layer: its output is compared whole
        for name, recorded in _probed(record["layers"]).items():
            found[f"{run.replace('/', ' ')} layers", name] = references.probe(recorded)
    return found


def _probed(layers: Mapping) -> dict:
    """Convolutions (with their bias where they have one), normalisations and blocks; the rest lies in between."""
    return {
        name: recorded
        for name, recorded in layers.items()
        if name.endswith(PROBED) or (name.endswith("/Conv2D") and name.replace("Conv2D", "BiasAdd") not in layers)
    }


def _folder(golden: Path, variant: str) -> Path:
    folder = golden / FOLDERS[variant]
    if not (folder / "full_eval_n2.npz").is_file():
        raise FileNotFoundError(f"The golden vectors are not in {golden}: no {folder.name}/full_eval_n2.npz.")
    return folder


def method(golden: Path, variant: str) -> References:
    """What `method_parity` computes. Raises FileNotFoundError if the folder does not hold the set."""
    folder = _folder(golden, variant)
    found: References = {}
    for mode in ("eval", "train"):
        for part, values in np.load(folder / f"full_{mode}_n2.npz").items():
            kind = {"fake": "fakes", "cycle": "cycles", "pred": "logits"}.get(part.split("_")[0], "judgements")
            first_alone = kind in ("fakes", "cycles")  # the authors' graph saw two slices; one was kept
            positions = np.arange(values.size) if first_alone else None
            whole = references.of(values)
            found[f"graph {mode} {kind}", part] = replace(whole, positions=positions)
    recorded = json.loads((folder / "losses.json").read_text())
    for case in ("eval_n1", "eval_n2", "train_n1", "train_n2"):
        for name, value in recorded[case]["terms"].items():
            if name != "dice_eval_fake_b":  # no loss: a figure that the authors watch
                found[f"terms {case}", name] = references.of(value)
    _gradients(folder, found)
    for number in (1, 2):
        _iteration(folder, number, found)
    return found


def _gradients(folder: Path, found: References) -> None:
    for update, recorded in json.loads((folder / "grads.json").read_text()).items():
        found["gradients losses", update] = references.of(recorded["loss"])
        for schedule in ("", "shared "):
            for network, norm in recorded["group_l2"].items():
                found[f"{schedule}gradients networks", network] = references.of(norm)
            for name, sums in recorded["vars"].items():
                if not WITHOUT_EFFECT.search(name):
                    found[f"{schedule}gradients variables", name] = references.of(sums["l2"])
    for name, values in np.load(folder / "grads_small.npz").items():
        for schedule in ("", "shared "):
            part = name.split("||")[1].replace("|", "/")
            found[f"{schedule}gradients arrays", part] = references.of(values, direction=True)


def _iteration(folder: Path, number: int, found: References) -> None:
    item = f"iteration {number}"
    recorded = json.loads((folder / "iterations.json").read_text())[f"iteration_{number}"]
    for name, value in recorded["losses"].items():
        kind = " losses"
        if number == 1 and name in FIRST_UPDATES:
            kind = " first losses"
        elif number == 2 and name.startswith("d_P"):
            kind = " losses of d_P"
        if name not in ("s_B_ce", "s_B_dice"):  # parts of s_B
            found[item + kind, name] = references.of(value)
    for name, value in recorded["beta_powers"].items():
        found[f"{item} counters", name] = references.of(value)
    for network, sums in recorded["groups"].items():
        kind = "moving" if network.endswith(":moving") else "movement"
        found[f"{item} {kind}", network] = references.of(sums["delta_l2"])
        if kind == "movement":
            found[f"{item} sums", network] = references.of(sums["abssum"])
    if number == 1:
        for name, sums in recorded["vars"].items():
            if not WITHOUT_EFFECT.search(name) and "/moving_" not in name and sums["delta_l2"] > 0:
                found[f"{item} movement of variables", name] = references.of(sums["delta_l2"])
        after = np.load(folder / "iterations_small.npz")
        for name in ("Model/g_A/c6/Conv/weights", "Model/de_B/c6/Conv/weights"):
            values = after[f"it1||{name.replace('/', '|')}"]
            moved = values.astype(np.float64) - recipe.fill(name, values.shape)
            found[f"{item} direction", name] = references.of(moved, direction=True)
    for name, value in recorded["eval_after"].items():
        if name != "dice_eval_fake_b":
            found[f"{item} evaluated", name] = references.of(value)
