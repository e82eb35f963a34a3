"""The modules are light to load, say what they are, and bring their own sample data."""

from __future__ import annotations

import slicer_helpers
from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import logging
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from SIFASegmentationLib import LowFieldSamples, PhantomSamples, RealSamples
from SIFASegmentationLib.Logic import SIFASegmentationLogic

ROOT = stage.REPOSITORY
HEAVY = ("torch", "skimage", "scipy", "safetensors", "SimpleITK")
LOAD = """
import sys
sys.path.insert(0, {testing!r})
from HeadlessSlicer import stage
stage.start()
stage.load_modules()
print(sorted(set({heavy!r}) & set(sys.modules)))
stage.open_module("SIFASegmentation"), stage.open_module("SIFATraining")
print(sorted({{"torch", "skimage", "scipy"}} & set(sys.modules)))
"""


def test_start_up_imports_nothing_heavy_and_neither_does_opening_the_panels():
    script = LOAD.format(testing=str(ROOT / "Testing"), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    loaded, opened = done.stdout.split("\n")[:2]
    assert opened == "[]"
    assert loaded in ("[]", "['SimpleITK']")  # Slicer brings SimpleITK


@pytest.mark.parametrize("name", ["SIFASegmentation", "SIFATraining"])
def test_module_file_is_glue(name):
    assert len((ROOT / name / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("name", ["SIFASegmentation", "SIFATraining"])
def test_module_says_what_it_is(name):
    module = getattr(slicer.modules, name.lower())
    assert module.title.startswith("SIFA ") and module.categories == ["Segmentation"]
    assert "<a href=" in module.helpText and "2002.02255" in module.acknowledgementText
    assert name in slicer.selfTests


def test_sample_data_offers_phantoms_with_thumbnails():
    sources = {s.sampleName: s for s in slicer.modules.sampleDataSources["SIFA"]}
    names = {"SIFA phantom CT", "SIFA phantom MR", "SIFA phantom beating", "SIFA low-field phantoms"}
    assert sources.keys() == names | {RealSamples.NAME}
    for source in sources.values():
        assert Path(source.thumbnailFileName).read_bytes().startswith(b"\x89PNG")
        assert callable(source.customDownloader)


@pytest.mark.parametrize(("name", "low", "high"), [("SIFA phantom CT", -1100, 3100), ("SIFA phantom MR", 0, 4096)])
def test_sample_data_makes_a_phantom_here_without_any_connection(name, low, high, monkeypatch):
    import socket

    def refuse(*_arguments, **_keywords):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(PhantomSamples, "SPACING_MM", 8.0)
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == name]
    (node,) = source.customDownloader(source)
    array = slicer.util.arrayFromVolume(node)
    assert node.GetName() == name and node.GetDisplayNode() is not None
    assert low <= array.min() < array.max() <= high and array.std() > 1
    selection = WORLD.application_logic.GetSelectionNode()
    assert selection.GetActiveVolumeID() == node.GetID()


@pytest.fixture
def quick(monkeypatch):
    """Phantoms that are made at once, after a moment in which Slicer may answer."""
    from SIFALib import phantom
    from SIFALib.imaging import Volume

    def make(*_arguments, **_keywords):
        time.sleep(0.1)
        geometry = slicer_helpers.Geometry((4, 4, 4), (0.0,) * 3, (1.0,) * 3, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
        return types.SimpleNamespace(image=Volume(np.zeros((4, 4, 4), np.int16), geometry, "Phantom"))

    monkeypatch.setattr(phantom, "make", make)


def test_a_script_asks_for_sample_data_without_any_network(monkeypatch, quick):
    import SampleData

    monkeypatch.setattr(SampleData.SampleDataLogic, "requested", [])
    assert SampleData.downloadSample("SIFA phantom CT") == []
    assert all(
        address.startswith("file:") and "loadSample" in address for address in SampleData.SampleDataLogic.requested
    )
    (node,) = SIFASegmentationLogic.loadSample("SIFA phantom MR")
    assert node.GetName().startswith("SIFA phantom MR") and node.GetImageData() is not None
    with pytest.raises(ValueError, match="There are: SIFA phantom CT, SIFA phantom MR, SIFA phantom beating, SIFA low"):
        SIFASegmentationLogic.loadSample("a heart")


def test_sample_data_that_is_cancelled_makes_nothing(monkeypatch, quick):
    before = slicer.mrmlScene.GetNumberOfNodes()
    monkeypatch.setattr(qt.QProgressDialog, "wasCanceled", property(lambda _self: True))
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == "SIFA phantom CT"]
    with stage.person():
        assert source.customDownloader(source) == []
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_slicer_stays_alive_while_sample_data_is_made(quick):
    ticks, timer = [], qt.QTimer()
    timer.connect("timeout()", lambda: ticks.append(1))
    timer.start(1)
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == "SIFA phantom CT"]
    with stage.person():
        (node,) = source.customDownloader(source)
    timer.stop()
    assert ticks and node.GetImageData() is not None


def test_sample_data_makes_scans_of_another_scanner(monkeypatch):
    monkeypatch.setattr(LowFieldSamples.steps, "__defaults__", (range(2001, 2003), 5.0))
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == LowFieldSamples.NAME]
    first, second = source.customDownloader(source)
    assert (first.GetName(), second.GetName()) == ("Low field 1", "Low field 2")
    assert WORLD.application_logic.GetSelectionNode().GetActiveVolumeID() == first.GetID()
    arrays = [slicer.util.arrayFromVolume(node) for node in (first, second)]
    assert all(a.min() >= 0 and 400 < np.percentile(a, 90) < 2000 and a.dtype == np.int16 for a in arrays)
    assert arrays[0].shape != arrays[1].shape or not np.array_equal(*arrays)


def test_sample_data_has_real_hearts_that_came_along():
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == RealSamples.NAME]
    nodes = source.customDownloader(source)
    assert [node.GetName() for node in nodes] == [f"Short axis {n}" for n in range(1, 7)]
    assert WORLD.application_logic.GetSelectionNode().GetActiveVolumeID() == nodes[0].GetID()
    for node in nodes:
        assert node.GetSpacing() == pytest.approx((1.4, 1.4, 8.0)) and 8 <= node.GetImageData().GetDimensions()[2] <= 10
    assert sum(path.stat().st_size for path in RealSamples.FOLDER.iterdir()) < 2e6


def test_beating_phantom_is_a_sequence_whose_ventricle_beats(monkeypatch):
    defaults = (PhantomSamples.SEED, 8.0, (0, 300, 700))
    monkeypatch.setattr(PhantomSamples.beatingSteps, "__defaults__", defaults)
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == PhantomSamples.BEATING]
    (node,) = source.customDownloader(source)
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForProxyNode(node)
    sequence = browser.GetSequenceNode(node)
    assert node.GetName() == PhantomSamples.BEATING and slicer.modules.sequences.shown is browser
    assert [sequence.GetNthIndexValue(n) for n in range(3)] == ["0", "300", "700"]
    images = [slicer.util.arrayFromVolume(sequence.GetNthDataNode(n)).astype(float) for n in range(3)]
    systolic, nearly_diastolic = (np.abs(images[n] - images[0]).sum() for n in (1, 2))
    assert systolic > 2 * nearly_diastolic > 0
    assert [PhantomSamples.systole(time) for time in (0, 300, 800)] == pytest.approx([0, 1, 0])


def test_phantom_in_the_scene_stands_where_the_library_made_it():
    from SIFALib import phantom

    node = PhantomSamples.loadPhantom("ct", seed=3, spacingMm=8.0)
    made = phantom.make(3, "ct", 8.0).image
    assert np.array_equal(slicer.util.arrayFromVolume(node), made.array)
    points = slicer_helpers.grid_points(made.geometry)
    assert np.allclose(slicer_helpers.world_points(node), points, atol=1e-6)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["SIFASegmentation", "SIFATraining"])
def test_self_test_passes(name):
    stage.open_module(name)
    slicer.selfTests[name]()


def test_nothing_is_printed_by_the_panel(capsys, caplog):
    with caplog.at_level(logging.DEBUG):
        widget = stage.open_module("SIFASegmentation")
        widget.enter()
    assert capsys.readouterr().out == ""
