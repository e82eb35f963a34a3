"""A GPU whose memory runs out, in both panels: neither crashes, each says so and goes on with less."""

from __future__ import annotations

from segmentation_panel import SHAPE, cells, panel, run
from slicer_helpers import add_volume, ijk_to_ras, stage

# the lines above set the stage on which the others can be imported
# isort: split
import dataclasses
import os

import numpy as np
import pytest
import tiny_models
import torch
from SIFALib.models import store
from SIFALib.networks import devices, engine
from SIFALib.runs import RunFolder
from SIFALib.support.errors import OutOfMemory
from SIFASegmentationLib.Backend import LibraryBackend
from training_panel import TINY, choose, made_scans, opened, said, start, wait_for

__all__ = ["panel"]  # the fixture
# Stands in every child's way: an iteration that takes its whole batch at once does not fit.
SMALL_GPU = """
import torch
from SIFALib import adaptation
step = adaptation.step
def full(state, batch, precision, accumulate):
    if accumulate == 1:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    return step(state, batch, precision, accumulate)
adaptation.step = full
"""


class FullGpu(engine.Engine):
    """A GPU on which the weights find room, and not one slice beside them."""

    def batch_size(self, height: int, width: int) -> int:
        return 2

    def probabilities(self, batch):
        raise OutOfMemory(len(batch), self.device)


@pytest.fixture
def gpu(monkeypatch):
    """torch finds a GPU, which is full."""
    device, choose_device, prepare = torch.device("cuda:0"), devices.choose_device, engine.prepare

    def prepared(segmenter, where, dtype=torch.float32):
        made = prepare(segmenter, torch.device("cpu"), torch.float32)
        fields = {f.name: getattr(made, f.name) for f in dataclasses.fields(made)}
        return FullGpu(**{**fields, "device": device}) if where.type == "cuda" else made

    monkeypatch.setattr(devices, "choose_device", lambda name="auto": device if name == "auto" else choose_device(name))
    monkeypatch.setattr(devices, "choose_precision", lambda *_: torch.float32)
    monkeypatch.setattr(engine, "prepare", prepared)


@pytest.mark.usefixtures("gpu")
def test_a_segmentation_goes_on_on_the_cpu_and_the_panel_says_so(panel, tmp_path):
    tiny_models.write_constant(tmp_path / "models" / "tiny", 3, preprocessing=TINY)
    panel.logic.backend = LibraryBackend()
    panel.logic.backend.store = lambda: store.ModelStore(tmp_path / "models", tmp_path / "user")
    panel.refreshModels()
    noise = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    panel.ui.inputSelector.setCurrentNode(add_volume(noise, ijk_to_ras()))
    run(panel)
    assert not panel.ui.statusLabel.text, panel.ui.statusLabel.text
    assert float(cells(panel.ui.resultsTable)[2][1]) > 0
    told = panel.ui.flagsLabel.text
    for note in (
        "Memory ran out on cuda:0 with 2 slices at once; went on with 1.",
        "Memory ran out on cuda:0 even for one slice; went on on the CPU.",
    ):
        assert note in told
    assert "CPU, float32" in panel.ui.provenanceLabel.text


def test_a_training_fails_with_its_sentence_and_resume_goes_on_in_smaller_parts(tmp_path, monkeypatch):
    (tmp_path / "small gpu").mkdir()
    (tmp_path / "small gpu" / "sitecustomize.py").write_text(SMALL_GPU)
    with opened(tmp_path) as training:
        choose(training, made_scans(tmp_path))
        paths = [str(tmp_path / "small gpu"), str(stage.REPOSITORY / "SIFASegmentation")]
        environment = {**training.logic.environment, "PYTHONPATH": os.pathsep.join(paths)}
        monkeypatch.setattr(type(training.logic), "environment", property(lambda _self: environment))
        run_path = start(training)
        wait_for(training, "failed", "finished", "lost")
        assert said(training.ui.runStateLabel).startswith("Memory ran out. Press Resume")
        assert "in 2 parts" in said(training.ui.runStateLabel) and training.ui.pauseButton.text == "Resume"
        training.ui.pauseButton.click()
        wait_for(training, "finished", "lost")
        assert training.runView.state == "finished", said(training.ui.runStateLabel)
        assert RunFolder(run_path).read().configuration.accumulate == 2
