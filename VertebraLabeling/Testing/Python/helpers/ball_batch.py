"""Batches of phantoms whose balls a labeler without a network finds and names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from ball_labeler import BallLabeler
from phantoms import body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import in_this_process, label_batch
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.scan_job import ScanResult
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

FORMATS = ("mrk.json", "csv", "verse.json")
BALLS = "ball_labeler:BallLabeler"


def balls(count) -> np.ndarray:
    return np.array([(0.0, -3.0, 164.0 - 16 * n) for n in range(count)])


def write_scans(folder: Path, *counts: int) -> Path:
    """One NIfTI file for each number of balls."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, count in enumerate(counts):
        sitk.WriteImage(to_sitk(body(balls=balls(count), radius_mm=5)), str(folder / f"scan{number}.nii.gz"))
    return folder


def run(folder, out, runner=None, formats=FORMATS, **options) -> list[ScanResult]:
    plan = OutputPlan(str(out), formats, options.pop("overwrite", False))
    return label_batch(find_scans([folder]), plan, runner or in_this_process(BallLabeler()), **options)


def outputs(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in out.iterdir() if not p.name.startswith(("summary.", "review."))}
