"""Errors as sentences for the person at the screen: the one place that makes them."""

from __future__ import annotations

from collections.abc import Mapping

from .errors import SifaError
from .files import FULL

ADVICE = {
    "resume": "Resume it with: sifa train {folder}",
    "uncompiled": "Go on without it: sifa train {folder} --set compile=false",
    "start": "Start or resume it with: sifa train {folder}",
    "anew": "`sifa train {folder}` writes it anew and goes on from the last checkpoint.",
    "prepared": "The slices that were prepared serve again with --cache {cache}.",
    "force": "Use --force to make a model of it all the same.",
    "unjudged": "Export the best one (without --checkpoint), or use --force to take it unjudged.",
    "start_model": "Use the start model itself, or `sifa export --force`.",
    "check_data": "`sifa check-data` lists them all.",
    "modality": "If that is wrong, give --modality {other}.",
    "cine": "Or segment all phases of a cine with `sifa cine`.",
    "batch": "Or segment every scan of the folder with `sifa batch`.",
    "normalisation": "Say so with --{domain}-normalisation sifa_mr or sifa_ct.",
}
"""What to do about an error, for who types commands; a panel says the same of its buttons (SIFATrainingLib/Words.py)."""


def sentence(error: BaseException, advice: Mapping[str, str] = ADVICE) -> str:
    """What an error says, on one line, with a full stop; after it what to do, in the words of `advice`."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    text = " ".join(text.split()) or type(error).__name__
    text = text if text.endswith((".", "!", "?")) else f"{text}."
    if isinstance(error, SifaError):
        return advised(text, error.advice, error.fields, advice)
    return text


def advised(text: str, key: str, fields: Mapping[str, object], advice: Mapping[str, str] = ADVICE) -> str:
    """A sentence with the advice of that key behind it; "" and keys that are not known add nothing."""
    return f"{text} {advice[key].format(**fields)}" if key in advice else text


def reason(error: OSError) -> str:
    """Why a file could not be read or written, without the file's name, which may be that of a temporary one."""
    if error.errno in FULL:
        return "the disk is full"
    return error.strerror or " ".join(str(error).split()).rstrip(".") or type(error).__name__


def sayable(text: str) -> str:
    """The text with ? for what no UTF-8 file can hold: bytes in the names of files that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")
