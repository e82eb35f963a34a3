"""Our encoder and segmentation heads against the authors' TensorFlow code, on the full set of golden vectors.

    python Testing/Benchmarks/bench_parity.py [--golden FOLDER] [--json FILE]

Prints one line per item: the part that is off most, max |difference| / max |reference|, what is allowed,
the verdict. Ends with exit status 1 if anything is off by more than is allowed, 2 if there are no golden
vectors.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SIFASegmentation"), str(ROOT / "Testing" / "Python")]

from golden import parity  # noqa: E402

SUBSET_FOLDER = Path(parity.__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--golden", type=Path, default=ROOT.parent / "shared" / "method" / "golden")
    parser.add_argument(
        "--json", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "parity.json"
    )
    parser.add_argument("--write-subset", action="store_true", help="only make the subset that the tests use")
    options = parser.parse_args()

    rows = []
    print(
        f"{'variant':9} {'item':27} {'parts':>5} {'max|d|/max|ref|':>15} {'allowed':>8}  verdict  worst part"
    )
    for variant in parity.FOLDERS:
        try:
            references, fake_b = parity.full_references(options.golden, variant)
        except FileNotFoundError as error:
            print(error)
            return 2
        if options.write_subset:
            parity.write_subset(references, SUBSET_FOLDER / f"{variant}.npz")
            continue
        for row in parity.measure(variant, references, fake_b):
            rows.append(row)
            verdict = "equal" if row.passed else "OFF"
            print(
                f"{row.variant:9} {row.item:27} {row.parts:5d} {row.deviation:15.1e} {row.tolerance:8.0e}"
                f"  {verdict:7}  {row.worst.removeprefix('Model/')}",
                flush=True,
            )
    if options.write_subset:
        return 0
    passed = all(row.passed for row in rows)
    print(f"{sum(row.passed for row in rows)} of {len(rows)} items equal the authors' code.")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"passed": passed, "rows": [{**asdict(row), "passed": row.passed} for row in rows]}
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
