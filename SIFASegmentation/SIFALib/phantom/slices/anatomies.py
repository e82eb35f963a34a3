"""Random slices of phantoms for training: any plane, any contrast, with exact labels.

An anatomy is a tissue map; a slice is cut out of it at random (`planes`), every tissue gets a grey value, as in
CT, as in MR, or any at all (`contrast`), and what scanners, windows and files do to images is done to it
(`appearance`). Domain randomisation of this kind is due to Billot et al., "SynthSeg", Medical Image Analysis 2023;
anatomy and appearance here are our own.

A slice depends on the anatomies, the seed, its number and the randomisation alone, so that a training can stop and go
on anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import SimpleITK as sitk

from ... import phantom
from ...imaging import Volume
from ...support import files
from .appearance import random_appearance
from .bodies import random_body
from .planes import LEAST_SHOWN, Anatomy, Cut, anatomy_of, random_cut
from .randomisation import KINDS, Randomisation

__all__ = [
    "SLICES_VERSION",
    "Anatomies",
    "Anatomy",
    "Randomisation",
    "anatomy_of",
    "describe_slice",
    "load_anatomies",
    "make_anatomies",
    "random_slice",
]

SLICES_VERSION = 4  # raised when a slice of the same numbers looks different, though the phantoms do not
VERSION_KEY = "SIFAPhantom"  # under which a file of tissues says the phantom's version
MOST_TRIES = 100  # to find a slice that shows enough: ordinary ones are found in one or two


def make_anatomies(folder: Path, seeds: Sequence[int], spacing_mm: float) -> None:
    """Write the tissue maps of `seeds` that `folder` does not hold yet (a file appears complete or not at all).

    What it holds is kept, also from other spacings: take a new folder for new ones. Raises ValueError for a file of
    another version of the phantom.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed}.nrrd"
        if path.exists():
            _insist_on_version(path)
            continue
        tissues, _ = phantom.anatomy(seed, spacing_mm)
        image = tissues.image()
        image.SetMetaData(VERSION_KEY, str(phantom.VERSION))
        with files.made(path, lambda made: sitk.ReadImage(str(made))) as temporary:
            sitk.WriteImage(image, str(temporary), True)


def _insist_on_version(path: Path) -> None:
    """Raise ValueError if the file's tissues are of another version of the phantom."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    version = reader.GetMetaData(VERSION_KEY) if reader.HasMetaDataKey(VERSION_KEY) else "an older one"
    if version != str(phantom.VERSION):
        raise ValueError(
            f"The phantom in {path} is of another version ({version}) than this program makes ({phantom.VERSION}). "
            "Delete the folder, or name a new one."
        )


class Anatomies(Sequence[Anatomy]):
    """Those in files, each read when it is first asked for and kept: a process that makes slices begins at once."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths
        self._read: dict[int, Anatomy] = {}

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Anatomy: ...
    @overload
    def __getitem__(self, index: slice) -> Anatomies: ...
    def __getitem__(self, index: int | slice) -> Anatomy | Anatomies:
        if isinstance(index, slice):
            return Anatomies(self.paths[index])
        if index not in self._read:
            path = self.paths[index]
            self._read[index] = anatomy_of(Volume.of(sitk.ReadImage(str(path)), path.stem))
        return self._read[index]


def load_anatomies(folder: Path, seeds: Sequence[int] = ()) -> Anatomies:
    """The tissue maps of `seeds` (none: all) in `folder`, in the order of their seeds."""
    paths = [folder / f"{seed}.nrrd" for seed in seeds] or folder.glob("[0-9]*.nrrd")
    return Anatomies(sorted(paths, key=lambda p: int(p.stem)))


def random_slice(
    anatomies: Sequence[Anatomy], size: int, seed: int, number: int, randomisation: Randomisation = Randomisation()
) -> tuple[np.ndarray, np.ndarray]:
    """Slice `number` of the endless row `seed`: image float32 [size, size] in -1..1, labels uint8 [size, size] 0..7.

    seed, number: 0 or more. anatomies: one at least; one of them is drawn for each slice.
    """
    rng, cut = _cut(anatomies, size, seed, number, randomisation)
    return random_appearance(rng, cut, randomisation), cut.labels


def describe_slice(
    anatomies: Sequence[Anatomy], size: int, seed: int, number: int, randomisation: Randomisation = Randomisation()
) -> dict[str, object]:
    """What `random_slice` shows: `kind` of contrast (ct, mr, any), `plane` (see `planes`, `bodies`) and
    `pixel_mm`."""
    _, cut = _cut(anatomies, size, seed, number, randomisation)
    return {"kind": cut.kind, "plane": cut.plane, "pixel_mm": cut.pixel_mm}


def _cut(
    anatomies: Sequence[Anatomy], size: int, seed: int, number: int, randomisation: Randomisation
) -> tuple[np.random.Generator, Cut]:
    """The generator as it is once the cut is drawn, and the cut. A far or tilted slice may miss the thorax: then another
    is drawn. Where none shows enough, as with slices much larger than a child, it is the one that shows most."""
    rng = np.random.default_rng([seed, number])
    shares = np.array(randomisation.shares) / sum(randomisation.shares)
    kind = str(rng.choice(KINDS, p=shares))
    if rng.random() < randomisation.no_heart:
        return rng, random_body(rng, size, randomisation, kind)
    anatomy = anatomies[int(rng.integers(len(anatomies)))]
    cut = random_cut(rng, anatomy, size, randomisation, kind)
    for _ in range(MOST_TRIES):
        if cut.inside.mean() >= LEAST_SHOWN:
            break
        cut = max(cut, random_cut(rng, anatomy, size, randomisation, kind), key=lambda c: c.inside.mean())
    return rng, cut
