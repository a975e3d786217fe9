"""The step that every batch repeats: read one scan, label it, write its outputs. Nothing else labels scans."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Protocol

from ..core.counting import how_counted, rule_of
from ..core.field_of_view import far_outside
from ..core.labels import SpineLabels
from ..core.scan_source import ScanSource
from ..errors import Cancelled, InputError, NotCtError, VertebraLabelingError
from ..formats.mrk_json import AS_WRITTEN
from ..preprocessing.ct_check import OFFSET_NOTE
from ..scans.identify import identify
from ..scans.read_scan import Scan, read_scan, to_hounsfield
from ..solver.naming import counted_by
from ..system.native_output import native_output_to_log
from ..system.private_log import log_failure
from .jobs import ScanJob
from .naming import own_name
from .outputs import POINTS, NameTaken, OutputPlan, existing_labels, is_corrected, write_outputs

DONE, PRESENT, SKIPPED, FAILED = "done", "present", "skipped", "failed"

_TOO_LITTLE_MEMORY = "There is too little free memory for this scan: close programs or use fewer --jobs."

logger = logging.getLogger(__name__)


class Labeler(Protocol):
    """What labels a volume: :class:`labeler.VertebraLabeler`, or a stand-in for it.

    It may have an attribute ``weights_sha256``, by which points of another model are known.
    """

    def label(self, volume, fixed=None, progress=None, cancelled=None) -> SpineLabels:
        """See :meth:`labeler.VertebraLabeler.label`."""


@dataclass(frozen=True)
class ScanResult:
    """What became of one job; plain values only, so that it travels between processes and into JSON.

    Attributes:
        name, path: of the job; an input that never became a scan has no name.
        status: ``done``; ``present``: all outputs were there; ``skipped``: found in a tree and no CT; ``failed``.
        message: why it was skipped or failed, or what is to be known of points that were there.
        points: (level, r, a, s, confidence) of each vertebra, head to foot, RAS mm.
        warnings: of the labeling and of the reader, sentences.
        seconds: reading, labeling and writing together.
        files: names of the output files.
        kept: the points are those of an earlier run, perhaps corrected by hand since.
        provenance: of the labeling: model, weights, device.
        series: of the job.
        job: name of the job, where the scan had to take another one while it was labeled.
        counted: how the spine was counted, a sentence; empty where that is not known.
        source: what identifies the scan, see :meth:`ScanSource.to_dict`; empty where it could not be read.
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
    series: str = ""
    source: dict[str, str] = field(default_factory=dict)
    job: str = ""
    counted: str = ""

    @staticmethod
    def of(job: ScanJob, status: str, message: str = "") -> ScanResult:
        """The result of a job of which nothing else is known."""
        source = job.source.to_dict() if job.source else {}
        return ScanResult(job.name, job.path, status, message, warnings=job.notes, series=job.series, source=source)

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

    Points of this scan that are there already (a ``.mrk.json`` of an earlier run, perhaps corrected by hand) are kept:
    the other formats are made from them, unless the plan says to overwrite or another model is used; what a person has
    corrected is always kept. A name that belongs to another scan is left to it.

    Raises:
        Cancelled: ``cancelled`` returned true; nothing was written.
    """
    started = time.perf_counter()
    job = _identified(job)
    result = ScanResult.of(job, DONE)
    try:
        try:
            result = _label(job, labeler, plan, progress, cancelled)
        except NameTaken:
            given, job = job.name, _renamed(job)
            result = replace(ScanResult.of(job, DONE), job=given)
            result = replace(_label(job, labeler, plan, progress, cancelled), job=given)
    except Cancelled:
        raise
    except NotCtError as error:
        result = replace(result, status=FAILED if job.named else SKIPPED, message=str(error))
    except NameTaken:
        reason = f"Files of other scans have the names of this one in {plan.folder}: choose another folder."
        result = replace(result, status=FAILED, message=reason)
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
        log_failure(logger, job.path, error)
        message = f"Unexpected {type(error).__name__}: report it, the log (--debug) has the details."
        if "allocate memory" in str(error):  # how torch says it on the CPU
            message = _TOO_LITTLE_MEMORY
        result = replace(result, status=FAILED, message=message)
    return replace(result, seconds=round(time.perf_counter() - started, 2))


def _identified(job: ScanJob) -> ScanJob:
    """The job with its source, where its files can be read at all; reading the scan says why they cannot."""
    if job.source:
        return job
    try:
        with native_output_to_log():
            return replace(job, source=identify(job.path, job.series, job.folders))
    except (InputError, OSError):
        logger.debug("%s cannot be identified", job.path, exc_info=True)
        return job


def _renamed(job: ScanJob) -> ScanJob:
    """The job under its own name: another process has taken its name since the batch began."""
    wanted = job.wanted or job.name
    if not job.source or job.name != wanted:
        raise NameTaken
    note = f"The name {wanted} belongs to another scan by now, so this one is named {{}}."
    name = own_name(wanted, job.source.short)
    return replace(job, name=name, adopted=False, notes=(*job.notes, note.format(name)))


def _label(job: ScanJob, labeler: Labeler, plan: OutputPlan, progress, cancelled) -> ScanResult:
    wanted, taken = plan.wanted(job), plan.taken(job)
    result = ScanResult.of(job, DONE)
    kept, notes = _kept(job, labeler, plan)
    if kept is not None and job.foreign:  # now and later: what is older than the points is made anew
        plan.path(job, POINTS).touch()
    there = plan.there(job)
    if kept is None:  # what is made anew is made for all formats
        missing = wanted if plan.overwrite or notes or len(there) < len(wanted) else ()
    else:
        missing = tuple(n for n in wanted if n != POINTS and (plan.overwrite or n not in there))
    if not missing:
        told = (*job.notes, *notes)
        status = FAILED if taken else PRESENT
        message = " ".join((*told, *taken))
        result = replace(result, status=status, message=message, points=_points(kept), warnings=told, kept=True)
        return replace(result, files=_files(plan, job), counted=how_counted(kept) if kept else "")
    replaced = frozenset(name for name in wanted if plan.path(job, name).exists())
    scan = in_hounsfield(read_scan(job.path, job.series or None, job.folders))
    _check_unchanged(job)
    if kept is not None:
        _check_inside(kept, scan, plan.path(job, POINTS).name)
    labels = kept or counted_by(labeler.label(scan.volume, None, progress, cancelled), plan.count)
    labels = replace(labels, provenance={**labels.provenance, "source": job.source.to_dict()})
    written = write_outputs(plan, missing, job, labels, scan, replaced)
    return replace(
        result,
        files=_files(plan, job),
        status=FAILED if taken or written.failures else DONE,
        message=" ".join((*taken, *written.failures)),
        points=_points(labels),
        warnings=(*job.notes, *notes, *map(str, labels.warnings), *scan.notes, *written.notes),
        kept=kept is not None,
        counted=how_counted(labels),
        provenance={name: value for name, value in labels.provenance.items() if name not in ("source", AS_WRITTEN)},
    )


def _files(plan: OutputPlan, job: ScanJob) -> tuple[str, ...]:
    """The names of the outputs that are there."""
    paths = [plan.path(job, name) for name in plan.wanted(job)]
    return tuple(path.name for path in paths if path.exists())


def _kept(job: ScanJob, labeler: Labeler, plan: OutputPlan) -> tuple[SpineLabels | None, tuple[str, ...]]:
    """The points of an earlier run that stay, and sentences about what becomes of them."""
    labels = existing_labels(plan, job)
    if labels is None:
        return None, ()
    made, wanted = labels.provenance.get("weights_sha256"), getattr(labeler, "weights_sha256", "")
    is_other_model = bool(made and wanted and made != wanted)
    points = plan.path(job, POINTS).name
    if is_corrected(labels):
        note = f"{points} was changed by a person, so its points are kept: rename or delete it to label the scan again."
        is_other_rule = rule_of(labels) != plan.count  # what a person has changed mostly tells none, as of what is seen
        return labels, (note,) if plan.overwrite or is_other_model or is_other_rule else ()
    if is_other_model:
        model = labels.provenance.get("model", "another model")
        return None, (f"The points in {points} were those of {model}: the scan was labeled again.",)
    if rule_of(labels) != plan.count:
        count = rule_of(labels)
        return None, (f"The points in {points} were made with the count '{count}': the scan was labeled again.",)
    return (None if plan.overwrite else labels), ()


def _check_unchanged(job: ScanJob) -> None:
    """See that the files are still those that were found.

    Raises:
        InputError: they are not.
    """
    try:
        with native_output_to_log():
            now: ScanSource | None = identify(job.path, job.series, job.folders)
    except OSError:
        now = None
    if now is None or now != job.source:
        raise InputError(f"The files of {job.path} changed while the batch was running: run the same command again.")


def _check_inside(labels: SpineLabels, scan: Scan, name: str) -> None:
    """See that points of an earlier run lie in the scan: a person may have saved others under their name.

    Raises:
        InputError: they do not.
    """
    found = far_outside(labels.points, scan.volume.corners)
    if found is not None:
        level, away = found
        raise InputError(
            f"{level} in {name} lies {away:.0f} mm outside this scan, so its points may be another scan's: "
            "rename or delete the file to label the scan, or correct it."
        )


def in_hounsfield(scan: Scan) -> Scan:
    """The scan in HU; a note tells where its values had to be shifted.

    Raises:
        NotCtError: its values are not those of a CT.
    """
    volume = to_hounsfield(scan.volume)
    if volume is scan.volume:
        return scan
    return replace(scan, volume=volume, notes=(*scan.notes, OFFSET_NOTE))


def _points(labels: SpineLabels | None) -> tuple[tuple[str, float, float, float, float], ...]:
    points = labels.points if labels else ()
    return tuple((p.level, *(round(float(x), 3) for x in p.ras), round(float(p.told_confidence), 4)) for p in points)
