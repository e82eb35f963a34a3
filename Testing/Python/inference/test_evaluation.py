"""Figures of `sifa evaluate` are those of the definition, by the rule that stands below them, and of every scan."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import tf_bundles
import tiny_models
import torch
from SIFALib.cli.main import main
from SIFALib.datasets import label_folder
from SIFALib.inference import evaluation
from SIFALib.models import store as models
from SIFALib.models.architectures import Architecture
from SIFALib.models.card import Preprocessing
from SIFALib.models.structures import PAPERS, STRUCTURES, UNKNOWN
from SIFALib.networks.loading import load_segmenter
from SIFALib.support.errors import DataError
from SIFALib.support.progress import drain

IDS = ("MYO", "LA", "LV", "AA")


def npz_volumes(folder: Path, depths: tuple[int, ...]) -> list[Path]:
    """z-scores and labels 0 to 5 [48, 40, depth] as PnP-AdaNet's files hold them; nothing in them is symmetric."""
    folder.mkdir()
    files = []
    for n, depth in enumerate(depths):
        rng = np.random.default_rng(n)
        image = np.cumsum(rng.normal(0, 0.4, (48, 40, depth)), axis=0)
        image = (image - image.mean()) / image.std()
        labels = np.clip(np.digitize(image + rng.normal(0, 0.2, image.shape), [-1, -0.3, 0.3, 1, 1.9]), 0, 5)
        files.append(folder / f"image_{n:02}.npz")
        np.savez(files[-1], image.astype(np.float32), labels.astype(np.float32))
    return files


def as_the_authors_do(files: list[Path], segmenter, low: float, high: float) -> list[np.ndarray]:
    """Their evaluate.py in a few lines, all slices: predictions and labels [rows, columns, slices], turned."""
    found = []
    for file in files:
        arrays = np.load(file)
        image, label = (np.flip(np.flip(arrays[k], 0), 1) for k in ("arr_0", "arr_1"))
        prediction = np.zeros(label.shape)
        for k in range(image.shape[2]):
            x = 2 * (image[:, :, k] - low) / (high - low) - 1
            with torch.inference_mode():
                logits = segmenter(torch.tensor(np.ascontiguousarray(x), dtype=torch.float32)[None, None])
            prediction[:, :, k] = logits[0].argmax(0).numpy()
        found.append(np.stack([prediction, label]))
    return found


@pytest.mark.parametrize(("statistics", "low", "high"), [("ct", -2.8, 3.2), ("ct-old", -1.9, 3.0), ("mr", -1.8, 4.4)])
def test_the_published_protocol_is_that_of_the_authors_for_any_number_of_volumes_and_all_slices(
    tmp_path: Path, statistics: str, low: float, high: float
) -> None:
    segmenter, _ = tf_bundles.small(seed=5)
    package = tiny_models.write(tmp_path / "model")
    files = npz_volumes(tmp_path / "data", (5, 9, 12))
    cases = drain(evaluation.published(files, segmenter, package.card, statistics, "cpu")).cases
    theirs = as_the_authors_do(files, segmenter, low, high)
    assert len({int(v) for pair in theirs for v in np.unique(pair[0])}) > 1  # the network says more than one thing
    for case, (prediction, label) in zip(cases, theirs, strict=True):
        for value, name in enumerate(IDS, start=1):
            a, b = prediction == value, label == value
            assert case.dice[name] == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()), abs=0.01)
        assert case.assd_mm == {}
    expected = np.array([[c.dice[i] for i in IDS] for c in cases])
    summary = evaluation.summarise(cases, IDS)
    for n, name in enumerate(IDS):
        assert summary[name].dice == pytest.approx((expected[:, n].mean(), expected[:, n].std(ddof=0)))
    assert evaluation.mean_of(summary)["dice"] == pytest.approx(expected.mean())


def test_the_fifth_label_is_no_structure_and_its_voxels_count_as_background(tmp_path: Path) -> None:
    card = tiny_models.write(tmp_path / "model").card
    truth = np.zeros((4, 8, 8), np.uint8)
    truth[:, :4] = 3
    truth[:, 4:] = 5
    found = np.full_like(truth, 3)
    assert evaluation.compare("x", found, truth, card.labels, None).dice["LV"] == pytest.approx(2 * 128 / (256 + 128))
    truth[truth == 5] = UNKNOWN  # which the product protocol makes of values that are no class
    assert evaluation.compare("x", found, truth, card.labels, None).dice["LV"] == 1.0


def test_the_published_protocol_is_of_the_papers_four_also_for_a_model_of_seven(tmp_path: Path) -> None:
    seven = Architecture(width=2, classes=8)
    package = tiny_models.write_constant(tmp_path / "m", 5, architecture=seven, labels=STRUCTURES, quality=())
    files = npz_volumes(tmp_path / "data", (5,))
    found = drain(evaluation.published(files, load_segmenter(package), package.card, "mr", "cpu"))
    assert found.structures == PAPERS and set(found.cases[0].dice) == set(IDS) and not found.notes


def test_missing_structures_follow_the_rule_and_are_counted(tmp_path: Path) -> None:
    card = tiny_models.write(tmp_path / "model").card
    truth = np.zeros((6, 8, 8), np.uint8)
    truth[1:5, 1:5, 1:5] = 1
    truth[1:5, 5:7, 1:5] = 2
    found = np.where(truth == 1, 1, 0).astype(np.uint8)
    found[0, 0, 0] = 4
    cases = [evaluation.compare(name, found, truth, card.labels, (2.0, 2.0, 2.0)) for name in "ab"]
    assert cases[0].dice["MYO"] == 1.0 and cases[0].dice["LA"] == 0.0 and cases[0].dice["AA"] == 0.0
    assert math.isnan(cases[0].dice["LV"])
    summary = evaluation.summarise(cases, IDS)
    assert (summary["LA"].scans, summary["LA"].missed) == (2, 2)
    assert (summary["LV"].scans, summary["LV"].missed) == (0, 0)
    assert summary["MYO"].assd_mm == (0.0, 0.0)
    assert math.isnan(summary["LA"].assd_voxels[0])
    text = json.dumps(
        evaluation.report(evaluation.Evaluation(tuple(cases), card.labels), card, "product"), allow_nan=False
    )
    data = json.loads(text)
    assert data["structures"]["LA"]["dice"] == {"mean": 0.0, "std": 0.0}
    assert data["structures"]["LA"]["assd_undefined"] == 2
    assert data["structures"]["LV"]["dice"] == {"mean": None, "std": None}
    assert "left out where it is in neither" in data["rule"]
    assert data["mean"]["dice"] is None


def test_distances_are_in_voxels_and_in_mm(tmp_path: Path) -> None:
    card = tiny_models.write(tmp_path / "model").card
    truth = np.zeros((20, 20, 20), np.uint8)
    truth[:, 5, :] = 1
    found = np.zeros_like(truth)
    found[:, 8, :] = 1  # three voxels further, along j
    case = evaluation.compare("x", found, truth, card.labels, (1.0, 2.5, 1.0))
    assert case.assd_voxels["MYO"] == pytest.approx(3.0)
    assert case.assd_mm["MYO"] == pytest.approx(7.5)


def scan(path: Path, array: np.ndarray, spacing: float = 4.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((spacing,) * 3)
    sitk.WriteImage(image, str(path))
    return path


PRE = Preprocessing(spacing_mm=4.0, slice_spacing_mm=4.0, crop=64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans of 24 voxels a side; in the label maps the left ventricle (500) fills the lower half, 820 a corner."""
    rng = np.random.default_rng(0)
    labels = np.zeros((24, 24, 24), np.int16)
    labels[:12] = 500
    labels[20:, 20:, 20:] = 820
    for n in range(2):
        scan(tmp_path / "images" / f"mr_{n}_image.nii.gz", rng.normal(100, 20, (24, 24, 24)).astype(np.float32))
        scan(tmp_path / "labels" / f"mr_{n}_label.nii.gz", labels)
    tiny_models.write_constant(tmp_path / "lv", 3, preprocessing=PRE)
    tiny_models.write_constant(tmp_path / "nothing", 0, preprocessing=PRE)
    return tmp_path


def evaluate(folder: Path, *more: str, model: str = "lv") -> int:
    places = ["--images", str(folder / "images"), "--labels", str(folder / "labels")]
    return main(["evaluate", "--model", str(folder / model), *places, "--device", "cpu", *more])


def test_whole_scans_are_segmented_and_compared(folder: Path, capsys) -> None:
    out = folder / "all.json"
    rows = folder / "all.csv"
    assert evaluate(folder, "--label-values", "mmwhs", "--json", str(out), "--csv", str(rows)) == 0
    printed, said = capsys.readouterr()
    data = json.loads(out.read_text())
    assert (data["not_labelled"], data["not_drawn"]) == (["MYO", "LA"], [])
    assert "Left atrium: no label map holds it, so that nothing could be compared." in said
    half = 24**3 // 2
    assert [s["name"] for s in data["scans"]] == ["mr_0_image", "mr_1_image"]
    for found in data["scans"]:
        assert found["dice"]["LV"] == pytest.approx(2 * half / (24**3 + half))
        assert found["dice"]["AA"] == 0.0 and found["assd_mm"]["AA"] is None
        assert set(found["dice"]) == {"LV", "AA"}
        assert found["assd_mm"]["LV"] == pytest.approx(4 * found["assd_voxels"]["LV"])
    assert data["structures"]["AA"]["assd_undefined"] == 2
    assert data["model"]["id"] == "tiny"
    assert "Left ventricle" in printed and "66.7 ± 0.0" in printed
    assert "left out where it is in neither" in printed
    with open(rows, newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4
    assert [r["dice"] for r in table if r["structure"] == "LV"] == ["0.66667"] * 2
    assert [r["assd_mm"] for r in table if r["structure"] == "AA"] == [""] * 2


def with_right_ventricle(folder: Path) -> None:
    """Its value 600 in both label maps, in a quarter that the left ventricle leaves."""
    for file in (folder / "labels").iterdir():
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
        labels[12:, :12] = 600
        scan(file, labels)


def test_a_truth_of_seven_structures_judges_a_model_of_four_by_its_own_and_says_so(folder: Path, capsys) -> None:
    assert evaluate(folder, "--label-values", "mmwhs", "--json", "--quiet") == 0
    before = json.loads(capsys.readouterr().out)
    with_right_ventricle(folder)
    assert evaluate(folder, "--label-values", "mmwhs", "--json", "--quiet") == 0
    said = capsys.readouterr()
    after = json.loads(said.out)
    assert after["not_drawn"] == ["RV"] and after | {"not_drawn": []} == before
    assert "Right ventricle: label maps hold it, but the model does not draw it." in said.err


def test_a_model_of_seven_structures_is_judged_by_those_that_the_label_maps_hold(folder: Path, capsys) -> None:
    seven = Architecture(width=2, classes=8)
    tiny_models.write_constant(folder / "rv", 5, preprocessing=PRE, architecture=seven, labels=STRUCTURES, quality=())
    assert evaluate(folder, "--label-values", "mmwhs", "--json", "--quiet", model="rv") == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data["structures"]) == {"LV", "AA"} and data["not_labelled"] == ["MYO", "LA", "RV", "RA", "PA"]
    with_right_ventricle(folder)
    assert evaluate(folder, "--label-values", "mmwhs", "--json", "--quiet", model="rv") == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data["structures"]) == {"LV", "AA", "RV"} and data["not_drawn"] == []
    assert data["structures"]["RV"]["dice"]["mean"] == pytest.approx(2 * 0.25 / 1.25, abs=0.01)


def test_json_alone_is_printed_instead_of_the_table(folder: Path, capsys) -> None:
    assert evaluate(folder, "--label-values", "mmwhs", "--json", "--quiet") == 0
    assert json.loads(capsys.readouterr().out)["protocol"] == "product"
    assert evaluate(folder, "--json", "--csv") == 2


def test_a_scan_without_a_heart_counts_as_missed(folder: Path, capsys) -> None:
    assert evaluate(folder, "--label-values", "mmwhs", "--json", "--quiet", model="nothing") == 0
    said = capsys.readouterr()
    data = json.loads(said.out)
    assert data["structures"]["LV"]["dice"]["mean"] == 0.0
    assert data["scans"][0]["note"] == "No heart was found."
    assert "mr_0_image: No heart was found." in said.err


def test_files_that_cannot_be_judged_are_all_named_before_any_work(folder: Path, capsys) -> None:
    scan(folder / "labels" / "mr_0_label.nii.gz", np.ones((24, 24, 24), np.int16), spacing=3.0)
    assert evaluate(folder) == 3
    said = capsys.readouterr().err
    assert "mr_0_label.nii.gz has spacing (3, 3, 3) mm but" in said
    assert "mr_1_label.nii.gz" in said and "label-values mmwhs" in said
    (folder / "labels" / "mr_0_label.nii.gz").unlink()
    assert evaluate(folder, "--label-values", "mmwhs") == 3
    assert "mr_0_image.nii.gz has no label map" in capsys.readouterr().err
    assert evaluate(folder, "--label-values", "mmwhs", "--exclude", "mr_0_image", "--quiet") == 0


@pytest.mark.parametrize("file", ["images/mr_0_image.nii.gz", "labels/mr_1_label.nii.gz"])
@pytest.mark.parametrize("option", ["--json", "--csv"])
def test_a_table_never_takes_the_place_of_a_scan(folder: Path, capsys, file: str, option: str) -> None:
    before = (folder / file).read_bytes()
    assert evaluate(folder, "--label-values", "500=3", option, str(folder / file)) == 2
    assert "choose another name" in capsys.readouterr().err
    assert (folder / file).read_bytes() == before


def test_label_maps_beside_the_scans_are_found_too(folder: Path) -> None:
    for file in (folder / "labels").iterdir():
        file.rename(folder / "images" / file.name)
    found = label_folder.pairs(folder / "images", None)
    assert [s.label.name for s in found if s.label] == ["mr_0_label.nii.gz", "mr_1_label.nii.gz"]
    with pytest.raises(DataError, match="is no folder"):
        label_folder.pairs(folder / "images", folder / "nowhere")


def moved(folder: Path, *pairs: tuple[str, str]) -> Path:
    """The scans without their label maps and the label maps, each at another place below its folder."""
    for n, pair in enumerate(pairs):
        for kind, place in zip(("images", "labels"), pair, strict=True):
            (old,) = (folder / kind).glob(f"mr_{n}_*")
            if place:
                (folder / kind / place).parent.mkdir(parents=True, exist_ok=True)
                old.rename(folder / kind / place)
            else:
                old.unlink()
    return folder


def test_a_label_map_serves_no_scan_of_the_same_name_in_another_folder(folder: Path) -> None:
    places = moved(folder, ("site1/p1.nii.gz", "site1/p1.nii.gz"), ("site2/p1.nii.gz", ""))
    with pytest.raises(DataError, match=r"site2/p1\.nii\.gz has no label map"):
        label_folder.pairs(places / "images", places / "labels")
    (places / "labels" / "site1" / "p1.nii.gz").rename(places / "labels" / "p1.nii.gz")
    with pytest.raises(DataError, match=r"p1\.nii\.gz may be the label map of .*site1/p1.* or of .*site2/p1"):
        label_folder.pairs(places / "images", places / "labels")


def test_label_maps_of_one_name_are_told_apart_by_their_folders(folder: Path) -> None:
    moved(folder, ("a/ct/x_image.nii.gz", "a/labels/x.nii.gz"), ("b/ct/x_image.nii.gz", "b/labels/x.nii.gz"))
    found = label_folder.pairs(folder / "images", folder / "labels")
    assert [s.label.relative_to(folder).as_posix() for s in found if s.label] == [
        f"labels/{name}/labels/x.nii.gz" for name in "ab"
    ]


def test_the_published_protocol_on_the_command_line(tmp_path: Path, capsys) -> None:
    npz_volumes(tmp_path / "data", (3, 4))
    pre = Preprocessing(crop=64, zscore_range=(-1.9, 3.0))
    tiny_models.write(tmp_path / "old", preprocessing=pre)
    tiny_models.write(tmp_path / "other")
    common = ["evaluate", "--protocol", "published", "--images", str(tmp_path / "data"), "--device", "cpu", "--json"]
    assert main([*common, "--model", str(tmp_path / "old"), "--quiet"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["protocol"], data["statistics"]) == ("published", "ct-old")
    assert "assd_mm" not in data["scans"][0]
    assert main([*common, "--model", str(tmp_path / "other")]) == 2
    assert "add --statistics ct, ct-old or mr" in capsys.readouterr().err
    assert main([*common, "--model", str(tmp_path / "other"), "--statistics", "mr", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out)["statistics"] == "mr"
    (tmp_path / "data" / "image_00.npz").write_bytes(b"no archive")
    assert main([*common, "--model", str(tmp_path / "old"), "--quiet"]) == 3
    assert "image_00.npz" in capsys.readouterr().err
    assert main([*common, "--model", str(tmp_path / "old"), "--labels", str(tmp_path)]) == 2
    wrong = ["evaluate", "--protocol", "published", "--images", str(tmp_path / "old"), "--statistics", "mr"]
    assert main([*wrong, "--model", str(tmp_path / "old")]) == 3
    assert "no .npz volumes" in capsys.readouterr().err


def test_an_imported_checkpoint_is_evaluated_with_its_own_statistics(tmp_path: Path, capsys) -> None:
    segmenter, _ = tf_bundles.small("aaai2019")
    prefix = tf_bundles.write(tmp_path / "sifa-299", tf_bundles.variables_of(segmenter))
    store = ["--models-folder", str(tmp_path / "models")]
    assert main(["import-tf", str(prefix), "theirs", "--modality", "ct", "--statistics", "old", *store]) == 0
    files = npz_volumes(tmp_path / "data", (4,))
    capsys.readouterr()
    published = ["evaluate", "--protocol", "published", "--images", str(files[0]), "--device", "cpu"]
    assert main([*published, "--model", "theirs", "--json", "--quiet", *store]) == 0
    assert json.loads(capsys.readouterr().out)["statistics"] == "ct-old"
    assert models.default_store(tmp_path / "models").get("theirs").card.architecture.input_channels == 3
