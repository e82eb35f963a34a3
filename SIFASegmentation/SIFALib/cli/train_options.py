"""The options of `sifa train` and `sifa runs`, and what they change in a configuration. Python's own packages only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..adaptation.method import OBJECTIVES, PRESETS, SCHEDULES
from .parsers import add_command

TRAIN = """Adapt a segmenter to unlabelled scans: start a training, or go on with one.

RUN is a folder that holds everything about the training; it may be stopped at any time (Ctrl-C, `sifa runs stop`,
even by pulling the plug), and `sifa train RUN` goes on with it as if nothing had happened.
A new run needs --source (images with label maps) and --target (images). With an existing run, the options change
what may change on the way: iterations, device, precision, threads and how often something is saved.
Several processes: torchrun --nproc-per-node N -m SIFALib.runs RUN (make RUN with --create-only first).

The presets tmi2020 and aaai2019 train as the papers did: slices of 256 pixels without augmentation, batches of 8,
20,000 iterations (tmi2020) or 20 epochs of the larger domain (aaai2019; counted when the data are prepared). Of the
authors' own files (.tfrecords, .npz) they scale grey values by the statistics of MR or CT, which the names of the files,
or else of their folder, must tell by the word mr or ct (--source-normalisation and --target-normalisation say it too).
The preset pretraining makes a model from nothing, as the bundled one was made: of random slices of phantoms, without
--source and --target; --set phantom_slices.anatomies=60 or phantom_slices.randomisation.artefacts=0 vary it."""

_NORMALISATIONS = "card (as inference does), or the authors' for z-scores: sifa_mr, sifa_ct, sifa_ct_old"
PLACES = "a folder, a JSON list, one image, phantom, phantom:mr or phantom:ct"

KEYS: dict[str, tuple[str, type, str, str]] = {
    "--source": ("data.source", str, "PLACE", f"labelled images: {PLACES}"),
    "--target": ("data.target", str, "PLACE", f"images to adapt to, without labels: {PLACES}"),
    "--start-model": ("start_model", str, "MODEL", "adapt this model: id or folder (default: random weights)"),
    "--name": ("name", str, "NAME", "what the run is called (default: its folder's name)"),
    "--source-normalisation": ("data.source_normalisation", str, "NAME", f"grey values: {_NORMALISATIONS}"),
    "--target-normalisation": ("data.target_normalisation", str, "NAME", "the same for the target"),
    "--iterations": ("iterations", int, "N", "how many in all (0: the epochs of the method)"),
    "--batch": ("batch", int, "N", "slices of each domain in one iteration, over all processes together"),
    "--accumulate": ("accumulate", int, "N", "compute a batch in so many parts, which saves memory"),
    "--size": ("data.size", int, "PIXELS", "side of a training slice"),
    "--width": ("method.width", int, "N", "channels of the first layer (16 in the papers)"),
    "--objective": ("method.objective", str, "NAME", ", ".join(OBJECTIVES)),
    "--schedule": ("method.schedule", str, "NAME", " or ".join(SCHEDULES)),
    "--phantoms": ("data.phantoms", int, "N", "how many phantoms of each domain"),
    "--seed": ("seed", int, "N", "another seed, other random numbers"),
    "--device": ("device", str, "NAME", "auto, cpu, cuda, cuda:0 or mps"),
    "--precision": ("precision", str, "NAME", "auto, float32 or bfloat16"),
    "--threads": ("threads", int, "N", "of the CPU (0: as many as there are)"),
    "--workers": ("workers", int, "N", "threads that prepare batches beside the training"),
    "--save-every": ("save_every", int, "N", "iterations between checkpoints"),
    "--judge-every": ("judge_every", int, "N", "iterations between scores (0: none, and no best model)"),
    "--preview-every": ("preview_every", int, "N", "iterations between pictures (0: none)"),
    "--keep-checkpoints": ("keep_checkpoints", int, "N", "how many of the newest stay"),
    "--cache": ("cache", str, "FOLDER", "for prepared slices; several runs may share it (default: RUN/cache)"),
}  # fmt: skip
"""Option -> dotted key of the configuration, type, what stands for the value in the help, help."""

FLAGS = {
    "--compile": ("compile", "let torch.compile make the networks faster, which takes minutes first"),
    "--tensorboard": ("tensorboard", "write TensorBoard's files too, if it is installed"),
    "--target-labels": ("data.target_labels", "read labels of the target (for target_supervised alone)"),
}


def add_train(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(commands, "train", parents, "train.train", "adapt a model to unlabelled scans", TRAIN)
    parser.add_argument(
        "run_folder", metavar="RUN", nargs="?", type=Path, help="folder of the run (new: a name by date)"
    )
    parser.add_argument("--resume", metavar="RUN", type=Path, help="the same as RUN, which must exist")
    parser.add_argument(
        "--preset", choices=(*PRESETS, "pretraining"), help="where a new run's settings come from (default: compact)"
    )
    parser.add_argument("--configuration", metavar="FILE", type=Path, help="a run.json to take settings from")
    for option, (key, kind, metavar, text) in KEYS.items():
        parser.add_argument(option, dest=key, type=kind, metavar=metavar, help=text)
    for option, (key, text) in FLAGS.items():
        parser.add_argument(option, dest=key, action="store_const", const=True, help=text)
    parser.add_argument(
        "--label-values", metavar="MAP", help="values in label maps: mmwhs, or like 500=3,600=0 (default: 0, 1, 2 ...)"
    )
    parser.add_argument("--exclude", metavar="SCAN", action="append", help="leave a scan out; may be repeated")
    parser.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="settings",
        help="any other setting of run.json, like method.cycle_weight=5; may be repeated",
    )  # fmt: skip
    parser.add_argument("--create-only", action="store_true", help="make the run folder and do not train")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def add_runs(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    runs = add_command(commands, "runs", [], "train.list_runs", "list, watch, stop, pause and resume trainings")
    runs.set_defaults(folder=Path("runs"))
    actions = runs.add_subparsers(title="commands", metavar="COMMAND")
    listing = add_command(actions, "list", parents, "train.list_runs", "list the runs in a folder")
    listing.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=Path("runs"))
    show = add_command(actions, "status", parents, "train.show_run", "what a run is doing")
    show.add_argument("run_folder", metavar="RUN", type=Path)
    show.add_argument("--json", action="store_true", help="print status.json with the state that holds")
    for name, text in (
        ("stop", "let a run save and end after the iteration at hand"),
        ("pause", "let a run save and wait after the iteration at hand"),
        ("resume", "let a paused run go on"),
    ):
        asking = add_command(actions, name, parents, f"train.{name}_run", text)
        asking.add_argument("run_folder", metavar="RUN", type=Path)
