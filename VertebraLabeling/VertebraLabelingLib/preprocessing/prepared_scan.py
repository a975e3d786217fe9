"""A scan as every stage of a run sees it: checked HU in canonical axes, and what is cut out of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.volume import Volume, to_canonical
from .cropping import crop_around, crop_to_body
from .pose import PatientPose
from .resampling import to_working_grid

GRID_MM = 4.0  # voxels of the detection network's grid; its receptive field and its strides are laid out for them


@dataclass(frozen=True)
class PreparedScan:
    """A scan, prepared once for all stages.

    Attributes:
        volume: the scan in canonical axes, HU; its voxels are a view of what was read.
    """

    volume: Volume

    @classmethod
    def of(cls, volume: Volume) -> PreparedScan:
        """Prepare a CT, HU, of any orientation; no voxel is copied."""
        return cls(to_canonical(volume))

    @cached_property
    def grid(self) -> Volume:
        """The scan on the isotropic grid of the detection network, the air around the patient cut away.

        Raises:
            NoSpineError: there is nothing but air.
        """
        return crop_to_body(to_working_grid(self.volume, GRID_MM))

    @property
    def center(self) -> np.ndarray:
        """(3,) middle of the field of view, world RAS mm."""
        return self.volume.corners.mean(axis=0)

    def box(self, points: np.ndarray, margin_mm: float) -> Volume:
        """The voxels around points (N, 3), world RAS mm, and a margin; none is copied."""
        return crop_around(self.volume, points, margin_mm)

    def in_pose(self, pose: PatientPose, center: np.ndarray) -> PreparedScan:
        """The scan in a world in which the patient lies as the networks know it; ``center`` stays where it is."""
        return PreparedScan.of(pose.to_usual(self.volume, center))
