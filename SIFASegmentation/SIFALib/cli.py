"""The command line: `sifa segment`, `sifa models`, `sifa train`, `sifa runs`, `sifa phantom`, `sifa doctor`, and more.

Thin: it turns text into arguments, results into text, and every foreseeable failure into one sentence on
stderr and an exit code. Data goes to stdout, progress and errors to stderr. Nothing here needs a package
besides Python's own: `sifa doctor` must run where the others are missing.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from . import __version__
from .cli_run import (
    BAD_INPUT,
    INTERRUPTED,
    MODEL,
    NO_HEART,
    OK,
    OTHER,
    OUTPUT,
    USAGE,
    Failure,
    complain,
    sentence,
)
from .cli_train_options import TRAIN, add_runs, add_train

FIRST_FREE_SEED = 1000  # of phantoms; those below are for training the bundled model

EXIT_CODES = f"""exit codes:
  {OK}    all went well
  {OTHER}    something else failed (PyTorch is missing, memory ran out, a bug); doctor: something needs repair
  {USAGE}    the command line cannot be (an unknown option, device or structure; a region outside of the scan)
  {BAD_INPUT}    the input cannot be used
  {MODEL}    the model is missing, damaged or refused
  {NO_HEART}    no heart was found
  {OUTPUT}    the output cannot be written
  {INTERRUPTED}  interrupted (Ctrl-C); nothing half-written is left behind
"""

SEGMENT = """Segment the heart in a CT or MR volume.

IN is a NIfTI, NRRD or MetaImage file, or a folder with one DICOM series.
OUT is a Slicer segmentation with names, colours and terminology (.seg.nrrd), or a label map
(.nii.gz, .nii, .nrrd, .mha; 1 myocardium, 2 left atrium, 3 left ventricle, 4 ascending aorta),
on exactly the grid of IN. Volumes in ml are printed as a table."""

ROI = (
    "box around the heart, which otherwise is searched: in mm as 3D Slicer shows them (R to the right, A to "
    "the front, S to the head), as R0,R1,A0,A1,S0,S1 or as centre and size R,A,S/DR,DA,DS"
)

CHECK_DATA = """Look at every scan before training on it, and say what is wrong.

Nothing is left out in silence: if a single scan cannot be used (unreadable, label values without a class, image and
label map on different grids, constant, not a number, 4D, twice, or in both domains), training refuses to start, and
so does this command (exit code 3). Mend the file, remove it, or leave it out knowingly with --exclude; the line to
add is printed.

Label maps are found by name: x.nii.gz beside x_label.nii.gz or x_seg.nii.gz, images/x and labels/x, imagesTr/x_0000
and labelsTr/x, ct_train_1001_image and ct_train_1001_label, or one image and one label map in a folder of their own.
A list says so itself: [{"image": "a.nii.gz", "label": "b.nii.gz"}, ...], paths relative to the list."""

LABEL_VALUES = (
    "which class each value in the label maps is, like 500=3,420=2, or mmwhs for the values of MM-WHS; 0 is "
    "background, 255 not known; not needed where the values are the classes (1 myocardium, 2 left atrium, 3 left "
    "ventricle, 4 ascending aorta)"
)
EXCLUDE = "leave a scan out, like source:NAME or target:NAME; may be given several times"
BATCH_SIZE = (
    "slices at once; on the CPU it changes not a single label, on a GPU at most what rounding decides "
    "(default: what suits the device)"
)
MODALITY = (
    "how grey values are read: ct by the model's fixed window of Hounsfield units (HU), mr by percentiles of "
    "the scan's own values; auto takes ct where there is lung or air below -200 HU, else mr; give ct for a CT "
    "that shows neither (default: %(default)s)"
)
SEED = f"another seed, another person; below {FIRST_FREE_SEED}: the model may have seen it (default: %(default)s)"

EVALUATE = """Segment scans that have label maps, and measure how well the two agree.

Dice and average symmetric surface distance, by scan and structure. The published protocol is that of the authors'
evaluate.py, on the .npz volumes that PnP-AdaNet released."""

EXPORT = """Make a model of a run's best segmenter, for `sifa segment --model NAME` and for 3D Slicer.

Refused, with the numbers, is one that the score without labels calls worse than the run's start model, or against
which something speaks. A model that is there already is never overwritten."""

IMPORT_TF = """Make a model of a TensorFlow 1 checkpoint that the authors' code wrote (TMI 2020 or AAAI 2019).

TensorFlow is not needed. CHECKPOINT is NAME.index and NAME.data-00000-of-00001, side by side."""

STATISTICS = (
    "grey values of the training: new, or old for the CT model that the authors released first "
    "(their evaluate.py, USE_newstat=False) (default: %(default)s)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `sifa` with these arguments (None: those of the process) and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(_joined(sys.argv[1:] if arguments is None else arguments))
    if not hasattr(options, "run"):
        parser.print_help(sys.stderr)
        return USAGE
    for stream in (sys.stdout, sys.stderr):  # a narrow Windows console must not turn a name into a crash
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    level = logging.DEBUG if options.debug else logging.ERROR
    logging.basicConfig(level=level, format="%(name)s: %(message)s", force=True)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        complain("interrupted; nothing half-written is left behind.")
        return INTERRUPTED
    except Failure as failure:
        if options.debug:
            raise
        complain(str(failure))
        return failure.code
    except ImportError as error:
        if options.debug:
            raise
        what = f"The Python package {error.name.partition('.')[0]}" if error.name else "A Python package"
        complain(f"{what} cannot be used: {sentence(error)} `sifa doctor` tells how to repair it.")
        return OTHER
    except Exception as error:
        if options.debug:
            raise
        complain(
            f"unexpected {type(error).__name__}: {sentence(error)} Run again with --debug and report it."
        )
        return OTHER


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """The function `module.function` of this package; the module is imported when it is called."""
    module, _, function = name.partition(".")

    def run(options: argparse.Namespace) -> int:
        return getattr(importlib.import_module(f".{module}", __package__), function)(options)

    return run


def build_parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show where an error comes from")
    store = argparse.ArgumentParser(add_help=False)
    store.add_argument(
        "--models-folder",
        metavar="FOLDER",
        help="your own models (default: $SIFA_MODELS, else your data folder)",
    )
    parser = argparse.ArgumentParser(
        prog="sifa",
        description="Heart segmentation in CT and MR that adapts to unlabelled scans.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sifa {__version__}")
    parser.set_defaults(debug=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_segment(commands, [common, store])
    _add_models(commands, [common, store])
    _add_import_tf(commands, [common, store])
    _add_check_data(commands, [common])
    _add_train(commands, common)
    _add_export(commands, [common, store])
    _add_evaluate(commands, [common, store])
    _add_phantom(commands, [common])
    _add_doctor(commands, [common, store])
    return parser


def _add(
    commands, name: str, parents: list, run: str, help: str, description: str = ""
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        parents=parents,
        help=help,
        description=description or help[0].upper() + help[1:] + ".",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_command(run))
    return parser


def _add_segment(commands, parents: list) -> None:
    parser = _add(commands, "segment", parents, "cli_segment.segment", "segment the heart in a scan", SEGMENT)
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    parser.add_argument(
        "--model", metavar="ID", help="model: id, id@version, or a folder (default: the bundled one)"
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help=BATCH_SIZE)
    parser.add_argument("--modality", choices=("auto", "ct", "mr"), default="auto", help=MODALITY)
    parser.add_argument("--roi", metavar="BOX", help=ROI)
    parser.add_argument("--structures", metavar="IDS", help="only these, for example LV,MYO")
    parser.add_argument(
        "--probabilities", metavar="FILE", type=Path, help="also write a 4D image, a frame a structure"
    )
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write a JSON report")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="also write a PNG with outlines")
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


def _add_models(commands, parents: list) -> None:
    parser = _add(
        commands,
        "models",
        [],
        "cli_commands.list_models",
        "list, show, import, verify, delete and export models",
    )
    parser.set_defaults(models_folder=None)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add(
        actions,
        "list",
        parents,
        "cli_commands.list_models",
        "list the models, and what is wrong with broken ones",
    )
    show = _add(actions, "show", parents, "cli_commands.show", "print a model's card")
    show.add_argument(
        "model", metavar="ID", nargs="?", help="id, id@version or folder (default: the bundled model)"
    )
    bring = _add(
        actions, "import", parents, "cli_commands.import_model", "check a model and copy it into your folder"
    )
    bring.add_argument("path", metavar="PATH", type=Path, help="a folder or a zip file")
    check = _add(actions, "verify", parents, "cli_commands.verify", "check weights against their card")
    check.add_argument("models", metavar="ID", nargs="*", help="id, id@version or folder (default: all)")
    delete = _add(actions, "delete", parents, "cli_commands.delete", "delete one of your own models")
    delete.add_argument("model", metavar="ID@VERSION", help="the model, or the name of a broken folder")
    export = _add(actions, "export", parents, "cli_commands.export", "write a model as a zip file")
    export.add_argument("model", metavar="ID", help="id, id@version or folder")
    export.add_argument("path", metavar="OUT.zip", type=Path)
    _add(actions, "folder", parents, "cli_commands.folder", "print the folder of your own models")


def _add_evaluate(commands, parents: list) -> None:
    parser = _add(
        commands, "evaluate", parents, "cli_evaluate.run", "measure a model on labelled scans", EVALUATE
    )
    parser.add_argument("--model", metavar="ID", help="id, id@version or folder (default: the bundled one)")
    parser.add_argument(
        "--images", metavar="PLACE", type=Path, required=True, help="folder of scans, or a file"
    )
    parser.add_argument(
        "--labels",
        metavar="FOLDER",
        type=Path,
        help="folder of label maps (default: beside the scans, by name)",
    )
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument("--exclude", metavar="SCAN", action="append", default=[], help="leave this scan out")
    parser.add_argument(
        "--protocol", choices=("product", "published"), default="product", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--statistics",
        choices=("ct", "ct-old", "mr"),
        help="of the published protocol (default: as the model says)",
    )
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: %(default)s)"
    )
    parser.add_argument(
        "--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)"
    )
    parser.add_argument("--modality", choices=("auto", "ct", "mr"), default="auto", help=MODALITY)
    for name in ("json", "csv"):
        parser.add_argument(
            f"--{name}", metavar="FILE", type=Path, nargs="?", const=Path("-"),
            help=f"every number as {name.upper()}, in a file or printed instead of the table",
        )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


def _add_export(commands, parents: list) -> None:
    parser = _add(
        commands, "export", parents, "cli_export.run", "make a model of what a run has learned", EXPORT
    )
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument(
        "name", metavar="NAME", help="id of the new model, or id@version (default: version 1.0.0)"
    )
    parser.add_argument("--title", metavar="TEXT", help="what people call it")
    parser.add_argument(
        "--checkpoint",
        type=int,
        metavar="N",
        help="the averaged segmenter after iteration N, not the best one",
    )
    parser.add_argument(
        "--modality",
        choices=("ct", "mr", "both"),
        help="what it is for (default: what the data tell, else both)",
    )
    parser.add_argument("--licence", metavar="TEXT", help="who may use it (default: that none is given)")
    parser.add_argument("--force", action="store_true", help="whatever the score says")


def _add_import_tf(commands, parents: list) -> None:
    parser = _add(
        commands,
        "import-tf",
        parents,
        "cli_import_tf.run",
        "make a model of one of the authors' TensorFlow checkpoints",
        IMPORT_TF,
    )
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", type=Path, help="its name, one of its files, or its folder"
    )
    parser.add_argument("name", metavar="NAME", help="id of the new model: small letters, digits, hyphens")
    parser.add_argument(
        "--modality",
        choices=("ct", "mr"),
        required=True,
        help="what the model was adapted to (no checkpoint tells)",
    )
    parser.add_argument("--statistics", choices=("new", "old"), default="new", help=STATISTICS)


def _add_check_data(commands, parents: list) -> None:
    parser = _add(
        commands,
        "check-data",
        parents,
        "cli_data.check_data",
        "look at scans before training on them, and say what is wrong",
        CHECK_DATA,
    )
    for domain, what in (
        ("source", "labelled scans"),
        ("target", "scans to adapt to; labels are not needed"),
    ):
        parser.add_argument(
            f"--{domain}", metavar="PLACE", help=f"{what}: a folder, a JSON list, a file, or phantom"
        )
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument(
        "--target-labels", action="store_true", help="the target has label maps, too; check them"
    )
    parser.add_argument("--exclude", metavar="SCAN", action="append", default=[], help=EXCLUDE)
    parser.add_argument("--classes", type=int, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=128, metavar="PIXELS", help="of training slices (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write what was found as JSON")
    parser.add_argument(
        "--thumbnails", metavar="FOLDER", type=Path, help="also write a PNG of each usable scan"
    )


def _add_train(commands, common: argparse.ArgumentParser) -> None:
    add_train(
        _add(commands, "train", [common], "cli_train.train", "adapt a model to unlabelled scans", TRAIN)
    )
    runs = _add(commands, "runs", [], "cli_train.list_runs", "list, watch, stop, pause and resume trainings")
    runs.set_defaults(folder=Path("runs"))
    actions = runs.add_subparsers(title="commands", metavar="COMMAND")
    add_runs(lambda where, name, function, help: _add(where, name, [common], function, help), actions)


def _add_phantom(commands, parents: list) -> None:
    parser = _add(
        commands, "phantom", parents, "cli_commands.phantom", "make a digital thorax with exact labels"
    )
    parser.add_argument("output", metavar="OUT", type=Path, help="image: .nii.gz, .nii, .nrrd or .mha")
    parser.add_argument("--modality", choices=("ct", "mr"), default="ct", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=FIRST_FREE_SEED, help=SEED)
    parser.add_argument(
        "--spacing", type=float, default=1.5, metavar="MM", help="voxel size (default: %(default)s)"
    )
    parser.add_argument(
        "--labels", metavar="FILE", type=Path, help="also write the labels (.seg.nrrd, .nii.gz ...)"
    )
    parser.add_argument("--quiet", action="store_true", help="no table")


def _add_doctor(commands, parents: list) -> None:
    _add(commands, "doctor", parents, "cli_doctor.run", "check the installation and say how to repair it")


def _joined(arguments: Sequence[str]) -> list[str]:
    """`--roi -80,70,...` as `--roi=-80,70,...`: argparse takes what begins with a minus for an option."""
    result = list(arguments)
    for n in range(len(result) - 1, 0, -1):
        if result[n - 1] == "--roi" and result[n][:1] == "-" and result[n][1:2].isdigit():
            result[n - 1 : n + 1] = [f"--roi={result[n]}"]
    return result
