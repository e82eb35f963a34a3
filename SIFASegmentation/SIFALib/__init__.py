"""SIFA: heart segmentation in CT and MR that adapts to unlabelled scans.

Importing this package imports neither torch nor Slicer: every module loads what it needs itself, so that the
panels in 3D Slicer open before PyTorch is installed.
"""

__version__ = "0.1.0"
