"""Labeling in a process of its own: the volume comes as a file, progress and the result go out as JSON lines.

A user interface starts ``python -m VertebraLabelingLib.background.labeling_process --jobs`` in the folder that holds
the engine, writes jobs to its standard input, one JSON object (:class:`Job`) a line, and reads one JSON object a line
from its standard output. A job whose volume is still on its way only lets the process get ready: it loads PyTorch and
the networks meanwhile. The process stays for further jobs until it has waited ten minutes or the computer is short of
memory. It ends at once when its standard input closes, so also when the program that started it is gone, however that
ended; the folder of a volume that was being handed over goes then too.

Messages for each job: ``{"type": "started", "pid": 1}``, ``{"type": "ready"}`` when PyTorch is loaded, ``{"type":
"progress", "fraction": 0.4, "stage": "finding vertebrae"}``, and last one of ``{"type": "result", "labels": {...}}`` or
``{"type": "error", "message": ..., "detail": ..., "fit": true}``, where ``message`` is a sentence for the user,
``detail`` is for the log, and a process that is not fit for another job ends. ``--devices`` in place of ``--jobs``
answers with one ``{"type": "devices", "torch": version, "cuda": [{"name": ..., "free": bytes, "total": bytes}]}``.

Nothing but the job, the volume and the weights is read, and only standard output is written.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

import numpy as np

from ..core.evidence import Evidence
from ..core.label_warning import LabelWarning
from ..core.labels import LabeledPoint, SpineLabels
from ..core.volume import Volume
from ..errors import InputError, VertebraLabelingError
from ..system.idle_threads import sleep_while_waiting
from .job import NETWORK, Job
from .job_queue import JobQueue

HANDOVER_SHARE = 0.05  # of the progress of a run; the rest is the labeling
JOBS = "--jobs"
UNEXPECTED = "The labeling stopped because of an unexpected error: see the log for the details."
NO_MEMORY = "The computer has too little free memory for this scan: close other programs or crop the volume."
NO_TORCH = "PyTorch is not installed: open the Set-up section of Vertebra Labeling and press 'Install PyTorch'."


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


class Worker:
    """Does jobs, one after the other; the labeler and its networks are made for the first and kept.

    Args:
        send: takes the kind of a message and its content.
    """

    def __init__(self, send: Callable[..., None]) -> None:
        self._send, self._labeler, self._made_for = send, None, None

    def do(self, job: Job) -> bool:
        """Get ready for a job, and label its volume where that is written. Errors become messages.

        Returns:
            whether the process is fit for another job.
        """
        try:
            self._get_ready(job)
            if job.written:
                self._send("result", labels=labels_to_json(self._label(job)))
            return True
        except VertebraLabelingError as error:
            return self._fail(str(error), fit=self._labeler is not None)
        except MemoryError:
            return self._fail(NO_MEMORY)
        except Exception:
            return self._fail(UNEXPECTED)

    def _fail(self, message: str, fit: bool = False) -> bool:
        self._send("error", message=message, detail=traceback.format_exc(), fit=fit)
        return fit

    def _get_ready(self, job: Job) -> None:
        if self._made_for == (job.labeler, job.arguments):
            return
        self._labeler = None
        cuda = str(job.arguments.get("device")).startswith("cuda")
        if job.labeler == NETWORK and cuda and not devices()["cuda"]:
            raise VertebraLabelingError("No CUDA GPU can be used here: choose 'auto' or 'cpu'.")
        try:
            module, name = job.labeler.split(":")
            labeler = getattr(importlib.import_module(module), name)(**job.arguments)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise VertebraLabelingError(NO_TORCH) from error
        _ = getattr(labeler, "model", None)  # the networks, which are loaded on first use
        self._labeler, self._made_for = labeler, (job.labeler, job.arguments)
        self._send("ready")

    def _label(self, job: Job) -> SpineLabels:
        try:
            array = np.load(job.array, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError("The volume could not be handed to the labeling process: label again.") from error
        return self._labeler.label(
            Volume(array, np.array(job.ijk_to_ras)),
            fixed=job.fixed or None,
            progress=lambda fraction, stage: self._send("progress", fraction=fraction, stage=stage),
        )


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


def do_jobs(jobs: Iterable[Job], send: Callable[..., None]) -> int:
    """Do the jobs of standard input until there are no more; returns the exit code."""
    worker = Worker(send)
    fit, announced = True, None
    for job in jobs:
        if job.array != announced:
            send("started", pid=os.getpid())
        announced = job.array
        fit = worker.do(job)
        if not fit:
            break
        if job.written:
            _give_memory_back()
    return 0 if fit else 1


def _give_memory_back() -> None:
    """After a job: let the volume go, whose file cannot be removed on Windows before, and the GPU's memory."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 1 after an error that left the process unfit for another job, else 0."""
    (what,) = sys.argv[1:] if arguments is None else arguments
    messages = _Messages()
    if what == "--devices":
        messages.send("devices", **devices())
        return 0
    if what != JOBS:
        sys.exit(f"What is to be done: {JOBS} or --devices?")
    jobs = JobQueue()
    sleep_while_waiting()
    return do_jobs(jobs, messages.send)


if __name__ == "__main__":
    sys.exit(main())
