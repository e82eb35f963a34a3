"""How much of the left ventricle's blood, as experts outline it, looks like muscle? Real MR and random slices side by side.

    python Testing/Benchmarks/bench_trabeculae.py --data ../shared/data [--slices 4000] [--anatomies FOLDER] [--json FILE]

Real: short-axis slices of the 15 Sunnybrook patients whom models may learn from, contours as `sunnybrook.aligned` has them.
Random: MR's slices across the heart, as for training, without and with `phantom.slices.meshwork`. 0 is the grey value
of the cavity's core, 1 the median of the compact muscle (at end-systole, where nobody drew it, of the ring of 1.5 to 4 mm
around the cavity). The table says the mean of that by the depth within the outline, and how much of the cavity is more
muscle than blood: median and 10 to 90 % of the slices.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import sunnybrook
from scipy.ndimage import binary_erosion, distance_transform_edt
from SIFALib.phantom.slices import anatomies as phantom_slices
from SIFALib.phantom.slices import meshwork
from SIFALib.phantom.slices.randomisation import Randomisation
from sunnybrook import LV, MYO

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 2_000_000  # training and its validation stay below
SIZE = 128
DEPTHS_MM = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
LEAST_MM2, LEAST_PIXELS = 150.0, 10  # of a cavity's section; of compact muscle
LEAST_STEP = 0.15  # of the slice's range: with less between blood and muscle nothing can be told
OTHERS = (2, 4)  # atrium and aorta: a slice that shows them is none across the ventricle

Slice = tuple[np.ndarray, np.ndarray, float]  # image, labels, pixel size in mm
Profile = tuple[list[float], float]  # by DEPTHS_MM (NaN: not that deep), share that is more muscle than blood


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--anatomies", type=Path, help="folder of tissue maps (default: eight, made for this)")
    parser.add_argument("--slices", type=int, default=4000, help="random slices; one in ten shows what is measured")
    parser.add_argument("--json", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "trabeculae.json")
    arguments = parser.parse_args()
    if not (arguments.data / "scd").is_dir():
        raise SystemExit(f"{arguments.data} has no folder 'scd'; give the folder of the real scans with --data.")
    folder = arguments.anatomies or arguments.json.parent / "realism" / "anatomies"
    if arguments.anatomies is None:
        phantom_slices.make_anatomies(folder, range(FIRST_SEED, FIRST_SEED + 8), 2.0)
    anatomies = phantom_slices.load_anatomies(folder)
    rows = {f"real, {phase}": real_slices(arguments.data, phase) for phase in sunnybrook.PHASES}
    result = {name: summary(slices) for name, slices in rows.items()}
    with mock.patch.object(meshwork, "SHARE", 0.0):
        result["random, without the meshwork"] = summary(random_slices(anatomies, arguments.slices))
    result["random"] = summary(random_slices(anatomies, arguments.slices))
    depths = [f"{low:g}-{high:g} mm" for low, high in itertools.pairwise(DEPTHS_MM)]
    print(f"{'':30}{'slices':>7}{'more muscle':>18}" + "".join(f"{depth:>9}" for depth in depths))
    for name, row in result.items():
        share = "{:.2f} [{:.2f}, {:.2f}]".format(*row["more muscle than blood"])
        print(f"{name:30}{row['slices']:7}{share:>18}" + "".join(f"{value:9.2f}" for value in row["by depth"]))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def real_slices(data: Path, phase: str) -> Iterator[Slice]:
    for name in sunnybrook.names(sunnybrook.TRAINING, (phase,)):
        stack = sunnybrook.aligned(sunnybrook.contoured_stack(data, name))
        for image, labels in zip(stack.scan.array, stack.labels.array, strict=True):
            yield image.astype(float), labels, stack.scan.geometry.spacing[0]


def random_slices(anatomies: phantom_slices.Anatomies, count: int) -> Iterator[Slice]:
    mr = Randomisation(ct=0, any=0, coarse=0, no_heart=0)
    for number in range(count):
        shown = phantom_slices.describe_slice(anatomies, SIZE, FIRST_SEED, number, mr)
        if shown["plane"] == "short":
            image, labels = phantom_slices.random_slice(anatomies, SIZE, FIRST_SEED, number, mr)
            if not np.isin(labels, OTHERS).any():
                yield image, labels, float(str(shown["pixel_mm"]))


def summary(slices: Iterable[Slice]) -> dict[str, object]:
    measured = [profile for profile in (measure(*each) for each in slices) if profile is not None]
    shares = np.array([share for _, share in measured])
    return {
        "slices": len(measured),
        "more muscle than blood": [float(v) for v in (np.median(shares), *np.percentile(shares, (10, 90)))],
        "by depth": [float(v) for v in np.nanmean([profile for profile, _ in measured], axis=0)],
    }


def measure(image: np.ndarray, labels: np.ndarray, pixel_mm: float) -> Profile | None:
    """Of a slice; None where its cavity is small, or blood is hardly brighter than muscle."""
    cavity = labels == LV
    if cavity.sum() * pixel_mm**2 < LEAST_MM2:
        return None
    deep = distance_transform_edt(cavity) * pixel_mm
    off = distance_transform_edt(~cavity) * pixel_mm
    drawn = labels == MYO
    ring = binary_erosion(drawn, iterations=max(1, int(1.2 / pixel_mm))) if drawn.any() else (off > 1.5) & (off < 4)
    if ring.sum() < LEAST_PIXELS:
        return None
    blood, muscle = np.percentile(image[deep > 0.55 * deep.max()], 60), np.median(image[ring])
    if blood - muscle < LEAST_STEP * np.ptp(image):
        return None
    likeness = np.clip((blood - image) / (blood - muscle), -0.5, 1.5)
    by_depth = [
        float(likeness[band].mean()) if (band := (deep > low) & (deep <= high)).sum() > LEAST_PIXELS // 2 else np.nan
        for low, high in itertools.pairwise(DEPTHS_MM)
    ]
    return by_depth, float((likeness[cavity] > 0.5).mean())


if __name__ == "__main__":
    main()
