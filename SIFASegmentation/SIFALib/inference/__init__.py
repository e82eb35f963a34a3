"""A scan to a segmentation."""
