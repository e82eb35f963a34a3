"""Blank images of a cine never look like a small heart: they are made from those beside them in time, and told."""

from __future__ import annotations

import cine_studies as studies
import numpy as np
import pytest
import SimpleITK as sitk
from cine_studies import PHASES, PLACES, image, write
from SIFALib.imaging.cine_blanks import without_blanks
from SIFALib.imaging.study import read_cine


def test_a_blank_image_is_between_those_before_and_after_it():
    array = studies.array()
    array[3, 2], array[[0, 7], 4] = 0, 999
    made, notes, at = without_blanks(array)
    assert at == ((0, 4), (3, 2), (7, 4))
    np.testing.assert_array_equal(made[3, 2], np.rint((array[2, 2].astype(float) + array[4, 2]) / 2))
    np.testing.assert_array_equal(made[0, 4], np.rint((array[6, 4].astype(float) + 2 * array[1, 4]) / 3))
    assert notes[0].startswith("Phase 4 of place 3 is blank") and notes[1].startswith(
        "Phases 1, 8 of place 5 are blank"
    )
    rest = np.array([[(t, k) not in at for k in range(PLACES)] for t in range(PHASES)])
    np.testing.assert_array_equal(made[rest], array[rest])


def test_a_whole_phase_and_a_whole_place_stay_blank():
    array = studies.array()
    array[3], array[:, 1] = 0, 7
    made, notes, at = without_blanks(array)
    assert made is array and notes == at == ()


@pytest.mark.parametrize("kind", ["study", "cine.nii.gz"])
def test_a_study_and_a_file_are_read_without_the_blank_image(tmp_path, kind):
    if kind == "study":
        blank = {"PixelData": bytes(2 * studies.SIZE**2)}
        path = write(
            tmp_path / kind, [image(t, k, **(blank if (t, k) == (3, 2) else {})) for k in range(5) for t in range(8)]
        )
    else:
        array = studies.array()
        array[3, 2] = 0
        path = tmp_path / kind
        sitk.WriteImage(sitk.JoinSeries([studies.geometry().to_image(phase) for phase in array]), str(path))
    cine = read_cine(path)
    assert cine.array[3, 2].std() > 0 and "Phase 4 of place 3 is blank" in " ".join(cine.notes)
    assert cine.sources_of(3) == () and (kind != "study" or len(cine.sources_of(4)) == PLACES)


def test_a_missing_place_is_filled_from_places_that_are_not_blank(tmp_path):
    blank = {"PixelData": bytes(2 * studies.SIZE**2)}
    images = [image(t, k, **(blank if (t, k) == (3, 2) else {})) for k in range(7) if k != 3 for t in range(8)]
    whole = read_cine(write(tmp_path / "whole", [image(t, k) for k in range(7) for t in range(8)])).array
    filled = read_cine(write(tmp_path / "study", images)).array
    assert abs(filled[3, 3].mean() - (filled[3, 2].mean() + whole[3, 4].mean()) / 2) < 1
    assert filled[3, 3].mean() > 0.9 * filled[2, 3].mean()
