"""Trainings without any GUI: their configuration, their processes, their folder, and the models that they become."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from SIFALib.support.errors import OUT_OF_MEMORY, RunError
from SIFASegmentationLib.Dependencies import Dependencies
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from . import Words
from .Parameters import SIFATrainingParameterNode, Source
from .ScanCopies import ScanCopies

if TYPE_CHECKING:
    from SIFALib.datasets import HeartBox
    from SIFALib.models import ModelPackage, ModelStore
    from SIFALib.runs import Configuration, RunFolder
    from SIFALib.runs.control import Seen
    from SIFALib.support.processes import Process

SETTING = "SIFA/RunsFolder"
WATCHED = "SIFA/WatchedRun"


@dataclass(frozen=True)
class Launched:
    """A process that was started for a run; before: which one had written the run's status until then."""

    child: subprocess.Popen[bytes]
    before: Process | None


class SIFATrainingLogic(ScriptedLoadableModuleLogic):
    """What the panel does with run folders; it keeps hold of the processes that it started, to see them end."""

    def __init__(self, dependencies: Dependencies | None = None, store: ModelStore | None = None) -> None:
        super().__init__()
        self.dependencies = dependencies or Dependencies(button=_("Start"))
        self._store = store
        self._launched: dict[Path, Launched] = {}
        self.copies = ScanCopies()

    def getParameterNode(self) -> SIFATrainingParameterNode:
        return SIFATrainingParameterNode(super().getParameterNode())  # type: ignore[call-arg]  # the decorator's

    # Places

    def store(self) -> ModelStore:
        from SIFALib.models.store import default_store

        return self._store or default_store()

    @property
    def environment(self) -> dict[str, str]:
        """What children need besides: where the models are."""
        from SIFALib.models.store import ENVIRONMENT

        return {ENVIRONMENT: str(self.store().user)}

    @property
    def runsFolder(self) -> Path:
        chosen = qt.QSettings().value(SETTING, "")
        return Path(chosen) if chosen else self.store().user.parent / "runs"

    @runsFolder.setter
    def runsFolder(self, folder: Path) -> None:
        qt.QSettings().setValue(SETTING, str(folder))

    def remember(self, folder: Path, state: str) -> None:
        """Keep in mind, also after this program's end, which run was looked at last and how it was."""
        qt.QSettings().setValue(WATCHED, json.dumps([str(folder), state]))

    def changedMeanwhile(self) -> Path | None:
        """The run that was looked at last, if it is not as it was then."""
        from SIFALib.runs import control

        try:
            path, state = json.loads(qt.QSettings().value(WATCHED, ""))
        except (ValueError, TypeError):
            return None
        folder = Path(path)
        if folder.parent != self.runsFolder or not (folder / "run.json").is_file():
            return None
        return folder if control.look(folder).state != state else None

    # Configurations

    def package(self, key: str = "") -> ModelPackage:
        """The model `id@version`, or in that folder, as runs of the command line name it, or the default one. ModelError."""
        from SIFALib.models.store import read_package

        if Path(key).is_absolute():
            return read_package(key)
        return self.store().get(key) if key else self.store().default()

    def configuration(
        self,
        parameters: SIFATrainingParameterNode,
        target: str,
        exclude: Sequence[str] = (),
        name: str = "run",
        hearts: Mapping[str, HeartBox] | None = None,
    ) -> Configuration:
        """What the panel's choices mean. hearts: boxes that the person corrected, by "target:NAME".

        RunError, ModelError or RecordError for what cannot be.
        """
        from SIFALib.datasets import places
        from SIFALib.runs import configuration, presets

        package = self.package(parameters.startModel)
        card = package.card
        own = parameters.source is Source.FOLDER
        built_in = "" if parameters.source is Source.OF_MODEL else parameters.source.value
        source = parameters.sourceFolder or "?" if own else built_in
        base = presets.within(parameters.preset.value, presets.adaptation(source, target, card))
        values: dict[str, Any] = {
            "name": name[:100],
            "data.label_values": json.loads(parameters.labelValues) if own else {},
            "data.partial_labels": own and parameters.partialLabels,
            "data.exclude": [f"target:{key}" for key in exclude],
            "data.places": places.records(hearts or {}),
            "device": parameters.device.value,
            "start_model": card.key,
        }
        return configuration.changed(base, values | json.loads(parameters.advanced))

    @staticmethod
    def text(configuration: Configuration) -> str:
        """A configuration as the library's tasks take it."""
        from SIFALib.runs.configuration import new_run_file

        return new_run_file(configuration).to_json()

    # Runs

    def create(self, configuration: Configuration) -> RunFolder:
        """A new run folder, named after the run and today. RunError, OSError."""
        from SIFALib import runs

        day = f"{datetime.now().astimezone():%Y-%m-%d}"
        stem = f"{day} {Words.slug(configuration.name)}"
        path, number = self.runsFolder / stem, 2
        while path.exists():
            path, number = self.runsFolder / f"{stem} {number}", number + 1
        folder = runs.create(path, configuration)
        self.copies.give(Path(configuration.data.target), folder.path)
        return folder

    def launch(self, folder: Path) -> None:
        """Start the training in that folder, or go on with it; it outlives this program. RunError, OSError."""
        from SIFALib.runs import control, launch

        seen = control.look(folder)
        if seen.error is not None:
            raise seen.error
        if seen.status is not None and seen.status.is_active():
            raise RunError(_("A process works on this run already."))
        for request in (seen.folder.stop_request, seen.folder.pause_request):
            request.unlink(missing_ok=True)
        before = seen.status.process if seen.status is not None else None
        child = launch.train(folder, self.dependencies.python, self.environment)
        self._launched[folder] = Launched(child, before)

    def goOn(self, folder: Path) -> None:
        """Go on with a run, with less memory if it ran out of that. RunError, OSError."""
        from SIFALib.runs import control

        seen = control.look(folder)
        less = self.withLessMemory(seen)
        if less is not None:
            with seen.folder.held():
                seen.folder.change(less)
        self.launch(folder)

    @staticmethod
    def withLessMemory(seen: Seen) -> Configuration | None:
        """What a run that ran out of memory should go on with: a batch in more parts, then the CPU; None for others."""
        if seen.run is None or seen.status is None or seen.state != "failed" or seen.status.reason != OUT_OF_MEMORY:
            return None
        c = seen.run.configuration
        parts = next((n for n in range(c.accumulate + 1, c.batch + 1) if c.batch % n == 0), None)
        if parts is not None:
            return dataclasses.replace(c, accumulate=parts)
        return dataclasses.replace(c, device="cpu") if c.device != "cpu" else None

    def launched(self, folder: Path) -> Launched | None:
        """The process that this program started for the run last; None if another one did."""
        return self._launched.get(folder)

    def kill(self, folder: Path) -> None:
        """End the run's process and all that it started, at once."""
        from SIFALib.runs import control, launch

        launched = self._launched.pop(folder, None)
        if launched is not None:
            launch.kill(launched.child)
        seen = control.look(folder)
        if seen.status is not None:
            launch.end(seen.status.process)

    @staticmethod
    def isOurs(seen: Seen) -> bool:
        """Whether this computer may work on the run: it did before or nobody did, and the folder can be written to."""
        if seen.error is not None or not os.access(seen.folder.path, os.W_OK):
            return False
        return seen.status is None or seen.status.process.is_here

    def runs(self) -> list[Seen]:
        """All runs below the folder of runs, the newest first."""
        from SIFALib.runs import control

        try:
            found = list(control.runs_in(self.runsFolder))
        except OSError:
            return []
        return sorted(found, key=lambda s: s.run.created if s.run else "", reverse=True)

    def goOnLonger(self, folder: Path, iterations: int) -> None:
        """Let a run have so many iterations in all, and go on with it. RunError, OSError."""
        from SIFALib.runs import RunFolder, configuration

        run = RunFolder(folder)
        with run.held():
            run.change(configuration.changed(run.read().configuration, {"iterations": iterations}))
        self.launch(folder)

    def delete(self, folder: Path) -> None:
        """Delete a run, and the copies of scans that were made for it. RunError if a process works on it, OSError."""
        from SIFALib.runs import RunFolder, control, status

        if control.look(folder).state in status.ACTIVE:
            raise RunError(_("A process works on this run; stop it first."))
        if not (folder / "run.json").is_file():
            raise RunError(_("{folder} is no run; it was not deleted.").format(folder=folder))
        with RunFolder(folder).held():
            scans = self.copies.of(folder)
        doomed = folder.with_name(f".{uuid.uuid4().hex}{ScanCopies.DELETED}")
        folder.rename(doomed)
        shutil.rmtree(doomed)
        if scans is not None:
            shutil.rmtree(scans, ignore_errors=True)

    # Models

    def exportModel(self, folder: Path, modelId: str, force: bool = False) -> ModelPackage:
        """The run's best segmenter as a model of the store. RunError says if it is worse; ModelError, OSError."""
        from SIFALib.runs import RunFolder, export

        store = self.store()
        taken = {p.card.version for p in store.packages() if p.card.id == modelId}
        minor = 0
        while f"1.{minor}.0" in taken or (store.user / f"{modelId}-1.{minor}.0").exists():
            minor += 1
        version = f"1.{minor}.0"
        return export.export(
            RunFolder(folder), store.user / f"{modelId}-{version}", modelId, version=version, force=force
        )

    @staticmethod
    def useInSegmentation(package: ModelPackage) -> None:
        """Choose the model in SIFA Segmentation."""
        from SIFASegmentationLib.Logic import SIFASegmentationLogic

        SIFASegmentationLogic().getParameterNode().model = package.card.key
