"""Whether a labeling process still is what would be started now: its code, its model."""

from __future__ import annotations

from pathlib import Path

from .job import Job

ENGINE = Path(__file__).resolve().parents[1]


def made_of(job: Job, model: Path | str) -> tuple:
    """What a process that did this job is made of: the same for another job that it could do, else different.

    Args:
        job: whose labeler, model and device count, not its volume.
        model: path of the network's weights, also where the job leaves them to the labeler.
    """
    weights = Path(model)
    files = [*sorted(ENGINE.rglob("*.py")), weights, weights.with_suffix(".json")]
    return job.labeler, tuple(sorted(job.arguments.items())), tuple(map(_state, files))


def _state(path: Path) -> tuple:
    try:
        state = path.stat()
    except OSError:
        return str(path), None, None
    return str(path), state.st_size, state.st_mtime_ns
