"""Stand-ins for Python modules of Slicer: i18n, packaging, SampleData, PyTorchUtils, SegmentEditor."""

from __future__ import annotations

import importlib.metadata
import sys
import types
from typing import ClassVar

import slicer


def add_module(name: str, **members) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


class Packaging:
    """slicer.packaging: remembers what was asked for; installs nothing, as Slicer in testing mode."""

    def __init__(self):
        self.asked: list[tuple[list[str], str | None]] = []
        self.declined = False

    @staticmethod
    def load_requirements(path) -> list[str]:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        return [line for line in lines if line and not line.startswith(("#", "-"))]

    @staticmethod
    def pip_check(requirements) -> bool:
        for requirement in [requirements] if isinstance(requirements, str) else requirements:
            try:
                importlib.metadata.version(requirement.split(">")[0].split("=")[0].strip())
            except importlib.metadata.PackageNotFoundError:
                return False
        return True

    def pip_ensure(self, requirements, *, requester: str | None = None, skip_in_testing: bool = True) -> None:
        self.asked.append((list(requirements), requester))
        if self.declined:
            raise RuntimeError("User declined package installation")


class PyTorchUtilsLogic:
    """The extension PyTorch; `installs` decides whether an installation ends well."""

    installs = True
    asked: ClassVar[list[str | None]] = []

    @staticmethod
    def torchInstalled() -> bool:
        return True

    def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None):
        type(self).asked.append(torchVersionRequirement)
        return types.ModuleType("torch") if self.installs else None


class SampleDataSource:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class SampleDataLogic:
    """SampleData.SampleDataLogic: keeps the sources in slicer.modules.sampleDataSources by category."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileType="VolumeFile",
        loadFiles=None,
        loadFileProperties={},  # noqa: B006 - as in Slicer
        checksums=None,
    ) -> None:
        if not all(isinstance(value, str) for value in (uris, fileNames, nodeNames)):
            raise ValueError("All fields of sample data source must have the same length")
        fields = {"sampleName": sampleName, "uris": [uris], "fileNames": [fileNames], "nodeNames": [nodeNames]}
        source = SampleDataSource(**fields, customDownloader=customDownloader, thumbnailFileName=thumbnailFileName)
        sources = slicer.modules.__dict__.setdefault("sampleDataSources", {})
        sources.setdefault(category, []).append(source)


class SegmentEditor:
    """The part of qMRMLSegmentEditorWidget that other modules set."""

    def __init__(self):
        self.segmentation, self.volume = None, None

    def setSegmentationNode(self, node) -> None:
        self.segmentation = node

    def setSourceVolumeNode(self, node) -> None:
        self.volume = node


def install() -> Packaging:
    """Put the stand-ins in place and return the one for slicer.packaging, for tests to look at."""
    from . import parameter_node, scripted_module

    i18n = add_module("slicer.i18n", tr=lambda text: text, translate=lambda context, text: text)
    packaging = Packaging()
    slicer.i18n = i18n
    slicer.packaging = add_module(
        "slicer.packaging",
        pip_ensure=packaging.pip_ensure,
        pip_check=packaging.pip_check,
        load_requirements=packaging.load_requirements,
    )
    names = scripted_module.__all__
    members = {name: getattr(scripted_module, name) for name in names}
    slicer.ScriptedLoadableModule = add_module("slicer.ScriptedLoadableModule", __all__=names, **members)
    names = ["parameterNodeWrapper", "WithinRange", "Choice", "Default"]
    members = {name: getattr(parameter_node, name) for name in names}
    slicer.parameterNodeWrapper = add_module("slicer.parameterNodeWrapper", __all__=names, **members)
    add_module("SampleData", SampleDataLogic=SampleDataLogic)
    return packaging
