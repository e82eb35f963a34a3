"""Numbers and facts as a person reads them; and small pictures of colours."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from SIFALib.models import ModelCard, Models
    from SIFALib.support.progress import Progress

BRIEF = 60  # characters on what a model was trained on; the rest is in the tooltip
SWATCH = 12  # pixels
DARK = 128  # lightness of a background, 0 to 255, below which it counts as dark


class Ink(enum.Enum):
    """What a colour of a text says; the values are that colour on a light background, and on a dark one.

    All have a contrast of at least 4.5 (WCAG 2.1, 1.4.3) on the backgrounds of Slicer's light and dark style.
    """

    BAD = ("#a93226", "#f1948a")
    GOOD = ("#186a3b", "#7dcea0")
    BUSY = ("#1f618d", "#85c1e9")
    QUIET = ("#566573", "#b2babb")


def ink(kind: Ink, widget: qt.QWidget) -> str:
    """That colour on the widget's background, as "#rrggbb"."""
    light, dark = kind.value
    return dark if widget.palette.color(qt.QPalette.Window).lightness() < DARK else light


def say(label: qt.QLabel, text: str, isError: bool = False) -> None:
    """A sentence below what it is about; no room is taken without one."""
    label.text = text
    label.setStyleSheet(f"color: {ink(Ink.BAD, label)}" if isError else "")
    label.setVisible(bool(text))


def work(label: qt.QLabel, bar: qt.QProgressBar, progress: Progress) -> None:
    """How far work is, on a bar of a thousand parts and in the sentence that belongs to it."""
    bar.value = round(1000 * progress.fraction)
    say(label, step(progress))


def step(progress: Progress) -> str:
    """What is being done, and how long it still takes."""
    left = timeLeft(progress.seconds_left)
    return f"{progress.stage} · {left}" if left else progress.stage


def timeLeft(seconds: float | None) -> str:
    """ "about 20 s left"; empty if not known."""
    if seconds is None:
        return ""
    if seconds < 5:
        return _("a few seconds left")
    return _("{time} left").format(time=duration(seconds))


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


def modelName(card: ModelCard) -> str:
    return f"{card.name} {card.version}"


def modelsName(models: Models) -> str:
    """Of one model its name, else that the scan decides."""
    return _("Automatic") if models.automatic else modelName(models.card)


def modelsLine(models: Models) -> str:
    """What a model is, in a line; of several, which is for what."""
    if not models.automatic:
        return modelLine(models.card)
    return _("{stacks} for MR in slices that lie far apart, as short axes do; {others} for all else").format(
        stacks=modelName(models.stacks.card), others=modelName(models.others.card)
    )


def modelsToolTip(models: Models) -> str:
    """All that the cards say for a person."""
    return "\n\n".join(
        f"{modelName(p.card)}: {modelToolTip(p.card)}" if models.automatic else modelToolTip(p.card)
        for p in models.packages
    )


def modelLine(card: ModelCard) -> str:
    """Modality, version, licence, and what it was trained on, as briefly as its card allows."""
    modality = {"CT/MR": _("CT and MR")}.get(card.modality, card.modality)
    trained, *details = card.trained_on.strip().split(". ")[0].rstrip(".").split(", ")
    while details and len(trained) + len(details[0]) < BRIEF:
        trained += ", " + details.pop(0)
    if trained.count("(") > trained.count(")"):  # cut off in the middle of it
        trained = trained.rpartition(" (")[0]
    return _("{modality} · version {version} · {licence} · trained on: {trained}").format(
        modality=modality, trained=trained, version=card.version, licence=card.licence
    )


def modelToolTip(card: ModelCard) -> str:
    """All that the card says for a person, in its own words: training, measured quality, citation."""
    lines = [card.trained_on]
    for quality in card.quality:
        values = ", ".join(f"{structure} {value:.2f}" for structure, value in quality.values.items())
        lines.append(
            _("{measure} on {data}: {values} ({rule})").format(
                measure=quality.measure, data=quality.data, values=values, rule=quality.rule
            )
        )
    return "\n".join([*lines, card.citation])


def provenance(report: dict[str, Any]) -> str:
    """One line: by which model, how and in what time a result was made; empty if it was not."""
    if not report.get("seconds"):  # a time point that failed names its model, too
        return ""
    model, plane = report.get("model", {}), report.get("plane")  # a cine is looked at in its own slices alone
    facts = [
        f"{model.get('id', '?')} {model.get('version', '?')}",
        _("{plane} slices").format(plane=plane) if plane else "",
        f"{str(report.get('device', '?')).upper()}, {report.get('precision', '?')}",
        _("{seconds:.0f} s").format(seconds=sum(report["seconds"].values())),
    ]
    return " · ".join(filter(None, facts))


def batchState(state: str) -> str:
    """What became of a scan of a batch, as the person reads it; the library's word for it otherwise."""
    return {
        "waiting": _("waiting"),
        "working": _("being segmented"),
        "done": _("done"),
        "finished before": _("finished before"),
        "failed": _("failed"),
    }.get(state, state)


def ml(structureId: str, volume: float) -> str:
    return f"{structureId}: {volume:.1f} ml"


def swatch(color: tuple[int, int, int]) -> qt.QIcon:
    """A square of one colour; RGB 0..255."""
    pixmap = qt.QPixmap(SWATCH, SWATCH)
    pixmap.fill(qt.QColor(*color))
    return qt.QIcon(pixmap)
