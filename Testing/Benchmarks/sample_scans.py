"""The six real scans that come with the extension, made from Sunnybrook's (CC0): small, without what their headers say.

    python Testing/Benchmarks/sample_scans.py ../shared/data SIFASegmentation/Resources/SampleScans

End-diastole of six patients whose contours judge nothing: 128 x 128 pixels of 1.4 mm around the middle of each stack,
8 bit from the 0.5 % to the 99.5 % quantile. The stacks of that folder run from base to apex along their normal, as the
mirror image of a heart would: `upright` turns their order round.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

PATIENTS = ("SC-HF-I-05", "SC-HF-NI-11", "SC-HYP-07", "SC-HYP-38", "SC-N-03", "SC-N-11")
SIDE, PIXEL_MM = 128, 1.4


def main(data: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, patient in enumerate(PATIENTS, start=1):
        scan = sitk.ReadImage(str(data / "scd" / "unlabelled" / f"{patient}_ED.nii.gz"), sitk.sitkFloat32)
        sitk.WriteImage(upright(small(scan)), str(folder / f"short-axis-{number}.nii.gz"), useCompression=True)


def upright(scan: sitk.Image) -> sitk.Image:
    """The slices in the opposite order in the same places, from apex to base along the normal of slices that are seen from
    the apex; so lie the two of these patients whose DICOM headers are known."""
    turned = sitk.GetImageFromArray(np.ascontiguousarray(sitk.GetArrayFromImage(scan)[::-1]))
    turned.CopyInformation(scan)
    return turned


def small(scan: sitk.Image) -> sitk.Image:
    """uint8, SIDE x SIDE pixels of PIXEL_MM; the third axis stays."""
    size, spacing = scan.GetSize(), scan.GetSpacing()
    middle = [(n - 1) / 2 for n in size[:2]]
    first = [m - (SIDE - 1) / 2 * PIXEL_MM / s for m, s in zip(middle, spacing, strict=False)]
    grid = sitk.Image(SIDE, SIDE, size[2], sitk.sitkFloat32)
    grid.SetSpacing((PIXEL_MM, PIXEL_MM, spacing[2]))
    grid.SetDirection(scan.GetDirection())
    grid.SetOrigin(scan.TransformContinuousIndexToPhysicalPoint([*first, 0.0]))
    grey = sitk.GetArrayFromImage(sitk.Resample(scan, grid, sitk.Transform(), sitk.sitkLinear, 0.0))
    low, high = np.quantile(grey[grey > 0], (0.005, 0.995))
    scaled = np.clip((grey - low) / (high - low), 0, 1) * 254 + 1
    made = sitk.GetImageFromArray(np.where(grey > 0, scaled, 0).round().astype(np.uint8))
    made.CopyInformation(grid)
    return made


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
