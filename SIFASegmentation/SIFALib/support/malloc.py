"""Large blocks of memory that a training frees and asks for again, thousands of times an hour."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # glibc's malloc.h
KEPT_BYTES = 2**30
GROWTH_BYTES = 2**28


def keep() -> bool:
    """Let this process keep freed blocks instead of handing each back to the system, which clears every page anew.

    Costs up to KEPT_BYTES of memory. glibc only; says whether it took effect. See `man mallopt`.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEPT_BYTES), (M_TOP_PAD, GROWTH_BYTES))
    return all(mallopt(name, value) for name, value in settings)
