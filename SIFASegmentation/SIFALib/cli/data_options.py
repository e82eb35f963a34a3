"""The options around a training: `sifa check-data`, `export`, `evaluate`, `import-tf`. Python's own packages only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .parsers import add_command, add_device

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


def add_check_data(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(
        commands,
        "check-data",
        parents,
        "data.check_data",
        "look at scans before training on them, and say what is wrong",
        CHECK_DATA,
    )
    for domain, what in (("source", "labelled scans"), ("target", "scans to adapt to; labels are not needed")):
        parser.add_argument(f"--{domain}", metavar="PLACE", help=f"{what}: a folder, a JSON list, a file, or phantom")
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument("--target-labels", action="store_true", help="the target has label maps, too; check them")
    parser.add_argument("--exclude", metavar="SCAN", action="append", default=[], help=EXCLUDE)
    parser.add_argument("--classes", type=int, default=5, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "--size", type=int, default=128, metavar="PIXELS", help="of training slices (default: %(default)s)"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write what was found as JSON")
    parser.add_argument("--thumbnails", metavar="FOLDER", type=Path, help="also write a PNG of each usable scan")


def add_export(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(commands, "export", parents, "export.run", "make a model of what a run has learned", EXPORT)
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument("name", metavar="NAME", help="id of the new model, or id@version (default: version 1.0.0)")
    parser.add_argument("--title", metavar="TEXT", help="what people call it")
    parser.add_argument(
        "--checkpoint", type=int, metavar="N", help="the averaged segmenter after iteration N, not the best one"
    )
    parser.add_argument(
        "--modality", choices=("ct", "mr", "both"), help="what it is for (default: what the data tell, else both)"
    )
    parser.add_argument("--licence", metavar="TEXT", help="who may use it (default: that none is given)")
    parser.add_argument("--force", action="store_true", help="whatever the score says")


def add_evaluate(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(commands, "evaluate", parents, "evaluate.run", "measure a model on labelled scans", EVALUATE)
    parser.add_argument("--model", metavar="ID", help="id, id@version or folder (default: the bundled one)")
    parser.add_argument("--images", metavar="PLACE", type=Path, required=True, help="folder of scans, or a file")
    parser.add_argument(
        "--labels", metavar="FOLDER", type=Path, help="folder of label maps (default: beside the scans, by name)"
    )
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument("--exclude", metavar="SCAN", action="append", default=[], help="leave this scan out")
    parser.add_argument(
        "--protocol", choices=("product", "published"), default="product", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--statistics", choices=("ct", "ct-old", "mr"), help="of the published protocol (default: as the model says)"
    )
    add_device(parser)
    for name in ("json", "csv"):
        parser.add_argument(
            f"--{name}", metavar="FILE", type=Path, nargs="?", const=Path("-"),
            help=f"every number as {name.upper()}, in a file or printed instead of the table",
        )  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


def add_import_tf(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(
        commands,
        "import-tf",
        parents,
        "import_tf.run",
        "make a model of one of the authors' TensorFlow checkpoints",
        IMPORT_TF,
    )
    parser.add_argument("checkpoint", metavar="CHECKPOINT", type=Path, help="its name, one of its files, or its folder")
    parser.add_argument("name", metavar="NAME", help="id of the new model: small letters, digits, hyphens")
    parser.add_argument(
        "--modality", choices=("ct", "mr"), required=True, help="what the model was adapted to (no checkpoint tells)"
    )
    parser.add_argument("--statistics", choices=("new", "old"), default="new", help=STATISTICS)
