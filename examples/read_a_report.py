"""What a report says, and whether to trust it: python examples/read_a_report.py REPORT.json

`sifa segment SCAN OUT --report REPORT.json` and `sifa batch` write such reports.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(path: Path) -> None:
    report = json.loads(path.read_text(encoding="utf-8"))
    for structure, millilitres in report["volumes_ml"].items():
        dice = report["expected_dice"][structure]
        sure = "unknown" if dice is None else f"{dice:.2f}"
        print(f"{structure}: {millilitres:.1f} ml, expected Dice {sure}")
    warnings = [flag["message"] for flag in report["flags"] if flag["warns"]]
    print("\n".join(warnings) or "Nothing speaks against it; look at the outlines all the same.")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
