"""Sound files of voxels that are unusual for a CT, or of no CT at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from cases import EITHER, REFUSED, RIGHT, SHAPE, Case, ct
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

RANDOM = np.random.default_rng(7)


def written(array: np.ndarray, suffix: str, folder: Path) -> Path:
    """A file of these voxels in the geometry of the phantom."""
    path = folder / f"a{suffix}"
    sitk.WriteImage(to_sitk(Volume(array, ct().ijk_to_ras)), str(path))
    return path


def image(make: Callable[[], sitk.Image], suffix: str, folder: Path) -> Path:
    """A file of any SimpleITK image."""
    path = folder / f"a{suffix}"
    sitk.WriteImage(make(), str(path))
    return path


def _hu() -> np.ndarray:
    return np.asarray(ct().array)


def _float() -> np.ndarray:
    return _hu().astype(np.float32)


def _with(value: float, share: float) -> np.ndarray:
    return np.where(np.random.default_rng(3).random(SHAPE) < share, np.float32(value), _float())


def _air_as(value: float) -> np.ndarray:
    return np.where(_float() < -700, np.float32(value), _float())


TYPES = {
    RIGHT: {
        "int16": _hu,
        "int32": lambda: _hu().astype(np.int32),
        "float32": _float,
        "float64": lambda: _hu().astype(np.float64),
        "uint16 of HU + 1024": lambda: (_hu().clip(-1024) + 1024).astype(np.uint16),
        "uint32 of HU + 1024": lambda: (_hu().clip(-1024) + 1024).astype(np.uint32),
        "float32 of HU + 1024": lambda: _float() + 1024,
    },
    EITHER: {
        "int64": lambda: _hu().astype(np.int64),
        "uint64 of HU + 1024": lambda: (_hu().clip(-1024) + 1024).astype(np.uint64),
    },
    REFUSED: {
        "int8": lambda: (_hu() // 16).clip(-128, 127).astype(np.int8),
        "uint8": lambda: ((_hu() + 1024) // 16).clip(0, 255).astype(np.uint8),
    },
}

VALUES = {
    RIGHT: {
        "air is NaN": partial(_air_as, np.nan),
        "air is infinite": partial(_air_as, -np.inf),
        "air is -3024": partial(_air_as, -3024.0),
        "air is -32768": partial(_air_as, -32768.0),
        "one voxel is NaN": lambda: _one_voxel(np.nan),
        "one voxel is infinite": lambda: _one_voxel(np.inf),
        "one voxel is 1e30": lambda: _one_voxel(1e30),
        "fractions of HU": lambda: _float() + 0.37,
    },
    EITHER: {
        "a tenth is NaN": partial(_with, np.nan, 0.1),
        "half is NaN": partial(_with, np.nan, 0.5),
        "a tenth is infinite": partial(_with, np.inf, 0.1),
        "every other slice is NaN": lambda: np.where(np.arange(SHAPE[0])[:, None, None] % 2, np.nan, _float()),
        "a tenth is 1e30": partial(_with, 1e30, 0.1),
        "denormal air": partial(_air_as, 1e-40),
        "inverted": lambda: -_float(),
        "times ten": lambda: _float() * 10,
    },
    REFUSED: {
        "all NaN": lambda: np.full(SHAPE, np.nan, np.float32),
        "all infinite": lambda: np.full(SHAPE, np.inf, np.float32),
        "NaN but for a few": partial(_with, np.nan, 0.97),
        "constant 0": lambda: np.zeros(SHAPE, np.int16),
        "constant air": lambda: np.full(SHAPE, -1000, np.int16),
        "constant 40": lambda: np.full(SHAPE, 40.0, np.float32),
        "only air": lambda: RANDOM.normal(-1000, 20, SHAPE).astype(np.float32),
        "MR": lambda: RANDOM.gamma(3.0, 150.0, SHAPE).astype(np.float32),
        "MR in int16": lambda: RANDOM.integers(0, 4000, SHAPE).astype(np.int16),
        "PET in Bq/ml": lambda: RANDOM.gamma(0.4, 4000, SHAPE).astype(np.float32),
        "PET in SUV": lambda: RANDOM.gamma(0.4, 1.5, SHAPE).astype(np.float32),
        "0 to 1": lambda: ((_float() + 1000) / 3000).clip(0, 1),
        "z-scored": lambda: RANDOM.normal(0, 1, SHAPE).astype(np.float32),
        "label map": lambda: RANDOM.integers(0, 27, SHAPE).astype(np.uint8),
        "label map in float32": lambda: RANDOM.integers(0, 27, SHAPE).astype(np.float32),
        "mask": lambda: (_hu() > 0).astype(np.uint8),
        "probabilities": lambda: RANDOM.random(SHAPE).astype(np.float32),
        "1e30 everywhere": lambda: RANDOM.normal(1e30, 1e29, SHAPE).astype(np.float32),
        "water, air and nothing else": lambda: np.where(_hu() > -500, 0, -1000).astype(np.int16),
    },
}

SHAPES = {
    "one voxel": (1, 1, 1),
    "two voxels": (2, 2, 2),
    "one slice": (1, 32, 28),
    "one row": (16, 1, 28),
    "one column": (16, 32, 1),
    "a line": (1, 1, 5000),
    "three slices": (3, 32, 28),
    "a needle": (2000, 2, 2),
    "a sheet": (2, 500, 500),
}


def _one_voxel(value: float) -> np.ndarray:
    array = _float().copy()
    array[0, 0, 0] = value
    return array


def _cast(kind: int) -> Callable[[], sitk.Image]:
    return lambda: sitk.Cast(to_sitk(ct()), kind)


def _rgb(count: int) -> Callable[[], sitk.Image]:
    return lambda: sitk.Compose([sitk.Cast(to_sitk(ct()), sitk.sitkUInt8)] * count)


def _series(count: int) -> Callable[[], sitk.Image]:
    return lambda: sitk.JoinSeries([to_sitk(ct())] * count)


IMAGES = {
    REFUSED: {
        "RGB": _rgb(3),
        "RGBA": _rgb(4),
        "vector of 2": _rgb(2),
        "vector of 10": _rgb(10),
        "complex64": _cast(sitk.sitkComplexFloat32),
        "complex128": _cast(sitk.sitkComplexFloat64),
        "2-D": lambda: to_sitk(ct())[:, :, 8],
        "4-D of 2": _series(2),
        "4-D of 3": _series(3),
        "vector of float": lambda: sitk.Compose([sitk.Cast(to_sitk(ct()), sitk.sitkFloat32)] * 3),
    },
    RIGHT: {"4-D of 1": _series(1)},
}


def small(shape: tuple[int, ...], suffix: str, folder: Path) -> Path:
    """A volume of another shape, noise around muscle."""
    values = np.random.default_rng(1).normal(40, 300, shape).astype(np.int16)
    path = folder / f"a{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    return path


def cases() -> Iterator[Case]:
    """All cases of this kind."""
    for suffix in (".nii", ".nrrd", ".mha"):
        for table in (TYPES, VALUES):
            if table is VALUES and suffix != ".nrrd":
                continue
            for expect, makers in table.items():
                for name, make in makers.items():
                    yield Case(f"{suffix} {name}", partial(_written, make, suffix), expect)
        for expect, images in IMAGES.items():
            for name, make in images.items():
                nowhere = suffix == ".nrrd" and name.startswith("4-D")  # ITK writes no space for four axes
                yield Case(f"{suffix} {name}", partial(image, make, suffix), REFUSED if nowhere else expect)
    for name, shape in SHAPES.items():
        yield Case(f".nii of {name}", partial(small, shape, ".nii"), REFUSED)


def _written(make: Callable[[], np.ndarray], suffix: str, folder: Path) -> Path:
    return written(make(), suffix, folder)
