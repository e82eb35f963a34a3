"""What the phantom is made of: tissue ids, their labels, CT numbers and MR signals."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from ..models import PAPERS, STRUCTURES


class Tissue(IntEnum):
    """Ids in the tissue map (uint8)."""

    AIR = 0
    LV_BLOOD = 1
    LV_PAPILLARY = 2
    MYOCARDIUM = 3
    LA_BLOOD = 4
    LA_APPENDAGE = 5
    ASCENDING_AORTA = 6
    AORTA = 7
    PULMONARY_VEIN = 8
    RV_BLOOD = 9
    RV_TRABECULA = 10
    RV_WALL = 11
    RA_BLOOD = 12
    ATRIAL_WALL = 13
    PULMONARY_ARTERY = 14
    VENA_CAVA_SUPERIOR = 15
    VENA_CAVA_INFERIOR = 16
    CORONARY_ARTERY = 17
    CORONARY_VEIN = 18
    VESSEL_WALL = 19
    EPICARDIAL_FAT = 20
    PERICARDIUM = 21
    MEDIASTINAL_FAT = 22
    LUNG = 23
    LUNG_VESSEL = 24
    AIRWAY = 25
    AIRWAY_WALL = 26
    OESOPHAGUS = 27
    CORTICAL_BONE = 28
    MARROW = 29
    DISC = 30
    SPINAL_CANAL = 31
    CARTILAGE = 32
    LIVER = 33
    STOMACH_WALL = 34
    STOMACH_CONTENT = 35
    GAS = 36
    SPLEEN = 37
    MUSCLE = 38
    FAT = 39
    SKIN = 40
    BREAST = 41
    TABLE_SHELL = 42
    TABLE_FOAM = 43
    CALCIFICATION = 44
    VALVE = 45
    PERICARDIAL_FLUID = 46
    PLEURAL_FLUID = 47
    COLLAPSED_LUNG = 48
    METAL = 49
    """Pacemakers and their leads, ECG electrodes and cables, wires of the sternum."""
    STENT = 50
    FALSE_LUMEN = 51
    """Blood behind the flap of a dissected descending aorta."""
    THROMBUS = 52
    AZYGOS_VEIN = 53
    THYMUS = 54
    KIDNEY = 55
    LIVER_VESSEL = 56
    RV_HYPERTROPHY = 57
    """Wall of a right ventricle that is thick (`heart.THICK_RV_WALL_MM`), as under pressure."""
    BOWEL = 58


def _label_table() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[[Tissue.MYOCARDIUM]] = 1
    table[[Tissue.LA_BLOOD, Tissue.LA_APPENDAGE]] = 2
    table[[Tissue.LV_BLOOD, Tissue.LV_PAPILLARY, Tissue.VALVE]] = 3
    table[[Tissue.ASCENDING_AORTA]] = 4
    table[[Tissue.RV_BLOOD, Tissue.RV_TRABECULA]] = 5
    table[[Tissue.RA_BLOOD]] = 6
    table[[Tissue.PULMONARY_ARTERY]] = 7
    table.setflags(write=False)
    return table


LABEL_OF_TISSUE: np.ndarray = _label_table()
"""uint8 [256]: tissue id -> label (MYO 1, LA 2, LV 3, AA 4, RV 5, RA 6, PA 7, otherwise 0). Papillary muscles and mitral
leaflets are LV, trabeculae of the right ventricle RV."""

LEFT_HEART: np.ndarray = np.isin(LABEL_OF_TISSUE, [s.value for s in PAPERS])
LEFT_HEART.setflags(write=False)
"""bool [256]: tissues of the left heart with the ascending aorta. A phantom's heart is where these are: where its slices
and scans lie has been drawn about them since only they had labels."""


def known_to(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels 0..7 as a network of so many classes learns them: of fewer than all seven structures it knows at most the
    papers' four, and the others are background to it."""
    return labels if classes > len(STRUCTURES) else np.where(labels > len(PAPERS), 0, labels).astype(labels.dtype)


CONTRAST_PHASES = ("arterial", "mixed", "venous", "none")

# HU at about 120 kV without contrast medium, mean and spread between people, in round numbers of our own; and MR signal
# relative to blood. What is missing is blood.
_SOLID: dict[Tissue, tuple[float, float, float]] = {
    Tissue.AIR: (-1000, 3, 0.0),
    Tissue.LUNG: (-850, 30, 0.07),
    Tissue.AIRWAY: (-995, 5, 0.01),
    Tissue.AIRWAY_WALL: (-20, 20, 0.25),
    Tissue.GAS: (-960, 20, 0.0),
    Tissue.FAT: (-104, 8, 0.85),
    Tissue.EPICARDIAL_FAT: (-92, 8, 0.8),
    Tissue.MEDIASTINAL_FAT: (-95, 8, 0.8),
    Tissue.PERICARDIUM: (-25, 20, 0.22),
    Tissue.MUSCLE: (54, 6, 0.3),
    Tissue.SKIN: (15, 15, 0.35),
    Tissue.BREAST: (10, 25, 0.5),
    Tissue.CORTICAL_BONE: (680, 150, 0.06),
    Tissue.MARROW: (170, 55, 0.5),
    Tissue.DISC: (85, 15, 0.45),
    Tissue.SPINAL_CANAL: (30, 6, 1.0),
    Tissue.CARTILAGE: (95, 15, 0.4),
    Tissue.LIVER: (57, 9, 0.38),
    Tissue.SPLEEN: (48, 5, 0.5),
    Tissue.STOMACH_WALL: (40, 6, 0.4),
    Tissue.STOMACH_CONTENT: (18, 18, 0.75),
    Tissue.OESOPHAGUS: (36, 7, 0.4),
    Tissue.MYOCARDIUM: (45, 5, 0.36),
    Tissue.LV_PAPILLARY: (45, 5, 0.36),
    Tissue.RV_TRABECULA: (45, 5, 0.38),
    Tissue.RV_WALL: (42, 6, 0.38),
    Tissue.ATRIAL_WALL: (38, 8, 0.35),
    Tissue.VESSEL_WALL: (38, 8, 0.3),
    Tissue.VALVE: (50, 10, 0.3),
    Tissue.CALCIFICATION: (750, 250, 0.02),
    Tissue.TABLE_SHELL: (-120, 60, 0.0),
    Tissue.TABLE_FOAM: (-930, 15, 0.0),
    Tissue.PERICARDIAL_FLUID: (12, 8, 1.05),
    Tissue.PLEURAL_FLUID: (10, 7, 1.05),
    Tissue.COLLAPSED_LUNG: (45, 15, 0.45),
    Tissue.METAL: (2800, 200, 0.0),
    Tissue.STENT: (1100, 350, 0.05),
    Tissue.THROMBUS: (45, 10, 0.35),
    Tissue.THYMUS: (40, 25, 0.45),
    Tissue.KIDNEY: (33, 5, 0.6),
    Tissue.RV_HYPERTROPHY: (44, 5, 0.37),
    Tissue.BOWEL: (35, 20, 0.5),
}
_BLOOD = (43.0, 5.0, 1.0)
_SLOW_BLOOD_SIGNAL = {Tissue.LUNG_VESSEL: 0.75, Tissue.FALSE_LUMEN: 0.85, Tissue.LIVER_VESSEL: 0.85}

LEFT_BLOOD = (
    Tissue.LV_BLOOD,
    Tissue.LA_BLOOD,
    Tissue.LA_APPENDAGE,
    Tissue.ASCENDING_AORTA,
    Tissue.AORTA,
    Tissue.PULMONARY_VEIN,
    Tissue.CORONARY_ARTERY,
)
RIGHT_BLOOD = (Tissue.RV_BLOOD, Tissue.RA_BLOOD, Tissue.PULMONARY_ARTERY, Tissue.VENA_CAVA_SUPERIOR)
BLOOD = (
    *LEFT_BLOOD,
    *RIGHT_BLOOD,
    Tissue.VENA_CAVA_INFERIOR,
    Tissue.CORONARY_VEIN,
    Tissue.LUNG_VESSEL,
    Tissue.FALSE_LUMEN,
    Tissue.AZYGOS_VEIN,
    Tissue.LIVER_VESSEL,
)
WALLS = (Tissue.MYOCARDIUM, Tissue.LV_PAPILLARY, Tissue.RV_TRABECULA, Tissue.RV_WALL, Tissue.RV_HYPERTROPHY)

# What contrast medium adds to groups of tissues, HU: (mean, spread between people), arterial, mixed and venous. Arterial:
# as in coronary CTA (Abbara et al., J Cardiovasc Comput Tomogr 2016); venous: as 70 s after the injection (Bae, Radiology
# 2010). The numbers are ours.
_ENHANCEMENT: tuple[tuple[tuple[Tissue, ...], tuple[int, int], tuple[int, int], tuple[int, int]], ...] = (
    (LEFT_BLOOD, (340, 75), (270, 55), (125, 25)),
    (RIGHT_BLOOD[:3], (150, 90), (250, 65), (122, 25)),
    ((Tissue.VENA_CAVA_SUPERIOR,), (330, 220), (420, 200), (125, 25)),
    ((Tissue.VENA_CAVA_INFERIOR, Tissue.CORONARY_VEIN, Tissue.AZYGOS_VEIN), (25, 20), (60, 25), (110, 25)),
    ((Tissue.LUNG_VESSEL,), (240, 70), (240, 50), (115, 25)),
    (WALLS, (58, 14), (55, 12), (50, 10)),
    ((Tissue.LIVER,), (12, 6), (20, 8), (52, 10)),
    ((Tissue.SPLEEN,), (70, 20), (75, 20), (70, 12)),
    ((Tissue.KIDNEY,), (120, 35), (125, 35), (140, 25)),
    ((Tissue.FALSE_LUMEN,), (200, 110), (190, 90), (115, 25)),
    ((Tissue.LIVER_VESSEL,), (25, 15), (60, 25), (110, 25)),
)


def _ct_table(phase: str) -> np.ndarray:
    table = np.array([_SOLID.get(tissue, _BLOOD)[:2] for tissue in Tissue], np.float32)
    if phase != "none":
        for members, *phases in _ENHANCEMENT:
            mean, spread = phases[CONTRAST_PHASES.index(phase)]
            table[list(members), 0] += mean
            table[list(members), 1] = spread
    table.setflags(write=False)
    return table


CT_HU: dict[str, np.ndarray] = {phase: _ct_table(phase) for phase in CONTRAST_PHASES}
"""Contrast phase -> float32 [tissue, 2]: mean HU and its standard deviation between people."""


def _mr_table() -> np.ndarray:
    table = np.array([_SLOW_BLOOD_SIGNAL.get(t, _SOLID.get(t, _BLOOD)[2]) for t in Tissue], np.float32)
    table.setflags(write=False)
    return table


MR_SIGNAL: np.ndarray = _mr_table()
"""float32 [tissue]: signal relative to blood in a balanced steady-state sequence at 1.5 T (T2/T1 weighted: blood and
fluids bright, muscle at about a third; after Scheffler and Lehnhardt, Eur Radiol 2003)."""
