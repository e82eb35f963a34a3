"""Everything that decides what a run computes, as one value and as `run.json`. No torch here."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import platform
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Any

from .. import __version__
from ..adaptation.method import Method
from ..datasets.settings import PHANTOMS, DataSettings
from ..models import PAPERS, STRUCTURES, VARIANTS
from ..phantom.slices.randomisation import Randomisation
from ..support import schema
from ..support.errors import Damaged, RecordError, RunError
from ..support.limits import Choice, Range, check_limits
from ..support.schema import require

FORMAT = 1  # of run.json; a newer one is refused with the advice to update SIFA
MAX_BYTES = 1024**2  # of run.json; it takes 3 kB

FREE_TO_CHANGE = (
    "name", "iterations", "accumulate", "device", "precision", "threads", "workers", "compile", "tensorboard",
    "save_every", "judge_every", "preview_every", "keep_checkpoints", "cache",
)  # fmt: skip
"""What may differ when a run goes on; everything else would make it another run."""


TRAINING_SEEDS = 1000  # phantoms that models are trained on have seeds below; whatever judges a model uses others
VALIDATION_SEED = 1_000_000  # of the first phantom that judges
VALIDATION_SLICES = 64  # of all that judge together


@dataclass(frozen=True)
class PhantomSlices:
    """Random slices of phantoms, made as they are needed, instead of images: how the bundled model was trained.

    anatomies: how many phantoms. validation_anatomies: how many others judge. spacing_mm: of their tissue maps.
    healthy_adults: take no other persons. randomisation: of the slices trained on; those that judge are always as random
    as by default. scans_per_batch: so many slices of each batch come from the labelled scans of `data.source` instead.
    """

    anatomies: Annotated[int, Range(1, TRAINING_SEEDS)] = 240
    validation_anatomies: Annotated[int, Range(1, 100)] = 6
    spacing_mm: Annotated[float, Range(0.5, 10, unit="mm")] = 2.0
    healthy_adults: bool = False
    scans_per_batch: Annotated[int, Range(0, 4096)] = 0
    randomisation: Randomisation = field(default_factory=Randomisation)

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True)
class Configuration:
    """One training.

    iterations: in all (0: the method's epochs, counted when the data are known).
    batch: slices of each domain in one iteration, over all processes together; accumulate:
    in how many parts one after the other, for little memory. device: auto, cpu, cuda, cuda:N or mps.
    threads: of torch (0: as many as torch thinks best); workers: that prepare batches
    beside the training (0: none). compile: let torch.compile make the networks faster, which takes minutes first.
    save_every, judge_every, preview_every: iterations between checkpoints, scores and pictures (0: no scores, no
    pictures). keep_checkpoints: the newest so many stay. start_model: id or folder of a model package whose
    segmenter is adapted ("": from random weights). cache: folder for prepared slices ("": RUN/cache).
    tensorboard: write its files too, if it is installed. phantom_slices: learn from these, in place of scans.
    """

    data: DataSettings
    method: Method = field(default_factory=Method)
    name: str = "run"
    iterations: Annotated[int, Range(0, 10_000_000)] = 4000
    batch: Annotated[int, Range(1, 4096)] = 8
    accumulate: Annotated[int, Range(1, 4096)] = 1
    seed: Annotated[int, Range(0, 2**31 - 1)] = 0
    device: str = "auto"
    precision: Annotated[str, Choice("auto", "float32", "bfloat16")] = "auto"
    threads: Annotated[int, Range(0, 1024)] = 0
    workers: Annotated[int, Range(0, 256)] = 1
    compile: bool = False
    tensorboard: bool = False
    save_every: Annotated[int, Range(1, 10_000_000)] = 100
    judge_every: Annotated[int, Range(0, 10_000_000)] = 200
    preview_every: Annotated[int, Range(0, 10_000_000)] = 200
    keep_checkpoints: Annotated[int, Range(1, 1000)] = 3
    start_model: str = ""
    cache: str = ""
    phantom_slices: PhantomSlices | None = None

    def __post_init__(self) -> None:
        line = bool(self.name.strip()) and len(self.name) <= 100 and "\n" not in self.name
        require(line, "name", self.name, "must be one line of at most 100 characters")
        check_limits(self)
        rule = f"must be the method's {self.method.classes}"
        require(self.data.classes == self.method.classes, "data.classes", self.data.classes, rule)
        multiple = VARIANTS[self.method.variant].reduction
        fits, rule = self.data.size % multiple == 0, f"must be a multiple of {multiple} for {self.method.variant}"
        require(fits, "data.size", self.data.size, rule)
        supervised = self.method.objective == "target_supervised"
        rule = "must be true for the objective target_supervised"
        require(self.data.target_labels or not supervised, "data.target_labels", False, rule)
        even = self.batch % self.accumulate == 0
        require(even, "accumulate", self.accumulate, f"must divide the batch of {self.batch}")
        if self.phantom_slices is not None:
            self._check_phantom_slices()

    def _check_phantom_slices(self) -> None:
        """RecordError for what would be read from scans that there are none of."""
        wanted = {"data.target": "phantom", "method.objective": "source_only"}
        scans = self.phantom_slices.scans_per_batch if self.phantom_slices else 0
        if scans == 0:
            wanted["data.source"] = "phantom"
        fits, rule = scans < self.batch, f"must be less than the batch of {self.batch}"
        require(fits, "phantom_slices.scans_per_batch", scans, rule)
        if scans:
            rule = "must be true for labelled scans among phantom_slices"
            require(self.data.partial_labels, "data.partial_labels", self.data.partial_labels, rule)
            rule = "must be a folder of labelled scans, some of which are in each batch: phantom_slices.scans_per_batch"
            require(self.data.source not in PHANTOMS, "data.source", self.data.source, rule)
        has = {
            "data.source": self.data.source,
            "data.target": self.data.target,
            "method.objective": self.method.objective,
        }
        for key, value in wanted.items():
            require(has[key] == value, key, has[key], f"must be {value} with phantom_slices")
        known = tuple(len(structures) + 1 for structures in (PAPERS, STRUCTURES))
        rule = f"must be {known[0]} or {known[1]} with phantom_slices"
        require(self.method.classes in known, "method.classes", self.method.classes, rule)


def of_whole_epochs(configuration: Configuration, slices: int) -> int:
    """Iterations that show so many slices, those of the larger domain, as often as the method has epochs."""
    return configuration.method.epochs * max(1, slices // configuration.batch)


@dataclass(frozen=True)
class RunFile:
    """What `run.json` holds. fingerprint: SHA-256 of what the data are ("": not prepared yet). created: ISO 8601.

    began_with: id@version of the start model, once it was read ("": none, or version 0.3 began the run).
    began_with_sha256: of its weights ("": as above, or of a run that was prepared before this was kept).
    """

    configuration: Configuration
    created: str
    versions: dict[str, str]
    fingerprint: str = ""
    began_with: str = ""
    began_with_sha256: str = ""
    format: int = FORMAT

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


def new_run_file(configuration: Configuration) -> RunFile:
    """A run that begins now, with the versions of what computes it."""
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return RunFile(configuration, created, versions())


def versions() -> dict[str, str]:
    """SIFA, Python, torch and numpy; "?" where a package does not say."""
    found = {"sifa": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "?"
    return found


def read_run_file(text: str | bytes, source: str) -> RunFile:
    """The run in `text`; `source` is what messages call the file. RunError for a newer format, Damaged for all else."""
    try:
        data = schema.parse(text, source)
        if isinstance(data, dict) and type(data.get("format")) is int and data["format"] > FORMAT:
            raise RunError(f"{source} is of format {data['format']}, this SIFA reads {FORMAT}; update SIFA to use it.")
        run: RunFile = schema.decode_file(RunFile, data, source)
    except RecordError as error:
        raise Damaged(str(error)) from None
    return run


def read_settings(text: str | bytes, source: str) -> Configuration:
    """The configuration in a run.json, or one that stands alone in a file. RunError names what is wrong."""
    try:
        data = schema.parse(text, source)
        if isinstance(data, dict) and "configuration" in data:
            return read_run_file(text, source).configuration
        alone: Configuration = schema.decode_file(Configuration, data, source)
    except RecordError as error:
        raise RunError(str(error)) from None
    return alone


def differences(old: Configuration, new: Configuration) -> list[str]:
    """The keys, dotted, in which two configurations differ, without those that are FREE_TO_CHANGE."""
    fixed_old, fixed_new = (_flat(dataclasses.asdict(c)) for c in (old, new))
    names = sorted(fixed_old.keys() | fixed_new.keys())
    changed = [n for n in names if fixed_old.get(n) != fixed_new.get(n)]
    return [n for n in changed if n.partition(".")[0] not in FREE_TO_CHANGE]


def changed(configuration: Configuration, values: dict[str, Any]) -> Configuration:
    """A configuration with other values, by dotted key ("method.width"). RunError for keys and values that cannot be."""
    tree = json.loads(json.dumps(dataclasses.asdict(configuration)))
    for key, value in values.items():
        *parents, leaf = key.split(".")
        place = tree
        for parent in parents:
            place = place.setdefault(parent, {}) if isinstance(place, dict) else None
        if not isinstance(place, dict):
            raise RunError(f"{key} is no key that this SIFA knows.")
        place[leaf] = value
    try:
        made: Configuration = schema.decode(Configuration, tree)
    except RecordError as error:
        raise RunError(str(error)) from None
    return made


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
