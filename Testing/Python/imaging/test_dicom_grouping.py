"""Slices by place and time: a volume, a sequence, copies, several images of each slice, several series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from SIFALib.imaging import dicom_grouping
from SIFALib.imaging.dicom_context import Context
from SIFALib.imaging.dicom_grouping import (
    COPIES,
    PLACELESS,
    SEQUENCE,
    SEVERAL,
    STACK,
    UNEVEN,
    by_series,
    group_frames,
    what_differs,
)
from SIFALib.imaging.dicom_headers import Frame

AXIAL, SAGITTAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def frame(k: int, number: int = 0, **said) -> Frame:
    """A slice at z = 5 k mm, in a file of its own."""
    uid = f"{said.get('series', 'a')}.{k}.{number}"
    place = {"position": (1.0, 2.0, 5.0 * k), "orientation": AXIAL, "pixel_spacing": (1.0, 1.0)}
    said = {"series": "a", "modality": "MR", "uid": uid, "contrast": ("M",)} | place | said
    return Frame(file=Path(f"{uid}.dcm"), number=0, count=1, sop_class="", rows=20, columns=30, **said)


def kinds(frames: list[Frame]) -> list[tuple[str, int, int]]:
    """Kind, phases and slices of each group."""
    return [(g.kind, len(g.phases), len(g.phases[0])) for g in group_frames(frames)]


def test_slices_in_any_order_are_a_stack_sorted_by_place():
    (group,) = group_frames([frame(k) for k in (3, 0, 2, 1)])
    assert group.kind == STACK
    assert [f.position[2] for f in group.phases[0]] == [0, 5, 10, 15]


@pytest.mark.parametrize(
    "said",
    [
        lambda t: {"phase": t + 1},
        lambda t: {"trigger_ms": 40.0 * t},
        lambda t: {"percent": 10.0 * t},
        lambda t: {"offset_ms": 40.0 * t},
        lambda t: {"index": (1, t + 1)},
        lambda t: {"acquired": f"10{t:02}00"},
        lambda t: {"instance": 100 * t},
        lambda t: {"phase": 1, "trigger_ms": 0.0, "instance": t},
    ],
    ids=[*dicom_grouping.TIMES, "a time that does not differ"],
)
def test_times_make_a_sequence_of_whole_phases(said):
    frames = [frame(k, t, **said(t)) for k in (1, 0, 2) for t in (2, 0, 3, 1)]
    (group,) = group_frames(frames)
    assert (group.kind, len(group.phases)) == (SEQUENCE, 4)
    for t, phase in enumerate(group.phases):
        assert [f.uid for f in phase] == [f"a.{k}.{t}" for k in range(3)]


def test_each_slice_may_have_heart_beats_of_its_own():
    frames = [frame(k, t, trigger_ms=t * (38.0 + k)) for k in range(3) for t in range(5)]
    (group,) = group_frames(frames)
    assert (group.kind, group.time) == (SEQUENCE, "trigger time")
    assert [[f.uid[-1] for f in phase] for phase in group.phases] == [[str(t)] * 3 for t in range(5)]


def test_frames_of_one_place_in_a_file_are_told_apart_by_their_order():
    frames = [replace(frame(0), file=Path("cine.dcm"), uid="one", number=n, count=4) for n in range(4)]
    assert kinds(frames) == [(SEQUENCE, 4, 1)]


def test_a_file_that_is_there_twice_is_a_copy_and_no_phase():
    frames = [frame(k, instance=k) for k in range(3)]
    assert kinds([*frames, replace(frames[1], file=Path("again.dcm"))]) == [(COPIES, 1, 4)]


def test_what_no_time_tells_apart_is_no_sequence():
    assert kinds([frame(k, t) for k in range(3) for t in range(2)]) == [(SEVERAL, 1, 6)]


def test_a_sequence_of_which_slices_are_missing_is_none():
    frames = [frame(k, t, phase=t + 1) for k in range(3) for t in range(4)]
    assert kinds(frames[:-1]) == [(UNEVEN, 1, 11)]


def test_kinds_of_images_are_groups_of_their_own_and_no_phases():
    frames = [frame(k, t, contrast=(c,), instance=t) for k in range(3) for t, c in enumerate(("M", "P"))]
    assert kinds(frames) == [(STACK, 1, 3)] * 2
    assert kinds([frame(0, contrast=("FIRST",)), *(frame(k) for k in (1, 2))]) == [(STACK, 1, 3)]


IN_TURN = {
    "patient": [{"context": Context(patient_id=name)} for name in "AB"],
    "patient's name": [{"context": Context(patient_name=name)} for name in "AB"],
    "patient's date of birth": [{"context": Context(born=date)} for date in ("19500102", "19620102")],
    "study": [{"context": Context(study=uid)} for uid in ("1.2", "1.3")],
    "modality": [{"modality": name} for name in ("CT", "MR")],
    "frame of reference": [{"context": Context(patient_id="A", frame_of_reference=uid)} for uid in ("1.2", "1.3")],
    "echo time": [{"echo_ms": echo} for echo in (2.4, 4.8)],
    "part of the signal": [{"contrast": ("ORIGINAL", "PRIMARY", part)} for part in "MP"],
}
ALIKE = {
    "patient": [{"context": Context(patient_id=name)} for name in ("A", "")],
    "frame of reference": [{"context": Context(frame_of_reference=uid)} for uid in ("", "1.3")],
    "echo time": [{"echo_ms": echo} for echo in (2.4, 2.42)],
    "part of the signal": [{"contrast": kind} for kind in (("M",), ("DERIVED",))],
}


@pytest.mark.parametrize("aspect", IN_TURN)
def test_slices_in_turn_of_different_things_are_no_volume(aspect):
    frames = [frame(k, **IN_TURN[aspect][k % 2]) for k in range(8)]
    assert kinds(frames) == [(STACK, 1, 4)] * 2 and what_differs(frames) == aspect


@pytest.mark.parametrize("aspect", ALIKE)
def test_what_is_not_stated_or_hardly_differs_tells_nothing_apart(aspect):
    assert kinds([frame(k, **ALIKE[aspect][k % 2]) for k in range(8)]) == [(STACK, 1, 8)]


def test_orientations_and_sizes_are_groups_of_their_own():
    across = [frame(k, orientation=SAGITTAL, position=(3.0 * k, 0.0, 0.0)) for k in range(4, 6)]
    frames = [*(frame(k) for k in range(3)), *across]
    assert [g.kind for g in group_frames(frames)] == [STACK, STACK]
    assert len(group_frames([frame(0), replace(frame(1), rows=40)])) == 2


def test_series_are_told_apart_and_taken_together_where_a_scanner_made_one_of_each_slice():
    frames = [frame(k, t, series=f"s{k}", trigger_ms=40.0 * t) for k in range(3) for t in range(5)]
    assert [kinds(series) for series in by_series(frames).values()] == [[(SEQUENCE, 5, 1)]] * 3
    (group,) = group_frames(frames)
    assert (group.kind, len(group.phases), len(group.phases[0])) == (SEQUENCE, 5, 3)


def test_slices_that_do_not_say_where_they_lie_are_told():
    assert kinds([frame(0), frame(1, position=None)]) == [(PLACELESS, 1, 2)]
