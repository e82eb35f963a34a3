"""Whether results can be written where they shall be: found out before the work, not after it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..support.errors import OutputError, RequestError, SifaError
from ..support.files import check_place, check_replaceable, check_writable
from ..support.messages import reason, sentence
from . import files

IMAGES = (".nii.gz", ".nii", ".nrrd", ".mha")
PICTURES = (".png",)


@dataclass(frozen=True)
class Output:
    """A file that is to be written. name: what a person calls it, like --report; path: None if it is not wanted.

    endings: one of which its name must have (none: any will do). text: takes no scan's place, be it an input or not.
    """

    name: str
    path: Path | None
    endings: tuple[str, ...] = ()
    text: bool = False


def check_outputs(outputs: Iterable[Output], inputs: Sequence[Path] = ()) -> None:
    """RequestError for outputs that cannot be, OutputError for those that cannot be written.

    inputs: files and DICOM folders, which are never written over, nor is any file that they are made of.
    """
    seen: dict[str, str] = {}
    for output in outputs:
        if output.path is None:
            continue
        try:
            check_place(output.path)
        except OSError as error:
            raise OutputError(sentence(error), path=output.path) from error
        place = os.path.realpath(output.path)
        if place in seen:
            both = f"{output.name} and {seen[place]}"
            raise RequestError(f"{both} are the same file, {output.path}; choose another name.")
        seen[place] = output.name
        _check_name(output, output.path, inputs)
        _check_place(output.path)


def _check_name(output: Output, path: Path, inputs: Sequence[Path]) -> None:
    if not path.name.lower().endswith(output.endings or ""):
        raise RequestError(f"{output.name} {path} must end in {', '.join(output.endings)}.")
    for source in inputs:
        if files.is_part(source, path):
            what = "the input" if files.same(path, source) else f"a file of the input {source}"
            raise RequestError(f"{output.name} {path} is {what}, which is never written over; choose another name.")
    if output.text and files.is_scan(path):
        raise RequestError(f"{output.name} {path} is a scan that is there already; choose another name.")


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give a file name in it.", path=path)
    if not path.parent.is_dir():
        raise OutputError(f"The folder {path.parent} does not exist; make it first.", path=path)
    try:
        check_replaceable(path)
    except OSError as error:
        raise OutputError(sentence(error), path=path) from error
    try:
        check_writable(path.parent)
    except OSError as error:
        what = f"The folder {path.parent} cannot be written to ({reason(error)}). Choose another one."
        raise OutputError(what, path=path) from error


def check_dicom_seg(source: Path, output: Path) -> None:
    """RequestError unless a DICOM SEG may be written to `output` for this input, SifaError without the package for it."""
    from . import dicom_seg

    if source.exists() and not source.is_dir():
        raise RequestError(
            f"{source} is no DICOM series, and DICOM SEG ({output}) needs one as its input; give the folder of the "
            "series, or let OUT end in .seg.nrrd."
        )
    if files.same(output.parent, source):
        raise RequestError(
            f"{output} would lie among the files of the scan, as a second series; choose another folder."
        )
    try:
        dicom_seg.check_library()
    except ImportError as error:
        raise SifaError(str(error)) from error
