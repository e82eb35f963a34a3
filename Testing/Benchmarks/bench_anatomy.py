"""Do real hearts lie within the phantom's? The same measures of real and made-up label volumes, side by side.

    python Testing/Benchmarks/bench_anatomy.py --data ../shared/data [--phantoms 60] [--sick 60] [--spacing 2]

Real: the four chambers of healthy adults in `hearts/` (19 of Rodero et al., PLOS Computational Biology 2021), and experts'
contours of the left ventricle at end-diastole in `scd/` (29 patients with heart failure, hypertrophy or health). Made-up:
healthy adults at end-diastole against the first, adults in all conditions against the second. The tables say the median
and the 5 to 95 % range of both, and how many of the real ones lie within the phantom's range. Nine in ten would, if the
real ones were phantoms. How measures go together is compared by the correlations of their logarithms.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from heart_measures import LV, MYO, measures
from SIFALib import phantom
from SIFALib.imaging import Volume
from SIFALib.phantom.conditions import draw_person
from SIFALib.phantom.person import Person
from SIFALib.phantom.tissues import Tissue as T

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 2_000_000  # training and its validation stay below
OF_HEARTS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 11: 7, 12: 7}
"""Label in `hearts/` -> ours; of the pulmonary artery its wall counts, too: in most of them the lumen is missing."""
OF_TISSUES: dict[int, tuple[T, ...]] = {
    1: (T.MYOCARDIUM,),
    2: (T.LA_BLOOD, T.LA_APPENDAGE),
    3: (T.LV_BLOOD, T.LV_PAPILLARY, T.VALVE),
    4: (T.ASCENDING_AORTA,),
    5: (T.RV_BLOOD, T.RV_TRABECULA),
    6: (T.RA_BLOOD,),
    7: (T.PULMONARY_ARTERY,),
}
TOGETHER = ("LV ml", "MYO ml", "RV ml", "LA ml", "RA ml", "LV length", "LV diameter middle", "wall", "AA diameter tube")
LEAST_SECTION_MM2 = 150.0  # of blood: what is less is the very apex

Measures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--phantoms", type=int, default=60, help="healthy adults")
    parser.add_argument("--sick", type=int, default=60, help="adults in all conditions")
    parser.add_argument("--spacing", type=float, default=2.0, help="mm, of the phantoms")
    parser.add_argument("--json", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "anatomy.json")
    options = parser.parse_args()
    if not (options.data / "hearts").is_dir():
        raise SystemExit(f"{options.data} has no folder 'hearts'; give the folder of the real data with --data.")
    healthy = list(phantoms(options.phantoms, options.spacing, lambda p: p.condition == "normal"))
    anybody = list(phantoms(options.sick, options.spacing, lambda p: True))
    result: dict[str, object] = {"phantom_version": phantom.VERSION}
    for title, real, made in (
        ("hearts of healthy adults", list(hearts(options.data / "hearts")), healthy),
        ("contours of patients", list(contours(options.data / "scd")), [as_contours(m) for m in anybody]),
    ):
        rows = compared(real, made)
        result[title] = {"rows": rows, "correlations": correlations(real, made), "real": real, "phantom": made}
        sys.stdout.write(f"\n{title}: {len(real)} real, {len(made)} phantoms\n{table(rows)}\n")
        sys.stdout.write(together(real, made))
    options.json.parent.mkdir(exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def phantoms(count: int, spacing_mm: float, wanted: Callable[[Person], bool]) -> Iterator[Measures]:
    """Measures of the first adults of this kind, at end-diastole."""
    table = np.zeros(256, np.uint8)
    for label, tissues in OF_TISSUES.items():
        table[list(tissues)] = label
    seed = FIRST_SEED
    while count:
        person = draw_person(seed)
        if person.growth == 1 and wanted(person):
            made, _ = phantom.anatomy(seed, spacing_mm, systole=0.0)
            yield measures(Volume(table[made.array], made.geometry, made.name))
            count -= 1
        seed += 1


def hearts(folder: Path) -> Iterator[Measures]:
    table = np.zeros(256, np.uint8)
    for theirs, ours in OF_HEARTS.items():
        table[theirs] = ours
    for path in sorted(folder.glob("*.nii.gz")):
        volume = Volume.of(sitk.ReadImage(str(path)), path.name)
        yield measures(Volume(table[volume.array], volume.geometry, volume.name))


def contours(folder: Path) -> Iterator[Measures]:
    """What a stack of short-axis contours tells: `hearts` measures the same of whole ventricles."""
    paths = [*(folder / "open" / "labels").glob("*_ED*.nii.gz"), *folder.glob("contours_of_unlabelled/*_ED.nii.gz")]
    for path in sorted(paths, key=lambda p: p.name):
        volume = Volume.of(sitk.ReadImage(str(path)), path.name)
        pixel_mm2, voxel_ml = float(np.prod(volume.geometry.spacing[:2])), volume.geometry.voxel_ml
        blood = (volume.array == LV).sum(axis=(1, 2)) * pixel_mm2
        muscle = (volume.array == MYO).sum(axis=(1, 2)) * pixel_mm2
        whole = (blood > LEAST_SECTION_MM2) & (muscle > 0)
        inner, outer = (2 * np.sqrt(area[whole] / np.pi) for area in (blood, blood + muscle))
        middle = len(inner) // 2
        yield {
            "LV ml": float((volume.array == LV).sum()) * voxel_ml,
            "LV diameter middle": float(inner[middle]),
            "section wall middle": float((outer - inner)[middle]) / 2,
            "section wall": float((outer - inner).mean()) / 2,
            "wall/diameter": float((outer - inner)[middle] / inner[middle]) / 2,
        }


def as_contours(m: Measures) -> Measures:
    walls = [m[f"section wall {name}"] for name in ("basal", "middle", "apical")]
    kept = {name: m[name] for name in ("LV ml", "LV diameter middle", "section wall middle")}
    ratio = m["section wall middle"] / m["LV diameter middle"]
    return kept | {"section wall": float(np.mean(walls)), "wall/diameter": ratio}


def compared(real: list[Measures], made: list[Measures]) -> dict[str, dict[str, list[float] | float]]:
    """Measure -> 5, 50 and 95 % of both, and the share of the real ones within the phantom's 5 to 95 %."""
    rows: dict[str, dict[str, list[float] | float]] = {}
    for name in real[0]:
        values = [np.array([m.get(name, np.nan) for m in group]) for group in (real, made)]
        theirs, ours = (v[np.isfinite(v)] for v in values)
        if len(theirs) and len(ours):
            low, middle, high = np.percentile(ours, (5, 50, 95))
            rows[name] = {
                "real": [float(q) for q in np.percentile(theirs, (5, 50, 95))],
                "phantom": [float(low), float(middle), float(high)],
                "within": float(((theirs >= low) & (theirs <= high)).mean()),
            }
    return rows


def table(rows: dict[str, dict[str, list[float] | float]]) -> str:
    lines = [f"{'measure':24} {'real: median [5, 95 %]':>28} {'phantom':>28}  within"]
    for name, row in rows.items():
        cells = []
        for values in (row["real"], row["phantom"]):
            low, middle, high = values if isinstance(values, list) else [values] * 3
            cells.append(f"{middle:8.2f} [{low:7.2f}, {high:7.2f}]")
        lines.append(f"{name:24} {cells[0]:>28} {cells[1]:>28}  {row['within']:5.0%}")
    shares = np.array([row["within"] for row in rows.values()])
    return "\n".join(
        [*lines, f"mean share within {shares.mean():.0%}; below a half in {(shares < 0.5).sum()} measures"]
    )


def correlations(real: list[Measures], made: list[Measures]) -> dict[str, list[float]]:
    """Pair of TOGETHER -> correlation of logarithms in real and made-up hearts."""
    names = [n for n in TOGETHER if n in real[0] and n in made[0]]
    found: dict[str, list[float]] = {}
    matrices = []
    for group in (real, made):
        values = np.array([[m.get(n, np.nan) for n in names] for m in group])
        matrices.append(np.corrcoef(np.log(values[np.isfinite(values).all(axis=1)]).T))
    for i, first in enumerate(names):
        for j, second in enumerate(names[:i]):
            found[f"{first} ~ {second}"] = [float(matrix[i, j]) for matrix in matrices]
    return found


def together(real: list[Measures], made: list[Measures]) -> str:
    pairs = correlations(real, made)
    farthest = sorted(pairs.items(), key=lambda item: -abs(item[1][0] - item[1][1]))[:8]
    lines = [f"  {name:40} real {r:5.2f}  phantom {p:5.2f}" for name, (r, p) in farthest]
    return "correlations that differ most:\n" + "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
