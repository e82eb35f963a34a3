"""Promises of flags.py: volumes are exact, and what cannot be right is said in plain words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from SIFALib.imaging.components import component_sizes, largest_component
from SIFALib.imaging.geometry import Geometry, Volume
from SIFALib.inference.flags import Flag, volumes_ml, without_strays
from SIFALib.models.structures import PAPERS, STRUCTURES


def flags(volume: Volume, structures=PAPERS) -> tuple[Flag, ...]:
    return without_strays(volume, structures)[1]


def labels(spacing: tuple[float, float, float] = (4.0, 4.0, 4.0), **boxes: tuple[int, int, int]) -> Volume:
    """A label map, 42 voxels wide, with a box of the given size (k, j, i) for each structure id, none at an edge."""
    array = np.zeros((42, 42, 42), np.uint8)
    for structure in PAPERS:
        k, j, i = boxes.get(structure.id, (0, 0, 0))
        start = 1 + 10 * (structure.value - 1)
        array[start : start + k, 1 : 1 + j, 1 : 1 + i] = structure.value
    return Volume(array, Geometry((42, 42, 42), (0.0, 0.0, 0.0), spacing), "case")


SOUND = {"MYO": (10, 15, 15), "LA": (10, 10, 10), "LV": (10, 12, 12), "AA": (10, 9, 9)}  # 144, 64, 92, 52 ml


def test_volumes_are_voxels_times_voxel_volume_on_oblique_grids_too():
    volume = labels((1.0, 2.0, 2.5), LV=(3, 4, 5))
    assert volumes_ml(volume) == {"MYO": 0, "LA": 0, "LV": 60 * 0.005, "AA": 0}
    turned = Geometry((42, 42, 42), (5.0, 6.0, 7.0), (1.0, 2.0, 2.5), (0.6, -0.8, 0, 0.8, 0.6, 0, 0, 0, 1))
    assert volumes_ml(Volume(volume.array, turned, "case"))["LV"] == pytest.approx(0.3)


def test_a_sound_segmentation_has_no_flags_and_a_speck_is_not_worth_a_word():
    volume = labels(**SOUND)
    assert flags(volume) == ()
    volume.array[1, 39, 39] = 3
    assert flags(volume) == ()


def test_a_missing_structure_is_told_by_name():
    (flag,) = flags(labels(**{k: v for k, v in SOUND.items() if k != "LA"}))
    assert (flag.structure_id, flag.kind) == ("LA", "empty")
    assert flag.message == "Left atrium: nothing was found; check that the scan covers it."


@pytest.mark.parametrize(
    ("where", "value", "structure", "message"),
    [
        (np.s_[1:5, 35:40, 35:40], 3, "LV", "Left ventricle: drawn in 2 pieces, the largest holds 94 % of it;"),
        (np.s_[1:9:2, 20:40:2, 20:40:2], 4, "AA", "drawn in many small pieces, the largest holds 67 % of it;"),
    ],
    ids=["a second sizeable one, 6.4 ml", "400 specks of 0.06 ml"],
)
def test_components_that_add_up_are_told(where, value, structure, message):
    volume = labels(**SOUND)
    volume.array[where] = value
    (flag,) = flags(volume)
    assert (flag.structure_id, flag.kind) == (structure, "fragments")
    assert message in flag.message and flag.message.endswith("; check the outline.")


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((10, 3, 3), "Left ventricle: 6 ml is less than the 15 ml that can be expected of an adult;"),
        ((10, 40, 40), "Left ventricle: 1024 ml is more than the 500 ml that can be expected of an adult;"),
    ],
)
def test_a_volume_that_no_adult_has_is_told_in_plain_words(size, message):
    (flag,) = flags(labels(**(SOUND | {"LV": size})))
    assert (flag.structure_id, flag.kind, flag.message) == ("LV", "volume", f"{message} check the outline.")


def test_normal_adult_hearts_are_plausible_in_every_phase():
    # least and greatest normal values (mean -+ 2 SD) of Hudsmith 2005, Kawel-Boehm 2015 and Petersen 2017
    least = {"LV": 18, "LA": 20, "MYO": 53, "AA": 25, "RV": 20, "RA": 18, "PA": 15}
    greatest = {"LV": 218, "LA": 163, "MYO": 205, "AA": 94, "RV": 256, "RA": 147, "PA": 80}
    for volume_ml in (least, greatest):
        for structure in STRUCTURES:
            n = round(volume_ml[structure.id] * 1000)
            array = np.zeros(64 * 64 * 64, np.uint8)
            array[:n] = structure.value
            array = np.pad(array.reshape(64, 64, 64), 1)
            volume = Volume(array, Geometry((66, 66, 66), (0, 0, 0), (1, 1, 1)), "case")
            assert flags(volume, (structure,)) == (), structure.id


def test_components_that_share_a_corner_are_one():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert component_sizes(mask).tolist() == [2]
    mask[1, 1, 1], mask[2, 2, 2] = False, True
    assert component_sizes(mask).tolist() == [1, 1]


@given(arrays(bool, (4, 5, 6), elements=st.booleans()))
@example(np.zeros((4, 5, 6), bool))
def test_components_agree_with_an_independent_count(mask):
    from scipy.ndimage import label

    numbered, count = label(mask, np.ones((3, 3, 3)))
    sizes = sorted((int((numbered == n).sum()) for n in range(1, count + 1)), reverse=True)
    assert component_sizes(mask).tolist() == sizes
    kept = largest_component(mask)
    assert kept.shape == mask.shape and kept.sum() == max(sizes, default=0) and (kept <= mask).all()
    assert len(np.unique(numbered[kept])) == (1 if sizes else 0)  # one component, and all of it


@pytest.mark.parametrize(("voxels", "warned"), [(100, False), (500, True)])
def test_a_stack_of_thick_slices_grazes_what_it_is_not_made_for_and_bears_some_strays_of_the_rest(voxels, warned):
    """A tenth of the ventricle elsewhere, which is left out, is no reason to look; a third is. Of an artery neither."""
    volume = labels((4.0, 4.0, 8.0), **SOUND)
    for value in (3, 4):
        volume.array[1:6, 20 * (value - 3) : 20 * (value - 3) + voxels // 50, 30:40] = value
    kinds = [(f.structure_id, f.kind) for f in flags(volume) if f.warns]
    assert kinds == ([("LV", "fragments")] if warned else [])


def test_only_the_largest_components_are_kept_and_their_volume_is_judged():
    volume = labels(**(SOUND | {"LA": (0, 0, 0)}))
    volume.array[1:10, 20:40, 20:40] = 3  # 230 ml, more than the other piece
    volume.array[32:34, 30:33, 30:33] = 4
    kept, found = without_strays(volume)
    assert (kept.array == 3).sum() == 9 * 20 * 20 and (kept.array == 4).sum() == 10 * 9 * 9
    assert ((kept.array == volume.array) | (kept.array == 0)).all()
    assert [(f.structure_id, f.kind) for f in found] == [("LA", "empty"), ("LV", "fragments")]
    assert "drawn in 2 pieces, the largest holds 71 % of it" in found[1].message
    assert flags(kept) == (found[0],)


def test_a_volume_that_only_stray_components_make_implausible_is_not_reported():
    volume = labels(**SOUND)
    for start in (1, 9, 17, 25, 33):
        volume.array[start : start + 7, 24:40, 24:40] = 3  # five components of 115 ml
    kept, found = without_strays(volume)
    assert volumes_ml(kept)["LV"] < 500 < volumes_ml(volume)["LV"]
    assert [f.kind for f in found] == ["fragments"]


def cut_off(**boxes: tuple[int, int, int]) -> Volume:
    """The sound case without its lowest nine planes: the edge of the scan goes through the myocardium."""
    whole = labels(**(SOUND | boxes))
    geometry = whole.geometry.part((0, 0, 9), (42, 42, 33))
    return Volume(whole.array[9:], geometry, "case")


def test_what_the_edge_of_the_scan_cuts_off_is_told_apart_and_not_called_too_small():
    volume = cut_off()
    assert volumes_ml(volume)["MYO"] < 30  # less than any whole one
    (flag,) = flags(volume)
    assert (flag.structure_id, flag.kind, flag.warns) == ("MYO", "cut", False)
    assert flag.message.endswith("the edge of the scan cuts it off; its volume is that of what is shown.")


@pytest.mark.parametrize(
    "size", [(10, 3, 3), (10, 41, 41)], ids=["too small, and only touches", "too large, and cut off"]
)
def test_the_edge_of_the_scan_excuses_neither_what_only_touches_it_nor_what_is_too_large(size):
    volume = labels(**(SOUND | {"LV": size}))
    volume.array[25, 2, 0] = 3  # one voxel reaches the edge
    assert [(f.structure_id, f.kind) for f in flags(volume)] == [("LV", "volume")]


def test_the_edge_of_the_scan_counts_where_the_label_map_reaches_beyond_it():
    volume = labels(**(SOUND | {"LV": (10, 6, 4)}))  # 15.4 ml
    inside = np.ones(volume.array.shape, bool)
    inside[:, :, :1] = False
    volume.array[21:31, 1:7, 1:2] = 0  # 11.5 ml are left, and there would be more
    inside[:, :, 1:2] = False
    assert [(f.structure_id, f.kind) for f in without_strays(volume)[1]] == [("LV", "volume")]
    found = without_strays(volume, inside=inside)[1]
    assert ("LV", "cut") in {(f.structure_id, f.kind) for f in found}
    assert not any(f.warns for f in found)


def test_a_thin_stack_of_slices_is_not_flagged_as_if_it_were_whole():
    whole = labels(**(SOUND | {"LA": (0, 0, 0)}))
    stack = Volume(whole.array[3:6], whole.geometry.part((0, 0, 3), (42, 42, 3)), "three slices")
    found = flags(stack)
    assert {f.structure_id for f in found} == {"MYO", "LA", "LV", "AA"}
    assert not any(f.warns for f in found)
    assert "Left atrium: nothing was found; the scan shows only a part of the heart" in found[1].message
    stack.array[:] = 0
    stack.array[1:2, 30:33, 30:33] = 4  # 0.6 ml in the middle of the stack
    assert not any(f.warns for f in flags(stack))


def test_a_thin_stack_may_cut_one_structure_into_several_components():
    whole = labels(**SOUND)
    stack = Volume(np.zeros_like(whole.array[3:6]), whole.geometry.part((0, 0, 3), (42, 42, 3)), "three slices")
    stack.array[:, 5:15, 5:15] = 1
    stack.array[:, 25:35, 5:9] = 1  # 40 % of the first
    stack.array[:, 39:41, 30:32] = 1  # 4 %: a stray component
    kept, found = without_strays(stack)
    assert (kept.array[:, 5:15, 5:15] == 1).all() and (kept.array[:, 25:35, 5:9] == 1).all()
    assert not kept.array[:, 36:].any()
    assert not any(f.kind == "fragments" for f in found)
    assert [f.kind for f in without_strays(Volume(kept.array, kept.geometry, "again"))[1]] == [f.kind for f in found]


def test_a_missing_atrium_is_an_error_where_only_the_aorta_is_cut_off():
    whole = labels(**(SOUND | {"LA": (0, 0, 0)}))
    cut = Volume(whole.array[:36], whole.geometry.part((0, 0, 0), (42, 42, 36)), "case")
    assert {(f.structure_id, f.kind) for f in flags(cut)} == {("LA", "empty"), ("AA", "cut")}
