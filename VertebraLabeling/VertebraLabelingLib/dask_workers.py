"""Label scans on a Dask cluster: an existing one by its address, or one started on this computer.

The workers read the scans and write the outputs themselves, so they must see the same folders. Each process labels one
scan at a time whatever its number of threads, which bounds its memory, and keeps its network loaded between scans.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence

from .errors import InputError
from .inputs import ScanJob
from .outputs import OutputPlan
from .scan_job import FAILED, ScanResult, label_one
from .workers import ATTEMPTS, LabelerSpec, LazyLabeler, available_cores, limit_threads

LOCAL = "local"
"""Address that stands for a cluster on this computer."""

IN_FLIGHT = 4
"""Scans handed to the scheduler at once, for each thread of the cluster: a queue that holds no ten thousand tasks."""

logger = logging.getLogger(__name__)

_one_scan_at_a_time = threading.Lock()
_labelers: dict[LabelerSpec, LazyLabeler] = {}


def run_on_dask(
    jobs: Sequence[ScanJob],
    spec: LabelerSpec,
    plan: OutputPlan,
    address: str,
    count: int = 1,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[ScanResult]:
    """Label scans on a cluster; yields results as they come, one for each job.

    A task whose worker dies is run again elsewhere by Dask; after :data:`workers.ATTEMPTS` failures of its own, or when
    the scheduler gives it up, the scan has failed.

    Args:
        address: of a scheduler, such as ``tcp://scheduler:8786``; or ``local`` for ``count`` new worker processes here.

    Raises:
        InputError: Dask is not installed, or no scheduler answers.
    """
    client = _client(address, count)
    try:
        yield from _gather(client, list(jobs), spec, plan, cancelled)
    finally:
        if address == LOCAL:
            client.cluster.close(timeout=10)
        client.close(timeout=10)


def _gather(client, jobs, spec, plan, cancelled) -> Iterator[ScanResult]:
    from distributed import as_completed

    waiting = iter(jobs)
    running = {}

    def submit(job: ScanJob):
        future = client.submit(label_on_worker, job, spec, plan, pure=False, retries=ATTEMPTS - 1)
        running[future.key] = job
        return future

    first = [submit(job) for job, _ in zip(waiting, range(IN_FLIGHT * max(1, sum(client.nthreads().values()))))]
    finished = as_completed(first)
    for future in finished:
        job = running.pop(future.key)
        yield _result(future, job)
        future.release()
        if cancelled and cancelled():
            client.cancel([key for key in running])
            return
        following = next(waiting, None)
        if following is not None:
            finished.add(submit(following))


def _result(future, job: ScanJob) -> ScanResult:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    logger.debug("%s: %r", job.path, error)
    if type(error).__name__ == "KilledWorker":
        reason = "Workers of the cluster died at this scan, perhaps for lack of memory: give them more."
    else:
        reason = f"The cluster gave the scan up ({type(error).__name__}): see the log of the workers."
    return ScanResult(job.name, job.path, FAILED, reason)


def label_on_worker(job: ScanJob, spec: LabelerSpec, plan: OutputPlan) -> ScanResult:
    """Runs on a worker; see :func:`scan_job.label_one`."""
    from distributed import get_worker

    with _one_scan_at_a_time:
        if spec not in _labelers:
            limit_threads(get_worker().state.nthreads)
            _labelers[spec] = LazyLabeler(spec)
        return label_one(job, _labelers[spec], plan)


def _client(address: str, count: int):
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError("--dask needs the extra packages: pip install 'vertebra-labeling[dask]'.") from error
    if address == LOCAL:
        threads = max(1, available_cores() // count)
        return Client(LocalCluster(n_workers=count, threads_per_worker=threads, dashboard_address=None))
    try:
        return Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address}: check the address and the network.") from error
