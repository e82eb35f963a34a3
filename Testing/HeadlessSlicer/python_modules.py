"""Stand-ins for Python modules of Slicer: i18n, packaging, SampleData, PyTorchUtils."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import subprocess
import sys
import types
from typing import ClassVar

import slicer
from packaging.requirements import Requirement


def add_module(name: str, **members) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    return module


class Packaging:
    """slicer.packaging: remembers what was asked for; asks the person, fails and wants a restart as Slicer's does.

    missing: names of packages that count as not installed. fails: pip cannot install them. loaded: they were imported
    before, so Slicer has to be restarted. Nothing is ever installed.
    """

    def __init__(self):
        self.asked: list[tuple[list[str], str | None]] = []
        self.missing: set[str] = set()
        self.fails, self.loaded, self.restarted = False, False, False

    @staticmethod
    def load_requirements(path) -> list[Requirement]:
        with open(path, encoding="utf-8") as file:
            lines = [line.strip() for line in file]
        return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]

    def pip_check(self, requirement: Requirement | list[Requirement]) -> bool:
        if isinstance(requirement, list):
            return all(self.pip_check(each) for each in requirement)
        if requirement.name in self.missing:
            return False
        try:
            return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
        except importlib.metadata.PackageNotFoundError:
            return False

    def pip_ensure(
        self,
        requirements: list[Requirement],
        constraints: str | None = None,
        skip_packages: list[str] | None = None,
        prompt_install: bool = True,
        prompt_restart: bool = True,
        requester: str | None = None,
        skip_in_testing: bool = True,
        show_progress: bool = True,
    ) -> list[str] | None:
        self.asked.append(([str(each) for each in requirements], requester))
        missing = [each for each in requirements if not self.pip_check(each)]
        if not missing or (skip_in_testing and slicer.app.testingEnabled()):
            return None
        if prompt_install and not slicer.util.confirmOkCancelDisplay(
            f"{len(missing)} Python packages need to be installed.", f"{requester} - Install Python Packages"
        ):
            raise RuntimeError("User declined package installation")
        self.pip_install([str(each) for each in missing], constraints, requester=requester)
        if self.loaded and prompt_restart and slicer.util.confirmYesNoDisplay("Would you like to restart now?"):
            self.restarted = True
        return None

    def pip_install(
        self,
        requirements: str | list[str],
        constraints: str | None = None,
        no_deps_requirements: str | list[str] | None = None,
        skip_packages: list[str] | None = None,
        blocking: bool = True,
        show_progress: bool = True,
        requester: str | None = None,
        parent=None,
        logCallback=None,
        completedCallback=None,
    ) -> None:
        wanted = requirements.split() if isinstance(requirements, str) else list(requirements)
        if self.fails:
            raise subprocess.CalledProcessError(1, ["/x/bin/PythonSlicer", "-m", "pip", "install", *wanted])
        self.missing -= {Requirement(each).name for each in wanted if not each.startswith(("-", ":"))}


class DicomDatabase:
    """slicer.dicomDatabase: knows the files that a test has put into `files`, by the UID of their instance.

    `insert` takes the files of a folder, as an import does: patients by name and id, studies, series; the keys of patients
    are numbers as texts, as ctkDICOMDatabase's are.
    """

    def __init__(self):
        self.files: dict[str, str] = {}
        self.isOpen = True
        self._headers: dict[str, object] = {}

    def insert(self, folder) -> None:
        import pydicom

        for path in sorted(folder.rglob("*.dcm")):
            self._headers[str(path)] = pydicom.dcmread(path, stop_before_pixels=True)

    def forget(self) -> None:
        self.files.clear()
        self._headers.clear()

    def _people(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((str(h.PatientName), str(h.PatientID)) for h in self._headers.values()))

    def patients(self) -> list[str]:
        return [str(number + 1) for number in range(len(self._people()))]

    def studiesForPatient(self, patient: str) -> list[str]:
        person = self._people()[int(patient) - 1]
        own = (h for h in self._headers.values() if (str(h.PatientName), str(h.PatientID)) == person)
        return list(dict.fromkeys(str(h.StudyInstanceUID) for h in own))

    def seriesForStudy(self, study: str) -> list[str]:
        own = (h for h in self._headers.values() if str(h.StudyInstanceUID) == study)
        return list(dict.fromkeys(str(h.SeriesInstanceUID) for h in own))

    def filesForSeries(self, series: str) -> list[str]:
        return [path for path, h in self._headers.items() if str(h.SeriesInstanceUID) == series]

    def fileValue(self, fileName: str, tag: str) -> str:
        group, element = (int(part, 16) for part in tag.split(","))
        found = self._headers[fileName].get((group, element))
        return "" if found is None else str(found.value)

    def fileForInstance(self, sopInstanceUID: str) -> str:
        return self.files.get(sopInstanceUID, "")


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
    """SampleData.SampleDataLogic: keeps the sources in slicer.modules.sampleDataSources by category.

    A script's `downloadSample` fetches the source's addresses and knows nothing of its `customDownloader`, which only
    the panel's button calls. Here nothing can be fetched: `requested` says what was asked for.
    """

    requested: ClassVar[list[str]] = []
    ATTEMPTS = 3

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

    def sourceForSampleName(self, name: str):
        for sources in slicer.modules.sampleDataSources.values():
            for source in sources:
                if source.sampleName == name:
                    return source
        return None

    def downloadSample(self, name: str) -> list:
        return self.downloadFromSource(self.sourceForSampleName(name))

    def downloadFromSource(self, source, maximumAttemptsCount: int = ATTEMPTS) -> list:
        nodes = []
        for address in source.uris:
            for _ in range(maximumAttemptsCount):
                self.requested.append(address)
                path = address.removeprefix("file://")
                if path != address and os.path.exists(path):
                    nodes.append(slicer.util.loadVolume(path))
                    break
                logging.error("Download failed: %s", address)
        return nodes


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
        pip_install=packaging.pip_install,
        load_requirements=packaging.load_requirements,
    )
    names = scripted_module.__all__
    members = {name: getattr(scripted_module, name) for name in names}
    slicer.ScriptedLoadableModule = add_module("slicer.ScriptedLoadableModule", __all__=names, **members)
    names = ["parameterNodeWrapper", "WithinRange", "Choice", "Default"]
    members = {name: getattr(parameter_node, name) for name in names}
    slicer.parameterNodeWrapper = add_module("slicer.parameterNodeWrapper", __all__=names, **members)
    slicer.dicomDatabase = DicomDatabase()
    add_module(
        "SampleData",
        SampleDataLogic=SampleDataLogic,
        downloadSample=lambda name: SampleDataLogic().downloadSample(name),
    )
    return packaging
