"""`sifa cine`: a cine of the heart in, the function of its ventricles out."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support import files
from ..support.errors import OutputError, RequestError, SifaError, VolumeError
from ..support.messages import reason
from .console import OK, ProgressLine, complain, say, table
from .shared import MODEL_OF_CINES, Segmenting, add_command, add_segmenting, quiet_itk, said_as, segmenting, writes_into

if TYPE_CHECKING:
    from ..imaging.cine import Cine
    from ..inference.cine import CineResult

DESCRIPTION = """Segment every phase of a cine MR and tell volumes, ejection fraction and mass.

STUDY is the folder of a DICOM study, whatever else it holds and however its files lie in it and below it, or a NIfTI,
NRRD or .seq.nrrd file of several volumes. Of several stacks the likeliest short axis is taken, and the others are listed.
Views along the heart that the study holds are measured at both ends of the beat: left atrium, length of the left ventricle.

OUT gets
  volumes.csv      a row for each phase: time, volumes in ml
  report.json      everything that is known, for programs
  report.html      one page to read and to print: table with normal ranges, curves, outlines
  curves.png       volumes over the beat
  labels.nii.gz    the outlines of all phases, four axes
  labels.seq.nrrd  the same for 3D Slicer's Sequences
  ED.dcm, ES.dcm   DICOM SEG of the left ventricle's end-diastole and end-systole, where STUDY is DICOM (needs highdicom)
What OUT holds of an earlier call is written over; anything else in it stays."""
STACK = "which stack of the study, by the number or name that a first call lists (default: the likeliest short axis)"
FILES = (
    "volumes.csv", "report.json", "report.html", "curves.png", "labels.nii.gz", "labels.seq.nrrd", "ED.dcm", "ES.dcm",
)  # fmt: skip
_, JSON, PAGE, _, NIFTI, SEQUENCE, ED, ES = FILES


@dataclass(frozen=True, eq=False)
class Request:
    """What was asked for, once everything that can be known before the work is known to be well."""

    cine: Cine
    folder: Path
    by: Segmenting


def add(commands: Any) -> None:
    helped = "tell volumes and ejection fraction of a cine MR"
    parser = add_command(commands, "cine", run, helped, DESCRIPTION, of_store=True)
    parser.add_argument("study", metavar="STUDY", type=Path)
    parser.add_argument("output", metavar="OUT", type=Path, help="a folder, made if it is missing")
    add_patient(parser)
    add_segmenting(parser, MODEL_OF_CINES)
    parser.add_argument("--quiet", action="store_true", help="no progress and no table")


def add_patient(parser: argparse.ArgumentParser) -> None:
    """Which stack of a study, and what of the patient DICOM may not say."""
    parser.add_argument("--stack", metavar="N", default="", help=STACK)
    for name, unit in (("height", "cm"), ("weight", "kg")):
        what = f"of the patient, in {unit}, for the body surface (default: as DICOM says)"
        parser.add_argument(f"--{name}", type=float, metavar=unit.upper(), help=what)
    parser.add_argument("--sex", choices=("F", "M"), help="for the normal ranges (default: as DICOM says)")


def run(options: argparse.Namespace) -> int:
    from ..support.progress import drain

    request = check(options)
    from ..inference import cine as inference

    by = request.by
    steps = inference.segment_cine_steps(request.cine, *by.of_cines(), by.options)
    with ProgressLine(options.quiet) as show:
        result = drain(steps, show)
    with writes_into(request.folder):
        report, told = write(result, request)
    if not options.quiet:
        _print(report, told, request)
    return OK


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for, with the cine read and the folder made; every SifaError but those of the work."""
    import skimage.measure  # noqa: F401  (needed only after the long work)

    quiet_itk(options.debug)
    return request_of(options.study, options.output, segmenting(options), options)


def request_of(study: Path, folder: Path, by: Segmenting, options: argparse.Namespace) -> Request:
    """A study read, and the folder of its results made. RequestError, VolumeError, OutputError."""
    from ..imaging.files import same
    from ..imaging.study import read_cine

    with said_as(VolumeError, OSError):
        cine = read_cine(study, options.stack, views=True)
    cine = _with_body(cine, options)
    if study.is_dir() and same(study, folder):
        raise RequestError(f"{folder} is the study itself; choose another folder for the results.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            files.check_replaceable(folder / name)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        why = reason(error)
        raise OutputError(
            f"Nothing can be written into {folder} ({why}); choose another folder.", path=folder
        ) from error
    return Request(cine, folder, by)


def _with_body(cine: Cine, options: argparse.Namespace) -> Cine:
    """The cine with what the command line says of the patient. RequestError for what nobody can be."""
    from dataclasses import replace

    from ..imaging.dicom_context import HEIGHTS_M, WEIGHTS_KG, is_body

    height = None if options.height is None else options.height / 100.0
    for name, value, (low, high), factor, unit in (
        ("--height", height, HEIGHTS_M, 100.0, "cm"),
        ("--weight", options.weight, WEIGHTS_KG, 1.0, "kg"),
    ):
        if value is not None and not low <= value <= high:
            raise RequestError(
                f"{name} {value * factor:g} cannot be; give {low * factor:g} to {high * factor:g} {unit}."
            )
    body = cine.body
    body = replace(
        body, sex=options.sex or body.sex, height_m=height or body.height_m, weight_kg=options.weight or body.weight_kg
    )
    if not is_body(body.height_m, body.weight_kg):
        raise RequestError(
            f"No person is {100 * (body.height_m or 0):g} cm tall and weighs {body.weight_kg:g} kg (what is not given is "
            "taken from DICOM); give --height in cm and --weight in kg."
        )
    return replace(cine, body=body)


def write(
    result: CineResult, request: Request, more: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Write everything, the report at the very end; that report, and what could not be written and why. OSError.

    more: what the report shall say besides.
    """
    import numpy as np

    from ..imaging import cine_writing
    from ..inference import cine_outputs, cine_page, cine_report

    cine, folder, told = request.cine, request.folder, []
    (folder / JSON).unlink(missing_ok=True)
    made = {**cine_report.report(result, cine, request.by.models.stacks.card), **(more or {})}
    _, moments, _ = cine_page.curve_lines(result, cine)
    step = float(np.median(np.diff(cine.times_ms))) if len(cine.times_ms) > 1 else 0.0
    if cine.geometry.sheared_mm:
        told.append(f"{NIFTI} was not written: its axes would not be at right angles, which NIfTI cannot hold.")
        (folder / NIFTI).unlink(missing_ok=True)
    else:
        cine_writing.write_nifti(result.labels, result.geometry, step, folder / NIFTI)
    unit = "ms" if cine.times_ms else ""
    cine_writing.write_seq_nrrd(result.labels, result.geometry, moments, folder / SEQUENCE, unit)
    told += _write_dicom(result, request)
    made["notes"] += told
    cine_outputs.write(result, cine, made, folder)
    return made, told


def _write_dicom(result: CineResult, request: Request) -> list[str]:
    """DICOM SEG of the two ends of the left ventricle's beat; sentences on what was not written."""
    from ..imaging import dicom_seg

    cine, function = request.cine, result.functions.get("LV")
    for name in (ED, ES):
        (request.folder / name).unlink(missing_ok=True)
    if not cine.frames or function is None:
        return []
    told = []
    for name, phase in ((ED, function.end_diastole), (ES, function.end_systole)):
        sources = cine.sources_of(phase)
        if not sources:
            told.append(f"{name} was not written: some of its slices were made from several images of the study.")
            continue
        try:
            dicom_seg.check_library()
            args = (sources, Path(cine.source), cine.geometry, result.structures, request.by.models.stacks.card)
            dicom_seg.write(result.volume(phase, cine.name), dicom_seg.prepare_stack(*args), request.folder / name)
        except (SifaError, ImportError) as error:
            told.append(f"{name} was not written: {error}")
    return told


def _of_views(found: Mapping[str, Any]) -> list[str]:
    """What the views along the heart say, a line each."""
    told = []
    for end, what in (("end_diastole", "end-diastole"), ("end_systole", "end-systole")):
        lengths = [
            f"{view[end]['lv_length_mm']:.0f} mm in the {view['view']}"
            for view in found.get("views", [])
            if view[end]["lv_length_mm"] is not None
        ]
        volume = found.get("la_volume_ml", {}).get(end)
        parts = [f"LA {volume:.1f} ml (biplane)"] if volume is not None else []
        parts += [f"LV long {', '.join(lengths)}"] if lengths else []
        told += [f"Along the heart at {what}: {'; '.join(parts)}."] if parts else []
    return told


def _print(report: dict[str, Any], told: list[str], request: Request) -> None:
    from ..inference.cine_report import NAMES, warnings_of

    ventricles = report["ventricles"]
    rows = [
        (f"{name} ({unit})", *(f"{found[key]:.1f}" if key in found else "" for found in ventricles.values()))
        for key, (name, unit) in NAMES.items()
        if any(key in found for found in ventricles.values())
    ]
    if ventricles:
        say(table(("", *ventricles), rows))
    for ventricle, found in ventricles.items():
        say(
            f"{ventricle}: end-diastole at phase {found['end_diastole'] + 1}, end-systole at {found['end_systole'] + 1}."
        )
    for line in _of_views(report["long_axis"] or {}):
        say(line)
    for sentence in warnings_of(report):
        say(f"Look twice: {sentence}")
    for sentence in filter(None, (report["input"]["chosen"], *report["notes"])):
        say(f"Note: {sentence}")
    for number, other in enumerate(report["input"]["others"], 1):
        say(f"Also in the study ({number}): {other['name']}, {other['what']}.")
    beside = [name for name in FILES if name != PAGE and (request.folder / name).is_file()]
    complain(f"wrote {request.folder / PAGE} and {len(beside)} files beside it: {', '.join(beside)}.")
