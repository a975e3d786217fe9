"""NIfTI files that contradict themselves are refused; where Slicer takes one of two statements, that is told.

A NIfTI file says twice where it lies, by a qform and an sform. ITK, and so Slicer, takes the sform where it is the only
one, agrees with the qform, or has the code "scanner"; else the qform. Others, such as nibabel, always take the sform.
Its reader also takes the voxel size from ``pixdim`` even where the sform says another, puts a file without orientation
anywhere, and knows no axes but at right angles, although the sform of a scan with tilted gantry rightly has others.
"""

from __future__ import annotations

import gzip
import logging
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..core.volume import Volume
from ..errors import InputError, NotCtError
from ..formats.nifti_mark import STRAIGHTENED
from .agreement import AGREE_MM, LARGEST_COSINE, corner_distance, largest_cosine, same_axes, unit_columns
from .nifti_header import HEADER_BYTES, NiftiHeader, nifti2, parse_header
from .stored_voxels import DEFLATED, RAW, StoredVoxels

logger = logging.getLogger(__name__)

_PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"
_GZIP = b"\x1f\x8b"
_SHEARED_COSINE = 1e-4  # nearer to right angles ITK takes the axes as they are


def read_header(path: Path) -> NiftiHeader | None:
    """The header of a NIfTI file, sound in itself; ``None`` where it is none, which SimpleITK will say.

    Raises:
        InputError: what it says of the voxels' places, sizes or values is damaged, missing or contradicts itself.
        NotCtError: it is a spine that was straightened here.
    """
    head = _head(path)
    name = path.name
    if nifti2(head):
        raise InputError(f"{name} is a NIfTI-2 file, which Slicer does not read either: convert it to NIfTI-1.")
    header = parse_header(head)
    if header is None:
        return None
    if header.magic == b"ni1\0":
        raise InputError(f"{name} keeps its voxels in another file (.img): save the scan as one .nii file.")
    if header.magic != b"n+1\0":
        raise InputError(f"{name} has no NIfTI signature, so its orientation is unknown: convert the scan again.")
    if header.notes.startswith(STRAIGHTENED.encode()):
        raise NotCtError(f"{name} is a straightened spine, whose places are none in a patient: give the CT itself.")
    fault = _geometry_fault(header) or _value_fault(header)
    if fault:
        raise InputError(f"{name} {fault}: convert the scan again.")
    return header


def stored(path: Path, header: NiftiHeader) -> StoredVoxels | None:
    """Where the file keeps its voxels; ``None`` for types that are no CT values."""
    if not header.bytes_per_voxel:
        return None
    encoding = DEFLATED if _is_gzip(path) else RAW
    return StoredVoxels(path, header.size, header.bytes_per_voxel, encoding=encoding, before=int(header.offset))


def placed(volume: Volume, header: NiftiHeader, name: str) -> tuple[Volume, tuple[str, ...]]:
    """The volume as ITK read it at the place that its header says, with what the user must know of that.

    Raises:
        InputError: it was read at a place that the header does not name.
    """
    qform, sform, size = header.qform, header.sform, header.size[:3]
    notes = []
    if header.mm_per_unit != 1:
        unit = "meters" if header.mm_per_unit > 1 else "microns"
        notes.append(f"The header gives its geometry in {unit}; points are in mm, as in Slicer.")
    if sform is not None and largest_cosine(sform) > _SHEARED_COSINE:
        moved = corner_distance(sform, _straightened(sform) if qform is None else qform, size)
        if moved > AGREE_MM:
            shown = (
                "Slicer does not open such a file"
                if qform is None
                else f"Slicer shows the qform instead, so its picture is off by up to {moved:.0f} mm"
            )
            notes.append(
                "The axes of the sform are not at right angles, as of a tilted gantry, and points lie where it says; "
                f"{shown}."
            )
        return Volume(volume.array, sform), tuple(notes)
    said = {"sform": sform, "qform": qform}
    distance = {
        form: corner_distance(affine, volume.ijk_to_ras, size) for form, affine in said.items() if affine is not None
    }
    nearest = min(distance, key=distance.get)
    if not distance[nearest] <= AGREE_MM:
        raise InputError(f"{name} is read elsewhere than its header says: convert the scan again.")
    apart = max(distance.values())
    if apart > AGREE_MM:
        notes.append(
            f"qform and sform of the header place this scan up to {apart:.0f} mm apart; points fit the {nearest}, "
            "which Slicer shows."
        )
    return volume, tuple(notes)


def _geometry_fault(header: NiftiHeader) -> str:
    """What is wrong with the header's places; an empty text where nothing is."""
    if not 352 <= header.offset < 2**31:
        return "has a damaged header (vox_offset)"
    if not np.isfinite(header.pixdim).all() or (header.pixdim <= 0).any():
        return "does not say how large its voxels are"
    qform, sform = header.qform, header.sform
    if qform is None and sform is None:
        return "does not say how its axes lie in the patient (qform and sform codes are 0)"
    if qform is not None and not (_is_quaternion(header) and np.isfinite(qform).all()):
        return "has a damaged orientation (qform)"
    if sform is None:
        return ""
    if not np.isfinite(sform).all() or np.linalg.norm(sform[:3, :3], axis=0).min() == 0:
        return "has a damaged orientation matrix (sform)"
    if largest_cosine(sform) > LARGEST_COSINE:
        return "has a damaged orientation matrix (its axes are far from right angles)"
    if not _sizes_agree(header):
        return "gives two different sizes of its voxels (pixdim, sform)"
    if qform is not None and not same_axes(qform, sform):
        return "says two different things of where left, front and head are (qform, sform)"
    return ""


def _is_quaternion(header: NiftiHeader) -> bool:
    """A unit quaternion, and a ``qfac`` that ``nifti1.h`` knows: -1, 1, or 0 in old files."""
    return bool(header.quaternion @ header.quaternion <= 1.001 and header.qfac in (-1.0, 0.0, 1.0))


def _sizes_agree(header: NiftiHeader) -> bool:
    """Of pixdim and sform, to where the last voxel lies. Slices of a tilted gantry are counted along or across."""
    size = np.array((*header.size, 1, 1, 1)[:3])
    along = np.linalg.norm(header.sform[:3, :3], axis=0)
    across = 1.0 / np.maximum(np.linalg.norm(np.linalg.inv(header.sform[:3, :3]), axis=1), 1e-9)
    off = np.minimum(abs(along - header.pixdim), abs(across - header.pixdim)) * np.abs(size)
    return bool(off.max() <= AGREE_MM)


def _value_fault(header: NiftiHeader) -> str:
    """What is wrong with the scale of the values. A slope of 0 or NaN means that there is none."""
    slope, intercept = header.slope, header.intercept
    if math.isnan(slope) or slope == 0:
        return "" if math.isnan(intercept) or intercept == 0 else "shifts its values without a scale (scl_slope)"
    if not math.isfinite(slope) or slope < 0 or not math.isfinite(intercept):
        return "has a damaged scale of its values (scl_slope, scl_inter)"
    return ""


def _straightened(affine: np.ndarray) -> np.ndarray:
    """The same lengths along the nearest axes at right angles."""
    u, _, vt = np.linalg.svd(unit_columns(affine))
    straight = affine.copy()
    straight[:3, :3] = (u @ vt) * np.linalg.norm(affine[:3, :3], axis=0)
    return straight


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _head(path: Path) -> bytes:
    packed = _is_gzip(path)
    if packed and not path.name.lower().endswith(".gz"):
        raise InputError(f"{path.name} is compressed but its name does not say so: rename it to end in .nii.gz.")
    if not packed:
        with path.open("rb") as file:
            return file.read(HEADER_BYTES)
    try:
        with gzip.open(path) as file:
            return file.read(HEADER_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        logger.debug("%s: %s", path, error)
        raise InputError(f"{path.name} is truncated or damaged: copy or export it again.") from error


@contextmanager
def sheared_axes_allowed() -> Iterator[None]:
    """Let ITK read an sform with sheared axes; :func:`placed` then puts the true axes back."""
    before = os.environ.get(_PERMISSIVE)
    os.environ[_PERMISSIVE] = "ON"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PERMISSIVE]
        else:
            os.environ[_PERMISSIVE] = before
