"""Throughput of a batch with one worker and with several, and how well they work in parallel.

    python -m VertebraLabelingTraining.benchmarking.batch_throughput FOLDER [--workers 1 2] [--threads 1] [--json FILE]

Every CT of the folder is labeled from file to ``.mrk.json`` by worker processes of one thread each. The clock starts
when each worker has finished a first scan, so that starting Python and loading the network are left out. Efficiency is
the throughput of N workers over N times that of one. Close other programs; on a busy computer the numbers mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from VertebraLabelingLib.batch.inputs import ScanJob, find_scans
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.scan_job import FAILED
from VertebraLabelingLib.batch.workers import LabelerSpec, available_cores, run_in_processes
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.system.atomic import write_text


def scans_per_minute(jobs: Sequence[ScanJob], spec: LabelerSpec, workers: int, threads: int) -> float:
    """Steady throughput of ``workers`` processes on these scans.

    Raises:
        ValueError: too few scans, or one failed.
    """
    if len(jobs) < 2 * workers:
        raise ValueError(f"{workers} workers need at least {2 * workers} scans to be timed")
    with tempfile.TemporaryDirectory() as folder:
        times = []
        for result in run_in_processes(jobs, spec, OutputPlan(folder), workers, threads=threads):
            if result.status == FAILED:
                raise ValueError(f"{result.path}: {result.message}")
            times.append(time.perf_counter())
    return 60 * (len(times) - workers) / (times[-1] - times[workers - 1])


def compare(jobs: Sequence[ScanJob], spec: LabelerSpec, counts: Sequence[int], threads: int) -> list[dict]:
    """One row for each number of workers: ``workers``, ``scans_per_minute``, ``efficiency`` (1 is perfect)."""
    rows = []
    for workers in counts:
        rate = scans_per_minute(jobs, spec, workers, threads)
        one = rows[0]["scans_per_minute"] / rows[0]["workers"] if rows else rate / workers
        rows.append({"workers": workers, "scans_per_minute": rate, "efficiency": rate / (workers * one)})
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description="Throughput of a batch with one worker and with several.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1, help="cores for each worker (default: 1)")
    parser.add_argument("--json", type=Path, help="write the rows to a file as well")
    arguments = parser.parse_args(argv)
    spec = LabelerSpec(device="cpu")
    try:
        spec.check()
        jobs = find_scans([arguments.folder]).jobs
        rows = compare(jobs, spec, arguments.workers, arguments.threads)
    except (VertebraLabelingError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(jobs)} scans, {available_cores()} cores, {arguments.threads} thread(s) a worker")
    for row in rows:
        print(
            f"{row['workers']} worker(s): {row['scans_per_minute']:.1f} scans/min, efficiency {row['efficiency']:.2f}"
        )
    if arguments.json:
        write_text(arguments.json, json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
