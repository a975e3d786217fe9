"""Label many scans: the one code path of the command line, of ``labelFolder`` in Slicer, and of a Dask cluster.

A scan is done only when all its files are there. Outputs appear whole or not at all, so a run that was interrupted,
killed or ran out of disk is continued by running it again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence

from ..core.count_rules import AS_SEEN
from ..errors import Cancelled, InputError
from ..system.atomic import remove_leftovers
from .inputs import find_scans
from .jobs import Inputs, ScanJob
from .outputs import OutputPlan
from .ownership import settle
from .progress import Quiet, Reporter
from .scan_job import FAILED, Labeler, ScanResult, label_one
from .summary import Summary
from .workers import LabelerSpec, LazyLabeler, run_in_processes

logger = logging.getLogger(__name__)

Cancelling = Callable[[], bool]
Runner = Callable[[Sequence[ScanJob], OutputPlan, Reporter, "Cancelling | None"], Iterator[ScanResult]]
"""Labels jobs somewhere and yields one result for each, in any order."""


def in_this_process(labeler: Labeler) -> Runner:
    """A runner that labels one scan after the other here, with progress inside each scan."""

    def run(
        jobs: Sequence[ScanJob], plan: OutputPlan, reporter: Reporter, cancelled: Cancelling | None
    ) -> Iterator[ScanResult]:
        for job in jobs:

            def progress(fraction: float, message: str, name: str = job.name) -> None:
                reporter.progress(name, fraction, message)

            yield label_one(job, labeler, plan, progress, cancelled)

    return run


def in_processes(spec: LabelerSpec, count: int) -> Runner:
    """A runner with ``count`` worker processes; see :mod:`workers`."""

    def run(
        jobs: Sequence[ScanJob], plan: OutputPlan, reporter: Reporter, cancelled: Cancelling | None
    ) -> Iterator[ScanResult]:
        return run_in_processes(jobs, spec, plan, count, cancelled)

    return run


def on_dask(spec: LabelerSpec, address: str, count: int) -> Runner:
    """A runner on a Dask cluster; see :mod:`dask_workers`."""

    def run(
        jobs: Sequence[ScanJob], plan: OutputPlan, reporter: Reporter, cancelled: Cancelling | None
    ) -> Iterator[ScanResult]:
        from .dask_workers import run_on_dask

        return run_on_dask(jobs, spec, plan, address, count, cancelled)

    return run


def label_batch(
    inputs: Inputs,
    plan: OutputPlan,
    runner: Runner,
    reporter: Reporter | None = None,
    cancelled: Cancelling | None = None,
) -> list[ScanResult]:
    """Label all scans of a batch; a bad one never stops the rest. Several leave a :mod:`summary` beside their outputs.

    Args:
        inputs: from :func:`inputs.find_scans`; its problems become failed results, and its jobs get the names of their
            scans in the output folder (:mod:`.ownership`).
        runner: where the work is done.
        cancelled: asked between scans (and inside them where they run in this process).

    Returns:
        One result for each problem and each job, in the order of the inputs.

    Raises:
        Cancelled: ``cancelled`` returned true; what was finished is kept.
    """
    reporter = reporter or Quiet()
    remove_leftovers(plan.folder)
    inputs = settle(inputs, plan)
    summary = Summary(plan.folder, several=len(inputs.jobs) + len(inputs.problems) + len(inputs.skipped) > 1)
    reporter.start(inputs)
    results = [ScanResult("", problem.path, FAILED, problem.message) for problem in inputs.problems]
    for result in results:
        reporter.finished(summary.add(result))
    found: dict[str, ScanResult] = {}
    try:
        for result in runner(inputs.jobs, plan, reporter, cancelled):
            found[result.job or result.name] = told = summary.add(result)
            reporter.finished(told)
    finally:
        remove_leftovers(plan.folder)
        _write_summary(summary, inputs)
    if cancelled and cancelled():
        raise Cancelled("The batch was canceled; run it again to continue.")
    results += [found[job.name] for job in inputs.jobs]
    reporter.end(results)
    return results


def _write_summary(summary: Summary, inputs: Inputs) -> None:
    """The outputs are what counts: a disk that is full now costs the summary only."""
    try:
        summary.write(inputs.skipped)
    except OSError as error:
        logger.warning("The summary cannot be written (%s): free space and run again.", error.strerror or error)


def label_folder(
    input_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    pattern: str = "*",
    formats: Sequence[str] = ("mrk.json",),
    overwrite: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Cancelling | None = None,
    labeler: Labeler | None = None,
    count: str = AS_SEEN,
) -> list[dict]:
    """Label every CT below a folder.

    Args:
        input_folder: searched at any depth for NIfTI, NRRD, MetaImage files and DICOM series.
        output_folder: all outputs lie directly in it; see :func:`naming.output_names`.
        pattern: which file names (or names of DICOM folders) are taken, e.g. ``"*.nii.gz"``.
        formats: keys of :data:`outputs.WRITERS`.
        overwrite: replace outputs that are there; otherwise only what is missing is made.
        progress: called with the fraction 0..1 of the whole folder, and what is being done.
        cancelled: asked often; true ends the call with :class:`errors.Cancelled`.
        labeler: used for all scans; one with the shipped weights by default.
        count: the rule by which vertebrae are named, one of :data:`.count_rules.RULES`.

    Returns:
        One dictionary for each scan, see :meth:`scan_job.ScanResult.to_dict`.

    Raises:
        InputError: there is no CT, what is given is no folder, or an unknown format or rule.
        Cancelled: see ``cancelled``.
    """
    for folder in (input_folder, output_folder):
        if not isinstance(folder, str | os.PathLike):
            raise InputError(f"An object of the type {type(folder).__name__} is no folder: give its path as a text.")
    plan = OutputPlan(os.fspath(output_folder), tuple(formats), overwrite, count)
    inputs = find_scans([input_folder], pattern=pattern)
    if not inputs.jobs:
        problem = inputs.problems[0].message if inputs.problems else f"Nothing in {input_folder} matches {pattern}."
        raise InputError(problem)
    runner = in_this_process(labeler or LazyLabeler(LabelerSpec()))
    reporter = _Fraction(progress) if progress else Quiet()
    return [result.to_dict() for result in label_batch(inputs, plan, runner, reporter, cancelled)]


class _Fraction(Quiet):
    """Turns the events of a batch into one fraction."""

    def __init__(self, progress: Callable[[float, str], None]) -> None:
        self._progress, self._total, self._count = progress, 0, 0

    def start(self, inputs: Inputs) -> None:
        self._total = max(1, len(inputs.jobs) + len(inputs.problems))

    def progress(self, name: str, fraction: float, message: str) -> None:
        self._progress((self._count + fraction) / self._total, f"{name}: {message}")

    def finished(self, result: ScanResult) -> None:
        self._count += 1
        self._progress(self._count / self._total, f"{result.name}: {result.status}")
