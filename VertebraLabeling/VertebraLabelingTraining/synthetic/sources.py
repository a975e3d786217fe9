"""The label maps that synthetic CT is made from: reading them into one form.

Only maps of patients that no score is ever taken on are used. The map of ``lidc_idri_0001`` (the
demonstration patient) and the maps of ``ts_example`` (a patient of the cross-validation) are never read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.anatomy import VERSE_LABELS
from VertebraLabelingLib.core.volume import Volume, apply_affine, lps_to_ras, to_canonical
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans.read_scan import read_volume

FORBIDDEN = ("lidc_idri_0001", "ts_example")
"""Patients that must not enter training, in any form."""

_TRUNK_MAPS = ("ts_s0327", "ts_s0328")
_VERSE004, _VERSE_MM = "sub-verse004", 1.0


@dataclass(frozen=True)
class LabelMapSource:
    """One labeled anatomy.

    Attributes:
        name: patient name, first part of the names of the cases made from it.
        labels: (K, J, I) uint8 structure ids, canonical axes, 0 where nothing is labeled.
        names: structure id to name, as in TotalSegmentator (``vertebrae_T12``, ``rib_left_1``, ``aorta``).
        spacing_mm: isotropic voxel size.
        truth: level to body center in the map's own frame: (i, j, k) times ``spacing_mm``, mm.
        cut: levels of ``truth`` that the border of the map cuts.
        bone_hu: (K, J, I) int16 real CT where HU >= 200 and 0 elsewhere, or ``None``.
    """

    name: str
    labels: np.ndarray
    names: dict[int, str]
    spacing_mm: float
    truth: dict[str, np.ndarray]
    cut: frozenset[str] = frozenset()
    bone_hu: np.ndarray | None = None
    cache: dict = field(default_factory=dict, repr=False, compare=False)

    def ids(self, *prefixes: str) -> list[int]:
        """Ids of the structures whose name starts with one of ``prefixes``."""
        return [number for number, name in self.names.items() if name.startswith(prefixes)]

    def mask(self, *prefixes: str) -> np.ndarray:
        """(K, J, I) bool: the structures whose name starts with one of ``prefixes``."""
        return structure_mask(self.labels, self.ids(*prefixes))


def structure_mask(labels: np.ndarray, ids: list[int]) -> np.ndarray:
    """Where ``labels`` (uint8) is one of ``ids``."""
    table = np.zeros(256, dtype=bool)
    table[ids] = True
    return table[labels]


def trunk_maps(data_folder: Path) -> list[LabelMapSource]:
    """Read the whole-trunk maps of the data folder (see its README); absent ones are left out."""
    folder = Path(data_folder) / "labelmaps"
    return [_trunk_map(folder, name) for name in _TRUNK_MAPS if (folder / f"{name}_labels.nii.gz").is_file()]


def vertebra_maps(data_folder: Path) -> list[LabelMapSource]:
    """Read the maps that hold vertebrae only; absent ones are left out."""
    folder = Path(data_folder) / "labelmaps"
    return [_verse004(folder)] if (folder / f"{_VERSE004}_seg-vert_msk.nii.gz").is_file() else []


def _verse004(folder: Path) -> LabelMapSource:
    """The VerSe mask T9-L5 on isotropic voxels; the centroid file counts in voxels of the mask as it is stored."""
    import SimpleITK as sitk

    level_of = {number: level for level, number in VERSE_LABELS.items()}
    stored = read_volume(folder / f"{_VERSE004}_seg-vert_msk.nii.gz")
    volume = to_canonical(stored)
    centroids = [entry for entry in _json(folder / f"{_VERSE004}_seg-subreg_ctd.json") if "label" in entry]
    ras = apply_affine(stored.ijk_to_ras, np.array([[entry[axis] for axis in "XYZ"] for entry in centroids]))
    points = apply_affine(np.linalg.inv(volume.ijk_to_ras), ras) * volume.spacing
    truth = {level_of[entry["label"]]: point for entry, point in zip(centroids, points)}

    image = sitk.GetImageFromArray(volume.array.astype(np.uint8))
    image.SetSpacing(volume.spacing.tolist())
    size = np.ceil(np.array(image.GetSize()) * volume.spacing / _VERSE_MM).astype(int)
    iso = sitk.Resample(image, size.tolist(), sitk.Transform(), sitk.sitkNearestNeighbor, [0.0] * 3, [_VERSE_MM] * 3)
    labels = sitk.GetArrayFromImage(iso)
    names = {int(number): f"vertebrae_{level_of[int(number)]}" for number in np.unique(labels) if number}
    return LabelMapSource("verse004", labels, names, _VERSE_MM, truth)


def _trunk_map(folder: Path, name: str) -> LabelMapSource:
    volume = _read(folder / f"{name}_labels.nii.gz")
    names = {int(number): text for number, text in _json(folder / f"{name}_labels.json").items()}
    bone_file = folder / f"{name}_boneonly_ct.nii.gz"
    truth = _truth(folder / f"{name}.mrk.json", volume)
    labels = np.ascontiguousarray(volume.array).astype(np.uint8)
    source = LabelMapSource(
        name=name,
        labels=labels,
        names=names,
        spacing_mm=float(volume.spacing.mean()),
        truth=truth,
        bone_hu=np.ascontiguousarray(_read(bone_file).array) if bone_file.is_file() else None,
    )
    return source


def _read(path: Path) -> Volume:
    if any(name in path.name for name in FORBIDDEN):
        raise InputError(f"{path.name} belongs to a patient that must not enter training: choose another label map.")
    return to_canonical(read_volume(path))


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _truth(path: Path, volume: Volume) -> dict[str, np.ndarray]:
    """Body centers of a markups file in the map's own frame, mm."""
    points = _json(path)["markups"][0]["controlPoints"]
    ras = lps_to_ras(np.array([point["position"] for point in points]))
    ijk = apply_affine(np.linalg.inv(volume.ijk_to_ras), ras)
    return {point["label"]: row * volume.spacing for point, row in zip(points, ijk)}
