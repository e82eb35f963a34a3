"""A volume in, labels out: in the right place for any orientation, cancellable, and honest about what happened."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
import torch
from drawings import BLOOD, CARD, GRID, Reader, centre, dice, drawing, middle_of, roi_around, tilted, varied_network
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.intensity import intensity_rule
from SIFALib.imaging.modality import guess
from SIFALib.inference import Options, segment, segment_steps
from SIFALib.networks import devices, engine
from SIFALib.support.errors import NoHeartFound, OutOfMemory, VolumeError


@pytest.mark.parametrize(
    "geometry",
    [
        GRID,
        dataclasses.replace(GRID, direction=tilted((2, 0, 1), (1, -1, 1), 0.0)),
        dataclasses.replace(GRID, direction=tilted((0, 1, 2), (-1, -1, 1), 20.0)),
        Geometry((20, 190, 180), (0.0, 0.0, 0.0), (8.0, 0.9, 0.9), tilted((0, 1, 2), (1, 1, -1), 10.0)),
        Geometry((170, 180, 200), (0.0, 0.0, 0.0), (0.85, 0.85, 0.8), tilted((1, 2, 0), (-1, 1, 1), 30.0)),
    ],
    ids=["plain", "permuted and flipped", "oblique", "thick sagittal, oblique", "fine, oblique and permuted"],
)
def test_every_structure_comes_back_where_it_was(reader, geometry: Geometry):
    scan, truth = drawing(geometry)
    result = segment(scan, None, CARD)
    assert result.labels.geometry == geometry  # bit for bit
    assert result.labels.array.dtype == np.uint8
    found, true = result.labels.array == 3, truth == 3
    assert dice(found, true) > 0.97
    assert np.linalg.norm(centre(found, geometry) - centre(true, geometry)) < 0.5  # mm
    assert result.report.volumes_ml["LV"] == pytest.approx(found.sum() * geometry.voxel_ml)
    assert set(np.unique(result.labels.array)) == {0, 3}


def test_a_region_of_interest_is_segmented_at_once(reader):
    scan, truth = drawing(GRID)
    stages: list[str] = []
    options = Options(roi=roi_around(middle_of(GRID), 60))
    result = segment(scan, None, CARD, options, lambda progress: stages.append(progress.stage))
    assert "Finding the heart" not in stages and "Segmenting" in stages
    assert dice(result.labels.array == 3, truth == 3) > 0.97


def test_a_thin_scan_of_little_but_the_heart_is_segmented_whole(reader):
    scan, truth = drawing(Geometry((120, 110, 10), (0.0,) * 3, (1.2, 1.2, 3.0)))
    result = segment(scan, None, CARD)
    assert dice(result.labels.array == 3, truth == 3) > 0.97
    assert result.report.quarter_turns == 0  # a ventricle without its muscle does not say how it lies


def test_nothing_is_drawn_outside_of_the_region_of_interest(reader):
    scan, truth = drawing(GRID)
    ball = centre(truth == 3, GRID)
    result = segment(scan, None, CARD, Options(roi=roi_around(ball, 60, 6), keep_probabilities=True))
    for array in (result.labels.array == 3, result.probabilities["LV"].array > 0.5):
        points = GRID.point(np.argwhere(array)[:, ::-1])
        assert len(points) > 1000 and np.all(points.max(axis=0) < ball + 6 + 2.5)  # a slice distance to spare


def test_a_scan_of_little_but_the_heart_loses_nothing_of_it(reader):
    scan, truth = drawing(Geometry((120, 110, 100), (0.0,) * 3, (1.2, 1.2, 1.2)))
    assert dice(segment(scan, None, CARD).labels.array == 3, truth == 3) > 0.97


def test_only_the_wanted_structures_are_kept(reader):
    scan, _ = drawing(GRID, aorta=True)
    assert set(np.unique(segment(scan, None, CARD).labels.array)) == {0, 3, 4}
    result = segment(scan, None, CARD, Options(structures=("aa",)))
    assert set(np.unique(result.labels.array)) == {0, 4}
    assert set(result.report.volumes_ml) == {"AA"}


def test_probabilities_lie_on_the_scan_and_agree_with_the_labels(reader):
    scan, _ = drawing(GRID, aorta=True)
    result = segment(scan, None, CARD, Options(keep_probabilities=True))
    assert list(result.probabilities) == ["MYO", "LA", "LV", "AA"]
    for value, volume in enumerate(result.probabilities.values(), start=1):
        assert volume.geometry == GRID and volume.array.min() >= 0 and volume.array.max() <= 1.00001
        of_label = volume.array[result.labels.array == value]
        assert of_label.size == 0 or of_label.min() > 0.19  # the largest of five


def test_strays_are_removed_and_reported(reader):
    stray = drawing(GRID)[0].array.copy()
    stray[70:86, 71:87, 98:114] = BLOOD
    result = segment(Volume(stray, GRID, "stray"), None, CARD)
    assert not result.labels.array[70:86, 71:87, 98:114].any()
    assert ("LV", "fragments") in {(f.structure_id, f.kind) for f in result.report.flags}


def test_progress_rises_from_nothing_to_all_with_the_time_left(reader):
    seen = list(segment_steps(drawing(GRID)[0], None, CARD))
    fractions = [p.fraction for p in seen]
    assert fractions[0] == 0 and fractions[-1] == 1 and len(seen) > 15
    falls = [a - b for a, b in itertools.pairwise(fractions) if b < a]
    assert len(falls) <= 1 and sum(falls) < 0.15  # the plan is made anew once, when the heart is found
    assert all(p.seconds_left is None or p.seconds_left >= 0 for p in seen)
    assert list(dict.fromkeys(p.stage for p in seen))[:3] == ["Preparing", "Finding the heart", "Segmenting"]


def test_a_segmentation_can_be_dropped_at_any_point(reader):
    scan, _ = drawing(GRID)
    total = len(list(segment_steps(scan, None, CARD)))
    for stop in (1, 2, total // 2, total - 1):
        reader.batches.clear()
        steps = segment_steps(scan, None, CARD)
        list(itertools.islice(steps, stop))
        done = len(reader.batches)
        steps.close()
        assert len(reader.batches) == done  # nothing went on behind the caller's back


def test_out_of_memory_halves_the_batch_and_says_so(reader):
    reader.most = 1
    scan, truth = drawing(GRID)
    result = segment(scan, None, CARD)
    assert dice(result.labels.array == 3, truth == 3) > 0.97
    assert result.report.notes[:2] == (
        "Memory ran out on cpu with 4 slices at once; went on with 2.",
        "Memory ran out on cpu with 2 slices at once; went on with 1.",
    )


@pytest.mark.parametrize("where", ["even for one slice", "for the weights alone"])
def test_a_full_gpu_gives_way_to_the_cpu(monkeypatch, where):
    def prepare(_: object, device: torch.device, __: object) -> Reader:
        if device.type != "cpu" and "weights" in where:
            raise OutOfMemory(0, device)
        made = Reader(most=1000 if device.type == "cpu" else 0)
        made.device = device
        return made

    choose = devices.choose_device
    monkeypatch.setattr(engine, "prepare", prepare)
    monkeypatch.setattr(devices, "choose_device", lambda n: torch.device("cuda:0") if n == "auto" else choose(n))
    monkeypatch.setattr(devices, "choose_precision", lambda *_: torch.float32)
    scan, truth = drawing(GRID)
    result = segment(scan, None, CARD)
    assert f"Memory ran out on cuda:0 {where}; went on on the CPU." in result.report.notes
    assert result.report.device == "cpu"
    assert dice(result.labels.array == 3, truth == 3) > 0.97


def test_when_nothing_fits_a_sentence_says_so(reader):
    reader.most = 0
    with pytest.raises(MemoryError, match="close other programs"):
        segment(drawing(GRID)[0], None, CARD)


def test_no_heart_is_an_answer(reader):
    rng = np.random.default_rng(0)
    scan = Volume(rng.integers(-950, -850, GRID.shape).astype(np.int16), GRID, "lungs.nii.gz")
    for options in (Options(modality="ct"), Options(modality="ct", roi=(-20.0, 80.0, 80.0, 160.0, 720.0, 800.0))):
        with pytest.raises(NoHeartFound, match=r"No heart was found in lungs\.nii\.gz"):
            segment(scan, None, CARD, options)


def test_a_thin_slab_needs_to_show_less_of_the_heart(reader):
    thick = Geometry((150, 140, 60), (0.0,) * 3, (1.2, 1.2, 1.2))
    thin = Geometry((150, 140, 5), (0.0,) * 3, (1.2, 1.2, 2.0))
    for geometry, enough in ((thick, False), (thin, True)):
        scan = np.zeros(geometry.shape, np.int16)
        scan[: 5 if enough else 8, 60:80, 60:80] = BLOOD  # 5 ml
        scan[:, :20] = -900
        options = Options(roi=(10.0, 170.0, 10.0, 160.0, 0.0, 70.0))
        if enough:
            assert segment(Volume(scan, geometry, "thin"), None, CARD, options).labels.array.any()
        else:
            with pytest.raises(NoHeartFound):
                segment(Volume(scan, geometry, "thick"), None, CARD, options)


def test_what_cannot_be_is_refused_before_any_work(reader):
    with pytest.raises(VolumeError, match="constant"):
        segment(Volume(np.zeros(GRID.shape, np.int16), GRID, "x"), None, CARD)
    with pytest.raises(ValueError, match="no structure 'RV'"):
        segment(drawing(GRID)[0], None, CARD, Options(structures=("RV",)))
    assert reader.batches == []


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"views": "two"}, "views is 'two'; it must be auto, one, three"),
        ({"modality": "pet"}, "modality is 'pet'; it must be auto, ct, mr"),
        ({"precision": "float8"}, "precision is 'float8'; it must be auto, float32, bfloat16"),
        ({"batch_size": 0}, "batch_size is 0; it must be 1 to"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(wrong, rule):
    with pytest.raises(ValueError, match=rule):
        Options(**wrong)


def test_batch_size_and_threads_change_no_label():
    network = varied_network()
    scan, _ = drawing(Geometry((90, 80, 24), (0.0,) * 3, (1.5, 1.5, 2.0)), 18.0)
    roi = roi_around(middle_of(scan.geometry), 45)
    before = torch.get_num_threads()
    results = []
    try:
        for threads, batch in ((1, 1), (1, 5), (2, 1), (2, 8), (2, None)):
            torch.set_num_threads(threads)
            results.append(segment(scan, network, CARD, Options(batch_size=batch, roi=roi)).labels.array)
    finally:
        torch.set_num_threads(before)
    assert len(np.unique(results[0])) > 1
    assert all(np.array_equal(results[0], r) for r in results[1:])


@pytest.mark.parametrize(("fast", "precision"), [(False, "float32"), (True, "bfloat16")])
def test_the_report_says_what_was_done_and_is_data(reader, monkeypatch, fast, precision):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: fast)
    report = segment(drawing(GRID)[0], None, CARD).report
    said = report.to_json()
    assert said["model"] == {"id": "tiny", "version": "1.0.0", "sha256": "0" * 64} and report.model.key == "tiny@1.0.0"
    assert said["device"] == "cpu" and said["precision"] == precision and said["plane"] == "axial"
    assert said["intensity"] == "CT window -200 to 600 HU"
    assert said["input"] == {"name": "drawing", "size": GRID.size, "spacing_mm": GRID.spacing}
    assert set(said["seconds"]) == {"prepare", "locate", "network", "paste"}
    assert {(f["structure"], f["kind"], f["warns"]) for f in said["flags"]} == {
        (s, "empty", True) for s in ("MYO", "LA", "AA")
    }
    assert list(json.loads(json.dumps(said, allow_nan=False))) == [
        "sifa_version", "model", "input", "device", "precision", "intensity", "read_as", "plane", "views", "quarter_turns",
        "in_turns", "heart_score", "slices", "batch_size", "seconds", "notes", "out_of_distribution", "volumes_ml",
        "dice_calibrated", "expected_dice", "flags",
    ]  # fmt: skip
    said["seconds"]["write"] = 1.0
    assert "write" not in report.seconds  # whoever adds to the data leaves the report alone


def test_hounsfield_units_are_told_from_mr():
    scan, _ = drawing(GRID)
    assert guess(scan.array).hounsfield
    magnitude = np.abs(np.random.default_rng(0).normal(300, 100, GRID.shape)).astype(np.float32)
    assert not guess(magnitude).hounsfield
    mr = Volume(magnitude, GRID, "mr")
    assert intensity_rule(mr, CARD.preprocessing).name == "percentiles 1 to 99"
    assert intensity_rule(mr, CARD.preprocessing, "ct").window == (-200, 600)
    with pytest.raises(ValueError, match="no modality 'pet'"):
        intensity_rule(mr, CARD.preprocessing, "pet")


def test_percentiles_ignore_what_lies_outside_of_the_scan():
    rule = intensity_rule(
        Volume(np.arange(27.0).reshape(3, 3, 3), Geometry((3, 3, 3), (0.0,) * 3, (1.0,) * 3)), CARD.preprocessing, "mr"
    )
    values = np.concatenate([np.linspace(100, 200, 1000), np.full(5000, -1e6)]).astype(np.float32)
    inside = values > 0
    scaled = rule.normalise(values, inside)
    assert scaled[inside].min() == -1 and scaled[inside].max() == 1 and abs(np.median(scaled[inside])) < 0.01
    assert np.all(scaled[~inside] == -1)
