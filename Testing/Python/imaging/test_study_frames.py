"""A study whose cine lies in multi-frame files: its phases are those that the frames state, or a sentence says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cine_studies as studies
import dicom_frames
import numpy as np
import pytest
from cine_studies import PHASES, PLACES, expect
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from SIFALib.imaging import reading
from SIFALib.imaging.study import read_cine
from SIFALib.support.errors import VolumeError


def test_enhanced_files_with_all_phases(tmp_path):
    order = [k for k in range(PLACES) for _ in range(PHASES)]
    times = [t + 1 for _ in range(PLACES) for t in range(PHASES)]
    array = studies.array()
    frames = np.array([array[t - 1, k] for k, t in zip(order, times, strict=True)])
    folder = dicom_frames.enhanced(tmp_path / "study", array[0], studies.geometry(), order, times, modality="MR")
    (file,) = folder.iterdir()
    header = dcmread(file)
    header.PixelData = frames.astype("<i2").tobytes()
    header.save_as(file)
    cine = read_cine(folder)
    expect(cine)
    assert "temporal position" in cine.notes[0]


def enhanced_places(folder: Path) -> Path:
    """A multi-frame file for each place, with the phases of that place."""
    for k in range(PLACES):
        grid = studies.geometry().part((0, 0, k), (studies.SIZE, studies.SIZE, 1))
        times = [t + 1 for t in range(PHASES)]
        dicom_frames.enhanced(folder / str(k), studies.array()[:1, k], grid, [0] * PHASES, times, modality="MR")
        header = dcmread(folder / str(k) / "000.dcm")
        header.PixelData, header.SOPInstanceUID = studies.array()[:, k].tobytes(), generate_uid()
        header.save_as(folder / str(k) / "000.dcm")
    return folder


def test_an_enhanced_file_for_each_place(tmp_path):
    (tmp_path / "study").mkdir()
    expect(read_cine(enhanced_places(tmp_path / "study")))


@pytest.mark.parametrize("stated", [{"RRIntervalTimeNominal": 1000.0}, {"HeartRate": 60}])
@pytest.mark.parametrize("trigger", ["NominalCardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime"])
def test_the_beat_of_an_enhanced_file_is_the_one_that_its_frames_state(tmp_path, stated, trigger):
    (tmp_path / "study").mkdir()
    for file in sorted(enhanced_places(tmp_path / "study").rglob("*.dcm")):
        header = dcmread(file)
        order = np.random.default_rng(int(file.parent.name)).permutation(PHASES)
        header.PixelData = np.array([header.pixel_array[t] for t in order]).tobytes()
        for t, group in zip(order, header.PerFrameFunctionalGroupsSequence, strict=True):
            beat = Dataset()
            for keyword, value in {**stated, trigger: 100.0 * t}.items():
                setattr(beat, keyword, value)
            group.CardiacSynchronizationSequence = [beat]
            del group.FrameContentSequence
        header.save_as(file)
    cine = read_cine(tmp_path / "study")
    expect(cine)
    assert (cine.heart_rate, cine.times_ms[:2], cine.notes) == (60.0, (0.0, 100.0), ())


def shuffled(folder: Path, state: Callable[[Dataset, Dataset, int], None], phases: range = range(PHASES)) -> Path:
    """One file with all frames of the study, the phases of each place in another order; state: what the groups of a frame,
    and its content among them, say of its phase."""
    order = [(k, int(t)) for k in range(PLACES) for t in np.random.default_rng(k).permutation(phases)]
    dicom_frames.enhanced(folder, studies.array()[0], studies.geometry(), [k for k, _ in order], modality="MR")
    (file,) = folder.iterdir()
    header = dcmread(file)
    header.PixelData = np.array([studies.array()[t, k] for k, t in order]).tobytes()
    for group, (_, t) in zip(header.PerFrameFunctionalGroupsSequence, order, strict=True):
        state(group, group.FrameContentSequence[0], t)
    header.save_as(file)
    return folder


def by_dimensions(file: Path, *keywords: str) -> None:
    """Say by what the frames of a file are numbered."""
    header = dcmread(file)
    header.DimensionIndexSequence = [Dataset() for _ in keywords]
    for item, keyword in zip(header.DimensionIndexSequence, keywords, strict=True):
        item.DimensionIndexPointer = tag_for_keyword(keyword)
    header.save_as(file)


@pytest.mark.parametrize("time", ["TemporalPositionIndex", "NominalCardiacTriggerDelayTime"])
def test_phases_that_only_the_numbers_of_dimensions_tell_are_found(tmp_path, time):
    def state(group: Dataset, content: Dataset, t: int) -> None:
        content.DimensionIndexValues = [1, content.InStackPositionNumber, t + 1]

    folder = shuffled(tmp_path / "study", state)
    by_dimensions(folder / "000.dcm", "StackID", "InStackPositionNumber", time)
    cine = read_cine(folder)
    expect(cine)
    assert "in order by their number among the times of the file" in cine.notes[0]
    with pytest.raises(
        VolumeError, match="a sequence of 8 phases of 5 slices, told apart by their number among the times"
    ):
        reading.read(folder)


def test_phases_that_only_a_time_after_the_first_tells_are_found_with_their_times(tmp_path):
    def state(group: Dataset, content: Dataset, t: int) -> None:
        group.TemporalPositionSequence = [Dataset()]
        group.TemporalPositionSequence[0].TemporalPositionTimeOffset = 0.1 * t  # s

    cine = read_cine(shuffled(tmp_path / "study", state))
    expect(cine)
    assert (cine.times_ms, cine.heart_rate) == (tuple(100.0 * t for t in range(PHASES)), 75)
    assert "in order by their time after the first phase" in " ".join(cine.notes)


def test_phases_that_lie_seconds_apart_are_no_beat(tmp_path):
    def state(group: Dataset, content: Dataset, t: int) -> None:
        content.TemporalPositionIndex = t + 1
        group.TemporalPositionSequence = [Dataset()]
        group.TemporalPositionSequence[0].TemporalPositionTimeOffset = 2.0 * t

    with pytest.raises(VolumeError, match="40 images at places without a beat"):
        read_cine(shuffled(tmp_path / "study", state))


def test_phase_images_beside_magnitudes_are_no_later_acquisition_of_these(tmp_path):
    def state(group: Dataset, content: Dataset, t: int) -> None:
        content.TemporalPositionIndex = t % (PHASES // 2) + 1
        group.MRImageFrameTypeSequence = [Dataset()]
        group.MRImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "CARDIAC", "NONE"]
        group.MRImageFrameTypeSequence[0].ComplexImageComponent = "MAGNITUDE" if t < PHASES // 2 else "PHASE"

    folder = shuffled(tmp_path / "study", state)
    with pytest.raises(VolumeError, match="a measurement of flow"):
        read_cine(folder)
    with pytest.raises(VolumeError, match="several images of each slice"):
        reading.read(folder)
