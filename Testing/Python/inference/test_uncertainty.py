"""How unsure the model is: 0 to 1, in the right place, on the grid of the scan, and never a change of labels."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
from drawings import AORTA, BALL, SMALL, Reader, dice, drawing, middle_of, roi_around, smooth
from SIFALib.cli.main import main
from SIFALib.imaging.geometry import Geometry
from SIFALib.inference import Options, segment, uncertainty
from SIFALib.models.card import DiceCurve
from SIFALib.networks import engine
from SIFALib.support.errors import RecordError


def test_entropy_is_0_where_one_class_is_certain_and_1_where_all_are_as_likely():
    p = np.array([[1.0, 0.2, 0.5], [0.0, 0.2, 0.5], [0.0, 0.2, 0.0], [0.0, 0.2, 0.0], [0.0, 0.2, 0.0]])
    found = uncertainty.entropy(p.astype(np.float32))
    assert found == pytest.approx([0.0, 1.0, np.log(2) / np.log(5)], abs=1e-4)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1


def test_expected_dice_is_the_mean_dice_with_truths_drawn_from_the_probabilities():
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, (30, 30)) ** np.linspace(0.2, 4, 30)
    probabilities = np.stack([1 - p, p])
    expected = uncertainty.expected_dice(probabilities, uncertainty.expected_volumes(probabilities))
    drawn = [dice(p > 0.5, rng.uniform(0, 1, p.shape) < p) for _ in range(300)]
    assert expected[1] == pytest.approx(np.mean(drawn), abs=0.003)


def test_expected_dice_of_certain_classes_is_1_and_of_missing_ones_unknown():
    probabilities = np.zeros((3, 4, 4))
    probabilities[0, :2], probabilities[1, 2:] = 1, 1
    expected = uncertainty.expected_dice(probabilities, uncertainty.expected_volumes(probabilities))
    assert expected[1] == 1 and np.isnan(expected[2])


def test_what_was_cleaned_away_counts_against_a_structure():
    probabilities = np.zeros((2, 10))
    probabilities[0], probabilities[1, :8] = 1, 0
    probabilities[:, :6] = [[0], [1]]
    before = uncertainty.expected_volumes(probabilities)
    probabilities[:, 4:6] = [[1], [0]]  # a stray component
    assert uncertainty.expected_dice(probabilities, before)[1] == pytest.approx(2 * 4 / (4 + 6))


def test_a_curve_gives_back_the_dice_that_certainty_came_with():
    rng = np.random.default_rng(1)
    expected = rng.uniform(0.2, 0.9, 60)
    dice = 1 / (1 + np.exp(-(1.5 + 1.2 * uncertainty.logit(expected))))
    curve = DiceCurve("60 structures", *uncertainty.dice_curve(expected, dice))
    assert (curve.offset, curve.slope) == pytest.approx((1.5, 1.2), abs=0.02)
    assert uncertainty.calibrated(0.5, curve) == pytest.approx(1 / (1 + np.exp(-1.5)), abs=0.005)
    assert np.isnan(uncertainty.calibrated(float("nan"), curve))
    assert 0 < uncertainty.calibrated(0.0, curve) < 0.05 and 0.99 < uncertainty.calibrated(1.0, curve) < 1
    noisy = np.clip(dice + rng.normal(0, 0.08, 60), 0, 1)
    fitted = DiceCurve("noisy ones", *uncertainty.dice_curve(expected, noisy))
    said = [uncertainty.calibrated(e, fitted) for e in expected]
    assert np.mean(said) == pytest.approx(noisy.mean(), abs=0.01)


def test_certainty_that_tells_nothing_makes_no_curve():
    sure = np.linspace(0.2, 0.9, 20)
    with pytest.raises(ValueError, match="More certainty does not come with more Dice"):
        uncertainty.dice_curve(sure, 1 - sure)
    with pytest.raises(ValueError, match="7 structures are too few"):
        uncertainty.dice_curve(sure[:7], sure[:7])
    with pytest.raises(RecordError, match="slope is 0"):
        DiceCurve("nothing", 0.0, 0.0)


def test_with_a_curve_in_the_card_the_report_of_three_planes_says_the_dice_of_the_curve(reader):
    scan, _ = drawing(BALL)
    curve = DiceCurve("two structures", -1.0, 0.5)
    plain, curved = (
        segment(scan, None, dataclasses.replace(SMALL, dice_curve=c), Options(views="three")).report
        for c in (None, curve)
    )
    alone = segment(scan, None, dataclasses.replace(SMALL, dice_curve=curve), Options(views="one")).report
    assert not alone.dice_calibrated  # one plane is as sure as it is right
    assert (plain.dice_calibrated, curved.dice_calibrated) == (False, True)
    for name, said in plain.expected_dice.items():
        if said is not None:
            assert curved.expected_dice[name] == pytest.approx(uncertainty.calibrated(said, curve), abs=2e-3)


THICK = Geometry((16, 80, 76), (0.0,) * 3, (8.0, 1.8, 1.8))


@pytest.mark.parametrize("geometry", [BALL, THICK], ids=["three views", "a stack of thick slices"])
def test_the_map_lies_on_the_scan_is_high_at_its_edges_and_changes_no_label(reader, geometry):
    scan, _ = drawing(geometry)
    scan = dataclasses.replace(scan, array=smooth(scan.array))
    plain, asked = (segment(scan, None, SMALL, Options(uncertainty=u)) for u in (False, True))
    assert plain.uncertainty is None and np.array_equal(plain.labels.array, asked.labels.array)
    found = asked.uncertainty
    assert found.geometry == geometry and found.array.dtype == np.float16
    assert found.array.min() >= 0 and found.array.max() <= 1
    sure = (scan.array > 295) | (scan.array < -150)
    torn = np.abs(scan.array - 150) < 30
    assert np.mean(found.array[torn].astype(float)) > 0.3 > 0.1 > np.mean(found.array[sure].astype(float))
    json.dumps(asked.report.to_json(), allow_nan=False)
    assert asked.report.expected_dice["AA"] is None and asked.report.expected_dice["LV"] > 0.6


class Walled(Reader):
    """Takes the smooth edge of a ventricle for its muscle."""

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        out = super().probabilities(batch)
        edge = (out[:, 3] > 0.2) & (out[:, 3] < 0.8) & (out[:, 4] == 0)
        out[:, 1], out[:, 0], out[:, 3] = edge, out[:, 0] * ~edge, out[:, 3] * ~edge
        return out


@pytest.mark.parametrize("curve", [None, DiceCurve("two structures", -1.0, 0.5)])
def test_of_a_structure_that_was_taken_away_whole_nothing_is_expected(monkeypatch, curve):
    scan, _ = drawing(BALL)
    scan.array[27:33, 30:36, 59:64] = AORTA  # 30 mm from the ventricle
    scan = dataclasses.replace(scan, array=smooth(scan.array))
    monkeypatch.setattr(engine, "prepare", lambda *_: Walled())
    result = segment(scan, None, dataclasses.replace(SMALL, dice_curve=curve))
    assert ("AA", "empty") in {(f.structure_id, f.kind) for f in result.report.flags}
    assert not (result.labels.array == 4).any() and result.report.expected_dice["AA"] is None
    assert result.report.expected_dice["LV"] > 0.5


class Blurred(Reader):
    """Less and less sure of what it reads."""

    def __init__(self, doubt: float) -> None:
        super().__init__()
        self.doubt = doubt

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        return (1 - self.doubt) * super().probabilities(batch) + np.float32(self.doubt / 5)


def test_a_model_that_doubts_expects_a_lower_dice(monkeypatch):
    scan, _ = drawing(BALL)
    found = []
    for doubt in (0.0, 0.02, 0.06):
        monkeypatch.setattr(engine, "prepare", lambda *_, d=doubt: Blurred(d))
        found.append(segment(scan, None, SMALL, Options(views="one")).report.expected_dice["LV"])
    assert found[0] > found[1] > found[2]


def test_the_map_is_empty_outside_of_the_region_of_interest(reader):
    scan, _ = drawing(BALL)
    middle = middle_of(BALL)
    result = segment(scan, None, SMALL, Options(roi=roi_around(middle, 40), uncertainty=True))
    where = BALL.point(np.argwhere(result.uncertainty.array > 0)[:, ::-1])
    assert len(where) > 1000 and np.abs(where - middle).max() < 40 + 2 * 2.0 + 2.0  # a slice distance to spare


def test_the_command_writes_the_map_on_the_grid_of_the_scan(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.normal(0, 300, (20, 44, 40)).astype(np.int16))
    image.SetSpacing((4.0, 4.5, 6.0))
    image.SetDirection((0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
    sitk.WriteImage(image, str(tmp_path / "scan.nrrd"))
    tiny_models.write_constant(tmp_path / "models" / "tiny-1.0.0", 3)
    monkeypatch.setenv("SIFA_MODELS", str(tmp_path / "models"))
    scan, out, report = tmp_path / "scan.nrrd", tmp_path / "out.nrrd", tmp_path / "report.json"
    arguments = ["segment", str(scan), str(out), "--model", "tiny", "--report", str(report)]
    assert main([*arguments, "--views", "one", "--uncertainty", str(tmp_path / "unsure.nii.gz")]) == 0
    written = sitk.ReadImage(str(tmp_path / "unsure.nii.gz"))
    assert written.GetSize() == image.GetSize() and written.GetPixelID() == sitk.sitkFloat32
    assert np.allclose(written.GetDirection(), image.GetDirection(), atol=1e-6)
    values = sitk.GetArrayFromImage(written)
    assert values.min() >= 0 and 0.05 < values.max() <= 1
    said = json.loads(report.read_text())
    assert said["views"] == ["axial"] and 0 < said["expected_dice"]["LV"] <= 1
    assert main([*arguments, "--uncertainty", str(tmp_path / "unsure.png")]) == 2
