"""Views along the heart are read beside the short axis: by how they lie, where their headers say, at their own times."""

from __future__ import annotations

import cine_studies as studies
import numpy as np
import pytest
from SIFALib.imaging.cine import Cine
from SIFALib.imaging.cine_views import axis_of, between_degrees, off_axis_mm, phase_beside
from SIFALib.imaging.study import read_cine


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = studies.write(tmp_path_factory.mktemp("study") / "P1", studies.images())
    for angle in (30.0, 90.0, 150.0):
        studies.write(folder, studies.long_view(angle, 6))
    return folder


def test_views_are_read_where_asked_for_and_lie_where_their_headers_say(study):
    assert read_cine(study).views == ()
    cine = read_cine(study, views=True)
    np.testing.assert_array_equal(cine.array, studies.array())
    assert sorted(view.kind for view in cine.views) == ["four-chamber view", "three-chamber view", "two-chamber view"]
    for view, angle in (("four-chamber view", 30.0), ("two-chamber view", 90.0)):
        (found,) = [each.cine for each in cine.views if each.kind == view]
        (header, *_) = studies.long_view(angle, 6)
        np.testing.assert_allclose(found.geometry.point((0, 0, 0)), header.ImagePositionPatient, atol=1e-3)
        row, column = np.reshape(np.array(header.ImageOrientationPatient, float), (2, 3))
        end = np.array(header.ImagePositionPatient, float) + 3 * 2.0 * row + 5 * 2.0 * column
        np.testing.assert_allclose(found.geometry.point((3, 5, 0)), end, atol=1e-3)
        np.testing.assert_array_equal(found.array[:, 0], [studies.heart(t, 0, 6) for t in range(6)])
        assert len(found.times_ms) == 6
    one, other = (view.cine for view in cine.views if view.kind != "three-chamber view")
    assert between_degrees(one, other) == pytest.approx(60.0, abs=0.1)


def beating(phases: int, step_ms: float, rate: float | None) -> Cine:
    times = tuple(step_ms * t for t in range(phases)) if step_ms else ()
    return Cine(np.zeros((phases, 1, 4, 4)), studies.geometry().part((0, 0, 0), (4, 4, 1)), times, rate)


def test_phases_are_matched_by_their_part_of_the_beat():
    cine = beating(20, 40.0, 75.0)
    assert phase_beside(beating(20, 40.0, 75.0), cine, 7) == 7
    assert phase_beside(beating(10, 120.0, 50.0), cine, 8) == 4  # a slower beat
    assert phase_beside(beating(10, 0.0, None), cine, 8) == 4
    assert phase_beside(beating(10, 0.0, None), cine, 19) == 0  # the beat goes round


def test_how_far_a_view_runs_beside_an_axis():
    cine = Cine(np.zeros((1, *studies.geometry().shape)), studies.geometry())
    middle = np.zeros(studies.geometry().shape, bool)
    middle[:, 11, 12] = True
    axis = axis_of(middle, cine)
    np.testing.assert_allclose(axis, [studies.geometry().point((12, 11, k)) for k in range(studies.PLACES)])
    short = beating(2, 0.0, None)
    expected = np.abs((axis - short.geometry.point((0, 0, 0))) @ short.geometry.axes[:, 2]).mean()
    assert off_axis_mm(short, axis) == pytest.approx(expected)
