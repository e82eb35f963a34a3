"""The README's picture of real scans: as they are above, with the bundled model's outlines below.

    python Testing/Pictures/render_real.py --data ../shared/data

Only scans whose licence allows showing them, which README.md names with their authors. The scans are not part of this
project; the data folder holds `images/CASE.nii.gz`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from SIFALib.imaging import pictures, reading
from SIFALib.inference.segmentation import segment
from SIFALib.models import store
from SIFALib.networks import loading

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "SIFASegmentation" / "Resources" / "Screenshots" / "real-scans.png"
CASES = ("cta_chest", "hvsmr2_10002_s024", "hvsmr2_10004_s053")
SIZE = 200  # pixels of each view
SHADES = 8  # grey values and colours are rounded to multiples of it: the file is half as large


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--model", type=Path, help="folder of a model package (default: the bundled one)")
    arguments = parser.parse_args()
    missing = [c for c in CASES if not image(arguments.data, c).is_file()]
    if missing:
        raise SystemExit(
            f"{image(arguments.data, missing[0])} does not exist; give the folder of the real scans with --data."
        )
    package = store.read_package(arguments.model) if arguments.model else store.default_store().default()
    segmenter = loading.load_segmenter(package)
    with tempfile.TemporaryDirectory() as folder:
        columns = []
        for case in CASES:
            scan = reading.read(image(arguments.data, case))
            result = segment(scan, segmenter, package.card)
            path = Path(folder) / f"{case}.png"
            pictures.overlay(scan, result.labels, path, size=SIZE)
            columns.append(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
        pictures.write_png(np.concatenate(columns, axis=1) // SHADES * SHADES, PICTURE)
    print(PICTURE)


def image(data: Path, case: str) -> Path:
    return data / "images" / f"{case}.nii.gz"


if __name__ == "__main__":
    main()
