"""`sifa segment`: a scan in, a segmentation out."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .. import networks
from ..imaging import checks, dicom_seg, files, reading, writing
from ..imaging.geometry import Volume
from ..imaging.seg_nrrd import check_suffix, write_labels
from ..models.store import ModelPackage
from ..models.structures import Structure, structure_by_id
from ..support.errors import ModelError, NoHeartFound, VolumeError
from .console import (
    BAD_INPUT,
    MODEL,
    NO_HEART,
    OK,
    OTHER,
    OUTPUT,
    USAGE,
    Failure,
    ProgressLine,
    check_outputs,
    complain,
    fails_as,
    find_model,
    quiet_itk,
    say,
    store_of,
    volumes_table,
    write_text,
)

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
SLAB = 16  # slices of a probability map that are converted at once


def segment(options: argparse.Namespace) -> int:
    """Everything that can be found wrong at once is, before the long work begins."""
    import skimage.measure  # noqa: F401  (needed only after the long work)

    quiet_itk(options.debug)
    roi = parse_roi(options.roi) if options.roi else None
    with fails_as(USAGE, VolumeError):
        check_suffix(options.output, (dicom_seg.SUFFIX, "DICOM SEG"))
    if dicom_seg.is_dicom(options.output):
        check_dicom(options.input, options.output)
    check_images({"--probabilities": options.probabilities}, IMAGE_SUFFIXES)
    check_images({"--uncertainty": options.uncertainty}, IMAGE_SUFFIXES)
    check_images({"--picture": options.picture}, (".png",))
    outputs = {
        "OUT": options.output,
        "--probabilities": options.probabilities,
        "--uncertainty": options.uncertainty,
        "--report": options.report,
        "--picture": options.picture,
    }
    check_outputs(outputs, options.input)
    package = find_model(store_of(options.models_folder), options.model)
    structures = parse_structures(options.structures, package)
    if options.batch_size is not None and options.batch_size < 1:
        raise Failure(USAGE, f"A batch of {options.batch_size} slices cannot be; give 1 or more.")

    start = time.perf_counter()
    with fails_as(BAD_INPUT, VolumeError, OSError):
        files.check_name(options.input)
        scan = reading.read(options.input)
        checks.check(scan)
        reference = None
        if dicom_seg.is_dicom(options.output):
            reference = dicom_seg.prepare(options.input, scan.geometry, structures, package.card)
    read_seconds = time.perf_counter() - start
    result = _run(scan, package, roi, structures, options)

    report = result.report.to_json()
    report["input"]["path"] = str(options.input)
    start = time.perf_counter()
    with fails_as(OUTPUT, OSError, VolumeError, RuntimeError), fails_as(NO_HEART, dicom_seg.NothingFound):
        _write(result, scan, structures, reference, options)
    report["seconds"] |= {"read": round(read_seconds, 3), "write": round(time.perf_counter() - start, 3)}
    if options.report:
        with fails_as(OUTPUT, OSError):
            write_text(json.dumps(report, indent=2) + "\n", options.report)
    if not options.quiet:
        _print(report, structures, options.output)
    return OK


def _run(scan: Volume, package: ModelPackage, roi, structures: tuple[Structure, ...], options):
    """The `inference.Result`, with progress on stderr."""
    try:
        import torch  # noqa: F401  (before what needs it, to tell its absence from any other error)
    except ImportError as error:
        advice = "Install it, for example by `pip install torch`; `sifa doctor` tells more."
        raise Failure(OTHER, f"PyTorch cannot be used ({error}). {advice}") from error
    from ..imaging import slices
    from ..inference import segmentation

    with fails_as(USAGE, ValueError):
        device = networks.choose_device(options.device)
        networks.choose_precision(options.precision, device)
        if roi is not None:
            slices.box_of_roi(scan.geometry, roi)
    with fails_as(MODEL, ModelError):
        segmenter = networks.load_segmenter(package)
    wanted = segmentation.Options(
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        roi=roi,
        structures=tuple(s.id for s in structures) if options.structures else None,
        modality=options.modality,
        keep_probabilities=options.probabilities is not None,
        views=options.views,
        uncertainty=options.uncertainty is not None,
    )
    line = ProgressLine(options.quiet)

    def show(progress: segmentation.Progress) -> None:
        line(progress.stage, progress.fraction, progress.seconds_left)

    try:
        with fails_as(NO_HEART, NoHeartFound), fails_as(BAD_INPUT, VolumeError), fails_as(OTHER, MemoryError):
            return segmentation.segment(scan, segmenter, package.card, wanted, show)
    finally:
        line.end()


def _write(
    result,
    scan: Volume,
    structures: tuple[Structure, ...],
    reference: dicom_seg.Reference | None,
    options: argparse.Namespace,
) -> None:
    if reference is not None:
        dicom_seg.write(result.labels, reference, options.output)
    else:
        write_labels(result.labels, options.output, structures, result.report.model.key)
    if options.probabilities:
        frames = join_frames(result.probabilities, [s.id for s in structures])
        writing.write_image(frames, options.probabilities)
        del frames
    if options.uncertainty:
        unsure = result.uncertainty
        writing.write(Volume(unsure.array.astype(np.float32), unsure.geometry, unsure.name), options.uncertainty)
    if options.picture:
        from ..imaging import pictures

        pictures.overlay(scan, result.labels, options.picture, structures)


def join_frames(maps: dict[str, Volume], ids: Sequence[str]) -> sitk.Image:
    """A 4D float32 image whose frames are the maps of these ids, in their order.

    Each map leaves `maps` once it is copied, and copies are made slab by slab: on a large scan four maps and
    the image take gigabytes, and no third copy would fit beside them.
    """
    geometry = maps[ids[0]].geometry
    axes = np.eye(4)
    axes[:3, :3] = geometry.axes
    image = sitk.Image((*geometry.size, len(ids)), sitk.sitkFloat32)
    image.SetOrigin((*geometry.origin, 0.0))
    image.SetSpacing((*geometry.spacing, 1.0))
    image.SetDirection(axes.ravel().tolist())
    for frame, structure_id in enumerate(ids):
        array = maps.pop(structure_id).array
        for k in range(0, len(array), SLAB):
            slab = np.ascontiguousarray(array[k : k + SLAB], np.float32)
            image[:, :, k : k + len(slab), frame] = sitk.GetImageFromArray(slab)
    return image


def _print(report: dict, structures: tuple[Structure, ...], output: Path) -> None:
    say(volumes_table(report["volumes_ml"], structures))
    for flag in report["flags"]:
        say(f"{'Look twice' if flag['warns'] else 'Note'}: {flag['message']}")
    for note in report["notes"]:
        say(f"Note: {note}")
    seconds = sum(report["seconds"].values())
    complain(f"wrote {output} in {seconds:.1f} s ({report['device']}, {report['precision']}).")


def check_dicom(source: Path, output: Path) -> None:
    """Failure unless a DICOM SEG can be written for this input: its package is there, and the input may be a series."""
    if source.exists() and not source.is_dir():
        raise Failure(
            USAGE,
            f"{source} is no DICOM series, and DICOM SEG ({output}) needs one as its input; give the folder of the "
            "series, or let OUT end in .seg.nrrd.",
        )
    if files.same(output.parent, source):
        raise Failure(
            USAGE, f"{output} would lie among the files of the scan, as a second series; choose another folder."
        )
    with fails_as(OTHER, ImportError):
        dicom_seg.check_library()


def check_images(paths: dict[str, Path | None], suffixes: tuple[str, ...]) -> None:
    for name, path in paths.items():
        if path is not None and not path.name.lower().endswith(suffixes):
            raise Failure(USAGE, f"{name} {path} must end in {', '.join(suffixes)}.")


def parse_structures(text: str | None, package: ModelPackage) -> tuple[Structure, ...]:
    """Ids with commas between as structures in the model's order; None: all. Failure for an unknown one."""
    if not text:
        return package.card.labels
    with fails_as(USAGE, ValueError):
        named = {structure_by_id(part, package.card.labels) for part in text.split(",")}
    return tuple(s for s in package.card.labels if s in named)


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
        raise Failure(
            USAGE,
            f"--roi {text!r} is no box; write R0,R1,A0,A1,S0,S1 with each first number below the second, "
            "or R,A,S/DR,DA,DS (centre and size), in mm.",
        ) from error
    return (-r1, -r0, -a1, -a0, s0, s1)
