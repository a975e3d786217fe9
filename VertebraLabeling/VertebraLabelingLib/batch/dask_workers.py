"""Label scans on a Dask cluster: an existing one by its address, or one started on this computer.

The workers read the scans and write the outputs themselves, so they must see the same folders. Each process labels one
scan at a time whatever its number of threads, which bounds its memory, and keeps its network loaded between scans.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from ..errors import InputError
from .jobs import ScanJob
from .outputs import OutputPlan
from .scan_job import FAILED, ScanResult, label_one
from .workers import ATTEMPTS, LabelerSpec, LazyLabeler, available_cores, limit_threads

LOCAL = "local"
"""Address that stands for a cluster on this computer."""

IN_FLIGHT = 4
"""Scans handed to the scheduler at once, for each thread of the cluster: a queue that holds no ten thousand tasks."""

PATIENCE_S = 300
"""How long a cluster without workers is waited for."""

RESULT_TIMEOUT_S = 60

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


class _Tasks:
    """The scans that are on the cluster now."""

    def __init__(self, client, spec: LabelerSpec, plan: OutputPlan) -> None:
        self._client, self._work = client, (spec, plan)
        self._running: dict = {}
        self._alive = time.monotonic()

    def __len__(self) -> int:
        return len(self._running)

    def submit(self, job: ScanJob) -> None:
        future = self._client.submit(label_on_worker, job, *self._work, pure=False, retries=ATTEMPTS - 1)
        self._running[future] = job

    def finished(self) -> list[tuple[ScanJob, object]]:
        """What ended within the next second, as (job, future).

        Raises:
            InputError: the cluster has had no worker for :data:`PATIENCE_S`.
        """
        from distributed import TimeoutError as DaskTimeout
        from distributed import wait

        try:
            wait(list(self._running), timeout=1, return_when="FIRST_COMPLETED")
        except (DaskTimeout, TimeoutError):
            self._check_workers()
        ended = [future for future in self._running if future.done()]
        return [(self._running.pop(future), future) for future in ended]

    def _check_workers(self) -> None:
        if self._client.nthreads():
            self._alive = time.monotonic()
        elif time.monotonic() - self._alive > PATIENCE_S:
            raise InputError("The Dask cluster has no workers left: start some, and run the same command to continue.")

    def cancel(self) -> None:
        self._client.cancel(list(self._running))


def _gather(client, jobs, spec, plan, cancelled) -> Iterator[ScanResult]:
    tasks, waiting, suspects, alone = _Tasks(client, spec, plan), deque(jobs), [], None
    slots = IN_FLIGHT * max(1, sum(client.nthreads().values()))
    while waiting or suspects or tasks:
        while waiting and len(tasks) < slots:
            tasks.submit(waiting.popleft())
        # Dask also gives up the scans that waited at a worker when another scan killed it, and a result can be lost
        # with its worker: these scans get a chance of their own, one by one, when all others are through.
        if not waiting and not tasks:
            alone = suspects.pop()
            tasks.submit(alone)
        for job, future in tasks.finished():
            result = _result(future, job)
            future.release()  # or Dask would make it again should its worker die
            if result is None and job is not alone:
                suspects.append(job)
            else:
                yield result or _died(job)
        if cancelled and cancelled():
            tasks.cancel()
            return


def _result(future, job: ScanJob) -> ScanResult | None:
    """The result of a task that ended, or ``None`` when its worker died."""
    if future.status == "finished":
        try:
            return future.result(timeout=RESULT_TIMEOUT_S)
        except Exception as error:  # the worker died with the result
            logger.debug("%s: the result is lost (%r)", job.path, error)
            return None
    error = future.exception() if future.status == "error" else None
    logger.debug("%s: %s %r", job.path, future.status, error)
    if type(error).__name__ in ("KilledWorker", "NoneType"):
        return None
    reason = f"The cluster gave this scan up ({type(error).__name__}): see the logs of its workers."
    return ScanResult.of(job, FAILED, reason)


def _died(job: ScanJob) -> ScanResult:
    reason = "Workers of the cluster died at this scan, perhaps for lack of memory: give them more."
    return ScanResult.of(job, FAILED, reason)


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
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError("--dask needs the extra packages: pip install '.[dask]' in the clone.") from error
    if address == LOCAL:
        # a worker that is slow to come back after its death must not be struck off
        dask.config.set({"distributed.deploy.lost-worker-timeout": f"{PATIENCE_S} s"})
        threads = max(1, available_cores() // count)
        return Client(LocalCluster(n_workers=count, threads_per_worker=threads, dashboard_address="127.0.0.1:0"))
    try:
        return Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise InputError(f"No Dask scheduler answers at {address}: check the address and the network.") from error
