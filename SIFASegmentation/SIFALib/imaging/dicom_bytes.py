"""Whether the bytes of a DICOM file are what its elements claim: looked at before GDCM reads it.

GDCM takes as much memory as any length in a header claims, and takes one flipped bit in a type of value for a length.
Layout of elements: DICOM PS3.5, section 7.1.
"""

from __future__ import annotations

from typing import Literal

# types of value whose length stands in two bytes; in four, behind two empty ones
SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
ODD = frozenset((b"??", b"\0\0", b"  "))  # what old programs write for a type that they do not know
UNDEFINED = 2**32 - 1  # the length of what ends by a mark
PIXELS = b"\xe0\x7f"  # the group of the element that holds them
META = b"\x02\x00"  # the group that says how the others are written
LONGEST_HEAD = 12  # bytes of an element before its value
START = 132  # behind the mark
IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
KNOWN_SYNTAX = ("1.2.840.10008.1.2", "1.2.840.113619.5.2")  # DICOM's own begin so; GE's, which GDCM reads
Order = Literal["little", "big"]
LITTLE: Order = "little"
BIG: Order = "big"


def element(head: bytes, explicit: bool, order: Order) -> tuple[int, int] | None:
    """Bytes before the value, and length of the element that these bytes begin; None for one that cannot be."""
    kind = head[4:6]
    if not explicit:
        return 8, int.from_bytes(head[4:8], order)
    if kind in SHORT:
        return 8, int.from_bytes(head[6:8], order)
    return (12, int.from_bytes(head[8:12], order)) if kind in LONG else None


def is_sound(data: bytes, syntax: str) -> bool:
    """Whether the elements before the pixels, `data` without the pixels, follow each other as they claim.

    syntax: UID of the transfer syntax, "" for files without a mark. What stands within sequences is not looked at.
    """
    if data[128:START] != b"DICM":
        return True
    if not syntax.startswith(KNOWN_SYNTAX):
        return False
    place = START
    explicit, order = True, LITTLE
    while place < len(data):
        head = data[place : place + LONGEST_HEAD]
        if head[:2] != META:
            explicit, order = syntax not in (IMPLICIT, KNOWN_SYNTAX[1]), BIG if syntax == BIG_ENDIAN else LITTLE
        if explicit and head[4:6] in ODD:
            return True  # nobody can say where the next one begins
        found = element(head, explicit, order)
        if found is None:
            return False
        before, length = found
        if length == UNDEFINED:
            return True
        place += before + length
    return place == len(data)
