"""What the header of a NRRD or MetaImage file may say: everything else is refused before ITK sees the file.

ITK's own readers of these headers trust them: a field that is too long, a number out of all bounds or a name with a
percent sign in it ends the whole process, or keeps it busy for ever. So each field must be one that the format has, stand
there once, and hold what it may hold. NRRD: teem's "Definition of NRRD File Format"; MetaImage: "MetaIO" of ITK.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from ..support.errors import VolumeError
from .checks import MOST_VOXELS, OTHER_KIND

MOST_FILES = 100_000  # that a list or a pattern in a header names
MOST_LINES_SKIPPED = 1_000_000
LONGEST_TEXT, LONGEST_NAME = 2000, 500  # characters of what is free, and of the name of a file with its folders
LONGEST_PART = 255  # bytes of one of them
_NUMBER = r"[+-]?(?:\d{1,25}\.?\d{0,30}|\.\d{1,30})(?:[eE][+-]?\d{1,2})?"
_OR_NONE = rf"{_NUMBER}|nan"  # NRRD says so of an axis that is none of space
_VECTOR = rf"\(\s*(?:{_OR_NONE})(?:\s*,\s*(?:{_OR_NONE})){{0,7}}\s*\)"
_WORD = r"[A-Za-z0-9?_-]{1,40}"
_PATTERN = re.compile(r"[^%]*%0?\d?[diu][^%]*? (-?\d{1,7}) (-?\d{1,7}) (-?\d{1,7})( \d)?")
Rule = Callable[[str, dict[str, str]], bool]


def _one_of(*options: str) -> Rule:
    return lambda value, _: value.lower() in options


def _text(longest: int = LONGEST_TEXT) -> Rule:
    return lambda value, _: len(value) <= longest


def _whole(low: int, high: int) -> Rule:
    return lambda value, _: re.fullmatch(r"[+-]?\d{1,15}", value) is not None and low <= int(value) <= high


def _like(pattern: str) -> Rule:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda value, _: len(value) <= LONGEST_TEXT and compiled.fullmatch(value) is not None


def _many(pattern: str, dimension: str, power: int = 1) -> Rule:
    """As many of a kind as the header has dimensions, or that many to a power."""
    compiled = re.compile(rf"(?:{pattern})(?:\s+(?:{pattern}))*", re.IGNORECASE)

    def rule(value: str, fields: dict[str, str]) -> bool:
        if len(value) > LONGEST_TEXT or compiled.fullmatch(value) is None:
            return False
        count: int = int(fields[dimension]) ** power
        return len(re.findall(pattern, value, re.IGNORECASE)) == count

    return rule


def _sizes(dimension: str) -> Rule:
    many = _many(r"-?\d{1,10}", dimension)
    return lambda value, fields: many(value, fields) and bool(math.prod(map(int, value.split())) < 2**62)


def can_be_named(name: str) -> bool:
    """Whether a file may have that name on every disk."""
    return len(name) <= LONGEST_NAME and all(len(part.encode()) <= LONGEST_PART for part in re.split(r"[/\\]", name))


def _voxel_file(value: str, fields: dict[str, str]) -> bool:
    """The name of a file, LIST, or a pattern with one number in it, and from where to where that goes in which steps."""
    if not value or not value.isprintable() or not can_be_named(value):
        return False
    if value.upper().startswith("LIST"):
        return re.fullmatch(r"(?i)list( \d)?", value) is not None
    if "%" not in value:
        return True
    pattern = _PATTERN.fullmatch(value)
    if pattern is None:
        return False
    low, high, step = (int(n) for n in pattern.groups()[:3])
    return step != 0 and 0 <= (high - low) / step < MOST_FILES


_INTEGERS = [
    *(f"{s}{k}" for s in ("", "signed ", "unsigned ") for k in ("char", "short", "short int", "int", "long long")),
    *("long long int", "signed long long int", "unsigned long long int"),
    *("uchar", "ushort", "uint", "ulonglong", "longlong"),
    *(f"{u}int{n}{t}" for u in ("", "u") for n in (8, 16, 32, 64) for t in ("", "_t")),
]
_SPACES = [
    *("right-anterior-superior", "ras", "left-anterior-superior", "las", "left-posterior-superior", "lps"),
    *("scanner-xyz", "3d-right-handed", "3d-left-handed"),
    *(f"{s}-time" for s in ("right-anterior-superior", "left-anterior-superior", "left-posterior-superior")),
    *("rast", "last", "lpst", "scanner-xyz-time", "3d-right-handed-time", "3d-left-handed-time"),
]
_DIMENSION = "dimension"
_QUOTED = r'"[^"\\]{0,200}"'
NRRD_FIELDS: dict[str, Rule] = {
    "dimension": _whole(1, 8),
    "type": _one_of(*_INTEGERS, "float", "double"),
    "encoding": _one_of("raw", "txt", "text", "ascii", "hex", "gz", "gzip", "bz2", "bzip2"),
    "endian": _one_of("little", "big"),
    "sizes": _sizes(_DIMENSION),
    "space": _one_of(*_SPACES),
    "spacedimension": _whole(1, 8),
    "spacedirections": _many(rf"{_VECTOR}|none", _DIMENSION),
    "spaceorigin": _like(_VECTOR),
    "measurementframe": _like(rf"(?:{_VECTOR}|none)(?:\s+(?:{_VECTOR}|none)){{0,7}}"),
    "spaceunits": _like(rf"{_QUOTED}(?:\s+{_QUOTED}){{0,7}}"),
    **dict.fromkeys(("labels", "units"), _many(_QUOTED, _DIMENSION)),
    **dict.fromkeys(("spacings", "thicknesses", "axismins", "axismaxs"), _many(_OR_NONE, _DIMENSION)),
    **dict.fromkeys(("centers", "centerings", "kinds"), _many(_WORD, _DIMENSION)),
    **dict.fromkeys(("min", "max", "oldmin", "oldmax"), _like(_NUMBER)),
    **dict.fromkeys(("content", "sampleunits"), _text()),
    "number": _whole(0, 10**15 - 1),
    "lineskip": _whole(0, MOST_LINES_SKIPPED),
    "byteskip": _whole(-1, 2**40),
    "datafile": _voxel_file,
}
_NDIMS = "ndims"
_TRUTH = _one_of("true", "false", "1", "0", "t", "f")
META_FIELDS: dict[str, Rule] = {
    "ndims": _whole(1, 8),
    "objecttype": _one_of("image"),
    "dimsize": _sizes(_NDIMS),
    "elementtype": _like(r"MET_U?(?:CHAR|SHORT|INT|LONG|LONG_LONG)|MET_(?:FLOAT|DOUBLE)"),
    "elementnumberofchannels": _whole(1, 100),
    **dict.fromkeys(("binarydata", "compresseddata", "binarydatabyteordermsb", "elementbyteordermsb"), _TRUTH),
    **dict.fromkeys(("elementspacing", "elementsize", "offset", "position", "origin"), _many(_NUMBER, _NDIMS)),
    "centerofrotation": _many(_NUMBER, _NDIMS),
    **dict.fromkeys(("transformmatrix", "rotation", "orientation"), _many(_NUMBER, _NDIMS, 2)),
    **dict.fromkeys(("elementmin", "elementmax"), _like(_NUMBER)),
    "elementtointensityfunctionslope": _like(r"1(?:\.0*)?"),  # any other ITK passes over in silence
    "elementtointensityfunctionoffset": _like(r"-?0(?:\.0*)?"),
    "anatomicalorientation": _like(r"[A-Z?]{1,4}"),
    "compresseddatasize": _whole(0, 2**40),
    "compressionlevel": _whole(0, 9),
    "headersize": _whole(-1, 2**40),
    **dict.fromkeys(("id", "parentid"), _whole(-1, 10**9)),
    "color": _like(rf"(?:{_NUMBER})(?:\s+(?:{_NUMBER})){{2,3}}"),
    "sequenceid": _like(rf"(?:{_NUMBER})(?:\s+(?:{_NUMBER})){{0,7}}"),
    **dict.fromkeys(("objectsubtype", "comment", "name", "modality", "distanceunits", "acquisitiondate"), _text(250)),
    "elementdatafile": _voxel_file,
}
META_FREE = re.compile(r"[\w |.()[\]-]{1,80}")  # the names of fields that programs add to a MetaImage


def check_fields(path: object, lines: tuple[tuple[str, str], ...], nrrd: bool) -> None:
    """Raise VolumeError unless the lines (field, value) of a header, in their order, are what ITK can be given.

    A field is "" where a line has none. Fields are in small letters, those of NRRD without spaces.
    """
    known, first = (NRRD_FIELDS, _DIMENSION) if nrrd else (META_FIELDS, _NDIMS)
    fields: dict[str, str] = {}
    for key, value in lines:
        if not key:
            raise VolumeError(f"{path} has a line in its header that is none ({_shown(value)}); it is damaged.")
        if key in fields:
            raise VolumeError(f"{path} says {_shown(key)} twice in its header; it is damaged.")
        fields[key] = value
        if key in known:
            if first not in fields and key not in ("objecttype", "objectsubtype", "comment", "name") and not nrrd:
                raise VolumeError(f"{path} does not say first how many dimensions it has; its header is damaged.")
            if not _allowed(known[key], value, fields, first):
                raise VolumeError(f"{path} has {_shown(value)} as {_shown(key)}, which cannot be. Mend its header.")
        elif nrrd or META_FREE.fullmatch(key) is None or len(value) > LONGEST_TEXT:
            raise VolumeError(f"{path} has a field that this format does not have ({_shown(key)}); it is damaged.")
    for key in (first, "sizes" if nrrd else "dimsize", "type" if nrrd else "elementtype"):
        if key not in fields:
            raise VolumeError(OTHER_KIND.format(path))
    sizes = fields["sizes" if nrrd else "dimsize"].split()
    if abs(math.prod(map(float, sizes))) > MOST_VOXELS and min(map(int, sizes)) > 0:
        size = ", ".join(sizes)
        raise VolumeError(f"{path} claims to hold ({size}) voxels, too many to be read; its header may be damaged.")


def _allowed(rule: Rule, value: str, fields: dict[str, str], first: str) -> bool:
    """Whether a value is one that its rule allows; what counts dimensions needs their number before it."""
    try:
        return rule(value, fields)
    except (KeyError, ValueError):
        return False


def _shown(text: str) -> str:
    """The beginning of what a stranger wrote, to be shown in a sentence."""
    flat = "".join(c if c.isprintable() else "?" for c in text[:40])
    return f"'{flat}{'…' if len(text) > 40 else ''}'"
