"""The Slicer side of SIFASegmentation: parameters, logic, panel, and the conversion between scene and library."""
