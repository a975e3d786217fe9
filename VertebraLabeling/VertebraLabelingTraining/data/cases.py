"""Training cases: every CT that has a truth file of the same name beside it, or in a second folder of truth alone."""

from __future__ import annotations

import fnmatch
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX
from VertebraLabelingLib.core.volume import ras_to_ijk, to_canonical
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats.mrk_json import holds_discs, read_points
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume

STORED_MM = 2.0  # finer voxels are averaged to about this size once, when the case is read
CT_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")
TRUTH_SUFFIX = ".mrk.json"
GROWN_TRUTH = Path(__file__).parent / "truth"
"""Reviewed truth for public CTs that are not ours to keep here; see its README.md."""

log = logging.getLogger(__name__)


@dataclass
class Case:
    """One CT with truth, in memory.

    Attributes:
        name: path relative to the data folder without suffix, e.g. ``openkbp/pt_1``.
        image: (D, H, W) int16 HU, canonical axes.
        spacing: (3,) mm along z, y, x.
        levels: (N,) indices into :data:`anatomy.LEVELS`.
        points: (N, 3) body centers (z, y, x) in mm from the center of the first voxel.
        cut: (N,) true where the image edge cuts the vertebra: its point is extrapolated, never scored, never present.
    """

    name: str
    image: Tensor
    spacing: Tensor
    levels: Tensor
    points: Tensor
    cut: Tensor

    def to(self, device: torch.device) -> Case:
        """The same case with its tensors on another device."""
        tensors = (self.image, self.spacing, self.levels, self.points, self.cut)
        return Case(self.name, *(tensor.to(device) for tensor in tensors))


def find_cases(
    folders: Iterable[Path],
    exclude: Sequence[str] = (),
    truth: Path | None = None,
) -> dict[str, Path]:
    """Find CT files with truth below the folders.

    Args:
        folders: searched recursively; a case is named by its path below its folder.
        exclude: shell patterns of case names to leave out (other patients, the demo).
        truth: folder of truth without images: a CT that has no truth file beside it is found when this folder has one
            at the same relative path. Give the same folder to :func:`read_cases`.

    Returns:
        case name -> CT file, sorted by name.
    """
    found = {}
    for folder in map(Path, folders):
        if not folder.is_dir():
            raise InputError(
                f"The training folder {folder} does not exist: give a folder of CT files with .mrk.json truth."
            )
        known = [(folder, path) for path in folder.rglob("*" + TRUTH_SUFFIX)]
        known += [(truth, path) for path in truth.rglob("*" + TRUTH_SUFFIX)] if truth else []
        for root, path in known:
            name = path.relative_to(root).as_posix()[: -len(TRUTH_SUFFIX)]
            ct = next((folder / (name + s) for s in CT_SUFFIXES if (folder / (name + s)).is_file()), None)
            if ct is not None and not holds_discs(path) and not any(fnmatch.fnmatch(name, p) for p in exclude):
                found[name] = ct
    return dict(sorted(found.items()))


def truth_file(ct: Path, name: str = "", folder: Path | None = None) -> Path:
    """The truth of a CT: the file of the same name beside it, else the one of its case name in a folder of truth."""
    beside = ct.with_name(next(ct.name[: -len(s)] for s in CT_SUFFIXES if ct.name.endswith(s)) + TRUTH_SUFFIX)
    return beside if folder is None or beside.is_file() else folder / (name + TRUTH_SUFFIX)


def read_case(name: str, path: Path, truth: Path | None = None) -> Case:
    """Read one CT and its truth (see :func:`truth_file` for where it lies); see :class:`Case`."""
    points = read_points(truth_file(path, name, truth))
    canonical = to_canonical(read_volume(path))
    factors = tuple(int(max(1, np.floor(STORED_MM / s + 0.25))) for s in canonical.spacing)
    small = metal_free_block_mean(canonical, factors)
    ijk = ras_to_ijk(small, np.array([point.ras for point in points]))
    spacing = small.spacing[::-1].copy()
    return Case(
        name=name,
        image=torch.from_numpy(np.clip(np.rint(small.array), -1024, 8000).astype(np.int16)),
        spacing=torch.tensor(spacing, dtype=torch.float32),
        levels=torch.tensor([LEVEL_INDEX[point.level] for point in points]),
        points=torch.tensor(ijk[:, ::-1] * spacing, dtype=torch.float32),
        cut=torch.tensor([point.cut for point in points]),
    )


def read_cases(found: dict[str, Path], truth: Path | None = None) -> list[Case]:
    """Read all found cases into memory; a case that cannot be used is named in the log and left out."""
    cases = []
    for name, path in found.items():
        try:
            cases.append(read_case(name, path, truth))
        except (InputError, RuntimeError) as error:
            log.warning("%s is left out: %s", name, error)
    if not cases:
        raise InputError("No training case was found: each CT needs a <name>.mrk.json truth file beside it.")
    return cases


def fold_names(splits: Path, fold: int) -> list[str]:
    """Names of the cases of one fold, images and everything made from the same patients, from a ``splits.json``.

    Raises:
        InputError: the file has no such fold.
    """
    data = json.loads(Path(splits).read_text())
    if not 0 <= fold < len(data["folds"]):
        raise InputError(f"Fold {fold} is not in {splits}: choose 0 to {len(data['folds']) - 1}.")
    names = [name for group in data["folds"][fold].values() for name in group]
    related = [relative for name in names for relative in data["same_patient"].get(name, ())]
    return list(dict.fromkeys(names + related))


def demo_names(splits: Path) -> list[str]:
    """Names of the demo patient's cases, which no shipped weights may see."""
    data = json.loads(Path(splits).read_text())
    return data["demo"] + [relative for name in data["demo"] for relative in data["same_patient"].get(name, ())]


def left_out(splits: Path | None, fold: int | None) -> list[str]:
    """Names of the cases that a training may not read: of the demo patient, of the fold to be scored, and those whose
    levels nobody can settle.

    Args:
        splits: a ``splits.json``; without one nothing is left out.
        fold: ``None`` for weights that ship.

    Raises:
        InputError: a fold without a file that holds the folds.
    """
    if fold is not None and not splits:
        raise InputError("--fold needs --splits: name the file that holds the folds.")
    if not splits:
        return []
    uncertain = json.loads(Path(splits).read_text()).get("uncertain", [])
    return demo_names(splits) + uncertain + (fold_names(splits, fold) if fold is not None else [])
