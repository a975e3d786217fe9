"""The readers of our own formats, each with a sound document and with what must hold of whatever it accepts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from cases import ct, wrong_sentence
from phantoms import spine
from VertebraLabelingLib.batch.inputs import Inputs, find_scans
from VertebraLabelingLib.batch.summary import JOURNAL, Summary
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import STATUSES, SpineLabels
from VertebraLabelingLib.core.volume import FARTHEST_MM
from VertebraLabelingLib.errors import InputError, VertebraLabelingError
from VertebraLabelingLib.formats import mrk_json, verse_json
from VertebraLabelingLib.networks.weights import read_card
from VertebraLabelingLib.solver.chain import solve

TWO = ("T12", "L1")
LEAVES = re.compile(r'(^|[\s,"])/|\.\.')  # an absolute path, or a way up
LISTED = ("a.nii", "b.nii", "below/c.nii.gz")


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        suffix: of the file it is given.
        sound: a document that it accepts, as bytes.
        read: reads a path; may raise a :class:`VertebraLabelingError` with one sentence, and nothing else.
        fault: what is wrong with a result; empty where all is well.
    """

    suffix: str
    sound: Callable[[], bytes]
    read: Callable[[Path], object]
    fault: Callable[[object], str]


def problem_with(reader: Reader, data: bytes, path: Path) -> str:
    """Read some bytes; empty where the reader refuses them in one sentence or its result is sound."""
    path.write_bytes(data)
    try:
        result = reader.read(path)
    except VertebraLabelingError as error:
        return wrong_sentence(str(error))
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return reader.fault(result)


def labels_fault(labels: SpineLabels) -> str:
    """Empty where levels are known, ordered and single, positions finite and near, confidences and status sound."""
    order = [LEVEL_INDEX[point.level] for point in labels.points]
    if order != sorted(set(order)):
        return f"levels {order}"
    for point in labels.points:
        numbers = len(point.ras) == 3 and all(type(x) is float and abs(x) < FARTHEST_MM for x in point.ras)
        if not numbers or not 0 <= point.confidence <= 1 or point.status not in STATUSES:
            return f"point {point}"
    return ""


def _evidence_fault(evidence: Evidence) -> str:
    unit = all(
        values.min() >= 0 and values.max() <= 1 for values in (evidence.detection, evidence.presence) if values.size
    )
    if not unit or (evidence.unary.size and evidence.unary.min() < 0):
        return "probabilities outside of 0..1, or negative costs"
    try:
        return labels_fault(solve(evidence))
    except VertebraLabelingError as error:
        return wrong_sentence(str(error))


def _card_fault(card: dict) -> str:
    widths = card["widths"]
    sound = 0 < len(widths) < 10 and all(type(width) is int and 0 < width <= 1024 for width in widths)
    return "" if sound and isinstance(card["version"], str) and len(card["sha256"]) == 64 else f"card {str(card)[:200]}"


def _config_fault(config) -> str:
    numbers = (config.steps, config.batch, config.learning_rate, config.weight_decay, config.ema, config.seed)
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) for number in numbers):
        return f"settings {numbers}"
    json.dumps(config.to_dict())
    return ""


def _evidence() -> Evidence:
    rng = np.random.default_rng(2)
    points = np.array([(0.0, 0.0, 60.0), (1.0, 2.0, 30.0), (0.0, 1.0, 2.0)])
    corners = np.array(np.meshgrid((-90, 90), (-90, 90), (-30, 90), indexing="ij")).reshape(3, 8).T
    return Evidence(points, 8 * rng.random((3, len(LEVELS))), [0.9, 0.8, 0.7], rng.random(len(LEVELS)), corners)


def _written(write: Callable[[Path], None]) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "a")
        return (Path(folder) / "a").read_bytes()


def _sound_card() -> bytes:
    card = {"format": 2, "version": "1.0", "sha256": "0" * 64, "widths": [12, 32, 64, 96, 128]}
    return json.dumps({**card, "training": {"steps": 10, "cases": ["a", "b"]}}).encode()


def _sound_config() -> bytes:
    from VertebraLabelingTraining.networks.detection_task import DetectionConfig

    return json.dumps(DetectionConfig(shares={"*": 1.0}, exclude=("x",)).to_dict()).encode()


def _read_card(path: Path) -> dict:
    path.with_suffix(".pt").touch()
    return read_card(path.with_suffix(".pt"))


def _read_config(path: Path):
    from VertebraLabelingTraining.networks.detection_task import DetectionConfig

    return DetectionConfig.read(path)


def _read_text(read: Callable[[str], object], path: Path) -> object:
    return read(path.read_bytes().decode("utf-8", "surrogateescape"))


def _journal(path: Path) -> Summary:
    folder = path.with_name(path.name + "-folder")
    folder.mkdir(exist_ok=True)
    (folder / JOURNAL).write_bytes(path.read_bytes())
    summary = Summary(str(folder))
    summary.write()
    return summary


def _read_list(prefix: str, path: Path) -> Inputs:
    """Find the scans of a list that lies in a small folder of its own, called from there.

    A folder that a list names is searched to its end, as the user asked; so lists that name places outside of theirs
    are left out here, or the search would go through the whole computer.
    """
    data = path.read_bytes()
    if LEAVES.search(data.decode("utf-8", "replace")):
        raise InputError("This list names places outside of its folder: it is not tried.")
    folder = path.with_name(path.name + "-folder")
    for name in LISTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / path.name).write_bytes(data)
    before = os.getcwd()
    os.chdir(folder)
    try:
        return find_scans([prefix + path.name])
    finally:
        os.chdir(before)


def _inputs_fault(inputs: Inputs) -> str:
    names = [job.name for job in inputs.jobs]
    if len(set(names)) < len(names):
        return f"names {names}"
    outside = [job.path for job in inputs.jobs if LEAVES.search(job.path)]
    if outside:
        return f"found {outside}"
    return "; ".join(filter(None, (wrong_sentence(problem.message) for problem in inputs.problems)))


_LINE = (
    '{"name": "a", "path": "a.nii", "status": "done", "message": "", "points": [["T1", 1.0, 2.0, 3.0, 0.9]], '
    '"warnings": ["w"], "seconds": 1.5, "files": ["a.mrk.json"], "kept": false, "provenance": {"model": "m"}}\n'
)

READERS: dict[str, Reader] = {
    "mrk.json": Reader(
        ".mrk.json",
        lambda: _written(lambda p: mrk_json.write_labels(p, spine(TWO))),
        mrk_json.read_labels,
        labels_fault,
    ),
    "verse.json": Reader(
        ".json",
        lambda: _written(lambda p: verse_json.write_labels(p, spine(TWO), ct())),
        lambda path: verse_json.read_labels(path, ct()),
        labels_fault,
    ),
    "evidence": Reader(
        ".json", lambda: _evidence().to_json().encode(), partial(_read_text, Evidence.from_json), _evidence_fault
    ),
    "model card": Reader(".json", _sound_card, _read_card, _card_fault),
    "training config": Reader(".json", _sound_config, _read_config, _config_fault),
    "list of scans": Reader(
        ".csv",
        lambda: b"path,case,series\na.nii,one,\nb.nii,two,3\nbelow,,all\n*.nii,,\n",
        partial(_read_list, ""),
        _inputs_fault,
    ),
    "text list of scans": Reader(
        ".txt", lambda: b"# scans\na.nii\n\n  below  \n*.nii\n@a.txt\n", partial(_read_list, "@"), _inputs_fault
    ),
    "journal": Reader(".jsonl", lambda: _LINE.encode() * 2, _journal, lambda summary: ""),
}
