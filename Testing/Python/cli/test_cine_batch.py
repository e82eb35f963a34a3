"""`sifa batch --cine`: a row a study, whatever becomes of it; stopped, it goes on."""

from __future__ import annotations

import csv
import errno
import os
from pathlib import Path

import cine_hearts
import cine_studies as studies
import SimpleITK as sitk
import tiny_models
from SIFALib.cli import cine_batch, main


def test_each_study_is_a_row_and_what_is_done_stays(monkeypatch, tmp_path, capsys):
    seen = cine_hearts.use(monkeypatch)
    model = str(tiny_models.write(tmp_path / "tiny").folder)
    place = tmp_path / "studies"
    studies.write(place / "P1" / "Se1", studies.images())
    studies.write(place / "P2", [studies.image(t, 0) for t in range(studies.PHASES)])  # a single place
    image = sitk.JoinSeries([studies.geometry().to_image(phase) for phase in studies.array()])
    sitk.WriteImage(image, str(place / "P3.nii.gz"))
    (place / "notes").mkdir()
    out = tmp_path / "out"

    def call() -> list[dict[str, str]]:
        assert main(["batch", "--cine", str(place), str(out), "--model", model, "--quiet"]) == 3
        return list(csv.DictReader((out / "cine.csv").open()))

    rows = call()
    assert [(row["study"], row["state"]) for row in rows] == [("P1", "done"), ("P2", "failed"), ("P3", "done")]
    assert "holds no stack of cine images" in rows[1]["message"]
    assert rows[0]["LV ejection fraction (%)"] == rows[2]["LV ejection fraction (%)"] != ""
    assert (out / "P3" / "report.html").is_file()
    assert not (out / "P2").exists()
    count = len(seen)
    (out / "P3" / "report.json").unlink()  # as if it had been stopped there
    again = call()
    assert [row["state"] for row in again] == ["finished before", "failed", "done"]
    assert len(seen) == count + studies.PHASES
    assert again[0]["LV end-diastolic volume (ml)"] == rows[0]["LV end-diastolic volume (ml)"]


def test_the_result_of_another_study_is_never_written_over_and_keeps_its_row(monkeypatch, tmp_path, capsys):
    seen = cine_hearts.use(monkeypatch)
    model, out = str(tiny_models.write(tmp_path / "tiny").folder), tmp_path / "out"
    studies.write(tmp_path / "a" / "P1", studies.images())
    studies.write(tmp_path / "b" / "P1", studies.images(lambda t, k: {"PatientSize": 1.5}))

    def call(place: str, *more: str) -> list[tuple[str, ...]]:
        main(["batch", "--cine", str(tmp_path / place), str(out), "--model", model, "--quiet", *more])
        rows = csv.DictReader((out / "cine.csv").open())
        return [
            (row["source"][-4:], row["state"], row.get("LV ejection fraction (%)") and row["made by"][:4])
            for row in rows
        ]

    assert call("a") == [("a/P1", "done", "tiny")]
    before = (out / "P1" / "report.json").read_bytes()
    both = [("b/P1", "failed", ""), ("a/P1", "finished before", "tiny")]
    assert call("b") == both == call("b")
    assert (out / "P1" / "report.json").read_bytes() == before
    message = next(csv.DictReader((out / "cine.csv").open()))["message"]
    assert "holds the result of another study" in message and str(tmp_path / "a" / "P1") in message
    assert call("a") == [("a/P1", "finished before", "tiny")]
    (tmp_path / "a" / "P1" / "000.dcm").unlink()  # the same study, changed, may be done anew
    count = len(seen)
    assert call("a", "--table") == [("a/P1", "waiting", None)] and len(seen) == count
    assert call("a") == [("a/P1", "done", "tiny")]
    (out / "cine.csv").unlink()
    count = len(seen)
    assert call("a", "--table") == [("a/P1", "finished before", "tiny")] and len(seen) == count


def test_what_is_no_table_of_a_batch_is_kept(monkeypatch, tmp_path, capsys):
    cine_hearts.use(monkeypatch)
    model = str(tiny_models.write(tmp_path / "tiny").folder)
    studies.write(tmp_path / "studies" / "P1", studies.images())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cine.csv").write_text("mine\n")
    assert main(["batch", "--cine", str(tmp_path / "studies"), str(tmp_path / "out"), "--model", model]) == 3
    assert "is no table of a batch" in capsys.readouterr().err
    assert main(["batch", "--cine", str(tmp_path / "tiny"), str(tmp_path / "o"), "--model", model]) == 3
    assert "holds no studies" in capsys.readouterr().err


def test_what_never_ends_or_is_locked_is_a_row_and_never_the_end(monkeypatch, tmp_path, capsys):
    cine_hearts.use(monkeypatch)
    model = str(tiny_models.write(tmp_path / "tiny").folder)
    place, out = tmp_path / "studies", tmp_path / "out"
    image = sitk.JoinSeries([studies.geometry().to_image(phase) for phase in studies.array()])
    place.mkdir()
    sitk.WriteImage(image, str(place / "P1.nii.gz"))
    os.mkfifo(place / "P2.nii.gz")
    (place / "lost+found").mkdir()
    (out / "P1").mkdir(parents=True)
    (out / "P1" / "report.json").write_text("[" * 100_000)
    below = Path.iterdir

    def locked(folder):
        if folder.name == "lost+found":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return below(folder)

    monkeypatch.setattr(Path, "iterdir", locked)
    assert main(["batch", "--cine", str(place), str(out), "--model", model, "--quiet"]) == 3
    rows = {row["study"]: row for row in csv.DictReader((out / "cine.csv").open())}
    assert {name: row["state"] for name, row in rows.items()} == {"P1": "done", "P2": "failed", "lost_found": "failed"}
    assert "is a pipe or a device" in rows["P2"]["message"] and "Permission denied" in rows["lost_found"]["message"]
    (out / "cine.csv").unlink()
    os.mkfifo(out / "cine.csv")
    assert main(["batch", "--cine", str(place), str(out), "--model", model, "--quiet"]) == 3
    assert "is no table of a batch" in capsys.readouterr().err


def test_the_atrium_has_a_column_where_a_study_has_views_along_the_heart():
    report = {"input": {"phases": 8}, "ventricles": {}, "flags": [], "missing_phases": []}
    told = {"la_volume_ml": {"end_diastole": None, "end_systole": 61.24}, "warnings": []}
    rows = [
        cine_batch.Row("P1", "a", "done", report={**report, "long_axis": None}),
        cine_batch.Row("P2", "b", "done", report={**report, "long_axis": told}),
    ]
    assert [row[cine_batch.ATRIUM] for row in csv.DictReader(cine_batch.table(rows).splitlines())] == ["", "61.2"]
    assert cine_batch.ATRIUM not in cine_batch.table(rows[:1])


def test_the_right_ventricle_has_no_column_of_mass_which_nothing_fills():
    figures = {"edv_ml": 150.0, "esv_ml": 60.0, "sv_ml": 90.0, "ef_percent": 60.0, "remarks": []}
    ventricles = {"LV": figures | {"mass_g": 110.0}, "RV": figures}
    report = {"input": {"phases": 8}, "ventricles": ventricles, "flags": [], "missing_phases": []}
    row = next(csv.DictReader(cine_batch.table([cine_batch.Row("P1", "a", "done", report=report)]).splitlines()))
    assert [name for name in row if "mass" in name] == ["LV mass of the myocardium (g)"]
    assert row["RV ejection fraction (%)"] == "60.00" and row["RV cardiac output (l/min)"] == ""


def test_the_table_is_written_though_the_first_study_fails(tmp_path):
    model = str(tiny_models.write(tmp_path / "tiny").folder)
    studies.write(tmp_path / "studies" / "P2", [studies.image(t, 0) for t in range(studies.PHASES)])  # a single place
    out = tmp_path / "out"
    assert main(["batch", "--cine", str(tmp_path / "studies"), str(out), "--model", model, "--quiet"]) == 3
    assert [row["state"] for row in csv.DictReader((out / "cine.csv").open())] == ["failed"]
