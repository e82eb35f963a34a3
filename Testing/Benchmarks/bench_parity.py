"""Our networks, losses, gradients and iterations against the authors' TensorFlow code, on all golden vectors.

    python Testing/Benchmarks/bench_parity.py [--golden FOLDER] [--variants tmi2020 aaai2019] [--only PART ...]

Parts: networks (each alone, layer by layer), graph (all outputs and loss terms), gradients (of both schedules), and
iterations (two, in the authors' order, with every update). Prints one line per item: the part that is off most, max
|difference| / max |reference| (of directions: 1 - cosine), what is allowed, the verdict. Takes some minutes. Ends with
exit status 1 if anything is off by more than is allowed, 2 if there are no golden vectors.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "SIFASegmentation"), *(str(ROOT / "Testing" / "Python" / part) for part in ("", "fixtures"))]

from golden import full_set, graph, method_parity, networks_parity, references  # noqa: E402
from golden.references import FOLDERS, Parts  # noqa: E402

SUBSET_FOLDER = Path(references.__file__).parent
TOLERANCES = networks_parity.TOLERANCES | method_parity.TOLERANCES
CASES = ("eval_n1", "eval_n2", "train_n1", "train_n2")
PARTS = {"graph": ("graph ", "terms "), "gradients": ("gradients ", "shared gradients "), "iterations": ("iteration ",)}
"""Part of the method -> beginnings of its items."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--golden", type=Path, default=ROOT.parent / "shared" / "method" / "golden")
    parser.add_argument("--variants", nargs="+", choices=FOLDERS, default=list(FOLDERS))
    parser.add_argument("--only", nargs="+", choices=("networks", *PARTS), default=["networks", *PARTS])
    parser.add_argument("--json", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "parity.json")
    parser.add_argument("--write-subset", action="store_true", help="only make the subset that the tests use")
    options = parser.parse_args()

    rows = []
    for variant in options.variants:
        try:
            networks = full_set.networks(options.golden, variant)
            method = full_set.method(options.golden, variant)
        except FileNotFoundError as error:
            print(error)
            return 2
        if options.write_subset:
            write_subset(variant, networks, method)
            continue
        if "networks" in options.only:
            rows += shown(references.compare(variant, networks_parity.computed(variant), networks, TOLERANCES))
        for part in (part for part in PARTS if part in options.only):
            wanted = {key: value for key, value in method.items() if key[0].startswith(PARTS[part])}
            rows += shown(references.compare(variant, computed(variant, part), wanted, TOLERANCES))
    if options.write_subset:
        return 0
    passed = all(row.passed for row in rows)
    print(f"{sum(row.passed for row in rows)} of {len(rows)} items equal the authors' code.")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    report = {"passed": passed, "rows": [{**asdict(row), "passed": row.passed} for row in rows]}
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0 if passed else 1


def computed(variant: str, part: str) -> Iterable[tuple[str, Parts]]:
    made = graph.state(variant)
    if part == "graph":
        return method_parity.graphs(made, CASES)
    if part == "gradients":
        return itertools.chain(method_parity.faithful_gradients(made), method_parity.shared_gradients(made))
    return method_parity.iterations(made, 2)


def shown(rows: Iterable[references.Row]) -> list[references.Row]:
    kept = []
    for row in rows:
        if not kept:
            heads = f"{'variant':9} {'item':33} {'parts':>5} {'deviation':>9} {'allowed':>8}"
            print(f"\n{heads}  verdict  worst part")
        kept.append(row)
        print(
            f"{row.variant:9} {row.item:33} {row.parts:5d} {row.deviation:9.1e} {row.tolerance:8.0e}"
            f"  {'equal' if row.passed else 'OFF':7}  {row.worst.removeprefix('Model/')}",
            flush=True,
        )
    return kept


def write_subset(variant: str, networks: references.References, method: references.References) -> None:
    chosen = {
        key: value
        for key, value in method.items()
        if key[0].startswith(method_parity.IN_TESTS) and key[0] != method_parity.TOO_SLOW_FOR_TESTS
    }
    path = SUBSET_FOLDER / f"{variant}.npz"
    references.write_subset(networks | chosen, path, fewer={"e_B train moving": 64})
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    sys.exit(main())
