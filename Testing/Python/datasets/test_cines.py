"""Cines as scans to adapt to: three phases of one heart, which is never on both sides of a split."""

from __future__ import annotations

import json

import cine_studies as studies
import numpy as np
import SimpleITK as sitk
from SIFALib.datasets import sources
from SIFALib.datasets.domains import _validation
from SIFALib.datasets.scans import examine, image_of
from SIFALib.datasets.settings import DataSettings
from SIFALib.imaging.cine import Cine
from SIFALib.imaging.moments import BETWEEN, ED, ES, phase_of


def test_both_ends_of_the_beat_and_a_phase_between_stand_for_a_cine():
    cine = Cine(studies.array(16), studies.geometry())
    cavity = (cine.array == 300).sum(axis=(1, 2, 3))
    assert abs(phase_of(cine, ES) - int(cavity.argmin())) <= 1
    assert cavity[phase_of(cine, ED)] > cavity[phase_of(cine, BETWEEN)] > cavity[phase_of(cine, ES)]


def test_a_study_of_several_folders_and_a_file_are_three_scans_each(tmp_path):
    for k in range(studies.PLACES):
        slices = [studies.image(t, k, SeriesInstanceUID=f"1.2.{k}") for t in range(studies.PHASES)]
        studies.write(tmp_path / "P1" / f"Se{k}", slices)
    image = sitk.JoinSeries([studies.geometry().to_image(phase) for phase in studies.array()])
    sitk.WriteImage(image, str(tmp_path / "P2.nii.gz"))
    sitk.WriteImage(studies.geometry().to_image(studies.array()[0]), str(tmp_path / "P3.nii.gz"))
    scans = sources.find(str(tmp_path), labelled=False, cines=True).scans
    assert [s.name for s in scans] == ["P1 ED", "P1 between", "P1 ES", "P2 ED", "P2 between", "P2 ES", "P3"]
    assert {s.image for s in scans[:3]} == {tmp_path / "P1"}
    for one, other in zip(scans[:3], scans[3:6], strict=True):
        np.testing.assert_array_equal(image_of(one).array, image_of(other).array)
    known, volume, _ = examine(scans[2], "target", DataSettings(source="phantom", target=str(tmp_path)))
    assert not known.problems
    assert (known.kind, volume.name, known.slices) == ("cine ES", "P1 ES", studies.PLACES)
    excluded = sources.find(str(tmp_path), False, ("P1 between",), cines=True).scans
    assert "P1 between" not in [s.name for s in excluded]
    assert len(sources.find(str(tmp_path), labelled=False).scans) == studies.PLACES + 2


def test_a_cine_whose_person_some_files_leave_out_is_one_and_one_of_two_people_is_none(tmp_path):
    for name, born in (("some", ""), ("others", "19800202")):
        for k in range(studies.PLACES):
            said = {} if k < 3 else {"PatientBirthDate": born}
            slices = [studies.image(t, k, SeriesInstanceUID=f"1.2.{k}", **said) for t in range(studies.PHASES)]
            studies.write(tmp_path / name / "study" / f"Se{k}", slices)
    assert [s.name for s in sources.find(str(tmp_path / "some"), False, cines=True).scans] == [
        "study ED", "study between", "study ES",
    ]  # fmt: skip
    assert not any(s.moment for s in sources.find(str(tmp_path / "others"), False, cines=True).scans)


def test_phases_of_one_heart_are_on_one_side_of_every_split():
    identities = [f"heart {n}" for n in range(10) for _ in range(3)]
    judging = _validation(identities, 0.2)
    assert len(judging) == 6
    assert len({identities[n] for n in judging}) == 2
    assert _validation(["a", "a", "a"], 0.2) == []


def test_a_list_can_say_which_scans_are_of_one_heart(tmp_path):
    for name in "ab":
        sitk.WriteImage(studies.geometry().to_image(studies.array()[0]), str(tmp_path / f"{name}.nrrd"))
    entries = [{"image": "a.nrrd", "heart": "P1"}, {"image": "b.nrrd", "heart": "P1"}]
    (tmp_path / "list.json").write_text(json.dumps(entries))
    assert [s.heart for s in sources.find(str(tmp_path / "list.json"), labelled=False).scans] == ["P1", "P1"]
