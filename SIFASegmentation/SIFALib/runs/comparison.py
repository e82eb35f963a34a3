"""The same scans segmented by two models: how their volumes differ, and how far the two agree."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ..datasets import PHANTOMS, sources
from ..datasets.scans import Scan, image_of
from ..imaging import metrics, writing
from ..inference import segmentation
from ..inference.segmentation import Options, Result
from ..models import store
from ..networks import loading
from ..support.errors import DataError, NoHeartFound
from ..support.progress import Steps, within
from . import export
from .run_folder import RunFolder

WHICH = ("before", "after")


def steps(request: dict[str, Any], folder: Path) -> Steps[dict[str, Any]]:
    """The task "compare". request: run (folder), model (folder of the model before), count (of scans), device.

    Writes FOLDER/N-before.nrrd and N-after.nrrd for the Nth of so many of the run's own scans. Answers
    {"scans": [...]}, each with path, and for "before" and "after": file, volumes_ml by structure id, or note: why there
    is no result; and agreement (Dice by id; a structure that both lack is left out). {"models": ...}: what each is to
    be called. ValueError, OSError.
    """
    run = RunFolder(Path(request["run"]))
    chosen = _some_scans(run, request["count"])
    before = store.read_package(request["model"])
    after = export.export(run, folder / "after", "after", force=True)
    packages = dict(zip(WHICH, (before, after), strict=True))
    networks = {which: loading.load_segmenter(package) for which, package in packages.items()}
    scans, total = [], 2 * len(chosen)
    for number, each in enumerate(chosen):
        scan = image_of(each)
        compared: dict[str, Any] = {"path": str(each.image)}
        results: dict[str, Result] = {}
        for place, which in enumerate(WHICH, start=2 * number):
            card, options = packages[which].card, Options(device=request.get("device", "auto"))
            work = segmentation.segment_steps(scan, networks[which], card, options)
            try:
                result = yield from within(work, place / total, (place + 1) / total, f"{{}}: {scan.name}")
            except NoHeartFound as error:
                compared[which] = {"note": str(error)}
                continue
            results[which], file = result, folder / f"{number}-{which}.nrrd"
            writing.write(result.labels, file)
            compared[which] = {"file": str(file), "volumes_ml": dict(result.report.volumes_ml)}
        if len(results) == 2:
            values = metrics.dice_per_structure(results["after"].labels, results["before"].labels, before.card.labels)
            compared["agreement"] = {k: v for k, v in values.items() if math.isfinite(v)}
        scans.append(compared)
    labels = [{"id": s.id, "name": s.name, "color": s.color} for s in before.card.labels]
    names = {"before": before.card.key, "after": f"run {run.read().configuration.name or run.path.name}"}
    return {"scans": scans, "structures": labels, "models": names}


def _some_scans(run: RunFolder, count: int) -> list[Scan]:
    """Scans that the run adapts to, from the first to the last. DataError if they are gone or were phantoms."""
    data = run.read().configuration.data
    if data.target in PHANTOMS:
        raise DataError("This run adapted to phantoms; there are no scans to compare on.")
    scans = sources.find(data.target, False, data.excluded("target"), cines=True).scans
    last, steps = len(scans) - 1, max(1, count - 1)
    return [scans[n] for n in sorted({round(n * last / steps) for n in range(count)})]
