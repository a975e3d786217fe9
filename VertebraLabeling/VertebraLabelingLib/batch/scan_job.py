"""The step that every batch repeats: read one scan, label it, write its outputs. Nothing else labels scans."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from ..core.labels import SpineLabels
from ..errors import Cancelled, NotCtError, VertebraLabelingError
from ..scans.read_scan import Scan, read_scan, to_hounsfield
from .inputs import ScanJob
from .outputs import OutputPlan, existing_labels, write_outputs

DONE, PRESENT, SKIPPED, FAILED = "done", "present", "skipped", "failed"

_TOO_LITTLE_MEMORY = "There is too little free memory for this scan: close programs or use fewer --jobs."

logger = logging.getLogger(__name__)


class Labeler(Protocol):
    """What labels a volume: :class:`labeler.VertebraLabeler`, or a stand-in for it."""

    def label(self, volume, fixed=None, progress=None, cancelled=None) -> SpineLabels:
        """See :meth:`labeler.VertebraLabeler.label`."""


@dataclass(frozen=True)
class ScanResult:
    """What became of one job; plain values only, so that it travels between processes and into JSON.

    Attributes:
        name, path: of the job; an input that never became a scan has no name.
        status: ``done``; ``present``: all outputs were there; ``skipped``: found in a tree and no CT; ``failed``.
        message: why it was skipped or failed, one sentence.
        points: (level, r, a, s, confidence) of each vertebra, head to foot, RAS mm.
        warnings: of the labeling and of the reader, sentences.
        seconds: reading, labeling and writing together.
        files: names of the output files.
        kept: the points are those of an earlier run, perhaps corrected by hand since.
        provenance: of the labeling: model, weights, device.
    """

    name: str
    path: str
    status: str
    message: str = ""
    points: tuple[tuple[str, float, float, float, float], ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0
    files: tuple[str, ...] = ()
    kept: bool = False
    provenance: dict[str, object] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels found, head to foot."""
        return tuple(point[0] for point in self.points)

    @property
    def confidence(self) -> float | None:
        """The lowest confidence of the scan: one doubtful level makes a scan worth a look."""
        return min((point[4] for point in self.points), default=None)

    def to_dict(self) -> dict:
        """Plain JSON values, with ``levels`` and ``confidence``."""
        return {**asdict(self), "levels": list(self.levels), "confidence": self.confidence}


def label_one(
    job: ScanJob,
    labeler: Labeler,
    plan: OutputPlan,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> ScanResult:
    """Read one scan, label it and write what is missing of its outputs. Never raises for a bad scan.

    Points that are there already (a ``.mrk.json`` of an earlier run, perhaps corrected by hand) are kept: the other
    formats are made from them, unless the plan says to overwrite.

    Raises:
        Cancelled: ``cancelled`` returned true; nothing was written.
    """
    started = time.perf_counter()
    result = ScanResult(job.name, job.path, DONE)
    try:
        missing = plan.missing(job)
        result = replace(result, files=tuple(plan.path(job, name).name for name in plan.wanted(job)))
        if not missing:
            result = replace(result, status=PRESENT, points=_points(existing_labels(plan, job)), kept=True)
        else:
            scan = in_hounsfield(read_scan(job.path, job.series or None))
            earlier = existing_labels(plan, job)
            labels = earlier or labeler.label(scan.volume, None, progress, cancelled)
            write_outputs(plan, missing, job, labels, scan)
            result = replace(
                result,
                points=_points(labels),
                warnings=(*map(str, labels.warnings), *scan.notes),
                kept=earlier is not None,
                provenance=dict(labels.provenance),
            )
    except Cancelled:
        raise
    except NotCtError as error:
        result = replace(result, status=FAILED if job.named else SKIPPED, message=str(error))
    except VertebraLabelingError as error:
        logger.debug("%s failed", job.path, exc_info=True)
        result = replace(result, status=FAILED, message=str(error))
    except MemoryError:
        result = replace(result, status=FAILED, message=_TOO_LITTLE_MEMORY)
    except OSError as error:
        logger.debug("%s failed", job.path, exc_info=True)
        reason = f"The outputs cannot be written ({error.strerror or error}): free space or choose another folder."
        result = replace(result, status=FAILED, message=reason)
    except Exception as error:  # a bug must not stop the other scans
        logger.exception("%s failed", job.path)
        kind = f"{type(error).__name__}: {error}".splitlines()[0]
        message = f"Unexpected {kind}: report it, the log has the details."
        if "allocate memory" in str(error):  # how torch says it on the CPU
            message = _TOO_LITTLE_MEMORY
        result = replace(result, status=FAILED, message=message)
    return replace(result, seconds=round(time.perf_counter() - started, 2))


def in_hounsfield(scan: Scan) -> Scan:
    """The scan in HU; a note tells where its values had to be shifted.

    Raises:
        NotCtError: its values are not those of a CT.
    """
    volume = to_hounsfield(scan.volume)
    if volume is scan.volume:
        return scan
    return replace(scan, volume=volume, notes=(*scan.notes, "The values were stored as HU + 1024 and shifted back."))


def _points(labels: SpineLabels | None) -> tuple[tuple[str, float, float, float, float], ...]:
    points = labels.points if labels else ()
    return tuple((p.level, *(round(float(x), 3) for x in p.ras), round(float(p.told_confidence), 4)) for p in points)
