"""Random grey values of the phantom's tissues for training: wider than the phantom's own CT and MR, on purpose.

A contrast speaks of every id that a tissue map may hold: whatever is not named here stands with its kind, which is
read from the tables of `phantom.tissues`, so that a new tissue needs no line in this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..tissues import BLOOD, CONTRAST_PHASES, CT_HU, LEFT_BLOOD, MR_SIGNAL, RIGHT_BLOOD, WALLS, Tissue

T = Tissue
IDS = 256  # that a tissue map may hold
PHASE_SHARES = (0.54, 0.23, 0.13, 0.10)  # of CONTRAST_PHASES
# Relative signals (least, most) of MR sequences, by the kinds of tissue below. Steady state: blood bright, fat as bright or
# suppressed. Gradient echo with gadolinium: blood alone is bright (Pace et al., Sci Data 2024). Native gradient echo:
# little contrast, inflow. Black blood: spin echo. Late enhancement: the muscle is nulled.
SEQUENCE_KINDS = ("blood", "muscle", "fat", "fluid", "organ")
SEQUENCES: dict[str, tuple[tuple[float, float], ...]] = {
    "steady state": ((0.9, 1.1), (0.2, 0.55), (0.4, 1.4), (0.8, 1.6), (0.2, 0.65)),
    "gadolinium": ((0.8, 1.2), (0.1, 0.5), (0.05, 0.4), (0.03, 0.4), (0.25, 0.95)),
    "native": ((0.5, 1.1), (0.3, 0.7), (0.5, 1.7), (0.1, 0.6), (0.3, 0.9)),
    "black blood": ((0.0, 0.22), (0.4, 0.75), (0.3, 1.5), (0.1, 1.0), (0.25, 0.75)),
    "late enhancement": ((0.5, 1.1), (0.01, 0.3), (0.2, 1.3), (0.03, 0.5), (0.1, 0.6)),
}
SEQUENCE_SHARES = (0.38, 0.38, 0.09, 0.07, 0.08)
HEART_PLANE_SHARES = (0.64, 0.07, 0.08, 0.05, 0.16)  # across and along the heart: cine, and scars
# Of the range, between blood and its wall in `any`: what cannot be told apart teaches nothing.
LEAST_STEP = 0.13


@dataclass(frozen=True, eq=False)
class Contrast:
    """What every tissue looks like. kind: ct, mr or any. name: the phase of contrast medium, the sequence, or any.

    float32 [256] over tissue ids, in HU (ct) or relative signals: `mean`, and the standard deviations of its fine
    `texture` and of its slow variations, `flow` (mixing contrast medium, turbulent blood).
    """

    kind: str
    name: str
    mean: np.ndarray
    texture: np.ndarray
    flow: np.ndarray


def _groups() -> dict[str, list[int]]:
    """Tissue ids by kind; every tissue is in exactly one, by name or by its native HU and its MR signal.

    "right" is all blood that is not left: also of veins, of the lungs' vessels and of a false lumen.
    """
    left = [int(t) for t in LEFT_BLOOD]
    right = [int(t) for t in dict.fromkeys((*RIGHT_BLOOD, *BLOOD)) if t not in LEFT_BLOOD]
    groups: dict[str, list[int]] = {"left": left, "right": right, "muscle": [*map(int, WALLS), T.ATRIAL_WALL]}
    groups |= {name: [] for name in ("hollow", "fat", "fluid", "organ", "bone")}
    named = {t for members in groups.values() for t in members}
    for tissue in (t for t in T if int(t) not in named):
        hu, signal = float(CT_HU["none"][tissue, 0]), float(MR_SIGNAL[tissue])
        # The table's shell is as dark as fat in CT, and not seen in MR.
        hollow = hu < -300 or (hu < -60 and signal == 0)
        kind = "hollow" if hollow else "fat" if hu < -60 else "bone" if hu > 140 else "organ"
        if kind == "organ" and hu < 40 and signal > 0.9:
            kind = "fluid"
        groups[kind].append(int(tissue))
    return groups


GROUPS = _groups()


def group_of(tissue: int) -> list[int]:
    """All tissues of the same kind; an id that no tissue has stands for itself."""
    return next((members for members in GROUPS.values() if tissue in members), [tissue])


def random_contrast(rng: np.random.Generator, kind: str, amount: float = 1.0, plane: str = "") -> Contrast:
    """Of one of the kinds ct, mr, any, in a plane of that name."""
    if kind == "mr":
        return mr_contrast(rng, amount, plane)
    return ct_contrast(rng, amount) if kind == "ct" else any_contrast(rng, amount)


def ct_contrast(rng: np.random.Generator, amount: float = 1.0) -> Contrast:
    """HU in a random phase of contrast medium; with `amount` 0, `mean` is the arterial table itself."""
    phase = str(rng.choice(CONTRAST_PHASES, p=PHASE_SHARES))
    table = CT_HU[phase]
    plain, mean = np.full(IDS, 40.0), np.full(IDS, 40.0)
    plain[: len(T)] = CT_HU["arterial"][:, 0]
    mean[: len(T)] = table[:, 0] + np.clip(rng.normal(0, 1.2, len(T)), -2.2, 2.2) * table[:, 1]
    left = _left_hu(rng, phase)
    right = left * rng.uniform(0.85, 1.1)
    if phase in ("arterial", "mixed"):
        right = rng.choice([left * rng.uniform(0.15, 0.6), left * rng.uniform(0.6, 1.05), rng.uniform(200, 900)])
    chambers = 0.16 if rng.random() < 0.3 else 0.035  # poorly mixed blood, as in shunts, differs by chamber
    uptake = rng.uniform(0.04, 0.34) * min(left, 450.0) if phase != "none" else 0.0
    muscle = rng.uniform(35, 60) + uptake
    _set(rng, mean, GROUPS["left"], left, chambers * left)
    _set(rng, mean, GROUPS["right"], right, max(chambers, 0.1) * right)
    _set(rng, mean, GROUPS["muscle"], muscle, 5)
    mean[GROUPS["organ"]] += rng.normal(0, 8) + rng.uniform(0, 0.15) * left
    mean[T.LUNG_VESSEL] = rng.uniform(0.5, 1.1) * max(left, right)
    mean[T.LUNG] = rng.uniform(-930, -650)
    texture = np.full(IDS, rng.uniform(2, 12))
    texture[GROUPS["bone"]], texture[T.MARROW] = 60, rng.uniform(15, 80)
    texture[T.LUNG] = rng.uniform(15, 80)
    flow = np.full(IDS, rng.uniform(0, 8))
    flow[GROUPS["left"]] = left * rng.choice([0.02, rng.uniform(0.03, 0.15)])
    flow[GROUPS["right"]] = right * rng.choice([0.05, rng.uniform(0.1, 0.45)])
    flow[GROUPS["muscle"]] = rng.uniform(0, 22)
    flow[GROUPS["hollow"]] = 5
    return _contrast("ct", phase, plain + amount * (mean - plain), texture, flow)


def _left_hu(rng: np.random.Generator, phase: str) -> float:
    """HU of left blood; at 80 kV and in children far more than the usual 250 to 450."""
    if phase == "none":
        return float(rng.uniform(30, 60))
    if phase == "venous":
        return float(rng.uniform(95, 210))
    return float(np.clip(np.exp(rng.normal(6.0 if phase == "arterial" else 5.7, 0.33)), 150, 1000))


def mr_contrast(rng: np.random.Generator, amount: float = 1.0, plane: str = "") -> Contrast:
    """Relative signals of a random sequence; with `amount` 0, `mean` is the table of the steady state itself.

    plane: "short" or "long" for the sequences that are used there.
    """
    shares = HEART_PLANE_SHARES if plane in ("short", "long") else SEQUENCE_SHARES
    name = str(rng.choice(list(SEQUENCES), p=shares))
    plain, mean = np.full(IDS, 0.4), np.full(IDS, 0.4)
    plain[: len(T)] = MR_SIGNAL
    mean[: len(T)] = MR_SIGNAL * rng.normal(1, 0.12, len(T))
    level = {kind: float(rng.uniform(*ends)) for kind, ends in zip(SEQUENCE_KINDS, SEQUENCES[name], strict=True)}
    if name == "steady state" and rng.random() < 0.45:
        level["fat"] *= 0.35  # suppressed
    chambers = 0.15 if rng.random() < 0.35 else 0.04
    right = level["blood"] * rng.choice([rng.uniform(0.8, 1.15), rng.uniform(0.3, 1.4)], p=[0.75, 0.25])
    _set(rng, mean, GROUPS["left"], level["blood"], chambers * level["blood"])
    _set(rng, mean, GROUPS["right"], right, max(chambers, 0.07) * right)
    _set(rng, mean, GROUPS["muscle"], level["muscle"], 0.025)
    _set(rng, mean, GROUPS["fat"], level["fat"], 0.06)
    _set(rng, mean, GROUPS["fluid"], level["fluid"], 0.1)
    mean[GROUPS["organ"]] *= level["organ"] / 0.4
    mean[T.MUSCLE] = level["muscle"] * rng.uniform(0.6, 1.2)
    mean[GROUPS["bone"]] = np.abs(rng.normal(0.1, 0.12, len(GROUPS["bone"])))
    mean[T.MARROW] = rng.uniform(0.1, 0.8)
    mean[GROUPS["hollow"]] = np.abs(rng.normal(0.01, 0.012, len(GROUPS["hollow"])))
    mean[T.LUNG] = rng.uniform(0.0, 0.16)
    texture = np.full(IDS, rng.uniform(0.005, 0.05))
    texture[[T.MARROW, T.BREAST, T.STOMACH_CONTENT, T.BOWEL]] = 0.1
    flow = np.full(IDS, rng.uniform(0, 0.03))
    flow[GROUPS["left"] + GROUPS["right"]] = level["blood"] * rng.choice([0.03, rng.uniform(0.03, 0.2)])
    flow[GROUPS["hollow"]] = texture[GROUPS["hollow"]] = 0.005
    texture[T.LUNG] = rng.uniform(0.0, 0.12)
    return _contrast("mr", name, plain + amount * (np.abs(mean) - plain), texture, flow)


def any_contrast(rng: np.random.Generator, amount: float = 1.0) -> Contrast:
    """Any brightness, about 0..1, for any tissue; mostly kinds of tissue keep together, and some kinds cannot be told
    apart. There is no table that `amount` could lead back to."""
    mean = rng.uniform(0, 1, IDS)
    for name, members in GROUPS.items():
        together = {"organ": 0.25, "bone": 0.4}.get(name, 0.85)
        if rng.random() < together:
            _set(rng, mean, members, mean[members[0]], rng.choice([0.03, 0.1]))
    if rng.random() < 0.5:
        _set(rng, mean, GROUPS["right"], mean[T.LV_BLOOD], 0.05)
    names = [n for n in GROUPS if n not in ("left", "muscle")]
    for _ in range(int(rng.integers(0, 4))):  # merged with the heart or with each other
        one, other = rng.choice(names), rng.choice(list(GROUPS))
        mean[GROUPS[one]] = mean[GROUPS[other][0]]
    step = mean[T.MYOCARDIUM] - mean[T.LV_BLOOD]
    if abs(step) < LEAST_STEP:
        mean[GROUPS["muscle"]] += np.copysign(rng.uniform(LEAST_STEP, 0.4), step)
    texture = rng.uniform(0, 0.06 if rng.random() < 0.75 else 0.2, IDS)
    flow = rng.uniform(0, 0.08 if rng.random() < 0.7 else 0.22, IDS)
    return _contrast("any", "any", mean, texture, flow)


def _contrast(kind: str, name: str, mean: np.ndarray, texture: np.ndarray, flow: np.ndarray) -> Contrast:
    a, b, c = (np.asarray(v, np.float32) for v in (mean, texture, flow))
    return Contrast(kind, name, a, b, c)


def _set(rng: np.random.Generator, table: np.ndarray, tissues: Sequence[int], value: float, spread: float) -> None:
    """Value and a random difference (standard deviation `spread`) for each of the tissues, in place."""
    members = list(tissues)
    table[members] = value + rng.normal(0, abs(spread), len(members))
