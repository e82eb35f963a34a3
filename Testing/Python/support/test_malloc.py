"""A training asks the C library to keep the memory that it frees, and says where that cannot be had."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace

import pytest
from SIFALib.support import malloc


@pytest.mark.parametrize("granted", [1, 0])
def test_the_c_library_is_asked_for_all_three_settings(monkeypatch, granted):
    asked = {}
    library = SimpleNamespace(mallopt=lambda name, value: asked.update({name: value}) or granted)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert malloc.keep() is bool(granted)
    expected = {malloc.M_MMAP_MAX: 0, malloc.M_TRIM_THRESHOLD: 2**30, malloc.M_TOP_PAD: 2**28}
    assert asked == (expected if granted else {malloc.M_MMAP_MAX: 0})


def test_where_there_is_no_such_setting_it_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: SimpleNamespace())
    assert malloc.keep() is False
    monkeypatch.setattr(sys, "platform", "win32")
    assert malloc.keep() is False
