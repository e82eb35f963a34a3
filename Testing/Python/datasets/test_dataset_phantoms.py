"""Phantoms are a source and a target that everybody can make: other persons in both, exact labels, any contrast."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from SIFALib.datasets import DataSettings, batch, phantoms, prepared
from SIFALib.support.errors import DataError, RecordError
from training_data import PREPROCESSING

SETTINGS = DataSettings(
    source="phantom:mr", target="phantom:ct", phantoms=2, phantom_spacing_mm=6.0, size=32, preprocessing=PREPROCESSING
)


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    return prepared(SETTINGS, tmp_path_factory.mktemp("cache"))


def test_scans_of_phantoms_are_cut_like_patients(domains):
    assert domains.source.names[0].startswith("phantom-mr-") and len(domains.source.names) == 1
    assert domains.source.labels is not None
    assert {0, 1, 2, 3, 4} <= set(np.unique(domains.source.labels[:]))
    assert domains.source.coarse.any() and not domains.source.coarse.all()


def test_a_target_of_phantoms_hides_its_labels(domains):
    assert domains.target.labels is None and domains.target_validation.labels is None
    assert batch(domains, SETTINGS, 0, 0, 4).target_labels is None


def test_source_and_target_are_different_persons_whom_no_judge_meets():
    many = DataSettings(source="phantom:mr", target="phantom:ct", phantoms=400)
    source, target = (set(phantoms.seeds(many, domain)) for domain in ("source", "target"))
    assert not source & target and max(source | target) < 1000  # `sifa phantom` begins there


def test_both_modalities_of_one_person_differ_in_grey_values_alone():
    a, b = (phantoms.slices_of(kind, 3, SETTINGS, "source") for kind in ("phantom:mr", "phantom:ct"))
    assert np.array_equal(a.labels, b.labels) and not np.array_equal(a.images, b.images)


def test_random_slices_come_with_labels_and_are_the_same_every_time(monkeypatch):
    monkeypatch.setattr(phantoms, "RANDOM_SLICES", 24)
    monkeypatch.setattr(phantoms, "RANDOM_SPACING_MM", 5.0)
    chosen = DataSettings(source="phantom", target="phantom:ct", phantoms=1, size=32, preprocessing=PREPROCESSING,
                          phantom_spacing_mm=6.0)  # fmt: skip
    a, b = (phantoms.slices_of("phantom", 5, chosen, "source") for _ in range(2))
    assert np.array_equal(a.images, b.images) and a.labels is not None and np.array_equal(a.labels, b.labels)
    assert len(a.images) == 24 and a.images.shape[1] == 40
    assert np.abs(a.images).max() <= 1 and set(np.unique(a.labels)) == {0, 1, 2, 3, 4}


def test_scans_that_are_no_images_are_refused_before_a_phantom_is_made(tmp_path, monkeypatch):
    def not_yet(*_: object) -> None:
        raise AssertionError("a phantom was made first")

    monkeypatch.setattr(phantoms, "slices_of", not_yet)
    (tmp_path / "scans").mkdir()
    for name in ("one", "two"):
        (tmp_path / "scans" / f"{name}.nii.gz").write_text("no image")
    settings = replace(SETTINGS, target=str(tmp_path / "scans"))
    with pytest.raises(DataError, match=r"one(.|\n)*two"):
        prepared(settings, tmp_path / "cache")


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"size": 100}, "size is 100"),
        ({"source": " "}, "source is ''"),
        ({"coarse_share": 1.5}, "coarse_share is 1.5"),
        ({"validation_share": 0.9}, "validation_share"),
        ({"phantoms": 0}, "phantoms is 0"),
        ({"label_values": {"LV": 1}}, "label_values.LV"),
        ({"source_normalisation": "zscore"}, "must be card, sifa_mr"),
        ({"exclude": ("s1",)}, "source:NAME"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong, says):
    with pytest.raises(RecordError, match=says):
        DataSettings(**{"source": "a", "target": "b", **wrong})


def test_settings_and_checks_need_no_torch():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3] / 'SIFASegmentation')!r})\n"
        "from SIFALib.datasets import DataSettings, checks, label_values, released, scans, sources\n"
        "import SIFALib.cli.check_data\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
