"""A run for another computer: one folder with the configuration, the scans, the start model and one command line.

Scans are written anew as NRRD files with numbers for names: what their files said about persons stays behind.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..datasets import label_values, sources
from ..datasets.places import records
from ..datasets.scans import Scan, image_of, labels_of
from ..datasets.settings import PHANTOMS, DataSettings
from ..imaging import writing
from ..imaging.geometry import Volume
from ..models.structures import STRUCTURES
from ..support.errors import DataError, RunError
from ..support.files import write_text
from ..support.progress import Progress, Steps
from .configuration import Configuration, changed, new_run_file, read_settings
from .preflight import model_named

COMMAND = "torchrun --standalone --nproc-per-node {processes} -m SIFALib.runs run"
TEXT = """SIFA: a training for another computer
=====================================

Copy this folder there. In an environment in which `pip install slicer-sifa` or a copy of the SIFA repository
(`pip install .`) and PyTorch are installed, open a terminal in this folder and enter

    {create} && {command}

--nproc-per-node is the number of its GPUs; it must divide the batch of {batch}. The training can be stopped and goes on
with the second half of the line. When it has finished, copy the folder `run` back into your folder of runs and open it in
SIFA Training.
The scans here are named by numbers, in the order of their names there.
"""


def steps(request: dict[str, Any], folder: Path) -> Steps[dict[str, Any]]:
    """The task "pack". request: configuration (text), place (a folder that does not exist or is empty).

    Answers {"folder", "command"}. RunError if the place is taken, DataError, VolumeError or OSError for scans.
    """
    configuration = read_settings(request["configuration"], "The request")
    place = Path(request["place"])
    if place.exists() and any(place.iterdir()):
        raise RunError(f"{place} is not empty; choose another folder.")
    place.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {"cache": "", "device": "auto", "data.exclude": []}
    options = ""
    for domain in ("source", "target"):
        origin = configuration.data.place(domain)
        if origin in PHANTOMS:
            continue
        renamed = yield from _copied(configuration, domain, place)
        if domain == "target":
            hearts = configuration.data.places
            values["data.places"] = records({new: hearts[old] for old, new in renamed.items() if old in hearts})
        values[f"data.{domain}"] = f"{domain}.json"
        options += f" --{domain} {domain}.json"
    if configuration.data.label_values:
        known = range(1, max(configuration.data.classes, 1 + max(s.value for s in STRUCTURES)))
        values["data.label_values"] = {str(value): value for value in known}
    if configuration.start_model:
        _copy_model(configuration.start_model, place / "model")
        values["start_model"] = "model"
        options += " --start-model model"
    packed = changed(configuration, values)
    write_text(place / "configuration.json", new_run_file(packed).to_json())
    create = f"sifa train run --configuration configuration.json{options} --create-only"
    command = COMMAND.format(processes=1)
    write_text(place / "READ ME.txt", TEXT.format(create=create, command=command, batch=configuration.batch))
    return {"folder": str(place), "command": f"{create} && {command}"}


def _copied(configuration: Configuration, domain: str, place: Path) -> Steps[dict[str, str]]:
    """The scans of a domain, without what their headers say besides the geometry, and a list of them; how each is called
    there, as "target:NAME"."""
    data = configuration.data
    place_of, labelled = data.place(domain), data.labelled(domain)
    scans = sources.find(place_of, labelled, data.excluded(domain), cines=not labelled).scans
    (place / domain).mkdir(exist_ok=True)
    entries: list[dict[str, str]] = []
    renamed: dict[str, str] = {}
    hearts: dict[str, str] = {}  # a number each: what they are called here may be somebody's name
    for number, scan in enumerate(scans, start=1):
        yield Progress(f"Copying {scan.name}", (number - 1) / len(scans))
        entry = {"image": f"{domain}/{number:04d}.nrrd"}
        writing.write(image_of(scan), place / entry["image"])
        if scan.label is not None:
            entry["label"] = f"{domain}/{number:04d}-labels.nrrd"
            writing.write(_labels(scan, data), place / entry["label"])
        if scan.moment or scan.heart:
            heart = scan.heart or scan.name.removesuffix(f" {scan.moment}")
            entry["heart"] = hearts.setdefault(heart, f"{len(hearts) + 1:04d}")
        entries.append(entry)
        renamed[f"{domain}:{scan.name}"] = f"{domain}:{number:04d}"
    write_text(place / f"{domain}.json", json.dumps(entries, indent=1) + "\n")
    return renamed


def _labels(scan: Scan, data: DataSettings) -> Volume:
    """The labels as they mean the same in whatever file: as classes, where the settings say what the values are."""
    assert scan.label is not None
    labels = labels_of(scan, data).volume
    if not data.label_values or scan.label.is_dir():
        return labels
    values = label_values.found(labels.array) or ()
    table = label_values.table(values, data.label_values, data.classes)
    if not values or table is None:
        fault = label_values.advice(values, data.label_values, data.classes)
        raise DataError(f"{scan.label}: {fault}")
    return replace(labels, array=label_values.mapped(labels.array, table))


def _copy_model(name: str, place: Path) -> None:
    shutil.copytree(model_named(name).folder, place)
