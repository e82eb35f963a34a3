"""The built-in contours: small real scans, half of a batch's source slices, of which only what was outlined is taught."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from SIFALib.datasets import DataSettings, batch, phantoms, prepared
from SIFALib.datasets import settings as data_settings
from SIFALib.models import store
from SIFALib.models.card import BUILT_IN_SOURCES
from SIFALib.networks.arrays import to_numpy
from SIFALib.runs import presets
from SIFALib.support.errors import RecordError, RunError
from training_data import PREPROCESSING

MODELS = Path(data_settings.__file__).parents[2] / "Resources" / "Models"
SETTINGS = DataSettings(
    source=data_settings.CONTOURED, target="phantom:ct", phantoms=1, phantom_spacing_mm=6.0, size=32, coarse_share=0.0,
    preprocessing=PREPROCESSING,
)  # fmt: skip


@pytest.fixture(scope="module")
def domains(tmp_path_factory):
    """Of one heart's contours, and of few slices of phantoms."""
    folder = tmp_path_factory.mktemp("contours")
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
        for phase in ("ed", "es"):
            name = f"heart-01-{phase}.nii.gz"
            shutil.copyfile(data_settings.CONTOURS / kind / name, folder / kind / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data_settings, "CONTOURS", folder)
        patch.setattr(phantoms, "RANDOM_SLICES", 12)
        patch.setattr(phantoms, "RANDOM_SPACING_MM", 5.0)
        return prepared(SETTINGS, tmp_path_factory.mktemp("cache"))


def test_every_shipped_scan_has_its_contours_on_its_own_small_grid():
    images = sorted((data_settings.CONTOURS / "images").iterdir())
    assert len(images) == 22
    for path in images:
        image, labels = (sitk.ReadImage(str(p)) for p in (path, data_settings.CONTOURS / "labels" / path.name))
        assert image.GetSize() == labels.GetSize() and image.GetOrigin() == labels.GetOrigin()
        assert image.GetDirection() == labels.GetDirection() and image.GetPixelID() == sitk.sitkUInt8
        assert image.GetSpacing()[:2] == pytest.approx((1.4, 1.4)) and max(image.GetSize()) < 130
        values = set(np.unique(sitk.GetArrayViewFromImage(labels)).tolist())
        assert values == ({0, 1, 3} if path.name.endswith("-ed.nii.gz") else {0, 3})


def test_every_second_slice_of_the_source_is_outlined_and_knows_only_that(domains):
    made = batch(domains, SETTINGS, 5, 4, 6)
    known, labels = to_numpy(made.source_known), to_numpy(made.source_labels)
    assert known[::2].all()
    for row, own in zip(known[1::2], labels[1::2], strict=True):
        assert set(np.flatnonzero(row)) in ({0, 1, 3}, {0, 3}) and set(np.unique(own)) <= set(np.flatnonzero(row))
    assert len({images.tobytes() for images in to_numpy(made.source)}) == 6


def test_batches_of_one_see_both_by_turns(domains):
    known = [to_numpy(batch(domains, SETTINGS, 5, iteration, 1).source_known)[0].all() for iteration in range(4)]
    assert known == [True, False, True, False]


def test_processes_share_the_batch_that_one_would_have(domains):
    whole = batch(domains, SETTINGS, 5, 3, 6)
    for field in ("source", "source_labels", "source_known", "target"):
        shares = [to_numpy(getattr(batch(domains, SETTINGS, 5, 3, 6, rank, 2), field)) for rank in (0, 1)]
        assert np.array_equal(np.concatenate(shares), to_numpy(getattr(whole, field)))


def test_contours_judge_nothing_and_are_part_of_what_a_run_depends_on(domains):
    own = (*domains.source.names, *domains.source_validation.names)
    assert domains.contours.names == ("heart-01-ed", "heart-01-es") and not set(own) & set(domains.contours.names)
    assert {"contours:heart-01-ed", "contours:heart-01-es"} <= set(domains.manifest)


def test_they_are_no_target_and_no_pretraining():
    with pytest.raises(RecordError, match="scans to adapt to"):
        replace(SETTINGS, target=data_settings.CONTOURED)
    with pytest.raises(RunError, match="makes its own phantoms"):
        presets.configuration("pretraining", data_settings.CONTOURED, "phantom")


def test_a_model_is_adapted_beside_what_it_has_learned_from_unless_a_source_is_named():
    assert set(BUILT_IN_SOURCES) <= set(data_settings.PHANTOMS)
    heart, plain = (store.read_package(MODELS / name).card for name in ("heart-1.1.0", "heart-phantom-1.1.0"))
    assert presets.adaptation("", "somewhere", heart).data.source == data_settings.CONTOURED
    assert presets.adaptation("", "somewhere", plain).data.source == "phantom"
    assert presets.adaptation("phantom", "somewhere", heart).data.source == "phantom"
