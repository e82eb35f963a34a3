"""The same scans segmented by two models: how their volumes differ, and how far the two agree."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ..datasets import PHANTOMS, sources
from ..imaging import metrics, reading, writing
from ..inference import segmentation
from ..inference.segmentation import Options, Result
from ..models import store
from ..networks import loading
from ..support.errors import DataError, NoHeartFound
from ..support.progress import Progress
from . import export
from .run_folder import RunFolder

WHICH = ("before", "after")


def steps(request: dict[str, Any], folder: Path) -> Generator[Progress, None, dict[str, Any]]:
    """The errand "compare". request: run (folder), model (folder of the model before), count (of scans), device.

    Writes FOLDER/N-before.nrrd and N-after.nrrd for the Nth of so many of the run's own scans. Answers
    {"scans": [...]}, each with path, and for "before" and "after": file, volumes_ml by structure id, or note: why there
    is no result; and agreement (Dice by id; a structure that both lack is left out). {"models": ...}: what each is to
    be called. ValueError, OSError.
    """
    run = RunFolder(Path(request["run"]))
    paths = _some_scans(run, request["count"])
    before = store.read_package(request["model"])
    after = export.export(run, folder / "after", "after", force=True)
    packages = dict(zip(WHICH, (before, after), strict=True))
    networks = {which: loading.load_segmenter(package) for which, package in packages.items()}
    scans, total = [], 2.0 * len(paths)
    for number, path in enumerate(paths):
        scan = reading.read(path)
        found: dict[str, Any] = {"path": str(path)}
        results: dict[str, Result | None] = {}
        for place, which in enumerate(WHICH):
            work = segmentation.segment_steps(
                scan, networks[which], packages[which].card, Options(device=request.get("device", "auto"))
            )
            done = (2 * number + place) / total
            results[which], note = yield from _watched(work, scan.name, done, 1 / total)
            found[which] = _kept(results[which], note, folder / f"{number}-{which}.nrrd")
        pair = [results[which] for which in WHICH]
        if pair[0] is not None and pair[1] is not None:
            values = metrics.dice_per_structure(pair[1].labels, pair[0].labels, before.card.labels)
            found["agreement"] = {k: v for k, v in values.items() if math.isfinite(v)}
        scans.append(found)
    labels = [{"id": s.id, "name": s.name, "color": s.color} for s in before.card.labels]
    names = {"before": before.card.key, "after": f"run {run.read().configuration.name or run.path.name}"}
    return {"scans": scans, "structures": labels, "models": names}


def _some_scans(run: RunFolder, count: int) -> list[Path]:
    """Scans that the run adapts to, from the first to the last. DataError if they are gone or were phantoms."""
    data = run.read().configuration.data
    if data.target in PHANTOMS:
        raise DataError("This run adapted to phantoms; there are no scans to compare on.")
    found = sources.find(data.target, False, data.excluded("target")).scans
    last, steps = len(found) - 1, max(1, count - 1)
    return [found[n].image for n in sorted({round(n * last / steps) for n in range(count)})]


def _watched(
    work: Generator[Progress, None, Result], name: str, done: float, share: float
) -> Generator[Progress, None, tuple[Result | None, str]]:
    """The steps of one segmentation as a part of the whole; its result, or why there is none."""
    while True:
        try:
            progress = next(work)
        except StopIteration as end:
            return end.value, ""
        except NoHeartFound as error:
            return None, str(error)
        yield Progress(f"{progress.stage}: {name}", done + share * progress.fraction)


def _kept(result: Result | None, note: str, path: Path) -> dict[str, Any]:
    if result is None:
        return {"note": note}
    writing.write(result.labels, path)
    return {"file": str(path), "volumes_ml": dict(result.report.volumes_ml)}
