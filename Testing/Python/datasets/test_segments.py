"""Segmentations of 3D Slicer as training labels: what a segment is called counts, and never its value."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.datasets.scans import Scan, examine
from SIFALib.imaging import seg_nrrd, segments
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.models.structures import PAPERS, STRUCTURES
from SIFALib.support.errors import VolumeError
from training_data import SPACING, settings, toy, write

GREY, LABELS = toy(0)
GRID = Geometry(LABELS.shape[::-1], (0.0, 0.0, 0.0), SPACING)


def header(*named: tuple[str, int, int], tags: str = "") -> dict[str, str]:
    """Fields of segments (name, value, layer)."""
    return {
        f"Segment{n}_{key}": text
        for n, (name, value, layer) in enumerate(named)
        for key, text in (("ID", f"Segment_{n + 1}"), ("Name", name), ("LabelValue", str(value)),
                          ("Layer", str(layer)), ("Color", "1 0 0"), ("Tags", tags))
    }  # fmt: skip


def save(path, array: np.ndarray, fields: dict[str, str]):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    for key, text in fields.items():
        image.SetMetaData(key, text)
    sitk.WriteImage(image, str(path))
    return path


def looked_at(tmp_path, label, **more):
    image = write(tmp_path / "x.nrrd", GREY)
    return examine(Scan("x", image, label), "source", settings(tmp_path, **more))


def test_names_count_and_not_values(tmp_path):
    names = [("Left ventricle", 1, 0), ("LV myocardium", 2, 0), ("left atrial cavity", 3, 0), ("Ascending Aorta", 4, 0)]
    path = save(tmp_path / "x.seg.nrrd", LABELS, header(*names))
    scan, _, labels = looked_at(tmp_path, path)
    assert not scan.problems
    wanted = np.array([0, 3, 1, 2, 4], np.uint8)[LABELS]
    assert np.array_equal(labels.array, wanted)
    _, _, by_value = looked_at(tmp_path, path, label_values={"1": 1, "2": 2, "3": 3, "4": 4})
    assert np.array_equal(by_value.array, LABELS)  # who says what the values are is believed


def test_terminology_counts_where_the_name_says_nothing(tmp_path):
    atrium = PAPERS[1].tags()["TerminologyEntry"]
    fields = header(("Segment_1", 1, 0), tags=f"TerminologyEntry:{atrium}|")
    path = save(tmp_path / "x.seg.nrrd", (LABELS == 3).astype(np.uint8), fields)
    assert np.array_equal(segments.read_segments(path).labels.array, np.where(LABELS == 3, 2, 0))
    path = save(tmp_path / "y.seg.nrrd", LABELS, {**fields, "Segment0_Name": "Right ventricle"})
    with pytest.raises(VolumeError, match="'Right ventricle' is coded as Left atrium"):
        segments.read_segments(path)


def test_what_is_written_here_is_read_as_what_it_was(tmp_path):
    seven = np.random.default_rng(0).integers(0, 8, LABELS.shape).astype(np.uint8)
    seg_nrrd.write_seg_nrrd(Volume(seven, GRID), tmp_path / "x.seg.nrrd", STRUCTURES)
    assert np.array_equal(segments.read_segments(tmp_path / "x.seg.nrrd").labels.array, seven)


def test_layers_are_read_and_an_overlap_is_told(tmp_path):
    layers = np.stack([LABELS >= 1, LABELS >= 3], axis=-1).astype(np.uint8)
    image = sitk.GetImageFromArray(layers, isVector=True)
    image.SetSpacing(SPACING)
    for key, text in header(("Myocardium", 1, 0), ("LV", 1, 1)).items():
        image.SetMetaData(key, text)
    sitk.WriteImage(image, str(tmp_path / "x.seg.nrrd"))
    text = (tmp_path / "x.seg.nrrd").read_bytes()
    (tmp_path / "x.seg.nrrd").write_bytes(text.replace(b"kinds: vector", b"kinds: list", 1))
    scan, _, labels = looked_at(tmp_path, tmp_path / "x.seg.nrrd")
    assert not scan.problems and any("overlap in" in warning for warning in scan.warnings)
    assert np.array_equal(labels.array, np.where(LABELS >= 3, 3, np.where(LABELS >= 1, 1, 0)))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([("Segment_1", 1, 0)], "its segment 'Segment_1' is none of Left ventricular myocardium"),
        ([("Aorta", 1, 0)], "its segment 'Aorta' is none of"),
        ([("Left ventricle", 1, 0)], "voxels of the value 2, which is no segment's"),
        ([("Left ventricle", 1, 3)], "lies in layer 3, of 1"),
    ],
)
def test_a_segment_that_nobody_knows_is_refused_by_name(tmp_path, names, said):
    scan, image, _ = looked_at(tmp_path, save(tmp_path / "x.seg.nrrd", LABELS, header(*names)))
    assert image is None and said in scan.problems[0]


def test_a_segment_without_voxels_may_be_called_anything(tmp_path):
    path = save(
        tmp_path / "x.seg.nrrd", np.where(LABELS == 3, 1, 0).astype(np.uint8), header(("LV", 1, 0), ("?", 2, 0))
    )
    assert np.array_equal(segments.read_segments(path).labels.array, np.where(LABELS == 3, 3, 0))


@pytest.mark.parametrize(
    ("text", "structure"),
    [
        ("heart_ventricle_left", "LV"), ("Left Ventricle Blood Pool", "LV"), ("LV-Myo", "MYO"), ("pulmonary trunk", "PA"),
        ("right ventricle myocardium", None), ("Left lung", None), ("", None), ("ventricle", None), ("lv 2", None),
    ],
)  # fmt: skip
def test_what_structures_are_called(text, structure):
    found = segments.named(text)
    assert (found.id if found else None) == structure
