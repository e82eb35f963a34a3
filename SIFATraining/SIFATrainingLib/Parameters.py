"""What the panel remembers in the scene."""

from __future__ import annotations

import enum

from SIFASegmentationLib.Parameters import Device
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper


class Scans(enum.Enum):
    """Where the site's own scans come from."""

    FOLDER = "folder"
    DICOM = "dicom"
    SCENE = "scene"

    def label(self) -> str:
        return {
            "folder": _("A folder of images"),
            "dicom": _("A folder of DICOM series"),
            "scene": _("Volumes of this scene"),
        }[self.value]


class Source(enum.Enum):
    """What is learned from; the value is the library's word for it, or "model" or "folder"."""

    OF_MODEL = "model"
    PHANTOM = "phantom"
    PHANTOM_CT = "phantom:ct"
    PHANTOM_MR = "phantom:mr"
    FOLDER = "folder"

    def label(self) -> str:
        return {
            "model": _("What the model has learned from (built in)"),
            "phantom": _("The built-in phantom, in any contrast"),
            "phantom:ct": _("The built-in phantom, as a CT"),
            "phantom:mr": _("The built-in phantom, as an MR"),
            "folder": _("A folder of labelled images"),
        }[self.value]


class Preset(enum.Enum):
    """How long it trains; Presets.py says what each means."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"

    def label(self) -> str:
        return {"quick": _("Quick look"), "standard": _("Standard"), "thorough": _("Thorough")}[self.value]


@parameterNodeWrapper
class SIFATrainingParameterNode:
    """scansFolder, sourceFolder: paths, or empty. excludedScans, correctedHearts, labelValues, advanced: JSON.

    excludedScans: keys of rows that are not ticked. correctedHearts: as in HeartBoxes.
    labelValues: value in the label maps -> class. partialLabels: a structure that a label map lacks may be anywhere in its
    scan. advanced: dotted key
    of the configuration -> value, what the person changed. startModel: `id@version`, or empty for the default one.
    """

    scans: Scans = Scans.FOLDER
    scansFolder: str = ""
    excludedScans: str = "[]"
    correctedHearts: str = "{}"
    lookForHeart: bool = True
    source: Source = Source.OF_MODEL
    sourceFolder: str = ""
    labelValues: str = "{}"
    partialLabels: bool = False
    startModel: str = ""
    preset: Preset = Preset.STANDARD
    device: Device = Device.AUTOMATIC
    advanced: str = "{}"
