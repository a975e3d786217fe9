"""Worker processes that label scans: they share nothing but the queue, and one that dies costs one scan at most.

Started by *spawn*, so a worker begins clean (no inherited CUDA context, threads or Slicer). Each holds one labeler with
its network loaded, gets one job at a time, and uses its share of the cores.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from multiprocessing.connection import Connection, wait
from pathlib import Path

from ..errors import InputError, WeightsError
from ..networks.weights import default_weights, read_card, sha256_of
from ..system.idle_threads import sleep_while_waiting
from ..system.streams import any_stream, configure_logging
from .jobs import ScanJob
from .outputs import OutputPlan
from .scan_job import FAILED, Labeler, ScanResult, label_one

ATTEMPTS = 2
"""A scan whose worker dies (killed, out of memory) is tried once more, then it has failed."""

LABELER = "VertebraLabelingLib.pipeline.labeler:VertebraLabeler"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelerSpec:
    """How a worker makes its labeler.

    Attributes:
        weights: model file; the shipped one by default.
        device: ``auto``, ``cpu`` or ``cuda``.
        factory: ``module:callable`` that is called with the other attributes; chosen by code, never by a file.
    """

    weights: str | None = None
    device: str = "auto"
    factory: str = LABELER

    def make(self) -> Labeler:
        """Import the factory and call it.

        Raises:
            InputError: CUDA is asked for where there is none.
        """
        if self.device.startswith("cuda"):
            import torch

            if not torch.cuda.is_available():
                raise InputError("No CUDA GPU can be used on this computer: use the device cpu or auto.")
        module, name = self.factory.split(":")
        return getattr(import_module(module), name)(weights=self.weights, device=self.device)

    def weights_sha256(self) -> str:
        """SHA-256 of the model by its card; empty where it has none, or another factory makes the labeler."""
        try:
            return read_card(self._path())["sha256"] if self.factory == LABELER else ""
        except WeightsError:
            return ""

    def _path(self) -> Path:
        return Path(self.weights) if self.weights else default_weights()

    def check(self) -> None:
        """See that the weights are there and sound, without loading torch: a batch should not fail scan by scan.

        Raises:
            WeightsError: they are not.
        """
        if self.factory != LABELER:
            return
        path = self._path()
        if read_card(path)["sha256"] != sha256_of(path):
            raise WeightsError(f"{path.name} is damaged (its SHA-256 differs from its card): reinstall it.")


class LazyLabeler:
    """Makes its labeler at the first scan that needs it: a batch that is already done loads no network."""

    def __init__(self, spec: LabelerSpec) -> None:
        self._spec = spec
        self._labeler: Labeler | None = None

    @cached_property
    def weights_sha256(self) -> str:
        """Of the model that will label, without loading it; empty where it is not known."""
        return self._spec.weights_sha256()

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        """See :meth:`labeler.VertebraLabeler.label`."""
        if self._labeler is None:
            self._labeler = self._spec.make()
        return self._labeler.label(volume, fixed, progress, cancelled)


@dataclass
class _Task:
    job: ScanJob
    attempt: int = 1


class _Worker:
    """One process and our end of its pipe; ``task`` is what it is working on."""

    def __init__(self, spec: LabelerSpec, plan: OutputPlan, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        context.set_executable(python_executable())
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, spec, plan, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.task: _Task | None = None

    def give(self, task: _Task) -> None:
        self.task = task
        try:
            self.connection.send(task.job)
        except OSError:  # it died while idle; wait() reports that
            logger.debug("worker %s is gone", self.process.pid)

    def take(self) -> ScanResult | None:
        """Its result, or ``None`` when it died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            return None

    def stop(self, patient: bool) -> None:
        """End the process: after its farewell, or at once."""
        if patient:
            try:
                self.connection.send(None)
                self.process.join(10)
            except OSError:
                pass
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def run_in_processes(
    jobs: Sequence[ScanJob],
    spec: LabelerSpec,
    plan: OutputPlan,
    count: int,
    cancelled: Callable[[], bool] | None = None,
    threads: int | None = None,
) -> Iterator[ScanResult]:
    """Label scans in ``count`` processes; yields results as they come, one for each job.

    Each process uses ``threads`` cores, its share of those available by default. When the iterator is closed or the
    caller interrupted, the processes are ended; their temporary files are left for
    :func:`formats.atomic.remove_leftovers`.
    """
    queue = deque(_Task(job) for job in jobs)
    threads = threads or max(1, available_cores() // max(1, count))
    workers = [_Worker(spec, plan, threads) for _ in range(min(count, len(queue)))]
    finished = False
    try:
        while queue or any(worker.task for worker in workers):
            for worker in workers:
                if worker.task is None and queue:
                    worker.give(queue.popleft())
            busy = {worker.connection: worker for worker in workers if worker.task}
            for connection in wait(list(busy), timeout=0.2):
                worker = busy[connection]
                result, task, worker.task = worker.take(), worker.task, None
                if result is None:
                    workers[workers.index(worker)] = _Worker(spec, plan, threads)
                    exit_code = _exit_code(worker)
                    if task.attempt < ATTEMPTS:
                        logger.warning("A worker ended (%s) at %s: trying again.", exit_code, task.job.name)
                        queue.append(_Task(task.job, task.attempt + 1))
                        continue
                    result = _died(task.job, exit_code)
                yield result
            if cancelled and cancelled():
                return
        finished = True
    finally:
        for worker in workers:
            worker.stop(patient=finished)


def _exit_code(worker: _Worker) -> str:
    worker.process.join(5)
    code = worker.process.exitcode
    worker.stop(patient=False)
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def _died(job: ScanJob, exit_code: str) -> ScanResult:
    reason = f"The worker process ended {ATTEMPTS} times at this scan ({exit_code}), perhaps for lack of memory: "
    return ScanResult.of(job, FAILED, reason + "use fewer --jobs.")


def _work(connection: Connection, spec: LabelerSpec, plan: OutputPlan, threads: int) -> None:
    """The life of a worker process."""
    configure_logging(debug=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers in order
    limit_threads(threads)
    labeler = LazyLabeler(spec)
    with any_stream():
        while True:
            try:
                job = connection.recv()
            except (EOFError, OSError):
                return  # the parent has gone
            if job is None:
                return
            connection.send(label_one(job, labeler, plan))


def limit_threads(threads: int) -> None:
    """Let this process use ``threads`` cores, none while it waits; call before torch is imported for full effect."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = str(threads)
    sleep_while_waiting()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def available_cores() -> int:
    """Cores that this process may use (containers and batch systems grant fewer than the machine has)."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        return os.cpu_count() or 1


def python_executable() -> str:
    """The interpreter for workers: inside 3D Slicer its PythonSlicer, never Slicer itself."""
    executable = Path(sys.executable)
    if executable.stem.lower().startswith(("slicer", "slicerapp")):
        name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
        for folder in (executable.parent, executable.parent / "bin", executable.parent.parent / "bin"):
            if (folder / name).is_file():
                return str(folder / name)
    return str(executable)
