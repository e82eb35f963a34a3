"""Images written to files: complete, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import SimpleITK as sitk

from ..support.errors import VolumeError
from ..support.files import made
from .checks import SUFFIXES, reason_of
from .geometry import Volume
from .nifti import check_nifti

HEADERS_ALONE = (".nhdr", ".mhd")  # their voxels would lie in a second file


def write(volume: Volume, path: str | os.PathLike) -> None:
    """Write a volume's array [k, j, i] and its grid; complete or not at all. OSError, VolumeError on a bad suffix."""
    write_image(volume.image(), path)


def write_image(image: sitk.Image, path: str | os.PathLike) -> None:
    """`write` for a SimpleITK image of any dimension, with its metadata; compressed. OSError, VolumeError."""
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES) or path.name.lower().endswith(HEADERS_ALONE):
        raise VolumeError(f"{path} has no suffix that can be written; end it in .nii.gz, .nrrd or .mha.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it first.")

    def check(temporary: Path) -> None:  # of a full disk ITK says nothing when it writes NIfTI
        try:
            whole = check_nifti(temporary) or ".nii" not in temporary.suffixes
        except VolumeError:
            whole = False
        if not whole:
            raise OSError(f"{path} cannot be written: only a part of it reached the disk; is the disk full?")

    try:
        with made(path, check) as temporary:
            sitk.WriteImage(image, str(temporary), True)
    except RuntimeError as error:
        raise OSError(
            f"{path} cannot be written: {reason_of(error)}; is the disk full or the folder protected?"
        ) from error
