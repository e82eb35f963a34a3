"""What is installed, whether it works, and the repair in a sentence: for `sifa doctor` and Slicer's panel.

Each check returns findings and changes nothing. torch is never imported here: a half-installed one can crash
or hang the program that imports it, so it is tried in a fresh process, with one convolution. Importing this
module needs nothing but Python, so that it can say what else is missing.
"""

from __future__ import annotations

import importlib
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__, networks
from .support.errors import ModelError

if TYPE_CHECKING:
    from .models.store import ModelPackage, ModelStore

MIN_PYTHON = (3, 10)
MIN_TORCH = (2, 2)
PACKAGES = {  # module -> (name for pip, least version)
    "numpy": ("numpy", (1, 26)),
    "SimpleITK": ("SimpleITK", (2, 3)),
    "scipy": ("scipy", (1, 11)),
    "skimage": ("scikit-image", (0, 22)),
    "safetensors": ("safetensors", (0, 4)),
    "psutil": ("psutil", (5, 9)),
    "filelock": ("filelock", (3, 12)),
    "pydicom": ("pydicom", (2, 4)),
}
MARK = "SIFA found: "  # before what this module prints as a program: facts about torch, as JSON
TIMEOUT_S = 180.0  # the first import of torch from a slow disk takes a minute

INSTALL_TORCH = "Install PyTorch: in Slicer by the PyTorch extension, elsewhere by `pip install torch`."
REINSTALL_TORCH = (
    "PyTorch is only half installed: uninstall it, restart, and install it again (in Slicer by the PyTorch extension)."
)
OTHER_BUILD = "This PyTorch was not built for this GPU: install the build for its CUDA version, or choose the CPU."


@dataclass(frozen=True)
class Finding:
    """One result: what was looked at, whether it is well, what was found, and what to do if it is not."""

    name: str
    ok: bool
    detail: str
    repair: str = ""


def examine(models_folder: str | None = None, python: str | None = None) -> Iterator[Finding]:
    """All checks, one finding after the other.

    models_folder: of the user's own models; None: the usual one. python: the interpreter that runs torch;
    None: this one. Where numpy is missing the models cannot be checked, and that is a finding.
    """
    yield check_python()
    yield from check_packages()
    torch = check_torch(python)
    yield torch
    try:
        from .models import store as models
    except ImportError as error:
        repair = "Repair the packages above first."
        yield Finding("Models", False, f"cannot be checked ({_last_line(str(error))})", repair)
        return
    store = models.default_store(models_folder)
    yield from check_models(store)
    yield check_user_folder(store.user)
    if torch.ok and store.packages():
        yield time_slice(store.default(), python)


def check_python() -> Finding:
    version = platform.python_version()
    ok = sys.version_info[:2] >= MIN_PYTHON
    detail = f"{version} on {platform.system()} {platform.machine()}, SIFA {__version__}"
    return Finding("Python", ok, detail, "" if ok else f"SIFA needs Python {_dotted(MIN_PYTHON)} or newer.")


def check_packages() -> Iterator[Finding]:
    """The packages besides torch: whether they can be imported, and are new enough."""
    for module, (name, least) in PACKAGES.items():
        try:
            version = str(getattr(importlib.import_module(module), "__version__", "unknown"))
        except Exception as error:  # a broken package may raise anything
            yield Finding(name, False, f"cannot be imported ({_last_line(str(error))})", _install(name))
            continue
        ok = _at_least(version, least)
        detail = version if ok else f"{version}, older than {_dotted(least)}"
        yield Finding(name, ok, detail, "" if ok else _install(name))


def check_torch(python: str | None = None, timeout_s: float = TIMEOUT_S) -> Finding:
    """Import torch and compute one convolution on the CPU and the device SIFA would choose, elsewhere."""
    facts = _in_fresh_process("probe_torch", [], python, timeout_s)
    if isinstance(facts, Finding):
        return facts
    if not _at_least(facts["version"], MIN_TORCH):
        repair = f"Upgrade PyTorch to {_dotted(MIN_TORCH)} or newer."
        return Finding("PyTorch", False, f"{facts['version']} is too old", repair)
    device = facts["device"] if facts["device"] == "cpu" else f"{facts['device']} ({facts['device_name']})"
    detail = f"{facts['version']}, computes in {facts['precision']} on {device}"
    if facts["device"] == "cpu":
        detail += f" with {facts['threads']} threads"
    return Finding("PyTorch", True, detail)


def check_models(store: ModelStore) -> Iterator[Finding]:
    """Every model of the store: its weights against its card, then the folders that hold no usable model."""
    from .models import store as models

    packages, broken = store.packages(), store.broken()
    for package in packages:
        name = f"Model {package.card.key}"
        try:
            models.verify(package)
        except ModelError as error:
            yield Finding(name, False, str(error), "Delete this model and import it again.")
        except ImportError as error:  # told by its own line already
            yield Finding(name, False, f"cannot be checked ({error})", "Install what is missing, and look again.")
        else:
            yield Finding(name, True, f"{package.card.name}, {package.card.modality}, SHA-256 agrees")
    for bad in broken:
        name = f"Model folder {bad.folder.name}"
        yield Finding(name, False, bad.reason, "Delete the folder or import the model again.")
    if not packages:
        yield Finding("Models", False, f"none in {store.bundled} or {store.user}", "Import a model.")


def check_user_folder(folder: Path) -> Finding:
    """Whether models can be imported: the folder, or the nearest existing one above it, can be written to."""
    from .models import store as models

    name, place = "Folder for own models", folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        repair = f"Allow writing to {place}, or set {models.ENVIRONMENT} to another folder."
        return Finding(name, False, f"{folder} cannot be written to ({error.strerror})", repair)
    return Finding(name, True, str(folder))


def time_slice(package: ModelPackage, python: str | None = None) -> Finding:
    """One slice of the model's size through its network on the device SIFA would choose, elsewhere."""
    facts = _in_fresh_process("probe_slice", [str(package.folder)], python)
    if isinstance(facts, Finding):
        return facts
    side = package.card.preprocessing.crop
    how = f"{side} x {side} pixels on {facts['device']} in {facts['precision']}"
    detail = f"{facts['seconds'] * 1000:.0f} ms for {how}"
    return Finding(f"One slice through {package.card.key}", True, detail)


def probe_torch() -> dict[str, Any]:
    """Runs in the fresh process: a convolution with a known result, on the CPU and on the chosen device."""
    import torch

    if not _at_least(torch.__version__, MIN_TORCH):
        return {"version": torch.__version__}

    device = networks.choose_device("auto")
    for place in {"cpu", str(device)}:
        image = torch.ones(1, 2, 8, 8, device=place)
        result = torch.nn.functional.conv2d(image, torch.ones(1, 2, 3, 3, device=place))
        if not bool((result.cpu() == 18).all()):
            raise RuntimeError(f"a convolution on {place} gave a wrong result")
    return {
        "version": torch.__version__,
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": str(networks.choose_precision("auto", device)).removeprefix("torch."),
        "threads": torch.get_num_threads(),
    }


def probe_slice(folder: str) -> dict[str, Any]:
    """Runs in the fresh process: seconds for one slice, the second of two."""
    import time

    import numpy as np

    from .models import store as models

    package = models.read_package(folder)
    device = networks.choose_device("auto")
    precision = networks.choose_precision("auto", device)
    network = networks.prepare(networks.load_segmenter(package), device, precision)
    side = package.card.preprocessing.crop
    image = np.zeros((1, side, side), np.float32)
    network.probabilities(image)
    start = time.perf_counter()
    network.probabilities(image)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "device": str(device), "precision": str(precision).removeprefix("torch.")}


def answer(probe: str, *arguments: str) -> None:
    """Runs in the fresh process: print what that function of this module returns, or what it fails of, as JSON."""
    try:
        answered = {"facts": globals()[probe](*arguments)}
    except Exception as error:
        missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
        answered = {"error": _last_line(str(error)) or type(error).__name__, "missing": missing}
    sys.stdout.write("\n" + json.dumps(answered))


def _in_fresh_process(
    probe: str, arguments: Sequence[str], python: str | None, timeout_s: float = TIMEOUT_S
) -> dict[str, Any] | Finding:
    """The facts that the function `probe` of this module returns elsewhere, or why there are none."""
    library = str(Path(__file__).resolve().parents[1])
    code = (
        # not from the current folder, whose json.py may be a stranger's
        f"import sys; sys.path[:] = [{library!r}, *(p for p in sys.path if p not in ('', '.'))]; "
        "from SIFALib import doctor; "
        f"doctor.answer({probe!r}, *{list(arguments)!r})"
    )
    try:
        run = subprocess.run(
            [python or sys.executable, "-c", code],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows: no black window
        )
    except subprocess.TimeoutExpired:
        return Finding("PyTorch", False, f"did not answer within {timeout_s:.0f} s", REINSTALL_TORCH)
    except OSError as error:
        return Finding("PyTorch", False, f"{python} cannot be started ({error.strerror})", "Check the path of Python.")
    lines = run.stdout.splitlines()
    if run.returncode != 0 or not lines:
        return Finding("PyTorch", False, f"crashes when it is used (exit code {run.returncode})", REINSTALL_TORCH)
    answered: dict[str, Any] = json.loads(lines[-1])
    facts: dict[str, Any] | None = answered.get("facts")
    return _diagnose(answered["error"], answered["missing"]) if facts is None else facts


def _diagnose(error: str, missing: str) -> Finding:
    """What a failed probe says about the installation of torch."""
    if missing in PACKAGES:
        name, _ = PACKAGES[missing]
        return Finding("PyTorch", False, f"cannot be tried without {name}", _install(name))
    if missing == "torch":
        return Finding("PyTorch", False, "is not installed", INSTALL_TORCH)
    of_gpu = "no kernel image" in error or "CUDA" in error  # torch's own words, which no class tells apart
    return Finding("PyTorch", False, error, OTHER_BUILD if of_gpu else REINSTALL_TORCH)


def _install(name: str) -> str:
    return f"Run `pip install --upgrade {name}`."


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def _at_least(version: str, least: tuple[int, ...]) -> bool:
    numbers = []
    for part in version.split("+")[0].split(".")[: len(least)]:
        digits = "".join(c for c in part if c.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers) >= least


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(n) for n in version)


if __name__ == "__main__":
    sys.stdout.write(f"\n{MARK}{json.dumps(probe_torch())}\n")
