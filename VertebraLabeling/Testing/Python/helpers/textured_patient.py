"""A made-up patient with bones, organs and vertebrae of uneven size, no two alike, for the tests of registration."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from spine_factory import positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume

MM = 3.0
LEVELS = USUAL_LEVELS[14:21]  # T8 to L2
MARGIN_MM = np.array([75.0, 75.0, 40.0])


@lru_cache(maxsize=4)
def patient(seed: int = 0) -> tuple[Volume, SpineLabels]:
    """A CT of about 150 x 160 x 250 mm, and its vertebrae T8 to L2."""
    rng = np.random.default_rng(seed)
    places = positions(LEVELS, scale=rng.uniform(0.85, 1.15), sideways=0.15)
    places += np.cumsum(rng.uniform(-1.5, 1.5, places.shape), axis=0)
    low, high = places.min(axis=0) - MARGIN_MM, places.max(axis=0) + MARGIN_MM
    size = np.ceil((high - low) / MM).astype(int)
    matrix = np.diag([MM, MM, MM, 1.0])
    matrix[:3, 3] = low
    ras = np.stack(np.meshgrid(*(np.arange(n) * MM + o for n, o in zip(size, low)), indexing="ij"), axis=-1)
    hu = 40.0 + 25.0 * _noise(rng, size, 8.0) + 120.0 * np.sign(_noise(rng, size, 20.0))
    hu[np.linalg.norm((ras - places.mean(axis=0))[..., :2] / (70.0, 72.0), axis=-1) > 1] = -1000.0  # around the trunk
    for place in places:
        _draw_vertebra(hu, ras, place, rng)
    labels = SpineLabels(tuple(LabeledPoint(level, tuple(p)) for level, p in zip(LEVELS, places.tolist())))
    return Volume(hu.transpose(2, 1, 0).astype(np.float32), matrix), labels


def _draw_vertebra(hu: np.ndarray, ras: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> None:
    away = ras - place
    half = np.array([rng.uniform(16, 22), rng.uniform(13, 17), rng.uniform(8, 11)])
    body = (np.linalg.norm(away[..., :2] / half[:2], axis=-1) < 1) & (np.abs(away[..., 2]) < half[2])
    shell = body & ((np.linalg.norm(away[..., :2] / half[:2], axis=-1) > 0.8) | (np.abs(away[..., 2]) > half[2] - 3))
    hu[body], hu[shell] = rng.uniform(150, 260), rng.uniform(500, 700)
    for tilt, reach in ((0.0, rng.uniform(30, 45)), (2.2, rng.uniform(25, 40)), (-2.2, rng.uniform(25, 40))):
        way = np.array([np.sin(tilt), -np.cos(tilt), rng.uniform(-0.5, 0.1)])
        along = (away @ (way / np.linalg.norm(way))).clip(15, reach)
        near = np.linalg.norm(away - along[..., None] * way / np.linalg.norm(way), axis=-1)
        hu[near < rng.uniform(4, 6)] = rng.uniform(350, 600)


def _noise(rng: np.random.Generator, size: np.ndarray, mm: float) -> np.ndarray:
    """Smooth noise of about unit variance, by a filter in the frequency domain."""
    white = np.fft.rfftn(rng.normal(size=tuple(size)))
    waves = np.meshgrid(np.fft.fftfreq(size[0]), np.fft.fftfreq(size[1]), np.fft.rfftfreq(size[2]), indexing="ij")
    smooth = np.fft.irfftn(white * np.exp(-2 * (np.pi * mm / MM) ** 2 * sum(w**2 for w in waves)), size, (0, 1, 2))
    return smooth / smooth.std()
