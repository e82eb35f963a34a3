"""The authors' TensorFlow checkpoints as model packages.

Their code (github.com/cchen-cc/SIFA: `master` for IEEE TMI 2020, branch `SIFA-v1` for AAAI 2019) saves all networks
and the state of their optimisers; a package takes the encoder (`e_B`) and the segmentation heads (`s_B`, `s_B_ll`).
Which paper, how wide and how many classes is told by the shapes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from ...models import NORMALISATIONS, Preprocessing
from ...models.architectures import VARIANTS, Architecture, tensor_shapes
from ...support.errors import ModelError, RecordError
from .bundle import Bundle, read_bundle, read_variable
from .names import segmenter_names

FIRST, HEAD, LOWER_HEAD = (f"Model/{name}/Conv/weights" for name in ("e_B/c1", "s_B/c8", "s_B_ll/c8"))
NETWORKS = {  # the authors' name -> the papers'
    "g_A": "generator", "e_B": "encoder", "de_B": "decoder", "s_B": "segmentation head",
    "s_B_ll": "lower segmentation head", "d_A": "source discriminator", "d_B": "target discriminator",
    "d_P": "discriminator of predictions", "d_P_ll": "discriminator of lower predictions",
}  # fmt: skip

STATISTICS = {
    ("ct", "new"): NORMALISATIONS["sifa_ct"],
    ("ct", "old"): NORMALISATIONS["sifa_ct_old"],
    ("mr", "new"): NORMALISATIONS["sifa_mr"],
}
"""z-scores that become -1 and 1 (the authors' data_loader.py and evaluate.py); "old": their first released CT model."""

TRAINED_ON = (
    "As far as the checkpoint tells: nothing. If it is one of the authors' cardiac models: slices of heart scans of "
    "the MM-WHS challenge 2017, 256 x 256 pixels, in a view that resembles the coronal one, each volume cropped around "
    "the heart and its grey values made to mean 0 and standard deviation 1. Not known, and assumed here: pixels and "
    "slices of 1 mm, columns to the left and rows to the feet. Check every result on a scan that you know."
)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds: variables and values by network, the architecture of its segmenter."""

    bundle: Bundle
    architecture: Architecture
    networks: dict[str, tuple[int, int]]
    others: tuple[str, ...]


def inspect(path: str | os.PathLike[str]) -> Checkpoint:
    """What the checkpoint at `path` holds, by its index alone.

    Raises ModelError unless the whole segmenter of one of the papers is among it.
    """
    bundle = read_bundle(path)
    networks: dict[str, tuple[int, int]] = {}
    others = []
    for name, variable in bundle.variables.items():
        top, _, rest = name.partition("/")
        network = rest.partition("/")[0]
        if top != "Model" or network not in NETWORKS:
            others.append(name)
        elif not name.endswith(("/Adam", "/Adam_1")):
            count, values = networks.get(network, (0, 0))
            networks[network] = (count + 1, values + int(np.prod(variable.shape, dtype=np.int64)))
    architecture = _architecture(bundle)
    _check(bundle, architecture)
    return Checkpoint(bundle, architecture, networks, tuple(others))


def segmenter_state(found: Checkpoint) -> dict[str, np.ndarray]:
    """The segmenter's weights, float32, under the names of our `Segmenter`. Raises ModelError."""
    state = {}
    for key, (name, axes) in segmenter_names(found.architecture).items():
        values = read_variable(found.bundle, name)
        if not np.isfinite(values).all():
            raise ModelError(f"{found.bundle.prefix}: {name} holds values that are not finite; it is useless.")
        state[key] = np.ascontiguousarray(values.transpose(axes), np.float32)
    return state


def preprocessing(modality: str, statistics: str = "new") -> Preprocessing:
    """How the authors' cardiac models see an image of that modality ("ct" or "mr"). Raises ModelError.

    The heart is searched at the pixel size of the training, the only one that these models know.
    """
    span = STATISTICS.get((modality, statistics))
    if span is None:
        raise ModelError(f"There are no {statistics} statistics for {modality.upper()}; the old ones are for CT.")
    return Preprocessing(
        plane="coronal",
        spacing_mm=1.0,
        slice_spacing_mm=1.0,
        crop=256,
        locate_spacing_mm=1.0,
        locate_slice_spacing_mm=6.0,
        zscore_range=span,
    )


def _architecture(bundle: Bundle) -> Architecture:
    shapes = {name: variable.shape for name, variable in bundle.variables.items()}
    for name in (FIRST, HEAD):
        if name not in shapes:
            raise ModelError(
                f"{bundle.prefix} is no checkpoint of SIFA: of its {len(shapes)} variables none is {name}."
            )
        if len(shapes[name]) != 4:
            raise ModelError(f"{bundle.prefix}: {name} has the shape {list(shapes[name])}; it must have four sides.")
    channels, width = shapes[FIRST][2:]
    lower = LOWER_HEAD in shapes
    variants = {(v.in_channels, len(v.heads) == 2): name for name, v in VARIANTS.items() if v.authors}
    if (channels, lower) not in variants:
        raise ModelError(
            f"{bundle.prefix} is of neither paper: its encoder takes {channels} channel(s) and it has "
            f"{'a' if lower else 'no'} lower head; TMI 2020 has 1 and one, AAAI 2019 has 3 and none."
        )
    try:
        return Architecture.of(variants[channels, lower], width, shapes[HEAD][3])
    except RecordError as error:
        raise ModelError(f"{bundle.prefix}: its network cannot be: {error}") from None


def _check(bundle: Bundle, architecture: Architecture) -> None:
    """Raise ModelError unless every variable of the segmenter is there, a float32 of the right shape."""
    expected = tensor_shapes(architecture)
    names = segmenter_names(architecture)
    missing = sorted(name for name, _ in names.values() if name not in bundle.variables)
    if missing:
        raise ModelError(
            f"{bundle.prefix}: {len(missing)} of the {len(names)} variables of the segmenter are missing, "
            f"{missing[0]} for one."
        )
    for key, (name, axes) in names.items():
        variable = bundle.variables[name]
        wanted = tuple(expected[key][axes.index(axis)] for axis in range(len(axes)))
        if variable.shape != wanted:
            raise ModelError(
                f"{bundle.prefix}: {name} has the shape {list(variable.shape)}; a segmenter of width "
                f"{architecture.width} needs {list(wanted)}."
            )
        if variable.kind != 1:
            raise ModelError(f"{bundle.prefix}: {name} is not of type float32.")
