"""One thorax from one seed: the tissue map with exact labels."""
from __future__ import annotations

import numpy as np

from ..volume import Geometry, Volume
from . import heart, lungs, thorax
from .heart_plan import make_plan
from .person import draw_person
from .shapes import FAR, make_space, smooth_min, smooth_noise, tube
from .tissues import Tissue

FIELD_OF_VIEW = (384.0, 306.0, 324.0)
"""mm in x, y, z: a whole adult chest."""
WARP_MM, WARP_WAVELENGTH_MM = 3.0, 75.0
"""Standard deviation and knot distance of the smooth deformation of everything."""


def anatomy(seed: int, spacing_mm: float = 1.5) -> tuple[Volume, dict[str, object]]:
    """Tissue map (uint8, ids of `tissues.Tissue`) of the phantom with this seed, and what it is.

    The same seed gives the same person at every spacing. The description holds the person's random choices and
    `volumes_ml` per structure. Raises ValueError for a spacing outside 0.5 to 10 mm.
    """
    if not 0.5 <= spacing_mm <= 10:
        raise ValueError(f"The phantom's spacing must lie between 0.5 and 10 mm; {spacing_mm} was asked for.")
    person = draw_person(int(seed))
    plan = make_plan(person)
    sizes = heart.fit(plan)
    rng = np.random.Generator(np.random.PCG64([int(seed), 2]))
    low = np.array([-192.0, -122.0, -152.0]) + rng.uniform(-6, 6, 3)
    high = low + FIELD_OF_VIEW
    space = make_space(rng, low, high, float(spacing_mm), WARP_MM, WARP_WAVELENGTH_MM)
    xs, ys, zs = (np.float32(space.origin[a]) + np.float32(space.spacing) * np.arange(space.shape[2 - a], dtype=np.float32)
                  for a in range(3))
    tissues = np.zeros(space.shape, np.uint8)
    cavity = thorax.paint_wall(tissues, space, person, zs)
    thorax.paint_cavity(tissues, space, person, cavity)
    base = np.asarray(person.base)
    core = space.slices(np.array([base[0] - 105, -90 * person.size, -400]), np.array([base[0] + 112, 95 * person.size, 400]))
    inner = space.part(core)
    near = inner.slices(heart.REACH[0] + base, heart.REACH[1] + base)
    hearts = inner.part(near)
    fields = heart.heart_fields(hearts, plan, sizes)
    noise = smooth_noise(rng, hearts.shape, np.array(hearts.origin), hearts.spacing, heart.REACH[0] + base - 8,
                         heart.REACH[1] + base + 8, 6.0)

    block = tissues[core]
    points, radii, _ = heart.aorta_course(plan)
    aorta = tube(inner, points[3:], radii[3:], 12)
    branches, veins = lungs.neck_vessels(inner, plan)
    airway, gullet = thorax.airways(inner, person)
    tubes = np.minimum.reduce([aorta, branches, veins, airway, gullet])
    tubes[near] = smooth_min(tubes[near], np.minimum.reduce([fields["pa"], fields["svc"], fields["ivc"]]), 8.0)
    tubes[near] = smooth_min(tubes[near], heart.sac(fields, person), 8.0)
    fat = thorax.mediastinum(inner, person, tubes) - np.float32(1.0 + 0.35 * person.epicardial_fat_mm)
    block[(fat < 0) & (cavity[core] < 2) & (block == Tissue.LUNG)] = Tissue.MEDIASTINAL_FAT
    thorax.paint_spine(tissues, space, person)
    thorax.paint_sternum(tissues, space, person)
    lungs.paint_trees(tissues, space, plan, rng)
    block[gullet < 0] = Tissue.OESOPHAGUS
    block[gullet < -4.6] = Tissue.GAS if person.stomach_gas else Tissue.OESOPHAGUS
    block[airway < 0] = Tissue.AIRWAY_WALL
    block[airway < -1.6] = Tissue.AIRWAY
    block[veins < 0] = Tissue.VENA_CAVA_SUPERIOR
    block[np.minimum(aorta, branches) < 1.5] = Tissue.VESSEL_WALL
    block[np.minimum(aorta, branches) < 0] = Tissue.AORTA
    heart.paint_heart(block[near], fields, noise, plan)
    if person.table:
        thorax.paint_table(tissues, xs, ys, space.shape)

    geometry = Geometry((space.shape[2], space.shape[1], space.shape[0]), space.origin, (space.spacing,) * 3)
    description = dict(person.described())
    description["spacing_mm"] = float(spacing_mm)
    description["wall_mm"] = sizes.wall_mm
    description["volumes_ml"] = heart.volumes_ml(tissues, geometry.voxel_ml)
    return Volume(tissues, geometry, f"phantom {seed}"), description
