"""The heart is found the way the patient really lies, a wrong header is told, and no heart is no heart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from Benchmarks import heart_scenarios
from drawings import Reader, card_of, dice, tilted
from SIFALib.imaging import slices
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference import Options, likeness, localisation, locate, segment
from SIFALib.inference.localisation import Localisation
from SIFALib.inference.passes import NetworkInput
from SIFALib.inference.runner import Clock, Runner
from SIFALib.models import store
from SIFALib.networks import engine
from SIFALib.support.errors import NoHeartFound
from SIFALib.support.progress import drain

PRE = store.Preprocessing(
    crop=64, spacing_mm=3.0, slice_spacing_mm=6.0, locate_spacing_mm=4.0, locate_slice_spacing_mm=8.0
)
COARSE = card_of(preprocessing=PRE)
GREY = {1: 60.0, 2: 140.0, 3: 220.0, 4: 300.0}  # HU of the structures; the spine has 500, the liver -120
SPINE, LIVER, AIR = 500.0, -120.0, -900.0
BODY = Geometry((72, 66, 50), (-90.0, -80.0, 20.0), (4.0, 4.0, 4.0))


class Anatomist(Reader):
    """Knows the structures by their grey values, but only where spine and liver lie as they do in axial slices."""

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        hu = (batch + 1) * 400 - 200
        out = np.zeros((len(batch), 5, *batch.shape[1:]), np.float32)
        out[:, 0] = 1
        for n, image in enumerate(hu):
            spine, liver = (np.argwhere(np.abs(image - value) < 20) for value in (SPINE, LIVER))
            inside = np.argwhere(image > -150)
            lies_well = (
                len(spine) > 4
                and len(liver) > 4
                and spine[:, 0].mean() > inside[:, 0].mean() + 5
                and liver[:, 1].mean() < inside[:, 1].mean() - 4
            )
            for value, grey in GREY.items() if lies_well else ():
                mask = np.abs(image - grey) < 30
                out[n, value][mask], out[n, 0][mask] = 1, 0
        return out


@pytest.fixture
def anatomist(monkeypatch: pytest.MonkeyPatch) -> Anatomist:
    made = Anatomist()
    monkeypatch.setattr(engine, "prepare", lambda *_: made)
    return made


def patient(geometry: Geometry = BODY) -> tuple[Volume, np.ndarray]:
    """Four structures as blocks, to the left and front; liver to the right, spine behind, all along the body."""
    shape = geometry.shape
    labels = np.zeros(shape, np.uint8)
    for value, (j, i) in {1: (23, 39), 2: (31, 39), 3: (23, 47), 4: (31, 31)}.items():
        labels[16:36, j : j + 8, i : i + 8] = value
    image = np.array([0.0, *GREY.values()])[labels]
    image[:, 47:55, 33:37] = SPINE
    image[:, 19:45, 11:21] = LIVER
    image[:, :4], image[:, -4:] = AIR, AIR
    return Volume(image.astype(np.int16), geometry, "patient"), labels


def lying(scan: Volume, turn: tuple[int, int, int]) -> Volume:
    """The same voxels under a header that says the patient lies otherwise."""
    axes = np.diag(turn) @ scan.geometry.axes
    return Volume(scan.array, dataclasses.replace(scan.geometry, direction=tuple(axes.ravel())), scan.name)


@pytest.mark.parametrize("turn", list(localisation.TURNS))
def test_a_header_with_a_wrong_patient_position_is_found_out_and_told(anatomist, turn):
    scan, truth = patient()
    right, result = (segment(s, None, COARSE, Options(views="one")) for s in (scan, lying(scan, turn)))
    assert result.labels.geometry == lying(scan, turn).geometry  # the grid stays what the file says
    for value in GREY:
        assert dice(result.labels.array == value, right.labels.array == value) > 0.98
        assert dice(result.labels.array == value, truth == value) > 0.7  # between greys at edges lie other greys
    told = [note for note in result.report.notes if "patient position" in note]
    assert len(told) == (turn != (1, 1, 1)) and all(localisation.TURNS[turn] + " exchanged" in note for note in told)


@pytest.mark.parametrize(
    ("order", "signs"), [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, -1, 1)), ((1, 2, 0), (1, -1, -1))]
)
def test_a_header_that_is_right_is_believed_however_the_voxels_are_stored(anatomist, order, signs):
    scan, truth = patient()
    array, labels = (a.transpose([2 - order[2 - n] for n in range(3)]) for a in (scan.array, truth))
    flip = tuple(slice(None, None, signs[2 - n]) for n in range(3))
    array, labels = np.ascontiguousarray(array[flip]), labels[flip]
    axes = np.array(tilted((0, 1, 2), (1, 1, 1), 8.0)).reshape(3, 3)[:, list(order)] * np.array(signs)
    stored = Volume(array, Geometry(array.shape[::-1], (0.0,) * 3, (4.0,) * 3, tuple(axes.ravel())), "stored otherwise")
    heart = localised(stored)
    where = np.argwhere(labels > 0)[:, ::-1]
    assert heart.note == "" and ((where >= heart.box[0] - 0.5) & (where <= heart.box[1] + 0.5)).all()


def localised(scan: Volume) -> Localisation:
    return drain(localisation.localise(NetworkInput.of(scan, COARSE), Runner(None, Options(), Clock())))


def test_the_box_holds_the_heart_with_a_margin_and_little_else(anatomist):
    scan, truth = patient()
    box = locate(scan, None, COARSE).box
    where = np.argwhere(truth > 0)[:, ::-1]
    margin = slices.LOCATE_MARGIN_MM / 4.0
    assert np.all(box[0] <= where.min(axis=0)) and np.all(box[1] >= where.max(axis=0))
    assert np.all(box[0] > where.min(axis=0) - margin - 3) and np.all(box[1] < where.max(axis=0) + margin + 3)


def test_a_few_slices_do_not_make_anyone_doubt_how_the_patient_lies(anatomist, caplog):
    scan, _ = patient()
    slab = Volume(scan.array[20:26], BODY.part((0, 0, 20), (72, 66, 6)), "slab")
    assert locate(slab, None, COARSE) is not None
    for turn in ((-1, 1, -1), (1, -1, -1)):  # mirrored in the slice: no turn of it helps
        with pytest.raises(NoHeartFound):
            localised(lying(slab, turn))
    assert "patient position" not in caplog.text


class ShortAxis(Reader):
    """Knows muscle and ventricle by their grey values, but only where a mark lies to the left of the middle: upright."""

    def probabilities(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(len(batch))
        hu = (batch + 1) * 400 - 200
        out = np.zeros((len(batch), 5, *batch.shape[1:]), np.float32)
        out[:, 0] = 1
        for n, image in enumerate(hu):
            mark, body = np.argwhere(np.abs(image + 150) < 20), np.argwhere(image > -60)
            offset = mark.mean(axis=0) - body.mean(axis=0) if len(mark) and len(body) else np.zeros(2)
            if -offset[1] > 2 * abs(offset[0]):
                for value, mask in ((1, (image > 100) & (image < 250)), (3, image >= 250)):
                    out[n, value][mask], out[n, 0][mask] = 0.95, 0.05
        return out


CT = Options(modality="ct")


@pytest.fixture
def short_axis(monkeypatch: pytest.MonkeyPatch) -> ShortAxis:
    made = ShortAxis()
    monkeypatch.setattr(engine, "prepare", lambda *_: made)
    return made


def stack(quarters: int = 0, size: int = 96, stomach: bool = False) -> tuple[Volume, np.ndarray]:
    """Nine slices of a ventricle in its muscle, off the middle, turned counter-clockwise; its labels."""
    rows, columns = np.ogrid[:size, :size]
    far = np.hypot(rows - size // 2 + 4, columns - size // 2 - 4)
    labels = np.zeros((9, size, size), np.uint8)
    labels[1:8, far < 11], labels[1:8, far < 7] = 1, 3
    image = np.array([0.0, 200.0, 0.0, 300.0])[labels]
    image[:, size // 2 - 7 : size // 2 - 1, size // 2 - 13 : size // 2 - 9] = -150  # beside the wall
    if stomach:
        image[2:7, size - 24 : size - 6, size - 30 : size - 8] = 300
    array, labels = (np.ascontiguousarray(np.rot90(a, quarters, (1, 2))) for a in (image, labels))
    geometry = Geometry((size, size, 9), (5.0, -3.0, 20.0), (3.0, 3.0, 10.0))
    return Volume(array.astype(np.int16), geometry, "stack"), labels


@pytest.mark.parametrize("size", [96, 50], ids=["a wide field of view", "a tight crop"])
@pytest.mark.parametrize("quarters", range(4))
def test_a_stack_of_slices_is_found_turned_in_every_way_and_it_is_told(short_axis, quarters, size):
    scan, truth = stack(quarters, size)
    result = segment(scan, None, COARSE, CT)
    assert result.labels.geometry == scan.geometry
    for value in (1, 3):
        assert dice(result.labels.array == value, truth == value) > 0.9
    assert result.report.quarter_turns == quarters
    told = [note for note in result.report.notes if "turned" in note]
    assert len(told) == (quarters > 0) and all(f"{90 * quarters} degrees clockwise" in note for note in told)


def test_what_lies_well_is_looked_at_in_no_other_turn(short_axis):
    locate(stack()[0], None, COARSE, CT)
    upright = sum(short_axis.batches)
    short_axis.batches.clear()
    locate(stack(3)[0], None, COARSE, CT)
    assert sum(short_axis.batches) > 2 * upright


def test_another_organ_does_not_take_the_hearts_place(short_axis):
    scan, truth = stack(stomach=True)
    box = locate(scan, None, COARSE, CT).box
    where = np.argwhere(truth > 0)[:, ::-1]
    assert np.all(box[0] <= where.min(axis=0)) and np.all(box[1] >= where.max(axis=0))
    result = segment(scan, None, COARSE, CT)
    assert dice(result.labels.array == 3, truth == 3) > 0.9


def test_a_turn_is_found_in_a_region_of_interest_too(short_axis):
    scan, truth = stack(1)
    corners = scan.geometry.point(np.array([[20, 20, 0], [76, 76, 8]]))
    result = segment(scan, None, COARSE, Options(roi=tuple(corners.T.ravel()), modality="ct"))
    assert result.report.quarter_turns == 1 and dice(result.labels.array == 3, truth == 3) > 0.9


def test_no_heart_is_the_answer_after_all_positions_were_tried(anatomist):
    scan, truth = patient()
    empty = Volume(np.where(truth > 0, 0, scan.array).astype(np.int16), BODY, "abdomen.nrrd")
    with pytest.raises(NoHeartFound, match=r"No heart was found in abdomen\.nrrd"):
        segment(empty, None, COARSE)
    assert locate(empty, None, COARSE) is None


def test_organs_that_remind_of_one_or_two_structures_are_no_heart():
    """What the bundled model was seen to say of phantoms."""
    head, abdomen, native = [0.58, 0.02, 0.61, 0.13], [0.43, 0.0, 0.16, 0.0], [0.54, 0.08, 0.58, 0.46]
    assert not likeness.heart_like(np.array(head), whole=True)
    assert not likeness.heart_like(np.array(abdomen), whole=True)
    assert likeness.heart_like(np.array(native), whole=True)  # half of it, without contrast agent
    assert likeness.heart_like(np.array([0.0, 0.9, 0.0, 0.0]), whole=True)


def test_of_a_few_slices_two_structures_are_enough():
    apex, nothing = np.array([0.5, 0.0, 0.4, 0.0]), np.array([0.02, 0.0, 0.36, 0.0])
    assert likeness.heart_like(apex, whole=False) and not likeness.heart_like(apex, whole=True)
    assert not likeness.heart_like(nothing, whole=False)


def test_a_small_scan_without_a_heart_has_none_either(anatomist):
    """Nothing is found in it, so all of it is segmented, and what comes of its slices must look like a heart."""
    small = Geometry((30, 28, 20), (0.0,) * 3, (4.0, 4.0, 4.0))
    rng = np.random.default_rng(0)
    image = rng.normal(0, 5, small.shape)
    image[:, 20:24, 12:16], image[:, 6:18, 2:7], image[:, :2] = SPINE, LIVER, AIR
    scan = Volume(image.astype(np.int16), small, "small abdomen")
    assert np.array_equal(localised(scan).box, slices.whole_box(small))
    with pytest.raises(NoHeartFound):
        segment(scan, None, COARSE)


def test_in_a_scan_of_a_small_patient_the_heart_is_localised_too(anatomist):
    """A child's chest is no wider than a field of view around an adult's heart."""
    scan, truth = patient(dataclasses.replace(BODY, spacing=(3.0, 3.0, 3.0)))
    assert max(scan.geometry.extent_mm[:2]) <= localisation.SMALL * PRE.crop * PRE.spacing_mm
    box = localised(scan).box
    where = np.argwhere(truth > 0)[:, ::-1]
    assert np.all(box[0] <= where.min(axis=0)) and np.all(box[1] >= where.max(axis=0))
    assert np.prod(box[1] - box[0] + 1) < 0.5 * truth.size


def test_scenarios_of_the_benchmark_keep_labels_where_they_were_in_the_patient():
    scan, truth = patient()
    labels = Volume(truth, BODY, "labels")
    point = BODY.point(np.argwhere(truth == 4)[:, ::-1]).mean(axis=0)
    stored = heart_scenarios.restored(labels, np.array([2, 0, 1]), np.array([-1, 1, -1]), np.eye(3))
    found = stored.geometry.point(np.argwhere(stored.array == 4)[:, ::-1]).mean(axis=0)
    assert stored.array.shape != truth.shape and np.allclose(found, point)
    case = heart_scenarios.Case(scan, labels)
    for name, scenario in heart_scenarios.SCENARIOS.items():
        first, again = (scenario(np.random.default_rng(5), case) for _ in range(2))
        assert np.array_equal(first.image.array, again.image.array)
        assert (first.labels.array > 0).any() == first.heart == (not name.startswith("no heart"))
        assert first.image.geometry == first.labels.geometry and first.lies == (name == "wrong header")
