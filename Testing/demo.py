"""The product in one go, on a phantom that is made on the spot: make it, segment it, compare with the exact truth.

python Testing/demo.py FOLDER      leaves the volume, the .seg.nrrd, the report and pictures in FOLDER
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from SIFALib.imaging import metrics, pictures, reading
from SIFALib.imaging.seg_nrrd import read_seg_nrrd


def sifa(*arguments: str | Path) -> None:
    """Run the command line, as a user would."""
    words = [str(a) for a in arguments]
    print("$ sifa", *words, flush=True)
    subprocess.run([sys.executable, "-m", "SIFALib", *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1006)
    arguments = parser.parse_args()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for modality in ("ct", "mr"):
        image, truth = folder / f"phantom-{modality}.nrrd", folder / f"phantom-{modality}-truth.nrrd"
        result, report = folder / f"phantom-{modality}.seg.nrrd", folder / f"phantom-{modality}-report.json"
        sifa("phantom", image, "--modality", modality, "--seed", str(arguments.seed), "--labels", truth)
        sifa("segment", image, result, "--report", report, "--picture", folder / f"phantom-{modality}.png")
        compare(image, truth, result, report)
    print(f"\nLook at the pictures in {folder}/, and open the .nrrd files in 3D Slicer.")


def compare(image: Path, truth: Path, result: Path, report: Path) -> None:
    """Print Dice, surface distance and volumes against the exact truth; write a picture of both."""
    scan, true = reading.read(image), reading.read(truth)
    labels, structures = read_seg_nrrd(result)
    dice = metrics.dice_per_structure(labels, true, structures)
    distance = metrics.assd_per_structure(labels, true, structures)
    print(f"\n{'structure':30} {'Dice':>6} {'ASSD mm':>8} {'ml':>7} {'true ml':>8}")
    for s in structures:
        ml = [(v.array == s.value).sum() * v.geometry.voxel_ml for v in (labels, true)]
        print(f"{s.name:30} {dice[s.id]:6.3f} {distance[s.id]:8.2f} {ml[0]:7.1f} {ml[1]:8.1f}")
    seconds = json.loads(report.read_text(encoding="utf-8"))["seconds"]
    print(
        f"{'mean':30} {sum(dice.values()) / len(dice):6.3f}      {sum(seconds.values()):.1f} s for the segmentation\n"
    )
    pictures.overlay(scan, labels, result.with_name(f"{image.stem}-and-truth.png"), truth=true)


if __name__ == "__main__":
    main()
