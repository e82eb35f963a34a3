"""The Slicer side of SIFATraining."""
