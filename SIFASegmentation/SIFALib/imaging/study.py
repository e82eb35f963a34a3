"""A study with a cine in it, read: files in any folders, or one file with four axes, to one `Cine`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..support.errors import VolumeError
from ..support.progress import Progress, Steps, drain
from . import cine_assembly, cine_files, cine_stacks, cine_views
from .cine import Cine
from .dicom_headers import Frame, Unreadable, read_frames
from .files import content, existing, files_below, is_dicom_image, names_of

READING = "Reading the study"
HEADERS = 0.6  # of the time of reading, that goes into headers


def read_cine(path: str | os.PathLike[str], stack: str = "", *, views: bool = False) -> Cine:
    """The cine in a folder of DICOM files, however they lie in it and below it, or in a NIfTI or NRRD file of several
    volumes. stack: number or name of one of several; "": the likeliest short axis. views: with those along the heart.

    Raises FileNotFoundError, OSError, or VolumeError that says what is wrong and in which file.
    """
    return drain(read_cine_steps(path, stack, views=views))


def read_cine_steps(path: str | os.PathLike[str], stack: str = "", *, views: bool = False) -> Steps[Cine]:
    """The same, telling how far it is."""
    path = existing(path)
    yield Progress(READING, 0.0)
    if not path.is_dir():
        return cine_files.read_file(path)
    cine = yield from read_files_steps(files_below(path), path, stack, views=views)
    return cine


def read_files_steps(files: Sequence[Path], source: Path, stack: str = "", *, views: bool = False) -> Steps[Cine]:
    """The cine in DICOM files, wherever they lie; source: what sentences call them. Raises as `read_cine`."""
    frames, lost = yield from _look_through(files, source)
    _check_one_person(source, frames)
    yield Progress(READING, HEADERS)
    cine = cine_of(frames, source, stack, views=views)
    return replace(cine, notes=(*cine.notes, *_told_lost(lost)))


def cine_of(
    frames: Sequence[Frame],
    source: Path,
    stack: str = "",
    read: cine_assembly.Reader = cine_assembly.of_files,
    *,
    views: bool = False,
) -> Cine:
    """The cine in the slices of a study; read: gives their grey values; views: with those along the heart. VolumeError."""
    found = cine_stacks.stacks_of(frames)
    try:
        chosen, because = cine_stacks.choose(found, stack)
    except VolumeError as error:
        why = " ".join([str(error), *found.notes])
        raise VolumeError(f"{source} cannot be read as a cine. {why}", code="no_cine") from error
    cine = cine_assembly.assemble(chosen, source, read)
    along, unread = cine_views.views_of(found, chosen, source, read) if views else ((), ())
    notes = (*found.notes, *cine.notes, *unread)
    return replace(cine, notes=notes, chosen=because, others=cine_stacks.others(found, chosen), views=along)


def is_study(path: Path) -> bool:
    """Whether a folder holds DICOM images, in itself or below."""
    return path.is_dir() and any(map(is_dicom_image, files_below(path)))


def fingerprint(path: Path) -> str:
    """SHA-256 of what the files of a study hold, wherever they lie. OSError, VolumeError."""
    if not path.is_dir():
        return content(path)
    digest = hashlib.sha256()
    for each in sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files_below(path)):
        digest.update(each.encode("ascii"))
    return digest.hexdigest()


def _look_through(files: Sequence[Path], source: Path) -> Steps[tuple[list[Frame], list[Path]]]:
    """The slices in files, and the files that should hold some and cannot be read. VolumeError if there are none."""
    frames: list[Frame] = []
    lost: list[Path] = []
    for number, file in enumerate(files):
        try:
            frames += read_frames(file)
        except (Unreadable, OSError):
            lost.append(file)
        yield Progress(READING, HEADERS * (number + 1) / len(files))
    if not frames:
        what = f": no image can be read from {names_of(lost)}" if lost else ""
        raise VolumeError(
            f"{source} holds no DICOM images{what}. Give the folder of a study, or a NIfTI or NRRD file of several volumes."
        )
    return frames, lost


def _check_one_person(source: Path, frames: Sequence[Frame]) -> None:
    """VolumeError if the images are of several people, or of one at several visits."""
    for what, said in (
        ("patients", [f.context.patient for f in frames]),
        ("patients", [f.context.born for f in frames]),
        ("studies", [f.context.study for f in frames]),
    ):
        found: dict[str, Path] = {}
        for key, frame in zip(said, frames, strict=True):
            found.setdefault(key, frame.file)
        named = [file for key, file in found.items() if key]
        if len(named) > 1:
            inside = (file.relative_to(source) if file.is_relative_to(source) else file for file in named[:2])
            names = " and ".join(map(str, inside))
            raise VolumeError(
                f"{source} holds images of {len(named)} {what} (as {names}). Put each into a folder of its own."
            )


def _told_lost(lost: Sequence[Path]) -> tuple[str, ...]:
    if not lost:
        return ()
    what = "1 file cannot" if len(lost) == 1 else f"{len(lost)} files cannot"
    return (f"{what} be read as an image ({names_of(lost)}); copy it again. It counts as missing.",)
