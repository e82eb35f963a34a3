"""The Slicer side of SIFASegmentation: panel, logic, parameters, and the way from the scene and back."""
