"""What a label map does not say: discs, vertebral bodies, depth inside bone, the outline of the trunk.

Computed once per source; every synthetic case of that source shares it. All arrays are (K, J, I) on the padded grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX

from .sources import LabelMapSource, structure_mask

BONE = ("vertebrae_", "rib_", "sacrum", "hip_", "femur", "humerus", "scapula", "clavicula", "sternum", "skull")
OUTLINE_ANGLES = 48
PADDING_MM = 42.0
"""Room for muscle, fat and skin around the labeled structures."""

DISC, BODY_RADIUS_MM = 250, 34.0
_MAX_DISC_MM = 21.0
_MAX_DEPTH_MM = 12.0


@dataclass(frozen=True)
class Anatomy:
    """A source on a padded grid with the derived structures.

    Attributes:
        source: where it comes from.
        labels: structure ids; ``DISC`` for intervertebral discs.
        bodies: 0, or 1 + index in :data:`anatomy.LEVELS` inside that level's vertebral body.
        depth: float16 signed distance to the nearest surface of a bone, mm, negative inside; limited to +-12 mm.
        labeled, bone: flat indices of the voxels of any structure, and of those inside bones.
        bone_hu: real HU of bone on this grid, 0 where unknown; or ``None``.
        outline: (K, 48) support function of the labeled trunk per slice: extent along each direction, mm.
        truth, cut: as in the source, but in this grid's frame.
    """

    source: LabelMapSource
    labels: np.ndarray
    bodies: np.ndarray
    depth: np.ndarray
    labeled: np.ndarray
    bone: np.ndarray
    bone_hu: np.ndarray | None
    outline: np.ndarray
    truth: dict[str, np.ndarray]
    cut: frozenset[str]

    @property
    def spacing_mm(self) -> float:
        """Voxel size, mm."""
        return self.source.spacing_mm

    def mask(self, *prefixes: str) -> np.ndarray:
        """(K, J, I) bool: the structures whose name starts with one of ``prefixes``."""
        return structure_mask(self.labels, self.source.ids(*prefixes))

    def axis(self, z_mm: np.ndarray) -> np.ndarray:
        """(N, 2) x and y of the spine's curve at heights ``z_mm`` (N,), mm; straight beyond its ends."""
        return spine_axis(self.truth, z_mm)


def prepare(source: LabelMapSource) -> Anatomy:
    """Derive everything that the painting needs from a source."""
    labels, bone_hu, shift = _pad(source)
    truth = {level: point + shift for level, point in source.truth.items()}
    padded = LabelMapSource(source.name, labels, source.names, source.spacing_mm, truth, source.cut)
    bodies = _bodies(padded)
    truth, cut = _add_cut_ends(padded, bodies)
    labels = np.where(_discs(padded, bodies), np.uint8(DISC), labels)
    bone = padded.mask(*BONE)
    return Anatomy(
        source=source,
        labels=labels,
        bodies=bodies,
        depth=_depth(labels, bone, source.spacing_mm),
        labeled=np.flatnonzero(labels),
        bone=np.flatnonzero(bone),
        bone_hu=bone_hu,
        outline=_outline(padded),
        truth=truth,
        cut=source.cut | cut,
    )


def spine_axis(truth: dict[str, np.ndarray], z_mm: np.ndarray) -> np.ndarray:
    """(N, 2) x and y of the polygon through the body centers at heights ``z_mm``, straight beyond its ends."""
    points = np.array(sorted(truth.values(), key=lambda point: point[2]))
    first = points[0] - (points[1] - points[0]) * 20
    last = points[-1] + (points[-1] - points[-2]) * 20
    points = np.vstack([first, points, last])
    return np.stack([np.interp(z_mm, points[:, 2], points[:, axis]) for axis in (0, 1)], axis=-1)


def _pad(source: LabelMapSource) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Crop to the labeled structures in plane and add room for soft tissue; returns arrays and the shift in mm."""
    margin = int(np.ceil(PADDING_MM / source.spacing_mm))
    used = source.labels.any(axis=0)
    rows, columns = np.flatnonzero(used.any(axis=1)), np.flatnonzero(used.any(axis=0))
    box = (slice(None), slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    widths = ((0, 0), (margin, margin), (margin, margin))
    shift = np.array([margin - columns[0], margin - rows[0], 0]) * source.spacing_mm
    bone_hu = None if source.bone_hu is None else np.pad(source.bone_hu[box], widths)
    return np.pad(source.labels[box], widths), bone_hu, shift


def _bodies(source: LabelMapSource) -> np.ndarray:
    """Vertebral bodies: the part of each vertebra before the spinal canal and near the spine's curve."""
    depth, height, width = source.labels.shape
    s = source.spacing_mm
    axis = spine_axis(source.truth, np.arange(depth) * s)
    front = _canal_front(source, axis)
    y, x = np.arange(height) * s, np.arange(width) * s
    near = np.abs(x[None, None, :] - axis[:, 0, None, None]) < BODY_RADIUS_MM
    before = (y[None, :, None] > front[:, None, None]) & (y[None, :, None] < axis[:, 1, None, None] + BODY_RADIUS_MM)
    table = np.zeros(256, dtype=np.uint8)
    for number in source.ids("vertebrae_"):
        level = source.names[number].split("_")[1]
        table[number] = LEVEL_INDEX.get(level, 98) + 1
    for number in source.ids("sacrum"):
        table[number] = 99
    return np.where(near & before, table[source.labels], np.uint8(0))


def _canal_front(source: LabelMapSource, axis: np.ndarray) -> np.ndarray:
    """(K,) y of the front wall of the spinal canal, mm; 16 mm behind the body centers where no cord is labeled."""
    s = source.spacing_mm
    cord = source.mask("spinal_cord").any(axis=2)
    seen = np.flatnonzero(cord.any(axis=1))
    if seen.size == 0:
        return axis[:, 1] - 16.0
    front = np.array([np.flatnonzero(cord[k])[-1] for k in seen]) * s + s
    offset = np.interp(np.arange(len(axis)), seen, front - axis[seen, 1])
    kernel = np.ones(9) / 9
    return axis[:, 1] + np.convolve(np.pad(offset, 4, mode="edge"), kernel, mode="valid")


def _add_cut_ends(source: LabelMapSource, bodies: np.ndarray) -> tuple[dict[str, np.ndarray], frozenset[str]]:
    """Add levels that are labeled but have no truth because the border cuts them, at their center of mass."""
    truth, cut = dict(source.truth), set()
    for number in source.ids("vertebrae_"):
        level = source.names[number].split("_")[1]
        if level not in LEVEL_INDEX or level in truth:
            continue
        k, j, i = np.nonzero(bodies == LEVEL_INDEX[level] + 1)
        if len(k) * source.spacing_mm**3 > 3000.0:  # less than about a third of a body says nothing of its center
            truth[level] = np.array([i.mean(), j.mean(), k.mean()]) * source.spacing_mm
            cut.add(level)
    return truth, frozenset(cut)


def _discs(source: LabelMapSource, bodies: np.ndarray) -> np.ndarray:
    """Unlabeled voxels with a body close above and another close below in the same column."""
    used = np.flatnonzero(bodies.any(axis=0))
    rows, columns = np.unravel_index(used, bodies.shape[1:])
    box = (slice(None), slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    inside = bodies[box] > 0
    k = np.arange(len(inside), dtype=np.int32)[:, None, None]
    below = np.maximum.accumulate(np.where(inside, k, -9999), axis=0)
    above = np.minimum.accumulate(np.where(inside, k, 9999)[::-1], axis=0)[::-1]
    discs = np.zeros(bodies.shape, dtype=bool)
    discs[box] = (above - below) * source.spacing_mm <= _MAX_DISC_MM
    return discs & (source.labels == 0)


def _depth(labels: np.ndarray, bone: np.ndarray, spacing_mm: float) -> np.ndarray:
    """Signed distance to bone surfaces; a surface is also where two bones touch."""
    import SimpleITK as sitk

    surface = np.zeros(labels.shape, dtype=bool)
    for axis in range(3):
        ahead, behind = [slice(None)] * 3, [slice(None)] * 3
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        change = labels[tuple(ahead)] != labels[tuple(behind)]
        surface[tuple(ahead)] |= change
        surface[tuple(behind)] |= change
    image = sitk.GetImageFromArray((surface & bone).astype(np.uint8))
    image.SetSpacing([spacing_mm] * 3)
    distance = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))
    distance = np.clip(distance, 0.0, _MAX_DEPTH_MM)
    return np.where(bone, -distance, distance).astype(np.float16)


def _outline(source: LabelMapSource) -> np.ndarray:
    """Support function of the labeled structures, arms left out, smoothed along the body."""
    trunk = (source.labels > 0) & ~source.mask("humerus")
    directions = outline_directions()
    extent = np.full((len(trunk), OUTLINE_ANGLES), np.nan)
    for k in range(len(trunk)):
        j, i = np.nonzero(trunk[k])
        if len(i) > 50:
            extent[k] = (directions @ np.stack([i, j])).max(axis=1) * source.spacing_mm
    known = np.flatnonzero(np.isfinite(extent[:, 0]))
    full = np.stack([np.interp(np.arange(len(extent)), known, extent[known, a]) for a in range(OUTLINE_ANGLES)], axis=1)
    reach = round(15.0 / source.spacing_mm)
    kernel = np.hanning(2 * reach + 3)[1:-1]
    padded = np.pad(full, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, a], kernel / kernel.sum(), "valid") for a in range(OUTLINE_ANGLES)], axis=1)


def outline_directions() -> np.ndarray:
    """(48, 2) unit vectors (x, y) of the support function."""
    angles = np.arange(OUTLINE_ANGLES) * 2 * np.pi / OUTLINE_ANGLES
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
