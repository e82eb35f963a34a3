"""Models as folders: find them, check them, load them, import, export, write and delete them.

A package is a folder with `model.json` (card.py) and `model.safetensors` (weights.py). A store is a bundled folder,
which is never written to, and a user folder; versions of one model stand side by side in it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..support.errors import ModelError, NotWritable, RecordError
from ..support.files import made, made_folder, read_limited, remove_folder, scratch_folder, settle, sweep
from ..support.messages import reason
from . import archive
from . import weights as model_weights
from .architectures import Architecture
from .archive import CARD, LIMITS, WEIGHTS
from .card import ModelCard, Preprocessing, Quality, version_key

__all__ = [
    "Architecture", "BrokenPackage", "ModelCard", "ModelPackage", "ModelStore", "Preprocessing", "Quality",
    "default_store", "read_package", "verify", "write_package",
]  # fmt: skip

ENVIRONMENT = "SIFA_MODELS"  # names the user folder, before the platform's default
_STALE_SECONDS = 24 * 3600.0  # age at which the leftover of a killed import is swept away


@dataclass(frozen=True)
class ModelPackage:
    """A model on disk whose card is sound; its weights are checked when they are read."""

    folder: Path
    card: ModelCard

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    def tensors(self, source: Path | None = None) -> dict[str, np.ndarray]:
        """The weights, float16, by name: SHA-256, header, every tensor's name, shape and values checked. ModelError.

        source: what messages call the folder.
        """
        return model_weights.read(
            self.weights, self.card.sha256, self.card.architecture, (source or self.folder) / WEIGHTS
        )


@dataclass(frozen=True)
class BrokenPackage:
    """A folder of the store that cannot be used, and the sentence that says why."""

    folder: Path
    reason: str


def read_package(folder: str | os.PathLike[str], source: Path | None = None) -> ModelPackage:
    """The package in `folder`, wherever it lies; reads the card only. source: what messages call it. ModelError."""
    folder = Path(folder)
    source = source or folder
    try:
        text = read_limited(folder / CARD, LIMITS[CARD])
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{source} is no model: there is no {CARD} in it.") from None
    except OSError as error:
        raise ModelError(f"{source} is no model: {CARD} cannot be read ({reason(error)}).") from error
    if len(text) > LIMITS[CARD]:
        raise ModelError(f"{source / CARD} is larger than a model card can be; it is damaged or hostile.")
    package = ModelPackage(folder, _card(text, str(source / CARD)))
    if not package.weights.is_file():
        raise ModelError(f"{source / WEIGHTS} is missing; the model is incomplete, import it again.")
    return package


@lru_cache(maxsize=64)
def _card(text: bytes, source: str) -> ModelCard:
    """Parsed once, which takes 20 ms: panels ask for all models whenever a person chooses anything."""
    return ModelCard.from_json(text, source)


def verify(package: ModelPackage) -> None:
    """Check the weights (`ModelPackage.tensors`). Raises ModelError."""
    package.tensors()


def write_package(folder: str | os.PathLike[str], state: Mapping[str, np.ndarray], **card: Any) -> ModelPackage:
    """Write a new package of a Segmenter's state (`networks.state_arrays`) and of the card's fields.

    `sha256` is computed; `sifa_version` and `created` are this version and now unless given. The folder
    appears complete or not at all. Raises ModelError for a state or card that cannot be, or when `folder`
    exists; OSError.
    """
    folder = Path(folder)
    architecture = card.get("architecture", Architecture())
    data = model_weights.encode(state, architecture)
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    fields = {"sifa_version": __version__, "created": now, "architecture": architecture} | card
    try:
        written = ModelCard(sha256=hashlib.sha256(data).hexdigest(), **fields)
    except RecordError as error:
        raise ModelError(f"{folder}: the model card cannot be: {error}") from None
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with made_folder(folder) as stage:
            (stage / WEIGHTS).write_bytes(data)
            (stage / CARD).write_text(written.to_json(), encoding="utf-8")
    except FileExistsError as error:
        raise ModelError(f"{folder} exists already; delete or rename it first.") from error
    return ModelPackage(folder, written)


@dataclass(frozen=True)
class ModelStore:
    """The models of the `bundled` folder and of the `user` folder; either may be missing."""

    bundled: Path
    user: Path

    def packages(self) -> tuple[ModelPackage, ...]:
        """The usable models: the ids that come with SIFA first, then by id; of one id the newest version first."""
        return self._scan()[0]

    def broken(self) -> tuple[BrokenPackage, ...]:
        """The folders that are no usable model, each with the reason."""
        return self._scan()[1]

    def get(self, wanted: str) -> ModelPackage:
        """The newest version of the model of that id, or the one that `id@version` picks."""
        model_id, _, version = wanted.partition("@")
        packages, broken = self._scan()
        for package in packages:
            if package.card.id == model_id and version in ("", package.card.version):
                return package
        for candidate in broken:
            rest = candidate.folder.name.removeprefix(f"{model_id}-")
            if rest == version if version else rest[:1].isdigit():
                raise ModelError(candidate.reason)
        known = ", ".join(p.card.key for p in packages) or "none; import one"
        raise ModelError(f"There is no model {wanted!r}. There are: {known}.")

    def default(self) -> ModelPackage:
        """The model to use when none is named: the newest one that comes with SIFA, else the first there is.

        An import never becomes it by what it calls itself.
        """
        packages = self.packages()
        if not packages:
            reasons = " ".join(b.reason for b in self.broken())
            raise ModelError(f"There is no model in {self.bundled} or {self.user}; import one. {reasons}".strip())
        return next(filter(self.is_bundled, packages), packages[0])

    def is_bundled(self, package: ModelPackage) -> bool:
        return package.folder.resolve().parent == self.bundled.resolve()

    def import_package(self, path: str | os.PathLike[str]) -> ModelPackage:
        """Copy a package, folder or zip, into the user folder, after every check. Raises ModelError, NotWritable.

        A refused package leaves nothing behind. Another version of the same model stays untouched beside it.
        """
        path = Path(path)
        try:
            self.user.mkdir(parents=True, exist_ok=True)
            sweep(self.user, _STALE_SECONDS)
            with scratch_folder(self.user) as stage:
                archive.copy_in(path, stage)
                package = read_package(stage, source=path)
                package.tensors(source=path)
                for other in self.packages():
                    if other.card.key == package.card.key:
                        raise ModelError(self._why_not_beside(package, other))
                target = self.user / f"{package.card.id}-{package.card.version}"
                if os.path.lexists(target):
                    raise ModelError(f"{target} exists already; delete or rename it first.")
                settle(stage, target)
        except OSError as error:
            if error.filename and Path(error.filename).is_relative_to(path):
                raise ModelError(f"{path} cannot be read ({reason(error)}).") from error
            raise NotWritable(
                f"{path} cannot be copied into {self.user} ({reason(error)}); mend that, or name another folder for "
                "your models."
            ) from error
        return ModelPackage(target, package.card)

    def _why_not_beside(self, package: ModelPackage, other: ModelPackage) -> str:
        key = package.card.key
        if not self.is_bundled(other):
            return f"{key} is there already, in {other.folder}; delete that one first."
        if package.card.sha256 == other.card.sha256:
            return f"{key} comes with SIFA and is there already; nothing needs to be imported."
        return f"{key} is the name of a model that comes with SIFA; this other one needs another id or version."

    def delete(self, package: ModelPackage | BrokenPackage) -> None:
        """Remove a model of the user folder. Raises ModelError for any other folder, NotWritable."""
        if isinstance(package, ModelPackage) and self.is_bundled(package):
            raise ModelError(
                f"{package.card.key} comes with SIFA and stays; only models that were imported can be deleted."
            )
        if package.folder.resolve().parent != self.user.resolve() or package.folder.is_symlink():
            raise ModelError(f"{package.folder} is not in {self.user}; only models that were imported can be deleted.")
        if not any((package.folder / name).is_file() for name in (CARD, WEIGHTS)):
            raise ModelError(
                f"{package.folder} is no model, neither {CARD} nor {WEIGHTS} is in it; if it is to go, delete it "
                "yourself."
            )
        try:
            remove_folder(package.folder)
        except OSError as error:
            raise NotWritable(f"{package.folder} cannot be deleted ({reason(error)}).") from error

    def export(self, package: ModelPackage, path: str | os.PathLike[str]) -> Path:
        """Write the verified package as a zip file for another SIFA. Raises ModelError, NotWritable."""
        path = Path(path)
        if path.suffix.lower() != ".zip":
            raise ModelError(f"{path} does not end in .zip; models are exported as zip files.")
        verify(package)
        try:
            with made(path) as temporary:
                archive.write_zip(package.folder, temporary, f"{package.card.id}-{package.card.version}")
        except OSError as error:
            raise NotWritable(
                f"{path} cannot be written ({reason(error)}); make room there, or choose another place."
            ) from error
        return path

    def _scan(self) -> tuple[tuple[ModelPackage, ...], tuple[BrokenPackage, ...]]:
        found: dict[str, ModelPackage] = {}
        broken: list[BrokenPackage] = []
        bundled_ids: list[str] = []
        for place in (self.bundled, self.user):
            for folder in _folders(place):
                try:
                    package = read_package(folder)
                except ModelError as error:
                    broken.append(BrokenPackage(folder, str(error)))
                    continue
                other = found.setdefault(package.card.key, package)
                if other is not package:
                    broken.append(BrokenPackage(folder, f"{folder} is the same model as {other.folder}; delete one."))
            bundled_ids = bundled_ids or [p.card.id for p in found.values()]
        packages = sorted(found.values(), key=lambda p: version_key(p.card.version), reverse=True)
        packages.sort(key=lambda p: (p.card.id not in bundled_ids, p.card.id))
        return tuple(packages), tuple(broken)


def default_store(user: str | os.PathLike[str] | None = None) -> ModelStore:
    """The bundled models, and the user's in `user`, else $SIFA_MODELS, else the platform's data folder."""
    here = Path(__file__).resolve().parents[1]
    installed = here / "bundled_models"  # where pip puts them; in the extension they lie among its resources
    bundled = installed if installed.is_dir() else here.parent / "Resources" / "Models"
    return ModelStore(bundled, Path(user or os.environ.get(ENVIRONMENT) or _platform_folder()))


def _platform_folder() -> Path:
    try:
        home = Path.home()
    except RuntimeError:  # a user that the computer does not know, without $HOME, as in a container
        home = Path("/nonexistent")  # as Debian calls the home of who has none
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "SIFA" / "models"


def _folders(place: Path) -> list[Path]:
    """The folders in `place` that claim to be models; none when it does not exist or cannot be listed."""
    try:
        return sorted(p for p in place.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
    except OSError:
        return []
