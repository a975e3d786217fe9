"""Disease and treatment of the spine: fractures, bridging, fusion, lesions, cement, screws and rods, short ribs.

Everything is done to the painted patient before bending, so that it bends along.
"""

from __future__ import annotations

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX

from .anatomy import DISC, Anatomy
from .local import Frame, box, frames, segment_distance
from .paint import Patient

METAL_HU = 4000.0
_SHORT_RIBS, _SACRALISED, _DEGENERATION, _FUSION = 0.15, 0.04, 0.5, 0.05
_LESIONS, _FRACTURES, _CEMENT, _SCREWS = 0.08, 0.18, 0.04, 0.06
"""Shares of the cases; more than in a clinic, for the cases are few and the rare is what fails."""


def afflict(hu: np.ndarray, bodies: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator):
    """Change ``hu`` and ``bodies`` in place.

    Args:
        hu: (K, J, I) float32. bodies: (K, J, I) uint8 as in the anatomy.
        anatomy: what was painted. patient: its drawn values. rng: source of randomness.

    Returns:
        body centers after the change, mm: a wedged body's center moves with its mass.
    """
    truth = dict(anatomy.truth)
    whole = [frame for frame in frames(truth) if frame.level not in anatomy.cut]
    chances = rng.random(8)
    if chances[0] < _SHORT_RIBS or "T13" in truth:
        _shorten_last_ribs(hu, anatomy, patient, rng)
    if chances[1] < _SACRALISED:
        _sacralise(hu, anatomy, patient)
    if chances[2] < _DEGENERATION:
        _degenerate(hu, anatomy, patient, whole, rng)
    if chances[3] < _FUSION:
        _fuse(hu, anatomy, patient, whole, rng)
    if chances[4] < _LESIONS:
        for _ in range(rng.integers(1, 7)):
            _lesion(hu, anatomy, whole[rng.integers(len(whole))], rng)
    if chances[5] < _FRACTURES:
        for number in rng.choice(len(whole), size=min(len(whole), int(rng.integers(1, 4))), replace=False):
            truth[whole[number].level] = _fracture(hu, bodies, anatomy, whole[number], rng)
    if chances[6] < _CEMENT:
        _cement(hu, bodies, anatomy, whole[rng.integers(len(whole))], patient, rng)
    if chances[7] < _SCREWS and len(whole) > 2:
        _screws(hu, anatomy, whole, rng)
    return truth


def _shorten_last_ribs(hu: np.ndarray, anatomy: Anatomy, patient: Patient, rng: np.random.Generator) -> None:
    """Hypoplastic last ribs, each side its own length."""
    last = "13" if "T13" in anatomy.truth else "12"
    if f"T{last}" not in anatomy.truth:
        return
    center = anatomy.truth[f"T{last}"]
    for side in ("left", "right"):
        k, j, i = np.nonzero(anatomy.mask(f"rib_{side}_{last}"))
        far = np.linalg.norm(np.stack([i, j, k], axis=1) * anatomy.spacing_mm - center, axis=1) > rng.uniform(
            45.0, 95.0
        )
        hu[k[far], j[far], i[far]] = patient.muscle + 12.0 * patient.middle[k[far], j[far], i[far]]


def _sacralise(hu: np.ndarray, anatomy: Anatomy, patient: Patient) -> None:
    """Bone between the transverse processes of the last lumbar vertebra and the sacrum."""
    lowest = frames(anatomy.truth)[-1]
    if not anatomy.source.ids("sacrum"):
        return
    space = box(anatomy, lowest, lowest.point(0.0, -8.0, -15.0), 55.0)
    labels = anatomy.labels[space.region]
    to_sacrum = _distance(np.isin(labels, anatomy.source.ids("sacrum", "vertebrae_S1")), anatomy.spacing_mm)
    to_lowest = _distance(np.isin(labels, anatomy.source.ids(f"vertebrae_{lowest.level}")), anatomy.spacing_mm)
    bridge = (to_sacrum + to_lowest < 16.0) & (np.abs(space.right) > 24.0) & (labels == 0)
    hu[space.region][bridge] = patient.trabecular + 60.0 + 30.0 * patient.middle[space.region][bridge]


def _distance(mask: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Distance in mm to a mask; far away where the mask is empty."""
    import SimpleITK as sitk

    if not mask.any():
        return np.full(mask.shape, 1e3, dtype=np.float32)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([spacing_mm] * 3)
    return np.maximum(sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True)), 0.0)


def _degenerate(hu, anatomy: Anatomy, patient: Patient, whole: list[Frame], rng: np.random.Generator) -> None:
    """Osteophytes at the rims of discs, sclerosis of endplates, gas within a disc."""
    severity = rng.uniform(0.1, 1.0)
    for upper, lower in zip(whole[:-1], whole[1:]):
        if rng.random() > severity:
            continue
        middle = (upper.center + lower.center) / 2
        space = box(anatomy, upper, middle, 34.0)
        labels, bodies = anatomy.labels[space.region], anatomy.bodies[space.region]
        disc = labels == DISC
        away = _distance((bodies > 0) | (disc & (np.abs(space.up) < 6.0)), anatomy.spacing_mm)
        thickness = rng.uniform(1.5, 5.5) * np.clip(0.5 + patient.coarse[space.region], 0.0, 1.3)
        height = rng.uniform(5.0, 11.0)
        spur = (away > 0) & (away < thickness) & (np.abs(space.up) < height) & (space.anterior > -11.0)
        spur &= ~_canal(labels, anatomy)
        region = hu[space.region]
        region[spur] = 0.6 * patient.cortical + 60.0 * patient.middle[space.region][spur]
        if rng.random() < 0.3:
            plate = (bodies > 0) & (np.abs(space.up) < height)
            region[plate] += rng.uniform(40.0, 200.0)
        if rng.random() < 0.15:
            gas = disc & (np.abs(patient.coarse[space.region]) < 0.25)
            region[gas] = rng.uniform(-700.0, -150.0)


def _canal(labels: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    return np.isin(labels, anatomy.source.ids("spinal_cord"))


def _fuse(hu, anatomy: Anatomy, patient: Patient, whole: list[Frame], rng: np.random.Generator) -> None:
    """Discs turned to bone over one to several levels: block vertebra or ankylosis."""
    first = int(rng.integers(0, max(len(whole) - 1, 1)))
    for upper, lower in list(zip(whole[:-1], whole[1:]))[first : first + int(rng.integers(1, 6))]:
        space = box(anatomy, upper, (upper.center + lower.center) / 2, 32.0)
        disc = (anatomy.labels[space.region] == DISC) & (np.abs(space.up) < 12.0)
        hu[space.region][disc] = patient.trabecular + 60.0 + 40.0 * patient.middle[space.region][disc]


def _lesion(hu: np.ndarray, anatomy: Anatomy, frame: Frame, rng: np.random.Generator) -> None:
    """A sclerotic or lytic spot in a vertebra."""
    middle = frame.point(*rng.normal(0.0, (9.0, 9.0, 6.0)))
    radius = rng.uniform(4.0, 12.0)
    space = box(anatomy, frame, middle, 1.6 * radius)
    reach = np.sqrt(space.right**2 + space.anterior**2 + space.up**2) / radius
    bone = np.isin(anatomy.labels[space.region], anatomy.source.ids("vertebrae_"))
    weight = np.clip(2.5 * (1.0 - reach), 0.0, 1.0) * bone
    region = hu[space.region]
    target = region + rng.uniform(200.0, 800.0) if rng.random() < 0.6 else np.full_like(region, rng.uniform(20.0, 70.0))
    region += weight * (target - region)


def _fracture(hu, bodies, anatomy: Anatomy, frame: Frame, rng: np.random.Generator) -> np.ndarray:
    """Wedge, biconcave or crush deformity: the body's height shrinks, the discs fill the room; returns the center."""
    space = box(anatomy, frame, frame.center, 34.0)
    loss = rng.uniform(0.2, 0.5)
    shape = rng.choice(["wedge", "biconcave", "crush"])
    front, side = space.anterior, np.clip((30.0 - np.abs(space.right)) / 6.0, 0.0, 1.0)
    side = side * np.clip((front + 17.0) / 5.0, 0.0, 1.0) * np.clip((30.0 - front) / 5.0, 0.0, 1.0)
    if shape == "wedge":
        loss = loss * np.clip((front + 14.0) / 28.0, 0.0, 1.0)
    elif shape == "biconcave":
        loss = loss * np.clip(1.0 - (front**2 + space.right**2) / 17.0**2, 0.0, 1.0)
    loss = loss * side
    # along the vertebra's axis: body half-height h and the end of the disc g; the voxel at w shows what was at w'
    h, g = 0.43 * frame.spacing, 0.56 * frame.spacing
    w = np.abs(space.up)
    shrunk = h * (1.0 - loss)
    origin = np.where(w < shrunk, w / (1.0 - loss), np.where(w < g, h + (w - shrunk) * (g - h) / (g - shrunk), w))
    # the gather goes along z: the axis of a thoracolumbar vertebra is within 30 degrees of it
    move = np.sign(space.up) * (origin - w) / frame.axes[2, 2] / anatomy.spacing_mm
    rows = np.clip(np.arange(w.shape[0])[:, None, None] + move, 0.0, w.shape[0] - 1.001)
    low = rows.astype(int)
    part = (rows - low).astype(np.float32)
    before = _mass_center(bodies[space.region], frame.level)
    region = hu[space.region].copy()
    mixed = np.take_along_axis(region, low, 0) * (1 - part) + np.take_along_axis(region, low + 1, 0) * part
    bodies[space.region] = np.take_along_axis(bodies[space.region], np.rint(rows).astype(int), 0)
    inside = bodies[space.region] == LEVEL_INDEX[frame.level] + 1
    hu[space.region] = mixed + inside * np.float32(rng.uniform(0.0, 90.0))  # crushed bone is denser
    return frame.center + (_mass_center(bodies[space.region], frame.level) - before) * anatomy.spacing_mm


def _mass_center(bodies: np.ndarray, level: str) -> np.ndarray:
    """(3,) x, y, z of a level's body, voxels of the array."""
    return np.array([axis.mean() for axis in np.nonzero(bodies == LEVEL_INDEX[level] + 1)])[::-1]


def _cement(hu, bodies, anatomy: Anatomy, frame: Frame, patient: Patient, rng: np.random.Generator) -> None:
    """Vertebroplasty: an uneven opaque cloud within one body."""
    space = box(anatomy, frame, frame.point(*rng.normal(0.0, (4.0, 3.0, 1.0))), 16.0)
    reach = np.sqrt(space.right**2 + space.anterior**2 + space.up**2) + 2.5 * patient.middle[space.region]
    cloud = (reach < rng.uniform(6.0, 12.0)) & (bodies[space.region] == LEVEL_INDEX[frame.level] + 1)
    hu[space.region][cloud] = rng.uniform(1200.0, 2500.0)


def _screws(hu: np.ndarray, anatomy: Anatomy, whole: list[Frame], rng: np.random.Generator) -> None:
    """Pedicle screws at two to six neighboring levels, joined by a rod on each side."""
    first = int(rng.integers(0, len(whole) - 1))
    chosen = whole[first : first + int(rng.integers(2, 7))]
    lateral, back, radius = rng.uniform(15.0, 20.0), rng.uniform(34.0, 42.0), rng.uniform(2.4, 3.4)
    for side in (-1.0, 1.0):
        heads = []
        for frame in chosen:
            size = frame.spacing / 33.0
            head = frame.point(side * lateral * max(size, 0.75), -back * max(size, 0.85), rng.normal(0.0, 1.0))
            tip = frame.point(side * rng.uniform(5.0, 9.0), rng.uniform(6.0, 13.0) * size, rng.normal(0.0, 2.0))
            _rod(hu, anatomy, frame, head, tip, radius)
            _rod(hu, anatomy, frame, head, head + frame.axes[1] * -4.0, 5.5)
            heads.append(head)
        for frame, start, end in zip(chosen, heads[:-1], heads[1:]):
            _rod(hu, anatomy, frame, start, end, radius)


def _rod(hu: np.ndarray, anatomy: Anatomy, frame: Frame, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    middle = (start + end) / 2
    space = box(anatomy, frame, middle, np.linalg.norm(end - start) / 2 + radius + 2.0)
    near = segment_distance(space, frame, middle, start, end)
    cover = np.clip((radius - near) / anatomy.spacing_mm + 0.5, 0.0, 1.0)
    region = hu[space.region]
    region += cover * (METAL_HU - region)
