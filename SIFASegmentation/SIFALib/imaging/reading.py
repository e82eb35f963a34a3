"""Reading a scan: its files are looked through first, because ITK lets much pass that is no image."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..support.errors import VolumeError
from . import dicom_series, nifti
from .checks import COPIES, OTHER_KIND, SUFFIXES, TOO_LARGE, check_grid, check_header, check_room, reason_of
from .files import DICOM, existing, is_dicom_image, split_suffix
from .geometry import Volume
from .header_places import notes_on_place
from .headers import META, Header
from .voxel_data import bytes_more, check_voxel_data
from .voxel_files import bytes_more_of_files, check_files

MORE = (
    "{} holds {} bytes more than {} says, which were taken for what follows the voxels. If they stand before them, or the "
    "size is another one, the image is moved or torn: look at it before you use the result."
)

_BYTES = {
    sitk.sitkInt8: 1, sitk.sitkUInt8: 1, sitk.sitkInt16: 2, sitk.sitkUInt16: 2, sitk.sitkInt32: 4, sitk.sitkUInt32: 4,
    sitk.sitkFloat32: 4, sitk.sitkVectorInt8: 1, sitk.sitkVectorUInt8: 1, sitk.sitkVectorInt16: 2,
    sitk.sitkVectorUInt16: 2, sitk.sitkVectorInt32: 4, sitk.sitkVectorUInt32: 4, sitk.sitkVectorFloat32: 4,
}  # fmt: skip
"""Of a voxel; the types that are left have eight."""


def read(path: str | os.PathLike[str]) -> Volume:
    """The 3D image in a NIfTI, NRRD or MetaImage file, or in a folder with one DICOM series; grey values as stored.

    Raises FileNotFoundError, OSError for a name that is no text, or VolumeError that says what is wrong with the file.
    A 4D file is refused: it holds several images, and which one is meant must be said first.
    """
    path = existing(path)
    return dicom_series.read_series(path) if path.is_dir() else _read_file(path)


def read_layers(path: str | os.PathLike[str]) -> tuple[list[Volume], dict[str, str]]:
    """The layers of a segmentation of 3D Slicer (.seg.nrrd), most often one, and the fields of its header.

    Raises what `read` does.
    """
    path = existing(path)
    image, name, _, fields = _image_of(path, layers=True)
    count = image.GetNumberOfComponentsPerPixel()
    layers = [image] if count == 1 else [sitk.VectorIndexSelectionCast(image, n) for n in range(count)]
    return [Volume.of(layer, name, str(path)) for layer in layers], fields


def _read_file(path: Path) -> Volume:
    """The 3D image in a file, checked on the way; VolumeError."""
    suffix, name = _suffix(path)
    if suffix in nifti.SUFFIXES:
        return nifti.read_nifti(path, name)
    image, name, header, _ = _image_of(path)
    return replace(Volume.of(image, name, str(path)), notes=notes_of(header))


def _suffix(path: Path) -> tuple[str, str]:
    """What the name of an image's file ends in, and what is before that; VolumeError for what can be none."""
    stem, suffix = split_suffix(path.name)
    if not suffix:
        if path.suffix.lower() in filter(None, DICOM) or is_dicom_image(path):
            raise VolumeError(f"{path} is one DICOM file; give the folder that holds the whole series.")
        raise VolumeError(f"{path} is of no known kind; give {', '.join(SUFFIXES)} or a folder of DICOM files.")
    if path.stat().st_size == 0:
        raise VolumeError(f"{path} is empty (0 bytes); copy it again from where it came.")
    return suffix, stem or path.name


def notes_of(header: Header | None) -> tuple[str, ...]:
    """What should be said of the header of an NRRD or MetaImage file."""
    if header is None:
        return ()
    more = bytes_more_of_files(header) if header.several else bytes_more(header)
    place = f"What {header.path.name} names ({header.name})" if header.several else header.name
    told = (MORE.format(place, more, header.path.name),) if more else ()
    return (*notes_on_place(header.path, header.fields, header.nrrd), *told)


def _image_of(path: Path, layers: bool = False) -> tuple[sitk.Image, str, Header | None, dict[str, str]]:
    """The image in an NRRD or MetaImage file, its name, its header, and the fields of that as ITK has them. layers: several
    are allowed of a segmentation. VolumeError."""
    _, name = _suffix(path)
    header, reader = open_image(path)
    components, fields = reader.GetNumberOfComponents(), {k: reader.GetMetaData(k) for k in reader.GetMetaDataKeys()}
    if header is not None and "list" in header.fields.get("kinds", ""):
        if layers and "Segment0_ID" in fields:
            components = 1
        else:
            _check_list(path, reader)
    check_header(path, reader.GetDimension(), reader.GetSize(), components)
    axes = np.reshape(reader.GetDirection(), [reader.GetDimension()] * 2)[:3, :3]
    spacing = np.abs(reader.GetSpacing()[:3])  # ITK turns an axis of negative spacing round
    check_grid(path, spacing, reader.GetOrigin()[:3], axes)
    image = voxels_of(path, reader)
    while image.GetDimension() > 3:  # a fourth axis of length one carries nothing
        image = image[..., 0]
    return image, name, header, fields


def open_image(path: Path) -> tuple[Header | None, sitk.ImageFileReader]:
    """The header of an NRRD or MetaImage file, checked, and a reader that has read it, too. VolumeError, OSError."""
    header = check_voxel_data(path)
    if header is not None:
        check_files(header)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    is_meta = path.name.lower().endswith(META)
    reader.SetImageIO("MetaImageIO" if is_meta else "NrrdImageIO")  # no other looks into the file
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise VolumeError(_unreadable(path, str(error))) from error
    return header, reader


def voxels_of(path: Path, reader: sitk.ImageFileReader) -> sitk.Image:
    """The image of `open_image`; VolumeError."""
    voxels = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
    check_room(path, reader.GetSize(), COPIES * voxels * _BYTES.get(reader.GetPixelID(), 8))
    try:
        image: sitk.Image = reader.Execute()
        return image
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            raise VolumeError(TOO_LARGE.format(path, reader.GetSize())) from error
        raise VolumeError(f"{path} is damaged or cut off. Copy it again.") from error


def _check_list(path: Path, reader: sitk.ImageFileReader) -> None:
    """VolumeError for an NRRD file of several images: a sequence, or a segmentation in layers, as 3D Slicer saves them."""
    count = reader.GetNumberOfComponents()
    if count > 1 and reader.HasMetaDataKey("Segment0_ID"):
        raise VolumeError(
            f"{path} is a segmentation of {count} layers, because its segments overlap; export it from 3D Slicer as a "
            "label map."
        )
    if count > 1:
        raise VolumeError(
            f"{path} is a sequence of {count} volumes; save the time point that you want as a file of its own.",
            advice="cine",
        )


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
        return OTHER_KIND.format(path)
    return f"{path} cannot be read as an image: {reason_of(complaint)}. It may be damaged."
