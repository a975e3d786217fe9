"""Pictures of a straightened spine, from the side and from the front, and which place of it a pixel shows."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from VertebraLabelingLib.core.volume import Volume
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOImage import vtkJPEGWriter

SIDE, FRONT = "side", "front"
QUALITY = 90
_RIGHT, _FRONT, _UP = range(3)  # axes of straight coordinates; the array has them the other way round
_ACROSS = {SIDE: _FRONT, FRONT: _RIGHT}  # what lies on the left of a picture, as in the usual views
_THROUGH = {SIDE: _RIGHT, FRONT: _FRONT}


@dataclass(frozen=True)
class StripPictures:
    """The planes of a straightened volume.

    Attributes:
        straight: as :func:`preprocessing.straight_volume.straight_volume` makes it.
    """

    straight: Volume

    def picture(self, name: str, place: np.ndarray, window: float, level: float) -> str:
        """The plane through a place as the address of a JPEG, head up.

        Args:
            name: :data:`SIDE`, the front on the left, or :data:`FRONT`, the right on the left.
            place: (3,) straight coordinates, mm; its planes are limited to the volume.
            window, level: HU.
        """
        array, axis = self.straight.array, _THROUGH[name]
        low, _ = self._ends(axis)
        row = round((place[axis] - low) / self._voxel - 0.5)
        plane = np.take(array, min(max(row, 0), self._count(axis) - 1), axis=2 - axis)[:, ::-1]
        gray = np.clip((plane - (level - window / 2)) * (255 / window), 0, 255).astype(np.uint8)
        return f"data:image/jpeg;base64,{base64.b64encode(_jpeg(gray)).decode()}"

    def aspect(self, name: str) -> float:
        """Width over height."""
        return self._count(_ACROSS[name]) / self._count(_UP)

    def shown_at(self, name: str, place: np.ndarray) -> tuple[float, float]:
        """Where a place is seen: shares of width from the left and of height from the top."""
        low, high = np.array([self._ends(_ACROSS[name]), self._ends(_UP)]).T
        x, y = (high - place[[_ACROSS[name], _UP]]) / (high - low)
        return float(x), float(y)

    def place_at(self, name: str, x: float, y: float, through: np.ndarray) -> np.ndarray:
        """(3,) the place that is seen there, in the plane through another one."""
        place = np.array(through, dtype=float)
        for axis, share in ((_ACROSS[name], x), (_UP, y)):
            low, high = self._ends(axis)
            place[axis] = high - min(max(share, 0.0), 1.0) * (high - low)
        return place

    @property
    def _voxel(self) -> float:
        return float(self.straight.ijk_to_ras[0, 0])

    def _count(self, axis: int) -> int:
        return self.straight.array.shape[2 - axis]

    def _ends(self, axis: int) -> tuple[float, float]:
        """The outer edges of the voxels, mm."""
        low = float(self.straight.ijk_to_ras[axis, 3]) - self._voxel / 2
        return low, low + self._count(axis) * self._voxel


def _jpeg(gray: np.ndarray) -> bytes:
    """An image (rows from below, columns) of bytes."""
    image = vtkImageData()
    image.SetDimensions(gray.shape[1], gray.shape[0], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(gray).ravel(), deep=True))
    writer = vtkJPEGWriter()
    writer.SetInputData(image)
    writer.SetQuality(QUALITY)
    writer.WriteToMemoryOn()
    writer.Write()
    return bytes(memoryview(writer.GetResult()))
