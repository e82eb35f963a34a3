"""What the library says that it is doing, in the person's language: translators find these sentences here."""

from __future__ import annotations

from slicer.i18n import tr as _


def stages() -> dict[str, str]:
    """The library's words for its stages, and what the panel says for them."""
    return {
        "Preparing": _("Preparing"),
        "Reading": _("Reading"),
        "Finding the heart": _("Finding the heart"),
        "Segmenting": _("Segmenting"),
        "Judging the result": _("Judging the result"),
        "Cleaning up": _("Cleaning up"),
        "Writing into the scan's grid": _("Writing into the scan's grid"),
        "Writing": _("Writing"),
        "Waiting for another process": _("Waiting for another process"),
        "Done": _("Done"),
    }


def translated(stage: str) -> str:
    """A stage for the person; as it is, if it is none of those."""
    return stages().get(stage, stage)
