"""A study with a cine in it: whatever is wrong with it, it is read rightly, or a sentence says why not."""

from __future__ import annotations

from pathlib import Path

import cine_studies as studies
import numpy as np
import pytest
import SimpleITK as sitk
from cine_studies import PHASES, PLACES, expect, image, images, write
from pydicom import dcmread
from pydicom.uid import generate_uid
from SIFALib.imaging.cine import BEAT_OF_IMAGES, Cine
from SIFALib.imaging.study import read_cine
from SIFALib.support.errors import VolumeError

SERIES = [generate_uid(entropy_srcs=["series", str(n)]) for n in range(20)]


def told(cine: Cine, *parts: str) -> None:
    for part in parts:
        assert part in " ".join(cine.notes), cine.notes


def test_a_study_in_one_series_is_read_to_the_last_value(tmp_path):
    cine = read_cine(write(tmp_path / "study", images()))
    expect(cine)
    assert cine.times_ms == tuple(100.0 * t for t in range(PHASES))
    assert cine.heart_rate == 75
    assert round(cine.body.surface_m2, 2) == 2.0
    assert (cine.modality, cine.notes) == ("mr", ())
    assert "lies as short axes do" in cine.chosen


def test_every_corner_lies_where_pydicom_says(tmp_path):
    cine = read_cine(write(tmp_path / "study", images()))
    for frames in cine.frames:
        for k, frame in enumerate(frames):
            header = dcmread(frame.file)
            row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
            down, right = map(float, header.PixelSpacing)
            for i, j in ((0, 0), (header.Columns - 1, header.Rows - 1)):
                point = np.array(header.ImagePositionPatient, float) + row * right * i + column * down * j
                np.testing.assert_allclose(cine.geometry.point((i, j, k)), point, atol=0.02)


def test_1_shuffled_files_in_folders_below(tmp_path):
    order = np.random.default_rng(0).permutation(PLACES * PHASES)
    everything = images()
    write(tmp_path / "study" / "a" / "b", everything, order[:17])
    write(tmp_path / "study" / "c", everything, order[17:])
    expect(read_cine(tmp_path / "study"))


def test_2_a_series_for_each_place(tmp_path):
    for k in range(PLACES):
        said = {"SeriesInstanceUID": SERIES[k], "SeriesNumber": 9 - k, "FrameOfReferenceUID": SERIES[10 + k]}
        write(tmp_path / "study" / f"Se{k}", [image(t, k, **said) for t in range(PHASES)])
    expect(read_cine(tmp_path / "study"))


def test_3_a_series_for_each_phase(tmp_path):
    expect(
        read_cine(write(tmp_path / "study", images(lambda t, k: {"SeriesInstanceUID": SERIES[t], "SeriesNumber": t})))
    )


def test_3_stills_of_several_kinds_are_no_phases(tmp_path):
    def kind(t: int, k: int) -> dict[str, object]:
        return {"SeriesInstanceUID": SERIES[t], "SeriesNumber": t, "SeriesDescription": f"kind {'abcdefgh'[t]}"}

    with pytest.raises(VolumeError, match="holds no stack of cine images"):
        read_cine(write(tmp_path / "study", images(kind)))


def test_5_the_numbers_of_a_retro_gated_place_may_begin_anywhere(tmp_path):
    expect(read_cine(write(tmp_path / "study", images(lambda t, k: {"InstanceNumber": (t + 3 * k) % PHASES + 1}))))


def test_6_without_trigger_times_the_temporal_positions_count_and_then_the_numbers(tmp_path):
    by_position = images(
        lambda t, k: {"TriggerTime": None, "TemporalPositionIdentifier": t + 1, "InstanceNumber": 90 - t}
    )
    cine = read_cine(write(tmp_path / "positions", by_position))
    expect(cine)
    told(cine, "in order by their temporal position")
    assert cine.times_ms == ()
    cine = read_cine(write(tmp_path / "numbers", images(lambda t, k: {"TriggerTime": None})))
    expect(cine)
    told(cine, "instance number", "check that all places begin at the same phase")


def test_7_images_without_any_time_are_refused(tmp_path):
    slices = images(lambda t, k: {"TriggerTime": None, "InstanceNumber": None, "SOPInstanceUID": generate_uid()})
    with pytest.raises(VolumeError, match="holds no stack of cine images"):
        read_cine(write(tmp_path / "study", slices))


def test_8_a_place_of_more_phases_is_resampled_in_time(tmp_path):
    slices = [*(image(t, k) for k in range(1, PLACES) for t in range(PHASES)), *(image(t, 0, 16) for t in range(16))]
    cine = read_cine(write(tmp_path / "study", slices))
    told(cine, "1 place has 16 phases and not 8; resampled in time to 8")
    np.testing.assert_array_equal(cine.array[:, 1:], studies.array()[:, 1:])
    np.testing.assert_array_equal(cine.array[3, 0], studies.heart(6, 0, 16))
    assert cine.sources_of(0) == ()


def test_9_a_phase_without_pixels_comes_from_those_beside_it(tmp_path):
    folder = write(tmp_path / "study", images())
    header = dcmread(folder / "010.dcm")  # place 1, phase 2
    del header.PixelData
    header.save_as(folder / "010.dcm")
    cine = read_cine(folder)
    told(cine, "1 file cannot be read as an image (010.dcm)", "1 place has 7 phases and not 8")
    between = (studies.heart(1, 1).astype(float) + studies.heart(3, 1)) / 2
    np.testing.assert_allclose(cine.array[2, 1], between, atol=1)
    np.testing.assert_array_equal(cine.array[5], studies.array()[5])


def test_10_a_file_that_is_there_twice_counts_once(tmp_path):
    cine = read_cine(write(tmp_path / "study", [*images(), image(3, 2), image(4, 2)]))
    expect(cine)
    told(cine, "2 images are there twice")


def test_11_a_place_that_was_taken_again_counts_as_the_last_time(tmp_path):
    first = [
        image(t, 2, SeriesNumber=4, SeriesInstanceUID=SERIES[0], PixelData=bytes(2 * 24 * 24)) for t in range(PHASES)
    ]
    again = [image(t, 2, SeriesNumber=9, SeriesInstanceUID=SERIES[1]) for t in range(PHASES)]
    cine = read_cine(write(tmp_path / "study", [*again, *images(), *first]))
    expect(cine)
    told(cine, "1 place was taken again in another series")


def test_12_a_place_that_was_taken_twice_within_the_series_counts_once(tmp_path):
    blank = bytes(2 * 24 * 24)
    earlier = [image(t, 2, InstanceNumber=t, PixelData=blank, TriggerTime=90.0 * t) for t in range(PHASES)]
    later = [image(t, k, InstanceNumber=1000 + t) for k in range(PLACES) for t in range(PHASES)]
    cine = read_cine(write(tmp_path / "study", [*earlier, *later]))
    expect(cine)
    told(cine, "taken 2 times in one series")


def test_13_a_missing_place_is_filled_and_told_and_many_are_refused(tmp_path):
    kept = [image(t, k) for k in range(7) if k != 3 for t in range(PHASES)]
    cine = read_cine(write(tmp_path / "one", kept))
    told(cine, "Place 4 of 7 is missing and was filled")
    assert cine.array.shape[1] == 7
    np.testing.assert_array_equal(cine.array[:, 4], studies.array(places=7)[:, 4])
    with pytest.raises(VolumeError, match="2 of 7 places are missing"):
        read_cine(write(tmp_path / "two", [image(t, k) for k in (0, 1, 4, 5, 6) for t in range(PHASES)]))


def test_14_a_place_beside_the_others_is_shown_where_its_header_says(tmp_path):
    geometry = studies.geometry()
    beside = geometry.point((3, 0, 2))  # 6 mm along the rows

    def moved(t: int, k: int) -> dict[str, object]:
        return {"ImagePositionPatient": [round(float(x), 6) for x in beside]} if k == 2 else {}

    cine = read_cine(write(tmp_path / "study", images(moved)))
    told(cine, "Place 3 lies 6.0 mm beside the others")
    np.testing.assert_array_equal(cine.array[:, 2, :, 3:], studies.array()[:, 2, :, :-3])
    np.testing.assert_array_equal(cine.array[:, 3], studies.array()[:, 3])


@pytest.mark.parametrize(("off_mm", "word"), [(2.0, "leaves a gap to"), (-2.0, "overlaps")])
def test_15_a_gap_or_an_overlap_is_told_and_what_fits_no_grid_refused(tmp_path, off_mm, word):
    def off(mm: float):
        point = studies.geometry().point((0, 0, 2 + mm / 10.0))
        return lambda t, k: {"ImagePositionPatient": [round(float(x), 6) for x in point]} if k == 2 else {}

    told(read_cine(write(tmp_path / "study", images(off(off_mm)))), "Place 3 lies 2.0 mm off the steps", word)
    with pytest.raises(VolumeError, match="lie unevenly"):
        read_cine(write(tmp_path / "far", images(off(2.5 * off_mm))))


def test_16_two_patients_or_two_studies_in_a_folder_are_refused(tmp_path):
    other = [image(t, 0, PatientID="P-0815") for t in range(PHASES)]
    folder = write(tmp_path / "study", [*images(), *other])
    with pytest.raises(VolumeError, match=r"images of 2 patients \(as 000\.dcm and 040\.dcm\)"):
        read_cine(folder)
    for said in ({"PatientName": "Muller^Anna"}, {"PatientBirthDate": "19620102"}):
        mixed = images(lambda t, k, said=said: {"PatientID": "", **(said if k % 2 else {})})
        with pytest.raises(VolumeError, match="images of 2 patients"):
            read_cine(write(tmp_path / next(iter(said)), mixed))
    later = [image(t, 0, StudyInstanceUID=SERIES[3]) for t in range(PHASES)]
    with pytest.raises(VolumeError, match="images of 2 studies"):
        read_cine(write(tmp_path / "visits", [*images(), *later]))


def test_17_views_along_the_heart_are_named_by_how_they_lie(tmp_path):
    views = [*studies.long_view(30), *studies.long_view(90), *studies.long_view(150)]
    cine = read_cine(write(tmp_path / "study", [*views, *images()]))
    expect(cine)
    found = {other.name.split("view ")[1]: other.what.split(",")[0] for other in cine.others}
    assert found == {"30": "four-chamber view", "90": "two-chamber view", "150": "three-chamber view"}


def test_18_localizers_flow_late_enhancement_and_stills_are_named_and_left_out(tmp_path):
    def series(n: int, name: str, phases: int = PHASES, **said: object) -> list:
        said |= {"SeriesInstanceUID": SERIES[n], "SeriesNumber": 10 + n, "SeriesDescription": name}
        return [image(t, k, **said) for k in range(PLACES) for t in range(phases)]

    others = [
        *series(0, "survey", 1, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        *series(1, "Q", ImageType=["DERIVED", "PRIMARY", "P"]),
        *series(2, "psir", ScanningSequence="IR"),
        *series(3, "haste", 1),
    ]
    cine = read_cine(write(tmp_path / "study", [*others, *images()]))
    expect(cine)
    kinds = [other.what for other in cine.others]
    for word in ("a localizer", "a measurement of flow", "late enhancement", "without a beat"):
        assert any(word in what for what in kinds), kinds


def test_19_of_several_stacks_the_one_that_lies_as_short_axes_do_or_that_is_wanted(tmp_path):
    turned = {
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "SeriesInstanceUID": SERIES[0],
        "SeriesDescription": "trans",
    }
    axial = [
        image(t, 0, ImagePositionPatient=[0, 0, 8 * z], SOPInstanceUID=generate_uid(), SeriesNumber=7, **turned)
        for z in range(PLACES + 2)
        for t in range(PHASES)
    ]
    folder = write(tmp_path / "study", [*axial, *images()])
    cine = read_cine(folder)
    expect(cine)
    assert "of 2 stacks the likeliest" in cine.chosen
    assert [other.name for other in cine.others] == ["series 7 trans"]
    assert read_cine(folder, "2").array.shape[1] == read_cine(folder, "series 7 trans").array.shape[1] == PLACES + 2
    with pytest.raises(VolumeError, match="choose by number or name from: 1 series 5 cine sax; 2 series 7 trans"):
        read_cine(folder, "9")


def test_20_images_over_many_beats_are_no_beat(tmp_path):
    with pytest.raises(VolumeError, match="holds no stack of cine images"):
        read_cine(write(tmp_path / "study", images(lambda t, k: {"TriggerTime": 900.0 * t})))


def test_21_a_place_with_few_phases_at_the_end_is_left_out(tmp_path):
    slices = [*(image(t, k) for k in range(PLACES) for t in range(PHASES)), *(image(t, PLACES) for t in range(3))]
    expect(read_cine(write(tmp_path / "study", slices)))


def test_22_magnitudes_of_several_kinds_are_no_phases_of_each_other(tmp_path):
    def series(kind: str) -> list:
        return images(lambda t, k: {"ImageType": ["ORIGINAL", "PRIMARY", kind], "InstanceNumber": ord(kind[0]) + t})

    cine = read_cine(write(tmp_path / "study", [*series("M"), *series("R")]))
    assert cine.array.shape[0] == PHASES


def test_24_trigger_times_that_count_on_over_the_places_are_of_one_beat(tmp_path):
    cine = read_cine(write(tmp_path / "study", images(lambda t, k: {"TriggerTime": 100 * t + studies.BEAT_MS * k})))
    expect(cine)
    assert (cine.times_ms, cine.heart_rate) == (tuple(100.0 * t for t in range(PHASES)), 75)
    assert not cine.notes
    late = read_cine(
        write(tmp_path / "late", images(lambda t, k: {"TriggerTime": 100 * t + 300, "NominalInterval": None}))
    )
    assert (late.times_ms[0], late.heart_rate, late.notes) == (300, 75, (BEAT_OF_IMAGES,))


def test_25_trigger_times_in_seconds_are_no_times_in_ms(tmp_path):
    cine = read_cine(write(tmp_path / "study", images(lambda t, k: {"TriggerTime": 0.1 * t, "InstanceNumber": 99 - t})))
    expect(cine)
    assert (cine.times_ms, cine.heart_rate) == ((), 75)


def test_26_places_that_begin_at_another_part_of_the_beat_are_told(tmp_path):
    later = images(lambda t, k: {"TriggerTime": 100.0 * t + 400 * (k == 2)})
    told(read_cine(write(tmp_path / "study", later)), "The places begin 0 to 400 ms after the R wave")


def test_27_a_beat_of_which_the_images_show_half_is_told(tmp_path):
    cine = read_cine(write(tmp_path / "study", images(lambda t, k: {"NominalInterval": 1600})))
    told(cine, "The images show 800 ms of a beat that is said to have 1600 ms")
    assert not read_cine(write(tmp_path / "ahead", images(lambda t, k: {"NominalInterval": 950}))).notes


@pytest.mark.parametrize("later", [0.0, 5.0])
def test_28_places_that_were_taken_twice_while_the_heart_beat_at_other_rates(tmp_path, later):
    def again(t: int, k: int) -> dict[str, object]:
        return {"TriggerTime": 110.0 * t + later, "NominalInterval": 880, "InstanceNumber": 40 + k * PHASES + t + 1}

    first = [image(PHASES - 1 - t, k, TriggerTime=100.0 * t) for k in range(PLACES) for t in range(PHASES)]
    for number, slice_ in enumerate(first):
        slice_.InstanceNumber = number + 1
    cine = read_cine(write(tmp_path / "study", [*first, *images(again)]))
    expect(cine)
    told(cine, "taken 2 times in one series; the last time counts")
    assert (cine.times_ms[1] - later, cine.heart_rate) == (110.0, 68.2)


def test_28_a_beat_whose_numbers_begin_at_its_half_is_one(tmp_path):
    slices = [image(t, k, 16, InstanceNumber=(t + 8) % 16 + 1) for k in range(PLACES) for t in range(16)]
    cine = read_cine(write(tmp_path / "study", slices))
    expect(cine, studies.array(16))
    assert cine.notes == ()


@pytest.mark.parametrize("places", [(2,), tuple(range(PLACES))])
def test_29_images_of_a_place_that_lie_beside_each_other_are_refused(tmp_path, places):
    def moved(t: int, k: int) -> dict[str, object]:
        if t < 4 or k not in places:
            return {}
        return {"ImagePositionPatient": [float(x) for x in studies.geometry().point((4, 0, k))]}

    with pytest.raises(VolumeError, match=r"do not lie over each other: \d+\.dcm lies 8\.0 mm beside"):
        read_cine(write(tmp_path / "study", images(moved)))


@pytest.mark.parametrize(("spacing", "sentence"), [([4, 4], "spacing changes within"), (None, "does not state its")])
def test_30_every_image_of_a_place_states_the_same_pixel_spacing(tmp_path, spacing, sentence):
    other = images(lambda t, k: {"PixelSpacing": spacing} if t == 3 else {})
    with pytest.raises(VolumeError, match=sentence):
        read_cine(write(tmp_path / "study", other))


def test_31_a_rescale_that_some_places_state_and_others_do_not_is_refused(tmp_path):
    some = images(lambda t, k: {"RescaleSlope": 2, "RescaleIntercept": 0} if k == 3 else {})
    with pytest.raises(VolumeError, match=r"32 of the 40 slices in .* state no rescale of their values"):
        read_cine(write(tmp_path / "study", some))


def test_32_a_beat_that_cannot_be_as_stated_and_hearts_at_other_rates_are_told(tmp_path):
    said = {"NominalInterval": None, "HeartRate": 140}
    cine = read_cine(write(tmp_path / "shorter", images(lambda t, k: said)))
    told(cine, "state a beat of 429 ms, but the images reach over 800 ms")
    assert cine.heart_rate == 75
    told(
        read_cine(write(tmp_path / "other", images(lambda t, k: {"NominalInterval": 800 + 150 * k}))),
        "at different rates while it was scanned (43 to 75 a minute)",
    )


def test_33_parts_of_the_beat_of_single_images_count_before_their_numbers(tmp_path):
    percents = images(
        lambda t, k: {"TriggerTime": None, "NominalPercentageOfCardiacPhase": 12.5 * t, "InstanceNumber": 99 - t}
    )
    cine = read_cine(write(tmp_path / "study", percents))
    expect(cine)
    told(cine, "in order by their part of the heart's cycle")


def test_34_images_of_one_uid_are_said_to_be_copies(tmp_path):
    with pytest.raises(VolumeError, match=r"holds no stack of cine images.*39 images are there twice"):
        read_cine(write(tmp_path / "study", images(lambda t, k: {"SOPInstanceUID": "1.2.3"})))


@pytest.mark.parametrize(
    ("height", "weight", "known"),
    [(1.8, 80, 1.8), (180, 80, 1.8), (68, 80, None), (0.5, 3.5, 0.5), (1.8, 0, 1.8), (18, 80, None)],
)
def test_a_height_that_nobody_of_that_weight_has_is_not_known(tmp_path, height, weight, known):
    body = read_cine(
        write(tmp_path / "study", images(lambda t, k: {"PatientSize": height, "PatientWeight": weight}))
    ).body
    assert body.height_m == known and (body.surface_m2 is None) == (known is None or not weight)


def test_a_single_volume_and_what_is_no_image_are_refused(tmp_path):
    sitk.WriteImage(studies.geometry().to_image(studies.array()[0]), str(tmp_path / "one.nii.gz"))
    with pytest.raises(VolumeError, match="a single volume and no cine"):
        read_cine(tmp_path / "one.nii.gz")
    (tmp_path / "note.txt").write_text("no image")
    with pytest.raises(VolumeError, match="is no cine"):
        read_cine(tmp_path / "note.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VolumeError, match="holds no DICOM images"):
        read_cine(Path(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError, match="check the path"):
        read_cine(tmp_path / "nowhere")
