"""The options of `sifa segment`, `batch`, `models`, `phantom`, `doctor`. Python's own packages only."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .parsers import add_command, add_device

FIRST_FREE_SEED = 1000  # of phantoms; those below are for training the bundled model

SEGMENT = """Segment the heart in a CT or MR volume.

IN is a NIfTI, NRRD or MetaImage file, or a folder with one DICOM series.
OUT is a Slicer segmentation with names, colours and terminology (.seg.nrrd), a label map
(.nii.gz, .nii, .nrrd, .mha; 1 myocardium, 2 left atrium, 3 left ventricle, 4 ascending aorta),
or, where IN is a DICOM series, DICOM SEG (.dcm; needs the package highdicom), on exactly the
grid of IN. Volumes in ml are printed as a table."""

BATCH = """Segment the heart in every scan of a folder.

FOLDER and the folders in it hold NIfTI, NRRD or MetaImage files, or DICOM series, each in a folder of its own.
OUT gets NAME.seg.nrrd and NAME.sifa.json (the report) of each scan, and volumes.csv with a row for each.
What is done already is left as it is: stopped, the same command goes on. Nor is a result written over that is
another scan's of the same name. A scan that cannot be segmented is told in its row, and the others are done."""

ROI = (
    "box around the heart, which otherwise is searched: in mm as 3D Slicer shows them (R to the right, A to "
    "the front, S to the head), as R0,R1,A0,A1,S0,S1 or as centre and size R,A,S/DR,DA,DS"
)

BATCH_SIZE = (
    "slices at once; on the CPU it changes not a single label, on a GPU at most what rounding decides "
    "(default: what suits the device)"
)

MODEL = "model: id, id@version, or a folder (default: the bundled one)"

VIEWS = (
    "planes to look in: auto and three average three planes across each other, except in a stack of thick slices; "
    "one, the scan's own, is faster and rougher (default: %(default)s)"
)

UNCERTAINTY = (
    "also write an image of how unsure the model is of every voxel, from 0 (sure) to 1 (all classes are as likely)"
)

SEED = f"another seed, another person; below {FIRST_FREE_SEED}: the model may have seen it (default: %(default)s)"


def add_segment(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(commands, "segment", parents, "segment.segment", "segment the heart in a scan", SEGMENT)
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    parser.add_argument("--model", metavar="ID", help=MODEL)
    add_device(parser)
    parser.add_argument("--batch-size", type=int, metavar="N", help=BATCH_SIZE)
    parser.add_argument("--roi", metavar="BOX", help=ROI)
    parser.add_argument("--structures", metavar="IDS", help="only these, for example LV,MYO")
    parser.add_argument("--probabilities", metavar="FILE", type=Path, help="also write a 4D image, a frame a structure")
    parser.add_argument("--views", choices=("auto", "one", "three"), default="auto", help=VIEWS)
    parser.add_argument("--uncertainty", metavar="FILE", type=Path, help=UNCERTAINTY)
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write a JSON report")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="also write a PNG with outlines")
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


def add_batch(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(commands, "batch", parents, "batch.run", "segment the heart in every scan of a folder", BATCH)
    parser.add_argument("input", metavar="FOLDER", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path, help="made if it is missing")
    parser.add_argument("--model", metavar="ID", help=MODEL)
    add_device(parser)
    parser.add_argument("--structures", metavar="IDS", help="only these, for example LV,MYO")
    parser.add_argument("--views", choices=("auto", "one", "three"), default="auto", help=VIEWS)
    parser.add_argument("--quiet", action="store_true", help="no progress and no rows")


def add_models(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(
        commands, "models", [], "commands.list_models", "list, show, import, verify, delete and export models"
    )
    parser.set_defaults(models_folder=None)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND")
    add_command(actions, "list", parents, "commands.list_models", "list the models, and what is wrong with broken ones")
    show = add_command(actions, "show", parents, "commands.show", "print a model's card")
    show.add_argument("model", metavar="ID", nargs="?", help="id, id@version or folder (default: the bundled model)")
    bring = add_command(
        actions, "import", parents, "commands.import_model", "check a model and copy it into your folder"
    )
    bring.add_argument("path", metavar="PATH", type=Path, help="a folder or a zip file")
    check = add_command(actions, "verify", parents, "commands.verify", "check weights against their card")
    check.add_argument("models", metavar="ID", nargs="*", help="id, id@version or folder (default: all)")
    delete = add_command(actions, "delete", parents, "commands.delete", "delete one of your own models")
    delete.add_argument("model", metavar="ID@VERSION", help="the model, or the name of a broken folder")
    export = add_command(actions, "export", parents, "commands.export", "write a model as a zip file")
    export.add_argument("model", metavar="ID", help="id, id@version or folder")
    export.add_argument("path", metavar="OUT.zip", type=Path)
    add_command(actions, "folder", parents, "commands.folder", "print the folder of your own models")


def add_phantom(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    parser = add_command(commands, "phantom", parents, "commands.phantom", "make a digital thorax with exact labels")
    parser.add_argument("output", metavar="OUT", type=Path, help="image: .nii.gz, .nii, .nrrd or .mha")
    parser.add_argument("--modality", choices=("ct", "mr"), default="ct", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=FIRST_FREE_SEED, help=SEED)
    parser.add_argument("--spacing", type=float, default=1.5, metavar="MM", help="voxel size (default: %(default)s)")
    parser.add_argument("--labels", metavar="FILE", type=Path, help="also write the labels (.seg.nrrd, .nii.gz ...)")
    parser.add_argument("--quiet", action="store_true", help="no table")


def add_doctor(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    add_command(commands, "doctor", parents, "doctor.run", "check the installation and say how to repair it")
