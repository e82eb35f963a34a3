"""`sifa adapt`: scans in, a model out if it is better, a sentence if not, and nothing done twice."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk
import tiny_models
import tiny_runs
from SIFALib import models, runs
from SIFALib.adaptation import signs
from SIFALib.cli import adapt as adapt_command
from SIFALib.cli import main
from SIFALib.datasets import places, sources
from SIFALib.models import store
from SIFALib.runs import Configuration, control, presets
from SIFALib.support.errors import RequestError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans, a start model that sees myocardium everywhere, and the slices of both."""
    folder = tmp_path_factory.mktemp("adapt")
    tiny_runs.make_scans(folder)
    image = sitk.ReadImage(str(folder / "target" / "target0.nii.gz"))
    sitk.WriteImage(sitk.Flip(image, [False, False, True]) * 0.9, str(folder / "target" / "target2.nii.gz"))
    tiny_models.write_constant(folder / "begin", 1)
    return folder


@pytest.fixture
def adapt(folder: Path, tmp_path: Path, monkeypatch):
    """Calls the command with as little work as can be; the cache beside the runs is shared by all tests."""
    made = presets.adaptation
    small = {"size": 32, "coarse_share": 0.0}

    def smaller(*arguments: Any) -> Configuration:
        whole = made(*arguments)
        return dataclasses.replace(whole, batch=2, workers=0, data=dataclasses.replace(whole.data, **small))

    monkeypatch.setattr(presets, "adaptation", smaller)
    (tmp_path / "cache").symlink_to(folder / "cache", target_is_directory=True)
    (folder / "cache").mkdir(exist_ok=True)

    def call(name: str, *more: str | Path, target: str | Path = folder / "target") -> int:
        places = ("--models-folder", tmp_path / "models", "--run", tmp_path / "run", "--source", folder / "source")
        given = ("--start-model", folder / "begin", "--iterations", "2", "--threads", "1", "--quiet", "--device", "cpu")
        return main(["adapt", str(target), name, *map(str, (*places, *given, *more))])

    return call


def gain(monkeypatch, value: float) -> None:
    """Let every checkpoint after the start be so much better, in each of five scans."""
    looks: list[int] = []

    def of_hearts(*_: object) -> tuple[tuple[float, ...], ...]:
        looks.append(1)
        return tuple((0.5 + value * (len(looks) > 1) * (1 + 0.1 * n), 0.5, 1.0) for n in range(5))

    monkeypatch.setattr(signs, "of_hearts", of_hearts)


@pytest.mark.parametrize(("apart", "named"), [(30.0, ""), (1.0, "heart-phantom")])
def test_scans_that_another_model_draws_where_none_is_named_are_told(apart, named, tmp_path, monkeypatch, capsys):
    for id_ in ("heart", "heart-phantom"):
        tiny_models.write_constant(tmp_path / "bundled" / id_, 1, id=id_)
    opened = store.ModelStore(tmp_path / "bundled", tmp_path / "user")
    tiny_runs.make_scans(tmp_path)
    for path in sorted((tmp_path / "target").iterdir()):
        image = sitk.ReadImage(str(path))
        image.SetSpacing((1.0, 1.0, apart))
        sitk.WriteImage(image, str(path))
    scans = sources.find(str(tmp_path / "target"), False).scans
    adapt_command._tell_other_start(opened, opened.get("heart"), scans)
    told = capsys.readouterr().err
    assert (f"give --start-model {named}." in told) if named else not told
    adapt_command._tell_other_start(opened, opened.get("heart-phantom"), scans)
    assert bool(capsys.readouterr().err) == (not named)


def test_sifa_translates_beside_the_teacher_and_another_method_is_another_run(adapt, tmp_path, capsys, monkeypatch):
    gain(monkeypatch, 0.1)
    assert adapt("ours", "--method", "sifa", "--iterations", "3") == 0
    made = runs.RunFolder(tmp_path / "run").read().configuration
    assert made.method.objective == "full" and made.method.self_training_weight == 1.0 and made.method.translates
    assert (made.method.segmenter_from, made.iterations, made.method.source_weight) == (1, 3, 1.0)
    capsys.readouterr()
    assert adapt("mine", "--method", "sifa", "--iterations", "9") == 0  # goes on as it was begun
    assert "for 3 iterations" in capsys.readouterr().err
    assert adapt("theirs") == 2
    assert "is a training by another method" in capsys.readouterr().err


def test_what_is_better_becomes_a_model_of_that_name(adapt, tmp_path, capsys, monkeypatch):
    gain(monkeypatch, 0.1)
    assert adapt("ours", "--title", "Our scanner") == 0
    said = capsys.readouterr()
    assert "Most likely better on these scans than the model tiny@1.0.0: probability" in said.out
    package = store.read_package(tmp_path / "models" / "ours-1.0.0")
    assert package.card.name == "Our scanner" and "Most likely better" in package.card.trained_on
    assert str(tmp_path) not in package.card.trained_on, "a card names no folder"
    run = control.look(tmp_path / "run")
    assert run.state == "finished" and run.run.configuration.method.self_trains
    assert adapt("ours") == 4 and "ours@1.0.0 is there already" in capsys.readouterr().err
    assert adapt("ours@1.1.0") == 0, "the run is there: only the model is made"
    assert {p.name for p in (tmp_path / "models").iterdir()} >= {"ours-1.0.0", "ours-1.1.0"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(-0.1, "Nothing better than the model that it began with was found"), (0.0, "Nothing better than")],
)
def test_what_is_not_better_becomes_no_model_and_says_so(adapt, tmp_path, capsys, monkeypatch, value, sentence):
    gain(monkeypatch, value)
    assert adapt("ours") != 0
    assert sentence in capsys.readouterr().err and not (tmp_path / "models" / "ours-1.0.0").exists()


def test_two_scans_cannot_tell_and_are_refused_before_anything_is_trained(adapt, folder, tmp_path, capsys):
    two = tmp_path / "two"
    two.mkdir()
    for name in ("target0.nii.gz", "target1.nii.gz"):
        shutil.copy(folder / "target" / name, two / name)
    assert adapt("ours", target=two) == 3
    assert (
        "holds scans of at most 2 hearts; at least 3 are needed to tell" in capsys.readouterr().err
        and not (tmp_path / "run").exists()
    )


def test_a_run_that_is_no_adaptation_is_not_taken_for_one(adapt, folder, tmp_path, capsys, monkeypatch):
    gain(monkeypatch, 0.1)
    places = ("--source", folder / "source", "--target", folder / "target", "--start-model", folder / "begin")
    assert main(["train", str(tmp_path / "run"), *map(str, places), "--create-only"]) == 0
    assert adapt("ours") == 2 and "is a training by another method" in capsys.readouterr().err


def test_a_stopped_adaptation_goes_on_and_another_one_is_told_apart(adapt, folder, tmp_path, capsys, monkeypatch):
    gain(monkeypatch, 0.1)

    def stopped(path: Path) -> object:
        from SIFALib.runs.loop import STOPPED, End

        return End(STOPPED)

    with monkeypatch.context() as patched:
        patched.setattr("SIFALib.runs.loop.run", stopped)
        assert adapt("ours") == 1
    assert "the same command goes on with it" in capsys.readouterr().err
    other = folder / "source"
    assert adapt("ours", target=other) == 2 and "is an adaptation with other scans" in capsys.readouterr().err
    assert adapt("ours", "--exclude", "target:target0") == 2 and "other exclusions" in capsys.readouterr().err
    assert adapt("ours", "--iterations", "3") == 0
    assert "goes on as it was begun, for 2 iterations" in capsys.readouterr().err
    assert runs.RunFolder(tmp_path / "run").read().configuration.iterations == 2


def test_an_adaptation_that_failed_before_it_computed_anything_is_put_right(
    adapt, folder, tmp_path, capsys, monkeypatch
):
    gain(monkeypatch, 0.1)
    far, right = tmp_path / "far.json", tmp_path / "right.json"
    hearts = {"target:target0": places.HeartBox((9000.0, 9100.0, 0.0, 100.0, 0.0, 100.0))}
    places.write(far, places.Places(hearts))
    places.write(right, places.Places(left_out=("target:target0",)))
    scans = shutil.copytree(folder / "target", tmp_path / "four")
    sitk.WriteImage(sitk.ReadImage(str(scans / "target1.nii.gz")) * 0.8, str(scans / "target3.nii.gz"))
    assert adapt("ours", "--places", far, target=scans) == 3
    assert "has its heart's box outside of the image" in capsys.readouterr().err
    assert adapt("ours", "--places", right, target=scans) == 0, capsys.readouterr().err
    assert runs.RunFolder(tmp_path / "run").read().configuration.data.exclude == ("target:target0",)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ({"target": "/nowhere/at/all"}, 3, "/nowhere/at/all"),
        ({"name": "heart"}, 4, "heart is the name of a bundled model"),
        ({"name": "Größe 1"}, 4, "NAME is 'Größe 1'; it must be 1 to 64 small letters"),
        ({"more": ("--device", "cuda:9")}, 2, "cuda:9"),
        ({"more": ("--start-model", "no-such-model")}, 4, "no-such-model"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_made(adapt, tmp_path, capsys, given, code, said):
    target = {"target": given["target"]} if "target" in given else {}
    assert adapt(given.get("name", "ours"), *given.get("more", ()), **target) == code
    assert said in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_an_empty_folder_is_told_alike_to_adapt_and_to_batch(adapt, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert adapt("ours", target=tmp_path / "empty") == 3
    told = capsys.readouterr().err
    assert main(["batch", str(tmp_path / "empty"), str(tmp_path / "out")]) == 3
    assert capsys.readouterr().err == told and "holds no images; images are .nii.gz, " in told


def test_links_that_lead_in_a_circle_are_nothing_that_is_there(adapt, tmp_path, capsys):
    (tmp_path / "loop.nrrd").symlink_to("loop.nrrd")
    for more, target in (((), tmp_path / "loop.nrrd"), (("--source", tmp_path / "loop.nrrd"), tmp_path)):
        assert adapt("ours", *more, target=target) == 3
        assert "loop.nrrd does not exist" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_run_that_was_begun_with_another_source_goes_on_unless_one_is_named(tmp_path):
    tiny_models.write_constant(tmp_path / "begin", 1)
    card = store.read_package(tmp_path / "begin").card
    run = runs.create(tmp_path / "run", presets.adaptation("phantom", "somewhere", card))
    own = run.read().configuration
    wanted = dataclasses.replace(own, data=dataclasses.replace(own.data, source="phantom+contours"))
    assert adapt_command._same(run, wanted, False).data.source == "phantom"
    with pytest.raises(RequestError, match="other source"):
        adapt_command._same(run, wanted, True)


def test_label_maps_that_leave_structures_out_are_learned_from_as_such(adapt, folder, tmp_path, capsys, monkeypatch):
    gain(monkeypatch, 0.1)
    assert adapt("ours", "--partial-labels") == 0, capsys.readouterr().err
    assert runs.RunFolder(tmp_path / "run").read().configuration.data.partial_labels
    assert adapt("theirs") == 2 and "other --partial-labels (True)" in capsys.readouterr().err
    assert adapt("theirs", "--partial-labels") == 0, "the run is there: only the model is made"
    for source in ("phantom", "phantom+contours"):
        assert adapt("theirs@1.1.0", "--partial-labels", "--source", source, "--run", tmp_path / "new") == 2
        assert "--partial-labels is about labelled scans of your own; name their folder" in capsys.readouterr().err


def test_the_preset_learns_from_the_source_and_by_itself_with_the_start_models_network(folder):
    card = store.read_package(folder / "begin").card
    made = presets.adaptation("phantom", "somewhere", card)
    assert (made.method.variant, made.method.width, made.method.classes) == ("tmi2020", 2, 5)
    assert made.data.preprocessing == card.preprocessing and made.method.objective == "self_training"
    lengths = [presets.within(name, made).iterations for name in presets.BUDGETS]
    assert lengths == sorted(lengths) and presets.within("standard", made) == made
    assert presets.within("quick", made).data.phantoms < made.data.phantoms


@pytest.mark.parametrize("start", ["heart", "heart-phantom"])
def test_the_preset_of_train_is_what_adapt_does_with_the_models_that_come_with_sifa(folder, tmp_path, capsys, start):
    card = models.default_store().get(start).card
    places = ("--source", card.built_in_source, "--target", folder / "target", "--start-model", start)
    words = ["train", tmp_path / "run", "--preset", "adaptation", *places, "--create-only"]
    assert main([str(word) for word in words]) == 0, capsys.readouterr().err
    made, wanted = (
        runs.RunFolder(tmp_path / "run").read().configuration,
        presets.adaptation("", str(folder / "target"), card),
    )
    assert (made.data, made.method) == (wanted.data, wanted.method) and made.iterations == wanted.iterations


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Our Hospital",), "NAME is 'Our Hospital'; it must be 1 to 64 small letters"),
        (("ours@1",), "version is '1'; it must be like 1.0.0"),
        (("ours", "--title", "x" * 101), "must be one line of at most 100 characters"),
        (("ours", "--licence", " "), "licence is ''; it must say something"),
    ],
)
def test_what_no_model_can_be_called_is_refused_before_anything_is_trained(
    adapt, tmp_path, capsys, arguments, sentence
):
    assert adapt(*arguments) == 4
    assert sentence in capsys.readouterr().err and not (tmp_path / "run").exists()
