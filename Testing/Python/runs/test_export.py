"""What a run has learned becomes a model that says where it comes from; a worse one is refused, none is overwritten."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import tiny_runs
import torch
from SIFALib import adaptation
from SIFALib.adaptation.method import Method
from SIFALib.adaptation.verdict import Verdict
from SIFALib.cli.main import main
from SIFALib.datasets import DataSettings
from SIFALib.models import store as models
from SIFALib.networks import loading
from SIFALib.runs import Best, Configuration, RunFolder, best, checkpoints, create, events, export
from SIFALib.support.errors import ModelError, RunError
from SIFALib.support.messages import sentence

PARTS = {"supervised": 0.8, "supervised_1": 0.7, "supervised_3": 0.9, "augmented": 0.75, "pseudo_loss": 0.1}
SECRET = "mueller_hans_1950"


def run_folder(path: Path, scores: dict[int, float], vetoes: dict[int, tuple[str, ...]] | None = None, **changes: Any):
    """A run as training leaves it, judged so; its best segmenter is that of the highest score."""
    data = DataSettings(str(path / SECRET), "phantom:ct", size=64)
    configuration = Configuration(data, Method(width=2), name="A run", iterations=500, batch=4)
    folder = create(path / "run", dataclasses.replace(configuration, **changes))
    folder.remember_data("0" * 64, {f"source:{SECRET}{n}": "x" for n in range(3)} | {"target:phantom-ct-500": "y"})
    with events.EventLog(folder.events) as log:
        kept = None
        for iteration, value in scores.items():
            judged = Best(iteration, value, PARTS, (vetoes or {}).get(iteration, ()))
            log.append(
                "score", iteration, value=value, parts=judged.parts, vetoes=judged.vetoes, best=judged.beats(kept)
            )
            if judged.beats(kept):
                kept = judged
                best.write(folder.best, judged, tiny_models.state(seed=iteration))
    return folder


def saved(folder: RunFolder, iteration: int) -> adaptation.State:
    """A state of which there is a checkpoint as version 0.3 wrote it: without scores."""
    state = adaptation.start(Method(width=2), 0, 500)
    checkpoints.save(folder.checkpoints, iteration, {"state": state.state_dict()}, 3)
    return state


def exported(folder: RunFolder, **options: Any) -> models.ModelPackage:
    return export.export(folder, folder.path.parent / "package", "site", **options)


def test_the_best_segmenter_becomes_a_sound_model_whose_card_says_where_it_comes_from(tmp_path: Path) -> None:
    package = exported(run_folder(tmp_path, {0: 0.5, 100: 0.62, 200: 0.71, 300: 0.66}))
    models.verify(package)
    weights = loading.load_segmenter(package).state_dict()
    for name, values in tiny_models.state(seed=200).items():
        np.testing.assert_array_equal(weights[name].numpy(), values.astype(np.float16).astype(np.float32))
    card = package.card
    for words in (
        "from 3 labelled scans of the user's to 1 CT-like digital phantoms",
        "200 of 500 iterations of 4 slices of 64 x 64 pixels",
        "tmi2020, width 2, shared schedule",
        "0.710 (supervised 0.800, augmented 0.750, pseudo loss 0.100); at the start 0.500.",
        "Began with random weights",
    ):
        assert words in card.trained_on
    assert card.modality == "CT"
    assert card.architecture.width == 2
    assert card.quality[0].values == {"MYO": 0.7, "LV": 0.9}
    assert "translated" in card.quality[0].data
    assert "no target label was used" in card.quality[0].rule


def test_no_name_of_a_file_folder_or_scan_leaves_the_site(tmp_path: Path) -> None:
    tiny_models.write(tmp_path / SECRET / "start")
    folder = run_folder(tmp_path, {0: 0.5, 9: 0.6}, start_model=str(tmp_path / SECRET / "start"))
    text = (exported(folder).folder / "model.json").read_text()
    assert "Began with the model tiny@1.0.0" in text
    gone = run_folder(tmp_path / "b", {0: 0.5, 9: 0.6}, start_model=str(tmp_path / SECRET / "nothing"))
    text += (exported(gone).folder / "model.json").read_text()
    for name in (SECRET, str(tmp_path), tmp_path.name, "A run"):
        assert name not in text


def test_one_that_scores_worse_than_its_starting_point_is_refused_with_the_numbers(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {0: 0.65, 100: 0.5})
    state = saved(folder, 100)
    with pytest.raises(
        RunError, match=r"after iteration 100 is worse .* scores 0\.500, .* scored 0\.650\.$"
    ) as refused:
        exported(folder, checkpoint=100)
    assert refused.value.advice == "force" and "--force" in sentence(refused.value)
    with pytest.raises(RunError, match=r"nothing better than its starting point, which scored 0\.650"):
        exported(folder)
    assert not (tmp_path / "package").exists()
    package = exported(folder, checkpoint=100, force=True)
    assert "Score without target labels: 0.500" in package.card.trained_on
    weights = loading.load_segmenter(package).state_dict()["encoder.r5.c1.conv.weight"]
    assert torch.equal(weights, state.average["encoder.r5.c1.conv.weight"].half().float())


def test_one_against_which_something_speaks_is_refused_with_the_reason(tmp_path: Path) -> None:
    veto = {100: ("Left atrium has vanished from the target.",)}
    with pytest.raises(RunError, match=r"scores 0\.800, .*Left atrium has vanished"):
        exported(run_folder(tmp_path / "a", {100: 0.8}, veto))
    both = {0: ("Left atrium has vanished from the target.",), **veto}
    with pytest.raises(RunError, match=r"scores 0\.800, .*Left atrium has vanished"):
        exported(run_folder(tmp_path / "both", {0: 0.5, 100: 0.8}, both))
    folder = run_folder(tmp_path / "b", {0: 0.5, 100: 0.8}, veto)
    saved(folder, 100)
    with pytest.raises(RunError, match=r"worse than what it started from: .*Left atrium has vanished"):
        exported(folder, checkpoint=100)
    assert "Against it: Left atrium has vanished" in exported(folder, checkpoint=100, force=True).card.trained_on


def test_the_name_of_what_is_made_by_force_says_what_speaks_against_it(tmp_path: Path) -> None:
    better = Verdict(0.99, 0.01, 0.001, 8)
    for name, verdict, vetoes, words in (
        ("fine", better, (), ""),
        ("vetoed", better, ("The left atrium has vanished from the target.",), ", something speaks against it"),
        ("doubted", Verdict(0.5, 0.0, 0.01, 8), (), ", not found to be better"),
    ):
        folder = run_folder(tmp_path / name, {})
        best.write(folder.best, Best(100, 0.01, PARTS, vetoes, verdict), tiny_models.state(), Best(0, 0.0))
        long = "a" * 64  # the longest id
        package = export.export(folder, tmp_path / name / "package", long, force=bool(words))
        assert package.card.name.endswith(f"a, adapted by SIFA{words}")
    folder = run_folder(tmp_path / "unjudged", {})
    saved(folder, 7)
    assert exported(folder, checkpoint=7, force=True).card.name == "site, adapted by SIFA, never judged"
    folder = run_folder(tmp_path / "late", {100: 0.6}, start_model=str(tmp_path / "gone"))  # judged late
    with pytest.raises(RunError, match="was never compared with the model that it began with"):
        exported(folder)
    assert exported(folder, force=True).card.name == "site, adapted by SIFA, not found to be better"
    folder = run_folder(tmp_path / "scored", {0: 0.65, 100: 0.5})
    saved(folder, 100)
    forced = exported(folder, checkpoint=100, force=True)
    assert forced.card.name == "site, adapted by SIFA, not found to be better"


def test_what_was_never_judged_or_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {})
    with pytest.raises(RunError, match="no best segmenter yet"):
        exported(folder)
    with pytest.raises(RunError, match="no checkpoint of iteration 7; there are: none"):
        exported(folder, checkpoint=7)
    saved(folder, 7)
    with pytest.raises(RunError, match="never judged"):
        exported(folder, checkpoint=7)
    package = exported(folder, checkpoint=7, force=True)
    assert "It was not judged." in package.card.trained_on
    assert package.card.quality == ()
    with pytest.raises(RunError, match="is no run"):
        export.export(RunFolder(tmp_path), tmp_path / "x", "site")


def test_the_card_shows_images_to_the_network_as_the_training_did(tmp_path: Path) -> None:
    data = DataSettings("phantom:ct", "somewhere", size=64, target_normalisation="sifa_mr")
    card = exported(run_folder(tmp_path, {100: 0.6}, data=data)).card
    assert card.preprocessing.zscore_range == (-1.8, 4.4)
    assert card.modality == "MR"
    assert "some unlabelled scans" in card.trained_on or "1 unlabelled scans" in card.trained_on


@pytest.mark.parametrize(
    ("objective", "words"),
    [("source_only", "nothing was adapted"), ("target_supervised", "Trained on 1 labelled scans")],
)
def test_bounds_do_not_claim_to_be_adapted(tmp_path: Path, objective: str, words: str) -> None:
    labelled = objective == "target_supervised"
    data = DataSettings("phantom:ct", "somewhere", size=64, target_labels=labelled)
    method = Method(width=2, objective=objective)
    card = exported(run_folder(tmp_path, {100: 0.6}, data=data, method=method)).card
    assert words in card.trained_on
    assert "Adapted" not in card.trained_on
    assert "translated" not in card.quality[0].data


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {100: 0.6})
    first = exported(folder)
    before = {p.name: p.read_bytes() for p in first.folder.iterdir()}
    with pytest.raises(ModelError, match="exists already"):
        exported(folder)
    assert {p.name: p.read_bytes() for p in first.folder.iterdir()} == before


def test_the_command_says_where_the_model_is_and_why_it_refuses(tmp_path: Path, capsys) -> None:
    folder = run_folder(tmp_path, {0: 0.5, 100: 0.6})
    store = tmp_path / "models"

    def command(*arguments: str) -> int:
        return main(["export", str(folder.path), *arguments, "--models-folder", str(store)])

    assert command("our-scanner", "--title", "Our scanner", "--modality", "mr", "--licence", "Ours") == 0
    assert "our-scanner@1.0.0 is now in" in capsys.readouterr().out
    card = models.default_store(store).get("our-scanner").card
    assert (card.name, card.modality, card.licence) == ("Our scanner", "MR", "Ours")
    assert command("our-scanner") == 4
    assert "our-scanner@1.0.0 is there already" in capsys.readouterr().err
    assert command("our-scanner@1.1.0") == 0
    assert command("heart-phantom@9.0.0") == 4
    assert "bundled model" in capsys.readouterr().err
    assert command("other", "--checkpoint", "3") == 3
    assert "there are: none" in capsys.readouterr().err
    assert command("Bad Name") == 4
    assert "must be 1 to 64 small letters" in capsys.readouterr().err
    assert sorted(p.name for p in store.iterdir()) == ["our-scanner-1.0.0", "our-scanner-1.1.0"]
    assert command("forced", "--force") == 0
    assert "it was made whatever the verdict says" in capsys.readouterr().err


def test_a_folder_of_models_that_cannot_be_written_to_is_named(tmp_path: Path, monkeypatch, capsys) -> None:
    folder = run_folder(tmp_path, {0: 0.5, 300: 0.66})
    (tmp_path / "file").touch()
    store = tmp_path / "file" / "models"
    assert main(["export", str(folder.path), "site", "--models-folder", str(store)]) == 6
    assert capsys.readouterr().err.startswith(f"sifa: Nothing can be written into {store} (")

    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    store = tmp_path / "models"
    assert main(["export", str(folder.path), "site", "--models-folder", str(store)]) == 6
    assert f"into {store} (the disk is full); make room there" in capsys.readouterr().err
    assert not list(store.iterdir())


def test_a_damaged_best_segmenter_becomes_no_model(tmp_path: Path, capsys) -> None:
    folder = run_folder(tmp_path, {0: 0.5, 300: 0.66})
    file = folder.best / best.FILE
    content = file.read_bytes()
    middle = len(content) // 2
    file.write_bytes(content[:middle] + bytes(4096) + content[middle + 4096 :])
    assert main(["export", str(folder.path), "site", "--models-folder", str(tmp_path / "store")]) == 3
    assert f"{file} cannot be read" in capsys.readouterr().err
    assert not (tmp_path / "store").exists()


def test_a_real_run_is_judged_exported_and_segments(tmp_path: Path) -> None:
    tiny_runs.make_scans(tmp_path)
    folder = create(tmp_path / "run", tiny_runs.configuration(tmp_path, iterations=4, judge_every=2, preview_every=0))
    assert (
        tiny_runs.start("-m", "SIFALib.runs", str(folder.path)).wait(tiny_runs.PATIENCE) == 0
    )  # settings of torch stay there
    scores = [e for e in events.read(folder.events) if e["kind"] == "score"]
    assert [e["iteration"] for e in scores] == [2, 4]
    assert {"supervised", "augmented", "teacher", "pseudo_loss"} <= scores[0]["parts"].keys()
    package = exported(folder, force=True)
    models.verify(package)
    kept = best.read(folder.best)
    assert kept is not None and f"{kept.value:.3f}" in package.card.trained_on
    assert package.card.preprocessing == tiny_runs.configuration(tmp_path).data.preprocessing
    assert json.loads((package.folder / "model.json").read_text())["architecture"]["width"] == 2
    assert loading.load_segmenter(package)(torch.zeros(1, 1, 32, 32)).shape == (1, 5, 32, 32)
