"""What a segmented cine says of a heart, as data for JSON, for a table, for a page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from .. import __version__
from ..imaging.cine import Cine
from .cine import CineResult
from .heart_function import HeartFunction, named
from .long_axis import SOURCE
from .long_views import LongAxis, ViewEnd
from .normal_ranges import NORMAL


class Model(Protocol):
    """What a report says of the model: its card, or as much of it as is remembered."""

    @property
    def id(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def sha256(self) -> str: ...


NAMES = {
    "edv_ml": ("End-diastolic volume", "ml"),
    "esv_ml": ("End-systolic volume", "ml"),
    "sv_ml": ("Stroke volume", "ml"),
    "ef_percent": ("Ejection fraction", "%"),
    "output_l_min": ("Cardiac output", "l/min"),
    "mass_g": ("Mass of the myocardium", "g"),
}
"""Name and unit of each quantity, in the order of a report."""
INDEXED = ("edv_ml", "esv_ml", "sv_ml", "output_l_min", "mass_g")  # by body surface, too
SURFACE = "_m2"
# Of the larger stroke volume, that both may differ by before it is told. They are nearly equal without shunts and leaking
# valves: Schulz-Menger et al., J Cardiovasc Magn Reson 22:19 (2020).
UNEQUAL = 0.25
KIND = "sifa cine"  # of a report
DIASTOLE, SYSTOLE = "end_diastole", "end_systole"  # of the left ventricle, in what is told of the views along the heart


def quantities(function: HeartFunction, cine: Cine) -> dict[str, float]:
    """What is known of a ventricle, by the keys of NAMES; with SURFACE behind them, per m2 of body surface."""
    found = {
        "edv_ml": function.edv_ml,
        "esv_ml": function.esv_ml,
        "sv_ml": function.stroke_volume_ml,
        "ef_percent": 100.0 * function.ejection_fraction,
    }
    if cine.heart_rate:
        found["output_l_min"] = function.stroke_volume_ml * cine.heart_rate / 1000.0
    if function.mass_g is not None:
        found["mass_g"] = function.mass_g
    if surface := cine.body.surface_m2:
        found |= {key + SURFACE: found[key] / surface for key in INDEXED if key in found}
    return {key: round(value, 2) for key, value in found.items()}


def report(result: CineResult, cine: Cine, card: Model, edited: Sequence[int] = ()) -> dict[str, Any]:
    """The whole as data for JSON; phases count from 0. edited: those whose outlines were corrected by hand."""
    ventricles = {}
    for ventricle, function in result.functions.items():
        found = quantities(function, cine)
        ranges = {
            key: {"low": low, "high": high, "source": normal.source, "outside": not low <= found[key] <= high}
            for key in found
            if (normal := NORMAL.get((ventricle, key))) is not None
            for low, high in [normal.range_of(cine.body.sex)]
        }
        ventricles[ventricle] = {
            "end_diastole": function.end_diastole,
            "end_systole": function.end_systole,
            **found,
            "normal": ranges,
            "remarks": list(function.remarks),
        }
    volumes = {s: [None if math.isnan(v) else round(v, 2) for v in ml] for s, ml in result.volumes_ml.items()}
    flags = [
        {"phase": phase, "structure": f.structure_id, "kind": f.kind, "warns": f.warns, "message": f.message}
        for phase, f in result.flags
    ]
    surface = cine.body.surface_m2
    return {
        "kind": KIND,
        "sifa_version": __version__,
        "model": {"id": card.id, "version": card.version, "sha256": card.sha256},
        "input": {
            "name": cine.name,
            "source": cine.source,
            "size": list(cine.geometry.size),
            "spacing_mm": list(cine.geometry.spacing),
            "phases": cine.phases,
            "times_ms": list(cine.times_ms),
            "heart_rate": cine.heart_rate,
            "chosen": cine.chosen,
            "others": [asdict(other) for other in cine.others],
            "body": {**asdict(cine.body), "surface_m2": None if surface is None else round(surface, 3)},
        },
        "ventricles": ventricles,
        "long_axis": None if result.long_axis is None else _long_axis(result.long_axis, surface),
        "volumes_ml": volumes,
        "missing_phases": list(result.missing),
        "flags": flags,
        "edited_phases": list(edited),
        "notes": [*cine.notes, *result.notes, *_told_untimed(cine), *_told_edited(edited)],
        "device": result.device,
        "precision": result.precision,
        "seconds": dict(result.seconds),
    }


def _long_axis(found: LongAxis, surface: float | None) -> dict[str, Any]:
    """Of the views along the heart; phases are those of each view, from 0. surface: of the body, m2, if it is known."""
    ends = {DIASTOLE: found.diastole_ml, SYSTOLE: found.systole_ml}
    indexed = {end: ml / surface if ml is not None and surface else None for end, ml in ends.items()}
    return {
        "views": [
            {
                "view": view.kind,
                "name": view.name,
                "off_axis_mm": round(view.off_axis_mm, 1),
                DIASTOLE: _view_end(view.diastole),
                SYSTOLE: _view_end(view.systole),
            }
            for view in found.views
        ],
        "la_volume_ml": {end: _rounded(ml, 1) for end, ml in ends.items()},
        "la_volume_ml_m2": {end: _rounded(ml, 1) for end, ml in indexed.items()},
        "source": SOURCE,
        "warnings": list(found.told),
    }


def _view_end(end: ViewEnd) -> dict[str, Any]:
    found = end.measure
    return {
        "phase": end.phase,
        "la_area_cm2": _rounded(found.atrium_cm2, 2),
        "la_length_mm": _rounded(found.atrium_mm, 1),
        "lv_length_mm": _rounded(found.ventricle_mm, 1),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _told_untimed(cine: Cine) -> list[str]:
    """Why a quantity of NAMES is missing."""
    return [] if cine.heart_rate else ["No heart rate is known of this cine, so there is no cardiac output."]


def _told_edited(phases: Sequence[int]) -> list[str]:
    if not phases:
        return []
    where = named(phases).replace("time point", "phase")
    return [f"Outlines were corrected by hand at {where}; what asks to look twice is said of those of the model."]


def table(result: CineResult, cine: Cine) -> str:
    """CSV: a row for each phase, from 1, with its time and the volumes in ml; empty where something is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    biplane = _biplane(result)
    heads = ["LA biplane (ml)"] if biplane is not None else []
    writer.writerow(["phase", "time (ms)", *(f"{s.id} (ml)" for s in result.structures), *heads, "what"])
    names = phase_names(result.functions)
    for phase in range(cine.phases):
        time = f"{cine.times_ms[phase]:g}" if cine.times_ms else ""
        volumes = (result.volumes_ml[s.id][phase] for s in result.structures)
        numbers = ["" if math.isnan(ml) else f"{ml:.2f}" for ml in volumes]
        if biplane is not None:
            numbers.append(f"{biplane[phase]:.1f}" if phase in biplane else "")
        writer.writerow([phase + 1, time, *numbers, names.get(phase, "")])
    return text.getvalue()


def _biplane(result: CineResult) -> dict[int, float] | None:
    """ml of the left atrium by phase, from the views along the heart; None if there are no views."""
    if result.long_axis is None:
        return None
    function = result.functions["LV"]
    found = {function.end_diastole: result.long_axis.diastole_ml, function.end_systole: result.long_axis.systole_ml}
    return {phase: ml for phase, ml in found.items() if ml is not None}


def phase_names(functions: Mapping[str, HeartFunction]) -> dict[int, str]:
    """What phases are, by their number: "LV end-diastole"."""
    found: dict[int, list[str]] = {}
    for ventricle, function in functions.items():
        found.setdefault(function.end_diastole, []).append(f"{ventricle} end-diastole")
        found.setdefault(function.end_systole, []).append(f"{ventricle} end-systole")
    return {phase: ", ".join(names) for phase, names in found.items()}


def _unequal(ventricles: Mapping[str, Any]) -> list[str]:
    """A sentence where the two ventricles do not pump the same."""
    volumes = [ventricles[v]["sv_ml"] for v in ("LV", "RV") if v in ventricles]
    if len(volumes) < 2 or abs(volumes[0] - volumes[1]) <= UNEQUAL * max(volumes):
        return []
    left, right = volumes
    return [
        f"The left ventricle pumps {left:.0f} ml a beat and the right one {right:.0f} ml. Without a shunt or a leaking "
        "valve both pump nearly the same; look at the outlines of both."
    ]


def warnings_of(report: Mapping[str, Any]) -> list[str]:
    """Sentences of a report that ask to look twice, each once."""
    told = [f["message"] for f in report["flags"] if f["warns"]]
    told += [remark for ventricle in report["ventricles"].values() for remark in ventricle["remarks"]]
    told += _unequal(report["ventricles"])
    if report["missing_phases"]:
        told.append(f"At {len(report['missing_phases'])} of {report['input']['phases']} phases no heart was found.")
    told += (report.get("long_axis") or {}).get("warnings", [])
    return list(dict.fromkeys(told))
