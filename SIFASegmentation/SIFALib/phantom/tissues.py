"""What the phantom is made of: tissue ids, their labels, CT numbers and MR signals."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


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
    table.setflags(write=False)
    return table


LABEL_OF_TISSUE: np.ndarray = _label_table()
"""uint8 [256]: tissue id -> label (MYO 1, LA 2, LV 3, AA 4, otherwise 0). Papillary muscles and mitral leaflets are LV."""

CONTRAST_PHASES = ("arterial", "mixed", "venous", "none")

# Without contrast medium, HU at about 120 kV: (mean, spread between people), in round numbers of our own. What is
# missing is blood.
_NATIVE_HU: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (-1000, 3),
    Tissue.LUNG: (-850, 30),
    Tissue.AIRWAY: (-995, 5),
    Tissue.AIRWAY_WALL: (-20, 20),
    Tissue.GAS: (-960, 20),
    Tissue.FAT: (-104, 8),
    Tissue.EPICARDIAL_FAT: (-92, 8),
    Tissue.MEDIASTINAL_FAT: (-95, 8),
    Tissue.PERICARDIUM: (-25, 20),
    Tissue.MUSCLE: (54, 6),
    Tissue.SKIN: (15, 15),
    Tissue.BREAST: (10, 25),
    Tissue.CORTICAL_BONE: (680, 150),
    Tissue.MARROW: (170, 55),
    Tissue.DISC: (85, 15),
    Tissue.SPINAL_CANAL: (30, 6),
    Tissue.CARTILAGE: (95, 15),
    Tissue.LIVER: (57, 9),
    Tissue.SPLEEN: (48, 5),
    Tissue.STOMACH_WALL: (40, 6),
    Tissue.STOMACH_CONTENT: (18, 18),
    Tissue.OESOPHAGUS: (36, 7),
    Tissue.MYOCARDIUM: (45, 5),
    Tissue.LV_PAPILLARY: (45, 5),
    Tissue.RV_TRABECULA: (45, 5),
    Tissue.RV_WALL: (42, 6),
    Tissue.ATRIAL_WALL: (38, 8),
    Tissue.VESSEL_WALL: (38, 8),
    Tissue.VALVE: (50, 10),
    Tissue.CALCIFICATION: (750, 250),
    Tissue.TABLE_SHELL: (-120, 60),
    Tissue.TABLE_FOAM: (-930, 15),
    Tissue.PERICARDIAL_FLUID: (12, 8),
    Tissue.PLEURAL_FLUID: (10, 7),
    Tissue.COLLAPSED_LUNG: (45, 15),
    Tissue.METAL: (2800, 200),
    Tissue.STENT: (1100, 350),
    Tissue.THROMBUS: (45, 10),
    Tissue.THYMUS: (40, 25),
    Tissue.KIDNEY: (33, 5),
    Tissue.RV_HYPERTROPHY: (44, 5),
    Tissue.BOWEL: (35, 20),
}
_BLOOD = (43.0, 5.0)

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

# What contrast medium adds, HU: (mean, spread between people) for left blood, right heart, superior and inferior vena
# cava, lung vessels, heart muscle, liver, spleen, kidney, slow blood (false lumen), liver vessels. Arterial: as in coronary
# CTA (Abbara et al., J Cardiovasc Comput Tomogr 2016); venous: as 70 s after the injection (Bae, Radiology 2010). The
# numbers are ours.
_ENHANCEMENT: dict[str, dict[str, tuple[float, float]]] = {
    "arterial": {
        "left": (340, 75),
        "right": (150, 90),
        "svc": (330, 220),
        "ivc": (25, 20),
        "lung": (240, 70),
        "muscle": (58, 14),
        "liver": (12, 6),
        "spleen": (70, 20),
        "kidney": (120, 35),
        "slow": (200, 110),
        "liver_vessel": (25, 15),
    },
    "mixed": {
        "left": (270, 55),
        "right": (250, 65),
        "svc": (420, 200),
        "ivc": (60, 25),
        "lung": (240, 50),
        "muscle": (55, 12),
        "liver": (20, 8),
        "spleen": (75, 20),
        "kidney": (125, 35),
        "slow": (190, 90),
        "liver_vessel": (60, 25),
    },
    "venous": {
        "left": (125, 25),
        "right": (122, 25),
        "svc": (125, 25),
        "ivc": (110, 25),
        "lung": (115, 25),
        "muscle": (50, 10),
        "liver": (52, 10),
        "spleen": (70, 12),
        "kidney": (140, 25),
        "slow": (115, 25),
        "liver_vessel": (110, 25),
    },
    "none": {},
}


def _ct_table(phase: str) -> np.ndarray:
    table = np.zeros((len(Tissue), 2), np.float32)
    for tissue in Tissue:
        table[tissue] = _NATIVE_HU.get(tissue, _BLOOD)
    groups = {
        "left": LEFT_BLOOD,
        "right": RIGHT_BLOOD[:3],
        "svc": (Tissue.VENA_CAVA_SUPERIOR,),
        "ivc": (Tissue.VENA_CAVA_INFERIOR, Tissue.CORONARY_VEIN, Tissue.AZYGOS_VEIN),
        "lung": (Tissue.LUNG_VESSEL,),
        "muscle": WALLS,
        "liver": (Tissue.LIVER,),
        "spleen": (Tissue.SPLEEN,),
        "kidney": (Tissue.KIDNEY,),
        "slow": (Tissue.FALSE_LUMEN,),
        "liver_vessel": (Tissue.LIVER_VESSEL,),
    }
    for name, (mean, spread) in _ENHANCEMENT[phase].items():
        members = list(groups[name])
        table[members, 0] += mean
        table[members, 1] = spread
    table.setflags(write=False)
    return table


CT_HU: dict[str, np.ndarray] = {phase: _ct_table(phase) for phase in CONTRAST_PHASES}
"""Contrast phase -> float32 [tissue, 2]: mean HU and its standard deviation between people."""


# Relative to blood, as are those that are missing.
_SIGNAL: dict[Tissue, float] = {
    Tissue.AIR: 0.0,
    Tissue.LUNG: 0.07,
    Tissue.AIRWAY: 0.01,
    Tissue.AIRWAY_WALL: 0.25,
    Tissue.GAS: 0.0,
    Tissue.FAT: 0.85,
    Tissue.EPICARDIAL_FAT: 0.8,
    Tissue.MEDIASTINAL_FAT: 0.8,
    Tissue.PERICARDIUM: 0.22,
    Tissue.MUSCLE: 0.3,
    Tissue.SKIN: 0.35,
    Tissue.BREAST: 0.5,
    Tissue.CORTICAL_BONE: 0.06,
    Tissue.MARROW: 0.5,
    Tissue.DISC: 0.45,
    Tissue.SPINAL_CANAL: 1.0,
    Tissue.CARTILAGE: 0.4,
    Tissue.LIVER: 0.38,
    Tissue.SPLEEN: 0.5,
    Tissue.STOMACH_WALL: 0.4,
    Tissue.STOMACH_CONTENT: 0.75,
    Tissue.OESOPHAGUS: 0.4,
    Tissue.MYOCARDIUM: 0.36,
    Tissue.LV_PAPILLARY: 0.36,
    Tissue.RV_TRABECULA: 0.38,
    Tissue.RV_WALL: 0.38,
    Tissue.ATRIAL_WALL: 0.35,
    Tissue.VESSEL_WALL: 0.3,
    Tissue.VALVE: 0.3,
    Tissue.CALCIFICATION: 0.02,
    Tissue.TABLE_SHELL: 0.0,
    Tissue.TABLE_FOAM: 0.0,
    Tissue.LUNG_VESSEL: 0.75,
    Tissue.PERICARDIAL_FLUID: 1.05,
    Tissue.PLEURAL_FLUID: 1.05,
    Tissue.COLLAPSED_LUNG: 0.45,
    Tissue.METAL: 0.0,
    Tissue.STENT: 0.05,
    Tissue.FALSE_LUMEN: 0.85,
    Tissue.THROMBUS: 0.35,
    Tissue.THYMUS: 0.45,
    Tissue.KIDNEY: 0.6,
    Tissue.LIVER_VESSEL: 0.85,
    Tissue.RV_HYPERTROPHY: 0.37,
    Tissue.BOWEL: 0.5,
}


def _mr_table() -> np.ndarray:
    table = np.array([_SIGNAL.get(tissue, 1.0) for tissue in Tissue], np.float32)
    table.setflags(write=False)
    return table


MR_SIGNAL: np.ndarray = _mr_table()
"""float32 [tissue]: signal relative to blood in a balanced steady-state sequence at 1.5 T (T2/T1 weighted: blood and
fluids bright, muscle at about a third; after Scheffler and Lehnhardt, Eur Radiol 2003)."""
