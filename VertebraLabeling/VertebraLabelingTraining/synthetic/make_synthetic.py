"""Synthetic CT with truth, made from label maps of real patients.

A case is drawn in three steps: a patient is painted from the label map (:mod:`paint`), bent into another
spine and build (:mod:`warp`), and put through a scanner (:mod:`scanner`). The truth goes through
the same bend. After the idea of SynthSeg (Billot et al. 2023): prior HU for most cases and random contrast for the
rest. Command line:

    python -m VertebraLabelingTraining.synthetic.make_synthetic --data DIR --out DIR --per-source 12 --seed 0
"""

from __future__ import annotations

import argparse
import logging
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.truth import write_truth
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

from .anatomy import Anatomy, outline_directions, prepare
from .disease import afflict
from .hybrid import transplant
from .paint import AIR, draw_patient, paint
from .scanner import scan
from .sources import LabelMapSource, trunk_maps, vertebra_maps
from .variants import USUAL, draw_variant, vary
from .warp import Grid, Warp, draw_warp, resample

OUT_MM = 2.0
NARROW_SHARE = 0.12
"""Share of cases reconstructed to a narrow field about the spine."""
ARMS_SHARE, ARMS_MM = 0.1, 65.0
"""Share of cases with the arms down, and the room for them on each side."""
BODY_HALF_HEIGHT = 0.42
"""Half the height of a vertebral body as a part of the distance to the next center."""

log = logging.getLogger(__name__)


def sources(data_folder: Path) -> list[LabelMapSource]:
    """Every anatomy that cases are made of: the whole-trunk maps, and each with the vertebrae of the others.

    Raises:
        InputError: the folder holds no whole-trunk map.
    """
    trunks = trunk_maps(data_folder)
    if not trunks:
        raise InputError(f"No label map for synthetic CT was found in {data_folder}: choose the project's data folder.")
    donors = [*trunks, *vertebra_maps(data_folder)]
    return trunks + [transplant(trunk, donor) for trunk in trunks for donor in donors if donor is not trunk]


class SyntheticCase(NamedTuple):
    """A synthetic CT.

    Attributes:
        volume: int16 HU, canonical, 2 mm.
        truth: level to body center, world RAS mm; every level whose center lies in the image.
        cut: levels of ``truth`` whose body the image border cuts.
        bodies: (K, J, I) uint8, 1 + level index inside each vertebral body; ``None`` unless asked for.
    """

    volume: Volume
    truth: dict[str, tuple[float, float, float]]
    cut: frozenset[str]
    bodies: np.ndarray | None = None


def synthesize(source: LabelMapSource, seed: int, with_bodies: bool = False) -> SyntheticCase:
    """Draw one case, mostly of the usual anatomy. The same source and seed give the same case.

    Args:
        source: one of :func:`sources.sources`.
        seed: any non-negative integer.
        with_bodies: return the warped mask of vertebral bodies too (for checks).
    """
    rng = np.random.default_rng([seed, zlib.crc32(source.name.encode())])
    anatomy = _prepared(source, draw_variant(source, rng))
    patient = draw_patient(anatomy, rng)
    hu, bodies = paint(anatomy, patient, rng), anatomy.bodies.copy()
    centers = afflict(hu, bodies, anatomy, patient, rng)
    middle = np.median([point[:2] for point in centers.values()], axis=0)
    warp = draw_warp(middle, (len(hu) - 1) * anatomy.spacing_mm, rng)
    narrow, arms = _draw_view(rng)
    grid = _field_of_view(anatomy, warp, rng, narrow, arms)
    hu = scan(resample(hu, anatomy.spacing_mm, warp, grid, AIR), OUT_MM, rng, arms)
    truth, cut = _truth(centers, anatomy.cut, warp, grid)
    warped = resample(bodies, anatomy.spacing_mm, warp, grid, 0) if with_bodies else None
    return SyntheticCase(Volume(hu, grid.affine), truth, cut, warped)


def _prepared(source: LabelMapSource, variant: str) -> Anatomy:
    """The anatomy of a variant, kept with the source: the usual one and the last of the others."""
    if variant not in source.cache:
        for kept in [kind for kind in source.cache if kind != USUAL]:
            del source.cache[kept]
        source.cache[variant] = prepare(vary(source, variant))
    return source.cache[variant]


def _draw_view(rng: np.random.Generator) -> tuple[bool, bool]:
    """Whether the field of view is narrow, and whether the arms lie in it; never both."""
    chance = rng.random()
    return bool(chance < NARROW_SHARE), bool(NARROW_SHARE <= chance < NARROW_SHARE + ARMS_SHARE)


def _field_of_view(anatomy: Anatomy, warp: Warp, rng: np.random.Generator, narrow: bool, arms: bool) -> Grid:
    """A grid that holds the new patient up to the ends of the map, wider for the arms or narrow about the spine."""
    rows = np.arange(0, len(anatomy.outline), 8)
    z = rows * anatomy.spacing_mm
    middle = anatomy.axis(z)
    spine = warp.push(np.column_stack([middle, z]))
    directions = outline_directions()[::4]
    reach = anatomy.outline[rows, ::4] - middle @ directions.T + 30.0
    skin = middle[:, None, :] + reach[:, :, None] * directions[None]
    points = np.concatenate([skin, np.broadcast_to(z[:, None, None], (*skin.shape[:2], 1))], axis=2).reshape(-1, 3)
    limit = (np.array(anatomy.labels.shape[:0:-1]) - 1) * anatomy.spacing_mm
    points[:, :2] = np.clip(points[:, :2], 0.0, limit)
    spread = warp.push(points)
    low, high = spread.min(axis=0), spread.max(axis=0)
    low[2], high[2] = spine[0, 2], spine[-1, 2]
    if arms:
        low[0], high[0] = low[0] - ARMS_MM, high[0] + ARMS_MM
    if narrow:
        room = rng.uniform(45.0, 80.0, 2)
        low[:2] = np.maximum(low[:2], spine[:, :2].min(axis=0) - room)
        high[:2] = np.minimum(high[:2], spine[:, :2].max(axis=0) + room)
    return Grid(low, np.maximum(np.floor((high - low) / OUT_MM).astype(int) + 1, 8), OUT_MM)


def _truth(centers: dict[str, np.ndarray], cut_in_map: frozenset[str], warp: Warp, grid: Grid):
    """World body centers within the image, and which of them are cut by its top or bottom."""
    levels = sorted(centers, key=LEVEL_INDEX.__getitem__)
    points = warp.push(np.array([centers[level] for level in levels]))
    spacing = np.linalg.norm(np.diff(points, axis=0), axis=1)
    half = BODY_HALF_HEIGHT * np.minimum(np.append(spacing, spacing[-1]), np.append(spacing[0], spacing))
    low, high = grid.origin, grid.origin + (grid.size - 1) * grid.spacing_mm
    truth, cut = {}, set()
    for level, point, height in zip(levels, points, half):
        if np.all(point >= low) and np.all(point <= high):
            truth[level] = tuple(float(value) for value in point)
            if level in cut_in_map or point[2] - height < low[2] or point[2] + height > high[2]:
                cut.add(level)
    return truth, frozenset(cut)


def write_cases(data_folder: Path, out_folder: Path, per_source: int, seed: int) -> list[Path]:
    """Write ``per_source`` cases of every source as ``<case>.nii.gz`` with ``<case>.mrk.json`` beside it.

    Existing cases are left as they are, so an interrupted run goes on where it stopped.

    Returns:
        the CT files.
    """
    out_folder = Path(out_folder)
    out_folder.mkdir(parents=True, exist_ok=True)
    files = []
    for source in sources(data_folder):
        for number in range(seed, seed + per_source):
            path = out_folder / f"synthetic_{source.name}_{number:04d}.nii.gz"
            files.append(path)
            if not path.is_file():
                write_case(synthesize(source, number), path)
                log.info("%s", path.name)
        source.cache.clear()
    return files


def write_case(case: SyntheticCase, path: Path) -> None:
    """The truth first, then the CT, each under a temporary name: a CT that exists has its truth."""
    import SimpleITK as sitk

    write_truth(path.with_name(path.name.replace(".nii.gz", ".mrk.json")), case.truth, case.cut)
    part = path.with_name(path.name.replace(".nii.gz", ".part.nii.gz"))
    sitk.WriteImage(to_sitk(case.volume), str(part), useCompression=True)
    os.replace(part, path)


def main(arguments: list[str] | None = None) -> None:
    """Command line; see the module's first lines."""
    parser = argparse.ArgumentParser(prog="synthetic", description="Write synthetic CT with truth for training.")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cases")
    parser.add_argument("--per-source", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    write_cases(options.data, options.out, options.per_source, options.seed)


if __name__ == "__main__":
    main()
