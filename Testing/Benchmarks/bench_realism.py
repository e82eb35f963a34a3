"""Are real slices just another draw? Measures of real and random slices, as the network sees them, side by side.

    python Testing/Benchmarks/bench_realism.py --data ../shared/data [--slices 300] [--anatomies FOLDER] [--out FOLDER]

Both are cut at the network's grid and brought to -1..1 as inference does it. Per slice and labelled region: mean of
the grey values, noise (standard deviation of what a blur of 1.5 pixels takes away), its grain (correlation
of neighbouring pixels), slow variation, contrast to noise between blood and muscle, width of edges (10 to 90 %, in
pixels of about 1 mm) between blood and muscle and where anything labelled meets something much darker, and how much
of the slice is black and white. The table says how many of the real values lie within the 5 to 95 % range of the
phantom's slices of the same modality, and of those of any contrast. Labels of real scans are used for these summaries
alone. Only the middle copy of a `slice` case counts, and voxels labelled 255 belong to no region.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from SIFALib.imaging import intensity, pictures, reading, slices
from SIFALib.models.card import Preprocessing
from SIFALib.models.structures import PAPERS
from SIFALib.phantom.slices import anatomies as phantom_slices
from SIFALib.phantom.slices.artefacts import gauss
from SIFALib.phantom.slices.randomisation import Randomisation

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 2_000_000  # training and its validation stay below
SIZE = 128
LEAST_PIXELS = 120  # of a region, without its border
LEAST_STEP = 0.15  # of -1..1: lesser edges have no width to speak of
REACH = 5.0  # pixels along an edge's normal, both ways
COLUMNS = 8  # of the picture, each side

Slice = tuple[np.ndarray, np.ndarray, str]  # image -1..1, labels 0..4 and 255, name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--anatomies", type=Path, help="folder of tissue maps (default: eight, made for this)")
    parser.add_argument("--slices", type=int, default=300, help="random slices of each kind")
    parser.add_argument("--out", type=Path, default=ROOT / "Testing" / "Benchmarks" / "results" / "realism")
    arguments = parser.parse_args()
    if not (arguments.data / "manifest.json").is_file():
        raise SystemExit(f"{arguments.data} holds no manifest.json; give the folder of the real scans with --data.")
    arguments.out.mkdir(parents=True, exist_ok=True)
    folder = arguments.anatomies or arguments.out / "anatomies"
    if arguments.anatomies is None:
        phantom_slices.make_anatomies(folder, range(FIRST_SEED, FIRST_SEED + 8), 2.0)
    anatomies = phantom_slices.load_anatomies(folder)
    real = {modality: list(real_slices(arguments.data, modality)) for modality in ("CT", "MR")}
    drawn = {kind: list(random_slices(anatomies, kind, arguments.slices)) for kind in ("ct", "mr", "any")}
    measured = {kind: [measures(*s[:2]) for s in group] for kind, group in drawn.items()}
    result = {}
    for modality, group in real.items():
        rows = [measures(*s[:2]) for s in group]
        own = measured[modality.lower()]
        result[modality] = compare(rows, own, [m for ms in measured.values() for m in ms])
        print(f"\n{modality}: {len(group)} real slices\n" + table(result[modality]))
        both = [picture(drawn[modality.lower()][: 6 * COLUMNS]), picture(group)]
        height = max(len(p) for p in both)
        both = [np.pad(p, ((0, height - len(p)), (0, 16), (0, 0))) for p in both]
        pictures.write_png(np.concatenate(both, axis=1), arguments.out / f"{modality.lower()}.png")
    (arguments.out / "realism.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"\nrealism.json and pictures (random slices to the left, real ones to the right) are in {arguments.out}")


def random_slices(anatomies: list[phantom_slices.Anatomy], kind: str, count: int) -> Iterator[Slice]:
    """Fine slices of one kind of contrast, as for training."""
    wild = Randomisation(**{"ct": 0.0, "mr": 0.0, "any": 0.0, kind: 1.0}, coarse=0.0)
    for number in range(count):
        yield (*phantom_slices.random_slice(anatomies, SIZE, FIRST_SEED, number, wild), f"{kind} {number}")


def real_slices(data: Path, modality: str) -> Iterator[Slice]:
    """Slices of the real scans as inference feeds them, about the labelled structures; five of a whole volume."""
    plan = Preprocessing()
    for case, facts in json.loads((data / "manifest.json").read_text(encoding="utf-8")).items():
        if facts["modality"] != modality:
            continue
        scan = reading.read(data / "images" / f"{case}.nii.gz")
        truth = reading.read(data / "labels" / f"{case}.nii.gz").array if facts.get("labels") else None
        plane = slices.choose_plane(scan.geometry, plan.plane)
        box = slices.whole_box(scan.geometry)
        if truth is not None:
            shown = np.argwhere((truth > 0) & (truth < 255))[:, ::-1]
            box = np.stack([shown.min(axis=0), shown.max(axis=0)]).astype(float)
        grid = slices.slice_grid(scan.geometry, plane, box, plan.spacing_mm, plan.slice_spacing_mm, SIZE)
        values, inside = slices.sample(scan, grid)
        images = intensity.intensity_rule(scan, plan, modality.lower()).normalise(values, inside)
        labels = np.zeros(images.shape, np.uint8) if truth is None else nearest(truth, grid)
        count = len(images)
        chosen = [count // 2] if facts["kind"] == "slice" else np.linspace(0.2, 0.75, 5) * count
        for k in chosen:
            yield middle(images[int(k)]), middle(labels[int(k)]), case


def nearest(array: np.ndarray, grid: slices.SliceGrid) -> np.ndarray:
    """Labels of the nearest voxels, [slices, rows, columns]."""
    where: list[np.ndarray] = [np.empty(0, int)] * 3
    for w, axis in enumerate(grid.plane.axes):
        last = array.shape[2 - axis] - 1
        where[2 - axis] = np.clip(np.rint(grid.positions(w)), 0, last).astype(int)
    return array[np.ix_(*where)].transpose([2 - grid.plane.axes[w] for w in (2, 1, 0)])


def middle(image: np.ndarray) -> np.ndarray:
    """The middle SIZE x SIZE pixels; a grid is never smaller."""
    row, column = ((n - SIZE) // 2 for n in image.shape)
    return image[row : row + SIZE, column : column + SIZE]


def measures(image: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Named numbers of a slice (image -1..1, labels 0..4 and 255, [n, n]); what it does not show is left out."""
    said = {"black": float((image <= -0.98).mean()), "white": float((image >= 0.98).mean())}
    blur, wide = gauss(len(image), 1.5), gauss(len(image), 4.0)
    residue, slow = image - blur @ image @ blur.T, wide @ image @ wide.T
    noise = {}
    for structure in PAPERS:
        region = eroded(labels == structure.value, 1 if structure.id == "MYO" else 3)
        if region.sum() < LEAST_PIXELS or np.abs(image[region]).mean() > 0.97:
            continue
        name = structure.id
        said[f"{name} mean"] = float(image[region].mean())
        noise[name] = said[f"{name} noise"] = float(residue[region].std())
        said[f"{name} slow"] = float(slow[eroded(region, 3)].std()) if eroded(region, 3).sum() > 60 else np.nan
        pairs = region[:, 1:] & region[:, :-1]
        product = residue[:, 1:][pairs] * residue[:, :-1][pairs]
        said[f"{name} grain"] = float(product.mean() / max(noise[name] ** 2, 1e-9))
    if "LV mean" in said and "MYO mean" in said:
        said["LV - MYO"] = said["LV mean"] - said["MYO mean"]
        said["LV - MYO / noise"] = said["LV - MYO"] / max(noise["LV"], 1e-3)
    blood, muscle = np.isin(labels, (2, 3, 4)), labels == 1
    said["edge blood-muscle"] = edge_width(image, blood, muscle)
    said["edge to dark"] = edge_width(image, blood | muscle, (labels == 0) & (slow < -0.75))
    return {k: v for k, v in said.items() if np.isfinite(v)}


def eroded(mask: np.ndarray, steps: int) -> np.ndarray:
    """Bool [n, n] without what lies within `steps` pixels of its border or of the image's."""
    for _ in range(steps):
        inner = mask.copy()
        inner[1:] &= mask[:-1]
        inner[:-1] &= mask[1:]
        inner[:, 1:] &= mask[:, :-1]
        inner[:, :-1] &= mask[:, 1:]
        inner[[0, -1]] = inner[:, [0, -1]] = False
        mask = inner
    return mask


def edge_width(image: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
    """Median 10 to 90 % width (pixels) of the edges where two masks meet, along their normals; nan if there are few."""
    meets = one & ~eroded(~other, 2)
    meets &= ~eroded(one, 1)
    meets[:6] = meets[-6:] = meets[:, :6] = meets[:, -6:] = False
    rows, columns = np.nonzero(meets)
    if len(rows) < 12:
        return float("nan")
    blur = gauss(len(image), 2.0)
    smooth = blur @ one.astype(np.float32) @ blur.T
    dy, dx = (g[rows, columns] for g in np.gradient(smooth))
    length = np.maximum(np.hypot(dy, dx), 1e-6)
    along = np.arange(-REACH, REACH + 0.01, 0.2)
    y = rows[:, None] + along * (dy / length)[:, None]
    x = columns[:, None] + along * (dx / length)[:, None]
    profiles = bilinear(image, y, x)
    low, high = profiles[:, :8].mean(axis=1), profiles[:, -8:].mean(axis=1)
    step = high - low
    seen = np.abs(step) > LEAST_STEP
    if seen.sum() < 8:
        return float("nan")
    share = (profiles[seen] - low[seen, None]) / step[seen, None]
    half = np.abs(np.where((along > -3) & (along < 3), share - 0.5, 9)).argmin(axis=1)
    widths = []
    for profile, start in zip(share, half, strict=True):
        below, above = np.flatnonzero(profile[:start] < 0.1), np.flatnonzero(profile[start:] > 0.9)
        if len(below) and len(above):
            widths.append((above[0] + start - below[-1]) * 0.2)
    return float(np.median(widths)) if len(widths) >= 8 else float("nan")


def bilinear(image: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Values between the pixels, at rows y and columns x of any one shape; beyond the image those of its border."""
    y, x = (np.clip(c, 0, len(image) - 1.001) for c in (y, x))
    j, i = y.astype(int), x.astype(int)
    v, u = y - j, x - i
    upper = image[j, i] * (1 - u) + image[j, i + 1] * u
    return upper * (1 - v) + (image[j + 1, i] * (1 - u) + image[j + 1, i + 1] * u) * v


def compare(real: list[dict], own: list[dict], every: list[dict]) -> dict[str, dict]:
    """Per measure: values of the real slices, 5, 50 and 95 % of the phantom's of their `own` kind, and the share of the
    real ones within those and within those of `every` kind."""
    result = {}
    for name in dict.fromkeys(k for row in real for k in row):
        values = np.array([row[name] for row in real if name in row])
        ranges = [np.percentile([m[name] for m in group if name in m], [5, 50, 95]) for group in (own, every)]
        within = [float(((values >= r[0]) & (values <= r[2])).mean()) for r in ranges]
        result[name] = {
            "real": [round(float(v), 4) for v in np.sort(values)],
            "phantom": [round(float(v), 4) for v in ranges[0]],
            "within": within[0],
            "within_any": within[1],
        }
    return result


def table(rows: dict[str, dict]) -> str:
    """What `compare` found, for people."""
    lines = [
        f"{'':18} {'real: least  median  most':>26}   {'phantom: 5 %   50 %   95 %':>26} {'within':>7} {'any':>5}  n"
    ]
    for name, row in rows.items():
        real = row["real"]
        three = "".join(f"{v:8.2f}" for v in (real[0], float(np.median(real)), real[-1]))
        phantom = "".join(f"{v:8.2f}" for v in row["phantom"])
        lines.append(
            f"{name:18} {three:>26}   {phantom:>26} {row['within']:7.0%} {row['within_any']:5.0%} {len(real):2d}"
        )
    total = sum(len(r["real"]) for r in rows.values())
    for key, title in (("within", "own kind"), ("within_any", "any contrast")):
        share = sum(r[key] * len(r["real"]) for r in rows.values()) / total
        lines.append(f"of {total} real values {share:.0%} lie within the phantom's 5 to 95 % range, {title}")
    return "\n".join(lines)


def picture(group: list[Slice]) -> np.ndarray:
    """RGB uint8: the slices in rows of COLUMNS, outlined."""
    tiles = []
    for image, labels, _ in group:
        tile = np.repeat(((image + 1) * 127.5).astype(np.uint8)[..., None], 3, axis=2)
        tile = tile.repeat(2, axis=0).repeat(2, axis=1)
        shown = labels.repeat(2, axis=0).repeat(2, axis=1)
        for structure in PAPERS:
            mask = shown == structure.value
            tile[mask & ~eroded(mask, 1)] = structure.color
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.concatenate(tiles[n : n + COLUMNS], axis=1) for n in range(0, len(tiles), COLUMNS)]
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
