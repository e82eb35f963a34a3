"""How large the runs of bench_adaptation are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How large all runs of a table are. size: pixels a side; phantoms: of each domain, a fifth of them to choose by."""

    width: int
    size: int
    spacing_mm: float
    slice_spacing_mm: float
    batch: int
    start_iterations: int
    iterations: int
    judgements: int
    phantoms: int
    test_phantoms: int


SCALES = {
    "tiny": Scale(4, 64, 2.25, 4.5, 4, 300, 120, 3, 8, 4),
    "small": Scale(4, 96, 1.5, 3.0, 4, 900, 400, 5, 20, 8),
    "compact": Scale(8, 128, 1.25, 2.5, 8, 3000, 4000, 20, 60, 10),
}


def describe(scale: Scale) -> str:
    return (
        f"width {scale.width}, {scale.size} x {scale.size} pixels of {scale.spacing_mm:g} mm, batch {scale.batch}, "
        f"{scale.iterations} iterations, {scale.phantoms} phantoms of each domain, {scale.test_phantoms} test phantoms"
    )
