"""What tells whether a volume is still the same picture at the same place: its voxels, and where its slices lie."""

import zlib
from dataclasses import dataclass

import numpy as np
from VertebraLabelingLib.core.volume import FARTHEST_MM, Volume, apply_affine
from VertebraLabelingLib.errors import InputError

from .slice_geometry import geometryOf
from .volumes import voxelsOf

UNMOVED_MM = 0.1  # at the corners of the volume, and of its slices: rounding in files
ROUNDING_MM = 1e-3  # to which the places of slices are kept
SMALLEST_MM3 = 1e-6  # voxels of a volume that a run would take
RIGID = 1e-3  # how far the axes of a rotation may be off: rounding


MOST_DIGESTS = 16  # that are remembered: more volumes than a study has
_digests = {}  # when a vtkImageData was changed last -> its digest


@dataclass(frozen=True)
class VolumeState:
    """What tells whether a volume is still the same picture at the same place.

    Attributes:
        size: voxels along I, J, K.
        digest: of all voxels.
        ijkToWorld: (4, 4) matrix, parent transforms included.
        beside: (K, 3) from where it puts each slice to where that lies, mm; ``None`` for nowhere else.
    """

    size: tuple
    digest: str
    ijkToWorld: np.ndarray
    beside: np.ndarray = None


def stateOf(volumeNode):
    """The volume as it is now.

    Raises:
        InputError: it cannot be used (:func:`volumes.volumeFromNode`).
    """
    array, geometry = voxelsOf(volumeNode), geometryOf(volumeNode)
    Volume(array, geometry.ijkToWorld)  # raises what is wrong with it
    beside = geometry.beside
    if beside is not None and np.abs(beside).max() < ROUNDING_MM:
        beside = None
    return VolumeState(array.shape[::-1], _digest(array), geometry.ijkToWorld, beside)


def _digest(array):
    """A checksum of every voxel: 0.2 s for 1000 slices of 512 x 512, half of what SHA-256 takes."""
    return f"{zlib.crc32(np.ascontiguousarray(array)):08x}"


def isPicture(volumeNode, state):
    """Whether a volume has the size and the voxels of a state, wherever it lies; cheap while they stay as they are."""
    image = volumeNode.GetImageData()
    if image is None or tuple(image.GetDimensions()) != tuple(state.size):
        return False
    time = max(image.GetMTime(), image.GetPointData().GetMTime())  # VTK gives no time twice
    if time not in _digests:
        try:
            digest = _digest(voxelsOf(volumeNode))
        except InputError:
            return False
        if len(_digests) == MOST_DIGESTS:
            _digests.clear()
        _digests[time] = digest
    return _digests[time] == state.digest


def isGeometry(matrix):
    """Whether a (4, 4) matrix can be that of a volume: voxels of a size, not too far away; false for NaN."""
    if not np.abs(matrix).max() <= FARTHEST_MM or (matrix[3] != (0, 0, 0, 1)).any():
        return False
    return abs(np.linalg.det(matrix[:3, :3])) > SMALLEST_MM3


def motion(before, after, size):
    """(4, 4) matrix in world space by which a volume was moved; ``None`` where it was not."""
    corners = [(i, j, k) for i in (0, size[0]) for j in (0, size[1]) for k in (0, size[2])]
    apart = apply_affine(after, corners) - apply_affine(before, corners)
    return None if np.linalg.norm(apart, axis=1).max() < UNMOVED_MM else after @ np.linalg.inv(before)


def isRigid(matrix):
    """Whether a (4, 4) matrix moves and turns only; false for NaN."""
    axes = matrix[:3, :3]
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= RIGID and np.linalg.det(axes) > 0)


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
    axes = np.eye(3) if moved is None else moved[:3, :3]
    if moved is not None and not isRigid(moved):
        return None, f"The spacing or the axes of '{name}' have changed"
    beside = [np.zeros((1, 3)) if each.beside is None else each.beside for each in (before, after)]
    if np.abs(beside[0] @ axes.T - beside[1]).max() > UNMOVED_MM:
        return None, f"The places of the slices of '{name}' have changed"
    return moved, ""
