"""What a ventricle's volumes over a heartbeat say: end-diastole, end-systole, ejection fraction, mass of the muscle.

End-diastole is the time point of the largest ventricle, end-systole that of the smallest one: each ventricle has its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEFT, RIGHT = "left ventricle", "right ventricle"
# As cardiac MR reports it: Schulz-Menger et al., J Cardiovasc Magn Reson 22:19 (2020).
MYOCARDIUM_G_PER_ML = 1.05
# By which the myocardium may shrink or grow from end-diastole to end-systole. Its muscle is all but incompressible and
# blood in its vessels a few percent (Yin et al., Am J Physiol 271:H1864 (1996)); the rest is what outlines of the same
# heart differ by.
STEADY_MUSCLE = 0.25
SMOOTH_TIME_POINTS = 8  # so many sample a beat finely enough that no single one stands out
STILL = 0.05  # ejection fraction below which no heart lives: the same image again and again, or no phases of a beat
STANDS_OUT = 0.5  # of the stroke volume, that both neighbours in time of an extreme lie away from it


@dataclass(frozen=True)
class HeartFunction:
    """Volumes in ml; ejection_fraction: 0..1; mass_g: of the myocardium at end-diastole, None if that is not known.

    end_diastole, end_systole: indices of the time points. remarks: sentences on what was left out and what is odd.
    """

    edv_ml: float
    esv_ml: float
    stroke_volume_ml: float
    ejection_fraction: float
    mass_g: float | None
    end_diastole: int
    end_systole: int
    remarks: tuple[str, ...] = ()


def heart_function(
    ventricle_ml: Sequence[float], myocardium_ml: Sequence[float] | None = None, ventricle: str = LEFT
) -> HeartFunction:
    """From volumes in ml at every time point of a beat, in order; 0 or NaN where a structure was not found.

    ventricle: what sentences call it. Time points without it are left out, and named in the remarks. ValueError if fewer
    than two remain.
    """
    blood = np.asarray(ventricle_ml, float).ravel()
    muscle = np.full(blood.shape, np.nan) if myocardium_ml is None else np.asarray(myocardium_ml, float).ravel()
    if len(muscle) != len(blood):
        raise ValueError(
            f"There are {len(blood)} volumes of the {ventricle} but {len(muscle)} of the myocardium; "
            "give both at the same time points."
        )
    if len(blood) < 2:
        raise ValueError(
            f"An ejection fraction needs the {ventricle} at two time points or more; segment a whole heartbeat."
        )
    there = np.flatnonzero(_known(blood))
    if len(there) < 2:
        raise ValueError(
            f"The {ventricle} was found at {len(there)} of {len(blood)} time points; an ejection fraction needs two "
            "or more. Check that the scan covers it."
        )
    diastole, systole = (int(there[pick(blood[there])]) for pick in (np.argmax, np.argmin))
    stroke = float(blood[diastole] - blood[systole])
    mass = float(muscle[diastole] * MYOCARDIUM_G_PER_ML) if _known(muscle[diastole]) else None
    return HeartFunction(
        edv_ml=float(blood[diastole]),
        esv_ml=float(blood[systole]),
        stroke_volume_ml=stroke,
        ejection_fraction=stroke / float(blood[diastole]),
        mass_g=mass,
        end_diastole=diastole,
        end_systole=systole,
        remarks=(
            *_left_out([int(index) for index in np.flatnonzero(~_known(blood))], ventricle),
            *_still(stroke / float(blood[diastole]), ventricle),
            *_odd_extremes(blood[there], there, stroke, ventricle),
            *_unsteady_muscle(muscle[diastole], muscle[systole], given=myocardium_ml is not None),
        ),
    )


def named(indices: Sequence[int]) -> str:
    """Time points as a person counts them, from 1: "time point 3", "time points 1, 4 to 6 and 9"."""
    runs: list[list[int]] = []
    for number in sorted(int(index) + 1 for index in indices):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    parts = []
    for run in runs:
        parts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else [str(number) for number in run]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
    return f"time point{'s' if len(indices) > 1 else ''} {listed}"


def _known(volumes: np.ndarray) -> np.ndarray:
    return np.asarray(np.isfinite(volumes) & (volumes > 0))


def _left_out(missing: Sequence[int], ventricle: str) -> list[str]:
    if not missing:
        return []
    which = "which is" if len(missing) == 1 else "which are"
    return [f"The {ventricle} was not found at {named(missing)}, {which} left out."]


def _still(ejection_fraction: float, ventricle: str) -> list[str]:
    if ejection_fraction >= STILL:
        return []
    return [
        f"The {ventricle} hardly changes its volume over these time points; check that they are the phases of a beat."
    ]


def _odd_extremes(blood: np.ndarray, indices: np.ndarray, stroke: float, ventricle: str) -> list[str]:
    """Of an extreme that is one outline and no phase of the beat; the beat is taken to go round."""
    if len(blood) < SMOOTH_TIME_POINTS:
        return []
    found = []
    for place, what in ((int(np.argmax(blood)), "largest"), (int(np.argmin(blood)), "smallest")):
        neighbours = blood[[place - 1, (place + 1) % len(blood)]]
        if stroke > 0 and np.abs(neighbours - blood[place]).min() > STANDS_OUT * stroke:
            found.append(
                f"The {what} {ventricle}, at {named([int(indices[place])])}, stands out from the time points before "
                "and after it; check its outline."
            )
    return found


def _unsteady_muscle(diastole: float, systole: float, given: bool) -> list[str]:
    if not given:
        return []
    if not _known(np.asarray(diastole)):
        return ["The myocardium was not found at end-diastole, so its mass is not known."]
    if _known(np.asarray(systole)) and abs(systole / diastole - 1) > STEADY_MUSCLE:
        return [
            f"The myocardium has {diastole:.0f} ml at end-diastole and {systole:.0f} ml at end-systole, but muscle hardly "
            "changes its volume; check the outlines."
        ]
    return []
