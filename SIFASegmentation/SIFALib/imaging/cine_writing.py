"""Labels of all phases as files: NIfTI with four axes, and .seq.nrrd, which 3D Slicer's Sequences load.

A .seq.nrrd is an NRRD file whose first axis is a list of volumes, and whose header names the moment of each (Slicer's
volume sequences).
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..support.files import write_bytes
from .geometry import Geometry
from .writing import check_holds, write_image

PACKED = 6  # of gzip


def write_nifti(labels: np.ndarray, geometry: Geometry, step_ms: float, path: str | os.PathLike[str]) -> None:
    """Write uint8 [t, k, j, i] as NIfTI, in the forms of the scan's; step_ms: between phases, 0 if not known.

    OSError, RequestError.
    """
    check_holds(geometry, path)
    image = sitk.JoinSeries([geometry.to_image(np.ascontiguousarray(phase)) for phase in labels])
    image.SetSpacing((*geometry.spacing, step_ms / 1000.0 or 1.0))  # ITK writes seconds
    write_image(image, path, geometry.forms, timed=step_ms > 0)


def write_seq_nrrd(
    labels: np.ndarray, geometry: Geometry, moments: Sequence[float], path: str | os.PathLike[str], unit: str = "ms"
) -> None:
    """Write uint8 [t, k, j, i] as a sequence of volumes; moments: of each phase, in `unit`. OSError."""
    columns = geometry.axes * np.array(geometry.spacing)
    directions = " ".join(_vector(columns[:, axis]) for axis in range(3))
    lines = (
        "NRRD0005",
        "type: unsigned char",
        "dimension: 4",
        "space: left-posterior-superior",
        f"sizes: {len(labels)} {' '.join(map(str, geometry.size))}",
        f"space directions: none {directions}",
        "kinds: list domain domain domain",
        f'labels: "{"time" if unit else "phase"}" "" "" ""',
        f'units: "{unit}" "" "" ""',
        "encoding: gzip",
        f"space origin: {_vector(geometry.origin)}",
        "measurement frame: (1,0,0) (0,1,0) (0,0,1)",
        "DataNodeClassName:=vtkMRMLLabelMapVolumeNode",
        "axis 0 index type:=numeric",
        f"axis 0 index values:={' '.join(f'{m:g}' for m in moments)}",
    )
    voxels = np.ascontiguousarray(np.moveaxis(labels.astype(np.uint8, copy=False), 0, -1))
    header = "\n".join(lines) + "\n\n"
    write_bytes(Path(path), header.encode("ascii") + gzip.compress(voxels.tobytes(), PACKED, mtime=0))


def _vector(numbers: Sequence[float] | np.ndarray) -> str:
    return "(" + ",".join(repr(float(n)) for n in numbers) + ")"
