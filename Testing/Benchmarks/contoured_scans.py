"""The contoured real scans that come with the extension, made from Sunnybrook's (CC0): small, contours where they belong.

    python Testing/Benchmarks/contoured_scans.py ../shared/data SIFASegmentation/Resources/ContouredScans

End-diastole and end-systole of 11 of the 18 patients that models may learn from (`sunnybrook.CONTOURED`): none that judges
is among them, none of the six that come along to be adapted to (`sample_scans`: a target must not hold what the source
teaches), and not one whose wall at end-diastole was drawn through the cavity. Pixels of 1.4 mm, contours and
MARGIN_MM around them, 8 bit from the 0.5 % to the 99.5 % quantile; slices, places and directions as they are. Labels are
half a pixel nearer to the first column and row than as published, as in `sunnybrook.aligned`, which says why.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import sample_scans
import SimpleITK as sitk
import sunnybrook

PATIENTS = tuple(p for p in sunnybrook.CONTOURED if p not in (*sample_scans.PATIENTS, "SC-HF-NI-15"))
PIXEL_MM, MARGIN_MM = 1.4, 28.0


def main(data: Path, folder: Path) -> None:
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, patient in enumerate(PATIENTS, start=1):
        for phase in sunnybrook.PHASES:
            image, labels = small(sunnybrook.aligned(sunnybrook.contoured_stack(data, f"{patient}_{phase}")))
            for kind, made in (("images", image), ("labels", labels)):
                path = folder / kind / f"heart-{number:02d}-{phase.lower()}.nii.gz"
                sitk.WriteImage(made, str(path), useCompression=True, compressionLevel=9)


def small(stack: sunnybrook.Stack) -> tuple[sitk.Image, sitk.Image]:
    """Image and labels, uint8."""
    scan, labels = stack.scan.image(), stack.labels.image()
    there = np.argwhere(stack.labels.array > 0)[:, ::-1]
    spacing = scan.GetSpacing()
    low, high = there.min(0)[:2], there.max(0)[:2]
    size = [int(np.ceil(((b - a) * s + 2 * MARGIN_MM) / PIXEL_MM)) for a, b, s in zip(low, high, spacing, strict=False)]
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    first = [m - (n - 1) / 2 * PIXEL_MM / s for m, n, s in zip(middle, size, spacing, strict=False)]
    grid = sitk.Image(*size, scan.GetSize()[2], sitk.sitkFloat32)
    grid.SetSpacing((PIXEL_MM, PIXEL_MM, spacing[2]))
    grid.SetDirection(scan.GetDirection())
    grid.SetOrigin(scan.TransformContinuousIndexToPhysicalPoint([*map(float, first), 0.0]))
    same = sitk.Transform()
    grey = sitk.GetArrayFromImage(sitk.Resample(sitk.Cast(scan, sitk.sitkFloat32), grid, same, sitk.sitkLinear, 0.0))
    darkest, brightest = np.quantile(grey[grey > 0], (0.005, 0.995))
    scaled = np.clip((grey - darkest) / (brightest - darkest), 0, 1) * 254 + 1
    image = sitk.GetImageFromArray(np.where(grey > 0, scaled, 0).round().astype(np.uint8))
    image.CopyInformation(grid)
    return image, sitk.Resample(labels, grid, same, sitk.sitkLabelGaussian, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
