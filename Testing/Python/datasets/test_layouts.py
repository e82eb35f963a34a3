"""Data sets as people download them, made up from one phantom: each label map is paired, and its values are what they
mean there, or a sentence says what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.datasets import DataSettings, sources
from SIFALib.datasets.label_rings import wall
from SIFALib.datasets.label_values import parse
from SIFALib.datasets.layouts import MMS, VALUES
from SIFALib.datasets.scans import Scan, examine
from SIFALib.datasets.settings import MMWHS
from SIFALib.imaging import reading
from SIFALib.models.structures import STRUCTURES, UNKNOWN
from SIFALib.phantom import anatomy
from SIFALib.phantom.tissues import LABEL_OF_TISSUE
from SIFALib.runs import pack, presets
from SIFALib.runs.configuration import new_run_file
from SIFALib.support.progress import drain

MYO, LA, LV, AA, RV, RA, PA = (s.value for s in STRUCTURES)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """The seven structures of a phantom, uint8 [k, j, i], of 6 mm, cut around the heart."""
    labels = LABEL_OF_TISSUE[anatomy(3, 6.0)[0].array]
    low, high = (f(np.argwhere(labels), axis=0) for f in (np.min, np.max))
    return labels[tuple(slice(max(0, a - 3), b + 4) for a, b in zip(low, high, strict=True))]


def grey(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """An image of the labels, int16, in no units."""
    noise = np.random.default_rng(seed).normal(0, 5, labels.shape)
    return (np.array([40, 100, 250, 255, 260, 240, 235, 230])[labels] + noise).astype(np.int16)


def save(path: Path, *volumes: np.ndarray) -> Path:
    """A file of one volume, or of several along a fourth axis."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [sitk.GetImageFromArray(volume) for volume in volumes]
    for image in images:
        image.SetSpacing((6.0, 6.0, 6.0))
    sitk.WriteImage(images[0] if len(images) == 1 else sitk.JoinSeries(images), str(path))
    return path


def numbered(labels: np.ndarray, values: dict[str, int]) -> np.ndarray:
    """The structures with the values of a data set; what it does not label is background."""
    out = np.zeros(labels.shape, np.int16)
    for value, label in values.items():
        out[labels == label] = int(value)
    return out


def only(labels: np.ndarray, *kept: int) -> np.ndarray:
    return np.where(np.isin(labels, kept), labels, 0)


def settings(**more) -> DataSettings:
    return DataSettings("data", "phantom", **{"classes": 8, **more})


def looked_at(folder: Path, **more) -> dict[str, tuple[Scan, np.ndarray | None]]:
    """Name -> what is found out of a labelled scan, and its labels."""
    found = {}
    for scan in sources.find(str(folder), labelled=True).scans:
        known, _, labels = examine(scan, "source", settings(**more))
        found[scan.name] = known, None if labels is None else labels.array
    return found


def acdc(folder: Path, truth: np.ndarray) -> None:
    for n in (1, 2):
        place = folder / f"patient{n:03}"
        for frame in (1, 12):
            moved = np.roll(truth, frame % 3, 1)
            save(place / f"patient{n:03}_frame{frame:02}.nii.gz", grey(moved, n + frame))
            save(place / f"patient{n:03}_frame{frame:02}_gt.nii.gz", numbered(moved, VALUES["acdc"]))
        save(place / f"patient{n:03}_4d.nii.gz", *(grey(truth, n + t) for t in range(12)))
        (place / "Info.cfg").write_text("ED: 1\nES: 12\n")


def test_acdc_is_paired_by_frame_and_its_1_is_the_right_ventricle(tmp_path, truth):
    acdc(tmp_path, truth)
    found = looked_at(tmp_path)
    assert list(found) == [f"patient00{n}/patient00{n}_frame{f}" for n in (1, 2) for f in ("01", "12")]
    for (scan, labels), moved in zip(found.values(), (1, 0) * 2, strict=True):
        assert not scan.problems and "read as ACDC has them" in " ".join(scan.warnings)
        assert np.array_equal(labels, only(np.roll(truth, moved, 1), MYO, LV, RV))
        assert scan.label_values == (0, 1, 2, 3) and scan.label_meanings == (0, RV, MYO, LV)
    hearts = [scan.heart for scan, _ in found.values()]
    assert hearts[0] == hearts[1] != hearts[2] == hearts[3], "both frames of a heart on one side of every split"
    (note,) = sources.find(str(tmp_path), labelled=True).notes
    assert "patient001_4d.nii.gz and 1 more" in note and "passed over" in note


def test_acdc_as_target_is_its_cines_and_not_their_frames_once_more(tmp_path, truth):
    acdc(tmp_path, truth)
    found = sources.find(str(tmp_path), labelled=False, cines=True)
    assert {s.image.name for s in found.scans} == {"patient001_4d.nii.gz", "patient002_4d.nii.gz"}
    assert "frame01.nii.gz and 3 more like it are passed over" in found.notes[0]


def test_a_cine_without_labels_is_named_unless_its_phases_are_labelled(tmp_path, truth):
    acdc(tmp_path, truth)
    save(tmp_path / "patient001" / "patient009_4d.nii.gz", *(grey(truth, t) for t in range(12)))
    found = {scan.image.name: scan for scan, _ in looked_at(tmp_path).values()}
    assert len(found) == 5 and found["patient009_4d.nii.gz"].problems


def test_frames_of_one_view_are_no_phases_of_a_cine_of_the_other(tmp_path):
    for name in ("001_SA_CINE", "001_SA_ED", "001_LA_ED"):
        save(tmp_path / f"{name}.nii.gz", np.zeros((2, 2, 2), np.int16))
    found = sources.find(str(tmp_path), labelled=False, cines=True).scans
    assert sorted(s.image.name for s in found) == ["001_LA_ED.nii.gz", "001_SA_CINE.nii.gz"]


def test_mms_gives_one_scan_for_each_phase_that_is_labelled(tmp_path, truth):
    volumes = [grey(truth, t) for t in range(6)]
    maps = [numbered(truth, MMS) if t in (0, 4) else np.zeros(truth.shape, np.int16) for t in range(6)]
    save(tmp_path / "A0S9V9" / "A0S9V9_sa.nii.gz", *volumes)
    save(tmp_path / "A0S9V9" / "A0S9V9_sa_gt.nii.gz", *maps)
    found = looked_at(tmp_path)
    assert [name.rpartition("/")[2] for name in found] == ["A0S9V9_sa phase 1", "A0S9V9_sa phase 5"]
    for scan, labels in found.values():
        assert not scan.problems and scan.kind.startswith("cine phase")
        assert np.array_equal(labels, only(truth, MYO, LV, RV))
    one, other = (scan for scan, _ in found.values())
    assert one.heart == other.heart and one.content != other.content
    save(tmp_path / "A0S9V9" / "A0S9V9_sa_gt.nii.gz", *(each * 0 for each in maps))
    ((scan, _),) = looked_at(tmp_path).values()
    assert "every voxel of every volume is background" in scan.problems[0]


def test_a_map_of_fewer_volumes_than_its_cine_is_refused_for_nobody_knows_which_phases_it_labels(tmp_path, truth):
    save(tmp_path / "p1_sa.nii.gz", *(grey(truth, t) for t in range(12)))
    save(tmp_path / "p1_sa_gt.nii.gz", *[numbered(truth, MMS)] * 6)
    ((scan, labels),) = looked_at(tmp_path).values()
    assert (
        labels is None and "p1_sa_gt.nii.gz holds 6 volumes but" in scan.problems[0] and "has 12;" in scan.problems[0]
    )


def nnunet(folder: Path, truth: np.ndarray, labels: dict, values: dict[str, int]) -> Path:
    for name in ("heart_001", "heart_002"):
        save(folder / "imagesTr" / f"{name}_0000.nii.gz", grey(truth, len(name)))
        save(folder / "labelsTr" / f"{name}.nii.gz", numbered(truth, values))
    (folder / "dataset.json").write_text(json.dumps({"labels": labels, "numTraining": 2, "file_ending": ".nii.gz"}))
    return folder


@pytest.mark.parametrize(
    "labels",
    [{"background": 0, "LVC": 1, "LV Myocardium": 2, "RVC": 3}, {"0": "background", "1": "left ventricle", "2": "MYO",
      "3": "RV"}],
    ids=["version 2", "version 1"],
)  # fmt: skip
def test_nnunets_values_are_what_its_description_calls_them(tmp_path, truth, labels):
    nnunet(tmp_path, truth, labels, {"1": LV, "2": MYO, "3": RV})
    save(tmp_path / "imagesTs" / "heart_003_0000.nii.gz", grey(truth, 9))
    save(tmp_path / "imagesTr" / "heart_001_0001.nii.gz", grey(truth, 10))
    found = looked_at(tmp_path)
    assert list(found) == ["heart_001", "heart_002"]
    for scan, array in found.values():
        assert not scan.problems
        assert np.array_equal(array, only(truth, MYO, LV, RV))
    assert looked_at(tmp_path / "dataset.json").keys() == found.keys()
    (note,) = sources.find(str(tmp_path), labelled=True).notes
    assert "heart_001_0001.nii.gz is another image of a scan" in note
    assert [s.image.name for s in sources.find(str(tmp_path), labelled=False).scans] == [
        f"heart_00{n}_0000.nii.gz" for n in (1, 2, 3)
    ]


def test_one_value_without_a_meaning_does_not_take_that_of_the_others(tmp_path, truth):
    def spoiled(path: Path, values: dict[str, int], value: int) -> None:
        labels = numbered(truth, values)
        labels[0, 0, 0] = value
        save(path, labels)

    acdc(tmp_path / "acdc", truth)
    spoiled(tmp_path / "acdc" / "patient001" / "patient001_frame01_gt.nii.gz", VALUES["acdc"], 4)
    nnunet(tmp_path / "nnunet", truth, {"background": 0, "LV": 1, "MYO": 2, "RV": 3}, {"1": LV, "2": MYO, "3": RV})
    spoiled(tmp_path / "nnunet" / "labelsTr" / "heart_001.nii.gz", {"1": LV, "2": MYO, "3": RV}, 7)
    save(tmp_path / "mmwhs" / "ct_train_1001_image.nii.gz", grey(truth))
    spoiled(tmp_path / "mmwhs" / "ct_train_1001_label.nii.gz", MMWHS, 4)
    said = {
        "acdc": "ACDC says nothing of the value 4; add --label-values 1=5,2=1,3=3,4=? with",
        "nnunet": "dataset.json says nothing of the value 7; add --label-values 0=0,1=3,2=1,3=5,7=? with",
        "mmwhs": "MM-WHS says nothing of the value 4; add --label-values 205=1,",
    }
    for name, sentence in said.items():
        scan, labels = next(iter(looked_at(tmp_path / name).values()))
        assert labels is None and sentence in scan.problems[0]
    scan, labels = next(iter(looked_at(tmp_path / "acdc", label_values=parse("acdc,4=0")).values()))
    assert not scan.problems and np.array_equal(labels, only(truth, MYO, LV, RV))


def test_values_that_a_person_gives_are_those_that_are_shown(tmp_path, truth):
    nnunet(tmp_path, truth, {"background": 0, "LV": 1, "LA": 2, "MYO": 3}, {"1": LV, "2": LA, "3": MYO})
    (scan, labels), _ = looked_at(tmp_path).values()
    shown = dict(zip(scan.label_values, scan.label_meanings, strict=True))
    assert shown == {0: 0, 1: LV, 2: LA, 3: MYO} and np.array_equal(labels, only(truth, MYO, LA, LV))
    given = {str(value): UNKNOWN if meaning == LA else meaning for value, meaning in shown.items()}
    (scan, labels), _ = looked_at(tmp_path, label_values=given).values()
    assert np.array_equal(labels, np.where(truth == LA, UNKNOWN, only(truth, MYO, LV)))
    assert scan.label_values == (0, 1, 2, 3) and scan.label_meanings == (0, LV, UNKNOWN, MYO)


def test_nnunets_names_that_are_no_structure_and_regions_are_explained(tmp_path, truth):
    values = {"1": LV, "2": MYO, "3": RV}
    names = {"background": 0, "LV": 1, "scar": 2, "aorta": 3}
    (scan, _), _ = looked_at(nnunet(tmp_path / "a", truth, names, values)).values()
    assert "calls the value 2 'scar'" in scan.problems[0]
    assert "add --label-values 0=0,1=3,3=255,2=? with" in scan.problems[0]
    regions = {"background": 0, "whole": [1, 2], "LV": 1}
    (scan, _), _ = looked_at(nnunet(tmp_path / "b", truth, regions, values)).values()
    assert "'whole'" in scan.problems[0] and "say with --label-values" in scan.problems[0]
    (scan, labels), _ = looked_at(tmp_path / "b", label_values=parse("1=3,2=1,3=5")).values()
    assert not scan.problems and np.array_equal(labels, only(truth, MYO, LV, RV))
    (tmp_path / "b" / "dataset.json").write_text("{")
    (scan, _), _ = looked_at(tmp_path / "b").values()
    assert "dataset.json is not valid JSON" in scan.problems[0]


def totalsegmentator(folder: Path, truth: np.ndarray, masks: dict[str, np.ndarray]) -> None:
    for name in ("s0001", "s0002"):
        save(folder / name / "ct.nii.gz", grey(truth, len(masks) + int(name[-1])))
        for mask, inside in masks.items():
            save(folder / name / "segmentations" / f"{mask}.nii.gz", inside.astype(np.uint8))


def test_totalsegmentators_masks_are_one_label_map(tmp_path, truth):
    named = {"myocardium": MYO, "atrium_left": LA, "ventricle_left": LV, "ventricle_right": RV, "atrium_right": RA}
    masks = {f"heart_{name}": truth == value for name, value in named.items()}
    masks |= {"pulmonary_artery": truth == PA, "aorta": truth == AA, "spleen": truth < 0, "liver": truth > 9}
    totalsegmentator(tmp_path, truth, masks)
    found = looked_at(tmp_path)
    assert list(found) == ["s0001", "s0002"]
    for scan, labels in found.values():
        assert not scan.problems, scan.problems
        assert np.array_equal(labels, np.where(truth == AA, UNKNOWN, truth)), (
            "which part of an aorta ascends is not said"
        )
    given = looked_at(tmp_path, label_values=parse("totalsegmentator"))
    for scan, labels in given.values():
        assert np.array_equal(labels, np.where(truth == AA, UNKNOWN, truth)) and RA in labels
        assert "--label-values is not for them" in " ".join(scan.warnings)
    assert [s.image.name for s in sources.find(str(tmp_path), labelled=False).scans] == ["ct.nii.gz"] * 2
    save(tmp_path / "s0001" / "segmentations" / "heart_atrium_left.nii.gz", truth[1:])
    (scan, _), _ = looked_at(tmp_path).values()
    assert "heart_atrium_left.nii.gz has" in scan.problems[0] and "resample" in scan.problems[0]


@pytest.mark.parametrize(
    ("inside", "around", "said"), [(2, 1, "more than 0 and one other value"), (1, 1, "no voxel of it is 0")]
)
def test_a_mask_without_a_background_is_not_the_whole_scan(tmp_path, truth, inside, around, said):
    masks = {"heart_ventricle_left": truth == LV, "heart_myocardium": truth == MYO}
    totalsegmentator(tmp_path, truth, masks)
    mask = np.where(truth == LV, inside, around).astype(np.uint8)
    file = save(tmp_path / "s0001" / "segmentations" / "heart_ventricle_left.nii.gz", mask)
    (scan, labels), (other, _) = looked_at(tmp_path).values()
    assert labels is None and f"{file} is no mask: " in scan.problems[0] and said in scan.problems[0]
    assert not other.problems


def save_with_table(path: Path, labels: np.ndarray, names: tuple[str, ...]) -> None:
    """A label map whose header names its values, from 1."""
    table = "".join(
        f'<Label Key="{n}" Red="1" Alpha="1"><![CDATA[{name}]]></Label>\n' for n, name in enumerate(names, 1)
    )
    image = nibabel.Nifti1Image(labels.transpose(2, 1, 0), np.diag([-6.0, -6.0, 6.0, 1.0]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, f"<LabelTable>{table}</LabelTable>".encode()))
    nibabel.save(image, path)


def test_totalsegmentators_one_file_is_read_by_the_names_in_its_header(tmp_path, truth):
    names = ("heart_myocardium", "heart_atrium_left", "heart_ventricle_left", "heart_atrium_right", "heart_ventricle_right",
             "aorta", "pulmonary_artery", "liver")  # fmt: skip
    values = {str(n): label for n, label in enumerate((MYO, LA, LV, RA, RV, AA, PA), 1)}
    save(tmp_path / "a.nii.gz", grey(truth))
    save_with_table(tmp_path / "a_seg.nii.gz", numbered(truth, values), names)
    ((scan, labels),) = looked_at(tmp_path).values()
    assert not scan.problems and np.array_equal(labels, np.where(truth == AA, UNKNOWN, truth))
    save(tmp_path / "a_seg.nii.gz", numbered(truth, values))
    ((scan, labels),) = looked_at(tmp_path, label_values=parse("totalsegmentator")).values()
    assert not scan.problems and np.array_equal(labels, np.where(truth == AA, UNKNOWN, truth))


@pytest.mark.parametrize(
    "name", ["LV endocardium", "LVendo", "rv_epi", "left ventricular cavity, trabeculated", "LA wall"]
)
def test_a_name_in_a_header_that_may_be_of_the_heart_is_no_background(tmp_path, truth, name):
    save(tmp_path / "a.nii.gz", grey(truth))
    save_with_table(tmp_path / "a_seg.nii.gz", numbered(truth, {"1": MYO, "2": LV}), ("LV myocardium", name))
    ((scan, labels),) = looked_at(tmp_path).values()
    assert labels is None and f"calls the value 2 {name!r}" in scan.problems[0]
    assert "add --label-values 1=1,2=? with" in scan.problems[0]


def test_masks_without_a_chamber_of_the_heart_are_explained(tmp_path, truth):
    totalsegmentator(tmp_path, truth, {"heart": truth > 0, "aorta": truth == AA, "spleen": truth < 0})
    for scan, _ in looked_at(tmp_path).values():
        assert "holds masks, but none of a chamber" in scan.problems[0] and "heartchambers_highres" in scan.problems[0]


def test_mm_whs_is_read_by_its_values_and_converted_copies_by_theirs(tmp_path, truth):
    whole = {value: label for value, label in MMWHS.items() if value != "421"}
    for n, values in (("1001", whole), ("1002", {str(v): v for v in range(1, 8)})):
        save(tmp_path / f"ct_train_{n}_image.nii.gz", grey(truth, int(n)))
        save(tmp_path / f"ct_train_{n}_label.nii.gz", numbered(truth, values))
    for scan, labels in looked_at(tmp_path).values():
        assert not scan.problems and np.array_equal(labels, truth)


@pytest.mark.parametrize("name", ["acdc", "mms"])
def test_renamed_maps_whose_muscle_is_no_muscle_are_refused_with_what_to_do(tmp_path, truth, name):
    save(tmp_path / "a.nii.gz", grey(truth))
    save(tmp_path / "a_label.nii.gz", numbered(truth, VALUES[name]))
    ((scan, labels),) = looked_at(tmp_path).values()
    assert labels is None and "as only the muscle of the left ventricle" in scan.problems[0]
    ((scan, labels),) = looked_at(tmp_path, label_values=parse(name)).values()
    assert not scan.problems and np.array_equal(labels, only(truth, MYO, LV, RV))


def test_a_map_called_like_acdcs_with_the_classes_here_is_refused(tmp_path, truth):
    save(tmp_path / "patient001_frame01.nii.gz", grey(truth))
    save(tmp_path / "patient001_frame01_gt.nii.gz", only(truth, MYO, LA, LV))
    ((scan, _),) = looked_at(tmp_path).values()
    assert "read as ACDC has them" in scan.problems[0] and "--label-values" in scan.problems[0]
    ((scan, labels),) = looked_at(tmp_path, label_values=parse("1=1,2=2,3=3")).values()
    assert not scan.problems and np.array_equal(labels, only(truth, MYO, LA, LV))


def test_what_lies_around_the_left_ventricle_is_its_muscle_in_every_part_of_a_map(truth):
    spacing = (6.0, 6.0, 6.0)
    for kept in ((MYO, LV), (MYO, LA, LV), (MYO, LV, RV), (LA, AA), (RV, RA, PA), (LV,), tuple(range(1, 8))):
        assert wall(only(truth, *kept), spacing) is None, kept
    assert wall(np.array([0, 2, 0, 1, 0, 0, 0, 0])[truth], spacing) == (2, 1)


def test_masks_are_told_from_maps_of_cases_and_masks_of_masks(tmp_path, truth):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.nii.gz", grey(truth, ord(name)))
        save(tmp_path / "labels" / f"{name}.nii.gz", truth)
    assert all(not scan.problems for scan, _ in looked_at(tmp_path).values())
    for name in ("LV", "MYO"):
        save(tmp_path / "case" / f"{name}.nii.gz", truth)
        save(tmp_path / "one" / "masks" / f"{name}.nii.gz", truth)
    save(tmp_path / "one" / "scan.nii.gz", grey(truth, 7))
    ((scan, _),) = looked_at(tmp_path / "one").values()
    assert "is no mask: it holds more than 0 and one other value" in scan.problems[0]


def test_what_is_packed_for_another_computer_means_the_same_there_and_names_nobody(tmp_path, truth):
    acdc(tmp_path / "acdc", truth)
    made = presets.configuration("compact", str(tmp_path / "acdc"), "phantom")
    drain(pack._copied(made, "source", tmp_path))
    text = (tmp_path / "source.json").read_text()
    assert [entry["heart"] for entry in json.loads(text)] == ["0001", "0001", "0002", "0002"] and "patient" not in text
    for n, moved in enumerate((1, 0) * 2, 1):
        labels = reading.read(tmp_path / "source" / f"{n:04d}-labels.nrrd").array
        assert np.array_equal(labels, only(np.roll(truth, moved, 1), MYO, LV, RV))


def test_what_is_packed_with_label_values_means_them_there(tmp_path, truth):
    named = {"atrium_right": RA, "atrium_left": LA, "ventricle_left": LV}
    totalsegmentator(tmp_path / "data", truth, {f"heart_{n}": truth == v for n, v in named.items()})
    save(tmp_path / "data" / "s0003" / "ct.nii.gz", grey(truth, 3))
    save(tmp_path / "data" / "s0003" / "label.nii.gz", numbered(truth, {"4": RA, "2": LA, "3": LV}))
    made = presets.configuration("compact", str(tmp_path / "data"), "phantom")
    given = replace(made, data=replace(made.data, label_values=parse("totalsegmentator")))
    drain(pack.steps({"configuration": new_run_file(given).to_json(), "place": str(tmp_path / "packed")}, tmp_path))
    there = json.loads((tmp_path / "packed" / "configuration.json").read_text())["configuration"]["data"][
        "label_values"
    ]
    for scan, labels in looked_at(tmp_path / "packed" / "source.json", classes=5, label_values=there).values():
        assert not scan.problems and np.array_equal(labels, only(truth, LA, LV))
