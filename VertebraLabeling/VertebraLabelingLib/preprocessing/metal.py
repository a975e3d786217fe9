"""Screws, rods, prostheses and cement shown to the networks as bone.

They are brighter than any bone of the spine and spread over the cells of the working grid; the networks have hardly
seen them. With the marrow's value in their place a body with cement or a screw looks like its neighbors.
"""

from __future__ import annotations

import numpy as np

METAL_HU = 1300.0  # in CT without implants 1 to 3 of 1000 voxels of a head are brighter, teeth and petrous bone
BONE_HU = 200.0


def without_metal(array: np.ndarray) -> np.ndarray:
    """HU with bone in place of metal: the array itself where it holds none, else a copy. Infinite values stay."""
    if not array.size or array.max() <= METAL_HU:  # false for NaN
        return array
    metal = array > METAL_HU
    if array.dtype.kind == "f":
        metal &= array < np.inf
    return np.where(metal, array.dtype.type(BONE_HU), array)


def metal_in(array: np.ndarray) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Where metal lies in an array of whole numbers, (M,) indices along each axis, and (M,) how far above bone, HU."""
    if not array.size or array.max() <= METAL_HU:
        return (np.empty(0, int),) * array.ndim, np.empty(0, np.float32)
    place = np.unravel_index(np.flatnonzero(array > METAL_HU), array.shape)  # five times as fast as np.nonzero
    return place, array[place].astype(np.float32) - np.float32(BONE_HU)
