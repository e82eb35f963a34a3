"""Numbers, states and names as a person reads them."""

from __future__ import annotations

import enum
import html
import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import qt
from SIFALib.support import messages
from SIFASegmentationLib.Words import Ink, ink, say
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from SIFALib.runs.status import Status

__all__ = ["State", "forPanel", "ofFailure", "plain", "say", "show", "slug", "stateName", "times"]


class State(enum.Enum):
    """Of one step of the panel; the value is its sign and colour."""

    EMPTY = ("○", Ink.QUIET)
    CHECKING = ("…", Ink.BUSY)
    FINE = ("✓", Ink.GOOD)
    PROBLEM = ("✗", Ink.BAD)


def show(label: qt.QLabel, state: State, text: str) -> None:
    """A step's state, in its colour."""
    sign, kind = state.value
    color = ink(kind, label)
    label.text = f'<span style="color: {color}"><b>{sign}</b>&nbsp;&nbsp;{html.escape(text)}</span>'
    label.setVisible(bool(text))


def plain(label: qt.QLabel) -> str:
    """What such a label says, without its sign."""
    text = html.unescape(re.sub(r"<[^>]+>", "", label.text)).replace("\xa0", " ")
    return text.lstrip("○…✓✗ ")


def forPanel(error: BaseException) -> str:
    """What an error of the library says, and what to do for somebody who has buttons."""
    return messages.sentence(error, _advice())


def ofFailure(status: Status) -> str:
    """The same of what a run failed of, as its status.json tells."""
    return messages.advised(status.message, status.advice, status.fields, _advice())


def _advice() -> dict[str, str]:
    """What `SIFALib.support.messages.ADVICE` says in commands."""
    bothModels = _("Open it to see both models beside each other.")
    return {
        "resume": _("Then press Resume."),
        "start": _("Press Resume."),
        "anew": _("Resume writes it anew and goes on from the last checkpoint."),
        "uncompiled": _("Go on without it: sifa train {folder} --set compile=false"),
        "force": bothModels,
        "unjudged": bothModels,
        "check_data": _("The table of scans names them all."),
        "normalisation": _("Choose data.{domain}_normalisation under Advanced."),
        "start_model": _("Use the start model itself."),
    }


def slug(name: str, otherwise: str = "run") -> str:
    """Small letters, digits and hyphens of a name: fit for a file and for the id of a model."""
    flat = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", flat).strip("-")[:48].strip("-") or otherwise


def times(values: Sequence[float]) -> str:
    """ "0.5 × 0.5 × 2"."""
    return " × ".join(f"{v:.3g}" if v < 100 else f"{v:.0f}" for v in values)


def stateName(state: str) -> str:
    """The state of a run."""
    return {
        "new": _("not started"),
        "preparing": _("preparing"),
        "running": _("running"),
        "paused": _("paused"),
        "stopped": _("stopped"),
        "finished": _("finished"),
        "failed": _("failed"),
        "interrupted": _("interrupted"),
        "broken": _("unreadable"),
    }.get(state, state)
