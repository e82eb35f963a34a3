"""`sifa segment`: a scan in, a segmentation out."""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support import files
from ..support.errors import OutputError, RequestError, VolumeError
from .console import OK, ProgressLine, complain, say, volumes_table
from .shared import Segmenting, add_command, add_segmenting, files_of_model, quiet_itk, said_as, segmenting

if TYPE_CHECKING:
    from ..imaging import Volume
    from ..imaging.dicom_seg import Reference
    from ..inference import Result
    from ..models.card import ModelCard
    from ..networks import Segmenter

DESCRIPTION = """Segment the heart in a CT or MR volume.

IN is a NIfTI, NRRD or MetaImage file, or a folder with one DICOM series.
OUT is a Slicer segmentation with names, colours and terminology (.seg.nrrd), a label map
(.nii.gz, .nii, .nrrd, .mha; 1 myocardium, 2 left atrium, 3 left ventricle, 4 ascending aorta,
and, of a model that has them, 5 right ventricle, 6 right atrium, 7 pulmonary artery),
or, where IN is a DICOM series, DICOM SEG (.dcm; needs the package highdicom), on exactly the
grid of IN. Volumes in ml are printed as a table."""
ROI = (
    "box around the heart, which otherwise is searched: in mm as 3D Slicer shows them (R to the right, A to "
    "the front, S to the head), as R0,R1,A0,A1,S0,S1 or as centre and size R,A,S/DR,DA,DS"
)
BATCH_SIZE = (
    "slices at once; on the CPU it changes not a single label, on a GPU at most what rounding decides "
    "(default: what suits the device)"
)
UNCERTAINTY = (
    "also write an image of how unsure the model is of every voxel, from 0 (sure) to 1 (all classes are as likely)"
)


def add(commands: Any) -> None:
    parser = add_command(commands, "segment", run, "segment the heart in a scan", DESCRIPTION, of_store=True)
    parser.add_argument("input", metavar="IN", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path)
    add_segmenting(parser)
    parser.add_argument("--batch-size", type=int, metavar="N", help=BATCH_SIZE)
    parser.add_argument("--roi", metavar="BOX", help=ROI)
    parser.add_argument("--probabilities", metavar="FILE", type=Path, help="also write a 4D image, a frame a structure")
    parser.add_argument("--uncertainty", metavar="FILE", type=Path, help=UNCERTAINTY)
    parser.add_argument("--report", metavar="FILE", type=Path, help="also write a JSON report")
    parser.add_argument("--picture", metavar="FILE", type=Path, help="also write a PNG with outlines")
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked for, once everything that can be known before the work is known to be well.

    asked: the command line, whose outputs can be written. segmenter, card: the model that serves the scan. reference: of the
    DICOM SEG, if that is wanted.
    """

    asked: argparse.Namespace
    by: Segmenting
    segmenter: Segmenter
    card: ModelCard
    scan: Volume
    read_seconds: float
    reference: Reference | None


def run(options: argparse.Namespace) -> int:
    from .. import inference

    request = check(options)
    with ProgressLine(options.quiet) as show:
        result = inference.segment(request.scan, request.segmenter, request.card, request.by.options, show)
    start = time.perf_counter()
    with said_as(OutputError, OSError, RuntimeError):
        _write(result, request)
    report = _report(result, request, time.perf_counter() - start)
    if options.report:
        with said_as(OutputError, OSError):
            files.write_text(options.report, json.dumps(report, indent=2) + "\n")
    if not options.quiet:
        _print(report, request)
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for; every SifaError but those of the work itself."""
    import skimage.measure  # noqa: F401  (needed only after the long work)

    from ..imaging import dicom_seg, slices, writing
    from ..imaging.dicom_seg import is_dicom

    quiet_itk(options.debug)
    roi = parse_roi(options.roi) if options.roi else None
    _check_outputs(options)
    if options.batch_size is not None and options.batch_size < 1:
        raise RequestError(f"A batch of {options.batch_size} slices cannot be; give 1 or more.")
    maps = {"keep_probabilities": options.probabilities is not None, "uncertainty": options.uncertainty is not None}
    by = segmenting(options, roi=roi, batch_size=options.batch_size, **maps)
    start = time.perf_counter()
    scan = _read(options.input)
    segmenter, card = by.serving(scan)
    reference = None
    if is_dicom(options.output):
        with said_as(VolumeError, OSError):
            reference = dicom_seg.prepare(options.input, scan.geometry, by.structures, card)
    read_seconds = time.perf_counter() - start
    writing.check_holds(scan.geometry, options.output, options.probabilities, options.uncertainty)
    if roi is not None:
        slices.box_of_roi(scan.geometry, roi)
    return Request(options, by, segmenter, card, scan, read_seconds, reference)


def _check_outputs(options: argparse.Namespace) -> None:
    from ..imaging.dicom_seg import SUFFIX, is_dicom
    from ..imaging.outputs import IMAGES, PICTURES, Output, check_dicom_seg, check_outputs
    from ..imaging.seg_nrrd import check_suffix

    check_suffix(options.output, (SUFFIX, "DICOM SEG"))
    if is_dicom(options.output):
        check_dicom_seg(options.input, options.output)
    outputs = (
        Output("OUT", options.output),
        Output("--probabilities", options.probabilities, IMAGES),
        Output("--uncertainty", options.uncertainty, IMAGES),
        Output("--report", options.report, text=True),
        Output("--picture", options.picture, PICTURES),
    )
    check_outputs(outputs, [options.input, *files_of_model(options.model)])


def _read(path: Path) -> Volume:
    from .. import imaging

    with said_as(VolumeError, OSError):
        scan = imaging.read(path)
        imaging.check(scan)
    return scan


def _write(result: Result, request: Request) -> None:
    import numpy as np

    from .. import imaging
    from ..imaging import dicom_seg, frames, pictures, seg_nrrd, writing

    asked, structures = request.asked, request.by.structures
    if request.reference is not None:
        dicom_seg.write(result.labels, request.reference, asked.output)
    else:
        seg_nrrd.write_labels(result.labels, asked.output, structures, request.card.key)
    if asked.probabilities and result.probabilities is not None:
        joined = frames.join_frames(result.probabilities, [s.id for s in structures])
        writing.write_image(joined, asked.probabilities, result.labels.geometry.forms)
    if asked.uncertainty and result.uncertainty is not None:
        unsure = result.uncertainty
        imaging.write(imaging.Volume(unsure.array.astype(np.float32), unsure.geometry, unsure.name), asked.uncertainty)
    if asked.picture:
        pictures.overlay(request.scan, result.labels, asked.picture, structures)


def _report(result: Result, request: Request, write_seconds: float) -> dict[str, Any]:
    """The report of the result, with the path of the scan, and the time for reading and writing."""
    report = result.report.to_json()
    report["input"] = {**report["input"], "path": str(request.asked.input)}
    report["seconds"] = {**report["seconds"], "read": round(request.read_seconds, 3), "write": round(write_seconds, 3)}
    return report


def _print(report: dict[str, Any], request: Request) -> None:
    say(volumes_table(report["volumes_ml"], request.by.structures))
    for flag in report["flags"]:
        say(f"{'Look twice' if flag['warns'] else 'Note'}: {flag['message']}")
    for note in report["notes"]:
        say(f"Note: {note}")
    seconds = sum(report["seconds"].values())
    model = f"{request.card.key}, chosen by the scan" if request.by.models.automatic else request.card.key
    complain(f"wrote {request.asked.output} in {seconds:.1f} s ({model}; {report['device']}, {report['precision']}).")


def parse_roi(text: str) -> tuple[float, float, float, float, float, float]:
    """R0,R1,A0,A1,S0,S1 or R,A,S/DR,DA,DS (RAS mm) as (xmin, xmax, ymin, ymax, zmin, zmax) in LPS mm."""
    try:
        if "/" in text:
            center, size = ([float(n) for n in part.split(",")] for part in text.split("/"))
            ends = [e for c, s in zip(center, size, strict=True) for e in (c - s / 2, c + s / 2)]
        else:
            ends = [float(n) for n in text.split(",")]
        r0, r1, a0, a1, s0, s1 = ends
        if not (r0 < r1 and a0 < a1 and s0 < s1 and all(map(math.isfinite, ends))):
            raise ValueError("an empty or endless box")
    except ValueError as error:
        raise RequestError(
            f"--roi {text!r} is no box; write R0,R1,A0,A1,S0,S1 with each first number below the second, "
            "or R,A,S/DR,DA,DS (centre and size), in mm."
        ) from error
    return (-r1, -r0, -a1, -a0, s0, s1)
