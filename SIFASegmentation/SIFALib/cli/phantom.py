"""`sifa phantom`: a digital thorax with exact labels."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..support.errors import OutputError, RequestError
from .console import OK, say, volumes_table
from .shared import add_command, quiet_itk, said_as

FIRST_FREE_SEED = 1000  # of phantoms; those below are for training the bundled model
SEED = f"another seed, another person; below {FIRST_FREE_SEED}: the model may have seen it (default: %(default)s)"


def add(commands: Any) -> None:
    parser = add_command(commands, "phantom", run, "make a digital thorax with exact labels")
    parser.add_argument("output", metavar="OUT", type=Path, help="image: .nii.gz, .nii, .nrrd or .mha")
    parser.add_argument("--modality", choices=("ct", "mr"), default="ct", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=FIRST_FREE_SEED, help=SEED)
    parser.add_argument("--spacing", type=float, default=1.5, metavar="MM", help="voxel size (default: %(default)s)")
    parser.add_argument("--labels", metavar="FILE", type=Path, help="also write the labels (.seg.nrrd, .nii.gz ...)")
    parser.add_argument("--quiet", action="store_true", help="no table")


def run(options: argparse.Namespace) -> int:
    from .. import imaging, phantom
    from ..imaging.seg_nrrd import write_labels
    from ..inference.flags import volumes_ml
    from ..models.structures import STRUCTURES

    check(options)
    with said_as(RequestError, ValueError):  # which it raises before the work, for the seed and the spacing
        case = phantom.make(options.seed, options.modality, options.spacing)
    with said_as(OutputError, OSError):
        imaging.write(case.image, options.output)
        if options.labels:
            write_labels(case.labels, options.labels)
    if not options.quiet:
        say(volumes_table(volumes_ml(case.labels, STRUCTURES), STRUCTURES))
    return OK


def check(options: argparse.Namespace) -> None:
    """RequestError, OutputError for what cannot be written."""
    from ..imaging.outputs import IMAGES, Output, check_outputs
    from ..imaging.seg_nrrd import check_suffix, is_segmentation

    quiet_itk(options.debug)
    if is_segmentation(options.output):
        raise RequestError(f"{options.output} must end in {', '.join(IMAGES)}; a segmentation is no image.")
    if options.labels:
        check_suffix(options.labels)
    check_outputs((Output("OUT", options.output, IMAGES), Output("--labels", options.labels)))
