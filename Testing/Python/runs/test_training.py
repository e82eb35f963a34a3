"""Trainings in a run folder: resumed to the bit, stopped and paused at once, and failing with a sentence."""

from __future__ import annotations

import dataclasses
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
import SimpleITK as sitk
import tiny_models
import tiny_runs
import torch
from SIFALib import adaptation, runs
from SIFALib.adaptation import label_free, plausibility, signs
from SIFALib.models import store
from SIFALib.networks import devices, loading
from SIFALib.runs import best, checkpoints, configuration, control, events, export, learning_data, session
from SIFALib.runs.loop import train
from SIFALib.support.errors import RunError
from SIFALib.support.messages import advised


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    tiny_runs.make_scans(folder)
    return folder


def new(scans: Path, path: Path, **changes) -> Path:
    """A run of the supervised kind, which is fast."""
    changes = {"method": tiny_runs.supervised(), "judge_every": 0, "preview_every": 0, **changes}
    return runs.create(path, tiny_runs.configuration(scans, **changes)).path


def change(run: Path, **values) -> None:
    folder = runs.RunFolder(run)
    folder.change(configuration.changed(folder.read().configuration, values))


def test_stopped_and_resumed_equals_never_stopped(scans: Path, tmp_path: Path):
    changes = {"iterations": 4, "save_every": 4, "judge_every": 2, "preview_every": 3}
    configured = tiny_runs.configuration(scans, **changes)
    whole = runs.create(tmp_path / "whole", configured).path
    parts = runs.create(tmp_path / "parts", configured).path
    assert train(whole) == "finished"
    with tiny_runs.meanwhile(lambda: (tiny_runs.reached(parts, 1), control.stop(parts))):
        assert train(parts) == "stopped"
    stopped_at = tiny_runs.status_of(parts)["iteration"]
    assert stopped_at < 4 and checkpoints.newest(parts / "checkpoints") == stopped_at
    assert train(parts) == "finished"
    assert tiny_runs.result_of(parts) == tiny_runs.result_of(whole)
    assert {p.name for p in (whole / "previews").iterdir()} == {"00000003.png", "00000004.png"}
    assert best.read(whole / "best") is not None
    image = sitk.GetArrayFromImage(sitk.ReadImage(str(whole / "previews" / "00000004.png")))
    assert image.shape[2] == 3 and image.std() > 20
    status = tiny_runs.status_of(whole)
    assert status["state"] == "finished" and status["seconds_left"] == 0 and 0 <= status["loader_share"] <= 1
    assert status["best_iteration"] in (2, 4) and status["seconds_per_iteration"] > 0


@pytest.mark.parametrize("way", ["file", "SIGTERM", "SIGINT"])
def test_a_run_stops_within_one_iteration(scans: Path, tmp_path: Path, way: str):
    run = new(scans, tmp_path / "run", iterations=10_000, save_every=5_000)
    asked: list[int] = []

    def ask() -> None:
        tiny_runs.reached(run, 3)
        if way == "file":
            (run / "stop.request").touch()
        else:
            os.kill(os.getpid(), getattr(signal, way))
        asked.append(max(tiny_runs.losses_of(run)))

    with tiny_runs.meanwhile(ask):
        assert train(run) == "stopped"
    last = max(tiny_runs.losses_of(run))
    assert last <= asked[0] + 1
    assert checkpoints.newest(run / "checkpoints") == last
    assert tiny_runs.status_of(run)["state"] == "stopped" and not (run / "stop.request").exists()


@pytest.mark.parametrize("way", ["file", "signal"])
def test_a_paused_run_saves_waits_goes_on_and_can_be_stopped(scans: Path, tmp_path: Path, way: str):
    run = new(scans, tmp_path / "run", iterations=10_000, save_every=5_000)

    def pause() -> int:
        """The iteration at which it waits."""
        control.pause(run) if way == "file" else os.kill(os.getpid(), signal.SIGUSR1)
        tiny_runs.wait_until(lambda: tiny_runs.status_of(run)["state"] == "paused")
        return max(tiny_runs.losses_of(run))

    def pause_resume_pause_and_stop() -> None:
        tiny_runs.reached(run, 2)
        waiting_at = pause()
        assert checkpoints.newest(run / "checkpoints") == waiting_at
        control.resume(run) if way == "file" else os.kill(os.getpid(), signal.SIGUSR2)
        assert tiny_runs.reached(run, waiting_at + 1) and tiny_runs.status_of(run)["state"] == "running"
        pause()
        control.stop(run)

    with tiny_runs.meanwhile(pause_resume_pause_and_stop):
        assert train(run) == "stopped"


@pytest.mark.parametrize(("fast", "precision"), [(False, torch.float32), (True, torch.bfloat16)])
def test_a_run_computes_in_what_the_processor_is_made_for(
    scans: Path, tmp_path: Path, monkeypatch, fast: bool, precision: torch.dtype
):
    step, seen = adaptation.step, []

    def watched(state, batch, precision, accumulate):
        seen.append(precision)
        losses = step(state, batch, precision, accumulate)
        assert {p.dtype for p in state.segmenter.parameters()} == {torch.float32}
        return losses

    monkeypatch.setattr(devices, "_cpu_has_bfloat16", lambda: fast)
    monkeypatch.setattr(adaptation, "step", watched)
    run = new(scans, tmp_path / "run", iterations=2, precision="auto")
    assert train(run) == "finished" and seen == [precision] * 2


def test_what_was_asked_of_an_earlier_process_is_forgotten(scans: Path, tmp_path: Path):
    run = new(scans, tmp_path / "run", iterations=2)
    for name in ("stop.request", "pause.request"):
        (run / name).touch()
        os.utime(run / name, (1, 1))
    assert train(run) == "finished"


def test_a_finished_run_goes_on_with_more_iterations(scans: Path, tmp_path: Path):
    run = new(scans, tmp_path / "run", iterations=3)
    assert train(run) == "finished" and train(run) == "finished"
    change(run, iterations=5)
    assert train(run) == "finished"
    assert list(tiny_runs.losses_of(run)) == [1, 2, 3, 4, 5]


def test_a_run_of_epochs_is_as_long_as_its_slices_make_it(scans: Path, tmp_path: Path):
    from SIFALib import datasets

    run = new(scans, tmp_path / "run", iterations=0, batch=4, method=tiny_runs.supervised(epochs=2))
    c = runs.RunFolder(run).read().configuration
    domains = datasets.prepared(c.data, c.cache)
    larger = max(int((~slices.coarse).sum()) for slices in (domains.source, domains.target))
    assert train(run) == "finished"
    assert runs.RunFolder(run).read().configuration.iterations == 2 * (larger // 4) > 2
    assert max(tiny_runs.losses_of(run)) == tiny_runs.status_of(run)["iterations"] == 2 * (larger // 4)


def test_a_torn_event_and_a_damaged_checkpoint_change_nothing(scans: Path, tmp_path: Path):
    whole, run = new(scans, tmp_path / "whole"), new(scans, tmp_path / "run", iterations=4)
    assert train(whole) == "finished" and train(run) == "finished"
    damaged = run / "checkpoints" / "00000004.pt"
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    with open(run / "events.jsonl", "ab") as file:
        file.write(b'{"kind": "los')
    change(run, iterations=6)
    assert train(run) == "finished"
    assert tiny_runs.result_of(run) == tiny_runs.result_of(whole)


# --- what goes wrong


def failed(run: Path, reason: str) -> str:
    """Train, which fails for that reason; what status.json says about it, with what to do."""
    assert train(run) == "failed"
    status = control.look(run).status
    assert status is not None and status.state == "failed" and status.reason == reason
    last = list(events.read(run / "events.jsonl"))[-1]
    assert (last["kind"], last["message"], last["reason"]) == ("ended", status.message, reason)
    said = advised(status.message, status.advice, status.fields)
    assert said in (run / "log.txt").read_text(encoding="utf-8")
    assert status.message.endswith(".") and "{" not in said
    return said


def test_a_full_disk_stops_the_run_and_spares_the_last_checkpoint(scans: Path, tmp_path: Path):
    run = new(scans, tmp_path / "run", iterations=2)
    assert train(run) == "finished"
    change(run, iterations=6)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))  # bytes of one file: a checkpoint takes more
    try:
        message = failed(run, "disk_full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "disk is full; the checkpoint of iteration 2 is sound" in message and "sifa train" in message
    assert checkpoints.load_newest(run / "checkpoints")["iteration"] == 2
    assert not list((run / "checkpoints").glob(".*"))
    assert train(run) == "finished" and list(tiny_runs.losses_of(run)) == [1, 2, 3, 4, 5, 6]


def test_a_run_whose_folder_vanishes_ends(scans: Path, tmp_path: Path, caplog):
    run = new(scans, tmp_path / "run", iterations=10_000)
    with tiny_runs.meanwhile(lambda: (tiny_runs.reached(run, 3), run.rename(tmp_path / "elsewhere"))):
        assert train(run) == "failed"
    assert not run.exists()
    assert f"{run} is gone" in caplog.text
    assert checkpoints.load_newest(tmp_path / "elsewhere" / "checkpoints")["iteration"] % 2 == 0


def test_a_source_that_vanishes_is_named_and_the_run_goes_on_when_it_is_back(tmp_path: Path):
    tiny_runs.make_scans(tmp_path)
    run = new(tmp_path, tmp_path / "run", iterations=2)
    assert train(run) == "finished"
    change(run, iterations=4)
    shutil.move(tmp_path / "target", tmp_path / "away")
    assert str(tmp_path / "target") in failed(run, "data")
    shutil.move(tmp_path / "away", tmp_path / "target")
    (tmp_path / "source" / "source1.nii.gz").rename(tmp_path / "source1.nii.gz")
    assert "source1" in failed(run, "run")
    assert checkpoints.load_newest(run / "checkpoints")["iteration"] == 2
    (tmp_path / "source1.nii.gz").rename(tmp_path / "source" / "source1.nii.gz")
    assert train(run) == "finished" and list(tiny_runs.losses_of(run)) == [1, 2, 3, 4]


def test_slices_that_vanish_while_training_are_named(tmp_path: Path):
    tiny_runs.make_scans(tmp_path)
    run = new(tmp_path, tmp_path / "run", iterations=10_000)
    with tiny_runs.meanwhile(lambda: (tiny_runs.reached(run, 2), shutil.rmtree(tmp_path / "cache"))):
        assert str(tmp_path / "cache") in failed(run, "data")
    assert checkpoints.load_newest(run / "checkpoints") is not None


def test_other_data_are_refused_scan_by_scan(tmp_path: Path):
    tiny_runs.make_scans(tmp_path)
    run = new(tmp_path, tmp_path / "run", iterations=2)
    assert train(run) == "finished"
    shutil.copy(tmp_path / "source" / "source0.nii.gz", tmp_path / "target" / "target1.nii.gz")
    image = sitk.ReadImage(str(tmp_path / "target" / "target0.nii.gz"))
    sitk.WriteImage(image * 0.5, str(tmp_path / "target" / "target1.nii.gz"))
    message = failed(run, "run")
    assert "target1 has changed" in message and "target0" not in message


def test_a_loss_that_is_no_number_stops_the_run(scans: Path, tmp_path: Path):
    run = new(scans, tmp_path / "run", iterations=2)
    assert train(run) == "finished"
    path = run / "checkpoints" / "00000002.pt"
    content = checkpoints.load(path)
    first = content["state"]["networks"]["segmenter"]["encoder.c1.conv.weight"]
    first[0, 0, 0, 0] = float("nan")
    torch.save(content, path)
    good = (run / "checkpoints" / "00000002.pt").read_bytes()
    change(run, iterations=4)
    assert "segmentation is not a finite number" in failed(run, "run")
    assert [p.read_bytes() for p in (run / "checkpoints").iterdir()] == [good]


def test_a_mistake_of_ours_is_logged_with_where_it_happened(scans: Path, tmp_path: Path, monkeypatch):

    run = new(scans, tmp_path / "run")
    monkeypatch.setattr(adaptation, "step", lambda *_: {}["nothing"])
    assert "Unexpected KeyError" in failed(run, "unexpected")
    assert "Traceback" in (run / "log.txt").read_text(encoding="utf-8")


def test_a_computer_that_cannot_compile_is_told_how_to_go_on(scans: Path, tmp_path: Path, monkeypatch):
    from torch._dynamo.exc import TorchDynamoException

    def no_compiler(*_) -> None:
        raise TorchDynamoException("g++: command not found")

    run = new(scans, tmp_path / "run", iterations=1)
    monkeypatch.setattr(adaptation, "step", no_compiler)
    assert f"sifa train {run} --set compile=false" in failed(run, "compiler")
    monkeypatch.undo()
    change(run, compile=False)
    assert train(run) == "finished"


def test_a_changed_configuration_is_refused_by_the_checkpoint(scans: Path, tmp_path: Path):
    run = new(scans, tmp_path / "run", iterations=2)
    assert train(run) == "finished"
    folder = runs.RunFolder(run)
    file = folder.read()
    folder.write(dataclasses.replace(file, configuration=dataclasses.replace(file.configuration, seed=9)))
    assert "another seed" in failed(run, "run")
    folder.write(dataclasses.replace(file, configuration=dataclasses.replace(file.configuration, iterations=1)))
    assert "iterations already; the 1 that" in failed(run, "run")


def test_a_start_model_is_judged_before_it_is_changed(scans: Path, tmp_path: Path):
    from SIFALib.networks.segmenter import Segmenter

    torch.manual_seed(3)
    state = loading.state_arrays(Segmenter("tmi2020", 2).state_dict())
    card = {
        "id": "begin", "name": "A beginning", "version": "1.0.0", "modality": "CT", "trained_on": "nothing",
        "preprocessing": store.Preprocessing(), "licence": "none", "citation": "none",
        "architecture": store.Architecture(width=2),
    }  # fmt: skip
    package = store.write_package(tmp_path / "begin", state, **card)
    run = new(scans, tmp_path / "run", iterations=2, judge_every=2, start_model=str(package.folder))
    assert train(run) == "finished"
    scores = [e["iteration"] for e in events.read(run / "events.jsonl") if e["kind"] == "score"]
    assert scores == [0, 2]
    weights = loading.load_segmenter(package).state_dict()
    other = new(scans, tmp_path / "other", iterations=2, start_model=str(package.folder), method=tiny_runs.supervised(
        segmentation_rate=1e-12, average_decay=0.0))  # fmt: skip
    assert train(other) == "finished"
    saved = checkpoints.load_newest(other / "checkpoints")["state"]["networks"]["segmenter"]
    name = "encoder.r5.c1.conv.weight"
    assert torch.allclose(saved[name], weights[name], atol=1e-6)
    wide = dataclasses.replace(tiny_runs.supervised(), width=4)
    package.folder.rename(tmp_path / "elsewhere")  # a run may be made where its model is not
    misfit = new(scans, tmp_path / "misfit", method=wide, start_model=str(package.folder))
    (tmp_path / "elsewhere").rename(package.folder)
    assert "begin@1.0.0" in failed(misfit, "model")


def test_a_start_model_that_is_gone_or_another_is_named_and_so_are_hearts_too_few_to_judge(
    scans: Path, tmp_path, caplog
):
    package = tiny_models.write(tmp_path / "begin")
    changes = {"iterations": 1, "judge_every": 1, "start_model": str(package.folder)}
    run = new(scans, tmp_path / "run", **changes)
    assert train(run) == "finished"
    assert "cannot be told of so few hearts as 2; take at least 3" in caplog.text
    change(run, iterations=2)
    package.folder.rename(tmp_path / "away")
    assert "needs the model that it begins with" in failed(run, "model")
    tiny_models.write_constant(package.folder, 1)
    assert "Bring them back and tiny@1.0.0, which finds the hearts, as it was" in failed(run, "run")
    shutil.rmtree(package.folder)
    (tmp_path / "away").rename(package.folder)
    assert train(run) == "finished"


def test_the_best_is_what_compares_best_to_the_start_model_also_when_resumed(scans: Path, tmp_path: Path, monkeypatch):
    gains = {0: 0.0, 1: -0.05, 2: 0.0, 3: 0.05}
    iteration = 0

    def score(state, domains, settings) -> label_free.Score:  # its value is no matter
        return label_free.Score(0.9 - 0.1 * state.iteration, {}, (plausibility.Veto("fill", "Too much."),))

    def averaged(state):
        nonlocal iteration
        iteration = state.iteration
        return state.segmenter

    def of_hearts(segmenter, hearts, size) -> tuple[tuple[float, ...], ...]:
        return tuple((0.8 + 0.01 * n + gains[iteration] * (1 + 0.1 * n), 0.7, 1.0) for n in range(6))

    monkeypatch.setattr(label_free, "score", score)
    monkeypatch.setattr(learning_data, "averaged_segmenter", averaged)
    monkeypatch.setattr(signs, "of_hearts", of_hearts)
    package = tiny_models.write(tmp_path / "begin")
    run = new(scans, tmp_path / "run", iterations=2, judge_every=1, save_every=1, start_model=str(package.folder))
    assert train(run) == "finished"
    folder = runs.RunFolder(run)
    assert best.read(folder.best).iteration == 0  # the second is as good, the first is worse
    assert "Nothing better than the model tiny@1.0.0 was found" in export.verdict(folder)
    with pytest.raises(RunError, match="Nothing better than the model that it began with was found"):
        export.export(folder, tmp_path / "model", "site")
    forced = export.export(folder, tmp_path / "forced", "site", force=True).card
    assert forced.name == "site, the same as the model tiny@1.0.0" and "Nothing was changed" in forced.trained_on
    with pytest.raises(
        RunError, match=r"less steady on these scans .* probability 0% of being better, expected Dice -0\."
    ):
        export.export(folder, tmp_path / "model", "site", checkpoint=1)
    folder.events.unlink()  # the guards are no matter of a log
    change(run, iterations=3)
    assert train(run) == "finished"
    found = best.read(folder.best)
    assert found.iteration == 3 and found.vetoes == ()  # the start bears what speaks against it
    assert "Most likely better on these scans than the model tiny@1.0.0: probability" in export.verdict(folder)
    assert "Most likely better" in export.export(folder, tmp_path / "model", "site").card.trained_on


def test_time_left_is_of_the_training_and_unknown_before_its_first_iteration(scans: Path, tmp_path: Path, monkeypatch):
    told = []
    note = session.Session.note

    def noted(self, *arguments) -> None:
        told.append(self.status.status.seconds_left)
        note(self, *arguments)

    monkeypatch.setattr(session.Session, "note", noted)
    assert train(new(scans, tmp_path / "run", iterations=2)) == "finished"
    assert told[0] is None and told[1] is not None  # 0.0 where an iteration takes less than a twentieth of a second
