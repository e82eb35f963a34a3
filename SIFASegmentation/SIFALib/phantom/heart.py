"""The heart painted into a tissue map, and sized until its volumes are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..models import STRUCTURES
from .heart_plan import Plan, Sizes
from .heart_shapes import extremes, heart_fields
from .left_ventricle import Fields, trabeculae
from .person import Person
from .shapes import Space, smooth_min
from .thorax import HALF_DEPTH_MM, chest_sizes
from .tissues import LABEL_OF_TISSUE, Tissue

MOST_BACK_MM = 9.0
"""How far a heart without room is moved back; from then on the chest becomes deeper."""
THICK_RV_WALL_MM = 4.5
"""A right ventricle's wall from which on it is painted as RV_HYPERTROPHY."""
NEAR_ENOUGH = 0.02
"""Relative difference of volumes at which the sizing of the heart ends."""


def sac(f: Fields, p: Person) -> np.ndarray:
    """Field (mm) of the inside of the pericardium: the chambers, rounded off by the fat in their grooves."""
    wall = np.float32(p.rv_wall_mm)
    ventricular = smooth_min(f["outer"], f["rv"] - wall, 16.0)
    atrial = smooth_min(f["ra"] - 2, f["la"] - 2, 10.0)
    field = smooth_min(ventricular, atrial, 16.0)
    field = smooth_min(field, np.minimum(f["ascending"], f["pa"] + 0.25 * np.maximum(f["pa"], 0)) - 1.5, 10.0)
    # Fat lies over the right ventricle and in the grooves, less on the left ventricle's side, in some hardly any.
    bare = float(np.clip(0.5 + p.variation("bare side", 0.25), 0.05, 0.9))
    return field - np.float32(0.22 * p.epicardial_fat_mm) * (1 + np.clip(f["septal"] * np.float32(1 / 30), -bare, 1))


def fat_pad(f: Fields, p: Person) -> np.ndarray:
    """Thickness (mm) of the fat outside of the pericardium, in the angle between heart, diaphragm and chest wall: most at
    the apex and below. How much is ours."""
    thick = 0.6 * p.epicardial_fat_mm * max(1 + p.variation("fat pad", 0.7), 0.0)
    toward = np.clip(f["axial"] * np.float32(1 / 60), 0, 1.5) * np.clip(0.4 - f["upper"] * np.float32(1 / 50), 0, 1)
    return np.asarray(np.float32(thick) * toward)


def fluid_depth(f: Fields, p: Person) -> np.ndarray:
    """Depth (mm) of the fluid in the pericardium: most of it lies behind the heart of a person on the back."""
    behind = np.clip(-f["upper"] * np.float32(1 / 45), -1, 1)
    return np.float32(p.effusion_mm) * (np.float32(0.65) + np.float32(0.35) * behind)


def paint_heart(tissues: np.ndarray, f: Fields, noise: Fields, plan: Plan, allowed: np.ndarray | None = None) -> None:
    """Paints the heart over what is there, outermost first, so that blood always has a wall around it.

    tissues: uint8, changed in place. noise: `fine` and `coarse` smooth unit noise. allowed: where a heart may be at all
    (bool); None for everywhere. All are on the grid of the fields.
    """
    before = None if allowed is None else tissues[~allowed]
    paint_cover(tissues, f, noise, plan)
    paint_vessels_and_atria(tissues, f)
    paint_ventricles(tissues, f, noise["fine"], plan)
    paint_defects(tissues, f)
    if allowed is not None:
        tissues[~allowed] = before


def paint_cover(tissues: np.ndarray, f: Fields, noise: Fields, plan: Plan) -> None:
    """Pericardium, fluid, fat with the coronary vessels, walls."""
    p = plan.person
    fat = sac(f, p) - np.float32(0.18 * p.epicardial_fat_mm) * np.clip(noise["coarse"], -1, 2)
    depth = fluid_depth(f, p)
    tissues[fat < depth + 1.4] = Tissue.PERICARDIUM
    if p.effusion_mm > 1:
        tissues[fat < depth] = Tissue.PERICARDIAL_FLUID
    tissues[fat < 0] = Tissue.EPICARDIAL_FAT
    inside = fat < 0.5
    for field, tissue in ((f["coronary"], Tissue.CORONARY_ARTERY), (f["sinus"], Tissue.CORONARY_VEIN)):
        tissues[(field < 0) & inside] = tissue
    tissues[(f["coronary"] < 0) & inside & (noise["fine"] > 2.6 - 1.4 * p.calcification)] = Tissue.CALCIFICATION
    tissues[np.minimum.reduce([f["la"], f["ra"], f["laa"]]) < 2.0] = Tissue.ATRIAL_WALL
    thick = p.rv_wall_mm >= THICK_RV_WALL_MM
    tissues[f["rv"] < p.rv_wall_mm] = Tissue.RV_HYPERTROPHY if thick else Tissue.RV_WALL
    tissues[np.minimum(f["aorta"], f["pa"]) < 1.6] = Tissue.VESSEL_WALL
    tissues[np.minimum.reduce([f["svc"], f["ivc"], f["pv"]]) < 1.0] = Tissue.VESSEL_WALL


def paint_vessels_and_atria(tissues: np.ndarray, f: Fields) -> None:
    """Blood of veins, pulmonary arteries and atria, each kept off its neighbours by a wall."""
    rooms: tuple[tuple[Tissue, str, dict[str, float]], ...] = (
        (Tissue.VENA_CAVA_INFERIOR, "ivc", {"la": 2, "rv": 2}),
        (Tissue.VENA_CAVA_SUPERIOR, "svc", {"aorta": 2, "pa": 1.5, "la": 2}),
        (Tissue.PULMONARY_VEIN, "pv", {"pa": 1.5, "aorta": 1.5, "ra": 2.5, "svc": 1.5}),
        (Tissue.PULMONARY_ARTERY, "pa", {"aorta": 2, "svc": 1.5}),
        (Tissue.RA_BLOOD, "ra", {"aorta": 2.2, "la": 2.5, "myo": 1.5, "lvot": 3}),
        (Tissue.LA_APPENDAGE, "laa", {"pa": 2, "aorta": 2, "myo": 2}),
        (Tissue.LA_BLOOD, "la", {"aorta": 1.8, "lvot": 1.5, "pa": 2}),
    )
    for tissue, room, neighbours in rooms:
        mask = f[room] < 0
        for other, gap in neighbours.items():
            mask &= f[other] > gap
        tissues[mask] = tissue


def paint_ventricles(tissues: np.ndarray, f: Fields, rough: np.ndarray, plan: Plan) -> None:
    """Both ventricles and the aorta."""
    p, deep = plan.person, f["axial"]
    rv = (f["rv"] < 0) & (f["outer"] > 0) & (f["aorta"] > 2.5) & (f["lvot"] > 4) & (f["myo"] > 0)
    tissues[rv] = Tissue.RV_BLOOD
    strands = (rough > 1.7 - 0.7 * p.trabeculation - 0.05 * p.rv_wall_mm) & (f["rv"] > -9)
    strands &= deep > 0.35 * plan.lv_length
    tissues[rv & (strands | (f["band"] + 0.5 * rough < 0))] = Tissue.RV_TRABECULA
    tissues[(f["myo"] < 0) & (f["orifice"] > 0) & (f["aorta"] > 0)] = Tissue.MYOCARDIUM
    tissues[f["aorta"] < 0] = Tissue.AORTA
    tissues[f["ascending"] < 0] = Tissue.ASCENDING_AORTA
    plaque = (np.abs(f["aorta"] - 0.7) < 1.0) & (rough > 3.4 - 1.8 * p.calcification) & (f["lv"] > 2)
    tissues[plaque] = Tissue.CALCIFICATION
    lv = f["lv"] < 0
    tissues[lv] = Tissue.LV_BLOOD
    tissues[lv & (f["leaflets"] < 0)] = Tissue.VALVE
    tissues[lv & (f["papillary"] + 0.6 * rough < 0)] = Tissue.LV_PAPILLARY
    edge = lv & (f["inner"] > -9 * plan.scale) & (f["inner"] < 0) & (deep > 0.25 * plan.lv_length)
    where = np.nonzero(edge)
    grown = trabeculae(f, plan, rough, edge)
    tissues[tuple(axis[grown] for axis in where)] = Tissue.LV_PAPILLARY


def paint_defects(tissues: np.ndarray, f: Fields) -> None:
    """Holes between the atria or the ventricles, filled with the blood of the nearer side.

    Between the ventricles the nearer side is told by the inner and the outer surface of the left one's wall.
    """
    solid = [Tissue.ATRIAL_WALL, Tissue.EPICARDIAL_FAT, Tissue.PERICARDIUM, Tissue.MYOCARDIUM]
    solid += [Tissue.RV_WALL, Tissue.RV_HYPERTROPHY, Tissue.VESSEL_WALL, Tissue.RV_TRABECULA]
    for name, to_left, to_right, left, right in (
        ("atrial_defect", f["la"], f["ra"], Tissue.LA_BLOOD, Tissue.RA_BLOOD),
        ("ventricular_defect", f["inner"], -f["outer"], Tissue.LV_BLOOD, Tissue.RV_BLOOD),
    ):
        if name in f:
            hole = (f[name] < 0) & np.isin(tissues, solid)
            tissues[hole] = np.where(to_left < to_right, left, right)[hole]


def volumes_ml(tissues: np.ndarray, voxel_ml: float) -> dict[str, float]:
    """Volumes (ml) of the structures, as labelled, in a tissue map (uint8)."""
    counts = np.bincount(tissues.ravel(), minlength=256)
    labels = np.bincount(LABEL_OF_TISSUE, weights=counts)
    return {s.id: round(float(labels[s.value]) * voxel_ml, 2) for s in STRUCTURES}


def targets_ml(plan: Plan) -> dict[str, float]:
    """Volumes wanted at the person's moment of the cardiac cycle.

    The left ventricle ejects its ejection fraction (60 % in health), the right 50 % and the atria gain 20 %. The last two
    are ours, and less than what is measured (Kawel-Boehm et al., J Cardiovasc Magn Reson 2020).
    """
    p = plan.person
    return {
        "LV": p.lv_ml * (1 - p.ejection * p.systole),
        "MYO": p.myo_ml,
        "LA": p.la_ml * (1 + 0.2 * p.systole),
        "RV": p.rv_ml * (1 - 0.5 * p.systole),
        "RA": p.ra_ml * (1 + 0.2 * p.systole),
        "AA": p.aa_ml,
    }


def fit(plan: Plan, space: Space, rounds: int = 6, sizes: Sizes | None = None) -> Sizes:
    """Sizes with which the heart has the wanted volumes on this (coarse, warped) space around it.

    Begins at `sizes` (by default the average heart's) and corrects them at most `rounds` times, each by a power of the
    ratio of wanted and present volume.
    """
    sizes, want = sizes or Sizes(), targets_ml(plan)
    flat = np.zeros(space.shape, np.float32)
    for _ in range(rounds):
        tissues = np.zeros(space.shape, np.uint8)
        paint_heart(tissues, heart_fields(space, plan, sizes), {"fine": flat, "coarse": flat}, plan)
        have = volumes_ml(tissues, space.spacing**3 / 1000)
        if all(abs(want[name] / max(have[name], 1.0) - 1) < NEAR_ENOUGH for name in want):
            break
        ratio = {name: float(np.clip(want[name] / max(have[name], 1.0), 0.5, 2.0)) for name in want}
        sizes = replace(
            sizes,
            lv_mm=sizes.lv_mm * ratio["LV"] ** 0.5,
            wall_mm=sizes.wall_mm * ratio["MYO"] ** 0.8 / ratio["LV"] ** 0.3,
            aorta_mm=float(np.clip(sizes.aorta_mm * ratio["AA"] ** 0.5, 9.0, 36.0)),
            la=sizes.la * ratio["LA"] ** 0.4,
            rv=sizes.rv * ratio["RV"] ** 0.45,
            ra=sizes.ra * ratio["RA"] ** 0.45,
        )
    return sizes


def settled(plan: Plan, sizes: Sizes) -> Plan:
    """The plan with the heart moved back and to the right until it clears the chest wall by 4 or 5 mm, and with a deeper
    chest where the heart would be moved into the spine; the very same plan if there is nothing to do."""
    p = plan.person
    width, depth, middle = chest_sizes(p)
    ahead = extremes(plan, sizes, np.array([0.0, -1.0, 0.0]))
    aside = extremes(plan, sizes, np.array([1.0, 0.0, 0.0]))
    front = middle - depth * (1 - min(abs(ahead[0]) / width, 0.95) ** 2.5) ** 0.4
    flank = width * (1 - min(abs(aside[1] - middle) / depth, 0.95) ** 2.5) ** 0.4
    missing = max(front + 4 - ahead[1], 0.0)
    back = float(min(missing, MOST_BACK_MM))
    right = float(np.clip(aside[0] - flank + 5, 0, 20))
    base = (p.base[0] - right, p.base[1] + back, p.base[2])
    deeper = p.chest_depth + (missing - back) / (HALF_DEPTH_MM * p.size)
    if back + right == 0:
        return plan
    return replace(plan, person=replace(p, base=base, chest_depth=deeper))
