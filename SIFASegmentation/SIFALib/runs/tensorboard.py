"""TensorBoard's files beside ours, for who asks for them and has it installed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Board:
    """Curves in RUN/tensorboard; without TensorBoard it does nothing but say so once."""

    def __init__(self, folder: Path, wanted: bool, iteration: int) -> None:
        self.writer: Any = None
        if not wanted:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            log.warning("TensorBoard is not installed; events.jsonl holds the same numbers.")
            return
        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=iteration + 1)

    def add(self, group: str, values: Mapping[str, float], iteration: int) -> None:
        """Numbers of one iteration, as GROUP/NAME."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, iteration)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
