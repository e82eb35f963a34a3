"""Where everything in the heart lies: landmarks of one person, placed from an average heart.

The landmarks of the average heart are in LPS mm relative to the centre of the left-ventricular base, for a
long axis 43 degrees to the left of anterior and 38 degrees down; they were laid out by hand after textbook
anatomy and the look of CT scans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .person import Person

MEAN_AZIMUTH, MEAN_DECLINATION = 43.0, 38.0
MEAN_LV_ML = 115.0
ASIDE_MM = 8.0
"""How far the left ventricle lies towards its free wall from where the other landmarks were laid out around it, as
measured in hearts (see `bench_anatomy`)."""


def frame(azimuth: float, declination: float, roll: float) -> np.ndarray:
    """[3, 3] for angles in degrees; rows: unit vectors (LPS) from base to apex, towards the right ventricle, and up
    along the anterior wall."""
    az, dec, ro = np.radians([azimuth, declination, roll])
    apex = np.array([np.cos(dec) * np.sin(az), -np.cos(dec) * np.cos(az), -np.sin(dec)])
    septal = np.array([-np.cos(az), -np.sin(az), 0.0])
    upper = np.cross(septal, apex)
    return np.array([apex, np.cos(ro) * septal + np.sin(ro) * upper, np.cos(ro) * upper - np.sin(ro) * septal])


@dataclass(frozen=True)
class Sizes:
    """What is tuned until the volumes are those of the person (see `heart.fit`)."""

    lv_mm: float = 25.0
    """Largest inner radius of the left ventricle."""
    wall_mm: float = 9.0
    aorta_mm: float = 14.0
    """Radius of the tubular ascending aorta."""
    la: float = 1.0
    """Chambers relative to the average heart."""
    rv: float = 1.0
    ra: float = 1.0


@dataclass(frozen=True, eq=False)
class Plan:
    """Landmarks (LPS mm) and directions of one heart."""

    person: Person
    axes: np.ndarray
    """[3, 3], rows: unit vectors of the ventricles, as from `frame`."""
    turn: np.ndarray
    """[3, 3]: how the atria and great vessels are turned against the average heart's."""
    scale: float
    """Lengths relative to the average heart."""
    lv_length: float
    """Of the left ventricle's cavity from base to apex, mm."""

    def at(self, x: float, y: float, z: float) -> np.ndarray:
        """A landmark of the average heart, moved with this heart (turned, scaled)."""
        aside = ASIDE_MM * frame(MEAN_AZIMUTH, MEAN_DECLINATION, 0.0)[1]
        return np.asarray(self.person.base) + self.turn @ (self.scale * (np.array([x, y, z]) + aside))

    def inside(self, along: float, septal: float, upper: float) -> np.ndarray:
        """A point in ventricular coordinates, mm from the base centre."""
        return np.asarray(self.person.base) + np.array([along, septal, upper]) @ self.axes

    def direction(self, x: float, y: float, z: float) -> np.ndarray:
        """A direction in the average heart, turned with this one: a unit vector."""
        v = self.turn @ np.array([x, y, z], float)
        return v / np.linalg.norm(v)


def make_plan(person: Person) -> Plan:
    """The heart of this person as it is meant; `heart.settled` may move it."""
    axes = frame(person.azimuth, person.declination, person.roll)
    mean = frame(MEAN_AZIMUTH, MEAN_DECLINATION, 0.0)
    f = person.follow  # the atria and the great vessels follow the turn of the ventricles only in part
    part = frame(
        f * person.azimuth + (1 - f) * MEAN_AZIMUTH,
        f * person.declination + (1 - f) * MEAN_DECLINATION,
        f * person.roll,
    )
    scale = float((person.frame_ml / MEAN_LV_ML) ** (1 / 3) * 0.6 + 0.4 * person.size)
    # Longitudinal shortening is about 17 % at a normal ejection fraction (Kawel-Boehm 2020).
    contraction = 1 - 0.28 * person.ejection * person.systole
    longer = (person.lv_ml / person.frame_ml) ** 0.22  # a sick ventricle becomes wide more than long
    return Plan(person, axes, part.T @ mean, scale, 84.0 * scale * person.lv_slimness * longer * contraction)
