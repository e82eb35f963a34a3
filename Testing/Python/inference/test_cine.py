"""All phases of a cine as one heart: which are the ends of the beat, which slices count, what is told of a missing phase."""

from __future__ import annotations

from dataclasses import replace

import cine_hearts
import cine_studies as studies
import numpy as np
import pytest
import tiny_models
from SIFALib.imaging.cine import Body, Cine
from SIFALib.imaging.geometry import Geometry
from SIFALib.inference import cine as inference
from SIFALib.inference import cine_page, cine_report
from SIFALib.inference.basal import open_slices, short_axis, surrounded, without_open_slices
from SIFALib.inference.normal_ranges import NORMAL
from SIFALib.models.structures import PAPERS, STRUCTURES
from SIFALib.networks import loading
from SIFALib.support.errors import NoHeartFound, VolumeError
from SIFALib.support.progress import drain

MYO, LV = 1, 3
CARD_FIELDS = {"preprocessing": tiny_models.store.Preprocessing(crop=64)}


def beating(phases: int = studies.PHASES, **said: object) -> Cine:
    times = tuple(800.0 / phases * t for t in range(phases))
    return Cine(studies.array(phases), studies.geometry(), times, 75.0, "study", modality="mr", **said)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return tiny_models.write(tmp_path_factory.mktemp("model") / "tiny")


def segmented(cine: Cine, package, **more) -> inference.CineResult:
    return drain(inference.segment_cine_steps(cine, loading.load_segmenter(package), package.card, **more))


def test_volumes_and_the_ends_of_the_beat_are_those_of_the_images(monkeypatch, package):
    cine_hearts.use(monkeypatch)
    cine = beating()
    result = segmented(cine, package)
    truth = cine_hearts.labels_of(cine.array)
    np.testing.assert_array_equal(result.labels == LV, truth == LV)
    counted = (truth == LV).sum(axis=(1, 2, 3)) * cine.geometry.voxel_ml
    np.testing.assert_allclose(result.volumes_ml["LV"], counted)
    function = result.functions["LV"]
    assert (function.end_diastole, function.end_systole) == (int(counted.argmax()), int(counted.argmin()))
    assert function.edv_ml == pytest.approx(counted.max())
    assert function.mass_g == pytest.approx(
        1.05 * np.count_nonzero(truth[counted.argmax()] == MYO) * cine.geometry.voxel_ml
    )


def test_a_slice_or_two_have_no_volumes(package):
    cine = replace(beating(), array=studies.array(places=2), geometry=studies.geometry(2))
    with pytest.raises(VolumeError, match="study shows 2 of the heart's slices; its volumes need a stack of 3 or more"):
        segmented(cine, package)


def test_each_ventricle_has_ends_of_its_own(monkeypatch, tmp_path):
    cine_hearts.use(monkeypatch)
    cine = beating()
    for phase, rows in enumerate((4, 4, 5, 3, 3, 2, 2, 4)):
        cine.array[phase, :, 2 : 2 + rows, 20:23] = cine_hearts.RV_GREY
    seven = tiny_models.write(
        tmp_path / "seven", architecture=tiny_models.store.Architecture(width=2, classes=8), labels=STRUCTURES
    )
    result = segmented(cine, seven)
    left, right = result.functions["LV"], result.functions["RV"]
    assert (right.end_diastole, right.end_systole) == (2, 5)
    assert right.ejection_fraction == pytest.approx(1 - 2 / 5)
    assert right.mass_g is None
    assert left.end_systole != right.end_systole
    report = cine_report.report(result, cine, seven.card)
    assert report["ventricles"]["RV"]["normal"]["edv_ml"]["source"] == NORMAL["RV", "edv_ml"].source
    page = cine_page.page(result, cine, report)
    assert "<th>RV</th>" in page


def test_ventricles_that_do_not_pump_the_same_are_told():
    def told(left: float, right: float) -> list[str]:
        ventricles = {"LV": {"sv_ml": left, "remarks": []}, "RV": {"sv_ml": right, "remarks": []}}
        return cine_report.warnings_of({"flags": [], "ventricles": ventricles, "missing_phases": []})

    assert told(100.0, 80.0) == []
    (sentence,) = told(100.0, 62.0)
    assert "left ventricle pumps 100 ml a beat and the right one 62 ml" in sentence
    assert told(62.0, 100.0)


def test_a_phase_without_a_heart_is_missing_and_told_and_all_without_are_an_error(monkeypatch, package):
    cine_hearts.use(monkeypatch, blind=("phase 3",))
    result = segmented(beating(), package)
    assert result.missing == (2,)
    assert np.isnan(result.volumes_ml["LV"][2])
    report = cine_report.report(result, beating(), package.card)
    assert report["volumes_ml"]["LV"][2] is None
    assert any("At 1 of 8 phases no heart was found" in told for told in cine_report.warnings_of(report))
    cine_hearts.use(monkeypatch, blind=tuple(f"phase {t + 1}" for t in range(studies.PHASES)))
    with pytest.raises(NoHeartFound):
        segmented(beating(), package)


def test_phases_beside_each_other_count_as_much_as_was_asked():
    rng = np.random.default_rng(0)
    maps = [rng.random((2, 1, 3, 3)).astype(np.float16) for _ in range(4)]
    mixed = inference.agreed([maps[0], None, maps[2], maps[3]], 0.25)
    assert mixed[1] is None
    np.testing.assert_allclose(mixed[3], 0.5 * maps[3] + 0.25 * maps[2] + 0.25 * maps[0], atol=2e-3)
    np.testing.assert_allclose(mixed[2], 0.75 * maps[2] + 0.25 * maps[3], atol=2e-3)


def rings(cavity: float = 6.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slices with a cavity in a closed ring of muscle, the ring alone, and the cavity alone."""
    disc = np.hypot(*(np.indices((24, 24)) - 12)) < cavity
    ring = (np.hypot(*(np.indices((24, 24)) - 12)) < 9) & ~disc
    return np.where(disc, LV, np.where(ring, MYO, 0)), ring, np.where(disc, LV, 0)


def test_a_slice_that_counts_when_the_ventricle_is_smallest_counts_at_every_phase():
    (large, _, bare), (small, _, small_bare) = rings(), rings(4.0)
    none = np.zeros_like(large)
    diastole = np.array([bare, large, large, bare, bare])  # both ends drawn open; a cavity beyond, as of an atrium
    systole = np.array([small, small, small, small_bare, none])
    for order in ((diastole, systole), (systole, diastole), (diastole, diastole, systole)):
        kept, notes = without_open_slices(np.array(order).astype(np.uint8), 2, PAPERS)
        for phase, before in zip(kept, order, strict=True):
            counting = [n for n in range(5) if (phase[n] == LV).any()]
            assert counting == [0, 1, 2] and np.array_equal(phase[:3], before[:3])
        assert f"{1 + 2 * (len(order) - 1)} slices" in notes[0]


def test_slices_whose_cavity_the_muscle_surrounds_too_little_do_not_count():
    closed, ring, bare = rings()
    third = np.where(ring & (np.indices((24, 24))[0] > 15), 0, closed)  # open on one side, by a third
    assert surrounded(closed, LV, MYO) == 1.0
    assert surrounded(third, LV, MYO) > 0.5
    assert surrounded(bare, LV, MYO) == 0.0
    stack = np.array([closed, bare, third, closed, bare, bare]).astype(np.uint8)
    assert open_slices(stack, LV, MYO) == [5, 4]  # what lies between closed slices stays
    for axis in range(3):
        kept, notes = without_open_slices(np.moveaxis(stack, 0, 2 - axis)[None], axis, PAPERS)
        each = [bool((part == LV).any()) for part in np.moveaxis(kept[0], 2 - axis, 0)]
        assert each == [True, True, True, True, False, False]
        assert "2 slices" in notes[0]
    kept, notes = without_open_slices(stack[None], None, PAPERS)
    assert np.array_equal(kept[0], stack) and notes == ()


def reordered(cine: Cine, order: tuple[int, int, int]) -> Cine:
    """The same cine with its index axes i, j, k in another order: every voxel stays at its place."""
    given = cine.geometry
    size, spacing = (tuple(each[axis] for axis in order) for each in (given.size, given.spacing))
    axes = tuple(given.axes[:, list(order)].ravel().tolist())
    array = cine.array.transpose(0, *(3 - order[2 - n] for n in range(3)))
    return replace(cine, array=np.ascontiguousarray(array), geometry=Geometry(size, given.origin, spacing, axes))


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1), (2, 1, 0)])
def test_the_slices_that_count_are_those_of_the_stack_along_whichever_axis_it_is_stored(order, monkeypatch, package):
    cine_hearts.use(monkeypatch)
    cine = beating()
    bare = cine.array[:, -1]
    bare[bare == 100] = 99  # no muscle around the cavity in the last slice
    truth = cine_hearts.labels_of(cine.array)
    counted = (truth[:, :-1] == LV).sum(axis=(1, 2, 3)) * cine.geometry.voxel_ml
    result = segmented(reordered(cine, order), package)
    np.testing.assert_allclose(result.volumes_ml["LV"], counted)
    assert any("In 8 slices of all phases" in note for note in result.notes)


def test_slices_of_other_planes_and_thin_ones_have_no_basal_rule():
    short, axial = studies.geometry(), Geometry((24, 24, 5), (0.0, 0.0, 0.0), (2.0, 2.0, 10.0))
    thin = Geometry((24, 24, 50), (0.0, 0.0, 0.0), (1.0, 1.0, 2.5))
    assert (short_axis(short, "mr"), short_axis(short, "ct")) == (2, 2)
    assert short_axis(axial, "ct") is None
    assert short_axis(axial, "mr") == 2, "copies lose their orientation"
    assert short_axis(thin, "mr") is None
    assert short_axis(thin, "ct") is None


def test_what_is_indexed_to_the_body_and_held_against_normal_values(monkeypatch, package):
    cine_hearts.use(monkeypatch)
    cine = beating(body=Body("F", 1.8, 80.0))
    found = cine_report.report(segmented(cine, package), cine, package.card)["ventricles"]["LV"]
    assert found["edv_ml_m2"] == pytest.approx(found["edv_ml"] / 2.0, abs=0.01)
    assert found["output_l_min"] == pytest.approx(found["sv_ml"] * 75 / 1000, abs=0.01)
    assert found["normal"]["edv_ml"] == {
        "low": 86.0, "high": 178.0, "source": NORMAL["LV", "edv_ml"].source, "outside": True,
    }  # fmt: skip
    assert NORMAL["LV", "edv_ml"].range_of("") == (86.0, 214.0)


def test_the_page_says_what_the_report_says_and_escapes_names(monkeypatch, package):
    cine_hearts.use(monkeypatch)
    cine = beating()
    cine = Cine(cine.array, cine.geometry, cine.times_ms, 75.0, "<b>study</b>", modality="mr", notes=("A & B.",))
    result = segmented(cine, package)
    report = cine_report.report(result, cine, package.card)
    page = cine_page.page(result, cine, report)
    assert "<b>study</b>" not in page
    assert "&lt;b&gt;study&lt;/b&gt;" in page
    assert "A &amp; B." in page
    assert f"{report['ventricles']['LV']['edv_ml']:.1f}" in page
    assert page.count("data:image/png;base64,") == 3
    assert "Height and weight are not known" in page
    table = cine_report.table(result, cine).splitlines()
    assert table[0].startswith("phase,time (ms),MYO (ml),LA (ml),LV (ml)")
    assert len(table) == 1 + studies.PHASES
    assert any("LV end-systole" in line for line in table)


def test_the_page_says_which_colour_is_which_and_a_cine_without_a_beat_why_there_is_no_output(monkeypatch, package):
    cine_hearts.use(monkeypatch)
    cine = replace(beating(), times_ms=(), heart_rate=None)
    result = segmented(cine, package)
    report = cine_report.report(result, cine, package.card)
    page = cine_page.page(result, cine, report)
    for structure in result.structures:
        drawn = bool((result.labels[result.functions["LV"].end_diastole] == structure.value).any())
        assert (f'style="color:rgb{structure.color}">■</span> {structure.name}' in page) is drawn
    assert (
        "No heart rate is known of this cine, so there is no cardiac output." in report["notes"] and "l/min" not in page
    )
    timed = cine_report.report(segmented(beating(), package), beating(), package.card)
    assert not any("cardiac output" in note for note in timed["notes"])
