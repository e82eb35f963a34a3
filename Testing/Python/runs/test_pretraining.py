"""A model made of random slices of phantoms: a run like any other, deterministic, resumable to the last bit."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tiny_models
import tiny_runs
import torch
from SIFALib import adaptation, runs
from SIFALib.adaptation import objectives
from SIFALib.adaptation.method import Method
from SIFALib.cli.main import main
from SIFALib.datasets import Augmentation, Batch, DataSettings
from SIFALib.imaging import Geometry, Volume
from SIFALib.networks.arrays import to_tensor
from SIFALib.phantom.slices import workers
from SIFALib.phantom.slices.anatomies import load_anatomies
from SIFALib.phantom.slices.randomisation import Randomisation
from SIFALib.runs import best, checkpoints, configuration, control, export, pretraining
from SIFALib.runs.configuration import TRAINING_SEEDS, VALIDATION_SEED, Configuration, PhantomSlices
from SIFALib.runs.loop import train
from SIFALib.support.errors import ModelError, RecordError, RunError
from SIFALib.support.progress import drain

PHANTOMS = PhantomSlices(anatomies=2, validation_anatomies=1, spacing_mm=5.0)
RATES = {"segmentation_rate": 3e-3, "warm_up": 5, "final_share": 0.01, "clip": 5.0, "average_decay": 0.995}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the tissue maps once a run has made them."""
    return tmp_path_factory.mktemp("cache")


def settings(cache: Path, **changes) -> Configuration:
    tiny = Configuration(
        DataSettings("phantom", "phantom", size=64), tiny_runs.supervised(**RATES), iterations=4, batch=2, threads=1,
        save_every=4, judge_every=4, preview_every=4, workers=0, cache=str(cache), device="cpu", precision="float32",
        phantom_slices=PHANTOMS,
    )  # fmt: skip
    return dataclasses.replace(tiny, **changes)


def made(cache: Path, **changes) -> pretraining.RandomSlices:
    c = settings(cache, **changes)
    assert c.phantom_slices is not None
    return drain(pretraining.prepare(c, c.phantom_slices, cache))


def test_stopped_and_resumed_equals_never_stopped_and_the_card_says_what_it_was_made_of(cache: Path, tmp_path: Path):
    whole = runs.create(tmp_path / "whole", settings(cache)).path
    parts = runs.create(tmp_path / "parts", settings(cache, workers=2)).path
    assert train(whole) == "finished"
    with tiny_runs.meanwhile(lambda: (tiny_runs.reached(parts, 1), control.stop(parts))):
        assert train(parts) == "stopped"
    assert tiny_runs.status_of(parts)["iteration"] < 4
    assert train(parts) == "finished"
    assert tiny_runs.result_of(parts) == tiny_runs.result_of(whole)
    folder = runs.RunFolder(whole)
    judged = best.read(folder.best)
    assert judged is not None and judged.value == pytest.approx(
        np.mean([judged.parts[f"supervised_{n}"] for n in (1, 2, 3, 4)])
    )
    assert (folder.previews / "00000004.png").exists()
    card = export.export(folder, tmp_path / "model", "heart-phantom", checkpoint=4).card
    assert card.trained_on.startswith("No patient: 8 random slices of 2 digital phantoms, adults and children")
    assert "phantoms that were not trained on" in card.quality[0].data and card.quality[0].values.keys() == {
        "MYO",
        "LA",
        "LV",
        "AA",
    }
    assert card.modality == "CT/MR" and card.citation.endswith("SIFA for 3D Slicer")


def test_the_phantoms_that_are_trained_on_judge_nothing(cache: Path):
    trained, judging = pretraining.people(PhantomSlices(anatomies=TRAINING_SEEDS)), pretraining.judges(PHANTOMS)
    assert set(trained) == set(range(1000)) and min(judging) == VALIDATION_SEED == 1_000_000
    assert len(made(cache).manifest) == 2
    adults = pretraining.people(PhantomSlices(anatomies=3, healthy_adults=True))
    persons = [pretraining.draw_person(seed) for seed in adults]
    assert len(adults) == 3 and all(p.condition == "normal" and p.growth == 1 for p in persons)


def test_the_slices_trained_on_are_as_random_as_asked_for_those_that_validate_as_ever(cache: Path):
    plain = dataclasses.replace(PHANTOMS, randomisation=Randomisation(strength=0))
    ordinary, tame = made(cache), made(cache, phantom_slices=plain)
    assert tame.row().wild == plain.randomisation != ordinary.row().wild
    assert tame.validation_row() == ordinary.validation_row()
    assert tame.fingerprint != ordinary.fingerprint == made(cache).fingerprint


def test_several_processes_share_the_slices_of_one(cache: Path):
    data = made(cache, batch=4)
    anatomies = load_anatomies(data.folder, data.row().seeds)
    whole = workers.make(anatomies, data.row(), 3)
    shares = [workers.make(anatomies, data.row(rank, 2), 3) for rank in (0, 1)]
    for n in (0, 1):
        assert np.array_equal(whole[n], np.concatenate([share[n] for share in shares]))


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short-axis stacks, a disc in a ring: in one of them both are labelled, in the other the disc alone."""
    folder = tmp_path_factory.mktemp("scans")
    rows, columns = np.mgrid[:72, :72] - 35.5
    radius = np.broadcast_to(np.hypot(rows, columns), (6, 72, 72))
    labels = np.where(radius < 14, 3, np.where(radius < 20, 1, 0)).astype(np.uint8)
    image = np.where(labels == 3, 900, np.where(labels == 1, 300, 100)) + np.arange(6)[:, None, None]
    for name, truth in (("both", labels), ("one", np.where(labels == 3, 3, 0).astype(np.uint8))):
        for place, array in (("images", image + len(name)), ("labels", truth)):
            volume = Volume(array.astype(np.int16), Geometry((72, 72, 6), (0.0, 0.0, 0.0), (1.4, 1.4, 8.0)), name)
            (folder / place).mkdir(exist_ok=True)
            sitk.WriteImage(volume.image(), str(folder / place / f"{name}.nii.gz"))
    return folder


def mixed(cache: Path, scans: Path, **changes) -> Configuration:
    phantoms = dataclasses.replace(PHANTOMS, scans_per_batch=2)
    turned = Augmentation(rotation_deg=180)
    data = DataSettings(str(scans), "phantom", size=64, augmentation=turned, partial_labels=True)
    return settings(cache, data=data, batch=4, phantom_slices=phantoms, **changes)


def test_labelled_scans_take_their_places_in_every_batch_and_say_what_they_label(cache: Path, scans: Path):
    c = mixed(cache, scans)
    data = drain(pretraining.prepare(c, c.phantom_slices, cache))
    drawn = [batch for batch, _ in data.batches(0, 12, 0, 1)]
    known = torch.cat([batch.source_known[2:] for batch in drawn])
    assert all(batch.source.shape == (4, 1, 64, 64) and batch.source_known[:2].all() for batch in drawn)
    assert {tuple(np.flatnonzero(row).tolist()) for row in known.numpy()} == {(0, 1, 3), (0, 3)}
    for batch in drawn:
        for labels, row in zip(batch.source_labels[2:], batch.source_known[2:], strict=True):
            assert row[labels.long().unique()].all()
    again = next(batch for batch, _ in data.batches(7, 8, 0, 1))
    assert torch.equal(again.source, drawn[7].source)  # wherever a training goes on
    shares = [next(batch for batch, _ in data.batches(7, 8, rank, 2)) for rank in (0, 1)]
    for name in ("source", "source_labels", "source_known"):
        of_scans = torch.cat([getattr(share, name)[1:] for share in shares])
        assert torch.equal(of_scans, getattr(drawn[7], name)[2:])
    assert sum("phantom" not in name for name in data.manifest) == 2 and data.fingerprint != made(cache).fingerprint


def test_a_model_of_phantoms_and_scans_is_told_what_these_label_and_says_so(
    cache: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = runs.create(tmp_path / "run", mixed(cache, scans, iterations=2, save_every=2))
    known, segmentation = [], objectives.segmentation
    monkeypatch.setattr(
        objectives, "segmentation", lambda *arguments: known.append(arguments[3]) or segmentation(*arguments)
    )
    assert train(run.path) == "finished"
    assert len(known) == 2 and all(rows[:2].all() and not rows[2:].all() for rows in known)
    said = export.export(run, tmp_path / "model", "mixed", checkpoint=2, force=True).card.trained_on
    assert said.startswith("4 random slices of 2 digital phantoms") and "and 4 of 2 labelled scans" in said


def test_slices_teach_seven_structures_or_the_papers_four_and_show_the_same(cache: Path):
    seven = configuration.changed(settings(cache, batch=8), {"method.classes": 8, "data.classes": 8})
    assert seven.phantom_slices is not None
    rows = [made(cache, batch=8), drain(pretraining.prepare(seven, seven.phantom_slices, cache))]
    four, all_seven = (next(row.batches(0, 1, 0, 1))[0] for row in rows)
    assert np.array_equal(four.source, all_seven.source)
    labels = [np.asarray(batch.source_labels) for batch in (four, all_seven)]
    assert labels[1].max() > 4 and np.array_equal(labels[0], np.where(labels[1] > 4, 0, labels[1]))


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("phantom_slices.scans_per_batch", 2, "scans_per_batch is 2; it must be less than the batch of 2"),
        ("phantom_slices.anatomies", 1001, "anatomies is 1001; it must be 1 to 1000"),
        ("phantom_slices.randomisation.any", -1, "any of the randomisation is -1"),
        ("phantom_slices.randomisation.artefact", 1, r"randomisation\.artefact is no key"),
        ("method.objective", "full", "must be source_only with phantom_slices"),
        ("classes", 7, "method.classes is 7; it must be 5 or 8 with phantom_slices"),
        ("data.source", "phantom:ct", "must be phantom with phantom_slices"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(cache: Path, key: str, value, named: str):
    with pytest.raises(RunError, match=named):
        keys = [key] if key != "classes" else ["method.classes", "data.classes"]
        configuration.changed(settings(cache), dict.fromkeys(keys, value))


@pytest.mark.parametrize("source", ["phantom", "phantom+contours"])
def test_phantoms_are_not_taken_for_the_scans_of_a_batch(cache: Path, source: str):
    changes = {"batch": 4, "phantom_slices.scans_per_batch": 2, "data.partial_labels": True, "data.source": source}
    with pytest.raises(RunError, match=r"data\.source is .*it must be a folder of labelled scans"):
        configuration.changed(settings(cache), changes)


def test_the_preset_makes_a_run_and_the_command_line_varies_it(tmp_path: Path):
    options = ["--set", "phantom_slices.randomisation.artefacts=0.5", "--set", "phantom_slices.anatomies=60"]
    assert main(["train", str(tmp_path / "run"), "--preset", "pretraining", "--create-only", *options]) == 0
    c = runs.RunFolder(tmp_path / "run").read().configuration
    assert c.phantom_slices == PhantomSlices(60, randomisation=Randomisation(artefacts=0.5)) and c.seed == 1
    assert main(["train", str(tmp_path / "run"), "--phantoms", "30", "--create-only"]) == 0
    few = runs.RunFolder(tmp_path / "run").read().configuration
    assert (
        few.phantom_slices is not None and few.phantom_slices.anatomies == 30 and few.data.phantoms == c.data.phantoms
    )
    rates = [c.method.segmentation_rate_at(n, c.iterations) for n in (0, 99, 100, 4550, 9_000)]
    assert rates == pytest.approx([1e-5, 1e-3, 1e-3, 5.05e-4, 1e-5])


def test_it_can_begin_with_a_models_weights_and_needs_them_no_more_once_it_goes_on(cache: Path, tmp_path: Path):
    package = tiny_models.write(tmp_path / "first")
    begun = settings(cache, start_model=str(package.folder), iterations=2, save_every=2, judge_every=0, preview_every=0)
    run = runs.create(tmp_path / "run", begun)
    assert train(run.path) == "finished"
    package.folder.rename(tmp_path / "away")
    run.change(dataclasses.replace(begun, iterations=4))
    assert train(run.path) == "finished"
    said = export.export(run, tmp_path / "second", "second", checkpoint=4, force=True).card.trained_on
    assert "its first weights were those of the model tiny@1.0.0" in said
    new = runs.create(tmp_path / "new", dataclasses.replace(begun, name="new"))
    assert train(new.path) == "failed" and control.look(new.path).status.reason == "model"
    (tmp_path / "away").rename(package.folder)
    wide = dataclasses.replace(begun, method=dataclasses.replace(begun.method, width=4))
    with pytest.raises(ModelError, match=r"tiny@1\.0\.0 is of variant, width and classes"):
        runs.create(tmp_path / "wide", wide)
    assert not (tmp_path / "wide").exists()


def test_a_run_that_has_computed_nothing_yet_begins_with_the_weights_that_it_was_prepared_with(cache, tmp_path):
    package = tiny_models.write(tmp_path / "first")
    begun = settings(cache, start_model=str(package.folder), iterations=2, save_every=2, judge_every=0, preview_every=0)
    run = runs.create(tmp_path / "run", begun)
    assert train(run.path) == "finished"
    shutil.rmtree(run.checkpoints)  # as if it had been stopped before the first one
    package.folder.rename(tmp_path / "away")
    tiny_models.write_constant(package.folder, 1)  # called the same
    assert train(run.path) == "failed"
    status = control.look(run.path).status
    assert status.reason == "model" and "tiny@1.0.0 has other weights now than when" in status.message
    shutil.rmtree(package.folder)
    (tmp_path / "away").rename(package.folder)
    assert train(run.path) == "finished"


def test_other_settings_make_it_another_run(cache: Path, tmp_path: Path):
    run = runs.create(tmp_path / "run", settings(cache, iterations=1, judge_every=0, preview_every=0))
    assert train(run.path) == "finished" and checkpoints.newest(run.checkpoints) == 1
    c = run.read().configuration
    run.change(dataclasses.replace(c, iterations=9, workers=1))
    with pytest.raises(RunError, match=r"another method\.segmentation_rate, phantom_slices\.anatomies"):
        run.change(configuration.changed(c, {"method.segmentation_rate": 0.1, "phantom_slices.anatomies": 1}))


def test_it_learns(cache: Path):
    data = made(cache, batch=4)
    images, labels = workers.make(load_anatomies(data.folder, data.row().seeds), data.row(), 0)
    batch = Batch(to_tensor(images), to_tensor(labels), to_tensor(images))
    state = adaptation.start(Method(width=4, objective="source_only", **RATES), 1, 30)
    losses = [adaptation.step(state, batch)["segmentation"] for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.75 * np.mean(losses[:5])
    assert 0 <= data.score(state).value <= 1 and torch.isfinite(torch.tensor(losses)).all()


def test_a_randomisation_without_any_contrast_cannot_be():
    with pytest.raises(RecordError, match="at least one must be more than 0"):
        Randomisation(ct=0, mr=0, any=0)
