"""`sifa check-data`: what the files of a training are, and what is wrong with them."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support import files
from ..support.errors import DataError, OutputError, RequestError
from ..support.progress import Progress, drain
from .console import BAD_INPUT, OK, ProgressLine, complain, say, table
from .shared import LABEL_VALUES, PLACES, add_command, find_model, quiet_itk, said_as, store_of

if TYPE_CHECKING:
    from ..datasets import DataSettings
    from ..datasets.cutting import Locator
    from ..datasets.places import Places
    from ..datasets.scans import Scan
    from ..datasets.sources import Found
    from ..imaging import Volume
    from ..support.progress import Steps

DESCRIPTION = """Look at every scan before training on it, and say what is wrong.

Nothing is left out in silence: if a single scan cannot be used (unreadable, label values without a class, image and
label map on different grids, constant, not a number, twice, or in both domains), training refuses to start, and
so does this command (exit code 3). Mend the file, remove it, or leave it out knowingly with --exclude; the line to
add is printed.

Of a cine among scans without labels, a study in DICOM or a file of several volumes, three phases are taken: both ends of
the beat and one between. They count as one heart when scans are kept for validation.

Label maps are found by name: x.nii.gz beside x_label.nii.gz or x_seg.nii.gz, images/x and labels/x, or one image and one
label map in a folder of their own; and as ACDC, M&Ms, MM-WHS, nnU-Net and TotalSegmentator lay them out, whose values are
read as they have them.
A list says so itself: [{"image": "a.nii.gz", "label": "b.nii.gz"}, ...], paths relative to the list."""
EXCLUDE = "leave a scan out, like source:NAME or target:NAME; may be given several times"
PARTIAL = "as of train: a structure that a source scan does not label may be anywhere in it; otherwise it is background"
HEADS = ("Scan", "What", "Voxels", "Spacing (mm)", "Field of view (mm)", "Plane", "Grey values", "Labels", "Verdict")
DOMAINS = {"source": "labelled scans", "target": "scans to adapt to; labels are not needed"}
CLASSES = (
    "how many the label maps and the model tell apart, background among them: 5 for the four structures of the papers, 8 "
    "for the seven of the bundled models (default: %(default)s)"
)
LOOKING = (
    "also look for the heart in scans without labels, as a training that starts from this model will; "
    "--thumbnails then show the box around what it sees"
)
WRITING = (
    "write where the hearts of the target were found, and that scans in which none was are left out; correct it, and "
    "give it to train or adapt with --places"
)


def add(commands: Any) -> None:
    helped = "look at scans before training on them, and say what is wrong"
    parser = add_command(commands, "check-data", run, helped, DESCRIPTION, of_store=True)
    for domain, what in DOMAINS.items():
        parser.add_argument(f"--{domain}", metavar="PLACE", help=f"{what}: a folder, a JSON list, a file, or phantom")
    parser.add_argument("--label-values", metavar="MAP", help=LABEL_VALUES)
    parser.add_argument("--target-labels", action="store_true", help="the target has label maps, too; check them")
    parser.add_argument("--partial-labels", action="store_true", help=PARTIAL)
    parser.add_argument("--exclude", metavar="SCAN", action="append", default=[], help=EXCLUDE)
    parser.add_argument("--classes", type=int, default=5, metavar="N", help=CLASSES)
    parser.add_argument(
        "--size", type=int, default=128, metavar="PIXELS", help="of training slices (default: %(default)s)"
    )
    parser.add_argument("--model", metavar="ID", help=LOOKING)
    parser.add_argument("--places", metavar="FILE", type=Path, help=PLACES)
    parser.add_argument("--write-places", metavar="FILE", type=Path, help=WRITING)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write what was found as JSON")
    parser.add_argument("--thumbnails", metavar="FOLDER", type=Path, help="also write a PNG of each usable scan")


@dataclass(frozen=True)
class Request:
    """What is to be looked at. found: what each place on the disk holds, by domain, or why it holds nothing.
    locator: finds the heart in scans without labels; None: nobody looks for it.
    """

    settings: DataSettings
    found: dict[str, Found | DataError]
    thumbnails: Path | None
    locator: Locator | None = None


def run(options: argparse.Namespace) -> int:
    """Print a row for each file, then what is wrong; BAD_INPUT if training on these would be refused."""
    from ..datasets import PHANTOMS, checks, placing

    request = check(options)
    notes = [
        f"The {domain} is {PHANTOMS[place]}; there is nothing to check."
        for domain in DOMAINS
        if (place := getattr(options, domain)) in PHANTOMS
    ]
    problems: list[str] = []
    scans: list[Scan] = []
    pictures = 0
    with ProgressLine(quiet=False) as show:
        for domain, found in request.found.items():
            if isinstance(found, DataError):
                problems.append(str(found))
            else:
                notes += found.notes
                problems += placing.strangers(request.settings, found.scans) if domain == "target" else []
                examined, written = drain(_examined(found.scans, domain, request), show)
                scans, pictures = [*scans, *examined], pictures + written
    scans = checks.cross_check(scans)
    of_all, warnings = checks.of_domains(scans, request.settings)
    problems += of_all
    refused = bool(problems or any(scan.problems for scan in scans))
    if scans:
        say(table(HEADS, [_row(scan) for scan in scans]))
    _say_what_is_wrong(scans, problems, [*notes, *warnings], refused, options.partial_labels)
    if options.write_places:
        _write_places(options.write_places, placing.of_scans(scans, request.settings.exclude))
    if options.thumbnails:
        complain(f"wrote pictures of {pictures} scans into {options.thumbnails}.")
    if options.json:
        report = {
            "usable": not refused,
            "problems": problems,
            "warnings": [*notes, *warnings],
            "scans": [scan.record() for scan in scans],
        }
        with said_as(OutputError, OSError):
            files.write_text(options.json, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    return BAD_INPUT if refused else OK


def _write_places(path: Path, found: Places) -> None:
    from ..datasets import places

    with said_as(OutputError, OSError):
        places.write(path, found)
    complain(f"wrote {path}: hearts with a box: {len(found.hearts)}, scans left out: {len(found.left_out)}.")


def check(options: argparse.Namespace) -> Request:
    """What the command line asks for, with the folder of the thumbnails made. RequestError, OutputError."""
    from ..datasets import PHANTOMS, DataSettings, label_values, places
    from ..imaging.outputs import Output, check_outputs

    if not options.source and not options.target:
        raise RequestError("Name what to check with --source, --target or both.")
    said = places.read(options.places) if options.places else places.Places()
    if options.write_places and not (options.model or options.places):
        raise RequestError("--write-places needs --model, which looks for the hearts, or --places.")
    settings = DataSettings(
        source=options.source or "phantom",
        target=options.target or "phantom",
        label_values=label_values.parse(options.label_values or ""),
        target_labels=options.target_labels,
        partial_labels=options.partial_labels,
        classes=options.classes,
        size=options.size,
        exclude=tuple(dict.fromkeys((*options.exclude, *said.left_out))),
        places=said.hearts,
    )
    where = {d: place for d in DOMAINS if (place := getattr(options, d)) and place not in PHANTOMS}
    found = {domain: _found(place, domain, settings) for domain, place in where.items()}
    lists = [path for place in where.values() if (path := files.expanded(place)).is_file()]
    scans = [file for f in found.values() if not isinstance(f, DataError) for file in f.files]
    written = [Output("--json", options.json, text=True), Output("--write-places", options.write_places, text=True)]
    check_outputs(written, [*lists, *scans, *filter(None, [options.places])])
    if options.thumbnails is not None:
        try:
            options.thumbnails.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"The folder {options.thumbnails} cannot be made ({error.strerror}).") from error
    quiet_itk(options.debug)
    return Request(settings, found, options.thumbnails, _locator(options))


def _locator(options: argparse.Namespace) -> Locator | None:
    """Of the model that is asked for; ModelError if there is none of that name."""
    if not options.model:
        return None
    from ..networks import loading
    from ..runs.start_model import locator_of

    package = find_model(store_of(options.models_folder), options.model)
    return replace(locator_of(package.card, loading.load_segmenter(package)), turned=None)  # nobody is told of turns


def _found(place: str, domain: str, settings: DataSettings) -> Found | DataError:
    from ..datasets import sources

    labelled = settings.labelled(domain)
    try:
        return sources.find(place, labelled, settings.excluded(domain), cines=not labelled)
    except DataError as error:
        return error


def _examined(scans: tuple[Scan, ...], domain: str, request: Request) -> Steps[tuple[list[Scan], int]]:
    """What is found about the scans of a domain; and of how many thumbnails were written, while they were in memory."""
    from ..datasets import placing, released
    from ..datasets.scans import examine

    examined: list[Scan] = []
    pictures = 0
    for n, scan in enumerate(scans):
        yield Progress(f"Looking at the {domain}", n / len(scans))
        if scan.kind in released.KINDS:
            examined += released.examine_all([scan], domain, request.settings)[0]
            continue
        known, image, labels = examine(scan, domain, request.settings)
        if image is not None and labels is None:
            known, labels = _looked_at(known, image, request)
        examined.append(known)
        if image is not None and request.thumbnails is not None:
            with said_as(OutputError, OSError):
                placing.picture(image, labels, request.thumbnails / known.picture_name)
            pictures += 1
    return released.of_one_size(examined), pictures


def _looked_at(scan: Scan, image: Volume, request: Request) -> tuple[Scan, Volume | None]:
    """A scan without labels with its heart's place, and the box around that, as labels."""
    from ..datasets import placing

    nowhere = "the model finds no heart in it; a training that starts from this model leaves it out"
    scan, heart = placing.located(scan, image, request.settings, request.locator, nowhere)
    if heart is None:
        return scan, None
    return replace(scan, heart_mm=placing.world_box(image.geometry, heart.box)), placing.shown(image, heart.box)


def _row(scan: Scan) -> tuple[str, ...]:
    held = scan.label_values or scan.label_meanings
    values = ", ".join(map(str, held[:9])) + (" ..." if len(held) > 9 else "")
    cells = (
        f"{scan.kind}{' ' + scan.looks_like if scan.looks_like else ''}",
        " x ".join(map(str, scan.size)),
        " x ".join(f"{s:.3g}" for s in scan.spacing_mm),
        " x ".join(f"{e:.0f}" for e in scan.field_of_view_mm),
        scan.plane,
        " / ".join(f"{v:.4g}" for v in scan.intensity),
        values,
    )
    verdict = "REFUSED" if scan.problems else "ok, see below" if scan.warnings else "ok"
    return (scan.key, *(cell or "-" for cell in cells), verdict)


def _say_what_is_wrong(scans: list[Scan], problems: list[str], notes: list[str], refused: bool, partial: bool) -> None:
    from ..datasets import checks

    for text in (*notes, *checks.warnings_of(scans)):
        say(f"note: {text}")
    if any(scan.domain == "source" and scan.missing for scan in scans) and not partial:
        say(
            "note: if the label maps only leave such a structure out, give --partial-labels, to check-data and to train "
            "or adapt."
        )
    for text in (*problems, *(p for scan in scans for p in scan.problems)):
        say(f"REFUSED: {text}")
    good = sum(not scan.problems for scan in scans)
    options = checks.exclusion(scans)
    if not refused:
        say(f"{good} scan{'' if good == 1 else 's'} can be trained on.")
    elif options:
        say(
            f"Training would refuse {len(scans) - good} of {len(scans)} scans. Mend or remove them, or train on "
            f"the other {good} with: {options}"
        )
