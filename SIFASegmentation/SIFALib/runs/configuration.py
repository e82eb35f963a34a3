"""Everything that decides what a run computes, as one value and as `run.json`. No torch here."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import platform
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .. import __version__
from ..adaptation.method import Method
from ..datasets.settings import DataSettings
from ..support import schema
from ..support.errors import Damaged, RecordError, RunError
from ..support.schema import require

FORMAT = 1  # of run.json; a newer one is refused with the advice to update SIFA
MAX_BYTES = 1024**2  # of run.json; it takes 3 kB
PRECISIONS = ("auto", "float32", "bfloat16")

FREE_TO_CHANGE = (
    "name", "iterations", "accumulate", "device", "precision", "threads", "workers", "compile", "tensorboard",
    "save_every", "judge_every", "preview_every", "keep_checkpoints", "cache",
)  # fmt: skip
"""What may differ when a run goes on; everything else would make it another run."""


@dataclass(frozen=True)
class Configuration:
    """One training.

    iterations: in all (0: the method's epochs, counted when the data are known).
    batch: slices of each domain in one iteration, over all processes together; accumulate:
    in how many parts one after the other, for little memory. device: auto, cpu, cuda, cuda:N or mps. precision:
    auto, float32 or bfloat16. threads: of torch (0: as many as torch thinks best); workers: that prepare batches
    beside the training (0: none). compile: let torch.compile make the networks faster, which takes minutes first.
    save_every, judge_every, preview_every: iterations between checkpoints, scores and pictures (0: no scores, no
    pictures). keep_checkpoints: the newest so many stay. start_model: id or folder of a model package whose
    segmenter is adapted ("": from random weights). cache: folder for prepared slices ("": RUN/cache).
    tensorboard: write its files too, if it is installed.
    """

    data: DataSettings
    method: Method = field(default_factory=Method)
    name: str = "run"
    iterations: int = 4000
    batch: int = 8
    accumulate: int = 1
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    workers: int = 1
    compile: bool = False
    tensorboard: bool = False
    save_every: int = 100
    judge_every: int = 200
    preview_every: int = 200
    keep_checkpoints: int = 3
    start_model: str = ""
    cache: str = ""

    def __post_init__(self) -> None:
        line = bool(self.name.strip()) and len(self.name) <= 100 and "\n" not in self.name
        require(line, "name", self.name, "must be one line of at most 100 characters")
        limits = {
            "iterations": (0, 10_000_000),
            "batch": (1, 4096),
            "accumulate": (1, 4096),
            "seed": (0, 2**31 - 1),
            "threads": (0, 1024),
            "workers": (0, 256),
            "save_every": (1, 10_000_000),
            "judge_every": (0, 10_000_000),
            "preview_every": (0, 10_000_000),
            "keep_checkpoints": (1, 1000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            require(low <= value <= high, name, value, f"must be {low} to {high}")
        rule = f"must be the method's {self.method.classes}"
        require(self.data.classes == self.method.classes, "data.classes", self.data.classes, rule)
        supervised = self.method.objective == "target_supervised"
        rule = "must be true for the objective target_supervised"
        require(self.data.target_labels or not supervised, "data.target_labels", False, rule)
        even = self.batch % self.accumulate == 0
        require(even, "accumulate", self.accumulate, f"must divide the batch of {self.batch}")
        require(self.precision in PRECISIONS, "precision", self.precision, f"must be {', '.join(PRECISIONS)}")


def of_whole_epochs(configuration: Configuration, slices: int) -> int:
    """Iterations that show so many slices, those of the larger domain, as often as the method has epochs."""
    return configuration.method.epochs * max(1, slices // configuration.batch)


@dataclass(frozen=True)
class RunFile:
    """What `run.json` holds. fingerprint: SHA-256 of what the data are ("": not prepared yet). created: ISO 8601."""

    configuration: Configuration
    created: str
    versions: dict[str, str]
    fingerprint: str = ""
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
        return schema.decode(RunFile, data)
    except RecordError as error:
        message = str(error)
        raise Damaged(message if message.startswith(source) else f"{source}: {message}") from None


def read_settings(text: str | bytes, source: str) -> Configuration:
    """The configuration in a run.json, or one that stands alone in a file. RunError names what is wrong."""
    try:
        data = schema.parse(text, source)
        if isinstance(data, dict) and "configuration" in data:
            return read_run_file(text, source).configuration
        return schema.decode(Configuration, data)
    except RecordError as error:
        message = str(error)
        raise RunError(message if message.startswith(source) else f"{source}: {message}") from None


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
        return schema.decode(Configuration, tree)
    except RecordError as error:
        raise RunError(str(error)) from None


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
