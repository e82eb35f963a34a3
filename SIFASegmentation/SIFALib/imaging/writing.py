"""Images written to files: complete, or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
from pathlib import Path

import SimpleITK as sitk

from ..support.errors import RequestError, VolumeError
from ..support.files import made
from .checks import SUFFIXES, reason_of
from .forms import Forms
from .geometry import Geometry, Volume
from .nifti import SUFFIXES as NIFTI
from .nifti import check_nifti
from .nifti_forms import HEADER, with_forms, without_time
from .voxel_data import check_voxel_data

CHUNK = 4 * 1024**2  # bytes packed at once
HEADERS_ALONE = (".nhdr", ".mhd")  # their voxels would lie in a second file


def write(volume: Volume, path: str | os.PathLike[str]) -> None:
    """Write a volume's array [k, j, i] and its grid; complete or not at all. OSError, VolumeError on a bad suffix."""
    check_holds(volume.geometry, path)
    write_image(volume.image(), path, volume.geometry.forms)


def check_holds(geometry: Geometry, *paths: str | os.PathLike[str] | None) -> None:
    """RequestError unless files of these names can hold the grid; None: no file. NIfTI cannot hold a sheared one."""
    for path in paths:
        if path is not None and str(path).lower().endswith(NIFTI) and geometry.sheared_mm:
            raise RequestError(
                f"The scan has axes that are not at right angles to each other, which NIfTI cannot hold ({path} would "
                f"lie up to {geometry.sheared_mm:.3g} mm beside it); choose .seg.nrrd or .nrrd."
            )


def write_image(
    image: sitk.Image, path: str | os.PathLike[str], forms: Forms | None = None, timed: bool = True
) -> None:
    """`write` for a SimpleITK image of any dimension, with its metadata; compressed. OSError, VolumeError.

    forms: of the NIfTI file on whose grid the image is, for another one to lie over it in every program. timed: whether
    the distance along the fourth axis is known; if not, NIfTI gets no unit of time, of which ITK always writes one.
    """
    path = Path(path)
    if not path.name.lower().endswith(SUFFIXES) or path.name.lower().endswith(HEADERS_ALONE):
        raise VolumeError(f"{path} has no suffix that can be written; end it in .nii.gz, .nrrd or .mha.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"The folder {path.parent} does not exist; make it first.")

    def check(temporary: Path) -> None:  # of a full disk ITK says nothing, nor of a full share of it
        try:
            if ".nii" in temporary.suffixes:
                check_nifti(temporary)
            elif check_voxel_data(temporary) is None:
                raise VolumeError(f"{temporary} has no header.")
        except VolumeError as error:
            raise OSError(errno.ENOSPC, "only a part of it reached the disk; is the disk full?", str(path)) from error

    try:
        with made(path, check) as temporary:
            sitk.WriteImage(image, str(temporary), True)
            if (forms is not None or not timed) and str(temporary).endswith(NIFTI):
                _change_header(temporary, forms, timed)
    except RuntimeError as error:
        raise OSError(
            f"{path} cannot be written: {reason_of(error)}; is the disk full or the folder protected?"
        ) from error


def _change_header(path: Path, forms: Forms | None, timed: bool) -> None:
    """Put what `write_image` says into a NIfTI file that was just written, packed again if it is. OSError."""

    def changed(header: bytes) -> bytes:
        header = header if timed else without_time(header)
        return header if forms is None else with_forms(header, forms)

    if not path.name.endswith(".gz"):
        with open(path, "rb+") as file:
            header = file.read(HEADER)
            file.seek(0)
            file.write(changed(header))
        return
    unpacked = path.with_name(f"{path.name[: -len('.nii.gz')]}.nii")
    path.rename(unpacked)
    try:
        with gzip.open(unpacked, "rb") as source, gzip.open(path, "wb", 6) as target:
            target.write(changed(source.read(HEADER)))
            shutil.copyfileobj(source, target, CHUNK)
    finally:
        unpacked.unlink(missing_ok=True)
