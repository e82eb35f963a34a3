"""The modules are light to load, say what they are, and bring their own sample data."""

from __future__ import annotations

import slicer_helpers
from slicer_helpers import WORLD, stage

# the lines above set the stage on which the others can be imported
# isort: split
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
from SIFASegmentationLib import LowFieldSamples, PhantomSamples

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


@pytest.fixture(autouse=True)
def empty_scene():
    stage.clear_scene()
    yield
    stage.clear_scene()


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
    assert sources.keys() == names
    for source in sources.values():
        assert Path(source.thumbnailFileName).read_bytes().startswith(b"\x89PNG")
        assert callable(source.customDownloader)


@pytest.mark.parametrize(("name", "low", "high"), [("SIFA phantom CT", -1100, 3100), ("SIFA phantom MR", 0, 4096)])
def test_sample_data_makes_a_phantom_here_without_any_connection(name, low, high, monkeypatch):
    import socket

    def refuse(*_arguments, **_keywords):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(PhantomSamples, "SPACING_MM", 4.0)
    monkeypatch.setattr(PhantomSamples.loadPhantom, "__defaults__", ("ct", PhantomSamples.SEED, 4.0, ""))
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == name]
    (node,) = source.customDownloader(source)
    array = slicer.util.arrayFromVolume(node)
    assert node.GetName() == name and node.GetDisplayNode() is not None
    assert low <= array.min() < array.max() <= high and array.std() > 1
    selection = WORLD.application_logic.GetSelectionNode()
    assert selection.GetActiveVolumeID() == node.GetID()


def test_sample_data_makes_scans_of_another_scanner(monkeypatch):
    monkeypatch.setattr(LowFieldSamples.load, "__defaults__", (range(2001, 2003), 5.0))
    (source,) = [s for s in slicer.modules.sampleDataSources["SIFA"] if s.sampleName == LowFieldSamples.NAME]
    first, second = source.customDownloader(source)
    assert (first.GetName(), second.GetName()) == ("Low field 1", "Low field 2")
    assert WORLD.application_logic.GetSelectionNode().GetActiveVolumeID() == first.GetID()
    arrays = [slicer.util.arrayFromVolume(node) for node in (first, second)]
    assert all(a.min() >= 0 and 400 < np.percentile(a, 90) < 2000 and a.dtype == np.int16 for a in arrays)
    assert arrays[0].shape != arrays[1].shape or not np.array_equal(*arrays)


def test_beating_phantom_is_a_sequence_whose_ventricle_beats(monkeypatch):
    defaults = (PhantomSamples.SEED, 8.0, (0, 300, 700))
    monkeypatch.setattr(PhantomSamples.loadBeatingPhantom, "__defaults__", defaults)
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

    node = PhantomSamples.loadPhantom("ct", seed=3, spacingMm=4.0)
    made = phantom.make(3, "ct", 4.0).image
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
