"""A run's best segmenter as a model package that says where it comes from, and no worse than what it started from.

A card names methods, numbers and scores; never a file, a folder or a scan: those stay at the site.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..adaptation.method import OBJECTIVES
from ..datasets.settings import CONTOURED
from ..models import store
from ..models.architectures import Architecture
from ..models.card import LONGEST_NAME, Preprocessing, Quality
from ..models.citations import CITATIONS
from ..models.structures import structures_of
from ..networks import state_arrays
from ..support.errors import ModelError, RunError
from . import best, judgement
from .best import Best
from .configuration import VALIDATION_SLICES, Configuration, RunFile
from .preflight import model_named
from .run_folder import RunFolder

LICENCE = "None is given. Whoever trained the model decides; ask before you pass it on."
DOMAINS = {
    "phantom": "digital phantoms of any contrast",
    "phantom:mr": "MR-like digital phantoms",
    "phantom:ct": "CT-like digital phantoms",
    "phantom+contours": "digital phantoms of any contrast and contoured slices of 11 real hearts (Sunnybrook, CC0)",
}


@dataclass(frozen=True)
class Chosen:
    """What is exported: the weights by name, and how they and the start model were judged (None: they were not)."""

    iteration: int
    state: Mapping[str, np.ndarray]
    judged: Best | None
    start: Best | None


def export(
    folder: RunFolder,
    target: Path,
    model_id: str,
    *,
    version: str = "1.0.0",
    name: str = "",
    modality: str = "",
    licence: str = LICENCE,
    checkpoint: int | None = None,
    force: bool = False,
) -> store.ModelPackage:
    """Write the run's best segmenter, or the averaged one of a checkpoint, as the package `target`.

    modality: CT, MR or CT/MR ("": what the data tell). Raises RunError if the run has none, or one that the score
    calls worse than its starting point (unless `force`); ModelError if `target` exists or the card cannot be.
    """
    run = folder.read()
    c = run.configuration
    chosen = _best(folder) if checkpoint is None else _checkpoint(folder, checkpoint)
    if not force:
        _refuse_worse(folder, chosen)
    return store.write_package(
        target,
        chosen.state,
        id=model_id,
        name=name or _title(model_id, run, chosen),
        version=version,
        architecture=Architecture.of(c.method.variant, c.method.width, c.method.classes),
        modality=modality or _modality(c),
        preprocessing=_preprocessing(c),
        trained_on=_provenance(folder, run, chosen),
        licence=licence,
        citation=f"{CITATIONS[c.method.variant]}; SIFA for 3D Slicer",
        labels=structures_of(c.method.classes),
        quality=_quality(c, chosen),
        built_in_source=_built_in_source(c),
    )  # fmt: skip


def verdict(folder: RunFolder) -> str:
    """What is to be said of the run's best segmenter, in sentences. RunError if it has none."""
    return judgement.said(_best_known(folder), _start_model(folder.read()))


def verdict_if_any(folder: RunFolder) -> str:
    """The same; "" as long as nothing was judged, or where there was no model to compare with. RunError if damaged."""
    known = best.read(folder.best)
    return verdict(folder) if known is not None and known.verdict is not None else ""


def _title(model_id: str, run: RunFile, chosen: Chosen) -> str:
    """What people call it; nothing is called adapted that is not, and what is made by force alone says why."""
    if chosen.iteration == 0 and run.configuration.start_model:
        what = f", the same as {_start_model(run)}"
    elif run.configuration.method.objective in ("source_only", "target_supervised"):
        what = ", trained by SIFA"
    else:
        what = f", adapted by SIFA{_doubt(run, chosen)}"
    return (model_id[: max(1, LONGEST_NAME - len(what))] + what)[:LONGEST_NAME]


def _doubt(run: RunFile, chosen: Chosen) -> str:
    """What the name says of one that `_refuse_worse` refuses; "" of others."""
    judged, start = chosen.judged, chosen.start
    if judged is None:
        return ", never judged"
    if judged.vetoes:
        return ", something speaks against it"
    if judged.verdict is not None:
        better = judged.verdict.better
    else:
        better = not start.beats(judged) if start is not None else not run.configuration.start_model
    return "" if better else ", not found to be better"


def _best_known(folder: RunFolder) -> Best:
    known = best.read(folder.best)
    if known is None:
        raise RunError(
            f"{folder.path} has no best segmenter yet; let it go on until it is judged, or name a checkpoint."
        )
    return known


def _best(folder: RunFolder) -> Chosen:
    known = _best_known(folder)
    start = best.read_start(folder.best) or best.judged_at(folder.events, 0)
    return Chosen(known.iteration, best.read_weights(folder.best), known, start)


def _checkpoint(folder: RunFolder, iteration: int) -> Chosen:
    from . import checkpoints

    path = folder.checkpoints / f"{iteration:08d}.pt"
    if not path.exists():
        names = ", ".join(map(str, folder.saved)) or "none"
        raise RunError(f"{folder.path} has no checkpoint of iteration {iteration}; there are: {names}.")
    saved = checkpoints.load(path)
    judged = Best.of(saved.get("judged")) or best.judged_at(folder.events, iteration)
    start = Best.of(saved.get("start")) or best.judged_at(folder.events, 0)
    return Chosen(iteration, state_arrays(saved["state"]["average"]), judged, start)


def _refuse_worse(folder: RunFolder, chosen: Chosen) -> None:
    """Raise RunError, with the numbers, if the score speaks against what was chosen."""
    judged, start = chosen.judged, chosen.start
    what = f"The segmenter of {folder.path} after iteration {chosen.iteration}"
    if judged is None:
        raise RunError(f"{what} was never judged.", advice="unjudged")
    if judged.verdict is not None and start is not None:
        if judged.iteration == 0 or judged.vetoes or not judged.verdict.better:
            raise RunError(f"{what}: {judgement.said(judged, 'the model that it began with')}", advice="start_model")
        return
    if start is None and folder.read().configuration.start_model:  # it was judged from later on
        raise RunError(f"{what} was never compared with the model that it began with.", advice="force")
    against = f", {'and' if start else 'but'} something speaks against it: {' '.join(judged.vetoes)}"
    if start is not None and chosen.iteration == 0:
        raise RunError(
            f"{folder.path} has found nothing better than its starting point, which scored {start.value:.3f}.",
            advice="start_model",
        )
    if start is not None and start.beats(judged):
        raise RunError(
            f"{what} is worse than what it started from: it scores {judged.value:.3f}, its starting point scored "
            f"{start.value:.3f}{against if judged.vetoes else '.'}",
            advice="force",
        )
    if judged.vetoes:
        raise RunError(f"{what} scores {judged.value:.3f}{against}", advice="force")


def _preprocessing(c: Configuration) -> Preprocessing:
    """As the target's images were shown to the network."""
    scores = c.data.normalisation("target")
    return dataclasses.replace(c.data.preprocessing, zscore_range=scores) if scores else c.data.preprocessing


def _modality(c: Configuration) -> str:
    """What the data tell about the target's scanner; CT/MR where they do not."""
    for mark in (c.data.target, c.data.target_normalisation):
        for modality in ("ct", "mr"):
            if mark in (f"phantom:{modality}", f"sifa_{modality}", f"sifa_{modality}_old"):
                return modality.upper()
    return "CT/MR"


def _provenance(folder: RunFolder, run: RunFile, chosen: Chosen) -> str:
    """Who taught the model what, in sentences."""
    c, m = run.configuration, run.configuration.method
    names = folder.data()
    counts = {d: sum(key.startswith(f"{d}:") for key in names) for d in ("source", "target")}
    if c.phantom_slices is not None:
        return _from_phantoms(run, chosen, list(names))
    source = _described(c.data.source, counts["source"], "labelled")
    target = _described(c.data.target, counts["target"], "labelled" if c.data.target_labels else "unlabelled")
    sentences = {
        "source_only": f"Trained on {source}; nothing was adapted to {target}.",
        "target_supervised": f"Trained on {target}.",
    }
    text = sentences.get(m.objective, f"Adapted without target labels, from {source} to {target}.")
    if chosen.iteration == 0 and c.start_model:
        text = f"Nothing was changed: the weights are those of {_start_model(run)}, of a run with {target}."
    quirks = ", with the quirks of the authors' code" if m.authors_quirks else ""
    text += (
        f" Method: {OBJECTIVES[m.objective]}; {m.variant}, width {m.width}, {m.schedule} schedule{quirks}. "
        f"{chosen.iteration} of {c.iterations} iterations of {c.batch} slices of {c.data.size} x {c.data.size} pixels, "
        f"seed {c.seed}."
    )
    text += f" Began with {_start_model(run)}." if c.start_model else " Began with random weights."
    if chosen.judged is not None and chosen.judged.verdict is not None:
        text += f" {judgement.said(chosen.judged, 'the model that it began with')}"
    elif chosen.judged is not None:
        parts = {k: v for k, v in chosen.judged.parts.items() if not k.startswith("supervised_")}
        listed = ", ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in parts.items())
        text += f" Score without target labels: {chosen.judged.value:.3f} ({listed})"
        text += f"; at the start {chosen.start.value:.3f}." if chosen.start else "."
        text += "".join(f" Against it: {veto}" for veto in chosen.judged.vetoes)
    else:
        text += " It was not judged."
    return text + " Not for clinical use; check every result."


def _from_phantoms(run: RunFile, chosen: Chosen, names: Sequence[str]) -> str:
    c = run.configuration
    phantoms = [name for name in names if name.startswith("source:phantom-")]
    of_scans = c.phantom_slices.scans_per_batch if c.phantom_slices else 0
    text = "" if of_scans else "No patient: "
    text += (
        f"{chosen.iteration * (c.batch - of_scans):,} random slices of {len(phantoms) or 'some'} digital phantoms, "
        "adults and children, healthy and ill, in every plane, with CT-like, MR-like and random contrast"
    )
    if of_scans:
        count = (len(names) - len(phantoms)) or "some"
        text += f", and {chosen.iteration * of_scans:,} of {count} labelled scans"
    if c.start_model:
        text += f"; its first weights were those of {_start_model(run)}"
    return text + ". Check every outline."


def _described(place: str, count: int, labels: str) -> str:
    """A domain without the names of its files."""
    number = str(count) if count else "some"
    return f"{number} {DOMAINS[place]}" if place in DOMAINS else f"{number} {labels} scans of the user's"


def _start_model(run: RunFile) -> str:
    """The start model as it is called in a sentence, by its id@version; never its folder."""
    name = run.configuration.start_model
    try:
        return f"the model {run.began_with or model_named(name).card.key}"
    except ModelError:
        return "the model that was named when the run was started"  # a name that is found nowhere may be a folder's


def _built_in_source(c: Configuration) -> str:
    """Contours once learned from are learned from again."""
    if c.data.source == CONTOURED:
        return CONTOURED
    try:
        return model_named(c.start_model).card.built_in_source if c.start_model else "phantom"
    except ModelError:
        return "phantom"  # the start model is gone


def _quality(c: Configuration, chosen: Chosen) -> tuple[Quality, ...]:
    """Dice by structure on the source's validation images, where the score measured it."""
    if chosen.judged is None:
        return ()
    parts = chosen.judged.parts
    ids = {s.id: f"supervised_{s.value}" for s in structures_of(c.method.classes)}
    values = {i: round(parts[key], 3) for i, key in ids.items() if key in parts}
    if not values:
        return ()
    if c.phantom_slices is not None:
        data = f"random slices of {c.phantom_slices.validation_anatomies} phantoms that were not trained on"
        rule = f"pooled over {VALIDATION_SLICES} slices; a structure that is missed counts with its whole area"
        return (Quality(data, "Dice", rule, values),)
    data = "validation images of the source, translated to look like the target"
    if c.method.objective == "target_supervised":
        data = "labelled validation images of the target"
    elif not c.method.translates:
        data = "validation images of the source, as they are"
    rule = "pooled over the slices; structures that these do not show are left out; no target label was used"
    if c.method.objective == "target_supervised":
        rule = "pooled over the slices; structures that these do not show are left out"
    return (Quality(data, "Dice", rule, values),)
