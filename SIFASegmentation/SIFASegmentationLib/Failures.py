"""What the person reads of an error that ended a segmentation."""

from __future__ import annotations

import logging

from slicer.i18n import tr as _

from .Dependencies import DependencyError
from .Logic import NodeGone


def sentence(error: Exception) -> str:
    """The error's own sentence if it was written for a person; the log gets it, with the details of any other."""
    text = str(error)
    known = isinstance(error, (ValueError, MemoryError, DependencyError, NodeGone))
    if known or type(error).__name__ == "NoHeartFound":  # its module imports torch
        logging.error("SIFA: %s", text)
        return text
    logging.error("SIFA: the segmentation failed", exc_info=error)
    return _("Something went wrong: {error}. The error log has the details.").format(error=text)
