"""Makes what a model's card says of its limits: the reference by which `out_of_distribution` tells what it was not
trained on, and the curve by which `uncertainty` tells what Dice its certainty comes with.

    python Testing/Benchmarks/calibrate.py MODEL-FOLDER --anatomies runs/default/anatomies --unseen runs/default/validation

The reference follows from slices of the kind that the model was trained on; the limits from slices that it was not
trained on, so that at most FALSE_ALARMS of them are beyond. The weights are not touched. For a model that was adapted
to real scans, hand `reference_of` features of its own training slices, source and target. The curve follows from whole
phantoms that no training uses, segmented as a user would, every other pair of them with much noise.

With --into, the model's own folder stays as it is, and a package with the same weights, named as the options say, is made
there: so a bundled model comes of what a run exported.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from SIFALib import phantom
from SIFALib.imaging import metrics
from SIFALib.imaging.geometry import Geometry
from SIFALib.inference import out_of_distribution, segment, uncertainty
from SIFALib.models import store
from SIFALib.models.archive import CARD
from SIFALib.models.card import DiceCurve, OutOfDistribution, Reference
from SIFALib.models.structures import STRUCTURES
from SIFALib.networks import arrays, loading
from SIFALib.networks.segmenter import Segmenter
from SIFALib.phantom.slices.anatomies import Anatomy, load_anatomies, random_slice
from SIFALib.phantom.tissues import known_to
from SIFALib.support import files
from SIFALib.support.errors import NoHeartFound

log = logging.getLogger(__name__)

FALSE_ALARMS = 0.05
NETWORK_DIRECTIONS, PLACES_DIRECTIONS = 16, 8
FIT, UNSEEN = 400, 200  # slices
FIT_SHAPES, UNSEEN_SHAPES = 60, 30  # phantoms
SHAPE_MM = 5.0  # of the phantoms whose shapes are measured
UNSEEN_SEED = 1_500_000  # of shapes: beyond training and its validation, before what benchmarks use
SLICE_SEED = 77_001  # of the random slices
SHOWN_PIXELS = 400  # of the structures in a slice that is measured; slices of the coarse pass mostly show less
CURVE_SEED = 1_600_000  # of the whole phantoms that the curve is made of
CURVE_MM = 2.0
NOISE = {"ct": 80.0, "mr": 80.0}  # standard deviation, HU or the phantom's units: of the noisy ones
VALUES = {s.id: s.value for s in STRUCTURES}
PLACES_MARGIN = 2.5
"""The reference is made of true shapes; what a network draws of real ones differs more. Room for it there is: exchange
left and right, front and back or head and feet in a phantom, and the distance is 16 to 70, against 1.5 at most before."""


def calibrate(
    segmenter: Segmenter,
    crop: int,
    anatomies: Sequence[Anatomy],
    unseen: Sequence[Anatomy],
    fit: int = FIT,
    held_out: int = UNSEEN,
    shapes: tuple[int, int] = (FIT_SHAPES, UNSEEN_SHAPES),
) -> OutOfDistribution:
    """The reference of a model that was trained on slices of phantoms.

    anatomies: that it was trained on; unseen: others. crop: side of its slices in pixels. Some minutes on one core.
    """
    known = slice_features(segmenter, crop, anatomies, SLICE_SEED, fit)
    others = slice_features(segmenter, crop, unseen, SLICE_SEED + 1, held_out)
    log.info("measured %d and %d slices", len(known), len(others))
    true, new = shape_features(range(shapes[0])), shape_features(range(UNSEEN_SEED, UNSEEN_SEED + shapes[1]))
    return OutOfDistribution(
        made_of=f"{len(known)} random slices of {len(anatomies)} phantoms and the shapes of {len(true)}",
        network=reference_of(known, others, NETWORK_DIRECTIONS),
        places=reference_of(true, new, PLACES_DIRECTIONS, PLACES_MARGIN),
    )


def curve(package: store.ModelPackage, scans: int) -> DiceCurve:
    """What Dice the model's certainty comes with, from as many phantoms; half a minute each on one core.

    Raises ValueError as `uncertainty.dice_curve` does.
    """
    segmenter = loading.load_segmenter(package)
    card = dataclasses.replace(package.card, dice_curve=None)
    pairs: list[tuple[float, float]] = []
    for number in range(scans):
        modality: phantom.Modality = ("ct", "mr")[number % 2]
        made = phantom.make(CURVE_SEED + number, modality, CURVE_MM)
        scan = made.image
        if number // 2 % 2:
            noise = np.random.default_rng(number).normal(0, NOISE[modality], scan.array.shape)
            scan = dataclasses.replace(scan, array=(scan.array + noise).astype(np.int16))
        try:
            result = segment(scan, segmenter, card)
        except NoHeartFound:
            continue
        truth = metrics.dice_per_structure(result.labels, made.labels, card.labels)
        said = result.report.expected_dice.items()
        pairs += [(share, truth[i]) for i, share in said if share is not None and np.isfinite(truth[i])]
        log.info("phantom %d: %s", CURVE_SEED + number, pairs[-len(truth) :])
    offset, slope = uncertainty.dice_curve(*np.array(pairs).reshape(-1, 2).T)
    return DiceCurve(f"{len(pairs)} structures of {scans} phantoms", *_rounded(np.array([offset, slope])))


def slice_features(segmenter: Segmenter, crop: int, anatomies: Sequence[Anatomy], seed: int, count: int) -> np.ndarray:
    """`out_of_distribution.features` of random training slices that show the heart, outlined by the network itself."""
    rows: list[np.ndarray] = []
    for number in range(100 * count):
        image, labels = random_slice(anatomies, crop, seed, number)
        if np.count_nonzero(known_to(labels, segmenter.classes)) < SHOWN_PIXELS:
            continue
        with torch.inference_mode():
            x = arrays.to_tensor(image)[None, None].expand(-1, segmenter.in_channels, -1, -1)
            found = arrays.to_numpy(segmenter(x).argmax(1).to(torch.uint8))
        rows += list(out_of_distribution.features(segmenter, image[None], found > 0))
        if len(rows) == count:
            return np.array(rows)
    raise ValueError(f"The model found hearts in only {len(rows)} slices; it cannot be calibrated.")


def shape_features(seeds: Sequence[int]) -> np.ndarray:
    """`out_of_distribution.places` of the true shapes of phantoms."""
    rows = []
    for seed in seeds:
        tissues, _ = phantom.anatomy(seed, SHAPE_MM)
        labels = phantom.tissues.LABEL_OF_TISSUE[tissues.array]
        found = out_of_distribution.places(labels, VALUES, partial(_point, tissues.geometry))
        if found is not None:
            rows.append(found)
    return np.array(rows)


def _point(geometry: Geometry, where: np.ndarray) -> np.ndarray:
    return geometry.point(where[None, ::-1])[0]


def reference_of(known: np.ndarray, unseen: np.ndarray, directions: int, margin: float = 1.0) -> Reference:
    """The distribution of known [N, F], and a limit beyond which at most FALSE_ALARMS of unseen [M, F] lie.

    `directions` (at most F - 1) keep their own variance; the others share one. Raises ValueError for too few rows.
    """
    count = known.shape[1]
    directions = min(directions, count - 1)
    if len(known) <= directions + 1 or not len(unseen):
        raise ValueError(f"{len(known)} and {len(unseen)} examples are too few for a reference of {count} numbers.")
    scale = known.std(axis=0) + 1e-6
    z = (known - known.mean(axis=0)) / scale
    variances, axes = np.linalg.eigh(np.cov(z.T))
    variances, axes = variances[::-1], axes[:, ::-1].T
    made = Reference(
        mean=_rounded(known.mean(axis=0)),
        scale=_rounded(scale),
        directions=tuple(_rounded(a) for a in axes[:directions]),
        variances=_rounded(np.maximum(variances[:directions], 1e-3)),
        rest=_rounded(np.maximum(variances[directions:].mean(keepdims=True), 1e-3))[0],
        limit=1.0,
    )
    limit = float(np.quantile(out_of_distribution.distances(made, unseen), 1.0 - FALSE_ALARMS))
    return dataclasses.replace(made, limit=_rounded(np.array([limit * margin]))[0])


def write(package: store.ModelPackage, made: OutOfDistribution, sure: DiceCurve | None) -> store.ModelPackage:
    """The package with both in its card; the file is the former one or the new one at every instant."""
    card = dataclasses.replace(package.card, out_of_distribution=made, dice_curve=sure)
    files.write_text(package.folder / CARD, card.to_json())
    return store.read_package(package.folder)


def renamed(package: store.ModelPackage, folder: Path, fields: dict[str, str]) -> store.ModelPackage:
    """A new package with the same weights and those fields of its card changed. ModelError where `folder` exists."""
    card = {f.name: getattr(package.card, f.name) for f in dataclasses.fields(package.card) if f.name != "sha256"}
    return store.write_package(folder, package.tensors(), **card | fields)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(f"{v:.4g}") for v in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a model package; its model.json is written anew")
    parser.add_argument("--anatomies", type=Path, required=True, help="tissue maps that the model was trained on")
    parser.add_argument("--unseen", type=Path, required=True, help="tissue maps that it was not trained on")
    parser.add_argument("--scans", type=int, default=12, help="whole phantoms that the curve is made of")
    parser.add_argument("--into", type=Path, help="folder of a new package, which is calibrated instead")
    for name in ("id", "name", "version", "trained-on", "built-in-source"):
        parser.add_argument(f"--{name}", help="of the new package")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    package = store.read_package(arguments.model)
    if arguments.into:
        names = {
            field: getattr(arguments, field) for field in ("id", "name", "version", "trained_on", "built_in_source")
        }
        package = renamed(package, arguments.into, {field: said for field, said in names.items() if said})
    segmenter = loading.load_segmenter(package)
    known, unseen = load_anatomies(arguments.anatomies), load_anatomies(arguments.unseen)
    made = calibrate(segmenter, package.card.preprocessing.crop, known, unseen)
    log.info("limits: %s and %s", made.network.limit, made.places.limit if made.places else None)
    sure = curve(package, arguments.scans)
    log.info("curve: %s", sure)
    write(package, made, sure)


if __name__ == "__main__":
    main()
