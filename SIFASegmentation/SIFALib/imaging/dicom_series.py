"""The one DICOM series in a folder, as a volume: by its own headers, and refused where they do not make a volume.

files -> slices (`dicom_headers`) -> the one series among them -> stack or sequence (`dicom_grouping`)
-> grid (`dicom_grid`) -> grey values (`dicom_pixels`), held against that grid
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

from ..support.errors import VolumeError
from . import dicom_grouping, dicom_pixels
from .checks import COPIES, check_room
from .checks import SUFFIXES as IMAGES
from .dicom_grid import agree, check_orientation, grid
from .dicom_grouping import Group, by_series, group_frames
from .dicom_headers import Frame, Unreadable, read_frames
from .files import SHOWN, check_name, dicom_class, dicom_files_of, names_of
from .geometry import Volume

SUFFIXES = (".dcm", ".ima")
FEW = 4  # slices: a series of fewer beside one of more is an overview, or a picture of a report
LEAST_BYTES = 2  # of a grey value of a CT or MR
HOUNSFIELD = ("", "HU", "HU_MOD", "US")  # types of a rescale that give HU, modified ones, or do not say what
NOT_ONE = (
    *(dicom_grouping.PATIENT, dicom_grouping.NAME, dicom_grouping.BORN, dicom_grouping.STUDY, dicom_grouping.REFERENCE),
    dicom_grouping.MODALITY,
)
SAME_PERCENT = 5.0  # of the heart's cycle, by which slices of one reconstruction may differ
HEART = ("CT", "MR")  # modalities that the models know


def read_series(folder: Path) -> Volume:
    """The volume of the one DICOM series in a folder; VolumeError, OSError."""
    return _volume(find_stack(folder), folder, folder.resolve().name)


def read_files(files: Sequence[Path], name: str) -> Volume:
    """The volume of a series whose files are known, wherever they lie and whatever lies beside them; VolumeError, OSError.

    name: of the series, for messages and results.
    """
    place = files[0].parent if files else Path(name)
    frames, lost = _look_through(files)
    if lost:
        raise VolumeError(
            f"The series {name} is incomplete: no slice can be read from {names_of(lost)}. Import it again."
        )
    return _volume(_one_stack(place, _one_series(place, files, by_series(frames), lost)), place, name)


def _volume(stack: Sequence[Frame], folder: Path, name: str) -> Volume:
    """The volume of slices in the order of k; folder: where they lie, for messages."""
    geometry = grid(stack, folder)
    check_room(folder, geometry.size, COPIES * LEAST_BYTES * math.prod(geometry.size))
    array, delivered = dicom_pixels.read(stack, folder)
    if array.shape != geometry.shape:
        raise VolumeError(
            f"The DICOM series in {folder} states slices of {geometry.size} pixels, but holds {array.shape[::-1]}; "
            "it is damaged. Copy or export it again."
        )
    if delivered is not None and agree(geometry, delivered):
        geometry = delivered
    return Volume(array, geometry, name, str(folder), _modality(stack), _of_times(stack))


def _of_times(stack: Sequence[Frame]) -> tuple[str, ...]:
    """A sentence on slices that state different parts of the beat: those of several phases, some of them lost."""
    numbers = {frame.phase for frame in stack if frame.phase is not None}
    percents = [frame.percent for frame in stack if frame.percent is not None]
    if len(numbers) > 1:
        what = f"temporal positions ({min(numbers)} to {max(numbers)})"
    elif percents and max(percents) - min(percents) > SAME_PERCENT:
        what = f"parts of the heart's cycle ({min(percents):g} to {max(percents):g} %)"
    else:
        return ()
    return (
        f"The slices state different {what}, each place but one of them: the volume may be put together from several phases "
        "of which files are missing. Look at it before you use the result.",
    )


def find_stack(folder: Path) -> tuple[Frame, ...]:
    """The slices of the one volume in a folder, in the order of k; VolumeError, OSError."""
    files = dicom_files_of(folder)
    frames, lost = _look_through(files)
    chosen = _one_series(folder, files, by_series(frames), lost)
    for frame in chosen:
        check_name(frame.file)
    _check_left_out(folder, chosen, [f for f in files if f not in {frame.file for frame in frames}], lost)
    return _one_stack(folder, chosen)


def _look_through(files: Sequence[Path]) -> tuple[list[Frame], set[Path]]:
    """The slices in files, and the files that seem to hold slices of which none can be read."""
    frames: list[Frame] = []
    lost: set[Path] = set()
    for file in files:
        try:
            frames += read_frames(file)
        except (Unreadable, OSError):
            lost.add(file)
    return frames, lost


def _one_series(folder: Path, files: Sequence[Path], series: dict[str, list[Frame]], lost: set[Path]) -> list[Frame]:
    """The slices of the one series in files that can be a scan of a heart; VolumeError."""
    if not series:
        if lost:
            raise VolumeError(
                f"No slice can be read from {names_of(lost)} in {folder}. Copy or export the series again."
            )
        others = [file for file in files if _class_of(file)]
        but = f", only DICOM files that show no slices ({names_of(others)})" if others else ""
        scans = any(file.name.lower().endswith(IMAGES) for file in folder.iterdir())
        raise VolumeError(
            f"{folder} holds no DICOM series{but}; give the folder that the DICOM files lie in.",
            advice="batch" if scans else "",
        )
    candidates = list(series.values())
    for test in (_is_placed, _is_no_scout, _is_of_heart):
        candidates = [each for each in candidates if len(series) == 1 or test(each)] or candidates
    if len(candidates) > 1:
        together = group_frames([frame for each in candidates for frame in each])
        if [group.kind for group in together] == [dicom_grouping.SEQUENCE]:
            raise VolumeError(
                f"{folder} holds {len(candidates)} DICOM series, which are {_phases(together[0])}. Give one phase, in a "
                "folder of its own.",
                advice="cine",
                kind=dicom_grouping.SEQUENCE,
                phases=len(together[0].phases),
            )
        raise VolumeError(
            f"{folder} holds {len(candidates)} DICOM series; put the files of the one that you want into a folder of their "
            "own.",
            advice="cine" if any(_is_sequence(each) for each in candidates) else "",
            series=len(candidates),
        )
    return candidates[0]


def _is_sequence(series: Sequence[Frame]) -> bool:
    return _is_placed(series) and any(group.kind == dicom_grouping.SEQUENCE for group in group_frames(series))


def _is_placed(series: Sequence[Frame]) -> bool:
    return all(f.position is not None and f.orientation is not None for f in series)


def _is_no_scout(series: Sequence[Frame]) -> bool:
    return len(series) >= FEW and not any(f.scout for f in series)


def _is_of_heart(series: Sequence[Frame]) -> bool:
    return series[0].modality in HEART


def _check_left_out(folder: Path, chosen: Sequence[Frame], others: Sequence[Path], damaged: set[Path]) -> None:
    """VolumeError if files that hold no slices seem to belong to the series: each would be a slice that is missing."""
    alike = {_without_numbers(frame.file.name) for frame in chosen}
    kind = _class_of(chosen[0].file)
    lost = []
    for path in others:
        if path.name.upper() == "DICOMDIR":
            continue
        found = _class_of(path)
        named_so = path.suffix.lower() in SUFFIXES or _without_numbers(path.name) in alike
        # reports and presentation states may lie beside the images: DICOM of another class
        if (found == kind) if found else (found == "" or named_so or path in damaged):
            lost.append(path)
    if lost:
        raise VolumeError(
            f"The series in {folder} is incomplete: no slice can be read from {names_of(lost)}. "
            "Copy or export the series again."
        )


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "0", name.lower())


def _class_of(path: Path) -> str | None:
    """`dicom_class`; "" for a file that cannot be opened."""
    try:
        return dicom_class(path)
    except OSError:
        return ""


def _one_stack(folder: Path, frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """The slices of a series that is one volume, in the order of k; VolumeError says what else it is."""
    _check_stated(folder, frames)
    groups = group_frames(frames)
    if len(groups) > 1:
        raise VolumeError(_several(folder, groups))
    (group,) = groups
    at = f"{folder} holds several slices at the same place"
    what = {
        dicom_grouping.SEQUENCE: f"{at}: it is {_phases(group)}. Give one phase, as a series of its own.",
        dicom_grouping.COPIES: f"{folder} holds slices that are there twice ({_twice(frames)}); delete the copies.",
        dicom_grouping.SEVERAL: f"{at}, and nothing tells their times: a sequence of volumes, or files that are there "
        "twice. Give one volume.",
        dicom_grouping.UNEVEN: f"{at}, at some places more than at others: a sequence of which slices are missing, or "
        "files that are there twice. Give one whole volume.",
    }
    if group.kind in what:
        several = group.kind in (dicom_grouping.SEQUENCE, dicom_grouping.UNEVEN)
        raise VolumeError(what[group.kind], advice="cine" if several else "", kind=group.kind, phases=len(group.phases))
    (stack,) = group.phases
    return stack[::-1] if _is_backwards(stack) else stack


def _phases(group: Group) -> str:
    slices = len(group.phases[0])
    return (
        f"a sequence of {len(group.phases)} phases of {slices} slice{'' if slices == 1 else 's'}, told apart by their "
        f"{group.time}"
    )


def _is_backwards(stack: Sequence[Frame]) -> bool:
    """Whether the frames of a file have the opposite order; that is as good, and the file's own then."""
    places = [(frame.file, frame.number) for frame in stack]
    return len(stack) > 1 and places == [(stack[0].file, n) for n in reversed(range(stack[0].count))]


def _check_stated(folder: Path, frames: Sequence[Frame]) -> None:
    """VolumeError if there is a slice that does not say where it lies, or whose pixels are no grey values."""
    places: dict[Path, set[tuple[float, ...] | None]] = {}
    for frame in frames:
        places.setdefault(frame.file, set()).add(frame.position)
    for frame in frames:
        if frame.samples != 1:
            raise VolumeError(
                f"{frame.file} has {frame.samples} values a voxel (a colour or vector image); a grey image is needed."
            )
        if frame.count > 1 and len(places[frame.file]) == 1 and not _states_times(frames):
            raise VolumeError(
                f"{frame.file} holds {frame.count} frames and says nothing of the distance of its slices; "
                "export the series again, as single slices or as an enhanced multi-frame file."
            )
        if frame.position is None or frame.orientation is None:
            raise VolumeError(f"{frame.file} does not say where its slice lies; it is no slice of a volume.")
    check_orientation(frames, folder)


def _states_times(frames: Sequence[Frame]) -> bool:
    """Whether frames say themselves, not by their order alone, that they were taken at different times."""
    times = [time for name, time in dicom_grouping.TIMES.items() if name != dicom_grouping.ORDER]
    return any(len({time(f) for f in frames} - {None}) > 1 for time in times)


def _twice(frames: Sequence[Frame]) -> str:
    """The first file that is there again, and the one that it is a copy of."""
    seen: dict[tuple[str, int], Path] = {}
    for frame in frames:
        other = seen.setdefault((frame.uid, frame.number), frame.file)
        if other != frame.file:
            return f"{other.name} and {frame.file.name}"
    return frames[0].file.name


def _several(folder: Path, groups: Sequence[Group]) -> str:
    """The sentence for a series that falls into several stacks."""
    frames = [frame for group in groups for frame in group.frames]
    aspect = dicom_grouping.what_differs(frames)
    if aspect in NOT_ONE:
        names = names_of({next(iter(group.frames)).file for group in groups})
        return (
            f"{folder} holds slices of one series, but of more than one {aspect} ({names}), which are no volume however "
            "they lie; put those of each into a folder of its own."
        )
    kinds = {frame.contrast for frame in frames}
    shown = "; ".join(", ".join(filter(None, kind)) for kind in sorted(kinds)[:SHOWN])
    if len(kinds) == len(groups) and len({frame.position for frame in frames}) < len(frames):
        return f"{folder} holds several images of each slice ({shown}); give those of one kind."
    if aspect and len(dicom_grouping.by_orientation(frames)) == 1:
        return f"{folder} holds slices that differ in their {aspect} ({shown}); give those of one kind."
    return f"The slices in {folder} lie in different orientations, or are of different sizes; give one stack of slices."


def _modality(stack: Sequence[Frame]) -> str:
    """ "ct" or "mr", if the headers say so; "" for a CT whose values need not be Hounsfield units: one without a rescale, or
    with one to another unit, as maps of iodine have."""
    modality = stack[0].modality
    if modality not in HEART or (modality == "CT" and (stack[0].rescale is None or stack[0].unit not in HOUNSFIELD)):
        return ""
    return modality.lower()
