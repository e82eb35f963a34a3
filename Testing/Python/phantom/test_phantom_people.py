"""The phantom's persons: how many are sick, that the healthy are normal, and that each disease is there to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from phantom_helpers import faces_between, largest_share
from SIFALib import phantom
from SIFALib.imaging import Volume
from SIFALib.phantom.conditions import CHILD_SHARE, CONDITIONS, draw_person
from SIFALib.phantom.heart import paint_heart
from SIFALib.phantom.heart_plan import Sizes, make_plan
from SIFALib.phantom.heart_shapes import heart_fields
from SIFALib.phantom.person import Person
from SIFALib.phantom.shapes import make_space
from SIFALib.phantom.tissues import LABEL_OF_TISSUE, Tissue

SPACING = 6.0
MANY = 1500
HEART = [Tissue.LV_BLOOD, Tissue.MYOCARDIUM, Tissue.RV_BLOOD, Tissue.RA_BLOOD, Tissue.LA_BLOOD]


@cache
def people() -> tuple[Person, ...]:
    return tuple(draw_person(seed) for seed in range(MANY))


def healthy_adults() -> list[Person]:
    return [p for p in people() if p.condition == "normal" and p.growth == 1]


def first(condition: str, *, child: bool = False, relaxed: bool = True) -> int:
    """The first person with this condition, at end-diastole if `relaxed`."""
    return next(
        p.seed
        for p in people()
        if p.condition == condition and (p.growth < 1) == child and (p.systole < 0.1 or not relaxed)
    )


@cache
def anatomy(seed: int) -> tuple[Volume, dict]:
    return phantom.anatomy(seed, SPACING)


def somebody(has: Callable[[Person], bool]) -> int:
    """The first person of whom this is true."""
    return next(p.seed for p in people() if has(p))


def is_plain(p: Person) -> bool:
    """A healthy adult without anything that doctors left or that is found beside."""
    treated = p.operated or p.pacemaker or p.electrodes or p.dissection or p.stent
    return p.condition == "normal" and p.growth == 1 and not treated and max(p.pleural_mm) == 0


def heart_size_ml(seed: int) -> float:
    return float(np.isin(anatomy(seed)[0].array, HEART).sum()) * anatomy(seed)[0].geometry.voxel_ml


def count(seed: int, tissue: Tissue) -> int:
    return int((anatomy(seed)[0].array == tissue).sum())


def faces(seed: int, one: Tissue, other: Tissue) -> int:
    return faces_between(anatomy(seed)[0].array, one, other)


def sample() -> list[int]:
    """One of each condition, children, and persons with fluid, leads and wires."""
    seeds = [first(condition) for condition in CONDITIONS]
    seeds += [first(condition, child=True) for condition in ("normal", "septal defect", "fallot")]
    seeds.append(first("septal hypertrophy", relaxed=False))
    seeds.append(next(p.seed for p in people() if p.pacemaker and p.operated))
    seeds.append(next(p.seed for p in people() if p.effusion_mm > 10 and min(p.pleural_mm) == 0))
    return sorted(set(seeds))


def test_most_persons_are_healthy_and_every_condition_has_its_share():
    assert sum(CONDITIONS.values()) == pytest.approx(1.0)
    assert CONDITIONS["normal"] > 0.5
    for condition, share in CONDITIONS.items():
        found = sum(p.condition == condition for p in people()) / MANY
        assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / MANY)), condition
    children = sum(p.growth < 1 for p in people()) / MANY
    wanted = sum(share * CHILD_SHARE.get(condition, 0.0) for condition, share in CONDITIONS.items())
    assert children == pytest.approx(wanted, abs=0.035)
    assert {"pacemaker", "operated", "dissection", "stent", "arms_down"} <= {
        name for p in people() for name, value in p.described().items() if value is True
    }
    assert 0.03 < np.mean([p.effusion_mm > 3 for p in people()]) < 0.15


def test_healthy_adults_have_published_volumes():
    """Means of Petersen et al., JCMR 2017 (UK Biobank), less what CT measures smaller (Fuchs et al. 2016)."""
    adults = healthy_adults()

    def mean(name: str, female: bool) -> float:
        return float(np.mean([getattr(p, name) for p in adults if p.female == female]))

    assert 100 <= mean("lv_ml", True) <= 124 and 120 <= mean("lv_ml", False) <= 166
    assert 115 <= mean("rv_ml", True) <= 145 and 145 <= mean("rv_ml", False) <= 182
    assert 55 <= np.mean([p.la_ml for p in adults]) <= 80  # Kawel-Boehm et al. 2020: about 70 ml
    assert 0.56 <= np.mean([p.ejection for p in adults]) <= 0.64
    for p in adults:
        assert 78 <= p.lv_ml <= 215 and 85 <= p.rv_ml <= 260 and 37 <= p.la_ml <= 108
        assert 52 <= p.myo_ml <= 225 and 33 <= p.aa_ml <= 84
        assert p.rv_wall_mm <= 5.0  # Rudski et al., J Am Soc Echocardiogr 2010


def test_poses_reach_from_lying_to_hanging_hearts():
    azimuths, declinations = ([getattr(p, n) for p in people()] for n in ("azimuth", "declination"))
    assert 45 <= np.median(azimuths) <= 62 and 25 <= np.median(declinations) <= 40
    assert min(azimuths) < 20 and max(azimuths) > 78
    assert min(declinations) < 8 and max(declinations) > 62


def test_a_person_is_drawn_the_same_every_time():
    assert draw_person(4) == draw_person(4)
    assert (
        draw_person(4).variation("anything") == draw_person(4).variation("anything") != draw_person(4).variation("else")
    )
    assert abs(np.mean([p.variation("la x") for p in people()])) < 0.1


@pytest.mark.parametrize("seed", sample())
def test_volumes_are_those_that_the_person_should_have(seed):
    _, said = anatomy(seed)
    cube, systole = said["growth"] ** 3, said["systole"]
    wanted = {
        "LV": said["lv_ml"] * (1 - said["ejection"] * systole),
        "MYO": said["myo_ml"],
        "LA": said["la_ml"] * (1 + 0.2 * systole),
        "RV": said["rv_ml"] * (1 - 0.5 * systole),
        "AA": said["aa_ml"],
    }
    for name, volume in wanted.items():
        assert said["volumes_ml"][name] == pytest.approx(volume * cube, rel=0.15, abs=1.5), name


@pytest.mark.parametrize("seed", sample())
def test_every_label_is_there_in_one_component_inside_of_the_chest(seed):
    tissues, _ = anatomy(seed)
    labels = LABEL_OF_TISSUE[tissues.array]
    for value in (1, 2, 3, 4):
        assert largest_share(labels == value) > 0.93, f"label {value}"
    outside = np.isin(tissues.array, (Tissue.AIR, Tissue.SKIN))
    for axis in range(3):
        for step in (-1, 1):
            assert not (np.roll(outside, step, axis) & (labels > 0)).any()


@pytest.mark.parametrize("seed", sample())
def test_the_root_of_the_aorta_belongs_to_its_labelled_part(seed):
    """What the left ventricle opens into is the ascending aorta, however far back the heart lies."""
    ventricle = (Tissue.LV_BLOOD, Tissue.VALVE)
    assert sum(faces(seed, part, Tissue.ASCENDING_AORTA) for part in ventricle) > 0
    assert sum(faces(seed, part, Tissue.AORTA) for part in ventricle) == 0


def test_walls_are_thin_in_health_and_thick_in_hypertrophy():
    """As the heart was sized; `test_phantom` measures maps. 5 to 12 mm in health (Kawel et al. 2012), from 15 mm at the
    thickest place in hypertrophy (Maron and Maron, Lancet 2013), over 30 mm in one of ten (Spirito et al., NEJM 2000)."""
    assert 5 <= anatomy(first("normal"))[1]["wall_mm"] <= 12
    for condition in ("septal hypertrophy", "concentric hypertrophy"):
        _, said = anatomy(first(condition))
        thickest = said["wall_mm"] * (1 + max(said["septum"], said["apical_wall"], 0.0))
        assert 13 <= thickest <= 40, condition
    assert anatomy(first("dilated"))[1]["wall_mm"] < 12


def test_diseases_change_what_they_are_named_after():
    health = anatomy(first("normal"))[1]
    ratio = {
        condition: {
            name: volume / health["volumes_ml"][name]
            for name, volume in anatomy(first(condition))[1]["volumes_ml"].items()
        }
        for condition in CONDITIONS
    }
    assert ratio["dilated"]["LV"] > 1.2
    assert ratio["large atria"]["LA"] > 1.3 and ratio["large atria"]["RA"] > 1.1
    assert ratio["dilated aorta"]["AA"] > 1.4
    assert ratio["right load"]["RV"] / ratio["right load"]["LV"] > 1.2
    assert 24 <= health["aorta_mm"] <= 39  # Wolak et al., JACC Cardiovasc Imaging 2008
    assert 38 <= anatomy(first("dilated aorta"))[1]["aorta_mm"] <= 72
    assert count(first("fallot"), Tissue.RV_HYPERTROPHY) > 0 == count(first("normal"), Tissue.RV_HYPERTROPHY)


@pytest.mark.parametrize(
    "has",
    [lambda p: p.condition == "fallot" and p.growth == 1, lambda p: p.ventricular_defect_mm > 6 and p.override_mm == 0],
    ids=["fallot", "alone"],
)
def test_a_defect_joins_the_ventricles(has):
    joined, apart = (faces(somebody(who), Tissue.LV_BLOOD, Tissue.RV_BLOOD) for who in (has, is_plain))
    assert joined > 0 and joined > 3 * apart


def test_a_defect_joins_the_atria():
    """In voxels smaller than the wall: the same heart with its hole and without."""

    def joined(person: Person) -> int:
        plan = make_plan(person)
        middle = plan.at(-32, 2, 3)
        space = make_space([1], middle - 25, middle + 25, 1.5, 0.0, 75.0)
        tissues, flat = np.zeros(space.shape, np.uint8), np.zeros(space.shape, np.float32)
        paint_heart(tissues, heart_fields(space, plan, Sizes()), {"fine": flat, "coarse": flat}, plan)
        return faces_between(tissues, Tissue.LA_BLOOD, Tissue.RA_BLOOD)

    sick = draw_person(somebody(lambda p: p.atrial_defect_mm > 6))
    assert joined(sick) > 50 > 0 == joined(replace(sick, atrial_defect_mm=0.0))


def test_children_are_small_with_large_right_ventricles():
    child, adult = anatomy(first("normal", child=True))[1], anatomy(first("normal"))[1]
    assert 0.45 <= child["growth"] <= 0.9
    extent = np.array(anatomy(child["seed"])[0].geometry.extent_mm)
    assert extent == pytest.approx(np.array([384, 306, 324]) * child["growth"], abs=SPACING)
    assert heart_size_ml(child["seed"]) < heart_size_ml(adult["seed"])
    young = [p for p in people() if p.growth < 0.6 and p.condition == "normal"]
    relation = np.mean([p.rv_ml / p.lv_ml for p in young])
    assert relation > 1.03 * np.mean([p.rv_ml / p.lv_ml for p in healthy_adults()])
    smallest = min(p.growth * (p.lv_ml / 115) ** (1 / 3) for p in people())
    assert 0.38 < smallest < 0.6


def test_fluid_leads_and_wires_are_where_the_person_has_them():
    fluid = next(p.seed for p in people() if p.effusion_mm > 10 and min(p.pleural_mm) == 0)
    voxel = anatomy(fluid)[0].geometry.voxel_ml
    assert count(fluid, Tissue.PERICARDIAL_FLUID) * voxel > 60 * anatomy(fluid)[1]["growth"] ** 3
    assert count(first("normal"), Tissue.PERICARDIAL_FLUID) == 0
    device = next(p.seed for p in people() if p.pacemaker and p.operated)
    assert count(device, Tissue.METAL) > 30


@pytest.mark.parametrize(
    "tissue, has",
    [
        (Tissue.PLEURAL_FLUID, lambda p: min(p.pleural_mm) > 15),
        (Tissue.COLLAPSED_LUNG, lambda p: min(p.pleural_mm) > 15),
        (Tissue.FALSE_LUMEN, lambda p: p.dissection and p.variation("clot") > 0),
        (Tissue.THROMBUS, lambda p: p.dissection and p.variation("clot") > 0),
        (Tissue.STENT, lambda p: p.stent and not p.dissection),
        (Tissue.THYMUS, lambda p: p.thymus > 0.5 and p.condition == "normal"),
        (Tissue.METAL, lambda p: p.electrodes > 3 and not p.pacemaker and not p.operated),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Tissue) else "",
)
def test_what_is_found_and_left_in_some_is_in_them_and_in_no_one_else(tissue, has):
    assert count(somebody(has), tissue) > 0 == count(somebody(is_plain), tissue)


def test_kidneys_bowel_and_calcium_occur():
    seeds = [somebody(is_plain), *(first(condition) for condition in ("dilated", "large atria", "right load"))]
    for tissue in (Tissue.KIDNEY, Tissue.BOWEL):
        assert any(count(seed, tissue) > 0 for seed in seeds)
    assert count(somebody(lambda p: p.calcification > 0.9 and p.growth == 1), Tissue.CALCIFICATION) > 0


def test_arms_lie_beside_the_chest_of_those_who_do_not_lift_them():
    def ends(seed: int) -> int:
        """Voxels of muscle and bone at the left and right edge of the field of view."""
        array = anatomy(seed)[0].array[:, :, [0, 1, -2, -1]]
        return int(np.isin(array, (Tissue.MUSCLE, Tissue.CORTICAL_BONE, Tissue.MARROW)).sum())

    slim = [p for p in people() if p.growth == 1 and p.fat_mm < 12 and p.size < 0.96]
    down, up = (next(p.seed for p in slim if p.arms_down == here) for here in (True, False))
    assert ends(down) > 50 > 0 == ends(up)


def test_pulmonary_veins_reach_the_lungs():
    array = anatomy(first("normal"))[0].array
    vein, lung = array == Tissue.PULMONARY_VEIN, np.isin(array, (Tissue.LUNG, Tissue.LUNG_VESSEL))
    middle = array.shape[2] // 2
    for side in (slice(0, middle), slice(middle, None)):
        touching = sum((np.roll(vein, 2 * s, a) & lung)[:, :, side].sum() for a in range(3) for s in (-1, 1))
        assert touching > 5
