"""What the panel remembers in the scene."""

from __future__ import annotations

import enum

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper


class Device(enum.Enum):
    """Where the network runs; the value is the library's word for it."""

    AUTOMATIC = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"

    def label(self) -> str:
        return {
            "auto": _("Automatic"),
            "cpu": _("Processor (CPU)"),
            "cuda": _("NVIDIA graphics (CUDA)"),
            "mps": _("Apple graphics (MPS)"),
        }[self.value]


class Precision(enum.Enum):
    """The numbers in which it computes; the value is the library's word for it."""

    AUTOMATIC = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"

    def label(self) -> str:
        return {
            "auto": _("Automatic"),
            "float32": _("32 bit (float32)"),
            "bfloat16": _("16 bit, faster on some devices (bfloat16)"),
        }[self.value]


class Views(enum.Enum):
    """The planes in which the network looks at the heart; the value is the library's word for it."""

    AUTOMATIC = "auto"
    ONE = "one"
    THREE = "three"

    def label(self) -> str:
        return {"auto": _("Automatic"), "one": _("The scan's own, in half the time"), "three": _("Three, averaged")}[
            self.value
        ]


class Smoothing(enum.Enum):
    """How far surfaces in 3D are smoothed, which changes no voxel; the value is Slicer's factor, 0 to 1."""

    NONE = 0.0
    MEDIUM = 0.5
    STRONG = 0.8

    def label(self) -> str:
        return {0.0: _("None: the voxels are seen"), 0.5: _("Medium"), 0.8: _("Strong")}[self.value]


class BatchSource(enum.Enum):
    """Where the scans of a batch come from."""

    FOLDER = "folder"
    SCENE = "scene"
    DICOM = "dicom"

    def label(self) -> str:
        return {
            "folder": _("A folder"),
            "scene": _("Volumes of this scene"),
            "dicom": _("Studies of the DICOM database"),
        }[self.value]


class CineSource(enum.Enum):
    """Where the study of a cine comes from."""

    SCENE = "scene"
    FOLDER = "folder"

    def label(self) -> str:
        return {"scene": _("This scene"), "folder": _("A folder")}[self.value]


@parameterNodeWrapper
class SIFASegmentationParameterNode:
    """model: `id@version`, or empty for the default one. excludedStructures: ids, divided by spaces.

    batchFolder, batchOutput, cineFolder: paths, or empty. allTimePoints: counts only where the input volume shows a
    sequence.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    roi: vtkMRMLMarkupsROINode
    model: str = ""
    device: Device = Device.AUTOMATIC
    precision: Precision = Precision.AUTOMATIC
    views: Views = Views.AUTOMATIC
    uncertainty: bool = False
    show3D: bool = False
    smoothing: Smoothing = Smoothing.MEDIUM
    allTimePoints: bool = True
    excludedStructures: str = ""
    batchSource: BatchSource = BatchSource.FOLDER
    batchFolder: str = ""
    batchOutput: str = ""
    cineSource: CineSource = CineSource.SCENE
    cineFolder: str = ""
