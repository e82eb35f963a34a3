"""The report of a cine as one page to read and to print: HTML in a single file, pictures within."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..imaging import curves
from ..imaging.cine import Cine
from ..imaging.components import bounding_box
from ..imaging.pictures import paint
from ..models.structures import Structure
from .cine import CineResult
from .cine_report import DIASTOLE, NAMES, SURFACE, SYSTOLE, warnings_of
from .heart_function import named
from .long_views import LongAxis, ViewResult

SIDE = 180  # pixels of a slice in the page's pictures
LINE = (255, 225, 60)  # of a length in a view
MARGIN_MM = 15.0  # around what was drawn
WINDOW = (1.0, 99.5)  # percentiles of the grey values that are shown black and white
CHAMBERS = ("LV", "RV", "MYO", "LA", "RA")  # whose volumes are drawn as curves
ATRIA = ("LA", "RA")  # that short axes mostly show a part of
IN_VIEWS = (
    ("la_area_cm2", "LA area (cm²)", 1),
    ("la_length_mm", "LA length (mm)", 0),
    ("lv_length_mm", "LV length (mm)", 0),
)
SEXES = {"F": "women", "M": "men", "": "women and men"}
STYLE = """
body{font:14px/1.45 system-ui,sans-serif;color:#222;max-width:1000px;margin:1.5em auto;padding:0 1em}
h1{font-size:1.5em;margin:0 0 .2em}h2{font-size:1.1em;margin:1.4em 0 .4em;border-bottom:1px solid #ccc}
table{border-collapse:collapse;width:100%}th,td{text-align:right;padding:.18em .6em;border-bottom:1px solid #e4e4e4}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #888}
.out{font-weight:bold;color:#a3201b}.soft{color:#666}
.warn{background:#fff3dc;border-left:4px solid #d68a00;padding:.4em .8em}
img{max-width:100%}figure{margin:.6em 0}figcaption{color:#444}ul{margin:.3em 0;padding-left:1.3em}
@media print{body{margin:0;font-size:11.5px}h2{break-after:avoid}figure,table{break-inside:avoid}
.key{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""


def curve_lines(result: CineResult, cine: Cine) -> tuple[list[curves.Curve], list[float], str]:
    """The curves of the volumes, the moments that they are over, and what those are."""
    moments = list(cine.times_ms) or [float(n + 1) for n in range(cine.phases)]
    lines = []
    for structure in result.structures:
        if structure.id not in CHAMBERS or (structure.id in ATRIA and _cut_off(result.labels, structure.value)):
            continue
        function = result.functions.get(structure.id)
        marks = ((function.end_diastole, "ED"), (function.end_systole, "ES")) if function else ()
        lines.append(curves.Curve(structure.id, result.volumes_ml[structure.id], structure.color, marks))
    return lines, moments, "ms after the R wave" if cine.times_ms else "phase"


def _cut_off(labels: np.ndarray, value: int) -> bool:
    """Whether a structure in labels [t, k, j, i] reaches either end of the stack: what is seen of it is no volume."""
    return bool((labels[:, [0, -1]] == value).any())


def page(result: CineResult, cine: Cine, report: Mapping[str, Any]) -> str:
    """The page. report: that of `cine_report.report`."""
    lines, moments, across = curve_lines(result, cine)
    model = f"{report['model']['id']} {report['model']['version']}"
    return "\n".join(
        (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{_text(cine.name)}</title>',
            f"<style>{STYLE}</style></head><body>",
            f"<h1>Cine MR: {_text(cine.name)}</h1>",
            f'<p class="soft">{_text(_facts(cine))}</p>',
            _warnings(warnings_of(report)),
            "<h2>Volumes and function</h2>",
            _table(report),
            "<h2>Volumes over the beat</h2>",
            _figure(curves.draw(lines, moments, across), ""),
            *_phases(result, cine),
            *_views(result.long_axis, report["long_axis"], result.structures),
            "<h2>How this came about</h2>",
            _list([report["input"]["chosen"], *report["notes"]]),
            _others(report["input"]["others"]),
            f'<p class="soft">SIFA {_text(report["sifa_version"])}, model {_text(model)}, on {_text(report["device"])} '
            f"in {_text(report['precision'])}. Volumes are the sums of slices. Not a medical device: check every outline "
            "before a number is used.</p>",
            "</body></html>",
            "",
        )
    )


def _text(text: object) -> str:
    return html.escape(str(text))


def _facts(cine: Cine) -> str:
    i, j, k = cine.geometry.spacing
    facts = [f"{cine.phases} phases of {cine.geometry.size[2]} slices", f"{i:.2f} × {j:.2f} mm, {k:.1f} mm apart"]
    if cine.heart_rate:
        facts.append(f"{cine.heart_rate:.0f} beats a minute")
    if surface := cine.body.surface_m2:
        facts.append(f"body surface {surface:.2f} m² (Mosteller)")
    return ", ".join(facts) + "."


def _warnings(sentences: Sequence[str]) -> str:
    return f'<div class="warn"><b>Look twice</b>{_list(sentences)}</div>' if sentences else ""


def _list(sentences: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_text(s)}</li>" for s in sentences if s) + "</ul>"


def _table(report: Mapping[str, Any]) -> str:
    ventricles = report["ventricles"]
    if not ventricles:
        return "<p>No ventricle was found at two phases, so nothing can be said of its function.</p>"
    columns = _columns(ventricles)
    rows = [
        _row(key, name, unit, ventricles, columns)
        for key, (name, unit) in NAMES.items()
        if any(key in found for found in ventricles.values())
    ]
    heads = "".join(
        f"<th>{v}{' per m²' if indexed else ''}</th>" + ("<th>normal</th>" if known else "")
        for v, indexed, known in columns
    )
    sources = sorted({n["source"] for found in ventricles.values() for n in found["normal"].values()})
    sex = report["input"]["body"]["sex"]
    told = f"Normal: mean ± 2 SD of {SEXES[sex]}, {'; '.join(sources)}. Bold: outside of that." if sources else ""
    if not any(indexed for _, indexed, _ in columns):
        told += " Height and weight are not known, so nothing is indexed to the body surface."
    return (
        f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f'<p class="soft">{_text(told.strip())}</p>'
    )


def _columns(ventricles: Mapping[str, Any]) -> list[tuple[str, bool, bool]]:
    """Of each ventricle a column of values, and one per m2 where something is indexed; whether normal ones are known."""
    some = any(key.endswith(SURFACE) for found in ventricles.values() for key in found)
    return [
        (ventricle, indexed, any(key.endswith(SURFACE) is indexed for key in found["normal"]))
        for ventricle, found in ventricles.items()
        for indexed in ((False, True) if some else (False,))
    ]


def _row(
    key: str, name: str, unit: str, ventricles: Mapping[str, Any], columns: Sequence[tuple[str, bool, bool]]
) -> str:
    cells = []
    for ventricle, indexed, known in columns:
        found, each = ventricles[ventricle], key + SURFACE if indexed else key
        normal = found["normal"].get(each)
        outside = ' class="out"' if normal and normal["outside"] else ""
        digits = 1 if found.get(each, 0) < 100 else 0
        cells.append(f"<td{outside}>{found[each]:.{digits}f}</td>" if each in found else "<td></td>")
        between = f"{normal['low']:.0f} to {normal['high']:.0f}" if normal else ""
        cells.append(f'<td class="soft">{between}</td>' if known else "")
    return f"<tr><td>{_text(name)} ({_text(unit)})</td>{''.join(cells)}</tr>"


def _phases(result: CineResult, cine: Cine) -> list[str]:
    """Slices with outlines at the ends of the beat: of the left ventricle, or of the only one that was found."""
    if not result.functions:
        return []
    ventricle, function = next(iter(result.functions.items()))
    parts = []
    for phase, what in ((function.end_diastole, "End-diastole"), (function.end_systole, "End-systole")):
        at = f", {cine.times_ms[phase]:.0f} ms" if cine.times_ms else ""
        parts.append(f"<h2>{what} of the {ventricle} ({named([phase]).replace('time point', 'phase')}{at})</h2>")
        drawn = [s for s in result.structures if (result.labels[phase] == s.value).any()]
        parts.append(
            _figure(montage(result, cine, phase), f"From one end of the stack to the other: {_legend(drawn)}.")
        )
    return parts


def _legend(structures: Sequence[Structure]) -> str:
    """HTML: the colour of each, and its name."""
    return ", ".join(f'<span class="key" style="color:rgb{s.color}">■</span> {_text(s.name)}' for s in structures)


def montage(result: CineResult, cine: Cine, phase: int) -> np.ndarray:
    """uint8 [h, w, 3]: the slices of a phase that something was drawn in, cut to the heart, with outlines."""
    drawn = result.labels[phase]
    box = bounding_box(result.labels.max(axis=0) > 0)
    if not drawn[box].size:
        return np.full((SIDE, SIDE, 3), 255, np.uint8)
    rows, columns = (
        slice(max(0, int(s.start - MARGIN_MM / mm)), int(s.stop + MARGIN_MM / mm))
        for s, mm in ((box[1], cine.geometry.spacing[1]), (box[2], cine.geometry.spacing[0]))
    )
    low, high = np.percentile(cine.array[phase], WINDOW)
    tiles = [
        _tile(
            (cine.array[phase, k, rows, columns] - low) / max(high - low, 1e-6),
            drawn[k, rows, columns],
            result.structures,
        )
        for k in range(box[0].start, box[0].stop)
    ]
    across = max(1, min(6, len(tiles)))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % across)
    lines = [np.concatenate(tiles[n : n + across], axis=1) for n in range(0, len(tiles), across)]
    return np.concatenate(lines)


def _views(found: LongAxis | None, told: Mapping[str, Any] | None, structures: Sequence[Structure]) -> list[str]:
    """The views along the heart: what was measured in them, and outlines with the lines that were."""
    if found is None or told is None or not found.views:
        return []
    heads = "".join(f"<th>{name}, {end}</th>" for _, name, _ in IN_VIEWS for end in ("ED", "ES"))
    rows = []
    for view in told["views"]:
        values = [(view[end][key], digits) for key, _, digits in IN_VIEWS for end in (DIASTOLE, SYSTOLE)]
        cells = "".join(f"<td>{_known(value, digits)}</td>" for value, digits in values)
        rows.append(f"<tr><td>{_text(view['view'].capitalize())} ({_text(view['name'])})</td>{cells}</tr>")
    ends = ((DIASTOLE, "end-diastole"), (SYSTOLE, "end-systole"))
    volumes = [
        f"{_known(told['la_volume_ml'][end], 1)} ml at {name}" + _per_m2(told["la_volume_ml_m2"][end])
        for end, name in ends
        if told["la_volume_ml"][end] is not None
    ]
    volume = f"Volume of the left atrium, biplane: {', '.join(volumes)}. " if volumes else ""
    return [
        "<h2>Along the heart</h2>",
        f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>",
        f'<p>{_text(volume)}<span class="soft">{_text(told["source"])}. ED and ES are those of the LV.</span></p>',
        _figure(
            _views_picture(found.views, structures), "Each view at end-diastole and end-systole, with the lengths."
        ),
    ]


def _known(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _per_m2(value: float | None) -> str:
    return "" if value is None else f" ({value:.1f} ml/m²)"


def _views_picture(views: Sequence[ViewResult], structures: Sequence[Structure]) -> np.ndarray:
    """uint8 [h, w, 3]: each view at both ends of the beat, cut to the heart, with the lengths that were measured."""
    tiles = []
    for view in views:
        ends = (view.diastole, view.systole)
        box = bounding_box((ends[0].labels > 0) | (ends[1].labels > 0))
        margin = MARGIN_MM / view.pixel_mm
        rows, columns = (slice(max(0, int(s.start - margin)), int(s.stop + margin)) for s in box)
        for end in ends:
            lines = [line - (rows.start, columns.start) for line in end.measure.lines]
            tile = _tile(end.grey[rows, columns], end.labels[rows, columns], structures, lines)
            tiles.append(np.pad(tile, ((0, SIDE - len(tile)), (0, SIDE - tile.shape[1]), (0, 0)), constant_values=255))
    return np.concatenate(tiles, axis=1)


def _tile(
    grey: np.ndarray, labels: np.ndarray, structures: Sequence[Structure], lines: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """A slice [j, i] with its labels, SIDE pixels along its longer side, with a white edge. lines: ends (j, i) of each."""
    from skimage.transform import resize

    scale = SIDE / max(grey.shape)
    size = tuple(max(1, round(n * scale)) for n in grey.shape)
    large = np.asarray(resize(np.clip(grey, 0, 1), size, order=1, anti_aliasing=False))
    rows, columns = (
        np.minimum((np.arange(n) / scale).astype(int), m - 1) for n, m in zip(size, grey.shape, strict=True)
    )
    painted = paint(large, labels[np.ix_(rows, columns)], structures)
    for (top, left), (bottom, right) in lines:
        steps = np.linspace(0.0, 1.0, 2 * SIDE)
        j, i = (scale * (a + steps * (b - a) + 0.5) for a, b in ((top, bottom), (left, right)))
        painted[np.clip(j.astype(int), 0, size[0] - 1), np.clip(i.astype(int), 0, size[1] - 1)] = LINE
    painted[-2:], painted[:, -2:] = 255, 255
    return painted


def _figure(image: np.ndarray, caption: str) -> str:
    """caption: HTML."""
    data = base64.b64encode(curves.png(image)).decode("ascii")
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img alt="" src="data:image/png;base64,{data}">{told}</figure>'


def _others(others: Sequence[Mapping[str, Any]]) -> str:
    if not others:
        return ""
    return "<p>The study also holds:</p>" + _list([f"{o['name']}: {o['what']}" for o in others])
