"""`sifa models` and `sifa phantom`."""

from __future__ import annotations

import argparse

from .. import imaging
from ..models import store as models
from ..models.store import BrokenPackage, ModelPackage, ModelStore
from ..models.structures import STRUCTURES
from ..support.errors import ModelError, NotWritable
from .console import (
    MODEL,
    OK,
    OUTPUT,
    USAGE,
    Failure,
    check_outputs,
    complain,
    fails_as,
    find_model,
    quiet_itk,
    say,
    store_of,
    table,
    volumes_table,
)


def list_models(options: argparse.Namespace) -> int:
    store = store_of(options.models_folder)
    rows = [
        (p.card.key, p.card.modality, "bundled" if store.is_bundled(p) else "own", p.card.name)
        for p in store.packages()
    ]
    say(table(("Model", "For", "From", "Name"), rows) if rows else "There are no models; import one.")
    for broken in store.broken():
        say(f"Broken: {broken.reason}")
    return OK


def show(options: argparse.Namespace) -> int:
    package = find_model(store_of(options.models_folder), options.model)
    card = package.card
    net, pre = card.architecture, card.preprocessing
    rows = [
        ("Model", f"{card.key}, {card.name}"),
        ("For", card.modality),
        ("Structures", ", ".join(f"{s.value} {s.id} ({s.name})" for s in card.labels)),
        ("Trained on", card.trained_on),
        ("Network", f"{net.name} {net.variant}, width {net.width}, {net.classes} classes"),
        ("Grid", f"{pre.plane}, {pre.spacing_mm:g} mm pixels, {pre.slice_spacing_mm:g} mm slices, crop {pre.crop}"),
        ("Licence", card.licence),
        ("Citation", card.citation),
        ("Made", f"{card.created} with SIFA {card.sifa_version}"),
        ("SHA-256", card.sha256),
        ("Folder", str(package.folder)),
    ]
    for quality in card.quality:
        values = ", ".join(f"{name} {value:.3f}" for name, value in quality.values.items())
        rows.append((quality.measure, f"{values} on {quality.data} ({quality.rule})"))
    say("\n".join(f"{name:<12}{' '.join(text.split())}" for name, text in rows))
    return OK


def import_model(options: argparse.Namespace) -> int:
    with fails_as(MODEL, ModelError), fails_as(OUTPUT, NotWritable):
        package = store_of(options.models_folder).import_package(options.path)
    say(f"{package.card.key} is now in {package.folder}.")
    return OK


def verify(options: argparse.Namespace) -> int:
    store = store_of(options.models_folder)
    packages = [find_model(store, name) for name in options.models] or list(store.packages())
    problems = [] if options.models else [broken.reason for broken in store.broken()]
    for package in packages:
        try:
            models.verify(package)
        except ModelError as error:
            problems.append(str(error))
        else:
            say(f"{package.card.key} is sound.")
    for problem in problems:
        complain(problem)
    return MODEL if problems else OK


def delete(options: argparse.Namespace) -> int:
    store = store_of(options.models_folder)
    package = _to_delete(store, options.model)
    with fails_as(MODEL, ModelError), fails_as(OUTPUT, NotWritable):
        store.delete(package)
    say(f"{package.folder} is deleted.")
    return OK


def _to_delete(store: ModelStore, name: str) -> ModelPackage | BrokenPackage:
    for broken in store.broken():
        if broken.folder.name == name:
            return broken
    package = find_model(store, name)
    versions = [p.card.version for p in store.packages() if p.card.id == package.card.id]
    if "@" not in name and len(versions) > 1:
        raise Failure(USAGE, f"There are several versions of {name}; add which one: {name}@{versions[0]}.")
    return package


def export(options: argparse.Namespace) -> int:
    check_outputs({"OUT.zip": options.path})
    store = store_of(options.models_folder)
    package = find_model(store, options.model)
    with fails_as(MODEL, ModelError), fails_as(OUTPUT, NotWritable):
        store.export(package, options.path)
    say(f"{package.card.key} is now in {options.path}.")
    return OK


def folder(options: argparse.Namespace) -> int:
    say(str(store_of(options.models_folder).user))
    return OK


def phantom(options: argparse.Namespace) -> int:
    from ..imaging.seg_nrrd import LABEL_SUFFIXES, check_suffix, write_labels
    from ..inference.flags import volumes_ml

    quiet_itk(options.debug)
    if not options.output.name.lower().endswith(LABEL_SUFFIXES) or ".seg." in options.output.name.lower():
        raise Failure(USAGE, f"{options.output} must end in {', '.join(LABEL_SUFFIXES)}.")
    if options.labels:
        with fails_as(USAGE, ValueError):
            check_suffix(options.labels)
    if options.seed < 0:
        raise Failure(USAGE, f"The seed {options.seed} cannot be; give 0 or more.")
    check_outputs({"OUT": options.output, "--labels": options.labels})
    from ..phantom import make

    with fails_as(USAGE, ValueError):
        case = make(options.seed, options.modality, options.spacing)
    with fails_as(OUTPUT, OSError):
        imaging.write(case.image, options.output)
        if options.labels:
            write_labels(case.labels, options.labels)
    if not options.quiet:
        say(volumes_table(volumes_ml(case.labels), STRUCTURES))
    return OK
