"""One scan read, checked, written, with its geometry."""
