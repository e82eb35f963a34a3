"""What can go wrong, by kind."""

from __future__ import annotations


class RunError(ValueError):
    """A run that cannot be used or started; the message is a sentence for the person at the screen."""


class Damaged(RunError):
    """What should be a run.json, and cannot be one."""


class DataError(ValueError):
    """Data that cannot be trained on; the message names the files and says what to do."""


class ModelError(ValueError):
    """A model that cannot be used; the message is one sentence or two for the person at the screen."""


class VolumeError(ValueError):
    """An image that cannot be used; the message says why, in which file, and what to do."""
