"""Small training cases with known content: a tube of soft tissue with a bright ball at every body center."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.labels import CONFIRMED, LabeledPoint, SpineLabels
from VertebraLabelingTraining.data.cases import Case
from VertebraLabelingTraining.networks.detection_task import DetectionConfig

TINY = DetectionConfig(steps=6, batch=1, shapes=((48, 32, 32),), widths=(4, 8, 8, 8, 8), checkpoint_every=100)


def ball_case(name="balls", first="T4", count=8, spacing=(3.0, 2.0, 2.0)) -> Case:
    """A tube of soft tissue with a bright ball of 8 mm radius at every body center."""
    shape = (90, 80, 80)
    z = 20.0 + 30.0 * torch.arange(count)
    points = torch.stack([z, 80 + 10 * torch.sin(z / 60), torch.full_like(z, 78.0)], 1)
    axes = [torch.arange(n) * s for n, s in zip(shape, spacing)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    image = torch.full(shape, -1000.0)
    image[(grid[..., 1:] - 80).norm(dim=-1) < 70] = 40.0
    for point in points:
        image[(grid - point).norm(dim=-1) < 8] = 900.0
    start = LEVEL_INDEX[first]
    levels = torch.arange(start, start + count).flip(0)  # z runs to Superior
    return Case(name, image.short(), torch.tensor(spacing), levels, points, torch.zeros(count, dtype=torch.bool))


def write_case(folder: Path, case: Case, status: str = CONFIRMED) -> Path:
    """Write a case as users have it: ``<name>.nii.gz`` and ``<name>.mrk.json``; returns the CT file."""
    import SimpleITK as sitk
    from VertebraLabelingLib.core.volume import Volume, ijk_to_ras
    from VertebraLabelingLib.formats.mrk_json import write_labels
    from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

    folder.mkdir(parents=True, exist_ok=True)
    volume = Volume(case.image.numpy(), np.diag([*case.spacing.flip(0).tolist(), 1.0]))
    sitk.WriteImage(to_sitk(volume), str(folder / f"{case.name}.nii.gz"))
    ras = ijk_to_ras(volume, (case.points / case.spacing).flip(1).numpy())
    points = [LabeledPoint(LEVELS[k], tuple(p), 1.0, status) for k, p in zip(case.levels, ras)]
    write_labels(folder / f"{case.name}.mrk.json", SpineLabels(tuple(points)))
    return folder / f"{case.name}.nii.gz"
