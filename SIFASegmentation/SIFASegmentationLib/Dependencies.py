"""The Python packages that the library needs: asked for when needed, tried before they are trusted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .Steps import Step

REQUESTER = "SIFA"
TORCH = ">=2.2"
CHECK_SECONDS = 180.0  # a first import of torch from a slow disk takes one minute
CHECK_INTERVAL = 0.02  # seconds
ONE_CONVOLUTION = """
import torch
image, kernel = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 3, 3)
total = float(torch.nn.functional.conv2d(image, kernel).sum())
assert total == 324.0, f"a convolution gave {total} instead of 324"
print("convolution right with torch", torch.__version__)
"""


class DependencyError(RuntimeError):
    """A package that is missing or broken; the message names the repair."""


class Dependencies:
    """Installs on demand through Slicer; never SimpleITK or numpy, which Slicer brings."""

    def __init__(self, requirements: Path | None = None) -> None:
        self.requirements = requirements or Path(__file__).parents[1] / "Resources" / "requirements.txt"
        self.python = shutil.which("PythonSlicer") or sys.executable
        self._tried = False

    def ensure(self) -> None:
        """Ask for what is missing and install it. To be called on the main thread. Raises DependencyError."""
        if not self.torchIsThere():
            self._installTorch()
        needed = slicer.packaging.load_requirements(str(self.requirements))
        try:
            slicer.packaging.pip_ensure(needed, requester=REQUESTER)
        except Exception as error:
            raise DependencyError(
                _(
                    "The Python packages {names} were not installed: {error}. Press Apply to try again."
                ).format(names=", ".join(str(n) for n in needed), error=str(error).rstrip("."))
            ) from error

    def torchIsThere(self) -> bool:
        """Whether torch can be found; not imported, as a broken one would stay until Slicer restarts."""
        try:
            return "torch" in sys.modules or importlib.util.find_spec("torch") is not None
        except (ImportError, ValueError):
            return False

    def _installTorch(self) -> None:
        try:
            import PyTorchUtils
        except ImportError as error:
            raise DependencyError(
                _(
                    "PyTorch is missing. "
                    "Install the extension PyTorch in the Extensions Manager and restart Slicer."
                )
            ) from error
        try:
            logic = PyTorchUtils.PyTorchUtilsLogic()
            torch = logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH)
        except Exception as error:
            raise DependencyError(
                _("PyTorch could not be installed: {error}. Is this computer online?").format(error=error)
            ) from error
        if torch is None:
            raise DependencyError(_("PyTorch is missing and was not installed. Press Apply to install it."))

    def trySteps(self) -> Iterator[Step]:
        """Run one convolution in a fresh process, once a session; dropping the steps ends it.

        Raises DependencyError, which names the repair.
        """
        if self._tried:
            return
        command = [self.python, "-c", ONE_CONVOLUTION]
        process = slicer.util.launchConsoleProcess(command, useStartupEnvironment=False)
        end = time.monotonic() + CHECK_SECONDS
        try:
            while process.poll() is None and time.monotonic() < end:
                yield Step(_("Checking PyTorch"))
                time.sleep(CHECK_INTERVAL)
            if process.poll() is None:
                raise DependencyError(self._repair(_("it did not answer within three minutes")))
            output = process.stdout.read().strip()
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
        if process.returncode != 0 or "convolution right" not in output:
            ended = _("it ended with code {code}").format(code=process.returncode)
            raise DependencyError(self._repair(output.splitlines()[-1] if output else ended))
        self._tried = True

    @staticmethod
    def _repair(reason: str) -> str:
        try:
            version = importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:
            version = "?"
        return _(
            "PyTorch {version} is installed but does not work ({reason}). To repair it, open the module "
            "PyTorch Utils, press Uninstall PyTorch, restart Slicer, and press Apply here again."
        ).format(version=version, reason=reason)
