"""What can go wrong, by kind.

An error has a class (which room speaks), a code (what it is, for programs) and fields (what it is about, for programs);
`str()` gives its sentence for the person at the screen. No program reads the sentence: whoever has to act on an error
asks for its class, `code` or `fields`, also after it went through a file (`record`).

What a person can do about it may depend on where they sit: `advice` is a key of `messages.ADVICE`, which the command
line says in commands and a panel in buttons.
"""

from __future__ import annotations

from typing import Any, ClassVar

OUT_OF_MEMORY, DISK_FULL, PEER_LOST, COMPILER, GONE, UNEXPECTED = (
    "out_of_memory", "disk_full", "peer_lost", "compiler", "gone", "unexpected",
)  # fmt: skip
"""Codes of what stops a run and is no SifaError; `status.json` holds them as `reason`."""


class SifaError(Exception):
    """Something foreseen. code: what it is; advice: a key of `messages.ADVICE`; fields: what it is about.

    The fields are texts, numbers, truth values or paths, and can fill the advice.
    """

    code: str = "error"
    exit_code: ClassVar[int] = 1  # of the command line: the table in `sifa --help`

    def __init__(self, message: str, *, code: str = "", advice: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.advice = advice
        self.fields = fields

    def record(self) -> dict[str, Any]:
        """The error for JSON: `{"code", "message", "advice", "fields"}`."""
        fields = {k: v if isinstance(v, (str, int, float, bool)) else str(v) for k, v in self.fields.items()}
        return {"code": self.code, "message": str(self), "advice": self.advice, "fields": fields}


class RequestError(SifaError, ValueError):
    """What was asked for cannot be: options that contradict each other, a value out of its range."""

    code, exit_code = "request", 2


class RecordError(RequestError):
    """A record that cannot be; the message names the key, its value and the rule. fields: key, value, rule."""

    code = "record"


class VolumeError(SifaError, ValueError):
    """An image that cannot be used; the message says why, in which file, and what to do."""

    code, exit_code = "volume", 3


class DataError(SifaError, ValueError):
    """Data that cannot be trained on; the message names the files and says what to do."""

    code, exit_code = "data", 3


class BatchError(SifaError, ValueError):
    """A folder of scans or of results that a batch cannot use."""

    code, exit_code = "batch", 3


class RunError(SifaError, ValueError):
    """A run that cannot be used or started; the message is a sentence for the person at the screen."""

    code, exit_code = "run", 3


class Damaged(RunError):
    """What should be a run.json, and cannot be one."""

    code = "damaged"


class InUse(RunError):
    """Another process works on the run. fields: pid, host."""

    code, exit_code = "in_use", 1


class ModelError(SifaError, ValueError):
    """A model that cannot be used; the message is one sentence or two for the person at the screen."""

    code, exit_code = "model", 4


class NotWritable(ModelError):
    """A model cannot be put where it should be, or taken away: the disk is full, or protected."""

    code, exit_code = "not_writable", 6


class NoHeartFound(SifaError, RuntimeError):
    """The scan shows no heart, or so little of one that nothing can be told about it."""

    code, exit_code = "no_heart", 5


class OutputError(SifaError, ValueError):
    """A place that cannot be written to. fields: path."""

    code, exit_code = "output", 6


class MemoryShort(SifaError, MemoryError):
    """The memory that is free will not suffice for what was asked for. fields: need, free, in bytes."""

    code, exit_code = OUT_OF_MEMORY, 1


class OutOfMemory(SifaError, RuntimeError):
    """A batch did not fit into the memory of a device. batch: its slices; 0: the weights did not."""

    code, exit_code = OUT_OF_MEMORY, 1

    def __init__(self, batch: int, device: object) -> None:
        what = f"{batch} slice(s) at once do" if batch else "The weights of the network do"
        super().__init__(f"{what} not fit into the memory of the device '{device}'.", device=str(device))
        self.batch = batch
