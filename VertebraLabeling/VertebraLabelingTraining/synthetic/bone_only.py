"""Training CT from a bone-only CT: real bone from 200 HU up, with painted marrow and soft tissue around it.

    python -m VertebraLabelingTraining.synthetic.bone_only --data DATA --out SYNTHETIC --count 8 --seed 0

A ``<name>_boneonly_ct.nii.gz`` holds the HU of a real CT where they are at least 200, and 0 elsewhere: shape and cortex
of a real patient, but no marrow, no canal, no skin. What is missing is guessed: the inside of bodies and ribs becomes
marrow, the canal and everything about the bones soft tissue, what lies beyond the skin air. Each case draws its own HU.
What comes out is synthetic and is never scored as real.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from VertebraLabelingLib.core.volume import Volume, ras_to_ijk, to_canonical
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.scans.read_scan import read_volume

from ..models.printing import print_result
from .make_synthetic import SyntheticCase, write_case
from .noise import smooth_noise
from .scanner import scan

SUFFIX = "_boneonly_ct.nii.gz"
CLOSING_MM = 4.5  # gaps of the cortex that are bridged to find what it encloses
CANAL_BEHIND_MM = (14.0, 50.0)  # of the line through the body centres
CANAL_ASIDE_MM = 14.0
CANAL_MM2 = 100.0  # smaller holes there are marrow of laminae and processes
BACK_MM = 5.0  # what reaches farther behind the spine and pelvis is no part of the patient
SKIN_MM, FAT_MM = 20.0, 14.0  # from the outermost bones to the skin; thickness of the fat below it
SLAB_MM = 40.0  # the outline of a slice is that of the bones of a slab


@dataclass(frozen=True)
class Skeleton:
    """A bone-only CT, told apart.

    Attributes:
        volume: HU of bone, canonical, isotropic; 0 where unknown.
        bone, marrow, fat, body: (K, J, I) masks: known bone, what it encloses, fat below the skin, all inside of it.
        centers: level to body centre, world RAS mm.
    """

    volume: Volume
    bone: np.ndarray
    marrow: np.ndarray
    fat: np.ndarray
    body: np.ndarray
    centers: dict[str, tuple[float, float, float]]


def skeletons(data: Path) -> dict[str, tuple[Path, Path]]:
    """Name of each bone-only CT with truth -> its file and its truth; those with a label map are painted from that."""
    found = {}
    for ct in sorted(Path(data).rglob("*" + SUFFIX)):
        name = ct.name[: -len(SUFFIX)]
        truth = ct.with_name(f"{name}_boneonly.mrk.json")
        if truth.is_file():
            found[name] = (ct, truth)
    return found


def read_skeleton(ct: Path, truth: Path) -> Skeleton:
    """Read a bone-only CT and tell marrow, canal, fat and skin from each other.

    Raises:
        InputError: a file is damaged, or the voxels are not cubes.
    """
    volume = to_canonical(read_volume(ct))
    if np.ptp(volume.spacing) > 0.01 * volume.spacing.max():
        raise InputError(f"{ct} has no cubic voxels: give a bone-only CT of equal spacing.")
    centers = {point.level: tuple(point.ras) for point in read_points(truth) if not point.cut}
    bone = _of_the_patient(volume.array > 0, float(volume.spacing[0]))
    body, fat = _outline(bone, float(volume.spacing[0]))
    marrow = _enclosed(bone, volume, np.array(list(centers.values()))) & body
    return Skeleton(volume, bone, marrow, fat, body, centers)


def _of_the_patient(bone: np.ndarray, mm: float) -> np.ndarray:
    """The bones without what lies behind the back, as a table does: the largest piece tells where the back is."""
    pieces = sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(bone.astype(np.uint8)), True))
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(pieces)
    back = shape.GetBoundingBox(1)[1] - BACK_MM / mm
    kept = [label for label in shape.GetLabels() if shape.GetBoundingBox(label)[1] >= back]
    return np.isin(sitk.GetArrayFromImage(pieces), kept)


def _enclosed(bone: np.ndarray, volume: Volume, centers: np.ndarray) -> np.ndarray:
    """What bone encloses in each axial slice, but for the vertebral canal."""
    mm = float(volume.spacing[0])
    ijk = ras_to_ijk(volume, centers)
    ijk = ijk[np.argsort(ijk[:, 2])]
    marrow = np.zeros_like(bone)
    radius = max(1, round(CLOSING_MM / mm))
    for k in range(len(bone)):
        closed = sitk.BinaryMorphologicalClosing(sitk.GetImageFromArray(bone[k].astype(np.uint8)), [radius] * 2)
        inside = (sitk.GetArrayFromImage(sitk.BinaryFillhole(closed)) > 0) & ~bone[k]
        x, y = (float(np.interp(k, ijk[:, 2], ijk[:, axis])) for axis in (0, 1))
        holes = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(inside.astype(np.uint8))))
        for number in range(1, int(holes.max()) + 1):
            rows, columns = np.nonzero(holes == number)
            behind, aside = (y - rows.mean()) * mm, abs(columns.mean() - x) * mm
            in_canal = CANAL_BEHIND_MM[0] < behind < CANAL_BEHIND_MM[1] and aside < CANAL_ASIDE_MM
            if not (in_canal and len(rows) * mm**2 >= CANAL_MM2):
                marrow[k, rows, columns] = True
    return marrow


def _outline(bone: np.ndarray, mm: float) -> tuple[np.ndarray, np.ndarray]:
    """(K, J, I) inside of the skin, and fat below it: the convex outline of the bones of a slab, enlarged."""
    j, i = np.mgrid[: bone.shape[1], : bone.shape[2]]
    angles = np.radians(np.arange(0, 360, 5))
    normals = np.stack([np.cos(angles), np.sin(angles)])
    reach = int(SLAB_MM / mm / 2)
    body, fat = np.zeros_like(bone), np.zeros_like(bone)
    for k in range(len(bone)):
        points = np.argwhere(bone[max(0, k - reach) : k + reach + 1].any(axis=0))
        if len(points) < 3:
            continue
        limits = (points @ normals).max(axis=0) * mm + SKIN_MM
        depth = np.full(j.shape, np.inf)
        for (a, b), limit in zip(normals.T, limits):
            depth = np.minimum(depth, limit - (j * a + i * b) * mm)
        body[k], fat[k] = depth > 0, (depth > 2) & (depth < FAT_MM)
    return body, fat


def flesh_out(skeleton: Skeleton, rng: np.random.Generator) -> SyntheticCase:
    """Draw the HU of what a bone-only CT lacks, and put it through a scanner (:mod:`.scanner`)."""
    shape, mm = skeleton.bone.shape, float(skeleton.volume.spacing[0])
    soft = rng.normal(45, 12) + 14 * smooth_noise(rng, shape, 12.0 / mm)
    soft = np.where(smooth_noise(rng, shape, 25.0 / mm) > rng.uniform(0.3, 1.5), rng.normal(-95, 8), soft)
    hu = np.where(skeleton.body, soft, -1000.0)
    hu = np.where(skeleton.fat, rng.normal(-102, 8), hu)
    marrow = rng.uniform(40, 190) + 20 * smooth_noise(rng, shape, 3.0)
    hu = np.where(skeleton.marrow, np.minimum(marrow, 199), hu)
    hu = np.where(skeleton.bone, skeleton.volume.array, hu).astype(np.float32)
    seen = Volume(scan(hu, mm, rng), skeleton.volume.ijk_to_ras)
    return SyntheticCase(seen, skeleton.centers, frozenset())


def write_cases(data: Path, out: Path, count: int, seed: int) -> list[Path]:
    """Write ``count`` cases of every bone-only CT; existing ones stay.

    Raises:
        InputError: the folder holds none.
    """
    found = skeletons(data)
    if not found:
        raise InputError(f"No bone-only CT with truth was found in {data}: choose the project's data folder.")
    out.mkdir(parents=True, exist_ok=True)
    files = []
    for name, paths in found.items():
        skeleton = read_skeleton(*paths)
        for number in range(seed, seed + count):
            files.append(out / f"synthetic_bone_{name}_{number:04d}.nii.gz")
            if not files[-1].is_file():
                write_case(flesh_out(skeleton, np.random.default_rng([number, *name.encode()])), files[-1])
    return files


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cases")
    parser.add_argument("--count", type=int, default=8, help="cases of each bone-only CT")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    return print_result(
        lambda: "\n".join(map(str, write_cases(options.data, options.out, options.count, options.seed)))
    )


if __name__ == "__main__":
    sys.exit(main())
