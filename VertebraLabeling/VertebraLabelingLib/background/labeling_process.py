"""Labeling in a process of its own: the volume comes as a file, progress and the result go out as JSON lines.

A user interface starts ``python -m VertebraLabelingLib.background.labeling_process JOB.json`` in the folder that holds
the engine, reads one JSON object a line from its standard output, and ends it by closing its standard input (then
killing it). The process also ends by itself when the program that started it is gone, because its standard input closes
then too.

Messages: ``{"type": "started", "pid": 1}``, ``{"type": "progress", "fraction": 0.4, "stage": "finding vertebrae"}``,
and last one of ``{"type": "result", "labels": {...}}`` or ``{"type": "error", "message": ..., "detail": ...}``, where
``message`` is a sentence for the user and ``detail`` is for the log. ``--devices`` in place of a job answers with one
``{"type": "devices", "torch": version, "cuda": [{"name": ..., "free": bytes, "total": bytes}]}``.

Nothing but the job, the volume and the weights is read, and only standard output is written.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ..core.evidence import Evidence
from ..core.label_warning import LabelWarning
from ..core.labels import LabeledPoint, SpineLabels
from ..core.volume import Volume
from ..errors import InputError, VertebraLabelingError
from ..system.idle_threads import sleep_while_waiting

NETWORK = "VertebraLabelingLib.pipeline.labeler:VertebraLabeler"
HANDOVER_SHARE = 0.05  # of the progress of a run; the rest is the labeling
UNEXPECTED = "The labeling stopped because of an unexpected error: see the log for the details."
NO_TORCH = "PyTorch is not installed: open the Set-up section of Vertebra Labeling and press 'Install PyTorch'."


@dataclass(frozen=True)
class Job:
    """What one run needs.

    Attributes:
        array: path of the voxels, ``.npy``, axes (K, J, I); opened without reading it whole into memory.
        ijk_to_ras: (4, 4) affine from (i, j, k) to world RAS mm, as nested lists.
        fixed: level -> world RAS mm of points that are known.
        arguments: keyword arguments of the labeler (``weights``, ``device``).
        labeler: ``module:class`` that labels.
    """

    array: str
    ijk_to_ras: Sequence[Sequence[float]]
    fixed: dict[str, Sequence[float]] = field(default_factory=dict)
    arguments: dict[str, object] = field(default_factory=dict)
    labeler: str = NETWORK

    def write(self, path: Path) -> None:
        """Write the job file."""
        Path(path).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        """Read a job file."""
        return cls(**json.loads(Path(path).read_text(encoding="utf-8")))


def labels_to_json(labels: SpineLabels) -> dict:
    """A result as plain JSON types; see :func:`labels_from_json`."""
    return {
        "points": [asdict(point) for point in labels.points],
        "warnings": [warning.to_json() for warning in labels.warnings],
        "provenance": labels.provenance,
        "evidence": labels.evidence.to_json() if labels.evidence else None,
    }


def labels_from_json(data: dict) -> SpineLabels:
    """Read what :func:`labels_to_json` made."""
    points = (LabeledPoint(p["level"], tuple(p["ras"]), p["confidence"], p["status"]) for p in data["points"])
    evidence = Evidence.from_json(data["evidence"]) if data["evidence"] else None
    warnings = tuple(filter(None, map(LabelWarning.from_json, data["warnings"])))
    return SpineLabels(tuple(points), warnings, data["provenance"], evidence)


def parse_message(line: bytes) -> dict | None:
    """A message of the process; ``None`` for anything else that reaches its output (a launcher may write there)."""
    try:
        message = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return message if isinstance(message, dict) and "type" in message else None


def seconds_left(fraction: float, seconds: float) -> float | None:
    """How long a run will still take when ``fraction`` took ``seconds``; ``None`` while that is a guess."""
    return seconds * (1 - fraction) / fraction if fraction > 0.15 and seconds > 1 else None


class _Messages:
    """Writes messages to what was standard output; everything else that prints goes to standard error."""

    def __init__(self) -> None:
        self.stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, kind: str, **content: object) -> None:
        self.stream.write(json.dumps({"type": kind, **content}) + "\n")
        self.stream.flush()


def run(job: Job, messages: _Messages) -> None:
    """Label the job's volume and send the result."""
    try:
        array = np.load(job.array, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError("The volume could not be handed to the labeling process: label again.") from error
    volume = Volume(array, np.array(job.ijk_to_ras))
    if job.labeler == NETWORK and str(job.arguments.get("device")).startswith("cuda") and not devices()["cuda"]:
        raise VertebraLabelingError("No CUDA GPU can be used here: choose 'auto' or 'cpu'.")
    try:
        module, name = job.labeler.split(":")
        labeler = getattr(importlib.import_module(module), name)(**job.arguments)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise VertebraLabelingError(NO_TORCH) from error
    labels = labeler.label(
        volume,
        fixed=job.fixed or None,
        progress=lambda fraction, stage: messages.send("progress", fraction=fraction, stage=stage),
    )
    messages.send("result", labels=labels_to_json(labels))


def devices() -> dict[str, object]:
    """What torch can compute on: its version, and name and memory (bytes) of each CUDA device."""
    try:
        import torch
    except ImportError:
        return {"torch": None, "cuda": []}
    cuda = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        cuda.append({"name": torch.cuda.get_device_name(index), "free": free, "total": total})
    return {"torch": torch.__version__, "cuda": cuda}


def _end_with_parent() -> None:
    """End this process, whatever it is doing, when its standard input closes."""

    def wait() -> None:
        while os.read(0, 1):  # not sys.stdin: a lock held there breaks the ordinary end of the process
            pass
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 after a result, 1 after an error that was reported."""
    (what,) = sys.argv[1:] if arguments is None else arguments
    messages = _Messages()
    if what == "--devices":
        messages.send("devices", **devices())
        return 0
    _end_with_parent()
    sleep_while_waiting()
    messages.send("started", pid=os.getpid())
    try:
        run(Job.read(Path(what)), messages)
    except VertebraLabelingError as error:
        messages.send("error", message=str(error), detail=traceback.format_exc())
        return 1
    except MemoryError:
        sentence = "The computer has too little free memory for this scan: close other programs or crop the volume."
        messages.send("error", message=sentence, detail=traceback.format_exc())
        return 1
    except Exception:
        messages.send("error", message=UNEXPECTED, detail=traceback.format_exc())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
