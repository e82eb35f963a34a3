"""Promises of the benchmark on real scans: what it counts, which scans it makes of others, what may be trained on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from SIFALib.imaging import metrics
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.choice import named
from SIFALib.support.errors import NoHeartFound

BENCHMARKS = Path(__file__).resolve().parents[2] / "Benchmarks"


@pytest.fixture
def real(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import real_measures

    return real_measures


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import real_tables

    return real_tables


GEOMETRY = Geometry((16, 16, 5), (0.0, 0.0, 0.0), (1.5, 1.5, 2.0))
SLICE = {"kind": "slice", "classes": [1, 3]}


def slice_case() -> tuple[np.ndarray, np.ndarray]:
    """Truth and a prediction that equals it, five copies of a slice: MYO beside LV, a little AA that is not listed."""
    truth = np.zeros((5, 16, 16), np.uint8)
    truth[:, 2:6, 2:14], truth[:, 8:14, 2:14], truth[:, 0, 0] = 1, 3, 4
    return truth, truth.copy()


def scored(real, found: np.ndarray, truth: np.ndarray, facts: dict = SLICE) -> dict:
    return real.scores(Volume(found, GEOMETRY, "found"), Volume(truth, GEOMETRY, "truth"), facts)


def test_only_the_middle_slice_and_only_listed_structures_count(real):
    truth, found = slice_case()
    found[[0, 1, 3, 4]] = 2
    row = scored(real, found, truth)
    assert row["dice"] == {"MYO": 1.0, "LV": 1.0} and row["assd_mm"] == {"MYO": 0, "LV": 0} and row["missing"] == []
    ml = {"MYO": 48 * 4.5e-3, "LV": 72 * 4.5e-3}
    assert row["drawn_ml"] == pytest.approx(ml) and row["true_ml"] == pytest.approx(ml)


def test_what_is_unknown_in_the_truth_is_left_out(real):
    truth, found = slice_case()
    truth[:, 2:6, 2:8] = 255
    row = scored(real, found, truth)
    assert row["dice"]["MYO"] == 1.0 and row["drawn_ml"] == row["true_ml"]
    found[:, 7, 2:14] = 1  # beside the unknown: wrong
    assert scored(real, found, truth)["dice"]["MYO"] == pytest.approx(2 * 24 / (24 + 36))


def test_structures_that_the_truth_does_not_label_do_not_count_against_a_result(real):
    truth, found = slice_case()
    found[truth == 0] = 5
    assert scored(real, found, truth)["dice"] == {"MYO": 1.0, "LV": 1.0}


def test_a_missing_structure_counts_as_nothing_and_has_no_distance(real, tables):
    truth, found = slice_case()
    found[found == 3] = 0
    row = scored(real, found, truth)
    assert row["dice"] == {"MYO": 1.0, "LV": 0.0} and row["assd_mm"] == {"MYO": 0.0} and row["missing"] == ["LV"]
    rows = [{"dataset": "a", **row}, {"dataset": "a", **scored(real, *reversed(slice_case()))}]
    summary = tables.summarise(rows)["a"]["LV"]
    assert summary == {"dice": 0.5, "assd_mm": 0.0, "bias_percent": -50.0, "cases": 2, "missing": 1}


def test_a_refused_scan_counts_in_the_dice_and_not_in_the_bias(real, tables):
    truth, found = slice_case()
    refused = scored(real, np.zeros_like(found), truth) | {"dataset": "a", "refused": True}
    summary = tables.summarise([refused, {"dataset": "a", "refused": False, **scored(real, found, truth)}])["a"]["LV"]
    assert (summary["dice"], summary["bias_percent"]) == (0.5, 0.0)
    assert tables.summarise([refused])["a"]["LV"]["bias_percent"] is None


def test_distances_are_in_mm_and_of_a_slice_those_of_its_outlines(real):
    truth, found = slice_case()
    found[:, 8:14, 2:14], found[:, 8:14, 4:14] = 0, 3  # two columns narrower at one side
    pixels = metrics.assd_mm(found[2] == 3, truth[2] == 3, (1.0, 1.0))
    assert scored(real, found, truth)["assd_mm"]["LV"] == pytest.approx(1.5 * pixels) and pixels > 0
    stack = metrics.assd_mm(found == 3, truth == 3, GEOMETRY.spacing)
    assert scored(real, found, truth, SLICE | {"kind": "stack"})["assd_mm"]["LV"] == pytest.approx(stack)


@pytest.mark.parametrize(("outer", "inner"), [(30.0, 20.0), (25.0, 22.0), (28.0, 25.5)])
def test_the_wall_of_a_ring_is_as_thick_as_its_radii_say(real, outer, inner):
    distance = np.hypot(*(np.indices((80, 80)) - 39.7))
    ring = (distance < outer) & (distance >= inner)
    assert real.wall_mm(ring[None], (1.4, 1.4)) == pytest.approx(1.4 * (outer - inner), abs=0.2)  # pixels are whole


def test_the_wall_is_measured_where_result_and_truth_both_show_it(real):
    distance = np.hypot(*(np.indices((80, 80)) - 39.7))
    slices = [((distance < outer) & (distance >= 20)).astype(np.uint8) for outer in (26, 30, 24)]
    geometry = Geometry((80, 80, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 8.0))
    truth, found = np.stack([slices[0], slices[2]]), np.stack([slices[1], 0 * slices[1]])
    walls = real.wall(Volume(found, geometry, "found"), Volume(truth, geometry, "truth"))
    assert walls == {"drawn": pytest.approx(10, abs=0.2), "true": pytest.approx(6, abs=0.2)}
    assert real.wall(Volume(0 * found, geometry, "found"), Volume(truth, geometry, "truth")) is None


def test_the_region_around_a_heart_holds_it_with_the_margin_of_the_localisation(real):
    truth = np.zeros((40, 100, 100), np.uint8)
    truth[10:20, 40:60, 45:50], truth[0] = 1, 255
    geometry = Geometry((100, 100, 40), (5.0, 0.0, -7.0), (1.0, 2.0, 3.0))
    roi = real.heart_roi(Volume(truth, geometry, "truth"))
    assert roi == pytest.approx((5 + 45 - 20, 5 + 49 + 20, 80 - 20, 118 + 20, -7 + 30 - 20, -7 + 57 + 20))


def test_warnings_are_counted_of_bad_results_and_of_good_ones_and_refusals_are_no_results(tables):
    row = {"dataset": "a", "seconds": 1.0, "refused": False, "warned": False}
    rows = [
        row | {"dice": {"LV": 0.5}, "warned": True, "wall_mm": {"drawn": 9.0, "true": 7.0}},
        row | {"dice": {"LV": 0.4, "MYO": 0.6}, "wall_mm": None},
        row | {"dice": {"LV": 0.9}},
        row | {"dice": {"LV": 0.7}, "warned": True},
        row | {"dice": {"LV": 0.0}, "refused": True},
        row | {"dataset": "b"},
    ]
    found = tables.trust(rows)
    assert list(found) == ["a", "b", "all"] and found["all"]["cases"] == 6
    told = {key: found["a"][key] for key in ("cases", "refused", "warned")}
    assert told == {"cases": 5, "refused": 1, "warned": 2} and found["a"]["wall_mm"] == {"drawn": 9.0, "true": 7.0}
    assert found["a"]["bad"] == {"results": 2, "warned": 1} and found["a"]["good"] == {"results": 1, "warned": 0}
    assert "1 of 2" in tables.trust_table(found) and "9.0 for 7.0" in tables.trust_table(found)


def test_a_predictor_is_judged_by_the_order_of_the_cases(tables):
    rows = [
        {"dice": {"LV": n / 10, "LA": n / 10}, "agreement": n**2, "unlike": 9 - n, "expected_dice": None}
        for n in range(6)
    ]
    rows.append({"agreement": 100.0, "unlike": 1.0})  # without labels
    found = tables.correlations(rows)
    assert found == {
        "agreement": {"rho": pytest.approx(1.0), "cases": 6},
        "unlike": {"rho": pytest.approx(1.0), "cases": 6},
    }
    assert tables.correlations(rows[:4]) == {}


@pytest.fixture
def shown(real):
    import real_pictures

    return real_pictures


def test_best_median_and_worst_are_kept_as_pictures(shown):
    rows = [{"case": f"c{n}", "dataset": "a", "dice": {"LV": n / 10}} for n in (3, 1, 2, 5, 4)]
    found = shown.extremes([*rows, {"case": "u", "dataset": "b"}])
    assert {name: row["case"] for name, row in found.items()} == {"a-best": "c5", "a-median": "c3", "a-worst": "c1"}


@pytest.mark.parametrize("kind", ["slice", "stack", "3D"])
def test_a_picture_shows_truth_and_result_beside_each_other(shown, tmp_path, kind):
    truth, found = slice_case()
    found[found == 3] = 0
    scan = Volume(np.arange(truth.size, dtype=np.int16).reshape(truth.shape), GEOMETRY, "scan")
    volumes = [Volume(array, GEOMETRY, "labels") for array in (truth, found)]
    shown.draw(scan, volumes[0], volumes[1], kind, tmp_path / "p.png")
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "p.png"))).astype(int)
    blue = (image[..., 2] - image[..., 0]) > 60
    assert blue.any()
    if kind != "3D":
        third = image.shape[1] // 3
        assert [bool(blue[:, n * third : (n + 1) * third].any()) for n in range(3)] == [False, True, False]


def test_region_growing_finds_what_is_clicked_and_nothing_else(real):
    import region_growing

    rows, columns = np.indices((160, 160)).astype(float)
    truth = np.zeros((160, 160), np.uint8)
    truth[np.hypot(rows - 80, columns - 100) < 32] = 1
    truth[np.hypot(rows - 80, columns - 100) < 22] = 3
    truth[np.hypot(rows - 115, columns - 45) < 18] = 2
    grey = np.array((-100.0, 90.0, 350.0, 340.0, 330.0))[truth]
    grey[np.hypot(rows - 30, columns - 30) < 15] = 350.0  # another bright thing that nobody clicks
    grey += np.random.default_rng(0).normal(0, 20, grey.shape)
    found = region_growing.grow(grey, truth, (1.0, 1.0))
    for value in (1, 2, 3):
        overlap = 2 * ((found == value) & (truth == value)).sum() / ((found == value).sum() + (truth == value).sum())
        assert overlap > 0.9, value
    assert not found[:50, :50].any()
    assert not (region_growing.grow(grey, np.where(truth == 2, 0, truth), (1.0, 1.0)) == 2).any()
    assert not region_growing.grow(grey, np.zeros_like(truth), (1.0, 1.0)).any()


# Cases made of real stacks


@pytest.fixture
def stacks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import real_cases

    return real_cases


@pytest.fixture
def sunnybrook(stacks):
    import sunnybrook

    return sunnybrook


STACK = Geometry((256, 256, 4), (0.0, 0.0, 0.0), (1.36, 1.36, 8.0))


def stack_pair(rows: slice = slice(100, 160), columns: slice = slice(120, 180)) -> tuple[Volume, Volume]:
    truth = np.zeros(STACK.shape, np.uint8)
    truth[:, rows, columns] = 3
    scan = np.arange(truth.size, dtype=np.int32).reshape(truth.shape)
    return Volume(scan, STACK, "scan"), Volume(truth, STACK, "truth")


@pytest.mark.parametrize("crop", ["wide_crop", "tight_crop"])
@pytest.mark.parametrize("columns", [slice(120, 180), slice(2, 60), slice(60, 200)])
def test_crops_hold_the_heart_with_a_margin_and_lie_where_the_scan_lay(stacks, crop, columns):
    scan, truth = stack_pair(columns=columns)
    for name in ("a", "b", "c"):
        cut, kept = getattr(stacks, crop)(scan, truth, name)
        assert cut.geometry == kept.geometry and np.count_nonzero(kept.array) == np.count_nonzero(truth.array)
        first = scan.geometry.index(cut.geometry.point((0, 0, 0)))
        i, j, _ = np.rint(first).astype(int)
        size = cut.geometry.size
        assert np.array_equal(cut.array, scan.array[:, j : j + size[1], i : i + size[0]])
        low, high = stacks._box(kept)
        for at, ends in ((0, (low[0], size[0] - 1 - high[0])), (1, (low[1], size[1] - 1 - high[1]))):
            edge = first[at] <= 0 or first[at] + size[at] >= scan.geometry.size[at]
            assert edge or min(ends) * 1.36 >= 9.3, name  # 10 mm but for half a pixel
        again, _ = getattr(stacks, crop)(scan, truth, name)
        assert again.geometry == cut.geometry
    assert size[:2] == (192, 192) if crop == "wide_crop" else min(size[:2]) >= 110


def test_a_turn_changes_the_voxels_and_keeps_the_axes(stacks):
    array = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    volume = Volume(array, Geometry((4, 3, 2), (1.0, 2.0, 3.0), (1.0, 1.5, 8.0)), "scan")
    once = stacks.turned(volume, 90)
    assert once.geometry.size == (3, 4, 2) and once.geometry.spacing == (1.5, 1.0, 8.0)
    assert once.geometry.direction == volume.geometry.direction
    back = stacks.turned(once, 270)
    assert back.geometry == volume.geometry and np.array_equal(back.array, array)
    assert np.array_equal(stacks.turned(volume, 180).array, array[:, ::-1, ::-1])


def test_single_slices_are_stacked_in_the_order_in_which_they_lie(stacks):
    single = [
        Volume(np.full((1, 4, 5), n, np.int16), Geometry((5, 4, 1), (0.0, 0.0, 18.0 * n), (1.4, 1.4, 6.0)), f"{n}")
        for n in (2, 0, 1)
    ]
    stack = stacks.stacked(single)
    assert stack.array[:, 0, 0].tolist() == [0, 1, 2] and stack.geometry.spacing == (1.4, 1.4, 18.0)
    with pytest.raises(ValueError, match="equal distances"):
        stacks.stacked([single[0], single[1], Volume(single[2].array, replace(STACK, size=(5, 4, 1)), "elsewhere")])


def test_patients_for_judging_for_choosing_and_for_training_are_apart(sunnybrook):
    groups = [set(sunnybrook.OPEN), set(sunnybrook.VALIDATION), set(sunnybrook.TRAINING)]
    assert [len(group) for group in groups] == [11, 3, 15] and len(set.union(*groups)) == 29
    assert list(sunnybrook.CONTOURED) == sorted(sunnybrook.CONTOURED)
    assert set(sunnybrook.CONTOURED) == groups[1] | groups[2]


def write_stack(folder: Path, name: str, labels: np.ndarray) -> None:
    for kind, array in (("images", np.zeros_like(labels)), ("labels", labels)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(STACK.to_image(array), str(folder / kind / f"{name}.nii.gz"))


def test_at_end_systole_the_wall_is_unknown_and_what_is_no_cavity_is_known(sunnybrook, tmp_path):
    _, truth = stack_pair()
    truth.array[0] = 0
    for name in ("SC-N-02_ED", "SC-N-02_ES"):
        write_stack(tmp_path / "scd" / "open", name, truth.array[::-1])  # from base to apex, as they are published
    ed, es = (sunnybrook.open_stack(tmp_path, f"SC-N-02_{phase}") for phase in ("ED", "ES"))
    assert (ed.phase, ed.structures, es.phase, es.structures) == ("ED", (1, 3), "ES", (3,))
    assert np.array_equal(es.labels.array, truth.array)  # an LV that is drawn too large is wrong
    assert sunnybrook.with_unknown_wall(ed) is ed
    ringed = sunnybrook.with_unknown_wall(es, wall_mm=14.0).labels.array
    assert (ringed[0] == 255).all() and np.array_equal(ringed[1:] == 3, truth.array[1:] == 3)
    assert ringed[2, 130, 90:121].tolist() == [0] * 20 + [255] * 10 + [3]


def test_labels_that_are_trained_on_are_moved_back_by_half_a_pixel(sunnybrook, tmp_path):
    _, truth = stack_pair()
    write_stack(tmp_path / "scd" / "open", "SC-N-02_ED", truth.array)
    stack = sunnybrook.open_stack(tmp_path, "SC-N-02_ED")
    made = sunnybrook.aligned(stack)
    before, after = stack.labels.geometry, made.labels.geometry
    assert made.scan.geometry == after and np.allclose(after.corners(), before.corners())
    half = np.array([*before.spacing[:2], 0.0]) / 2
    there, here = (v.geometry.point(np.argwhere(v.array)[:, ::-1].mean(axis=0)) for v in (stack.labels, made.labels))
    assert np.allclose(here, there - half)


# Rows


def test_rows_of_the_same_weights_and_code_are_kept_and_others_are_measured(stacks, monkeypatch, tmp_path):
    import bench_real
    from chosen_models import Chosen

    measured = []

    def judge(case, of, slicewise):
        measured.append((case.name, slicewise))
        row = {"case": case.name, "dataset": case.dataset, "seconds": math.inf, "note": ""}
        return row, Volume(np.full((1, 2, 2), 3, np.uint8), Geometry((2, 2, 1), (0, 0, 0), (1, 1, 1)), case.name)

    monkeypatch.setattr(bench_real, "judge", judge)
    cases = [
        stacks.Case(name, {"dataset": "a", "kind": "stack", "labels": name != "set/c"}, lambda: None)
        for name in ("set/a", "set/b", "set/c")
    ]
    package = tiny_models.write(tmp_path / "tiny")
    models = Chosen(str(package.folder))
    kept = bench_real.rows_of(models.models, tmp_path / "out", False)
    rows = bench_real.judged(cases[:2], models, kept)
    assert bench_real.judged(cases[:2], models, kept) == [row | {"seconds": None} for row in rows]
    assert [row["case"] for row in bench_real.judged(cases[1:], models, kept)] == ["set/b", "set/c"]
    assert measured == [("set/a", False), ("set/b", False), ("set/c", False)]
    scan = Volume(np.zeros((1, 2, 2), np.uint8), Geometry((2, 2, 1), (0, 0, 0), (1, 1, 1)), "scan")
    assert (kept.labels(cases[0], scan).array == 3).all()
    other = named(replace(package, card=replace(package.card, sha256="0" * 64)))
    for code, changed in (("old", other), ("new", models.models)):
        monkeypatch.setattr(bench_real, "code_version", lambda code=code: code)
        assert not bench_real.rows_of(changed, tmp_path / "out", False).read()
    slicewise = bench_real.rows_of(models.models, tmp_path / "out", True)
    bench_real.judged(cases, models, slicewise)
    assert measured[3:] == [("set/a", True), ("set/b", True)]  # without truth there is no box


def test_a_refused_scan_is_a_row_without_a_result(real, stacks, monkeypatch):
    scan, truth = stack_pair()

    def refuse(*_: object) -> None:
        raise NoHeartFound("There is no heart in it.")

    monkeypatch.setattr(real, "segment", refuse)
    monkeypatch.setattr(real, "agreement", lambda *_: None)
    facts = {"dataset": "a", "modality": "MR", "kind": "stack", "classes": [3], "labels": True}
    row, labels = real.judge(
        stacks.Case("s", facts, lambda: (scan, truth), short_axis=True), lambda _scan: (None, None)
    )
    assert row["refused"] and row["note"] == "There is no heart in it." and row["dice"] == {"LV": 0.0}
    assert "wall_mm" not in row and labels.geometry == scan.geometry and not labels.array.any()


def test_another_code_has_another_version(stacks, monkeypatch, tmp_path):
    import bench_real

    before = bench_real.code_version()
    assert bench_real.code_version() == before
    (tmp_path / "inference").mkdir()
    monkeypatch.setattr(bench_real, "LIBRARY", tmp_path)
    empty = bench_real.code_version()
    (tmp_path / "inference" / "new.py").write_text("A = 1")
    assert len({before, empty, bench_real.code_version()}) == 3
