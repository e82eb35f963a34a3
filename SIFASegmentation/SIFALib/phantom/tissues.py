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


def _label_table() -> np.ndarray:
    table = np.zeros(256, np.uint8)
    table[[Tissue.MYOCARDIUM]] = 1
    table[[Tissue.LA_BLOOD, Tissue.LA_APPENDAGE]] = 2
    table[[Tissue.LV_BLOOD, Tissue.LV_PAPILLARY]] = 3
    table[[Tissue.ASCENDING_AORTA]] = 4
    table.setflags(write=False)
    return table


LABEL_OF_TISSUE: np.ndarray = _label_table()
"""uint8 [256]: tissue id -> label (MYO 1, LA 2, LV 3, AA 4, otherwise 0). Papillary muscles belong to the LV (MM-WHS)."""
