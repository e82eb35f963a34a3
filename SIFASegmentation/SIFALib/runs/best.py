"""The best segmenter of a run so far, as the score without labels judges it: `best/segmenter.safetensors`.

One file, so that the weights and what is known about them are replaced in one step: float32 tensors by their names
in `networks.Segmenter.state_dict()`, and in the file's metadata the iteration, the score and a CRC-32 over all of it:
zeros in the middle of a file make a network as well.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..adaptation.verdict import Signs, Verdict, compared
from ..support import schema
from ..support.errors import RecordError, RunError
from ..support.files import written
from . import events

if TYPE_CHECKING:
    from ..adaptation.label_free import Score

FILE = "segmenter.safetensors"
WORST = -1.0  # the lowest score
_KEY = "sifa"  # of our entry in the metadata
_START_KEY = "sifa_start"  # of how the start model was judged; version 0.3 wrote it into the events alone
_CRC_KEY = "sifa_crc32"  # of the checksum; files of older runs have none


@dataclass(frozen=True)
class Best:
    """When it was and how good: `value`, higher is better, and `parts` as `label_free.Score` has them; `vetoes`: what
    speaks against it.

    Of a run that began with a model: verdict: how it compares to that one, on the target, and `value` is the difference.
    signs: what that was told from. borne: what the start bears, by key, and nobody else is blamed for.
    """

    iteration: int
    value: float
    parts: dict[str, float] = field(default_factory=dict)
    vetoes: tuple[str, ...] = ()
    verdict: Verdict | None = None
    signs: Signs = ()
    borne: tuple[str, ...] = ()

    @staticmethod
    def of(known: Mapping[str, Any] | None) -> Best | None:
        """What `asdict` made of one, or None of None. RecordError."""
        return None if known is None else schema.load(Best, json.dumps(known), "The checkpoint")

    def beats(self, other: Best | None) -> bool:
        """Whether this one is to be kept instead of `other`: what nothing speaks against comes first, then what is certainly
        better than the start, then the higher value."""
        return other is None or self._order > other._order

    @property
    def _order(self) -> tuple[bool, bool, float]:
        return (not self.vetoes, self.verdict is not None and self.verdict.better, self.value)


def judged(iteration: int, score: Score, signs: Signs = (), start: Best | None = None) -> Best:
    """A score as `Best`; what is no finite number is left out, and a score that is none counts as a veto.

    signs: of the averaged segmenter, where the run began with a model, on the scans on which that one was judged; start:
    how it was, None for the start itself. A veto that the start bears as well counts for neither.
    """
    known = {name: float(part) for name, part in score.parts.items() if math.isfinite(part)}
    if signs and iteration == 0:
        return Best(
            iteration, 0.0, known, (), Verdict(0.5, 0.0, 0.0, len(signs)), signs, tuple(v.key for v in score.vetoes)
        )
    vetoes = tuple(str(v) for v in score.vetoes if start is None or v.key not in start.borne)
    if signs and start is not None and start.signs:
        found = compared(start.signs, signs)
        return Best(iteration, found.difference, known, vetoes, found, signs)
    if not math.isfinite(score.value):
        return Best(iteration, WORST, known, (*vetoes, "The score is not a finite number."))
    return Best(iteration, float(score.value), known, vetoes)


def judged_at(log: Path, iteration: int) -> Best | None:
    """How that iteration was judged, as the events in `log` tell; None if it was not.

    For runs of version 0.3, whose checkpoints and best segmenters do not know how the start model was judged.
    """
    found = None
    for event in events.read(log):
        if event["kind"] == "score" and event["iteration"] == iteration:
            fields = {k: event[k] for k in ("iteration", "value", "parts", "vetoes", "verdict") if k in event}
            try:
                found = schema.decode(Best, fields)
            except RecordError:
                continue
    return found


def write(folder: Path, best: Best, state: Mapping[str, np.ndarray], start: Best | None = None) -> None:
    """Replace the best segmenter by `state` (float arrays by name). start: how the start model was judged. OSError."""
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in state.items()}
    known = {_KEY: json.dumps(asdict(best))} | ({_START_KEY: json.dumps(asdict(start))} if start else {})
    metadata = {"format": "pt", **known, _CRC_KEY: _crc(known, sorted(arrays.items()))}
    with written(folder / FILE) as file:
        file.write(save(arrays, metadata=metadata))


def read(folder: Path) -> Best | None:
    """What is known about the best segmenter; None if there is none yet. RunError, also for damaged weights."""
    return _known(folder, _KEY)


def read_start(folder: Path) -> Best | None:
    """How the start model was judged, as far as the best segmenter knows; None if it does not. RunError."""
    return _known(folder, _START_KEY)


def _known(folder: Path, key: str) -> Best | None:
    path = folder / FILE
    if not path.exists():
        return None
    with _opened(path) as file:
        known = file.metadata() or {}
        _check(known, _tensors(file))
        if key == _START_KEY and key not in known:
            return None
        best: Best = schema.load(Best, known.get(key, ""), str(path))
        return best


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """The weights of the best segmenter, float32 by name. RunError if there are none or they are damaged."""
    path = folder / FILE
    if not path.exists():
        raise RunError(f"{folder.parent} has no best segmenter yet; let the run go on until it is judged.")
    with _opened(path) as file:
        weights = dict(_tensors(file))
        _check(file.metadata() or {}, weights.items())
        return weights


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, as safetensors opens it; whatever is wrong with it is a RunError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, RecordError, OSError) as error:
        raise RunError(f"{path} cannot be read ({error}); delete it, and the run will choose anew.") from error


def _tensors(file: Any) -> Iterator[tuple[str, np.ndarray]]:
    """One after the other, in the order of their names: a file as large as the memory can be checked."""
    for name in sorted(file.keys()):
        yield name, file.get_tensor(name)


def _check(known: Mapping[str, str], tensors: Iterable[tuple[str, np.ndarray]]) -> None:
    """Raise RecordError unless the checksum in the metadata, if there is one, is that of the rest."""
    if _CRC_KEY in known and known[_CRC_KEY] != _crc(known, tensors):
        raise RecordError("its checksum is another one; it is damaged")


def _crc(known: Mapping[str, str], tensors: Iterable[tuple[str, np.ndarray]]) -> str:
    """CRC-32 of our texts, then of every tensor's name, shape and bytes, as eight hexadecimal digits."""
    crc = zlib.crc32((known.get(_KEY, "") + known.get(_START_KEY, "")).encode())
    for name, array in tensors:
        crc = zlib.crc32(array.data, zlib.crc32(f"{name} {array.shape}".encode(), crc))
    return f"{crc:08x}"
