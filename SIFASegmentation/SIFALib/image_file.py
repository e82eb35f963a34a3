"""Reading a NIfTI, NRRD or MetaImage file: looked through first, because ITK lets much pass that is no image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .nifti_file import check_nifti
from .support.errors import VolumeError
from .volume import SUFFIXES, Volume, check_grid, reason_of
from .voxel_data import check_voxel_data


def read_file(path: Path) -> Volume:
    """The 3D image in a file; VolumeError."""
    if not path.name.lower().endswith(SUFFIXES):
        if path.suffix.lower() in (".dcm", ".ima"):
            raise VolumeError(f"{path} is one DICOM file; give the folder that holds the whole series.")
        raise VolumeError(
            f"{path} is of no known kind; give {', '.join(SUFFIXES)} or a folder of DICOM files."
        )
    if path.stat().st_size == 0:
        raise VolumeError(f"{path} is empty (0 bytes); copy it again from where it came.")
    check_nifti(path)
    check_voxel_data(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(_unreadable(path, str(error))) from error
    check_header(path, reader.GetDimension(), reader.GetSize(), reader.GetNumberOfComponents())
    axes = np.reshape(reader.GetDirection(), [reader.GetDimension()] * 2)[:3, :3]
    spacing = np.abs(reader.GetSpacing()[:3])  # ITK turns an axis of negative spacing round
    check_grid(path, spacing, reader.GetOrigin()[:3], axes)
    try:
        image = reader.Execute()
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise VolumeError(
                f"{path} claims to hold {reader.GetSize()} voxels, for which memory does not suffice; close other "
                "programs, or mend its header."
            ) from error
        raise VolumeError(f"{path} is damaged or cut off. Copy it again.") from error
    while image.GetDimension() > 3:  # a fourth axis of length one carries nothing
        image = image[..., 0]
    return Volume.of(image, _stem(path), str(path))


def _unreadable(path: Path, complaint: str) -> str:
    """The sentence for a header that ITK refuses."""
    if "orthonormal" in complaint:
        return (
            f"{path} has axes that are not at right angles to each other (or none at all); resample it to a "
            "rectangular grid, or export it again."
        )
    if "space vector coefficients" in complaint:
        return f"{path} has an origin or axes that are not numbers (NaN or infinite). Mend its header."
    if "Unable to determine ImageIO" in complaint:
        return f"{path} cannot be read as an image: it is of another kind than its name says, or damaged."
    return f"{path} cannot be read as an image: {reason_of(complaint)}. It may be damaged."


def check_header(path: Path, dimension: int, size: Sequence[int], components: int) -> None:
    if dimension < 3:
        raise VolumeError(f"{path} has {dimension} dimensions; a volume with three is needed.")
    if any(n > 1 for n in size[3:]):
        raise VolumeError(
            f"{path} is a sequence of {int(np.prod(size[3:]))} volumes (size {tuple(size)}); "
            "save the time point that you want as a file of its own."
        )
    if components > 1:
        raise VolumeError(
            f"{path} has {components} values a voxel (a colour or vector image); a grey image is needed."
        )
    if min(size) < 1:
        raise VolumeError(
            f"{path} claims to hold {tuple(size)} voxels, which cannot be; its header is damaged."
        )
    if np.prod([float(n) for n in size]) > 4e9:
        raise VolumeError(
            f"{path} claims to hold {tuple(size)} voxels, too many to be read; its header may be damaged."
        )


def _stem(path: Path) -> str:
    suffix = next(s for s in SUFFIXES if path.name.lower().endswith(s))
    return path.name[: -len(suffix)] or path.name
