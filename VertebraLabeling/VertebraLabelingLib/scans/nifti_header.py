"""The header of a NIfTI-1 file: sizes, scale of the values, and the two statements of where the voxels lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

HEADER_BYTES = 352
"""The header and the four bytes that say whether extensions follow."""

_BYTES_PER_VOXEL = {2: 1, 4: 2, 8: 4, 16: 4, 64: 8, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8}
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # meters and microns; all other codes mean millimeters or nothing


@dataclass(frozen=True)
class NiftiHeader:
    """What decides how a NIfTI-1 file is read.

    Attributes:
        magic: its signature, 4 bytes.
        size: voxels along I, J, K and further axes.
        bytes_per_voxel: 0 for types that are no CT values.
        offset: bytes before the first voxel, as stored; may be no number.
        slope, intercept: of the values, as stored; may be no numbers.
        mm_per_unit: 1 for millimeters and for unknown units.
        pixdim: (3,) voxel size along I, J, K, mm.
        qfac: what the sign of the third axis of the qform is taken from.
        quaternion: (3,) b, c, d of the qform.
        notes: what the program that made it says of it, in 80 bytes.
        qform, sform: (4, 4) voxel indices to RAS mm; ``None`` where the code says that there is none.
    """

    magic: bytes
    size: tuple[int, ...]
    bytes_per_voxel: int
    offset: float
    slope: float
    intercept: float
    mm_per_unit: float
    pixdim: np.ndarray
    qfac: float
    quaternion: np.ndarray
    notes: bytes
    qform: np.ndarray | None
    sform: np.ndarray | None


def nifti2(head: bytes) -> bool:
    """Whether these bytes begin a NIfTI-2 file, in either byte order."""
    return len(head) >= 8 and 540 in (*struct.unpack_from("<i", head), *struct.unpack_from(">i", head))


def parse_header(head: bytes) -> NiftiHeader | None:
    """The header in the first :data:`HEADER_BYTES` of a NIfTI-1 file; ``None`` where these are none."""
    if len(head) < HEADER_BYTES:
        return None
    order = next((order for order in "<>" if struct.unpack_from(order + "h", head, 40)[0] in range(1, 8)), None)
    if order is None:
        return None

    def numbers(layout: str, offset: int) -> tuple:
        return struct.unpack_from(order + layout, head, offset)

    count, *lengths = numbers("8h", 40)
    (offset, slope, intercept), (units,) = numbers("3f", 108), numbers("B", 123)
    qfac, *pixdim = numbers("4f", 76)
    quaternion = np.array(numbers("3f", 256), dtype=float)
    mm = _MM_PER_UNIT.get(units & 7, 1.0)
    sizes = np.array(pixdim, dtype=float) * mm
    has_qform, has_sform = (code > 0 for code in numbers("2h", 252))
    return NiftiHeader(
        magic=head[344:348],
        size=tuple(lengths[:count]),
        bytes_per_voxel=_BYTES_PER_VOXEL.get(numbers("h", 70)[0], 0),
        offset=offset,
        slope=slope,
        intercept=intercept,
        mm_per_unit=mm,
        pixdim=sizes,
        qfac=qfac,
        quaternion=quaternion,
        notes=head[148:228],
        qform=_qform(quaternion, np.array(numbers("3f", 268)) * mm, sizes, qfac) if has_qform else None,
        sform=_affine(np.reshape(numbers("12f", 280), (3, 4)) * mm) if has_sform else None,
    )


def _affine(rows: np.ndarray) -> np.ndarray:
    return np.vstack((rows, (0.0, 0.0, 0.0, 1.0)))


@np.errstate(all="ignore")
def _qform(quaternion: np.ndarray, origin: np.ndarray, sizes: np.ndarray, qfac: float) -> np.ndarray:
    """As ``nifti1.h`` defines it; not finite where one of its numbers is not."""
    b, c, d = quaternion
    rest = 1.0 - float(quaternion @ quaternion)
    if rest < 1e-7:  # a half turn, whose real part rounding may make imaginary
        a, (b, c, d) = 0.0, quaternion / np.sqrt(1.0 - rest)
    else:
        a = np.sqrt(rest)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    signed = sizes * (1.0, 1.0, -1.0 if qfac < 0 else 1.0)
    return _affine(np.column_stack((rotation * signed, origin)))
