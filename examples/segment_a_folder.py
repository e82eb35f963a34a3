"""Segment every scan of a folder and print the volumes: python examples/segment_a_folder.py SCANS RESULTS

`sifa batch` does the same with more care (it goes on where it was stopped); this shows the library from within.
"""

from __future__ import annotations

import sys
from pathlib import Path

from SIFALib import imaging, inference, models, networks
from SIFALib.support import errors


def main(scans: Path, results: Path) -> None:
    results.mkdir(parents=True, exist_ok=True)
    chosen = models.models_of(models.default_store())  # those that come along, of which each scan decides
    segmenters = {package.card.key: networks.load_segmenter(package) for package in chosen.packages}
    for path in sorted(p for p in scans.iterdir() if p.name.endswith((".nii.gz", ".nrrd", ".mha")) or p.is_dir()):
        try:
            scan = imaging.read(path)
            card = inference.serving(chosen, scan).card
            result = inference.segment(scan, segmenters[card.key], card)
        except (errors.VolumeError, errors.NoHeartFound) as error:  # a damaged file, a scan of something else
            print(f"{path.name}: {error}")
            continue
        imaging.write(result.labels, results / f"{path.name.split('.')[0]}.nii.gz")  # on the grid of the scan
        volumes = ", ".join(f"{name} {ml:.0f} ml" for name, ml in result.report.volumes_ml.items())
        print(f"{path.name}: {volumes}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
