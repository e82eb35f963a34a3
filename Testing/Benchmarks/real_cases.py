"""The real scans that bench_real judges, set by set: read from the folder of data, or made of them in memory.

| set | what |
|---|---|
| chd68, hocm, hvsmr2 | slices of CT and MR, five copies of each; the middle one counts |
| cta, tcia | whole CTs without labels, looked at |
| scd-ed, scd-es | 11 Sunnybrook patients, short-axis stacks of nominal axes; at ES only the LV is known |
| scd-192-*, scd-tight-* | of the same: 192 pixels wide; 150 mm around the heart, more for a large LV |
| scd-turn90, 180, 270 | of the same: turned in their plane, five ED stacks each |
| scd-true-ed, scd-true-es | stacks as they lay in the body, two patients labelled, two looked at |
| bivme-sax, bivme-lax | one person at 3 T, short axis as one stack and slice by slice, long axis: looked at |

Crops, turns and which stacks are turned follow from the stack's name and SEED alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import sunnybrook
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.imaging.reading import read
from SIFALib.models.structures import UNKNOWN

SEED = 20_13
WIDE_PIXELS, WIDE_JITTER_MM = 192, 30.0
TIGHT_MM, TIGHT_JITTER_MM, MARGINS_MM = 150.0, 10.0, (10.0, 20.0)
RV_MM = 15.0  # the whole heart's middle lies so far to the patient's right of the LV's: smaller columns in these stacks
TURNS, TURNED_STACKS = (90, 180, 270), 5
Pair = tuple[Volume, Volume | None]


@dataclass(frozen=True)
class Case:
    """A scan to be judged. facts: as in the data's manifest, at least dataset, modality, kind (3D, slice, stack) and
    classes, the label values that its truth knows; short_axis: whether the wall can be measured across its slices.

    read: scan and truth, the latter None where it is only looked at.
    """

    name: str
    facts: dict[str, Any] = field(repr=False)
    read: Callable[[], Pair] = field(repr=False)
    short_axis: bool = False

    @property
    def dataset(self) -> str:
        return str(self.facts["dataset"])


def cases(data: Path, only: tuple[str, ...] = ()) -> list[Case]:
    """All of them in the folder of data; `only`: those whose set has one of these names, or begins with one of them."""
    found = [*listed(data), *sunnybrook_cases(data), *derived(data), *in_true_geometry(data), *biv_me(data)]
    return [case for case in found if not only or case.dataset.startswith(only)]


def listed(data: Path) -> Iterator[Case]:
    """Those of manifest.json."""
    path = data / "manifest.json"
    for name, facts in json.loads(path.read_text(encoding="utf-8")).items():
        yield Case(name, facts, lambda name=name, facts=facts: load(name, facts, data))


def load(case: str, facts: dict, data: Path) -> Pair:
    """Scan and truth of a case of the manifest."""
    scan = read(data / "images" / f"{case}.nii.gz")
    return scan, read(data / "labels" / f"{case}.nii.gz") if facts.get("labels") else None


def _facts(dataset: str, classes: tuple[int, ...], kind: str = "stack") -> dict[str, Any]:
    return {"dataset": dataset, "modality": "MR", "kind": kind, "classes": list(classes), "labels": bool(classes)}


def _stack_case(name: str, dataset: str, data: Path, change: Callable[[Volume, Volume], tuple[Volume, Volume]]) -> Case:
    """An open Sunnybrook stack, changed."""
    source = name.rsplit("/", 1)[-1]
    ed = source.endswith("ED")

    def pair() -> Pair:
        stack = sunnybrook.open_stack(data, source)
        return change(stack.scan, stack.labels)

    classes = (sunnybrook.MYO, sunnybrook.LV) if ed else (sunnybrook.LV,)
    return Case(name, _facts(dataset, classes), pair, short_axis=True)


def sunnybrook_cases(data: Path) -> Iterator[Case]:
    if (data / "scd" / "open").is_dir():
        for phase in sunnybrook.PHASES:
            for name in sunnybrook.names(sunnybrook.OPEN, (phase,)):
                yield _stack_case(name, f"scd-{phase.lower()}", data, lambda scan, labels: (scan, labels))


def derived(data: Path) -> Iterator[Case]:
    """Crops and turns of the open Sunnybrook stacks, as people's files are."""
    if not (data / "scd" / "open").is_dir():
        return
    for kind, crop in (("192", wide_crop), ("tight", tight_crop)):
        for phase in sunnybrook.PHASES:
            for name in sunnybrook.names(sunnybrook.OPEN, (phase,)):
                dataset = f"scd-{kind}-{phase.lower()}"
                yield _stack_case(f"{kind}/{name}", dataset, data, lambda s, t, crop=crop, name=name: crop(s, t, name))
    for angle in TURNS:
        rng = np.random.default_rng([SEED, angle])
        for patient in sorted(rng.choice(sunnybrook.OPEN, TURNED_STACKS, replace=False)):
            change = lambda s, t, angle=angle: (turned(s, angle), turned(t, angle))  # noqa: E731
            yield _stack_case(f"turn{angle}/{patient}_ED", f"scd-turn{angle}", data, change)


def wide_crop(scan: Volume, truth: Volume, name: str) -> tuple[Volume, Volume]:
    """WIDE_PIXELS wide and high."""
    return _cropped(scan, truth, name, np.array([WIDE_PIXELS, WIDE_PIXELS]), WIDE_JITTER_MM)


def tight_crop(scan: Volume, truth: Volume, name: str) -> tuple[Volume, Volume]:
    """TIGHT_MM wide and high, more only where the LV and a margin need it."""
    low, high = _box(truth)
    spacing = np.array(scan.geometry.spacing[:2])
    margin = _rng(name).uniform(*MARGINS_MM)
    size = np.ceil(np.maximum(TIGHT_MM, (high - low + 1) * spacing + 2 * margin) / spacing).astype(int)
    return _cropped(scan, truth, name, size, TIGHT_JITTER_MM)


def _cropped(scan: Volume, truth: Volume, name: str, size: np.ndarray, jitter_mm: float) -> tuple[Volume, Volume]:
    """Columns and rows, `size` of them, around the whole heart: its middle is that of the LV, RV_MM to the side on which the
    right ventricle lies, and up to jitter_mm elsewhere. The LV keeps the least margin where the scan leaves it one."""
    low, high = _box(truth)
    spacing, full = np.array(scan.geometry.spacing[:2]), np.array(scan.geometry.size[:2])
    size, margin = np.minimum(size, full), MARGINS_MM[0] / spacing
    middle = (low + high + 1) / 2 + (_rng(name).uniform(-jitter_mm, jitter_mm, 2) - (RV_MM, 0.0)) / spacing
    start = np.clip(middle - size / 2, high + 1 + margin - size, low - margin)
    i, j = (int(n) for n in np.clip(np.rint(start), 0, full - size))
    columns, rows = (int(n) for n in size)

    def part(volume: Volume) -> Volume:
        geometry = volume.geometry.part((i, j, 0), (columns, rows, volume.geometry.size[2]))
        return Volume(np.ascontiguousarray(volume.array[:, j : j + rows, i : i + columns]), geometry, volume.name)

    return part(scan), part(truth)


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng([SEED, *name.encode()])


def _box(truth: Volume) -> tuple[np.ndarray, np.ndarray]:
    """First and last column and row of what is drawn."""
    where = np.argwhere((truth.array > 0) & (truth.array != UNKNOWN))[:, :0:-1]
    return where.min(axis=0), where.max(axis=0)


def turned(volume: Volume, angle: int) -> Volume:
    """Turned in its plane by that many degrees; the axes are said to be what they were, as in a file without true ones."""
    geometry, quarters = volume.geometry, angle // 90
    swap = (1, 0, 2) if quarters % 2 else (0, 1, 2)
    size, spacing = (tuple(values[a] for a in swap) for values in (geometry.size, geometry.spacing))
    array = np.ascontiguousarray(np.rot90(volume.array, quarters, axes=(1, 2)))
    return Volume(array, replace(geometry, size=size, spacing=spacing), volume.name)


def in_true_geometry(data: Path) -> Iterator[Case]:
    folder = data / "scd" / "true_geometry"
    for patient, labelled in sunnybrook.TRUE_GEOMETRY.items() if folder.is_dir() else ():
        for name in sunnybrook.names([patient]):
            classes = ((sunnybrook.MYO, sunnybrook.LV) if name.endswith("ED") else (sunnybrook.LV,)) if labelled else ()

            def pair(name: str = name, labelled: bool = labelled) -> Pair:
                if not labelled:
                    return read(folder / "images" / f"{name}.nii.gz"), None
                stack = sunnybrook.true_stack(data, name)
                return stack.scan, stack.labels

            yield Case(f"true/{name}", _facts(f"scd-true-{name[-2:].lower()}", classes), pair, short_axis=True)


def biv_me(data: Path) -> Iterator[Case]:
    """The first time point of each plane, and the short axis as one stack."""
    folder = data / "bivme"
    short, long = (sorted(folder.glob(f"{kind}_*.nii.gz")) for kind in ("sax", "lax"))
    if short:
        read_stack = lambda: (stacked([first_frame(path) for path in short]), None)  # noqa: E731
        yield Case("bivme/sax_stack", _facts("bivme-sax", ()), read_stack, short_axis=True)
    for path in (*short, *long):
        name = path.name.removesuffix(".nii.gz")
        yield Case(f"bivme/{name}", _facts(f"bivme-{name[:3]}", ()), lambda path=path: (first_frame(path), None))


def first_frame(path: Path) -> Volume:
    """The first time point of an image with four axes."""
    return Volume.of(sitk.ReadImage(str(path))[..., 0], path.name.removesuffix(".nii.gz"), str(path))


def stacked(single: list[Volume]) -> Volume:
    """Parallel slices of one voxel's thickness as one volume, in the order in which they lie. ValueError if they are not
    parallel and as far from each other all along."""
    normal = single[0].geometry.axes[:, 2]
    single = sorted(single, key=lambda v: float(np.dot(v.geometry.origin, normal)))
    origins = np.array([v.geometry.origin for v in single])
    steps = np.diff(origins, axis=0)
    apart = float(np.linalg.norm(steps, axis=1).mean())
    same = all(np.allclose(v.geometry.axes, single[0].geometry.axes, atol=1e-3) for v in single)
    if not same or np.abs(steps - apart * normal).max() > 0.1:
        raise ValueError("These slices do not lie behind each other at equal distances.")
    first = single[0].geometry
    geometry = Geometry((*first.size[:2], len(single)), first.origin, (*first.spacing[:2], apart), first.direction)
    return Volume(np.concatenate([v.array for v in single]), geometry, "stack")
