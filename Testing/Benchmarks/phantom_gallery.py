"""Pictures of phantoms: one PNG per modality, a row per seed, planes through the left ventricle.

python Testing/Benchmarks/phantom_gallery.py build/gallery --seeds 1 2 3 4 --spacing 2
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SIFASegmentation"))

from SIFALib import phantom
from SIFALib.phantom.tissues import Tissue
from SIFALib.structures import STRUCTURES

HALF_WIDTH_MM = 95.0  # of each picture around the centre of the left ventricle
PIXELS = 256


def grey(case: phantom.Phantom) -> np.ndarray:
    """The image as uint8: a soft-tissue window for CT, up to the 99.7th percentile for MR."""
    image = case.image.array.astype(np.float32)
    low, high = (
        (-200.0, 600.0) if case.description["modality"] == "ct" else (0.0, float(np.percentile(image, 99.7)))
    )
    return (np.clip((image - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def picture(grey_slice: np.ndarray, label_slice: np.ndarray, contours: bool) -> np.ndarray:
    """[PIXELS, PIXELS, 3] uint8 of one slice (rows downwards on the screen)."""
    scale = np.linspace(0, len(grey_slice) - 1, PIXELS).round().astype(int)
    grey_slice, label_slice = grey_slice[np.ix_(scale, scale)], label_slice[np.ix_(scale, scale)]
    colours = np.zeros((5, 3), np.uint8)
    for structure in STRUCTURES:
        colours[structure.value] = structure.color
    result = np.repeat(grey_slice[..., None], 3, axis=2)
    if contours:
        edge = np.zeros(label_slice.shape, bool)
        edge[1:] |= label_slice[1:] != label_slice[:-1]
        edge[:, 1:] |= label_slice[:, 1:] != label_slice[:, :-1]
        edge &= label_slice > 0
        result[edge] = colours[label_slice[edge]]
    return result


def row(case: phantom.Phantom) -> np.ndarray:
    """Axial, coronal and sagittal slices with contours, one of each also without."""
    image, labels, tissues = grey(case), case.labels.array, case.tissues.array
    spacing = case.image.geometry.spacing[0]
    middle = np.argwhere(tissues == Tissue.LV_BLOOD).mean(axis=0)
    half = int(HALF_WIDTH_MM / spacing)
    tiles = []
    cuts = (
        (0, 16, True),
        (0, 4, True),
        (0, 4, False),
        (0, -14, True),
        (1, -8, True),
        (1, 4, True),
        (1, 4, False),
    )
    for axis, offset, contours in (*cuts, (2, -24, True), (2, 0, True), (2, 0, False)):
        index = round(float(middle[axis] + offset / spacing))
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the PNG files go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--modalities", nargs="+", choices=["ct", "mr"], default=["ct", "mr"])
    parser.add_argument("--spacing", type=float, default=1.5, help="mm")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for modality in arguments.modalities:
        rows = []
        for seed in arguments.seeds:
            begin = time.perf_counter()
            case = phantom.make(seed, modality, arguments.spacing)
            seconds = time.perf_counter() - begin
            volumes = " ".join(
                f"{name} {ml:.0f}" for name, ml in dict(case.description["volumes_ml"]).items()
            )
            print(f"{modality} seed {seed}: {seconds:.1f} s, ml: {volumes}")
            rows.append(row(case))
        path = arguments.folder / f"phantom_{modality}.png"
        sitk.WriteImage(sitk.GetImageFromArray(np.vstack(rows), isVector=True), str(path))
        print(path)


if __name__ == "__main__":
    main()
