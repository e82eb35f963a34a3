"""Errors as sentences for the person at the screen."""

from __future__ import annotations

import errno

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a user's share of it, what it takes as one file


def sentence(error: BaseException) -> str:
    """What an error says, on one line, with a full stop."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {reason(error)}" if error.filename else reason(error)
    text = " ".join(text.split()) or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def reason(error: OSError) -> str:
    """Why a file could not be read or written, without the file's name, which may be that of a temporary one."""
    if error.errno in FULL:
        return "the disk is full"
    return error.strerror or " ".join(str(error).split()).rstrip(".") or type(error).__name__


def sayable(text: str) -> str:
    """The text with ? for what no UTF-8 file can hold: bytes in the names of files that are no text."""
    return text.encode("utf-8", "replace").decode("utf-8")
