"""A volume in, labels out: in the right place for any orientation, cancellable, and honest about what happened."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import tiny_models
import torch
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.intensity import intensity_rule, looks_like_hounsfield
from SIFALib.inference.segmentation import Options, segment, segment_steps
from SIFALib.models import store
from SIFALib.models.store import ModelCard
from SIFALib.networks import devices, engine
from SIFALib.networks.segmenter import Segmenter
from SIFALib.support.errors import NoHeartFound, OutOfMemory, VolumeError
from test_slices import tilted

CARD = ModelCard(
    sha256="0" * 64,
    sifa_version="0.1.0",
    created="2026-01-01T00:00:00+00:00",
    **{**tiny_models.card_fields(), "preprocessing": store.Preprocessing(crop=128)},
)
BLOOD, AORTA = 300.0, 600.0  # HU that the drawing gives to LV and AA; everything else is 0 or air


class Reader:
    """An engine that reads labels back from grey values: whatever goes wrong then is the pipeline's doing."""

    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, most: int = 1000) -> None:
        self.most, self.batches = most, []

    def batch_size(self, height: int, width: int) -> int:
        return 4

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        if len(batch) > self.most:
            raise OutOfMemory(len(batch), self.device)
        self.batches.append(len(batch))
        hu = (batch + 1) * 400 - 200
        out = np.zeros((len(batch), 5, *batch.shape[1:]), np.float32)
        out[:, 4] = np.clip((hu - BLOOD) / (AORTA - BLOOD), 0, 1)
        out[:, 3] = np.clip(hu / BLOOD, 0, 1) - out[:, 4]
        out[:, 0] = 1 - out[:, 3] - out[:, 4]
        return out


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    made = Reader()
    monkeypatch.setattr(engine, "prepare", lambda *_: made)
    return made


def drawing(geometry: Geometry, radius: float = 28.0, aorta: bool = False) -> tuple[Volume, np.ndarray]:
    """A ball of blood, off the middle in every direction, in a patient in air; and its labels [k, j, i]."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.size], indexing="ij"), -1)
    points = geometry.point(index)
    middle = geometry.point((np.array(geometry.size) - 1) / 2)
    labels = np.zeros(geometry.size, np.uint8)
    labels[np.linalg.norm(points - middle - (-8, 12, 16), axis=-1) < radius] = 3
    if aorta:
        labels[np.linalg.norm(points - middle - (25, -25, -15), axis=-1) < 20] = 4
    image = np.array((0.0, 0.0, 0.0, BLOOD, AORTA))[labels]
    image[np.linalg.norm(points - middle, axis=-1) > 72] = -900
    return Volume(image.transpose(2, 1, 0).astype(np.int16), geometry, "drawing"), labels.transpose(2, 1, 0)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def centre(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    """LPS mm of the middle of a mask [k, j, i]."""
    return geometry.point(np.argwhere(mask)[:, ::-1]).mean(axis=0)


GRID = Geometry((150, 140, 130), (-60.0, 40.0, 700.0), (1.2, 1.2, 1.2))


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
def test_every_structure_comes_back_where_it_was(reader: Reader, geometry: Geometry):
    scan, truth = drawing(geometry)
    result = segment(scan, None, CARD)
    assert result.labels.geometry == geometry  # bit for bit
    assert result.labels.array.dtype == np.uint8
    found, true = result.labels.array == 3, truth == 3
    assert dice(found, true) > 0.97
    assert np.linalg.norm(centre(found, geometry) - centre(true, geometry)) < 0.5  # mm
    assert result.report["volumes_ml"]["LV"] == pytest.approx(found.sum() * geometry.voxel_ml)
    assert set(np.unique(result.labels.array)) == {0, 3}


def test_a_region_of_interest_replaces_the_search(reader: Reader):
    scan, truth = drawing(GRID)
    middle = GRID.point((np.array(GRID.size) - 1) / 2)
    roi = tuple(float(x) for c in middle for x in (c - 60, c + 60))
    stages = [p.stage for p in segment_steps(scan, None, CARD, Options(roi=roi))]
    assert "Finding the heart" not in stages and "Segmenting" in stages
    result = segment(scan, None, CARD, Options(roi=roi))
    assert dice(result.labels.array == 3, truth == 3) > 0.97


def test_nothing_is_drawn_outside_of_the_region_of_interest(reader: Reader):
    scan, truth = drawing(GRID)
    ball = centre(truth == 3, GRID)
    roi = tuple(float(x) for c in ball for x in (c - 60, c + 6))
    result = segment(scan, None, CARD, Options(roi=roi, keep_probabilities=True))
    for array in (result.labels.array == 3, result.probabilities["LV"].array > 0.5):
        points = GRID.point(np.argwhere(array)[:, ::-1])
        assert len(points) > 1000 and np.all(points.max(axis=0) < ball + 6 + 2.5)  # a slice distance to spare


def test_a_scan_of_little_but_the_heart_loses_nothing_of_it(reader: Reader):
    small = Geometry((120, 110, 100), (0.0,) * 3, (1.2, 1.2, 1.2))
    scan, truth = drawing(small)
    assert dice(segment(scan, None, CARD).labels.array == 3, truth == 3) > 0.97


def test_a_thin_scan_of_little_but_the_heart_is_not_searched(reader: Reader):
    thin = Geometry((120, 110, 10), (0.0,) * 3, (1.2, 1.2, 3.0))
    scan, truth = drawing(thin)
    stages = [p.stage for p in segment_steps(scan, None, CARD)]
    assert "Finding the heart" not in stages and "Segmenting" in stages
    assert dice(segment(scan, None, CARD).labels.array == 3, truth == 3) > 0.97


def test_only_the_wanted_structures_are_kept(reader: Reader):
    scan, _ = drawing(GRID, aorta=True)
    assert set(np.unique(segment(scan, None, CARD).labels.array)) == {0, 3, 4}
    result = segment(scan, None, CARD, Options(structures=("aa",)))
    assert set(np.unique(result.labels.array)) == {0, 4}
    assert set(result.report["volumes_ml"]) == {"AA"}
    with pytest.raises(ValueError, match="no structure 'RV'"):
        segment(scan, None, CARD, Options(structures=("RV",)))


def test_probabilities_lie_on_the_scan_and_agree_with_the_labels(reader: Reader):
    scan, _ = drawing(GRID, aorta=True)
    result = segment(scan, None, CARD, Options(keep_probabilities=True))
    assert list(result.probabilities) == ["MYO", "LA", "LV", "AA"]
    for value, volume in enumerate(result.probabilities.values(), start=1):
        assert volume.geometry == GRID and volume.array.min() >= 0 and volume.array.max() <= 1.00001
        of_label = volume.array[result.labels.array == value]
        assert of_label.size == 0 or of_label.min() > 0.19  # the largest of five


def test_strays_are_removed_and_reported(reader: Reader):
    scan, _ = drawing(GRID)
    stray = scan.array.copy()
    stray[70:86, 71:87, 98:114] = BLOOD
    result = segment(Volume(stray, GRID, "stray"), None, CARD)
    assert not result.labels.array[70:86, 71:87, 98:114].any()
    assert ("LV", "fragments") in {(f["structure"], f["kind"]) for f in result.report["flags"]}


def test_progress_rises_from_nothing_to_all_with_the_time_left(reader: Reader):
    scan, _ = drawing(GRID)
    seen = list(segment_steps(scan, None, CARD))
    fractions = [p.fraction for p in seen]
    assert fractions[0] == 0 and fractions[-1] == 1 and len(seen) > 15
    falls = [a - b for a, b in itertools.pairwise(fractions) if b < a]
    assert len(falls) <= 1 and sum(falls) < 0.15  # the plan is made anew once, when the heart is found
    assert all(p.seconds_left is None or p.seconds_left >= 0 for p in seen)
    assert list(dict.fromkeys(p.stage for p in seen))[:3] == ["Preparing", "Finding the heart", "Segmenting"]


def test_a_segmentation_can_be_dropped_at_any_point(reader: Reader):
    scan, _ = drawing(GRID)
    total = len(list(segment_steps(scan, None, CARD)))
    for stop in (1, 2, total // 2, total - 1):
        reader.batches.clear()
        steps = segment_steps(scan, None, CARD)
        list(itertools.islice(steps, stop))
        done = len(reader.batches)
        steps.close()
        assert len(reader.batches) == done  # nothing went on behind the caller's back


def test_out_of_memory_halves_the_batch_and_says_so(reader: Reader):
    reader.most = 1
    scan, truth = drawing(GRID)
    result = segment(scan, None, CARD)
    assert dice(result.labels.array == 3, truth == 3) > 0.97
    assert result.report["notes"][:2] == [
        "Memory ran out on cpu with 4 slices at once; went on with 2.",
        "Memory ran out on cpu with 2 slices at once; went on with 1.",
    ]


def test_a_full_gpu_gives_way_to_the_cpu(monkeypatch: pytest.MonkeyPatch):
    def engines() -> Iterator[Reader]:
        gpu = Reader(most=0)
        gpu.device = torch.device("cuda:0")
        yield gpu
        yield Reader()

    row = engines()
    monkeypatch.setattr(engine, "prepare", lambda *_: next(row))
    scan, truth = drawing(GRID)
    result = segment(scan, None, CARD)
    assert result.report["device"] == "cpu"
    assert any("went on on the CPU" in note for note in result.report["notes"])
    assert dice(result.labels.array == 3, truth == 3) > 0.97


def test_weights_that_do_not_fit_a_gpu_go_to_the_cpu(monkeypatch: pytest.MonkeyPatch):
    def prepare(_: object, device: torch.device, __: object) -> Reader:
        if device.type != "cpu":
            raise OutOfMemory(0, device)
        return Reader()

    choose = devices.choose_device
    monkeypatch.setattr(engine, "prepare", prepare)
    monkeypatch.setattr(devices, "choose_device", lambda n: torch.device("cuda:0") if n == "auto" else choose(n))
    monkeypatch.setattr(devices, "choose_precision", lambda *_: torch.float32)
    report = segment(drawing(GRID)[0], None, CARD).report
    assert "Memory ran out on cuda:0 for the weights alone; went on on the CPU." in report["notes"]
    assert report["device"] == "cpu"


def test_when_nothing_fits_a_sentence_says_so(reader: Reader):
    reader.most = 0
    with pytest.raises(MemoryError, match="close other programs"):
        segment(drawing(GRID)[0], None, CARD)


def test_no_heart_is_an_answer(reader: Reader):
    rng = np.random.default_rng(0)
    scan = Volume(rng.integers(-950, -850, GRID.shape).astype(np.int16), GRID, "lungs.nii.gz")
    for options in (Options(), Options(roi=(-20.0, 80.0, 80.0, 160.0, 720.0, 800.0))):
        with pytest.raises(NoHeartFound, match=r"No heart was found in lungs\.nii\.gz"):
            segment(scan, None, CARD, options)


def test_a_thin_slab_needs_to_show_less_of_the_heart(reader: Reader):
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


def test_unusable_volumes_are_refused_before_any_work(reader: Reader):
    with pytest.raises(VolumeError, match="constant"):
        segment(Volume(np.zeros(GRID.shape, np.int16), GRID, "x"), None, CARD)
    assert reader.batches == []


def test_batch_size_and_threads_change_no_label():
    torch.manual_seed(0)
    network = Segmenter(width=2).eval()
    with torch.no_grad():  # logits that differ from pixel to pixel
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    scan, _ = drawing(Geometry((90, 80, 24), (0.0,) * 3, (1.5, 1.5, 2.0)), 18.0)
    middle = scan.geometry.point((np.array(scan.geometry.size) - 1) / 2)
    roi = tuple(float(x) for c in middle for x in (c - 45, c + 45))
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
def test_the_report_says_what_was_done(reader: Reader, monkeypatch: pytest.MonkeyPatch, fast: bool, precision: str):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: fast)
    report = segment(drawing(GRID)[0], None, CARD).report
    assert report["model"] == {"id": "tiny", "version": "1.0.0", "sha256": "0" * 64}
    assert report["device"] == "cpu" and report["precision"] == precision and report["plane"] == "axial"
    assert report["intensity"] == "CT window -200 to 600 HU"
    assert set(report["seconds"]) == {"prepare", "locate", "network", "paste"}
    assert {(f["structure"], f["kind"]) for f in report["flags"]} == {(s, "empty") for s in ("MYO", "LA", "AA")}


def test_hounsfield_units_are_told_from_mr():
    scan, _ = drawing(GRID)
    assert looks_like_hounsfield(scan.array)
    magnitude = np.abs(np.random.default_rng(0).normal(300, 100, GRID.shape)).astype(np.float32)
    assert not looks_like_hounsfield(magnitude)
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
