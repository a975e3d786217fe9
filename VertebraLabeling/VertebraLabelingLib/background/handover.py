"""Writes the voxels of a volume to a file, a slab at a time, so that the application stays alive meanwhile.

The file is what :mod:`labeling_process` reads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import VertebraLabelingError

SLAB_BYTES = 8 * 2**20


class Handover:
    """A volume on its way to a ``.npy`` file: the same voxels in the same type, nothing resampled or rounded.

    Args:
        array: (K, J, I) voxels.
        path: file to write; an existing one is replaced.

    Raises:
        VertebraLabelingError: the disk is full or the folder cannot be written.
    """

    def __init__(self, array: np.ndarray, path: Path | str) -> None:
        self._array, self.path, self._next = array, Path(path), 0
        self._rows = max(1, SLAB_BYTES // max(1, array[0].nbytes))
        try:
            self._stream = open(self.path, "wb")  # noqa: SIM115 - stays open over many calls of step()
            header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
            np.lib.format.write_array_header_1_0(self._stream, header)
        except OSError as error:
            raise self._failure(error) from error

    @property
    def fraction(self) -> float:
        """How much is written, 0..1."""
        return self._next / len(self._array)

    def step(self) -> bool:
        """Write the next slab; returns False when all is written and the file is closed."""
        try:
            slab = self._array[self._next : self._next + self._rows]
            self._stream.write(memoryview(np.ascontiguousarray(slab)).cast("B"))
            self._next += len(slab)
            if self._next < len(self._array):
                return True
            self._stream.close()
            return False
        except OSError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Close the file, complete or not."""
        self._stream.close()

    def _failure(self, error: OSError) -> VertebraLabelingError:
        folder = self.path.parent
        return VertebraLabelingError(
            f"The volume could not be written to {folder} ({error.strerror or error}): free some disk space there."
        )
