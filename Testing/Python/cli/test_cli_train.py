"""`sifa train` and `sifa runs`: options become a configuration, and every mistake becomes a sentence."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import pytest
import SimpleITK as sitk
import tiny_models
import tiny_runs
from SIFALib import runs
from SIFALib.adaptation.method import PRESETS, Method
from SIFALib.cli import main
from SIFALib.cli import runs as runs_command
from SIFALib.cli.train import KEYS
from SIFALib.datasets import NO_AUGMENTATION, DataSettings
from SIFALib.models import STRUCTURES, Architecture
from SIFALib.runs import Configuration, configuration, status
from SIFALib.support import processes
from SIFALib.support.limits import Range, limits


def train(*arguments: str | Path) -> int:
    return main(["train", *map(str, arguments)])


PHANTOMS = ("--source", "phantom:mr", "--target", "phantom:ct")


def read(run: Path) -> Configuration:
    return runs.RunFolder(run).read().configuration


def made(run: Path, *arguments: str | Path) -> Configuration:
    """The configuration of a new run on phantoms."""
    assert train(run, *PHANTOMS, "--create-only", *arguments) == 0
    return read(run)


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_is_the_method_of_that_paper(tmp_path: Path, preset: str):
    found = made(tmp_path / "run", "--preset", preset)
    assert (found.method, found.name, found.batch) == (PRESETS[preset], "run", 8)


@pytest.mark.parametrize(("preset", "iterations"), [("tmi2020", 20_000), ("aaai2019", 0)])
def test_a_papers_preset_follows_the_published_protocol(tmp_path: Path, preset: str, iterations: int):
    files = ("mr/train/slice1.tfrecords", "mr/train/slice2.tfrecords", "test/ct_1.npz", "test/ct_2.npz")
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()

    def protocol(name: str, source: str, *more: str) -> Configuration:
        places = ("--source", tmp_path / source, "--target", tmp_path / "test", "--preset", preset)
        assert train(tmp_path / name, *places, *more, "--create-only") == 0
        return read(tmp_path / name)

    found = protocol("run", "mr", "--width", "4")
    assert (found.iterations, found.batch, found.data.size, found.data.coarse_share) == (iterations, 8, 256, 0.0)
    assert found.data.augmentation == NO_AUGMENTATION
    assert (found.data.source_normalisation, found.data.target_normalisation) == ("sifa_mr", "sifa_ct")
    chosen = protocol("chosen", "mr/train", "--source-normalisation", "sifa_ct_old", "--iterations", "70")
    assert (chosen.data.source_normalisation, chosen.iterations) == ("sifa_ct_old", 70)


def test_a_papers_preset_does_not_guess_what_the_authors_files_show(tmp_path: Path, capsys):
    for name in ("ct_1.npz", "mr_1.npz"):
        (tmp_path / name).touch()
    places = ("--source", tmp_path, "--target", "phantom:ct", "--preset", "tmi2020")
    assert train(tmp_path / "run", *places) == 2
    assert "--source-normalisation sifa_mr or sifa_ct" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert made(tmp_path / "phantoms", "--preset", "tmi2020").data.source_normalisation == "card"


def test_a_start_model_brings_its_network_with_it_unless_something_else_is_asked_for(tmp_path: Path):
    seven = {"architecture": Architecture.of("aaai2019", 2, 8), "labels": STRUCTURES}
    start = ("--start-model", tiny_models.write(tmp_path / "seven", **seven).folder)
    found = made(tmp_path / "run", *start)
    assert (found.method.variant, found.method.width, found.method.classes) == ("aaai2019", 2, 8)
    assert found.data.classes == 8
    papers = made(tmp_path / "papers", *start, "--preset", "aaai2019")
    assert papers.method.classes == papers.data.classes == 8
    arguments = ("--source", "phantom:mr", "--target", "phantom:ct", *start, "--set", "method.classes=5")
    assert train(tmp_path / "other", *arguments, "--create-only") == 4, "a network that does not fit is refused"


def test_options_become_the_configuration(tmp_path: Path):
    found = made(
        tmp_path / "run", "--iterations", "70", "--width", "4", "--size", "64", "--compile", "--seed", "5",
        "--label-values", "mmwhs", "--exclude", "source:a", "--exclude", "target:b", "--objective", "image",
        "--set", "method.cycle_weight=5", "--set", "data.augmentation.zoom=0", "--set", "name=other",
    )  # fmt: skip
    assert (found.iterations, found.method.width, found.data.size, found.seed) == (70, 4, 64, 5)
    assert found.compile is True and found.data.label_values["500"] == 3
    assert found.data.exclude == ("source:a", "target:b") and found.method.objective == "image"
    assert found.method.cycle_weight == 5.0 and found.data.augmentation.zoom == 0.0 and found.name == "other"


def test_every_option_names_a_key_of_the_configuration_and_says_what_it_may_be(tmp_path: Path, capsys):
    before = made(tmp_path / "run")
    for key in KEYS:
        value = before
        for part in key.split("."):
            value = getattr(value, part)
        assert configuration.changed(before, {key: value}) == before
    with pytest.raises(SystemExit):
        train("--help")
    shown = " ".join(capsys.readouterr().out.split())
    known = {"": limits(Configuration), "data": limits(DataSettings), "method": limits(Method)}
    for key in KEYS:
        room, _, name = key.rpartition(".")
        assert not isinstance(limit := known[room].get(name), Range) or limit.rule in shown


def test_places_are_kept_so_that_a_run_resumes_from_anywhere(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for file in ("phantom_mr/a.nrrd", "phantom_mr/a_label.nrrd", "ct/b.nrrd"):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    assert train("run", "--source", "phantom_mr", "--target", "ct", "--cache", "kept", "--create-only") == 0
    found = read(tmp_path / "run")
    assert found.data.source == str(tmp_path / "phantom_mr") and found.data.target == str(tmp_path / "ct")
    assert found.cache == str(tmp_path / "kept")


def test_a_new_run_without_a_name_gets_one(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train(*PHANTOMS, "--create-only") == 0
    run = Path(capsys.readouterr().out.strip())
    assert run.parent == Path("runs") and run.name.startswith("compact-") and (run / "run.json").exists()


def test_settings_can_be_taken_from_another_run(tmp_path: Path):
    first = made(tmp_path / "first", "--width", "4")
    given = ("--configuration", tmp_path / "first/run.json")
    assert train(tmp_path / "second", *given, "--seed", "3", "--create-only") == 0
    second = read(tmp_path / "second")
    assert second.method == first.method and (second.seed, second.name) == (3, "second")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("new",), 2, "needs --source and --target"),
        (("new", "--source", "phantom:mr"), 2, "needs --target"),
        (("new", *PHANTOMS, "--set", "method.wdith=3"), 2, "method.wdith is no key"),
        (("new", *PHANTOMS, "--set", "speed"), 2, "--set speed says no value"),
        (("new", *PHANTOMS, "--width", "3"), 2, "method.width is 3"),
        (("new", *PHANTOMS, "--objective", "best"), 2, "method.objective is 'best'"),
        (("new", *PHANTOMS, "--label-values", "x"), 2, "x"),
        (("new", *PHANTOMS, "--device", "abacus"), 2, "There is no device 'abacus'"),
        (("new", *PHANTOMS, "--device", "cpu", "--precision", "float8"), 2, "precision"),
        (("other", "--resume", "old"), 2, "RUN and --resume name different folders"),
        (("--resume", "nowhere"), 3, "nowhere is no folder"),
        (("old", "--width", "4", "--create-only"), 2, "another method.width"),
        (("old", "--preset", "compact"), 2, "for new runs"),
        (("old", "--iterations", "-1"), 2, "iterations is -1"),
        (("old", "--quiet"), 2, "There is no device 'abacus'"),
    ],
)
def test_a_command_that_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch, capsys, arguments: tuple[str, ...], code: int, words: str
):
    monkeypatch.chdir(tmp_path)
    made(tmp_path / "old", "--device", "abacus")  # it may be for another computer
    runs.RunFolder(tmp_path / "old").remember_data("0" * 64, {})
    before = (tmp_path / "old" / "run.json").read_bytes()
    capsys.readouterr()
    assert train(*arguments) == code
    error = capsys.readouterr().err
    assert words in error and "unexpected" not in error
    assert not (tmp_path / "new").exists() and (tmp_path / "old" / "run.json").read_bytes() == before


def test_a_run_whose_data_could_not_be_used_takes_the_corrected_command(tmp_path: Path, capsys):
    tiny_runs.make_scans(tmp_path)
    label = tmp_path / "source" / "source0_label.nii.gz"
    image = sitk.ReadImage(str(label))
    sitk.WriteImage(image * 50, str(label))
    run = tmp_path / "run"
    command = (run, "--source", tmp_path / "source", "--target", tmp_path / "target", "--size", "32",
               "--preset", "compact", "--device", "cpu", "--quiet")  # fmt: skip
    assert train(*command) == 3
    assert "source0_label.nii.gz" in capsys.readouterr().err
    assert train(*command, "--target", "gone", "--create-only") == 3
    assert train(*command, "--label-values", "50=1,100=2,150=3,200=4", "--create-only") == 0
    found = read(run)
    assert found.data.label_values == {"50": 1, "100": 2, "150": 3, "200": 4} and found.name == "run"
    assert found.data.target == str(tmp_path / "target")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"NRRD0004\n\0\xfe", "is no configuration; give a run.json"),
        (b"\xfe", "is not valid UTF-8 text"),
        (b"{", "is not valid JSON"),
        (b"{}", ": data is missing"),
        (b" " * 2_000_000, "is no configuration; give a run.json"),
        (None, "No such file"),
    ],
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, capsys, content: bytes | None, words: str):
    file = tmp_path / "small.nrrd"
    if content is not None:
        file.write_bytes(content)
    assert train(tmp_path / "run", "--configuration", file, "--create-only") == 3
    error = capsys.readouterr().err
    assert error.count(str(file)) == 1 and words in error
    assert not (tmp_path / "run").exists()


def test_a_place_that_cannot_be_written_to_is_named_as_the_user_named_it(tmp_path: Path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    assert train(tmp_path / "file" / "run", *PHANTOMS, "--create-only") == 6
    said = f"sifa: Nothing can be written into {tmp_path / 'file' / 'run'} ("
    assert capsys.readouterr().err.startswith(said)

    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert train(tmp_path / "run", *PHANTOMS, "--create-only") == 6
    assert f"into {tmp_path / 'run'} (the disk is full); make room there" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_run_in_use_is_not_changed(tmp_path: Path, capsys):
    made(tmp_path / "run")
    folder = runs.RunFolder(tmp_path / "run")
    before = folder.run_file.read_bytes()
    with folder.held():
        assert train(folder.path, "--iterations", "7", "--create-only") == 1
    assert "in use" in capsys.readouterr().err and folder.run_file.read_bytes() == before
    assert train(folder.path, "--iterations", "7", "--create-only") == 0
    assert folder.read().configuration.iterations == 7


def test_what_is_done_cannot_be_undone_by_fewer_iterations(tmp_path: Path, capsys):
    made(tmp_path / "run")
    me = processes.this_process()
    done = status.Status("stopped", me.pid, me.started, me.host, iterations=4000, iteration=50)
    (tmp_path / "run" / "status.json").write_text(json.dumps(dataclasses.asdict(done)))
    assert train(tmp_path / "run", "--iterations", "49", "--create-only") == 2
    assert "has done 50 iterations already" in capsys.readouterr().err
    assert train(tmp_path / "run", "--iterations", "50", "--create-only") == 0
    (tmp_path / "run" / "status.json").write_text("{")
    (tmp_path / "run" / "checkpoints" / "00000048.pt").touch()
    assert train(tmp_path / "run", "--iterations", "47", "--create-only") == 2
    assert "has done 48 iterations already" in capsys.readouterr().err


def test_what_helps_against_a_damaged_file_of_a_run_is_said(tmp_path: Path, capsys):
    made(tmp_path / "run")
    (tmp_path / "run" / "status.json").write_text("{")
    for what in ("status", "stop"):
        assert main(["runs", what, str(tmp_path / "run")]) == 3
        assert f"`sifa train {tmp_path / 'run'}` writes it anew" in capsys.readouterr().err
    (tmp_path / "run" / "run.json").write_text("{")
    for command, *more in (("runs status",), ("train",), ("export", "site")):
        assert main([*command.split(), str(tmp_path / "run"), *more]) == 3
        error = capsys.readouterr().err
        assert "run.json is not valid JSON" in error and "neither go on nor be exported" in error
        assert f"--cache {tmp_path / 'run' / 'cache'}" in error


@pytest.mark.parametrize("more", [(), ("--create-only",)])
@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--target", "gone"), 3, "gone does not exist; give a folder of images"),
        (("--target", "empty"), 3, "empty holds no images"),
        (("--source", "gone"), 3, "gone does not exist"),
        (("--source", "scans"), 3, "1.nrrd has no label map; put it beside the image as 1_label"),
        (("--source", "scans"), 3, "2 more have no label map either"),
        (("--source", "half"), 3, "leave them out: --exclude source:2"),
        (("--start-model", "nope"), 4, "There is no model 'nope'"),
        (("--start-model", "empty"), 4, "empty is no model"),
        (("--start-model", "wide", "--width", "4"), 4, "choose another model, or set the method to the model's"),
        (("--start-model", "damaged", "--width", "2"), 4, "damaged"),
    ],
)
def test_what_would_stop_a_run_at_once_is_said_before_there_is_a_folder(
    places: Path, monkeypatch, capsys, arguments: tuple[str, ...], code: int, words: str, more: tuple[str, ...]
):
    monkeypatch.chdir(places)
    options = {"--source": "phantom", "--target": "phantom:ct"}
    options |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert train("runs/new", *(word for pair in options.items() for word in pair), *more) == code
    said = capsys.readouterr()
    assert words in said.err and said.err.count("sifa: ") == 1 and not said.out
    assert not Path("runs").exists()


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> Path:
    """Scans without label maps, scans of which one has none, an empty folder, and two models that do not serve."""
    folder = tmp_path_factory.mktemp("places")
    for name, numbers in (("scans", range(1, 13)), ("half", (1, 2))):
        (folder / name).mkdir()
        for number in numbers:
            sitk.WriteImage(sitk.Image(16, 16, 16, sitk.sitkInt16), str(folder / name / f"{number}.nrrd"))
    sitk.WriteImage(sitk.Image(16, 16, 16, sitk.sitkUInt8), str(folder / "half" / "1_label.nrrd"))
    (folder / "empty").mkdir()
    tiny_models.write(folder / "wide")
    weights = tiny_models.write(folder / "damaged").weights
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\1\0")
    return folder


def test_runs_are_listed_shown_and_not_asked_in_vain(tmp_path: Path, capsys):
    made(tmp_path / "run")
    capsys.readouterr()
    assert main(["runs", "list", str(tmp_path)]) == 0
    assert "run  new" in capsys.readouterr().out
    assert main(["runs", "status", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"state": "new"}
    for what in ("stop", "pause", "resume"):
        assert main(["runs", what, str(tmp_path / "run")]) == 3
        assert "No process works on" in capsys.readouterr().err
    assert main(["runs", "list", str(tmp_path / "nowhere")]) == 3
    assert main(["runs", "status", str(tmp_path)]) == 3


def test_how_long_a_run_still_takes_is_told_once_it_iterates():
    preparing = status.Status("preparing", 1, "", "", 100, seconds_left=0.0)
    running = dataclasses.replace(preparing, state="running", seconds_left=120.0)
    nearly = dataclasses.replace(running, seconds_left=20.0)
    assert [runs_command._left(seen) for seen in (preparing, running, nearly)] == ["", "0 h 02 min", "under 1 min"]


def test_the_verdict_of_a_run_that_goes_on_is_one_so_far(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    made(folder)
    monkeypatch.setattr(runs_command, "_verdict", lambda _folder: "Nothing better was found.")
    for state, named in (("stopped", "Verdict so far  Nothing"), ("finished", "Verdict         Nothing")):
        seen = status.Status(state, 1, "", "", 100)
        (folder / "status.json").write_text(json.dumps(dataclasses.asdict(seen)))
        capsys.readouterr()
        assert main(["runs", "status", str(folder)]) == 0
        assert named in capsys.readouterr().out
