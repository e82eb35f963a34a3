"""The heart painted into a tissue map, and sized until its volumes are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .heart_plan import Plan, Sizes
from .heart_shapes import Fields, heart_fields
from .person import Person
from .shapes import Space, smooth_min
from .tissues import LABEL_OF_TISSUE, Tissue


def sac(f: Fields, p: Person) -> np.ndarray:
    """Field of the inside of the pericardium: the chambers, rounded off by the fat in their grooves."""
    ventricular = smooth_min(f["outer"], f["rv"] - 3, 16.0)
    atrial = smooth_min(f["ra"] - 2, f["la"] - 2, 10.0)
    field = smooth_min(ventricular, atrial, 16.0)
    field = smooth_min(field, np.minimum(f["ascending"], f["pa"] + 0.25 * np.maximum(f["pa"], 0)) - 1.5, 10.0)
    # Fat lies over the right ventricle and in the grooves, hardly on the left ventricle's side.
    return field - np.float32(0.2 * p.epicardial_fat_mm) * (
        1 + np.clip(f["septal"] * np.float32(1 / 30), -0.7, 1)
    )


def paint_heart(tissues: np.ndarray, f: Fields, noise: Fields, plan: Plan) -> None:
    """Paints the heart over what is there, outermost first, so that blood always has a wall around it.

    noise: `fine` and `coarse` smooth unit noise on the same grid as the fields.
    """
    p = plan.person
    rough = noise["fine"]
    fat = sac(f, p) - np.float32(0.18 * p.epicardial_fat_mm) * np.clip(noise["coarse"], -1, 2)

    def put(tissue: Tissue, mask: np.ndarray) -> None:
        tissues[mask] = tissue

    put(Tissue.PERICARDIUM, fat < 1.4)
    put(Tissue.EPICARDIAL_FAT, fat < 0)
    for field, tissue in ((f["coronary"], Tissue.CORONARY_ARTERY), (f["sinus"], Tissue.CORONARY_VEIN)):
        put(tissue, (field < 0) & (fat < 0.5))
    put(Tissue.CALCIFICATION, (f["coronary"] < 0) & (fat < 0.5) & (rough > 2.6 - 1.4 * p.calcification))
    put(Tissue.ATRIAL_WALL, np.minimum.reduce([f["la"], f["ra"], f["laa"]]) < 2.0)
    put(Tissue.RV_WALL, f["rv"] < 3.2)
    put(Tissue.VESSEL_WALL, np.minimum.reduce([f["aorta"], f["pa"]]) < 1.6)
    put(Tissue.VESSEL_WALL, np.minimum.reduce([f["svc"], f["ivc"], f["pv"]]) < 1.0)
    put(Tissue.VENA_CAVA_INFERIOR, (f["ivc"] < 0) & (f["la"] > 2) & (f["rv"] > 2))
    put(Tissue.VENA_CAVA_SUPERIOR, (f["svc"] < 0) & (f["aorta"] > 2) & (f["pa"] > 1.5) & (f["la"] > 2))
    put(
        Tissue.PULMONARY_VEIN,
        (f["pv"] < 0) & (f["pa"] > 1.5) & (f["aorta"] > 1.5) & (f["ra"] > 2.5) & (f["svc"] > 1.5),
    )
    put(Tissue.PULMONARY_ARTERY, (f["pa"] < 0) & (f["aorta"] > 2) & (f["la"] > 2) & (f["svc"] > 1.5))
    put(
        Tissue.RA_BLOOD,
        (f["ra"] < 0) & (f["aorta"] > 2.2) & (f["la"] > 2.5) & (f["myo"] > 1.5) & (f["lvot"] > 3),
    )
    put(Tissue.LA_APPENDAGE, (f["laa"] < 0) & (f["pa"] > 2) & (f["aorta"] > 2) & (f["myo"] > 2))
    put(Tissue.LA_BLOOD, (f["la"] < 0) & (f["aorta"] > 1.8) & (f["lvot"] > 1.5) & (f["pa"] > 2))
    rv = (f["rv"] < 0) & (f["outer"] > 0) & (f["aorta"] > 2.5) & (f["lvot"] > 4) & (f["myo"] > 0)
    put(Tissue.RV_BLOOD, rv)
    put(
        Tissue.RV_TRABECULA,
        rv & (rough > 1.7 - 0.7 * p.trabeculation) & (f["rv"] > -9) & (f["axial"] > 0.35 * plan.lv_length),
    )
    put(Tissue.MYOCARDIUM, (f["myo"] < 0) & (f["orifice"] > 0) & (f["aorta"] > 0))
    put(Tissue.AORTA, f["aorta"] < 0)
    put(Tissue.ASCENDING_AORTA, f["ascending"] < 0)
    plaque = (np.abs(f["aorta"] - 0.7) < 1.0) & (rough > 3.4 - 1.8 * p.calcification) & (f["lv"] > 2)
    put(Tissue.CALCIFICATION, plaque)
    lv = f["lv"] < 0
    put(Tissue.LV_BLOOD, lv)
    trabeculae = (
        (rough > 1.7 - 0.9 * p.trabeculation) & (f["inner"] > -4) & (f["axial"] > 0.4 * plan.lv_length)
    )
    put(Tissue.VALVE, lv & (f["leaflets"] < 0))
    put(Tissue.LV_PAPILLARY, lv & (trabeculae | (f["papillary"] + 0.6 * rough < 0)))


def volumes_ml(tissues: np.ndarray, voxel_ml: float) -> dict[str, float]:
    """Volumes (ml) of the heart's parts in a tissue map; MYO, LA, LV, AA as labelled."""
    counts = np.bincount(tissues.ravel(), minlength=256)
    labels = np.bincount(LABEL_OF_TISSUE, weights=counts, minlength=5)
    parts = {
        "MYO": labels[1],
        "LA": labels[2],
        "LV": labels[3],
        "AA": labels[4],
        "RV": counts[Tissue.RV_BLOOD] + counts[Tissue.RV_TRABECULA],
        "RA": counts[Tissue.RA_BLOOD],
        "PA": counts[Tissue.PULMONARY_ARTERY],
    }
    return {name: round(float(count) * voxel_ml, 2) for name, count in parts.items()}


def targets_ml(plan: Plan) -> dict[str, float]:
    """Volumes wanted at the person's moment of the cardiac cycle.

    The left ventricle ejects 60 %, the right 50 %, the atria gain 20 % (Kawel-Boehm et al. 2020).
    """
    p = plan.person
    return {
        "LV": p.lv_ml * (1 - 0.6 * p.systole),
        "MYO": p.myo_ml,
        "LA": p.la_ml * (1 + 0.2 * p.systole),
        "RV": p.rv_ml * (1 - 0.5 * p.systole),
        "RA": p.ra_ml * (1 + 0.2 * p.systole),
        "AA": p.aa_ml,
    }


def fit(plan: Plan, space: Space, rounds: int = 6) -> Sizes:
    """Sizes with which the heart has the wanted volumes on this (coarse, warped) space around it."""
    sizes, want = Sizes(), targets_ml(plan)
    flat = np.zeros(space.shape, np.float32)
    for _ in range(rounds):
        tissues = np.zeros(space.shape, np.uint8)
        paint_heart(tissues, heart_fields(space, plan, sizes), {"fine": flat, "coarse": flat}, plan)
        have = volumes_ml(tissues, space.spacing**3 / 1000)
        ratio = {name: float(np.clip(want[name] / max(have[name], 1.0), 0.5, 2.0)) for name in want}
        sizes = replace(
            sizes,
            lv_mm=sizes.lv_mm * ratio["LV"] ** 0.5,
            wall_mm=sizes.wall_mm * ratio["MYO"] ** 0.8 / ratio["LV"] ** 0.3,
            aorta_mm=float(np.clip(sizes.aorta_mm * ratio["AA"] ** 0.5, 10.5, 18.5)),
            la=sizes.la * ratio["LA"] ** 0.4,
            rv=sizes.rv * ratio["RV"] ** 0.45,
            ra=sizes.ra * ratio["RA"] ** 0.45,
        )
    return sizes
