"""Painting an anatomy with Hounsfield units: the patient, before bending and before the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .anatomy import DISC, Anatomy, outline_directions
from .hu_table import draw_table
from .noise import enlarge, smooth_noise

AIR, FAT, MUSCLE, SKIN = -1000.0, -102.0, 52.0, 20.0
RANDOM_CONTRAST_SHARE = 0.35
_SKIN_MM = 2.2
_COARSE = 4  # the outline is evaluated on every fourth voxel and interpolated


@dataclass(frozen=True)
class Patient:
    """What is drawn once and shared by all tissues of a case.

    Attributes:
        fine, middle, coarse: random fields of about 2, 6 and 20 mm grain, unit variance, (K, J, I) float32.
        random_contrast: intensities are drawn from broad ranges instead of around the table.
        trabecular, cortical: HU of spongy and compact bone.
        muscle, fat: HU.
    """

    fine: np.ndarray
    middle: np.ndarray
    coarse: np.ndarray
    random_contrast: bool
    trabecular: float
    cortical: float
    muscle: float
    fat: float


def draw_patient(anatomy: Anatomy, rng: np.random.Generator) -> Patient:
    """Draw the textures and the main tissue values of one case; bone from osteoporotic to dense."""
    shape, s = anatomy.labels.shape, anatomy.spacing_mm
    random_contrast = bool(rng.random() < RANDOM_CONTRAST_SHARE)
    trabecular = float(np.clip(rng.normal(160.0, 60.0), 30.0, 340.0))
    cortical = float(np.clip(rng.normal(760.0, 130.0) + 0.8 * (trabecular - 160.0), 400.0, 1200.0))
    if random_contrast:
        trabecular, cortical = rng.uniform(60.0, 400.0), rng.uniform(300.0, 1100.0)
    return Patient(
        fine=smooth_noise(rng, shape, 1.0),
        middle=smooth_noise(rng, shape, 6.0 / s),
        coarse=smooth_noise(rng, shape, 20.0 / s),
        random_contrast=random_contrast,
        trabecular=trabecular,
        cortical=cortical,
        muscle=MUSCLE + rng.normal(0.0, 9.0),
        fat=FAT + rng.normal(0.0, 6.0),
    )


def paint(anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> np.ndarray:
    """Paint every structure.

    Returns:
        (K, J, I) float32 HU on the anatomy's grid, free of scanner noise.
    """
    mean, width = draw_table(anatomy.source.names, rng, patient.random_contrast)
    hu = np.full(anatomy.labels.shape, np.float32(AIR))
    organ = anatomy.labeled
    labels = anatomy.labels.ravel()[organ]
    texture = 0.5 * patient.fine.ravel()[organ] + 0.8 * patient.middle.ravel()[organ]
    hu.ravel()[organ] = mean[labels] + width[labels] * texture

    _paint_unlabeled(hu, anatomy, patient, rng)
    _paint_bowel(hu, anatomy, patient, rng)
    _paint_lungs(hu, anatomy, patient, rng)
    _paint_discs(hu, anatomy, patient, rng)
    _paint_bones(hu, anatomy, patient, rng)
    return hu


def _paint_unlabeled(hu: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> None:
    """Muscle wall, subcutaneous fat and skin outside; fat with vessels and muscle about the bones inside."""
    wall_mm = rng.uniform(5.0, 13.0)
    beyond, skin = _shells(anatomy, wall_mm, rng)
    chosen = np.flatnonzero((anatomy.labels == 0) & (skin <= 0.0))
    beyond, skin = beyond.ravel()[chosen], skin.ravel()[chosen]
    middle, coarse = patient.middle.ravel()[chosen], patient.coarse.ravel()[chosen]

    stranded = np.clip(0.9 * coarse + 0.5 * middle - rng.uniform(0.2, 1.2), 0.0, 1.0)
    values = patient.fat + 10.0 * middle
    values += stranded * (patient.muscle - patient.fat)  # vessels, nodes and folds within the fat of the trunk
    streaks = np.clip(0.7 * coarse + 0.8 * middle - rng.uniform(0.6, 1.8), 0.0, 1.5)
    flesh = patient.muscle + 14.0 * middle - 70.0 * streaks  # fatty streaks of the muscles
    fleshy = ((beyond > -7.0) & (beyond < wall_mm)) | _near_bone(anatomy, chosen, rng)
    values = np.where(fleshy, flesh, values)
    values = np.where(beyond >= wall_mm, patient.fat + 6.0 * middle, values)
    values = np.where(skin > -_SKIN_MM, SKIN, values)
    hu.ravel()[chosen] = values


def _near_bone(anatomy: Anatomy, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Muscle clothes the bones: thickly behind the spine and about the pelvis, thinly elsewhere."""
    _, height, width = anatomy.labels.shape
    s = anatomy.spacing_mm
    z = np.arange(anatomy.labels.shape[0]) * s
    behind = np.arange(height)[None, :] * s < anatomy.axis(z)[:, 1:2] - 14.0
    pelvic = z < min(point[2] for point in anatomy.truth.values()) - 10.0
    reach = np.where(pelvic[:, None], 11.5, np.where(behind, 11.0, 3.5)) * rng.uniform(0.8, 1.05)
    return anatomy.depth.ravel()[chosen] < reach.ravel()[chosen // width]


def _shells(anatomy: Anatomy, wall_mm: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Signed distances, mm: beyond the labeled trunk, and beyond the skin; each (K, J, I) float32."""
    s, step = anatomy.spacing_mm, _COARSE
    shape = tuple(-(-size // step) + 1 for size in anatomy.labels.shape)
    directions = outline_directions()
    margin = _skin_margin(anatomy, directions, wall_mm, rng).astype(np.float32)
    rows = np.minimum(np.arange(shape[0]) * step, anatomy.labels.shape[0] - 1)
    y, x = (np.arange(n, dtype=np.float32) * step * s for n in shape[1:])
    outline = anatomy.outline.astype(np.float32)
    beyond = np.full(shape, -np.inf, dtype=np.float32)
    skin = np.full(shape, -np.inf, dtype=np.float32)
    for angle, (dx, dy) in enumerate(directions.astype(np.float32)):
        reach = x[None, None, :] * dx + y[None, :, None] * dy - outline[rows, angle, None, None]
        np.maximum(beyond, reach, out=beyond)
        np.maximum(skin, reach - margin[rows, angle, None, None], out=skin)
    return enlarge(beyond, anatomy.labels.shape, step), enlarge(skin, anatomy.labels.shape, step)


def _skin_margin(anatomy: Anatomy, directions: np.ndarray, wall_mm: float, rng: np.random.Generator) -> np.ndarray:
    """(K, angles) distance from the labeled trunk to the skin, mm: lean to obese, belly and flanks thicker."""
    fat = rng.uniform(3.0, 24.0)
    belly, flank = rng.uniform(-2.0, 9.0), rng.uniform(-2.0, 6.0)
    z = np.arange(anatomy.outline.shape[0]) * anatomy.spacing_mm
    lowest = min(point[2] for point in anatomy.truth.values())
    abdominal = np.exp(-(((z - lowest - 90.0) / 130.0) ** 2))
    around = belly * np.clip(directions[:, 1], 0.0, 1.0) + flank * np.abs(directions[:, 0])
    wave = 2.0 * np.sin(z / rng.uniform(40.0, 90.0) + rng.uniform(0.0, 6.3))
    return wall_mm + np.clip(fat + abdominal[:, None] * around[None, :] + wave[:, None], 2.0, 40.0 - wall_mm)


def _paint_bowel(hu: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> None:
    """Gas, fluid, stool or oral contrast."""
    for prefix, gas_threshold in (("colon", 0.3), ("small_bowel", 1.6), ("stomach", 0.8)):
        inside = anatomy.mask(prefix)
        content = 25.0 + rng.normal(0.0, 12.0) + 25.0 * patient.middle[inside]
        if rng.random() < 0.2:
            content = content + rng.uniform(120.0, 380.0)
        gas = patient.coarse[inside] + 0.25 * patient.middle[inside] > gas_threshold + rng.normal(0.0, 0.5)
        hu[inside] = np.where(gas, -960.0 + 60.0 * np.abs(patient.middle[inside]), content)


def _paint_lungs(hu: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> None:
    """Vessels as the ridges of the grain, and more blood towards the back of a supine patient."""
    inside = anatomy.mask("lung")
    ridge = np.exp(-((patient.middle[inside] / 0.16) ** 2)) * np.clip(0.4 + patient.coarse[inside], 0.0, 1.0)
    row = np.nonzero(inside)[1].astype(np.float32)
    slope = rng.uniform(0.0, 90.0) * (1.0 - row / anatomy.labels.shape[1])
    hu[inside] += ridge * rng.uniform(200.0, 600.0) + slope


def _paint_discs(hu: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> None:
    """Fibrocartilage."""
    inside = anatomy.labels == DISC
    hu[inside] = rng.normal(85.0, 14.0) + 10.0 * patient.middle[inside]


def _paint_bones(hu: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> None:
    """Cortical shell over trabecular bone; every bone a little different."""
    bone = anatomy.bone
    depth = -anatomy.depth.ravel()[bone].astype(np.float32)
    labels = anatomy.labels.ravel()[bone]
    fine, middle = patient.fine.ravel()[bone], patient.middle.ravel()[bone]
    inner = patient.trabecular + rng.normal(0.0, 14.0, 256).astype(np.float32)
    spongy = ("rib_", "hip_", "femur", "sacrum", "scapula", "clavicula", "humerus", "sternum")
    inner[anatomy.source.ids(*spongy)] = patient.trabecular * rng.uniform(0.5, 0.95)
    outer = np.full(256, patient.cortical, dtype=np.float32)
    outer[anatomy.source.ids("femur", "humerus")] += 350.0
    shell = np.exp(-((depth / rng.uniform(0.9, 1.5)) ** 2))
    body = anatomy.bodies.ravel()[bone] > 0
    shell[body] *= rng.uniform(0.3, 0.55)  # the shell of a body is thinner than a voxel
    values = inner[labels] + rng.uniform(18.0, 50.0) * (0.6 * fine + 0.7 * middle)
    values += shell * (outer[labels] + 90.0 * middle - inner[labels])
    arch = ~body & np.isin(np.arange(256), anatomy.source.ids("vertebrae_"))[labels]
    values += arch * np.float32(rng.uniform(60.0, 200.0))  # pedicles, facets and processes are denser than bodies
    if anatomy.bone_hu is not None and not patient.random_contrast:
        values = _real_bone(values, anatomy.bone_hu.ravel()[bone], patient.trabecular)
    hu.ravel()[bone] = values


def _real_bone(values: np.ndarray, measured: np.ndarray, trabecular: float) -> np.ndarray:
    """Real HU where they are known (200 and more), scaled to this case's density; below, the painted values."""
    density = np.float32(np.clip(trabecular / 160.0, 0.6, 1.6))
    below = 0.5 * np.minimum(values, 195.0) + 0.4 * trabecular
    return np.where(measured >= 200, measured * (0.5 + 0.5 * density), below)
