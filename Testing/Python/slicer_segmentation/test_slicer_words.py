"""Colours of texts: readable in Slicer's light and in its dark style. What a model is, in a line."""

from __future__ import annotations

from slicer_helpers import stage

# the line above sets the stage on which the others can be imported
# isort: split
import pytest
import qt
from SIFALib.models import store
from SIFASegmentationLib import Words
from SIFASegmentationLib.Words import Ink

LIGHT, DARK = ("#efefef", "#ffffff"), ("#323232", "#191919", "#3c3c3c")  # window, tables; qSlicerStyle
LEAST_CONTRAST = 4.5


def luminance(color: str) -> float:
    """As WCAG 2.1 defines it."""
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("background", [*LIGHT, *DARK])
@pytest.mark.parametrize("kind", list(Ink))
def test_every_colour_can_be_read_on_every_background_of_slicer(kind, background):
    label = qt.QLabel()
    palette = qt.QPalette()
    palette.setColor(qt.QPalette.Window, qt.QColor(background))
    label.setPalette(palette)
    assert contrast(Words.ink(kind, label), background) >= LEAST_CONTRAST


def test_an_error_is_written_in_the_colour_of_its_background():
    label = qt.QLabel()
    Words.say(label, "No heart was found.", isError=True)
    assert stage.start() and Words.ink(Ink.BAD, label) in label.styleSheet
    Words.say(label, "Done.")
    assert label.styleSheet == ""


def test_what_stands_between_the_facts_of_a_models_quality_is_translated(monkeypatch):
    german = {"{measure} on {data}: {values} ({rule})": "{measure} an {data}: {values} ({rule})"}
    monkeypatch.setattr(Words, "_", lambda text: german.get(text, text))
    card = store.default_store().default().card
    lines = Words.modelToolTip(card).splitlines()
    assert f"{card.quality[0].measure} an {card.quality[0].data}: " in lines[1] and lines[1].endswith(
        f"({card.quality[0].rule})"
    )


def test_a_models_line_ends_in_no_open_parenthesis():
    line = Words.modelLine(store.default_store().default().card)
    assert line.endswith(
        "trained on: Contours of the left ventricle and its muscle in 58 short-axis stacks of 29 patients"
    )
