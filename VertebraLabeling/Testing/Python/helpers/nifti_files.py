"""NIfTI files as other programs write them, made with nibabel; single header fields are then overwritten."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
from bad_nifti import FIELDS
from VertebraLabelingLib.core.volume import Volume, apply_affine

_PIECES = {"forms": (252, "76s"), "pixdim": (76, "16s"), "srow": (280, "48s")}  # given as bytes
UNSET = (None, 0)
"""A qform or sform that is not given."""


def write_nifti(
    path: Path,
    volume: Volume,
    qform: tuple = (),
    sform: tuple = (),
    kind: type = nibabel.Nifti1Image,
    unit: str = "mm",
    **fields: object,
) -> Path:
    """Write a volume; returns ``path``.

    Args:
        qform, sform: ``(affine, code)``; by default the volume's own with code 1. The qform sets ``pixdim``.
        kind: nibabel's class of the file.
        fields: header fields (:data:`bad_nifti.FIELDS`) that are overwritten in the file.
    """
    image = kind(np.ascontiguousarray(volume.array.transpose(2, 1, 0)), volume.ijk_to_ras)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    if kind is not nibabel.Nifti1Image:
        return path
    own, header = (volume.ijk_to_ras, 1), nibabel.Nifti1Header()
    header.set_sform(*(sform or own))
    place, code = qform or own
    header.set_qform(volume.ijk_to_ras if place is None else place, code, strip_shears=True)  # sets pixdim, too
    return overwritten(path, forms=header.binaryblock[252:328], pixdim=header.binaryblock[76:92], **fields)


def overwritten(path: Path, **fields: object) -> Path:
    """The file with other header fields."""
    packed = path.name.endswith(".gz")
    data = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    for field, value in fields.items():
        offset, layout = {**FIELDS, **_PIECES}[field]
        struct.pack_into(layout, data, offset, value)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def moved(affine: np.ndarray, shift=(0.0, 0.0, 0.0), turn_deg: float = 0.0, about: str = "z") -> np.ndarray:
    """An affine turned about a world axis, then shifted, mm."""
    c, s = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    turn = {"z": [[c, -s, 0], [s, c, 0], [0, 0, 1]], "x": [[1, 0, 0], [0, c, -s], [0, s, c]]}[about]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn, shift
    return matrix @ affine


def flipped(affine: np.ndarray, axis: int) -> np.ndarray:
    """An affine with one world axis mirrored, as where RAS and LPS are mixed up."""
    signs = np.ones(4)
    signs[axis] = -1
    return np.diag(signs) @ affine


def tilted(affine: np.ndarray, degrees: float) -> np.ndarray:
    """An affine whose slices are shifted to the front, each against the one below, as with a tilted gantry."""
    sheared = affine.copy()
    sheared[1, 2] += np.tan(np.radians(degrees)) * affine[2, 2]
    return sheared


def corners_apart(one: np.ndarray, other: np.ndarray, volume: Volume) -> float:
    """Largest distance of the corners of ``volume`` under two affines, mm."""
    ijk = np.array(np.meshgrid(*[(0, n - 1) for n in volume.array.shape[::-1]])).reshape(3, 8).T
    return float(np.linalg.norm(apply_affine(one, ijk) - apply_affine(other, ijk), axis=1).max())
