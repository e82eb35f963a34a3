"""Pictures of phantoms: one PNG per modality and one of the tissues, a row per seed, planes through the left
ventricle. Without --seeds: a healthy adult, a child, and somebody with each of the diseases.

python Testing/Benchmarks/phantom_gallery.py build/gallery --seeds 1 2 3 4 --spacing 2
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SIFASegmentation"))

from SIFALib import phantom
from SIFALib.imaging.pictures import write_png
from SIFALib.models.structures import STRUCTURES
from SIFALib.phantom.conditions import CONDITIONS, draw_person
from SIFALib.phantom.tissues import Tissue

HALF_WIDTH_MM = 95.0  # of each picture around the centre of the left ventricle, times the person's growth
PIXELS = 256


def one_of_each() -> list[int]:
    """Seeds of a healthy child and of the first adult with each condition."""
    people = [draw_person(seed) for seed in range(400)]
    child = next(p.seed for p in people if p.condition == "normal" and p.growth < 0.7)
    adults = [next(p.seed for p in people if p.condition == condition and p.growth == 1) for condition in CONDITIONS]
    return [adults[0], child, *adults[1:]]


def palette() -> np.ndarray:
    """A colour [256, 3] uint8 per tissue: its CT number in arterial contrast, tinted so that neighbours differ."""
    hu = phantom.tissues.CT_HU["arterial"][:, 0]
    light = np.clip((hu + 250) / 800, 0, 1)
    tint = np.random.default_rng(3).uniform(0.45, 1.0, (len(hu), 3))
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(hu)] = (255 * light[:, None] * tint).astype(np.uint8)
    return colours


def grey(case: phantom.Phantom) -> np.ndarray:
    """The image as uint8: a soft-tissue window for CT, up to the 99.7th percentile for MR."""
    image = case.image.array.astype(np.float32)
    low, high = (-200.0, 600.0) if case.description["modality"] == "ct" else (0.0, float(np.percentile(image, 99.7)))
    return (np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def picture(grey_slice: np.ndarray, label_slice: np.ndarray, contours: bool) -> np.ndarray:
    """[PIXELS, PIXELS, 3] uint8 of one slice, grey or in colours already (rows downwards on the screen)."""
    rows, columns = (np.linspace(0, n - 1, PIXELS).round().astype(int) for n in label_slice.shape)
    grey_slice, label_slice = grey_slice[np.ix_(rows, columns)], label_slice[np.ix_(rows, columns)]
    colours = np.array([(0, 0, 0), *(structure.color for structure in STRUCTURES)], np.uint8)
    result = grey_slice.copy() if grey_slice.ndim == 3 else np.repeat(grey_slice[..., None], 3, axis=2)
    if contours:
        edge = np.zeros(label_slice.shape, bool)
        edge[1:] |= label_slice[1:] != label_slice[:-1]
        edge[:, 1:] |= label_slice[:, 1:] != label_slice[:, :-1]
        edge &= label_slice > 0
        result[edge] = colours[label_slice[edge]]
    return result


def row(case: phantom.Phantom, image: np.ndarray) -> np.ndarray:
    """Axial, coronal and sagittal slices of `image` (grey or colours) with contours, one of each also without."""
    labels, tissues = case.labels.array, case.tissues.array
    spacing = case.image.geometry.spacing[0]
    middle = np.argwhere(tissues == Tissue.LV_BLOOD).mean(axis=0)
    growth = float(str(case.description["growth"]))
    half = min(int(HALF_WIDTH_MM * growth / spacing), min(image.shape[:3]) // 2)
    tiles = []
    cuts = ((0, 16, True), (0, 4, True), (0, 4, False), (0, -14, True), (1, -8, True), (1, 4, True), (1, 4, False))
    for axis, offset, contours in (*cuts, (2, -24, True), (2, 0, True), (2, 0, False)):
        index = round(float(middle[axis] + offset * growth / spacing))
        cut = [slice(None)] * 3
        for other in range(3):
            if other != axis:
                start = int(np.clip(middle[other] - half, 0, image.shape[other] - 2 * half))
                cut[other] = slice(start, start + 2 * half)
        cut[axis] = slice(index, index + 1)
        grey_slice, label_slice = image[tuple(cut)].squeeze(axis), labels[tuple(cut)].squeeze(axis)
        if axis > 0:  # the head is up
            grey_slice, label_slice = grey_slice[::-1], label_slice[::-1]
        tiles.append(picture(grey_slice, label_slice, contours))
    return np.hstack(tiles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the PNG files go")
    parser.add_argument("--seeds", type=int, nargs="+", default=one_of_each(), help="a row each (default: see above)")
    parser.add_argument("--modalities", nargs="+", choices=["ct", "mr"], default=["ct", "mr"])
    parser.add_argument("--spacing", type=float, default=1.5, help="mm")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    colours = palette()
    for modality in arguments.modalities:
        rows, tissue_rows = [], []
        for seed in arguments.seeds:
            begin = time.process_time()
            case = phantom.make(seed, modality, arguments.spacing)
            seconds = time.process_time() - begin
            said = case.description
            volumes = " ".join(f"{name} {ml:.0f}" for name, ml in dict(said["volumes_ml"]).items())
            print(f"{modality} seed {seed}, {said['condition']}, growth {said['growth']:.2f}: ", end="")
            print(f"{seconds:.1f} s of one core, ml: {volumes}")
            rows.append(row(case, grey(case)))
            tissue_rows.append(row(case, colours[case.tissues.array]))
        for name, pictures in ((modality, rows), ("tissues", tissue_rows)):
            path = arguments.folder / f"phantom_{name}.png"
            write_png(np.vstack(pictures), path)
            print(path)


if __name__ == "__main__":
    main()
