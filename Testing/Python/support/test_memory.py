"""Memory that will not suffice is told before it is taken, with the numbers: of the computer, a container, or a limit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
from SIFALib import imaging
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference import Options, segmentation
from SIFALib.models.structures import STRUCTURES
from SIFALib.support import memory
from SIFALib.support.errors import OUT_OF_MEMORY, MemoryShort, VolumeError

GIB = 1024**3


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """A computer with 8 GiB free and 4 GiB of swap, without control groups or limits."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * GIB))
    monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=4 * GIB))
    monkeypatch.setattr(memory, "_OWN", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_of_limit", lambda taken: [])
    return tmp_path


def test_what_is_free_is_told_with_and_without_swap(alone):
    assert memory.free_memory() == 8 * GIB and memory.free_memory(swap=True) == 12 * GIB
    assert memory.suffices(11 * GIB) and not memory.suffices(13 * GIB)


@pytest.mark.parametrize(
    "line, folder, limit, used, stat",
    [
        ("0::/job", "job", "memory.max", "memory.current", "inactive_file"),
        ("0::/job/step", "job", "memory.max", "memory.current", "inactive_file"),
        ("4:cpu,memory:/job", "memory/job", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ],
    ids=["version 2", "the group above", "version 1"],
)
def test_the_limit_of_a_container_or_job_counts(alone, line, folder, limit, used, stat):
    (alone / "cgroup").write_text(f"{line}\n")
    place = alone / "groups" / folder
    place.mkdir(parents=True)
    (place / limit).write_text(f"{3 * GIB}\n")
    (place / used).write_text(f"{2 * GIB}\n")
    (place / "memory.stat").write_text(f"anon 1\n{stat} {GIB // 2}\n")
    assert memory.free_memory(swap=True) == 3 * GIB // 2
    (place / limit).write_text("max\n")
    assert memory.free_memory(swap=True) == 12 * GIB


def test_the_limit_of_the_process_counts(alone, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.undo()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (5 * GIB, 5 * GIB))
    assert memory._of_limit(2 * GIB) == [3 * GIB]


def test_what_will_not_suffice_is_a_sentence_with_numbers_and_advice(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda swap=False: int(1.2e9))
    memory.insist(1.1e9, "Segmenting x", "crop it")
    with pytest.raises(MemoryShort) as short:
        memory.insist(3.1e9, "Segmenting x", "crop it")
    assert str(short.value) == (
        "Segmenting x needs about 3.1 GB of memory, of which 1.2 GB are free. Close other programs, or crop it."
    )
    assert isinstance(short.value, MemoryError) and short.value.code == OUT_OF_MEMORY


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "x.nrrd", "x.mha"])
def test_a_file_that_does_not_fit_is_refused_before_its_voxels_are_read(tmp_path, monkeypatch, name):
    image = sitk.GetImageFromArray(np.arange(24**3, dtype=np.int16).reshape(24, 24, 24))
    sitk.WriteImage(image, str(tmp_path / name))
    monkeypatch.setattr(memory, "ALWAYS", 0)
    monkeypatch.setattr(memory, "free_memory", lambda swap=False: 10**9)
    assert imaging.read(tmp_path / name).array.shape == (24, 24, 24)
    monkeypatch.setattr(memory, "free_memory", lambda swap=False: 20_000)
    with pytest.raises(VolumeError, match=r"\(24, 24, 24\) voxels, for which memory does not suffice"):
        imaging.read(tmp_path / name)


def test_a_segmentation_that_does_not_fit_is_refused_before_the_network_runs(monkeypatch):
    volume = Volume(
        np.random.default_rng(0).normal(0, 9, (64,) * 3), Geometry((64,) * 3, (0.0,) * 3, (2.0,) * 3), "big"
    )
    maps = Options(keep_probabilities=True, uncertainty=True)
    assert segmentation.needed(volume, maps, 7) == 64**3 * (2 + 6 * 8) > segmentation.needed(volume, Options(), 7)
    monkeypatch.setattr(memory, "ALWAYS", 0)
    monkeypatch.setattr(memory, "free_memory", lambda swap=False: 1_000_000)
    card = SimpleNamespace(labels=STRUCTURES)
    with pytest.raises(MemoryShort, match="Segmenting big needs about 13 MB of memory, of which 1 MB are free"):
        next(segmentation.segment_steps(volume, None, card, maps))
