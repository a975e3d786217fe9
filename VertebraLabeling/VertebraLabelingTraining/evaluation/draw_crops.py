"""Draw random fields of view of 3 to 12 whole vertebrae from scans with truth.

A crop ends between two vertebrae: 50 to 100 % of the way from the last one that is meant to be in it to the next, so
that the next is cut; where the truth ends, up to four vertebral heights further (skull, sacrum), as far as the scan
goes. Half of the crops keep the scan's width and depth; the others are squares of 150 to 300 mm around the spine.

A vertebra is *whole* in the crop if the scan does not cut it and its center is at least 40 % of the distance to its
neighbors away from every face of the crop. All other true vertebrae count as cut: neither way. *Landmarks* are whole
vertebrae whose level can be seen without counting: C2 (dens), T1 (first rib), T12 (last rib), and L5 where the crop
reaches 30 mm below its center (sacrum).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.field_of_view import distance_to_face
from VertebraLabelingLib.core.volume import Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.formats.mrk_json import MarkupPoint
from VertebraLabelingLib.solver.chain_ends import HALF_BODY

FEWEST, MOST = 3, 12
CT_SHARE = 0.4
BEYOND_MOST = 4.0  # vertebral heights beyond the end of the truth
NARROW_SHARE, NARROW_MM, NARROW_SHIFT_MM = 0.5, (150.0, 300.0), 20.0
SACRUM_MM = 30.0
LANDMARKS = {"C2": "dens", "T1": "first rib", "T12": "last rib", "L5": "sacrum"}
_TRIES = 200


@dataclass(frozen=True)
class Crop:
    """One field of view.

    Attributes:
        volume: the crop, a volume of its own.
        whole: levels of the vertebrae that are whole in it, head to foot.
        landmarks: which of :data:`LANDMARKS` are among them.
    """

    volume: Volume
    whole: tuple[str, ...]
    landmarks: tuple[str, ...]


def shares(patients: Mapping[str, str], count: int) -> dict[str, int]:
    """How many crops each patient gives: ``ct/`` 40 % of them, each patient of a set as many as any other.

    Args:
        patients: case name (``ct/...``, ``openkbp/...``) -> patient.
    """
    ct = sorted({patient for name, patient in patients.items() if name.startswith("ct/")})
    other = sorted(set(patients.values()) - set(ct))
    from_ct = round(CT_SHARE * count) if other else count
    parts = ((ct, from_ct), (other, count - from_ct if ct else count))
    return {
        patient: total // len(group) + (row < total % len(group))
        for group, total in parts
        for row, patient in enumerate(group)
    }


def patients_of(splits: Path, names: Sequence[str]) -> dict[str, str]:
    """Case name -> patient, by the groups of ``splits.json``."""
    same = json.loads(Path(splits).read_text(encoding="utf-8"))["same_patient"]
    first = {other: name for name, others in same.items() for other in others}
    return {name: first.get(name, name) for name in names}


def draw_crop(
    volume: Volume, truth: Sequence[MarkupPoint], rng: np.random.Generator, added: Sequence[MarkupPoint] = ()
) -> Crop | None:
    """Cut one random crop.

    Args:
        volume: the whole scan, canonical axes.
        truth: its vertebrae, those that the scan cuts included.
        added: further ones. They count where they are whole, and change nothing of where the crop ends.

    Returns:
        The crop; None where the scan holds no run of three whole vertebrae.
    """
    points, every = (sorted(some, key=lambda point: LEVEL_INDEX[point.level]) for some in (truth, [*truth, *added]))
    mm = ras_to_ijk(volume, np.array([point.ras for point in points])) * volume.spacing
    whole = [row for row, point in enumerate(points) if not point.cut]
    for _ in range(_TRIES if len(whole) >= FEWEST else 0):
        count = int(rng.integers(FEWEST, min(MOST, len(whole)) + 1))
        start = int(rng.integers(0, len(whole) - count + 1))
        first, last = whole[start], whole[start + count - 1]
        low, high = _box(volume, mm, first, last, rng)
        part = _cut(volume, low, high)
        if FEWEST <= len(whole_levels(part, points)) <= MOST:
            inside = whole_levels(part, every)
            return Crop(part, inside, _fixed_points(part, every, inside))
    return None


def whole_levels(part: Volume, points: Sequence[MarkupPoint]) -> tuple[str, ...]:
    """Levels of the vertebrae that lie whole in a crop; ``points`` from head to foot."""
    ras = np.array([point.ras for point in points])
    gap = np.linalg.norm(np.diff(ras, axis=0), axis=1)
    near = np.minimum(np.append(gap, np.inf), np.insert(gap, 0, np.inf))
    enough = distance_to_face(ras, part.corners) >= HALF_BODY * near
    return tuple(point.level for point, inside in zip(points, enough) if inside and not point.cut)


def _fixed_points(part: Volume, points: Sequence[MarkupPoint], whole: Sequence[str]) -> tuple[str, ...]:
    found = [LANDMARKS[level] for level in ("C2", "T1", "T12") if level in whole]
    if "L5" in whole:
        place = next(np.array(point.ras) for point in points if point.level == "L5")
        below = ras_to_ijk(part, place[None])[0, 2] * part.spacing[2]
        if below >= SACRUM_MM:
            found.append(LANDMARKS["L5"])
    return tuple(found)


def _box(
    volume: Volume, mm: np.ndarray, first: int, last: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner (i, j, k) of the crop in voxels, upper not included; ``mm`` (N, 3) as (i, j, k) mm."""
    size = np.array(volume.array.shape[::-1])
    low, high = np.zeros(3), size * volume.spacing
    z = mm[:, 2]
    low[2] = z[last] - _beyond(z[last - 1] - z[last], z[last] - z[last + 1] if last + 1 < len(z) else None, rng)
    high[2] = z[first] + _beyond(z[first] - z[first + 1], z[first - 1] - z[first] if first else None, rng)
    if rng.random() < NARROW_SHARE:
        half = rng.uniform(*NARROW_MM) / 2
        middle = mm[first : last + 1, :2].mean(axis=0) + rng.uniform(-NARROW_SHIFT_MM, NARROW_SHIFT_MM, 2)
        low[:2], high[:2] = middle - half, middle + half
    low = np.clip(np.round(low / volume.spacing), 0, size - 2).astype(int)
    high = np.clip(np.round(high / volume.spacing), low + 2, size).astype(int)
    return low, high


def _beyond(own: float, to_next: float | None, rng: np.random.Generator) -> float:
    """How far (mm) the crop goes beyond the center of its last vertebra."""
    if to_next is not None:
        return float(rng.uniform(0.5, 1.0) * max(to_next, 1.0))
    return float(rng.uniform(0.5, BEYOND_MOST) * max(own, 1.0))


def _cut(volume: Volume, low: np.ndarray, high: np.ndarray) -> Volume:
    affine = volume.ijk_to_ras.copy()
    affine[:3, 3] = apply_affine(affine, low)[0]
    parts = tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1]))
    return Volume(np.ascontiguousarray(volume.array[parts]), affine)
