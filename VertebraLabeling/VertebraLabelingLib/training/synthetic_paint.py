"""Painting an anatomy with Hounsfield units: the patient, before bending and before the scanner."""

from __future__ import annotations

import numpy as np

from .hu_table import draw_table
from .synthetic_anatomy import DISC, Anatomy, outline_directions
from .synthetic_noise import smooth_noise

AIR, FAT, MUSCLE, SKIN = -1000.0, -102.0, 52.0, 20.0
RANDOM_CONTRAST_SHARE = 0.35
_COARSE = 4  # the outline is evaluated on every fourth voxel and interpolated


class _Grain:
    """Three random fields shared by all tissues of a case: voxel, 4 mm and 15 mm grain."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], spacing_mm: float) -> None:
        self.fine = smooth_noise(rng, shape, 2.4 / spacing_mm)
        self.middle = smooth_noise(rng, shape, 6.0 / spacing_mm)
        self.coarse = smooth_noise(rng, shape, 20.0 / spacing_mm)


def paint(anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """One patient drawn from an anatomy.

    Returns:
        (K, J, I) float32 HU on the anatomy's grid, free of scanner noise.
    """
    grain = _Grain(rng, anatomy.labels.shape, anatomy.spacing_mm)
    random_contrast = rng.random() < RANDOM_CONTRAST_SHARE
    mean, width = draw_table(anatomy.source.names, rng, random_contrast)
    hu = mean[anatomy.labels]
    hu += width[anatomy.labels] * (grain.fine * 0.6 + grain.middle * 0.8)

    _paint_unlabelled(hu, anatomy, grain, rng)
    _paint_bowel(hu, anatomy, grain, rng)
    _paint_lungs(hu, anatomy, grain, rng)
    _paint_discs(hu, anatomy, grain, rng)
    _paint_bones(hu, anatomy, grain, rng, random_contrast)
    return hu


def _paint_unlabelled(hu: np.ndarray, anatomy: Anatomy, grain: _Grain, rng: np.random.Generator) -> None:
    """Muscle wall, subcutaneous fat and skin outside; fat with vessels and muscle about the bones inside."""
    beyond, skin = _shells(anatomy, rng)
    fat = FAT + rng.normal(0.0, 6.0)
    muscle = MUSCLE + rng.normal(0.0, 9.0)
    wall_mm = rng.uniform(5.0, 13.0)

    values = fat + 10.0 * grain.middle
    stranded = np.clip(grain.coarse * 0.9 + grain.middle * 0.5 - rng.uniform(0.2, 1.2), 0.0, 1.0)
    values += stranded * (muscle - fat)  # vessels, nodes and folds within the fat of the trunk
    fleshy = (beyond > -7.0) & (beyond < wall_mm) | _muscle_near_bone(anatomy, rng)
    infiltration = rng.uniform(0.6, 1.8)  # fatty streaks of the muscles
    flesh = (
        muscle + 14.0 * grain.middle - 70.0 * np.clip(grain.coarse * 0.7 + grain.middle * 0.8 - infiltration, 0.0, 1.5)
    )
    values = np.where(fleshy, flesh, values)
    values = np.where(beyond >= wall_mm, fat + 6.0 * grain.middle, values)
    values = np.where(skin > -2.2, SKIN, values)
    values = np.where(skin > 0.0, AIR, values)
    empty = anatomy.labels == 0
    np.copyto(hu, values, where=empty)


def _muscle_near_bone(anatomy: Anatomy, rng: np.random.Generator) -> np.ndarray:
    """Muscle clothes the bones: thickly behind the spine and about the pelvis, thinly elsewhere."""
    s = anatomy.spacing_mm
    z = np.arange(anatomy.labels.shape[0]) * s
    y = np.arange(anatomy.labels.shape[1]) * s
    behind = y[None, :] < anatomy.axis(z)[:, 1:2] - 14.0
    lowest = min(point[2] for point in anatomy.truth.values())
    pelvic = z < lowest - 10.0
    reach = np.where(pelvic[:, None], 11.5, np.where(behind, 11.0, 3.5)) * rng.uniform(0.8, 1.05)
    return anatomy.depth < reach.astype(np.float16)[:, :, None]


def _shells(anatomy: Anatomy, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances, mm: beyond the labelled trunk, and beyond the skin; each (K, J, I) float32."""
    import SimpleITK as sitk

    s, step = anatomy.spacing_mm, _COARSE
    shape = tuple(-(-size // step) + 1 for size in anatomy.labels.shape)
    directions = outline_directions()
    margin = _fat_margin(anatomy, directions, rng)
    rows = np.minimum(np.arange(shape[0]) * step, anatomy.labels.shape[0] - 1)
    y, x = (np.arange(n, dtype=np.float32) * step * s for n in shape[1:])
    beyond = np.full(shape, -np.inf, dtype=np.float32)
    skin = np.full(shape, -np.inf, dtype=np.float32)
    for angle, (dx, dy) in enumerate(directions.astype(np.float32)):
        reach = (
            x[None, None, :] * dx + y[None, :, None] * dy - anatomy.outline[rows, angle, None, None].astype(np.float32)
        )
        np.maximum(beyond, reach, out=beyond)
        np.maximum(skin, reach - margin[rows, angle, None, None].astype(np.float32), out=skin)

    def enlarge(field: np.ndarray) -> np.ndarray:
        image = sitk.GetImageFromArray(field)
        fine = sitk.Resample(
            image, anatomy.labels.shape[::-1], sitk.Transform(), sitk.sitkLinear, [0.0] * 3, [1.0 / step] * 3
        )
        return sitk.GetArrayFromImage(fine)

    return enlarge(beyond), enlarge(skin)


def _fat_margin(anatomy: Anatomy, directions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(K, angles) distance from the labelled trunk to the skin, mm: lean to obese, belly and flanks thicker."""
    base = rng.uniform(9.0, 26.0)
    belly, flank = rng.uniform(-2.0, 9.0), rng.uniform(-3.0, 6.0)
    z = np.arange(anatomy.outline.shape[0]) * anatomy.spacing_mm
    lowest = min(point[2] for point in anatomy.truth.values())
    abdominal = np.exp(-(((z - lowest - 90.0) / 130.0) ** 2))
    around = belly * np.clip(directions[:, 1], 0.0, 1.0) + flank * np.abs(directions[:, 0])
    wave = 2.0 * np.sin(z / rng.uniform(40.0, 90.0) + rng.uniform(0.0, 6.3))
    return np.clip(base + abdominal[:, None] * around[None, :] + wave[:, None], 7.0, 40.0)


def _paint_bowel(hu: np.ndarray, anatomy: Anatomy, grain: _Grain, rng: np.random.Generator) -> None:
    """Gas, fluid, stool or oral contrast within a wall of soft tissue."""
    for prefix, gas_threshold in (("colon", 0.3), ("small_bowel", 1.6), ("stomach", 0.8)):
        inside = anatomy.source.mask(prefix) if anatomy.source.labels.shape == hu.shape else _mask(anatomy, prefix)
        content = 25.0 + rng.normal(0.0, 12.0) + 25.0 * grain.middle[inside]
        if rng.random() < 0.2:
            content = content + rng.uniform(120.0, 380.0)
        gas = grain.coarse[inside] + 0.25 * grain.middle[inside] > gas_threshold + rng.normal(0.0, 0.5)
        hu[inside] = np.where(gas, -960.0 + 60.0 * np.abs(grain.fine[inside]), content)


def _mask(anatomy: Anatomy, *prefixes: str) -> np.ndarray:
    table = np.zeros(256, dtype=bool)
    table[anatomy.source.ids(*prefixes)] = True
    return table[anatomy.labels]


def _paint_lungs(hu: np.ndarray, anatomy: Anatomy, grain: _Grain, rng: np.random.Generator) -> None:
    """Vessels as the ridges of the grain, and more blood towards the back of a supine patient."""
    inside = _mask(anatomy, "lung")
    if not inside.any():
        return
    ridge = np.exp(-((grain.middle[inside] / 0.16) ** 2)) * np.clip(0.4 + grain.coarse[inside], 0.0, 1.0)
    back = np.nonzero(inside)[1].astype(np.float32)
    slope = rng.uniform(0.0, 90.0) * (1.0 - back / anatomy.labels.shape[1])
    hu[inside] += ridge * rng.uniform(200.0, 600.0) + slope


def _paint_discs(hu: np.ndarray, anatomy: Anatomy, grain: _Grain, rng: np.random.Generator) -> None:
    """Fibrocartilage; sometimes a vacuum in one disc."""
    inside = anatomy.labels == DISC
    hu[inside] = rng.normal(85.0, 14.0) + 10.0 * grain.middle[inside]


def _paint_bones(
    hu: np.ndarray, anatomy: Anatomy, grain: _Grain, rng: np.random.Generator, random_contrast: bool
) -> None:
    """Cortical shell over trabecular bone; every vertebra a little different, osteoporotic to dense."""
    bone = anatomy.bone
    depth = -anatomy.depth[bone].astype(np.float32)
    labels = anatomy.labels[bone]
    trabecular = float(np.clip(rng.normal(165.0, 62.0), 30.0, 340.0))
    cortical = float(np.clip(rng.normal(520.0, 110.0) + 0.6 * (trabecular - 165.0), 280.0, 900.0))
    if random_contrast:
        trabecular, cortical = rng.uniform(60.0, 400.0), rng.uniform(300.0, 1100.0)
    table = trabecular + rng.normal(0.0, 14.0, 256).astype(np.float32)
    appendicular = anatomy.source.ids("rib_", "hip_", "femur", "sacrum", "scapula", "clavicula", "humerus", "sternum")
    table[appendicular] = trabecular * rng.uniform(0.5, 0.95)
    thickness = rng.uniform(0.9, 1.5)
    shell = np.exp(-((depth / thickness) ** 2))
    texture = rng.uniform(18.0, 50.0) * (0.7 * grain.fine[bone] + 0.6 * grain.middle[bone])
    long_bones = np.zeros(256, dtype=np.float32)
    long_bones[anatomy.source.ids("femur", "humerus")] = 450.0
    values = table[labels] + texture + shell * (cortical + long_bones[labels] - table[labels])
    values += shell * 70.0 * grain.middle[bone]
    arches = (anatomy.bodies[bone] == 0) & np.isin(labels, anatomy.source.ids("vertebrae_"))
    values += arches * rng.uniform(40.0, 140.0)  # pedicles, facets and processes are denser than bodies
    if anatomy.bone_hu is not None and not random_contrast:
        values = _real_bone(values, anatomy.bone_hu[bone], trabecular)
    hu[bone] = values


def _real_bone(values: np.ndarray, measured: np.ndarray, trabecular: float) -> np.ndarray:
    """Real HU where they are known (200 and more), scaled to this case's density; below, the painted values."""
    factor = np.float32(np.clip(trabecular / 165.0, 0.6, 1.6))
    known = measured >= 200
    below = np.minimum(values, 195.0) * 0.5 + 0.5 * trabecular * 0.8
    return np.where(known, measured * (0.5 + 0.5 * factor), below)
