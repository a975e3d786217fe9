"""What points remember of the volume that they were found in, and what has become of that volume since.

A point that the user has moved or confirmed is handed to every later run. It must not be handed to another picture:
where the voxels were replaced (a frame of a sequence, a crop, a hardened warp), the point may stand in another
vertebra, and all levels would be counted from it. So each run leaves in the provenance of its labels the size of the
volume, a digest of its voxels, its matrix to world space and the places of the points there: whatever brings the labels
back, undo or a scene file, brings that memory with them. Scenes without it are trusted.
"""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from VertebraLabelingLib.core.labels import PREDICTED
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.limits import is_stored_place

from .volumes import ijkToWorld, volumeFromNode

FOUND_IN = "found_in"  # in SpineLabels.provenance

SAMPLED_ROWS = 64  # along each of the two slower axes: 4 MB of a large CT, a few milliseconds
UNMOVED_MM = 0.1  # at the corners of the volume: rounding in files
MAX_MM, SMALLEST_MM3 = 1e6, 1e-6  # of a volume that a run would take
RIGID = 1e-3  # how far the axes of a rotation may be off: rounding
SAME_VERTEBRA_MM = 15.0


class ChangedVolumeError(InputError):
    """The volume is not the one any more that the settled points were found in.

    Attributes:
        what: what happened, a main clause without its full stop.
        levels: the points that the user moved or confirmed.
    """

    def __init__(self, what, levels):
        self.what, self.levels = what, tuple(levels)
        offer = "label into a new point list, or call label with keep=True once you have checked these points."
        super().__init__(self.sentence(offer))

    def sentence(self, offer):
        """What happened, and another offer than scripts get: the end of the sentence."""
        return (
            f"{self.what} since its points were found, and what you moved or confirmed ({_few(self.levels)}) may stand "
            f"in another vertebra now: {offer}"
        )


@dataclass(frozen=True)
class VolumeState:
    """What tells whether a volume is still the same picture at the same place.

    Attributes:
        size: voxels along I, J, K.
        digest: of sampled rows of voxels, whatever their type.
        ijkToWorld: (4, 4) matrix, parent transforms included.
    """

    size: tuple
    digest: str
    ijkToWorld: np.ndarray


@dataclass(frozen=True)
class Memory:
    """What labels remember: the volume, and level -> world RAS mm of the vertebrae there."""

    state: VolumeState
    places: dict


def stateOf(volumeNode):
    """The volume as it is now.

    Raises:
        InputError: it cannot be used (:func:`volumes.volumeFromNode`).
    """
    volume = volumeFromNode(volumeNode)
    return VolumeState(tuple(volume.array.shape[::-1]), _digest(volume.array), volume.ijk_to_ras)


def _digest(array):
    steps = (max(1, -(-count // SAMPLED_ROWS)) for count in array.shape[:2])
    rows = array[tuple(slice(None, None, step) for step in steps)]  # whole rows: their voxels lie side by side
    with np.errstate(over="ignore", invalid="ignore"):
        return hashlib.blake2b(np.ascontiguousarray(rows, "<f4").tobytes(), digest_size=16).hexdigest()


def remembering(labels, state):
    """The labels with the volume that they were found in."""
    memory = {
        "size": list(state.size),
        "digest": state.digest,
        "ijkToWorld": np.asarray(state.ijkToWorld).tolist(),
        "places": {point.level: [round(float(value), 3) for value in point.ras] for point in labels.points},
    }
    return replace(labels, provenance={**labels.provenance, FOUND_IN: memory})


def renewed(labels, volumeNode):
    """After a correction: the labels remember their new places, unless the volume has been moved meanwhile."""
    memory = recall(labels.provenance)
    if memory is None or volumeNode is None:
        return labels
    try:
        moved = motion(memory.state.ijkToWorld, ijkToWorld(volumeNode), memory.state.size)
    except InputError:  # a warp: the next run tells
        return labels
    return remembering(labels, memory.state) if moved is None else labels


def affirmed(labels, volumeNode, levels):
    """After the user has confirmed ``levels``: where these are all settled points, they hold in the voxels as they are.

    A volume that was only moved is left to the next run, which finds out what has gone along.
    """
    memory = recall(labels.provenance)
    others = [point.level for point in labels.points if point.status != PREDICTED and point.level not in levels]
    if memory is None or volumeNode is None or others or not levels:
        return labels
    try:
        state = stateOf(volumeNode)
    except InputError:
        return labels
    changed = rigidMotion(volumeNode.GetName(), memory.state, state)[1]
    return remembering(labels, state) if changed else labels


def recall(provenance):
    """What labels remember (:class:`Memory`); ``None`` in older scenes, or where it is damaged."""
    try:
        data = provenance[FOUND_IN]
        size, digest = tuple(data["size"]), data["digest"]
        matrix, places = np.array(data["ijkToWorld"], dtype=float), dict(data["places"])
        np.linalg.inv(matrix)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, np.linalg.LinAlgError):
        return None
    good = matrix.shape == (4, 4) and len(size) == 3 and isinstance(digest, str) and _isGeometry(matrix)
    if not good or not all(type(count) is int and 0 < count < 1e6 for count in size):
        return None
    places = {level: tuple(ras) for level, ras in places.items() if is_stored_place(ras)}
    return Memory(VolumeState(size, digest, matrix), places)


def _isGeometry(matrix):
    """Whether a (4, 4) matrix can be that of a volume: voxels of a size, not too far away; false for NaN."""
    if not np.abs(matrix).max() < MAX_MM or (matrix[3] != (0, 0, 0, 1)).any():
        return False
    return abs(np.linalg.det(matrix[:3, :3])) > SMALLEST_MM3


def motion(before, after, size):
    """(4, 4) matrix in world space by which a volume was moved; ``None`` where it was not."""
    corners = [(i, j, k) for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])]
    apart = apply_affine(after, corners) - apply_affine(before, corners)
    return None if np.linalg.norm(apart, axis=1).max() < UNMOVED_MM else after @ np.linalg.inv(before)


def rigidMotion(name, before, after):
    """How the same picture was moved: a (4, 4) matrix, or ``None``; and what else was done to it, in words, or "".

    Args:
        name: of the volume, for the words.
        before, after: :class:`VolumeState`.
    """
    if before.size != after.size:
        return None, f"The size of '{name}' has changed"
    if before.digest != after.digest:
        return None, f"The voxels of '{name}' have changed"
    moved = motion(before.ijkToWorld, after.ijkToWorld, before.size)
    if moved is None:
        return None, ""
    axes = moved[:3, :3]
    if not np.abs(axes.T @ axes - np.eye(3)).max() <= RIGID or np.linalg.det(axes) < 0:  # NaN, too
        return None, f"The spacing or the axes of '{name}' have changed"
    return moved, ""


def carriedOver(provenance, volumeNode, state, settled, keep=None):
    """The settled points as a run on this volume may use them: moved along where the volume was moved.

    Args:
        provenance: of the labels of their node.
        state: :class:`VolumeState` of the volume now.
        settled: level -> :class:`LabeledPoint`.
        keep: use them as they stand where the voxels or the geometry have changed.

    Raises:
        ChangedVolumeError: they have changed, and ``keep`` is not true.
    """
    memory = recall(provenance)
    if memory is None or not settled:
        return settled
    moved, what = rigidMotion(volumeNode.GetName(), memory.state, state)
    if what and not keep:
        raise ChangedVolumeError(what, settled)
    return settled if moved is None else movedAlong(settled, moved, memory.places)


def placesNow(provenance, name, state, points):
    """level -> world RAS mm where vertebrae that were found earlier are now that the volume may have been moved.

    Args:
        name: of the volume.
        points: level -> :class:`LabeledPoint`.
    """
    memory = recall(provenance)
    moved = rigidMotion(name, memory.state, state)[0] if memory else None
    points = points if moved is None else movedAlong(points, moved, memory.places)
    return {level: point.ras for level, point in points.items()}


def movedAlong(points, matrix, places):
    """Points of a volume that was moved by ``matrix``; those that have gone along already stay where they are.

    Args:
        points: level -> :class:`LabeledPoint`.
        places: level -> world RAS mm of the vertebrae before the volume was moved.
    """
    known = np.array(list(places.values())).reshape(-1, 3)
    gone = apply_affine(matrix, known)
    rows = {level: row for row, level in enumerate(places)}

    def hasGoneAlong(level, ras):
        apart = np.array([np.linalg.norm(which - ras, axis=1) for which in (known, gone)])
        own = apart[:, rows[level]] if level in rows else np.full(2, np.inf)
        stayed, went = own if own.min() < SAME_VERTEBRA_MM else apart.min(axis=1, initial=np.inf)
        return went < stayed

    return {
        level: point if hasGoneAlong(level, point.ras) else _movedBy(matrix, point) for level, point in points.items()
    }


def _movedBy(matrix, point):
    return replace(point, ras=tuple(apply_affine(matrix, [point.ras])[0].tolist()))


def _few(levels):
    """Names of levels, as many as a sentence has room for."""
    levels = list(levels)
    return ", ".join(levels) if len(levels) <= 3 else f"{levels[0]} and {len(levels) - 1} others"
