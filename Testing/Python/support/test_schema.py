"""Records from JSON: what was renamed is read under both names."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import ClassVar

import pytest
from SIFALib.support.errors import RecordError
from SIFALib.support.schema import decode


@dataclass(frozen=True)
class _Pool:
    RENAMED: ClassVar[dict[str, str]] = {"history": "image_pool"}

    image_pool: int = 50
    width: int = 8


@dataclass(frozen=True)
class _Run:
    pool: _Pool


@pytest.mark.parametrize("key", ["history", "image_pool"])
def test_a_renamed_key_is_read_under_both_names_and_written_under_the_new_one(key: str) -> None:
    read = decode(_Run, {"pool": {key: 7, "width": 4}})
    assert asdict(read) == {"pool": {"image_pool": 7, "width": 4}}


def test_both_names_of_a_key_at_once_are_refused() -> None:
    with pytest.raises(RecordError, match=r"pool\.history and image_pool are the same key"):
        decode(_Run, {"pool": {"history": 7, "image_pool": 8}})


def test_a_fault_below_a_renamed_key_is_told_by_its_new_name() -> None:
    with pytest.raises(RecordError, match=r"pool\.image_pool is 'many'"):
        decode(_Run, {"pool": {"history": "many"}})
