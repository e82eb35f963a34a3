"""What several commands of `sifa` have in common: their options, and the checks of these. Python's own packages only."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import OutputError, SifaError
from ..support.files import FULL
from ..support.messages import reason, sentence
from .console import EXIT_CODES, complain

if TYPE_CHECKING:
    from ..imaging import Volume
    from ..inference import Options
    from ..models.card import ModelCard
    from ..models.choice import Models
    from ..models.store import ModelPackage, ModelStore
    from ..models.structures import Structure
    from ..networks import Segmenter
    from ..runs import Configuration

MODEL = "model: id, id@version, or a folder (default: the bundled one)"
MODEL_OF_SCANS = (
    "model: id, id@version, or a folder (default: auto, of the bundled ones heart for MR slices that lie far apart, "
    "as short axes and cines do, and heart-phantom for all else)"
)
MODEL_OF_CINES = "model: id, id@version, or a folder (default: the bundled heart)"
STRUCTURES = (
    "only these of the model's, for example LV,MYO; papers: the four of the SIFA papers, MYO,LA,LV,AA (default: all)"
)
MODALITY = (
    "how grey values are read: ct by the model's fixed window of Hounsfield units (HU), mr by percentiles of "
    "the scan's own values; auto takes what DICOM says, else ct where lung, air, fat and soft tissue lie where "
    "they do in HU, else mr; the report says why, and flags what is in doubt (default: %(default)s)"
)
VIEWS = (
    "planes to look in: auto and three average three planes across each other, except in a stack of thick slices; "
    "one, the scan's own, is faster and rougher (default: %(default)s)"
)
PLACES = (
    "a file that says where the hearts are, or that scans are left out, as check-data --write-places or the panel writes "
    "it; its boxes replace what the start model finds"
)
LABEL_VALUES = (
    "which class each value in the label maps is, like 500=3,420=2, or mmwhs, acdc, mms or totalsegmentator (its "
    "heartchambers_highres in one file) for the values of these; 0 is background, 255 not known; not needed where files "
    "are named as in these data sets, or described in nnU-Net's dataset.json, nor where the values are the classes "
    "(1 myocardium, 2 left atrium, 3 left ventricle, 4 ascending aorta, 5 right ventricle, 6 right atrium, 7 pulmonary "
    "artery); to a model without the last three they are background"
)


class Parser(argparse.ArgumentParser):
    """A parser of a command. before_help: what is still to be done when its help is asked for, and costs imports."""

    before_help: Callable[[], None] | None = None

    def format_help(self) -> str:
        if self.before_help is not None:
            self.before_help()
        return super().format_help()


def _path(text: str) -> Path:
    """A path of the command line: an empty one, of a variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty; is a variable not set? (the current folder is .)")
    return Path(text)


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], int],
    help: str,
    description: str = "",
    of_store: bool = False,
    debug: bool = True,
) -> Parser:
    """A command that `run` carries out and whose exit code it returns. of_store: it takes --models-folder."""
    parser: Parser = commands.add_parser(
        name,
        help=help,
        description=description or help[0].upper() + help[1:] + ".",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.register("type", Path, _path)
    if debug:
        parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    if of_store:
        folder = "your own models (default: $SIFA_MODELS, else your data folder)"
        parser.add_argument("--models-folder", metavar="FOLDER", help=folder)
    parser.set_defaults(run=run)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where and how the networks compute, and how grey values are read."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps (default: %(default)s)")
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    parser.add_argument("--modality", choices=("auto", "ct", "mr"), default="auto", help=MODALITY)


def add_segmenting(parser: argparse.ArgumentParser, model: str = MODEL_OF_SCANS) -> None:
    """How scans are segmented. model: what is said of which one does it."""
    parser.add_argument("--model", metavar="ID", help=model)
    add_device(parser)
    parser.add_argument("--structures", metavar="IDS", help=STRUCTURES)
    parser.add_argument("--views", choices=("auto", "one", "three"), default="auto", help=VIEWS)


def check_device(device: str, precision: str) -> None:
    """RequestError for a device or precision that is not there, SifaError where PyTorch is not."""
    from .. import networks

    try:
        import torch  # noqa: F401  (before what needs it, to tell its absence from any other error)
    except ImportError as error:
        advice = "Install it, for example by `pip install torch`; `sifa doctor` tells more."
        raise SifaError(f"PyTorch cannot be used ({error}). {advice}") from error
    networks.choose_precision(precision, networks.choose_device(device))


def tell_needs(configuration: Configuration, folder: Path) -> None:
    """Complain of too little memory or disk for a run that is to be begun there; it is begun all the same."""
    from .. import networks
    from ..runs import resources

    with suppress(OSError):  # where nothing can be written is told by who writes there
        device = networks.choose_device(configuration.device)
        problem = resources.of(configuration, folder, (), {"device": str(device)}).problem(folder)
        if problem:
            complain(f"look out: {problem}")


def store_of(folder: str | None) -> ModelStore:
    from ..models import store as models

    return models.default_store(folder)


def find_model(store: ModelStore, name: str | None) -> ModelPackage:
    """The model with that id or id@version, the one in that folder, or the default. ModelError if there is none."""
    from ..models.choice import found

    return found(store, name) if name else store.default()


def files_of_model(name: str | None) -> list[Path]:
    """Those of the model in the folder of that name, which no result may take the place of; none of one that has an id."""
    return sorted(Path(name).glob("*")) if name else []


def structures_of(text: str | None, card: ModelCard) -> tuple[Structure, ...]:
    """Ids with commas between as structures in the model's order; None: all. RequestError for an unknown one."""
    from ..models.structures import chosen

    return chosen(text.split(","), card.labels) if text else card.labels


@dataclass(frozen=True, eq=False)
class Segmenting:
    """What scans are segmented with: models, their networks by the hash of their weights, the structures that are wanted of
    them, the options."""

    models: Models
    networks: Mapping[str, Segmenter]
    structures: tuple[Structure, ...]
    options: Options

    def serving(self, scan: Volume) -> tuple[Segmenter, ModelCard]:
        """The network that serves the scan, and its card."""
        from ..inference import serving

        return self._ready(serving(self.models, scan, self.options.modality))

    def of_cines(self) -> tuple[Segmenter, ModelCard]:
        """The network for stacks of short axes, and its card."""
        return self._ready(self.models.stacks)

    def _ready(self, package: ModelPackage) -> tuple[Segmenter, ModelCard]:
        return self.networks[package.card.sha256], package.card


def segmenting(options: argparse.Namespace, **more: Any) -> Segmenting:
    """As the options of `add_segmenting` say. more: fields of the `Options`. RequestError, ModelError."""
    from .. import networks
    from ..models.choice import models_of

    models = models_of(store_of(options.models_folder), options.model or "")
    structures = structures_of(options.structures, models.card)
    check_device(options.device, options.precision)
    from ..inference import Options

    wanted = Options(
        device=options.device,
        precision=options.precision,
        structures=tuple(s.id for s in structures) if options.structures else None,
        modality=options.modality,
        views=options.views,
        **more,
    )
    loaded = {package.card.sha256: networks.load_segmenter(package) for package in models.packages}
    return Segmenting(models, loaded, structures, wanted)


def quiet_itk(debug: bool) -> None:
    """Keep ITK from warning on stderr: what matters is raised, and said in a sentence."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(debug)


@contextmanager
def said_as(kind: type[SifaError], *kinds: type[BaseException]) -> Iterator[None]:
    """Where errors of these kinds mean something else than elsewhere: raise them as that one, with its exit code."""
    try:
        yield
    except kinds as error:
        raise kind(sentence(error)) from error


@contextmanager
def writes_into(folder: Path) -> Iterator[None]:
    """Turn an OSError into an OutputError that names this folder and says what to do.

    The error itself names a temporary file in it, which the user never heard of, or none at all.
    """
    try:
        yield
    except OSError as error:
        advice = "make room there" if error.errno in FULL else "make it writable"
        why = f"Nothing can be written into {folder} ({reason(error)})"
        raise OutputError(f"{why}; {advice}, or choose another place.", path=folder) from error
