"""The views along a heart: which are measured, what is said of the others, and that the report has it all."""

from __future__ import annotations

import json
from dataclasses import replace

import cine_hearts
import cine_studies as studies
import numpy as np
import pytest
import tiny_models
from cine_hearts import LA_GREY
from SIFALib.imaging.cine import Body, Cine, LongView
from SIFALib.imaging.geometry import Geometry
from SIFALib.inference import cine as inference
from SIFALib.inference import cine_page, cine_report
from SIFALib.inference.long_axis import Measure
from SIFALib.inference.long_views import FOUR, THREE, TWO, LongAxis, ViewEnd, ViewResult, combined
from SIFALib.networks import loading
from SIFALib.support.progress import drain

SIDE = 128  # pixels of 1.5 mm
PHASES = studies.PHASES


def view(kind: str, degrees: float, aside: float = 0.0) -> LongView:
    """A plane along the heart of `cine_studies`, turned about its axis by so many degrees, mm beside it."""
    axes = studies.geometry().axes
    middle = studies.geometry().point((12.0 - 0.6, 11.0, 2.0))
    along, turn = axes[:, 2], np.radians(degrees)
    across = np.cos(turn) * axes[:, 0] + np.sin(turn) * axes[:, 1]
    plane = np.column_stack([across, along, np.cross(across, along)])
    origin = middle - 1.5 * (SIDE / 2) * (across + along) + aside * plane[:, 2]
    grid = Geometry((SIDE, SIDE, 1), tuple(origin.tolist()), (1.5, 1.5, 6.0), tuple(plane.ravel().tolist()))
    times = tuple(studies.STEP_MS * t for t in range(PHASES))
    return LongView(kind, Cine(images(), grid, times, 75.0, f"{kind} of the test", modality="mr"))


def images() -> np.ndarray:
    """int16 [t, 1, j, i]: a ventricle in its muscle and an atrium beside it, largest where the other is smallest."""
    j, i = np.indices((SIDE, SIDE)) - SIDE / 2
    beat = np.cos(2 * np.pi * (np.arange(PHASES) / PHASES - 3 / 8) + np.pi)[:, None, None]
    ventricle = ((j + 20) / (20 + 2 * beat)) ** 2 + (i / (14 + 2 * beat)) ** 2 <= 1
    muscle = ((j + 20) / (26 + 2 * beat)) ** 2 + (i / (20 + 2 * beat)) ** 2 <= 1
    atrium = ((j - 13) / (17 - 2 * beat)) ** 2 + (i / (14 - 2 * beat)) ** 2 <= 1
    grey = np.select([ventricle, atrium, muscle], [300, LA_GREY, 100], 5)
    return grey.astype(np.int16)[:, None]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return tiny_models.write(tmp_path_factory.mktemp("model") / "tiny")


def segmented(monkeypatch, package, *views: LongView, **options: object) -> tuple[inference.CineResult, Cine]:
    cine_hearts.use(monkeypatch)
    times = tuple(studies.STEP_MS * t for t in range(PHASES))
    cine = Cine(studies.array(), studies.geometry(), times, 75.0, "study", modality="mr", body=Body("F", 1.8, 80.0))
    cine = replace(cine, views=views)
    segmenter = loading.load_segmenter(package)
    steps = inference.segment_cine_steps(cine, segmenter, package.card, inference.Options(**options))
    return drain(steps), cine


def test_the_atrium_is_measured_at_both_ends_of_the_beat_and_reported(monkeypatch, package):
    result, cine = segmented(monkeypatch, package, view(FOUR, 0), view(TWO, 90), view(TWO, 90, aside=9.0))
    found = result.long_axis
    assert [each.kind for each in found.views] == [TWO, FOUR] or [each.kind for each in found.views] == [FOUR, TWO]
    assert all(each.off_axis_mm < 4.0 for each in found.views)
    assert found.told == ()
    assert found.systole_ml > 1.5 * found.diastole_ml > 0
    report = cine_report.report(result, cine, package.card)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    told = report["long_axis"]
    assert told["la_volume_ml"]["end_systole"] == pytest.approx(found.systole_ml, abs=0.05)
    assert told["la_volume_ml_m2"]["end_systole"] == pytest.approx(found.systole_ml / 2.0, abs=0.05)
    four = next(each for each in told["views"] if each["view"] == FOUR)
    assert four["end_systole"]["phase"] == report["ventricles"]["LV"]["end_systole"]
    assert four["end_diastole"]["lv_length_mm"] > four["end_systole"]["lv_length_mm"]
    page = cine_page.page(result, cine, report)
    assert "Along the heart" in page
    assert f"{found.systole_ml:.1f} ml at end-systole" in page
    rows = [line.split(",") for line in cine_report.table(result, cine).splitlines()]
    column = rows[0].index("LA biplane (ml)")
    assert [bool(row[column]) for row in rows[1:]].count(True) == 2


def test_without_one_of_both_views_there_is_no_volume_and_it_is_said(monkeypatch, package):
    result, cine = segmented(monkeypatch, package, view(FOUR, 0), view(TWO, 90, aside=30.0))
    assert [each.kind for each in result.long_axis.views] == [FOUR]
    assert result.long_axis.systole_ml is None
    told = cine_report.warnings_of(cine_report.report(result, cine, package.card))
    assert any("mm beside the axis" in each for each in told)
    assert any("needs a four-chamber view and a two-chamber view" in each for each in told)


def test_planes_that_are_all_but_one_are_no_two_views(monkeypatch, package):
    result, _ = segmented(monkeypatch, package, view(FOUR, 0), view(TWO, 20), view(THREE, 150))
    assert [each.kind for each in result.long_axis.views] == [THREE]
    assert any("only 20 degrees apart" in each for each in result.long_axis.told)


def test_a_study_without_views_or_a_result_without_atria_says_nothing(monkeypatch, package):
    result, cine = segmented(monkeypatch, package)
    assert result.long_axis is None
    assert cine_report.report(result, cine, package.card)["long_axis"] is None
    assert "LA biplane" not in cine_report.table(result, cine)
    result, _ = segmented(monkeypatch, package, view(FOUR, 0), structures=("LV", "MYO"))
    assert result.long_axis is None


def result_of(kind: str, *lengths: float | None) -> ViewResult:
    blank = np.zeros((4, 4), np.uint8)
    ends = [
        ViewEnd(0, blank, blank, Measure(20.0, mm, 80.0) if mm is not None else Measure(why=("it is in pieces",)))
        for mm in lengths
    ]
    return ViewResult(kind, kind, 0.0, 1.0, *ends)


def test_lengths_that_differ_are_told_and_where_they_differ_much_there_is_no_volume():
    found: LongAxis = combined([result_of(FOUR, 40.0, 50.0), result_of(TWO, 47.0, 61.0)])
    assert found.diastole_ml == pytest.approx(8 / (3 * np.pi) * 20 * 20 / 4)
    assert found.systole_ml is None
    assert "its volume is uncertain" in found.told[0]
    assert "its volume is not told" in found.told[1]


def test_an_atrium_that_is_refused_in_a_view_is_told_and_has_no_volume():
    found = combined([result_of(FOUR, 40.0, None), result_of(TWO, 41.0, 50.0)])
    assert found.systole_ml is None
    assert found.diastole_ml is not None
    assert found.told == (f"The left atrium is not measured in the {FOUR} at end-systole: it is in pieces.",)


def test_a_picture_of_a_view_leaves_the_same_margin_on_all_sides(monkeypatch):
    labels = np.zeros((60, 60), np.uint8)
    labels[28:32, 28:32] = 1
    end = ViewEnd(0, np.zeros((60, 60)), labels, Measure())
    view_of_3_mm = ViewResult(FOUR, "view", 0.0, 3.0, end, end)
    monkeypatch.setattr(cine_page, "_tile", lambda grey, labels, *_more: np.pad(labels, 1)[..., None])
    monkeypatch.setattr(cine_page, "SIDE", 16)
    tile = cine_page._views_picture([view_of_3_mm], ())[:, :16, 0]
    assert np.argwhere(tile == 1).min() == 6 and np.argwhere(tile == 1).max() == 9, "15 mm, which are 5 pixels"
    assert np.array_equal(tile, tile[::-1, ::-1])
