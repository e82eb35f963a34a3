"""`sifa check-data` in a process of its own, and what it found."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import qt

from .Child import Child, lastWords, read

if TYPE_CHECKING:
    from SIFALib.datasets.places import Places
    from SIFALib.datasets.scans import Scan

REPORT, PICTURES, PLACES = "report.json", "pictures", "places.json"
THUMBNAIL = 36  # pixels


@dataclass(frozen=True)
class Checked:
    """findings: one for each scan. problems: of all together, or why nothing could be looked at. warnings: to be said.
    unseen: why the model that was to look for the heart did not; "" if it did, or none was asked to.
    """

    findings: tuple[Scan, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    pictures: Path | None = None
    unseen: str = ""
    _icons: dict[str, qt.QIcon | None] = field(default_factory=dict)

    def picture(self, finding: Scan) -> qt.QIcon | None:
        """The scan's slice through the heart, or its middle one, small."""
        if finding.key not in self._icons:
            self._icons[finding.key] = self._icon(finding)
        return self._icons[finding.key]

    def redrawn(self, finding: Scan) -> None:
        """Its picture is another one now."""
        self._icons.pop(finding.key, None)

    def picturePath(self, finding: Scan) -> Path | None:
        """The picture of all planes, above without and below with the box around the heart; None if there is none."""
        if self.pictures is None:
            return None
        path = self.pictures / finding.picture_name
        return path if path.exists() else None

    def _icon(self, finding: Scan) -> qt.QIcon | None:
        path = self.picturePath(finding)
        pixmap = qt.QPixmap(str(path)) if path is not None else None
        if pixmap is None or pixmap.isNull():
            return None
        side = min(pixmap.width(), pixmap.height() // 2)
        part = pixmap.copy(0, pixmap.height() // 2, side, side)  # the lower row shows the box
        return qt.QIcon(part.scaled(THUMBNAIL, THUMBNAIL, qt.Qt.KeepAspectRatio, qt.Qt.SmoothTransformation))


class Check(Child):
    """One check of one domain. onStep(count): pictures made so far; onChecked(Checked)."""

    def __init__(self, domain: str, onStep: Callable[[int], None], onChecked: Callable[[Checked], None]) -> None:
        super().__init__(lambda folder: onStep(_count(folder)), self._end)
        self.domain, self._onChecked = domain, onChecked
        self._unseen = ""
        self._places: Places | None = None
        self._partial = False
        self._withoutModel: Callable[[], None] | None = None

    def look(
        self,
        python: str,
        place: str,
        labelValues: dict[str, int] | None = None,
        classes: int = 0,
        model: str = "",
        environment: dict[str, str] | None = None,
        places: Places | None = None,
        partial: bool = False,
    ) -> None:
        """Start looking at the scans in a place. classes: of the model, if labels are read. model: `id@version` of the one
        that looks for the heart, whose box the pictures then show; "": none does. Scans that cannot be looked at with it,
        as where torch is broken, are looked at without. places: where hearts are, whatever the model sees. partial: label
        maps may leave structures out. OSError."""
        looks = bool(model) and importlib.util.find_spec("torch") is not None
        self._unseen, self._places, self._partial = "", places, partial
        self._withoutModel = (
            (lambda: self._begin(python, place, labelValues, classes, "", environment)) if looks else None
        )
        self._begin(python, place, labelValues, classes, model if looks else "", environment)

    def _begin(
        self,
        python: str,
        place: str,
        labelValues: dict[str, int] | None,
        classes: int,
        model: str,
        environment: dict[str, str] | None,
    ) -> None:
        self.forget()

        def arguments(folder: Path) -> list[str]:
            found = ["check-data", f"--{self.domain}", place, "--json", str(folder / REPORT)]
            if importlib.util.find_spec("skimage") is not None:  # it paints; the rest does without
                found += ["--thumbnails", str(folder / PICTURES)]
            if labelValues:
                found += ["--label-values", ",".join(f"{k}={v}" for k, v in labelValues.items())]
            if self._places is not None:
                from SIFALib.datasets import places

                places.write(folder / PLACES, self._places)
                found += ["--places", str(folder / PLACES)]
            if self._partial:
                found.append("--partial-labels")
            if model:
                found += ["--model", model]
            if classes:
                found += ["--classes", str(classes)]
            return found

        self.start(python, "SIFALib", arguments, environment)

    def _end(self, folder: Path, code: int) -> None:
        from SIFALib.datasets.scans import Scan

        report, again = read(folder / REPORT), self._withoutModel
        if report:
            findings = tuple(Scan.of_record(f) for f in report["scans"])
            problems, warnings = tuple(report["problems"]), tuple(report["warnings"])
            self._onChecked(Checked(findings, problems, warnings, self.keep() / PICTURES, self._unseen))
            return
        self._withoutModel, why = None, lastWords(folder, code)
        if again is not None:
            self._unseen = why
            with suppress(OSError):
                again()
                return
        self._onChecked(Checked((), (why,)))


def _count(folder: Path) -> int:
    place = folder / PICTURES
    return sum(p.suffix == ".png" for p in place.iterdir()) if place.is_dir() else 0
