"""Batches of scans that share names: patients of A and B balls, labeled as the command does."""

from __future__ import annotations

import json
from pathlib import Path

import SimpleITK as sitk
from ball_batch import balls
from ball_labeler import BallLabeler
from phantoms import body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import in_this_process, label_batch
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.ownership import settle
from VertebraLabelingLib.core.labels import MOVED
from VertebraLabelingLib.formats.mrk_json import read_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

A, B = 3, 2
"""Balls of the two patients."""
DRAG_MM = 2.0


def patient(path: Path, count: int, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(to_sitk(body(balls=balls(count), radius_mm=5, seed=seed)), str(path))
    return path


def label(inputs, out: Path, formats=("mrk.json",), adopt=False, overwrite=False, runner=None, labeler=None):
    """Label inputs as the command does; the results by path."""
    plan = OutputPlan(str(out), formats, overwrite)
    settled = settle(find_scans([inputs] if isinstance(inputs, Path) else inputs), plan, adopt)
    results = label_batch(settled, plan, runner or in_this_process(labeler or BallLabeler()))
    return {result.path: result for result in results}


def one(path: Path, out: Path, **options):
    return label(path, out, **options)[str(path)]


def levels(out: Path) -> dict[str, int]:
    """Output name -> number of points."""
    names = {path.name[: -len(".mrk.json")]: path for path in sorted(out.glob("*.mrk.json"))}
    return {name: len(read_labels(path).points) for name, path in names.items()}


def correct(path: Path, status: str = MOVED) -> bytes:
    """Correct the first point as the panel does and Slicer saves it, which leaves out what it does not know.

    A confirmed level is sure; a drag says nothing of the level, whose confidence stays.
    """
    data = json.loads(path.read_text())
    data.pop("vertebraLabeling", None)
    point = data["markups"][0]["controlPoints"][0]
    confidence, _, code = point["description"].split(";")
    if status == MOVED:
        point["position"][1] += DRAG_MM
    else:
        confidence = "confidence=1.00"
    point["description"] = f"{confidence};status={status};{code}"
    path.write_text(json.dumps(data))
    return path.read_bytes()


def forget(out: Path) -> None:
    """Make outputs those of a version that kept no source."""
    for path in out.glob("*.mrk.json"):
        data = json.loads(path.read_text())
        data.pop("vertebraLabeling", None)
        path.write_text(json.dumps(data))
    for path in out.glob("summary.*"):
        path.unlink()
