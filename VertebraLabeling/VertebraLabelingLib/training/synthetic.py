"""Synthetic CT with truth, made from label maps of real patients.

A case is drawn in three steps: a patient is painted from the label map (:mod:`synthetic_paint`), bent into another
spine and build (:mod:`synthetic_warp`), and put through a scanner (:mod:`synthetic_scanner`). The truth goes through
the same bend. After the idea of SynthSeg (Billot et al. 2023): prior HU for most cases and random contrast for the
rest. Command line: ``python -m VertebraLabelingLib.training.synthetic --data DIR --out DIR --per-source 12 --seed 0``.
"""

from __future__ import annotations

import argparse
import logging
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..anatomy import LEVEL_INDEX
from ..volume import Volume, to_sitk
from .synthetic_anatomy import Anatomy, outline_directions, prepare
from .synthetic_paint import AIR, draw_patient, paint
from .synthetic_scanner import scan
from .synthetic_sources import LabelMapSource, sources
from .synthetic_truth import write_truth
from .synthetic_warp import Warp, draw_warp, resample

OUT_MM = 2.0
BODY_HALF_HEIGHT = 0.42
"""Half the height of a vertebral body as a part of the distance to the next centre."""

log = logging.getLogger(__name__)


class SyntheticCase(NamedTuple):
    """A synthetic CT.

    Attributes:
        volume: int16 HU, canonical, 2 mm.
        truth: level to body centre, world RAS mm; every level whose centre lies in the image.
        cut: levels of ``truth`` whose body the image border cuts.
        bodies: (K, J, I) uint8, 1 + level index inside each vertebral body; ``None`` unless asked for.
    """

    volume: Volume
    truth: dict[str, tuple[float, float, float]]
    cut: frozenset[str]
    bodies: np.ndarray | None = None


def synthesize(source: LabelMapSource, seed: int, with_bodies: bool = False) -> SyntheticCase:
    """Draw one case. The same source and seed give the same case.

    Args:
        source: one of :func:`synthetic_sources.sources`.
        seed: any non-negative integer.
        with_bodies: return the warped mask of vertebral bodies too (for checks).
    """
    rng = np.random.default_rng([seed, zlib.crc32(source.name.encode())])
    anatomy = _prepared(source)
    centre = np.median([point[:2] for point in anatomy.truth.values()], axis=0)
    warp = draw_warp(centre, (anatomy.labels.shape[0] - 1) * anatomy.spacing_mm, rng)
    origin, size = _field_of_view(anatomy, warp)
    hu = paint(anatomy, draw_patient(anatomy, rng), rng)
    hu = resample(hu, anatomy.spacing_mm, warp, origin, size, OUT_MM, AIR)
    truth, cut = _truth(anatomy, warp, origin, size)
    hu = scan(hu, OUT_MM, rng)
    affine = np.diag([OUT_MM, OUT_MM, OUT_MM, 1.0])
    affine[:3, 3] = origin
    bodies = resample(anatomy.bodies, anatomy.spacing_mm, warp, origin, size, OUT_MM, 0) if with_bodies else None
    return SyntheticCase(Volume(hu, affine), truth, cut, bodies)


def _prepared(source: LabelMapSource) -> Anatomy:
    """The source's anatomy, kept with it: every case of the source uses the same."""
    if "anatomy" not in source.cache:
        source.cache["anatomy"] = prepare(source)
    return source.cache["anatomy"]


def _field_of_view(anatomy: Anatomy, warp: Warp) -> tuple[np.ndarray, np.ndarray]:
    """First voxel centre (mm) and size (voxels) of a grid that holds the new patient, up to the ends of the map."""
    rows = np.arange(0, len(anatomy.outline), 8)
    z = rows * anatomy.spacing_mm
    middle = anatomy.axis(z)
    ends = warp.push(np.column_stack([middle, z])[[0, -1]])
    directions = outline_directions()[::4]
    reach = anatomy.outline[rows, ::4]
    start = middle @ directions.T
    skin = middle[:, None, :] + (reach - start + 30.0)[:, :, None] * directions[None]
    points = np.concatenate([skin, np.broadcast_to(z[:, None, None], (*skin.shape[:2], 1))], axis=2).reshape(-1, 3)
    limit = (np.array(anatomy.labels.shape[:0:-1]) - 1) * anatomy.spacing_mm
    points[:, :2] = np.clip(points[:, :2], 0.0, limit)
    spread = warp.push(points)
    low = np.array([*spread[:, :2].min(axis=0), ends[0, 2]])
    high = np.array([*spread[:, :2].max(axis=0), ends[1, 2]])
    return low, np.maximum(np.floor((high - low) / OUT_MM).astype(int) + 1, 8)


def _truth(anatomy: Anatomy, warp: Warp, origin: np.ndarray, size: np.ndarray):
    """World body centres within the image, and which of them are cut by its top or bottom."""
    levels = sorted(anatomy.truth, key=LEVEL_INDEX.__getitem__)
    points = warp.push(np.array([anatomy.truth[level] for level in levels]))
    spacing = np.linalg.norm(np.diff(points, axis=0), axis=1)
    half = BODY_HALF_HEIGHT * np.minimum(np.append(spacing, spacing[-1]), np.append(spacing[0], spacing))
    top = origin + (size - 1) * OUT_MM
    truth, cut = {}, set()
    for level, point, height in zip(levels, points, half):
        if np.all(point >= origin) and np.all(point <= top):
            truth[level] = tuple(float(value) for value in point)
            if level in anatomy.cut or point[2] - height < origin[2] or point[2] + height > top[2]:
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
                _write(synthesize(source, number), path)
                log.info("%s", path.name)
    return files


def _write(case: SyntheticCase, path: Path) -> None:
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
