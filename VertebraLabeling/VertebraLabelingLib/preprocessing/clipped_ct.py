"""CT that was saved as a display window shows it: everything darker has the window's lower value, air and lungs too.

The networks tell body from air by -1000 HU. What lies at the lower end is therefore taken for air again.
"""

from __future__ import annotations

import numpy as np

from ..core.volume import AIR_HU, Volume
from .ct_check import sample_values

LOWEST_HU, HIGHEST_HU = -600.0, -30.0  # of the lower end of a window; air itself lies below
HEAP = 0.03  # share of the voxels that have this one value; no CT of the data folder (277) is taken for cut


def window_floor(volume: Volume) -> float | None:
    """The value, HU, at which everything darker was cut off; None for a CT that has its air."""
    values = sample_values(volume.array)
    low = float(values.min())
    return low if LOWEST_HU < low < HIGHEST_HU and np.mean(values == low) >= HEAP else None


def with_air(volume: Volume, floor: float) -> Volume:
    """A copy in which what lies at ``floor`` is air."""
    array = np.asarray(volume.array, dtype=np.float32)
    return Volume(np.where(array <= floor, np.float32(AIR_HU), array), volume.ijk_to_ras)
