"""Time and memory of our labeling, by stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.volume import Volume

from .memory import PeakMemory
from .scans import read_scan


def measure_labeling(scan: str, precision: str = "fp32", device: str = "cpu", repeats: int = 3) -> dict:
    """Label a scan ``repeats`` times. The clock runs from the volume in memory to the labels; the network is loaded.

    Args:
        scan: file of :func:`scans.write_scan`.
        precision: ``"fp32"`` or ``"bf16"``.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        JSON fields: ``seconds`` (median), ``runs``, ``stages`` (median seconds of each), ``memory_gb`` above the input
        (of the GPU with CUDA), ``voxels``, ``points`` (level -> RAS mm).
    """
    from VertebraLabelingLib.pipeline.labeler import VertebraLabeler

    from .precision import to_bfloat16

    volume = read_scan(Path(scan))
    labeler = VertebraLabeler(device=device)
    if precision == "bf16":
        to_bfloat16(labeler.model.detection_network)
    return {
        "precision": precision,
        "device": device,
        **time_labeling(labeler.label, volume, repeats, load=lambda: labeler.model),
        **({"memory_gb": _gpu_gigabytes()} if device != "cpu" else {}),
    }


def time_labeling(
    label: Callable[..., SpineLabels], volume: Volume, repeats: int, load: Callable[[], object] = lambda: None
) -> dict:
    """The measurement itself, for any function like :meth:`labeler.VertebraLabeler.label`."""
    load()
    memory = PeakMemory()
    runs: list[float] = []
    stages: list[dict[str, float]] = []
    labels = None
    for _ in range(repeats):
        marks: list[tuple[float, str]] = []
        started = time.perf_counter()
        labels = label(volume, progress=lambda _, name, marks=marks: marks.append((time.perf_counter(), name)))
        runs.append(time.perf_counter() - started)
        stages.append(_durations(marks))
    return {
        "voxels": int(volume.array.size),
        "seconds": float(np.median(runs)),
        "runs": runs,
        "stages": {name: float(np.median([stage[name] for stage in stages])) for name in stages[0]},
        "memory_gb": memory.gigabytes,
        "points": {point.level: list(map(float, point.ras)) for point in labels.points},
    }


def _durations(marks: Sequence[tuple[float, str]]) -> dict[str, float]:
    """Seconds spent under each name, from (moment, name of what begins then)."""
    times: dict[str, float] = {}
    for (start, name), (end, _) in zip(marks, marks[1:]):
        times[name] = times.get(name, 0.0) + end - start
    return times


def _gpu_gigabytes() -> float:
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**30, 2)
