"""Images written to files: complete, or not at all."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import SimpleITK as sitk

from ..support.errors import VolumeError
from .checks import SUFFIXES, reason_of
from .geometry import Volume


def write(volume: Volume, path: str | os.PathLike) -> None:
    """Write an image file; it appears complete or not at all (temporary name, then rename). Raises OSError."""
    write_image(volume.image(), path)


def write_image(image: sitk.Image, path: str | os.PathLike) -> None:
    """`write` for a SimpleITK image, with its metadata; compressed. Raises OSError, VolumeError on a bad suffix."""
    path = Path(path)
    suffix = next((s for s in SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None or suffix in (".nhdr", ".mhd"):
        raise VolumeError(f"{path} has no suffix that can be written; end it in .nii.gz, .nrrd or .mha.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it first.")
    temporary = path.with_name(f".{uuid.uuid4().hex}{suffix}")
    try:
        sitk.WriteImage(image, str(temporary), True)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        _check_written(temporary, path)
        os.replace(temporary, path)
    except RuntimeError as error:
        raise OSError(
            f"{path} cannot be written: {reason_of(error)}; is the disk full or the folder protected?"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_written(temporary: Path, path: Path) -> None:
    """OSError if not all of the file is there: of a full disk ITK says nothing when it writes NIfTI."""
    from .nifti import check_nifti

    try:
        whole = check_nifti(temporary, finite=False) or ".nii" not in temporary.suffixes
    except VolumeError:
        whole = False
    if not whole:
        raise OSError(f"{path} cannot be written: only a part of it reached the disk; is the disk full?")
