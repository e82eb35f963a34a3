"""Slices on disk are whole, are those of the files and the settings at hand, and outlive whatever kills the process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import training_data
from SIFALib.datasets import Augmentation, Domains, Locator, Place, batch, cache, differences, prepare, prepared
from SIFALib.datasets.planes import OnDisk, Stack
from SIFALib.support.errors import DataError
from training_data import PREPROCESSING, settings, source, target, toy, write

HERE = Path(__file__).parent


def entries(folder: Path) -> dict[str, float]:
    """Names of the entries of a cache and when their arrays were written."""
    return {p.parent.name: p.stat().st_mtime_ns for p in folder.glob("*/images.npy")}


def everything(domains: Domains) -> list[np.ndarray]:
    parts = (domains.source, domains.source_validation, domains.target, domains.target_validation)
    return [np.asarray(p.images) for p in parts] + [np.asarray(p.labels) for p in parts[:2]]


def same(a: Domains, b: Domains) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(everything(a), everything(b), strict=True))


def test_slices_are_cut_once_and_then_read(tmp_path):
    first = training_data.domains(tmp_path)
    before = entries(tmp_path / "cache")
    again = prepared(settings(tmp_path), tmp_path / "cache")
    assert len(before) == 5 and entries(tmp_path / "cache") == before
    assert same(first, again) and first.fingerprint == again.fingerprint
    assert isinstance(first.source.images.parts[0], OnDisk)


@pytest.mark.parametrize(
    "change",
    [
        {"size": 48},
        {"preprocessing": replace(PREPROCESSING, spacing_mm=2.5)},
        {"preprocessing": replace(PREPROCESSING, percentiles=(2.0, 98.0))},
        {"source_normalisation": "sifa_mr", "target_normalisation": "sifa_mr"},
        {"classes": 6},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_changes_the_slices_makes_them_anew(tmp_path, change):
    before = training_data.domains(tmp_path)
    known = entries(tmp_path / "cache")
    after = prepared(settings(tmp_path, **change), tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 2 * len(known)
    assert after.fingerprint != before.fingerprint


def test_what_does_not_change_the_slices_leaves_them(tmp_path):
    before = training_data.domains(tmp_path)
    known = entries(tmp_path / "cache")
    other = settings(tmp_path, augmentation=Augmentation(rotation_deg=1.0), coarse_share=0.5)
    assert prepared(other, tmp_path / "cache").fingerprint == before.fingerprint
    assert entries(tmp_path / "cache") == known


def test_another_content_of_a_file_makes_its_slices_anew_and_no_others(tmp_path):
    before = training_data.domains(tmp_path)
    known = entries(tmp_path / "cache")
    write(tmp_path / "source" / "s1.nii.gz", toy(77)[0])
    after = prepared(settings(tmp_path), tmp_path / "cache")
    assert len(entries(tmp_path / "cache").keys() - known.keys()) == 1
    assert differences(before.manifest, after.manifest) == ("source:s1 has changed",)
    os.remove(tmp_path / "target" / "t100.nrrd")
    target(tmp_path / "target", 1, 102)
    after = prepared(settings(tmp_path), tmp_path / "cache")
    assert differences(before.manifest, after.manifest) == (
        "source:s1 has changed", "target:t100 is gone", "target:t102 is new",
    )  # fmt: skip


def test_masks_that_change_their_names_are_another_label_map(tmp_path):
    one, other = tmp_path / "heart_atrium_left.nii.gz", tmp_path / "heart_atrium_right.nii.gz"
    one.write_bytes(b"a")
    other.write_bytes(b"b")
    before = cache.Hashes(tmp_path / "cache").of_labels(tmp_path)
    assert cache.Hashes(tmp_path / "cache").of_labels(tmp_path) == before
    one.rename(tmp_path / "aorta.nii.gz")
    assert cache.Hashes(tmp_path / "cache").of_labels(tmp_path) != before


def test_other_label_values_or_another_locator_make_slices_anew(tmp_path):
    training_data.domains(tmp_path)
    known = entries(tmp_path / "cache")
    swapped = settings(tmp_path, label_values={"1": 2, "2": 1, "3": 3, "4": 4})
    labels = np.asarray(prepared(swapped, tmp_path / "cache").source.labels)
    assert len(entries(tmp_path / "cache")) == len(known) + 3 and {1, 2, 3, 4} <= set(np.unique(labels))
    box = np.array([[10.0, 10.0, 2.0], [30.0, 30.0, 9.0]])
    found = prepared(settings(tmp_path), tmp_path / "cache", Locator("a", lambda volume: Place(box)))
    assert len(entries(tmp_path / "cache")) == len(known) + 5
    everywhere = prepared(settings(tmp_path), tmp_path / "cache")
    assert (~found.target.coarse).sum() < (~everywhere.target.coarse).sum()


def test_scans_without_a_heart_are_left_out_and_named_also_when_they_come_from_the_cache(tmp_path):
    box = np.array([[10.0, 10.0, 2.0], [30.0, 30.0, 9.0]])
    everywhere = training_data.domains(tmp_path)
    wanted = {*everywhere.target.names, *everywhere.target_validation.names}
    lost = min(wanted)
    some = Locator("some", lambda volume: None if volume.name == lost else Place(box))
    for _ in ("cut", "kept"):
        found = prepared(settings(tmp_path), tmp_path / "cache", some)
        assert {*found.target.names, *found.target_validation.names} == wanted - {lost}
        assert f"target:{lost}" not in found.manifest
        assert f"target:{lost}: the start model finds no heart in it; it is left out." in found.notes
    for info in (tmp_path / "cache").glob("*/info.json"):  # as an earlier version wrote them
        known = json.loads(info.read_text())
        if known["info"].pop("left_out", None) is not None:
            info.write_text(json.dumps(known))
    assert prepared(settings(tmp_path), tmp_path / "cache", some).manifest == found.manifest
    with pytest.raises(DataError, match=r"finds a heart in none of the \d+ scans of .*target.*check-data --target"):
        prepared(settings(tmp_path), tmp_path / "cache", Locator("none", lambda volume: None))


def test_other_hearts_that_a_list_says_are_other_data_for_they_choose_who_judges(tmp_path):
    source(tmp_path / "source")
    scans = sorted(target(tmp_path / "target", 4).iterdir())
    place = tmp_path / "list.json"
    found = []
    for hearts in ("aabb", "aabb", "abab", ("", "", "", "")):
        entries_ = [{"image": str(scan), "heart": heart} for scan, heart in zip(scans, hearts, strict=True)]
        place.write_text(json.dumps(entries_))
        found.append(prepared(settings(tmp_path, target=str(place)), tmp_path / "cache"))
    assert found[0].fingerprint == found[1].fingerprint
    assert len({each.fingerprint for each in found}) == 3
    assert all(len(each.target_validation.names) == 2 for each in found[:3])


def test_voxels_beside_a_header_are_a_part_of_the_scan(tmp_path):
    source(tmp_path / "source")
    scans = [write(tmp_path / "target" / heart / "scan.mhd", toy(n)[0]) for n, heart in enumerate("abc", start=100)]
    before = prepared(settings(tmp_path), tmp_path / "cache")
    assert len(before.target_validation.names) == 1 and len(set(before.hearts.values())) == 3
    scans[0].with_suffix(".raw").write_bytes(toy(77)[0].tobytes())
    after = prepared(settings(tmp_path), tmp_path / "cache")
    assert differences(before.manifest, after.manifest) == ("target:a has changed",)


def test_series_in_folders_below_other_files_are_a_part_of_the_scan(tmp_path):
    (tmp_path / "disc" / "series").mkdir(parents=True)
    (tmp_path / "disc" / "DICOMDIR").write_bytes(b"index")
    (tmp_path / "disc" / "series" / "1").write_bytes(b"slice")
    before = cache.Hashes(tmp_path / "cache").of(tmp_path / "disc")
    (tmp_path / "disc" / "series" / "1").write_bytes(b"other")
    assert cache.Hashes(tmp_path / "cache").of(tmp_path / "disc") != before


def test_another_file_of_the_same_name_size_and_time_is_another_scan(tmp_path):
    source(tmp_path / "source")
    scans = [write(tmp_path / "target" / f"t{n}.nii", toy(n)[0]) for n in (100, 101)]
    os.utime(scans[0], (1, 1))
    before = prepared(settings(tmp_path), tmp_path / "cache")
    other = write(tmp_path / "other.nii", toy(77)[0])
    os.utime(other, (1, 1))
    shutil.copy2(other, scans[0])
    after = prepared(settings(tmp_path), tmp_path / "cache")
    assert differences(before.manifest, after.manifest) == ("target:t100 has changed",)


def test_a_file_that_was_only_touched_keeps_its_slices(tmp_path):
    training_data.domains(tmp_path)
    known = entries(tmp_path / "cache")
    os.utime(tmp_path / "source" / "s0.nii.gz", (1, 1))
    prepared(settings(tmp_path), tmp_path / "cache")
    assert entries(tmp_path / "cache") == known


@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone", "info", "info gone", "no json"])
def test_a_damaged_entry_is_made_anew(tmp_path, harm):
    whole = training_data.domains(tmp_path)
    expected = everything(whole)
    victim = min((tmp_path / "cache").glob("*/images.npy"))
    info = victim.parent / "info.json"
    if harm == "flip":
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif harm == "cut":
        victim.write_bytes(victim.read_bytes()[:-100])
    elif harm == "empty":
        victim.write_bytes(b"")
    elif harm == "gone":
        victim.unlink()
    elif harm == "info":
        info.write_text(json.dumps({"sums": {}}))
    elif harm == "info gone":
        info.unlink()
    else:
        info.write_text("{")
    again = prepared(settings(tmp_path), tmp_path / "cache")
    assert all(np.array_equal(x, y) for x, y in zip(everything(again), expected, strict=True))


WRITER = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
import numpy as np
from SIFALib.datasets import DataError, cache
{before}
print("ready", flush=True)
try:
    for n in range({count}):
        array = np.full((400, 32, 32), n, np.float32)
        cache.write(Path({folder!r}), cache.key_of(dict(n=n)), dict(images=array), dict(n=n))
except DataError as error:
    print(error)
"""


def writer(folder: Path, count: int, before: str = "") -> subprocess.Popen:
    """A process that writes entries and is past its imports."""
    path = [str(HERE.parents[2] / "SIFASegmentation")]
    code = WRITER.format(path=path, folder=str(folder), count=count, before=before)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("wait", [0.0, 0.01, 0.03, 0.07, 0.15])
def test_a_cache_whose_writing_was_killed_holds_whole_entries_only(tmp_path, wait):
    process = writer(tmp_path, 100_000)
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for folder in tmp_path.glob("[0-9a-f]*"):  # what has its final name is complete
        entry = cache.read(tmp_path, folder.name)
        assert entry is not None
        arrays, info = entry
        assert (np.asarray(arrays["images"]) == info["n"]).all() and arrays["images"].shape == (400, 32, 32)


def test_what_killed_processes_left_is_swept_away_when_it_is_old(tmp_path):
    old, new, text = (tmp_path / "cache" / f".{name}.tmp" for name in ("old", "new", "text"))
    for leftover in (old, new):
        leftover.mkdir(parents=True)
    text.write_text("{")
    for leftover in (old, text):
        os.utime(leftover, (0, 0))
    training_data.domains(tmp_path)
    assert not old.exists() and not text.exists() and new.exists()


MANY = """
import os, resource, sys
sys.path[:0] = {path!r}
from pathlib import Path
import numpy as np
from SIFALib.datasets import DataError, cache, planes
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
names = ("images", "labels", "position", "coarse", "volume", "spacing_mm")
folder = Path({folder!r})
kept = [
    cache.write(folder, f"{{n:03}}", {{name: np.full((2, 8, 8), n) for name in names}}, {{}}) for n in range(200)
]
stack = planes.Stack.of([arrays["images"] for arrays, _ in kept])
print(all((stack[2 * n] == n).all() for n in range(200)))
held = []
try:
    while True:
        held.append(open(os.devnull))
except OSError:
    pass
for look in (lambda: cache.read(folder, "007"), lambda: stack[0]):
    try:
        look()
    except DataError as error:
        print(error)
"""


def test_more_scans_are_trained_on_than_files_may_be_open_and_too_many_open_files_delete_none(tmp_path):
    path = [str(HERE.parents[2] / "SIFASegmentation")]
    code = MANY.format(path=path, folder=str(tmp_path))
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    right, *errors = said.splitlines()
    assert right == "True"
    assert len(errors) == 2 and all("Too many open files" in error for error in errors)
    assert all(cache.read(tmp_path, f"{n:03}") for n in range(200))


def test_a_cache_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(DataError, match="file for prepared slices cannot be made"):
        prepared(settings(tmp_path), tmp_path / "file")


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing_half_made(tmp_path):
    full = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
"""
    said, _ = writer(tmp_path / "cache", 1, full).communicate()
    assert f"Slices cannot be kept in {tmp_path / 'cache'}" in said
    assert not list((tmp_path / "cache").iterdir())


def test_slices_that_version_0_3_kept_are_read_and_not_made_anew(tmp_path):
    folder = tmp_path / "moved"
    shutil.copytree(HERE.parent / "fixtures" / "old_files" / "cache-0.3", folder)
    before = entries(folder / "cache")
    small = replace(PREPROCESSING, locate_slice_spacing_mm=16.0)
    domains = prepared(settings(folder, preprocessing=small), folder / "cache")
    assert domains.manifest == {
        "source:s": "68f8dff5f3e788f6daab3d7523ae1278dd5fe645/s", "target:t": "184f01b495bab73b200c00461074ee55f53e99cd/t",
    }  # fmt: skip
    assert domains.fingerprint == "b9032ad845617dadd8b4f8a73cc03af61d3404baf6f5af8707a1f44f4ae7de8f"
    assert entries(folder / "cache") == before and len(before) == 2
    assert set(np.unique(domains.source.labels)) == {0, 1, 2, 3, 4} and np.abs(domains.target.images).max() == 1


def test_slices_that_vanish_while_they_are_trained_on_are_named(tmp_path):
    domains = training_data.domains(tmp_path)
    chosen = settings(tmp_path)
    batch(domains, chosen, 0, 0, 2)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(DataError, match=r"s\.npy.* is gone or cut off"):
        batch(domains, chosen, 0, 1, 2)


def test_a_source_file_that_vanishes_between_two_looks_is_named(tmp_path):
    training_data.domains(tmp_path)
    steps = prepare(settings(tmp_path, size=48), tmp_path / "cache")
    with pytest.raises(DataError, match=r"s2\.nii\.gz is gone"):
        for progress in steps:
            if progress.stage.startswith("Cutting"):
                (tmp_path / "source" / "s2.nii.gz").unlink(missing_ok=True)


def test_two_processes_may_make_the_same_entry(tmp_path):
    arrays = {"images": np.arange(8.0).reshape(2, 2, 2)}
    first = cache.write(tmp_path, "ab", arrays, {"n": 1})
    second = cache.write(tmp_path, "ab", arrays, {"n": 1})
    assert np.array_equal(first[0]["images"], second[0]["images"])
    assert [p.name for p in tmp_path.iterdir()] == ["ab"]


def test_a_stack_reads_like_one_array(tmp_path):
    parts = [np.random.default_rng(n).normal(size=(n + 2, 3, 3)).astype(np.float32) for n in range(3)]
    stack, whole = Stack.of(parts), np.concatenate(parts)
    assert stack.shape == whole.shape and len(stack) == 9 and stack.dtype == np.float32
    for key in (0, -1, 4, slice(2, 7), slice(None, None, -2), np.array([8, 0, 3]), [1, 1], np.arange(9) % 2 == 0):
        assert np.array_equal(stack[key], whole[key])
    assert np.array_equal(stack.only(np.array([5, 2]))[:], whole[[5, 2]])
    assert np.array_equal(np.asarray(stack), whole)


def test_validation_scans_are_chosen_by_content_and_never_trained_on(tmp_path):
    source(tmp_path / "source", 5)
    target(tmp_path / "target", 5)
    first = prepared(settings(tmp_path), tmp_path / "cache")
    for domain in ("source", "target"):
        train, judge = getattr(first, domain), getattr(first, f"{domain}_validation")
        assert len(train.names) == 4 and len(judge.names) == 1 and not set(train.names) & set(judge.names)
        assert set(train.volume) == set(range(4)) and len(train.images) == len(train.volume)
    judge = first.source_validation
    old = judge.names[0]
    for suffix in (".nii.gz", "_label.nii.gz"):
        os.rename(tmp_path / "source" / f"{old}{suffix}", tmp_path / "source" / f"a_new_name{suffix}")
    again = prepared(settings(tmp_path, size=48), tmp_path / "cache")
    assert again.source_validation.names == ("a_new_name",)


def test_a_domain_of_one_scan_serves_for_both_and_says_so(tmp_path):
    source(tmp_path / "source", 2)
    target(tmp_path / "target", 1)
    domains = prepared(settings(tmp_path), tmp_path / "cache")
    assert domains.target.names == domains.target_validation.names == ("t100",)
    assert any("serves for training and for validation" in note for note in domains.notes)
