"""A digital thorax made of implicit surfaces: random anatomy, exact labels, CT and MR appearance.

Only numpy and SimpleITK are needed, so that it runs inside a bare 3D Slicer. The same seed gives the same phantom.
"""
from __future__ import annotations

from . import tissues
from .anatomy import anatomy

__all__ = ["anatomy", "tissues"]
