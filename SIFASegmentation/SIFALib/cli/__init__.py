"""The command `sifa`."""

from .main import main

__all__ = ["main"]
