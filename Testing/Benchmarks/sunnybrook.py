"""The Sunnybrook Cardiac Data as this project's folder of real scans keeps them: which patients, and how to read them.

Short-axis cine MR at end-diastole (ED) and end-systole (ES), with experts' contours of the left ventricle (Radau et al.,
MIDAS Journal 2009; CC0). At ED the muscle's outer wall was drawn, at ES only the cavity. The layout, below `data`:

    scd/open/images, scd/open/labels                 11 patients: for judging, never trained on
    scd/unlabelled, scd/contours_of_unlabelled       19 patients, contours of 18 of them: for training
    scd/true_geometry/images, .../labels             ED and ES of four of all these, as they lay in the body

`python Testing/Benchmarks/sunnybrook.py DATA FOLDER` writes those that a model may learn from as `sifa train --source` takes
them.

A stack holds only slices that somebody contoured; what is 0 in its labels is neither LV nor, at ED, its muscle, but may
be anything else: right ventricle, atrium, aorta. Whoever trains on it therefore takes `structures` as all that is known.

The stacks of `open` and `unlabelled` were made of single pictures and given nominal axes. Stored from base to apex along the
normal that points from apex to base, they are mirror images: in each of the 29 the cavity shrinks along that normal, and
the two patients that are in true_geometry as well have it grow there. `upright` mends it for those that judge; what a
network of single slices draws is the same either way.

The contours lie half a pixel (0.7 mm) too far along columns and rows: over the ED stacks of all 29 patients the contrast
between cavity and muscle, (mean - mean) / sqrt(variance + variance), is 1.579 as they lie and 1.694 when the labels are
moved back by half a pixel, the largest of steps of half a pixel up to 1.5; it is larger than as they lie in each of the 29.
That is 12 % of a wall of 6 mm. What is trained on is `aligned`; what judges stays as it was published.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SIFALib.imaging import writing
from SIFALib.imaging.geometry import Volume
from SIFALib.imaging.reading import read
from SIFALib.models.structures import UNKNOWN

MYO, LV = 1, 3
PHASES = ("ED", "ES")

# Heart failure with infarction (HF-I) and without (HF-NI), hypertrophy (HYP), normal (N).
OPEN = (
    *("SC-HF-I-01", "SC-HF-I-06", "SC-HF-I-11"),
    *("SC-HF-NI-03", "SC-HF-NI-12", "SC-HF-NI-33"),
    *("SC-HYP-01", "SC-HYP-08", "SC-HYP-37"),
    *("SC-N-02", "SC-N-07"),
)
CONTOURED = (
    *("SC-HF-I-02", "SC-HF-I-05", "SC-HF-I-08", "SC-HF-I-09", "SC-HF-I-12"),
    *("SC-HF-NI-04", "SC-HF-NI-11", "SC-HF-NI-14", "SC-HF-NI-15", "SC-HF-NI-34"),
    *("SC-HYP-03", "SC-HYP-07", "SC-HYP-10", "SC-HYP-11", "SC-HYP-38"),
    *("SC-N-03", "SC-N-10", "SC-N-11"),
)
# For choosing between models: a dilated heart with an infarct in a wide field of view (true pixels), a thick-walled one and
# a normal one in round fields of view. The two that lie oddest, HF-NI-14 and HF-NI-15, are rare enough to be trained on.
VALIDATION = ("SC-HF-I-05", "SC-HYP-38", "SC-N-03")
TRAINING = tuple(patient for patient in CONTOURED if patient not in VALIDATION)

TRUE_GEOMETRY = {"SCD0000101": True, "SCD0000201": False, "SCD0000401": False, "SCD0000501": True}  # whether labelled

# In the slice, from the cavity: no farther reaches the wall at end-systole. From 15 mm at ED on it is hypertrophied, from
# 30 mm on massively (Maron and Maron, Lancet 381:242 (2013)); most end well before.
WALL_MM = 30.0


@dataclass(frozen=True)
class Stack:
    """scan: grey values [k, j, i], slices along k. labels: uint8 on the same grid, MYO, LV, 0, and UNKNOWN where a voxel's
    label is not known. structures: the label values that are known wherever `labels` is not UNKNOWN; no other structure of
    the heart is told apart from the background.
    """

    name: str
    phase: str
    scan: Volume
    labels: Volume
    structures: tuple[int, ...]


def names(patients: Iterable[str], phases: Iterable[str] = PHASES) -> list[str]:
    """The stacks of these patients, by name: PATIENT_PHASE."""
    return [f"{patient}_{phase}" for patient in patients for phase in phases]


def open_stack(data: Path, name: str) -> Stack:
    """A stack for judging. FileNotFoundError, VolumeError."""
    folder = data / "scd" / "open"
    return upright(read_stack(folder / "images", folder / "labels", name))


def contoured_stack(data: Path, name: str) -> Stack:
    """A stack of TRAINING or VALIDATION, as it lies: its slices alone are learned from. FileNotFoundError, VolumeError."""
    return read_stack(data / "scd" / "unlabelled", data / "scd" / "contours_of_unlabelled", name)


def true_stack(data: Path, name: str) -> Stack:
    """A labelled stack of TRUE_GEOMETRY; slices that nobody contoured are UNKNOWN. FileNotFoundError, VolumeError."""
    folder = data / "scd" / "true_geometry"
    return read_stack(folder / "images", folder / "labels", name)


def read_stack(images: Path, labels: Path, name: str) -> Stack:
    """Scan and contours of that name (PATIENT_PHASE) in two folders.

    At ES only the LV counts as known: a voxel outside of it is no LV, whatever else it is. That is the rule for judging
    an LV; `with_unknown_wall` is the one for labels that must say a single thing of each voxel.
    """
    phase = name.rsplit("_", 1)[1]
    scan, drawn = read(images / f"{name}.nii.gz"), read(labels / f"{name}.nii.gz")
    return Stack(name, phase, scan, drawn, (MYO, LV) if phase == "ED" else (LV,))


def upright(stack: Stack) -> Stack:
    """The same with its slices in the opposite order, in the same places: from apex to base."""
    scan, labels = (replace(v, array=np.ascontiguousarray(v.array[::-1])) for v in (stack.scan, stack.labels))
    return replace(stack, scan=scan, labels=labels)


def with_unknown_wall(stack: Stack, wall_mm: float = WALL_MM) -> Stack:
    """The same with UNKNOWN wherever the muscle may lie but was not drawn; at ED nothing changes.

    At ES these are, slice by slice, the voxels outside of the LV up to `wall_mm` from it; a slice without an LV is unknown
    as a whole. What is 0 after that is no muscle of the left ventricle and no LV. A loss that merges the probability of
    all structures that are not known with the background's needs this only to leave the wall out altogether.
    """
    if MYO in stack.structures:
        return stack
    array = np.stack([_ringed(labels, stack.labels.geometry.spacing[:2], wall_mm) for labels in stack.labels.array])
    labels = Volume(array, stack.labels.geometry, stack.labels.name)
    return Stack(stack.name, stack.phase, stack.scan, labels, (MYO, LV))


def _ringed(labels: np.ndarray, spacing: tuple[float, ...], wall_mm: float) -> np.ndarray:
    """Labels [rows, columns] of a slice with UNKNOWN in its 0 that lie up to wall_mm from the LV. spacing: columns, rows."""
    from scipy.ndimage import distance_transform_edt

    if not (labels == LV).any():
        return np.full_like(labels, UNKNOWN)
    near = distance_transform_edt(labels != LV, sampling=(spacing[1], spacing[0])) <= wall_mm
    return np.where((labels == 0) & near, np.uint8(UNKNOWN), labels)


def aligned(stack: Stack) -> Stack:
    """The same on pixels of half the size, grey values interpolated, labels moved half a (former) pixel back to where the
    contours belong. What comes in from beyond the last row and column is 0."""
    geometry = stack.scan.geometry
    fine = replace(
        geometry,
        size=(2 * geometry.size[0], 2 * geometry.size[1], geometry.size[2]),
        spacing=(geometry.spacing[0] / 2, geometry.spacing[1] / 2, geometry.spacing[2]),
        origin=tuple(geometry.point((-0.25, -0.25, 0.0))),
    )
    image = sitk.Resample(stack.scan.image(), fine.to_image(), sitk.Transform(), sitk.sitkLinear)
    labels = np.zeros(fine.shape, np.uint8)
    labels[:, :-1, :-1] = stack.labels.array.repeat(2, axis=1).repeat(2, axis=2)[:, 1:, 1:]
    return replace(
        stack, scan=replace(stack.scan, array=sitk.GetArrayFromImage(image), geometry=fine),
        labels=Volume(labels, fine, stack.labels.name),
    )  # fmt: skip


def write_training(data: Path, folder: Path, all_patients: bool = False) -> int:
    """Write the stacks of TRAINING, or of all 29, `aligned`, to folder/images and folder/labels; how many. OSError."""
    stacks = [contoured_stack(data, name) for name in names(CONTOURED if all_patients else TRAINING)]
    stacks += [open_stack(data, name) for name in names(OPEN)] if all_patients else []
    for stack in stacks:
        made = aligned(stack)
        for kind, volume in (("images", made.scan), ("labels", made.labels)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            writing.write(volume, folder / kind / f"{stack.name}.nii.gz")
    return len(stacks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the real scans")
    parser.add_argument("folder", type=Path, help="folder to write to")
    parser.add_argument("--all", action="store_true", help="of all patients with contours: nothing is left to judge by")
    options = parser.parse_args()
    print(f"{write_training(options.data, options.folder, options.all)} stacks are in {options.folder}")
