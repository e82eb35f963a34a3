"""Numbers, states and names as a person reads them."""

from __future__ import annotations

import enum
import html
import re
import unicodedata

from slicer.i18n import tr as _


class State(enum.Enum):
    """Of one step of the panel; the value is its sign and colour."""

    EMPTY = ("○", "#7f8c8d")
    CHECKING = ("…", "#2471a3")
    FINE = ("✓", "#1e8449")
    PROBLEM = ("✗", "#c0392b")


def show(label, state: State, text: str) -> None:
    """A step's state, in its colour."""
    sign, color = state.value
    label.text = f'<span style="color: {color}"><b>{sign}</b>&nbsp;&nbsp;{html.escape(text)}</span>'
    label.setVisible(bool(text))


def plain(label) -> str:
    """What such a label says, without its sign."""
    text = html.unescape(re.sub(r"<[^>]+>", "", label.text)).replace("\xa0", " ")
    return text.lstrip("○…✓✗ ")


def duration(seconds: float) -> str:
    """ "about 3 h 20 min"."""
    if seconds < 90:
        return _("about {count} s").format(count=max(5, 5 * round(seconds / 5)))
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("about {count} min").format(count=minutes)
    hours, minutes = divmod(10 * round(minutes / 10), 60)
    if hours >= 24 or not minutes:
        return _("about {count} h").format(count=hours + round(minutes / 60))
    return _("about {hours} h {minutes} min").format(hours=hours, minutes=minutes)


def slug(name: str, otherwise: str = "run") -> str:
    """Small letters, digits and hyphens of a name: fit for a file and for the id of a model."""
    flat = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", flat).strip("-")[:48].strip("-") or otherwise


def times(values) -> str:
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
