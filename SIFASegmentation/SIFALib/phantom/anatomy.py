"""One thorax from one seed: the tissue map with exact labels."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from ..imaging import Geometry, Volume
from . import abdomen, heart, lungs, thorax
from .conditions import draw_person
from .devices import paint_devices
from .great_vessels import aorta_course
from .heart_plan import Plan, Sizes, make_plan
from .heart_shapes import REACH, heart_fields, lowest_point
from .left_ventricle import Fields
from .neighbours import paint_neighbours
from .person import Person
from .shapes import FAR, Slices, Space, make_space, smooth_min, smooth_noise, tube
from .tissues import Tissue

FIELD_OF_VIEW = (384.0, 306.0, 324.0)
"""mm in x, y, z: a whole adult chest."""
WARP_MM, WARP_WAVELENGTH_MM = 2.2, 75.0
"""Standard deviation and knot distance of the smooth deformation of everything."""
FIT_SPACING_MM = 5.0
"""Grid on which the heart's parts are sized until their volumes are right."""
SLAB_VOXELS = 600_000
"""The formulas run on slabs of about this many voxels, so that they stay in the processor's cache."""


def anatomy(seed: int, spacing_mm: float = 1.5, systole: float | None = None) -> tuple[Volume, dict[str, object]]:
    """Tissue map (uint8, ids of `tissues.Tissue`) of the phantom with this seed, and what it is.

    systole: the moment of the heart's cycle, 0 (end-diastole) to 1 (end-systole); None: the person's own.

    The same seed gives the same person at every spacing. The description holds the fields of `Person` (lengths and
    volumes of a child are there those of an adult: see `growth`) and, as they are in the map: `wall_mm` (mean thickness
    of the left ventricle's wall), `aorta_mm` (diameter of the ascending aorta), `volumes_ml` per structure. Raises
    ValueError for a spacing outside 0.5 to 10 mm, a negative seed or a moment outside of the cycle.
    """
    if not 0.5 <= spacing_mm <= 10:
        raise ValueError(f"The phantom's spacing must lie between 0.5 and 10 mm; {spacing_mm} was asked for.")
    if int(seed) < 0:
        raise ValueError(f"The phantom's seed must be 0 or a positive whole number; {seed} was asked for.")
    if systole is not None and not 0 <= systole <= 1:
        raise ValueError(f"The moment of the heart's cycle must lie between 0 and 1; {systole} was asked for.")
    person = draw_person(int(seed))
    if systole is not None:
        person = replace(person, systole=float(systole))
    rng = np.random.Generator(np.random.PCG64([int(seed), 2]))
    space, coarse = spaces(rng, person, float(spacing_mm))
    plan, sizes = fitted(make_plan(person), coarse)
    tissues = painted(rng, space, plan, sizes)

    size = (space.shape[2], space.shape[1], space.shape[0])
    origin = tuple(person.growth * first for first in space.origin)
    geometry = Geometry(size, (origin[0], origin[1], origin[2]), (float(spacing_mm),) * 3)
    description: dict[str, object] = dict(plan.person.described())
    description["spacing_mm"] = float(spacing_mm)
    description["wall_mm"] = sizes.wall_mm * person.growth
    description["aorta_mm"] = 2 * sizes.aorta_mm * person.growth
    description["volumes_ml"] = heart.volumes_ml(tissues, geometry.voxel_ml)
    return Volume(tissues, geometry, f"phantom {seed}"), description


def spaces(rng: np.random.Generator, person: Person, spacing_mm: float) -> tuple[Space, Space]:
    """The grid of the tissue map and a coarse one on which the heart is sized, warped alike.

    A child is worked out at the size of an adult, on a grid as much wider as it is smaller.
    """
    low = np.array([-192.0, -122.0, -152.0]) + rng.uniform(-6, 6, 3)
    warp = WARP_MM * float(np.exp(person.variation("warp", 0.25)))
    space, coarse = (
        make_space([person.seed, 5], low, low + FIELD_OF_VIEW, mm, warp, WARP_WAVELENGTH_MM)
        for mm in (spacing_mm / person.growth, FIT_SPACING_MM)
    )
    return space, coarse


def painted(rng: np.random.Generator, space: Space, plan: Plan, sizes: Sizes) -> np.ndarray:
    """Tissue map uint8 [K, J, I] of a person: slab by slab, then what reaches through all of them."""
    near = space.slices(*(REACH + np.asarray(plan.person.base)))
    noise = heart_noise(rng, space.part(near), plan)
    tissues = np.zeros(space.shape, np.uint8)
    for slab in slabs(space.shape):
        whole = (slab, slice(None), slice(None))
        z = slice(max(slab.start, near[0].start), min(slab.stop, near[0].stop))
        if z.start >= z.stop:
            paint_slab(tissues[whole], space.part(whole), plan, sizes)
            continue
        # the heart's part of this slab
        box = (slice(z.start - slab.start, z.stop - slab.start), near[1], near[2])
        fields = heart_fields(space.part(whole).part(box), plan, sizes)
        cavity = paint_slab(tissues[whole], space.part(whole), plan, sizes, box, fields)
        layer = slice(z.start - near[0].start, z.stop - near[0].start)
        local = {name: field[layer] for name, field in noise.items()}
        heart.paint_heart(tissues[whole][box], fields, local, plan, cavity[box] < -1)
    paint_neighbours(tissues, space, plan, rng)
    lungs.paint_trees(tissues, space, plan, sizes, rng)
    paint_devices(tissues, space, plan, sizes, rng)
    if plan.person.table:
        thorax.paint_table(tissues, space, plan.person.growth)
    return tissues


def fitted(plan: Plan, coarse: Space) -> tuple[Plan, Sizes]:
    """The heart with the wanted volumes, at a place within the chest where it has room.

    coarse: the whole thorax on a coarse grid.
    """
    reach = REACH + np.asarray(plan.person.base)
    sizes = heart.fit(plan, coarse.part(coarse.slices(*reach)))
    settled = heart.settled(plan, sizes)
    if settled is plan:
        return plan, sizes
    reach = REACH + np.asarray(settled.person.base)
    return settled, heart.fit(settled, coarse.part(coarse.slices(*reach)), 3, sizes)


def heart_noise(rng: np.random.Generator, space: Space, plan: Plan) -> dict[str, np.ndarray]:
    """Random fields over the heart: `fine` roughens the trabeculated walls, `coarse` varies the fat."""
    low, high = REACH + np.asarray(plan.person.base) + np.array([[-12.0], [12.0]])
    origin = np.asarray(space.origin)
    return {
        name: smooth_noise(rng, space.shape, origin, space.spacing, low, high, wavelength)
        for name, wavelength in (("fine", 5.0), ("coarse", 28.0))
    }


def slabs(shape: tuple[int, ...]) -> list[slice]:
    """Ranges of slices of about SLAB_VOXELS voxels each."""
    count = max(1, round(shape[0] * shape[1] * shape[2] / SLAB_VOXELS))
    edges = [int(edge) for edge in np.linspace(0, shape[0], min(count, shape[0]) + 1)]
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def paint_slab(
    tissues: np.ndarray, space: Space, plan: Plan, sizes: Sizes, box: Slices | None = None, fields: Fields | None = None
) -> np.ndarray:
    """The thorax in one slab of the grid: walls, lungs, abdomen, bones, vessels and airways of the mediastinum.

    Not the heart, and not what `painted` adds to all slabs at once. Returns the field of the pleural and abdominal
    cavity.

    tissues: uint8, changed in place. box, fields: where in the slab the heart is, and its fields there, so that fat can
    be laid around it.
    """
    person = plan.person
    n = person.size
    cavity = thorax.paint_wall(tissues, space, person)
    abdomen.paint_cavity(tissues, space, person, cavity, lowest_point(plan, sizes))
    core = space.slices(np.array([-100.0 * n, -95.0 * n, -400.0]), np.array([125.0 * n, 105.0 * n, 400.0]))
    inner = space.part(core)
    tubes = mediastinal_tubes(inner, plan, sizes)
    whole = np.full(space.shape, FAR, np.float32)
    whole[core] = thorax.mediastinum(inner, person, np.minimum.reduce(list(tubes.values())))
    if box is not None and fields is not None:
        vessels = np.minimum.reduce([fields["pa"], fields["svc"], fields["ivc"], fields["pv"] + 2])
        padded = heart.sac(fields, person) - heart.fat_pad(fields, person)
        whole[box] = smooth_min(smooth_min(whole[box], vessels, 8.0), padded, 6.0)
    whole -= np.float32(0.6 + 0.2 * person.epicardial_fat_mm)
    tissues[(whole < 0) & (cavity < 2) & (tissues == Tissue.LUNG)] = Tissue.MEDIASTINAL_FAT
    thorax.paint_spine(tissues, space, person)
    thorax.paint_sternum(tissues, space, person)
    paint_tubes(tissues[core], tubes, person)
    return cavity


def mediastinal_tubes(space: Space, plan: Plan, sizes: Sizes) -> Fields:
    """`aorta` (from the end of its ascending part), `branches` of its arch, `veins` of the neck, `airway` (outside of its
    wall), `gullet`."""
    points, radii, ascending = aorta_course(plan, sizes)
    aorta = tube(space, points[ascending - 1 :], radii[ascending - 1 :], 12)
    branches, veins = lungs.neck_vessels(space, plan)
    airway, gullet = thorax.airways(space, plan.person)
    return {"aorta": aorta, "branches": branches, "veins": veins, "airway": airway, "gullet": gullet}


def paint_tubes(tissues: np.ndarray, f: Fields, person: Person) -> None:
    """The mediastinal tubes over what is there (uint8, in place)."""
    tissues[f["gullet"] < 0] = Tissue.OESOPHAGUS
    tissues[f["gullet"] < -4.6] = Tissue.GAS if person.stomach_gas else Tissue.OESOPHAGUS
    tissues[f["airway"] < 0] = Tissue.AIRWAY_WALL
    tissues[f["airway"] < -1.6] = Tissue.AIRWAY
    tissues[f["veins"] < 0] = Tissue.VENA_CAVA_SUPERIOR
    arteries = np.minimum(f["aorta"], f["branches"])
    tissues[arteries < 1.5] = Tissue.VESSEL_WALL
    tissues[arteries < 0] = Tissue.AORTA
