"""What the person reads of an error that ended a segmentation."""

from __future__ import annotations

import logging

from SIFALib.support import messages
from SIFALib.support.errors import SifaError
from slicer.i18n import tr as _


def sentence(error: Exception) -> str:
    """The error's own sentence if it was written for a person; the log gets it, with the details of any other."""
    text = messages.sentence(error, {})
    if isinstance(error, (SifaError, ValueError, MemoryError)):
        logging.error("SIFA: %s", text)
        return text
    logging.error("SIFA: the segmentation failed", exc_info=error)
    return _("Something went wrong: {error} The error log has the details.").format(error=text)
