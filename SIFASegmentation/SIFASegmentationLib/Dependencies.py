"""The Python packages that the library needs: asked for when needed, tried before they are trusted."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from SIFALib import doctor
from SIFALib.support.errors import SifaError
from SIFALib.support.progress import Progress, Steps
from slicer.i18n import tr as _

REQUESTER = "SIFA"
TORCH = ">=2.2"
CHECK_SECONDS = 180.0  # a first import of torch from a slow disk takes one minute
CHECK_INTERVAL = 0.02  # seconds


class DependencyError(SifaError, RuntimeError):
    """A package that is missing or broken; the message names the repair."""

    code = "dependency"


class Dependencies:
    """Installs on demand through Slicer; never SimpleITK or numpy, which Slicer brings."""

    def __init__(self, requirements: Path | None = None, button: str = "") -> None:
        self.button = button or _("Apply")  # what messages tell to press again
        self.requirements = requirements or Path(__file__).parents[1] / "Resources" / "requirements.txt"
        self.python = shutil.which("PythonSlicer") or sys.executable
        self._tried = False

    def ensure(self) -> None:
        """Ask for what is missing and install it. To be called on the main thread. Raises DependencyError."""
        try:
            import slicer.packaging
        except ImportError as error:
            raise DependencyError(_("SIFA needs Slicer 5.12 or newer; update Slicer.")) from error
        if not self.torchIsThere():
            self._installTorch()
        needed = slicer.packaging.load_requirements(str(self.requirements))
        try:
            slicer.packaging.pip_ensure(needed, requester=REQUESTER)
        except Exception as error:
            names = [str(getattr(each, "name", each)) for each in needed]
            listed = _("{names} and {last}").format(names=", ".join(names[:-1]), last=names[-1])
            if isinstance(error, RuntimeError) and "declined" in str(error).lower():
                text = _(
                    "The Python packages {names} were not installed, since that was declined. Press {button} again."
                )
                raise DependencyError(text.format(button=self.button, names=listed)) from error
            text = _("The Python packages {names} were not installed: {why} Press {button} to try again.")
            raise DependencyError(text.format(button=self.button, names=listed, why=_whyNot(error))) from error

    def ensured(self, say: Callable[..., None]) -> bool:
        """Whether the packages are there, asked for if need be; if not, `say(sentence, isError=True)` is called: what the
        handler of a button that needs them begins with."""
        try:
            self.ensure()
        except DependencyError as error:
            say(str(error), isError=True)
            return False
        return True

    def reinstall(self) -> None:
        """Install the packages besides PyTorch anew, whatever is there; nothing in testing mode. Raises DependencyError."""
        import slicer.packaging

        if slicer.app.testingEnabled():
            return

        needed = [str(each) for each in slicer.packaging.load_requirements(str(self.requirements))]
        options = [
            "--force-reinstall",
            "--no-deps",
            "--only-binary",
            ":all:",
        ]  # what they need is here, and Slicer's own
        self._tried = False
        try:
            slicer.packaging.pip_install([*options, *needed], requester=REQUESTER)
            slicer.packaging.pip_install(needed, requester=REQUESTER)  # what these need, if that is missing
        except Exception as error:
            raise DependencyError(_("The packages were not installed: {why}").format(why=_whyNot(error))) from error

    def again(self) -> None:
        """Let `trySteps` try once more, even if all was well before."""
        self._tried = False

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
                _("PyTorch is missing. Install the extension PyTorch in the Extensions Manager and restart Slicer.")
            ) from error
        try:
            logic = PyTorchUtils.PyTorchUtilsLogic()
            torch = logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH)
        except Exception as error:
            raise DependencyError(_("PyTorch could not be installed: {why}").format(why=_whyNot(error))) from error
        if torch is None:
            raise self._missing()

    def trySteps(self) -> Steps[None]:
        """Run one convolution on every device in use, in a fresh process, once a session.

        Dropping the steps ends that process. Raises DependencyError, which names the repair.
        """
        if self._tried:
            return
        if not self.torchIsThere():
            raise self._missing()
        from SIFALib.runs import launch

        end = time.monotonic() + CHECK_SECONDS
        with tempfile.TemporaryDirectory(prefix="sifa-", ignore_cleanup_errors=True) as folder:
            output = Path(folder) / "said.txt"  # a pipe that nobody empties would hold up a process with much to say
            process = launch.start(self.python, "SIFALib.doctor", [], output)
            try:
                while process.poll() is None and time.monotonic() < end:
                    yield Progress(_("Checking PyTorch"), 0.0)
                    time.sleep(CHECK_INTERVAL)
                if process.poll() is None:
                    raise self._broken(_("it did not answer within three minutes"))
            finally:
                launch.kill(process)  # with what Slicer's launcher has started
            self._refuseBroken(process.returncode, launch.last_words(output))
        self._tried = True

    def _refuseBroken(self, returnCode: int, last: str) -> None:
        """last: what it printed at its end."""
        if returnCode != 0 or not last.startswith(doctor.MARK):
            raise self._broken(last or _("it ended with code {code}").format(code=returnCode))
        found = json.loads(last.removeprefix(doctor.MARK))
        if "device" not in found:
            raise DependencyError(
                _("PyTorch {version} is too old, SIFA needs {needed}. {repair}").format(
                    version=found["version"], needed=TORCH, repair=self._repair()
                )
            )

    def _missing(self) -> DependencyError:
        text = _("PyTorch is missing and was not installed. Press {button} to install it.")
        return DependencyError(text.format(button=self.button))

    def _broken(self, reason: str) -> DependencyError:
        try:
            version = importlib.metadata.version("torch")
        except importlib.metadata.PackageNotFoundError:
            version = ""
        text = _("PyTorch {version} is installed but does not work ({reason}). {repair}")
        return DependencyError(text.format(version=version, reason=reason, repair=self._repair()))

    def _repair(self) -> str:
        return _(
            "To repair it, open the module PyTorch Utils, press Uninstall PyTorch, restart Slicer, and press "
            "{button} here again: it is then installed in the build that fits this computer."
        ).format(button=self.button)


def _whyNot(error: Exception) -> str:
    """Why an installation failed, for a person; the error log gets the command and all that it said."""
    logging.error("SIFA: an installation failed", exc_info=error)
    if isinstance(error, subprocess.CalledProcessError):
        text = _("pip ended with code {code}. Is this computer online? The error log has the details.")
        return text.format(code=error.returncode)
    return _("{error}. The error log has the details.").format(error=str(error).strip().rstrip("."))
