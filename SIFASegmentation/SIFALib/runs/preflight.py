"""What can be known of a run before anything is made or computed: whether its scans and its start model are there.

No torch here. What only the scans' voxels tell is found out when they are prepared.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..adaptation.method import Method
from ..datasets import checks, placing, released, settings, sources
from ..datasets.scans import examine
from ..datasets.settings import CONTOURED, PHANTOMS, DataSettings
from ..models import store
from ..models.card import ModelCard
from ..support.errors import DataError, ModelError
from .configuration import Configuration


def check(configuration: Configuration) -> None:
    """Raises DataError for scans or label maps that are missing, ModelError for the start model."""
    for domain in ("source", "target"):
        if configuration.data.place(domain) not in PHANTOMS:
            _check_scans(configuration.data, domain)
    if configuration.data.source == CONTOURED and not settings.CONTOURS.is_dir():
        raise DataError(
            f"{settings.CONTOURS}, which comes with SIFA, is not there; install SIFA again, or name a source."
        )
    package = start_package(configuration)
    if package is not None:
        store.verify(package)


def start_package(configuration: Configuration) -> store.ModelPackage | None:
    """What `Configuration.start_model` names; None if it names none. ModelError if it does not fit."""
    if not configuration.start_model:
        return None
    package = model_named(configuration.start_model)
    _check_fit(package.card, configuration.method)
    return package


def check_start_if_here(configuration: Configuration) -> None:
    """ModelError for a start model that is on this computer and does not fit; one that is not may be where it trains."""
    if not configuration.start_model:
        return
    try:
        card = model_named(configuration.start_model).card
    except ModelError:
        return
    _check_fit(card, configuration.method)


def _check_fit(card: ModelCard, method: Method) -> None:
    has = (card.architecture.variant, card.architecture.width, card.architecture.classes)
    wanted = (method.variant, method.width, method.classes)
    if has != wanted:
        raise ModelError(
            f"The start model {card.key} is of variant, width and classes {has}, the method of {wanted}; choose "
            "another model, or set the method to the model's."
        )


def model_named(name: str) -> store.ModelPackage:
    """The model in that folder, or of that id, id@version. ModelError."""
    return store.read_package(name) if Path(name).is_dir() else store.default_store().get(name)


def _check_scans(data: DataSettings, domain: str) -> None:
    """Raise DataError, in the words of `datasets.prepare`, where images or the label maps beside them are missing."""
    found = sources.find(
        data.place(domain), data.labelled(domain), data.excluded(domain), cines=not data.labelled(domain)
    ).scans
    if domain == "target":
        placing.check_names(data, found)
    if not data.labelled(domain):
        return
    bare = [s for s in found if s.label is None and s.kind not in released.KINDS]
    findings = [replace(s, domain=domain, label=None) for s in found if s not in bare]
    findings += [examine(s, domain, data)[0] for s in bare[: checks.MOST_NAMED]]  # reads these images
    refused = checks.refusal(findings, [])
    left = len(bare) - checks.MOST_NAMED
    if left > 0:
        refused += f" {left} more have no label map either."
    if refused:
        raise DataError(refused, advice="check_data" if left > 0 else "")
