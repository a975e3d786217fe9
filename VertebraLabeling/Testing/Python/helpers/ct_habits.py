"""The habits of storing a CT: the same trunk with noise, padding, blanked air, metal and more."""

from __future__ import annotations

import numpy as np
from phantoms import affine, body
from VertebraLabelingLib.core.volume import Volume

RANDOM = np.random.default_rng(5)
SHAPE = (40, 60, 60)


def volume(array) -> Volume:
    return Volume(np.asarray(array), affine())


def trunk(low_dose=15.0) -> np.ndarray:
    """Values of a trunk with lungs, bone and fat, HU."""
    array = body(SHAPE, balls=[(20.0, 10.0, 150.0)], radius_mm=14).array.astype(float)
    array[5:15, 20:30, 15:25] = -850
    array[25:30, 20:40, 30:40] = -100
    return array + RANDOM.normal(0, low_dose, SHAPE)


CT = {
    "plain": trunk(),
    "int16": trunk().astype(np.int16),
    "low dose": trunk(low_dose=120.0),
    "padded with -3024": np.where(trunk() < -800, -3024, trunk()),
    "padded with -2000": np.where(trunk() < -800, -2000, trunk()),
    "air blanked to -1000": np.where(trunk() < -200, -1000, trunk()),
    "mostly blanked": np.where(np.arange(60)[None, :, None] > 33, -1000.0, trunk()),
    "crop without air": trunk()[14:35, 14:46, 14:46],
    "some NaN outside": np.where(trunk() < -800, np.nan, trunk()),
    "metal": np.where(trunk() > 900, 30000, trunk()),
}
