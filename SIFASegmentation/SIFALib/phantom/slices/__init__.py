"""Slices of phantoms to train on: planes, appearance, artefacts."""
