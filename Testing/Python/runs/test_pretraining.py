"""Training on phantom slices: deterministic, resumable to the last bit, and it learns."""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from SIFALib.adaptation import losses
from SIFALib.networks import devices
from SIFALib.phantom.slices import anatomies as phantom_slices
from SIFALib.phantom.slices import workers as slice_workers
from SIFALib.phantom.slices.randomisation import Randomisation
from SIFALib.runs import pretraining
from SIFALib.runs.pretraining import Settings
from SIFALib.support.errors import ModelError

SETTINGS = Settings(
    width=2,
    size=64,
    batch=2,
    iterations=4,
    anatomies=2,
    validation_anatomies=1,
    spacing_mm=5.0,
    threads=1,
    save_every=2,
    precision="float32",
)


@pytest.fixture(scope="module")
def anatomies(tmp_path_factory: pytest.TempPathFactory) -> list[phantom_slices.Anatomy]:
    folder = tmp_path_factory.mktemp("anatomies")
    phantom_slices.make_anatomies(folder, [3, 4], 4.0)
    return phantom_slices.load_anatomies(folder)


def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path):
    whole = pretraining.train(SETTINGS, tmp_path / "whole")
    parts = tmp_path / "parts"
    parts.mkdir()
    for name in ("anatomies", "validation"):
        (parts / name).symlink_to(tmp_path / "whole" / name)
    state = pretraining.load(SETTINGS, parts)
    row = pretraining.row_of(SETTINGS, parts / "anatomies", SETTINGS.seed)
    for made in slice_workers.batches(row, 0, 2, 0):
        pretraining.train_step(state, *pretraining.tensors(*made), SETTINGS)
    pretraining.save(state, SETTINGS, parts)
    resumed = pretraining.train(replace(SETTINGS, workers=2), parts)
    assert resumed.iteration == whole.iteration == 4
    for key, value in whole.segmenter.state_dict().items():
        assert torch.equal(value, resumed.segmenter.state_dict()[key]), key
    for key, value in whole.average.items():
        assert torch.equal(value, resumed.average[key]), key


@pytest.mark.parametrize(("fast", "precision"), [(False, torch.float32), (True, torch.bfloat16)])
def test_a_training_computes_in_what_the_processor_is_made_for(
    anatomies, monkeypatch, fast: bool, precision: torch.dtype
):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: fast)
    settings = replace(SETTINGS, size=32, precision="auto")
    state = pretraining.start(settings)
    forward, seen = state.segmenter.forward_both, []

    def watched(images):
        found = forward(images)
        seen.append(found[0].dtype)
        return found

    monkeypatch.setattr(state.segmenter, "forward_both", watched)
    row = pretraining.row_of(settings, Path(), 1)
    made = slice_workers.make(anatomies, row, 0)
    assert np.isfinite(pretraining.train_step(state, *pretraining.tensors(*made), settings))
    assert state.precision is precision and seen == [precision]
    assert {p.dtype for p in state.segmenter.parameters()} == {torch.float32}


@pytest.mark.parametrize("workers", [1, 2])
def test_slices_made_ahead_are_those_made_when_asked_for(tmp_path: Path, workers: int):
    phantom_slices.make_anatomies(tmp_path, [3], 6.0)
    row = slice_workers.Row(tmp_path, 32, 7, 2)
    asked = list(slice_workers.batches(row, 3, 8, 0))
    ahead = list(slice_workers.batches(row, 3, 8, workers))
    assert len(asked) == len(ahead) == 5
    for one, other in zip(asked, ahead, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_process_that_dies_is_told_of(tmp_path: Path):
    (tmp_path / "1.nrrd").write_text("no tissue map")
    with pytest.raises(RuntimeError, match="ended by itself"):
        next(slice_workers.batches(slice_workers.Row(tmp_path, 32, 7, 2), 0, 1, 1))


def test_nothing_is_left_running_when_the_slices_are_no_longer_wanted(tmp_path: Path):
    phantom_slices.make_anatomies(tmp_path, [3], 6.0)
    made = slice_workers.batches(slice_workers.Row(tmp_path, 32, 7, 2), 0, 1000, 2)
    next(made)
    assert len(multiprocessing.active_children()) == 2
    made.close()
    assert not multiprocessing.active_children()


def test_the_slices_trained_on_are_as_random_as_asked_for_those_that_validate_as_ever(tmp_path: Path):
    plain = replace(SETTINGS, randomisation=Randomisation(strength=0))
    trained, wild = (pretraining.row_of(s, tmp_path, s.seed) for s in (plain, SETTINGS))
    assert trained.wild == plain.randomisation != wild.wild
    judge = pretraining.VALIDATION_SEED
    assert pretraining.row_of(plain, tmp_path, judge) == pretraining.row_of(SETTINGS, tmp_path, judge)


def test_a_randomisation_is_read_as_it_is_written_and_a_wrong_one_refused_by_name():
    assert pretraining.randomisation("any=0,artefacts=0.5") == Randomisation(any=0, artefacts=0.5)
    assert pretraining.randomisation("") == Randomisation()
    for wrong, says in (("artefact=1", "artefact is none of"), ("any", "no randomisation"), ("any=-1", "from 0 on")):
        with pytest.raises(argparse.ArgumentTypeError, match=says):
            pretraining.randomisation(wrong)


def test_a_training_does_not_go_on_with_other_settings(tmp_path: Path):
    pretraining.save(pretraining.start(SETTINGS), SETTINGS, tmp_path)
    assert pretraining.load(replace(SETTINGS, iterations=9), tmp_path).iteration == 0
    with pytest.raises(ValueError, match=r"other settings \(learning_rate 0\.001\)"):
        pretraining.load(replace(SETTINGS, learning_rate=0.1), tmp_path)


def test_a_training_can_start_from_a_models_weights_and_its_card_says_so(tmp_path: Path):
    first = pretraining.start(SETTINGS)
    package = pretraining.write_model(first, SETTINGS, [0.5] * 4, tmp_path / "first model", "0.0.1")
    settings = replace(SETTINGS, seed=9, start_model=str(package.folder))
    second = pretraining.load(settings, tmp_path)
    for key, value in first.average.items():
        halved = value.half().float()  # as packages keep them
        assert torch.equal(second.average[key], halved) and torch.equal(second.segmenter.state_dict()[key], halved)
    said = pretraining.write_model(second, settings, [0.5] * 4, tmp_path / "second", "0.0.2").card.trained_on
    assert "heart-phantom 0.0.1" in said
    pretraining.save(second, settings, tmp_path)
    package.folder.rename(tmp_path / "moved away")
    later = pretraining.load(settings, tmp_path)
    assert pretraining.write_model(later, settings, [0.5] * 4, tmp_path / "third", "0.0.3").card.trained_on == said
    (tmp_path / "checkpoint.pt").unlink()
    (tmp_path / "moved away").rename(package.folder)
    with pytest.raises(ValueError, match="width 2, the training 4"):
        pretraining.load(replace(settings, width=4), tmp_path)


def test_a_training_that_goes_on_needs_its_first_weights_no_more(tmp_path: Path):
    settings = replace(SETTINGS, start_model=str(tmp_path / "gone"))
    with pytest.raises(ModelError):
        pretraining.load(settings, tmp_path)
    pretraining.save(pretraining.start(SETTINGS), settings, tmp_path)
    assert pretraining.load(settings, tmp_path).iteration == 0


def test_it_learns(anatomies):
    settings = replace(SETTINGS, width=4, batch=4, iterations=30, warm_up=5, learning_rate=3e-3)
    state = pretraining.start(settings)
    row = pretraining.row_of(settings, Path(), 1)
    images, labels = pretraining.tensors(*slice_workers.make(anatomies, row, 0))
    seen = [pretraining.train_step(state, images, labels, settings) for _ in range(30)]
    assert np.mean(seen[-5:]) < 0.75 * np.mean(seen[:5])


def test_the_losses_are_those_of_the_paper():
    """Against the formulas written out for one pixel row, two classes."""
    logits = torch.tensor([[[[2.0, 0.0, -1.0]], [[0.0, 1.0, 3.0]]]], dtype=torch.float64)
    truth = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]]], dtype=torch.float64)  # the last pixel has no class
    p = torch.softmax(logits, 1)
    weight = 1 - 0.5
    expected = -(weight * torch.log(p[0, 0, 0, 0]) + weight * torch.log(p[0, 1, 0, 1])) / 3
    assert losses.cross_entropy(logits, truth).item() == pytest.approx(expected.item())
    parts = [2 * p[0, c, 0, c] / ((p[0, c] ** 2).sum() + 1 + 1e-7) for c in range(2)]
    assert losses.dice(logits, truth).item() == pytest.approx(1 - sum(parts).item() / 2)


def test_hopeless_pixels_give_no_gradient():
    logits = torch.tensor([[[[0.0]], [[9.0]]]], requires_grad=True)
    truth = torch.tensor([[[[1.0]], [[0.0]]]])
    losses.cross_entropy(torch.cat([logits, -logits.detach()], 3), torch.cat([truth, truth.flip(1)], 3)).backward()
    assert torch.all(logits.grad == 0)
