"""What lies around the spine of the source: places to look for in another scan, and whose vertebra they are."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..core.labels import SpineLabels
from ..core.straight_spine import straight_spine
from ..core.volume import Volume, ijk_to_ras, ras_to_ijk
from ..preprocessing.cropping import crop_around
from .rigid import image_of, mask_of
from .working_grid import WorkingGrid, working_grid

COARSE_MM, FINE_MM = 8.0, 2.5
WIDE_MM = (
    70.0  # around the curve, for the search: roots of the ribs, the back's muscles, and what lies before the spine
)
NARROW_MM = 38.0  # for the registration: bodies, canal and processes, which move as one
MARGIN_MM = 30.0  # of the scan beyond what is looked at
GRAY_CLASSES = 10
_DENSE = 0.8  # steps of places in voxels, so that no voxel is left out


class Surroundings:
    """The source of a registration.

    Args:
        volume: CT or MR.
        labels: its vertebrae, two or more.

    Attributes:
        points: (N, 3) bodies, world RAS mm, head to foot.
        places: (M, 3) world RAS mm of the fine grid's voxels near the spine.
        gray: (M,) classes of their values.
        owner: (M,) the vertebra to which each belongs.

    Raises:
        InputError: the points give no curve.
    """

    def __init__(self, volume: Volume, labels: SpineLabels) -> None:
        self.points = np.array([point.ras for point in labels.points])
        self.spine = straight_spine(labels.points)
        around = crop_around(volume, self.points, WIDE_MM + MARGIN_MM)
        self._coarse, self._fine = working_grid(around, COARSE_MM), working_grid(around, FINE_MM)
        heights = self.spine.to_straight(self.points)[:, 2]
        gaps = np.abs(np.diff(heights))
        reach = np.concatenate([gaps[:1], np.maximum(gaps[1:], gaps[:-1]), gaps[-1:]]) / 2
        self._index, up = self._near(self._fine, NARROW_MM, heights[-1] - reach[-1], heights[0] + reach[0])
        self.places = ijk_to_ras(self._fine.volume, self._index)
        self.owner = np.abs(up[:, None] - heights).argmin(axis=1)
        values = self._values(self._fine, self._index)
        self.gray = np.digitize(values, np.unique(np.quantile(values, np.arange(1, GRAY_CLASSES) / GRAY_CLASSES)))

    @cached_property
    def wide(self) -> tuple[np.ndarray, np.ndarray]:
        """(L, 3) places of the coarse grid around the spine, and (L,) their values, 0..1."""
        index, _ = self._near(self._coarse, WIDE_MM, self.spine.lowest, self.spine.highest)
        return ijk_to_ras(self._coarse.volume, index), self._values(self._coarse, index)

    @cached_property
    def image(self):
        """The fine grid as a SimpleITK image in world RAS."""
        return image_of(self._fine)

    def mask(self, vertebrae) -> object:
        """Its mask around some vertebrae."""
        inside = np.zeros(self._fine.volume.array.shape, dtype=bool)
        i, j, k = self._index[np.isin(self.owner, vertebrae)].T
        inside[k, j, i] = True
        return mask_of(self._fine, inside)

    def _near(self, grid: WorkingGrid, radius: float, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        """(M, 3) voxels (i, j, k) in a tube around the curve, within the scan, and (M,) their straight ``up``."""
        step = grid.mm * _DENSE
        across = np.arange(-radius, radius + step, step)
        heights = np.arange(low, high + step, step)
        x, y = (each.ravel() for each in np.meshgrid(across, across))
        x, y = x[np.hypot(x, y) <= radius], y[np.hypot(x, y) <= radius]
        straight = np.stack([np.tile(x, len(heights)), np.tile(y, len(heights)), np.repeat(heights, len(x))], axis=1)
        index = np.rint(ras_to_ijk(grid.volume, self.spine.to_world(straight))).astype(int)
        size = np.array(grid.volume.array.shape[::-1])
        inside = ((index >= 0) & (index < size)).all(axis=1)
        index, up = index[inside], straight[inside, 2]
        _, first = np.unique(np.ravel_multi_index(index.T, size), return_index=True)
        index, up = index[first], up[first]
        known = self._values(grid, index) >= 0
        return index[known], up[known]

    @staticmethod
    def _values(grid: WorkingGrid, index: np.ndarray) -> np.ndarray:
        i, j, k = index.T
        return grid.volume.array[k, j, i]
