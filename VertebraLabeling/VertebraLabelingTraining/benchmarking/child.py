"""One measurement in a process of its own, so that its peak memory is its own.

    python -m VertebraLabelingTraining.benchmarking.child JOB.json RESULT.json

The parent calls :func:`run_measurement`; a measurement is a function of plain values that returns plain values.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from VertebraLabelingLib.batch.workers import python_executable
from VertebraLabelingLib.errors import VertebraLabelingError

MEASUREMENTS = {
    "labeling": "labeling:measure_labeling",
    "spine-segment": "spine_segment_peer:measure_spine_segment",
    "nnunet": "nnunet_peer:measure_nnunet",
}
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def run_measurement(kind: str, threads: int, limit: float, **arguments: object) -> dict:
    """Run a measurement in a new process.

    Args:
        kind: a key of :data:`MEASUREMENTS`.
        threads: threads for every library.
        limit: seconds after which the process is ended.

    Returns:
        what the measurement returned; or ``{"failed": sentence}``, with ``"over_seconds"`` where the limit was reached.
    """
    package = Path(__file__).resolve().parents[2]
    paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, str(threads)), "PYTHONPATH": os.pathsep.join(paths)}
    with tempfile.TemporaryDirectory() as folder:
        job, result = Path(folder) / "job.json", Path(folder) / "result.json"
        job.write_text(json.dumps({"kind": kind, "arguments": arguments}))
        command = [python_executable(), "-m", __spec__.name, str(job), str(result)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return {"failed": f"stopped after {limit:.0f} s", "over_seconds": limit}
        if done.returncode or not result.is_file():
            lines = done.stderr.strip().splitlines()
            return {"failed": lines[-1] if lines else f"the process ended with code {done.returncode}"}
        return json.loads(result.read_text())


def main(argv: list[str]) -> int:
    """See the module's docstring."""
    job = json.loads(Path(argv[0]).read_text())
    module, function = MEASUREMENTS[job["kind"]].split(":")
    try:
        result = getattr(import_module(f".{module}", __package__), function)(**job["arguments"])
    except VertebraLabelingError as error:
        result = {"failed": str(error)}
    except ModuleNotFoundError as error:
        result = {"failed": f"{error.name} is not installed: pip install '.[bench]' in the clone"}
    Path(argv[1]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
