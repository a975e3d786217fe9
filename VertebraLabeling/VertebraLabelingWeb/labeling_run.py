"""A labeling run in a process of its own, watched from the event loop of the page."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.background.handover import Handover
from VertebraLabelingLib.background.labeling_process import HANDOVER_SHARE
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML.labeling import Request

MAX_LINE_BYTES = 16 * 2**20
LOG_BYTES = 8192
NO_RESULT = (
    "The labeling process ended without a result, most often because memory ran out: close other programs or crop the "
    "scan. Its last lines are in the log of the server."
)

log = logging.getLogger(__name__)

Progress = Callable[[float, str, "float | None"], None]


async def label(
    request: Request, folder: Path, progress: Progress, labeler: str, arguments: dict[str, object]
) -> SpineLabels:
    """Label the volume of a request; the scene is not touched. Cancelling the task ends the process at once.

    Args:
        request: made by :func:`VertebraLabelingMRML.labeling.prepare`.
        folder: for the voxels on their way, which are removed again.
        progress: called with fraction 0..1, stage, seconds left or ``None``.
        labeler: ``module:class``, see :mod:`VertebraLabelingLib.background.labeling_process`.
        arguments: of the labeler, e.g. ``device``.

    Raises:
        VertebraLabelingError: a sentence for the user.
    """
    scratch = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    started = time.monotonic()

    def report(fraction: float, stage: str) -> None:
        progress(fraction, stage, labeling_process.seconds_left(fraction, time.monotonic() - started))

    try:
        array = await _hand_over(request, scratch, report)
        matrix = request.volume.ijk_to_ras.tolist()
        job = labeling_process.Job(str(array), matrix, request.fixed, arguments, labeler)
        with (scratch / "log.txt").open("w+b") as errors:
            return await _watch(job, errors, report)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def _hand_over(request: Request, scratch: Path, report: Callable[[float, str], None]) -> Path:
    handover = Handover(request.volume.array, scratch / "volume.npy")
    try:
        while handover.step():
            report(HANDOVER_SHARE * handover.fraction, "handing over the volume")
            await asyncio.sleep(0)
    finally:
        handover.close()
    return handover.path


async def _watch(job: labeling_process.Job, errors, report: Callable[[float, str], None]) -> SpineLabels:
    package = Path(labeling_process.__file__).parents[2]  # "-m" finds the engine there
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", labeling_process.__name__, labeling_process.JOBS),
        cwd=package,
        stdin=asyncio.subprocess.PIPE,  # the process ends when this closes
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        limit=MAX_LINE_BYTES,
    )
    try:
        process.stdin.write(job.to_line())
        async for line in process.stdout:
            message = labeling_process.parse_message(line) or {"type": ""}
            if message["type"] == "progress":
                report(HANDOVER_SHARE + (1 - HANDOVER_SHARE) * message["fraction"], message["stage"])
            elif message["type"] == "result":
                return labeling_process.labels_from_json(message["labels"])
            elif message["type"] == "error":
                log.error("%s\n%s", message["message"], message["detail"])
                raise VertebraLabelingError(message["message"])
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    errors.seek(0)
    log.error(
        "the labeling process ended with %s\n%s",
        process.returncode,
        errors.read()[-LOG_BYTES:].decode("utf-8", "replace"),
    )
    raise VertebraLabelingError(NO_RESULT)
