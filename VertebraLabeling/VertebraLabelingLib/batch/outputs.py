"""Which files a scan gives, which of them are there already, and how each is written."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from ..core.count_rules import AS_SEEN
from ..core.counting import check_rule
from ..core.labels import PREDICTED, SpineLabels
from ..errors import InputError, VertebraLabelingError
from ..formats import csv_table, dicom_sr, mrk_json, sct_discs, verse_json
from ..reading.discs import discs_of
from ..reading.report import report
from ..review.disc_slabs import write_disc_slabs
from ..review.snapshot import need_matplotlib, write_snapshot
from ..review.straight_file import write_straight_points, write_straight_volume
from ..scans.read_scan import Scan
from ..system.atomic import new_path, write_text
from ..system.private_log import log_failure
from .jobs import ScanJob
from .naming import name_key, output_path

POINTS = "mrk.json"
PICTURE = "png"
DICOM = "dicom"
DISC_PICTURE = "discs.png"
DISCS = {POINTS: "discs.mrk.json", "csv": "discs.csv"}
"""Format of points -> the same of the discs between them."""
STRAIGHT, STRAIGHT_POINTS = "straight.nii.gz", "straight.json"

logger = logging.getLogger(__name__)


class Writer(NamedTuple):
    """How a format is written: the suffix of its files, and ``write(path, labels, scan, name)``, which may return
    sentences for the user."""

    suffix: str
    write: Callable[[Path, SpineLabels, Scan, str], tuple[str, ...] | None]


WRITERS: dict[str, Writer] = {
    POINTS: Writer(".mrk.json", lambda path, labels, scan, name: mrk_json.write_labels(path, labels)),
    "csv": Writer(".csv", lambda path, labels, scan, name: csv_table.write_labels(path, labels, name)),
    "verse.json": Writer(
        ".verse.json", lambda path, labels, scan, name: verse_json.write_labels(path, labels, scan.volume)
    ),
    PICTURE: Writer(
        ".png", lambda path, labels, scan, name: write_snapshot(path, scan.volume, labels, name, notes=scan.notes)
    ),
    STRAIGHT: Writer(
        ".straight.nii.gz", lambda path, labels, scan, name: write_straight_volume(path, scan.volume, labels)
    ),
    STRAIGHT_POINTS: Writer(".straight.json", lambda path, labels, scan, name: write_straight_points(path, labels)),
    DICOM: Writer(".dcm", lambda path, labels, scan, name: dicom_sr.write_labels(path, labels, scan.dicom_files)),
    "report.txt": Writer(".report.txt", lambda path, labels, scan, name: write_text(path, report(labels) + "\n")),
    DISCS[POINTS]: Writer(
        mrk_json.DISCS_SUFFIX,
        lambda path, labels, scan, name: mrk_json.write_discs(path, discs_of(labels, scan.volume)),
    ),
    DISCS["csv"]: Writer(
        ".discs.csv", lambda path, labels, scan, name: csv_table.write_discs(path, discs_of(labels, scan.volume), name)
    ),
    "discs.nii.gz": Writer(
        ".discs.nii.gz",
        lambda path, labels, scan, name: sct_discs.write_discs(path, discs_of(labels, scan.volume), scan.volume),
    ),
    DISC_PICTURE: Writer(
        ".discs.png",
        lambda path, labels, scan, name: write_disc_slabs(path, scan.volume, labels, name, notes=scan.notes),
    ),
}
"""Format -> writer. The points come first: they are what no other format may cost, and they tell whose the name is."""


def name_in(file: str, suffix: str) -> str:
    """The output name in a file name, where it is one with this suffix of :data:`WRITERS`; else empty.

    ``ct.discs.csv`` holds the discs of ``ct``, and no points of ``ct.discs``.
    """
    ending = max((w.suffix for w in WRITERS.values() if file.casefold().endswith(w.suffix)), key=len, default="")
    return file[: -len(suffix)] if ending == suffix else ""


@dataclass(frozen=True)
class OutputPlan:
    """Where outputs go.

    Attributes:
        folder: all files of a batch lie directly in it.
        formats: keys of :data:`WRITERS`. ``dicom`` is made of scans that came as DICOM only; the straightened spine
            comes with its points.
        overwrite: replace files that are there; otherwise only missing ones are made.
        count: the rule by which vertebrae are named, one of :data:`.count_rules.RULES`.

    Raises:
        InputError: an unknown format or rule, or pictures where matplotlib is not installed.
    """

    folder: str
    formats: tuple[str, ...] = (POINTS,)
    overwrite: bool = False
    count: str = AS_SEEN

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in WRITERS]
        if unknown or not self.formats:
            raise InputError(f"{', '.join(unknown) or 'Nothing'} is no output format: use {', '.join(WRITERS)}.")
        check_rule(self.count)
        if {PICTURE, DISC_PICTURE}.intersection(self.formats):
            need_matplotlib()
        wanted = {*self.formats, STRAIGHT_POINTS} if STRAIGHT in self.formats else self.formats
        object.__setattr__(self, "formats", tuple(name for name in WRITERS if name in wanted))

    def path(self, job: ScanJob, format_name: str) -> Path:
        """The output file of a scan in one format; never outside the folder."""
        return output_path(Path(self.folder), job.name, WRITERS[format_name].suffix)

    def wanted(self, job: ScanJob) -> tuple[str, ...]:
        """The formats that this scan can have.

        Raises:
            InputError: there is none: a DICOM report is wanted of a scan that did not come as DICOM, or what this
                program has not made has the names of its files.
        """
        formats = tuple(name for name in self.formats if name != DICOM or job.is_dicom)
        if not formats:
            raise InputError("A DICOM report needs a scan that came as DICOM: add another format for this scan.")
        strangers = set(map(name_key, job.strangers))
        free = tuple(name for name in formats if name_key(self.path(job, name).name) not in strangers)
        if not free:
            raise InputError(" ".join(self.taken(job)))
        return free

    def taken(self, job: ScanJob) -> tuple[str, ...]:
        """A sentence for each file that is in the way, because this program has not made it."""
        strangers = set(map(name_key, job.strangers))
        files = (self.path(job, name).name for name in self.formats)
        reason = "is there and was not made by this program: rename it, or choose another folder"
        return tuple(f"{file} {reason}." for file in files if name_key(file) in strangers)

    def there(self, job: ScanJob) -> tuple[str, ...]:
        """The wanted formats that are written, and not older than the points: these may have been corrected since."""
        points = self.path(job, POINTS)
        since = points.stat().st_mtime_ns if points.exists() else 0
        files = {name: self.path(job, name) for name in self.wanted(job)}
        return tuple(name for name, path in files.items() if path.exists() and path.stat().st_mtime_ns >= since)

    def needs_labeler(self, job: ScanJob) -> bool:
        """The scan has outputs to be made, and no points to make them from."""
        try:
            there = self.there(job)
        except (InputError, OSError):  # the scan will fail with a sentence
            return False
        return len(there) < len(self.wanted(job)) and (self.overwrite or not self.path(job, POINTS).exists())


class NameTaken(Exception):
    """The name of a scan belongs to another one by now."""


def existing_labels(plan: OutputPlan, job: ScanJob) -> SpineLabels | None:
    """The points of this scan that an earlier run left, perhaps corrected by hand since; ``None`` where there are none.

    Raises:
        NameTaken: they are another scan's, or do not say whose they are.
        InputError: the file is damaged.
    """
    path = plan.path(job, POINTS)
    if not path.exists():
        return None
    source = mrk_json.read_source(path)
    if source != job.source and not (source is None and job.adopted):
        raise NameTaken
    return mrk_json.read_labels(path)


def is_corrected(labels: SpineLabels) -> bool:
    """A person may have changed points that were read: one is moved or confirmed, or they are not as they were written.

    Slicer keeps the status of a point that is dragged without the module's panel; but it leaves out what tells that the
    points are as written.
    """
    is_as_written = labels.provenance.get(mrk_json.AS_WRITTEN, False)
    return not is_as_written or any(point.status != PREDICTED for point in labels.points)


class Written(NamedTuple):
    """What came of writing: sentences for the user, and one sentence for each format that could not be made."""

    notes: tuple[str, ...]
    failures: tuple[str, ...]


def write_outputs(
    plan: OutputPlan, formats: Sequence[str], job: ScanJob, labels: SpineLabels, scan: Scan, replaced: Collection[str]
) -> Written:
    """Write some formats of one scan; each file appears whole or not at all, and one that fails costs no other.

    Args:
        replaced: the formats whose files are this scan's and may be replaced. The others must not be there.

    Raises:
        NameTaken: another process has written such a file meanwhile, of another scan.
        OSError: the points, or the only format, cannot be written.
    """
    os.makedirs(plan.folder, exist_ok=True)
    notes: list[str] = []
    failures: list[str] = []
    for name in formats:
        try:
            notes += _write(plan.path(job, name), name, job, labels, scan, name in replaced) or ()
        except FileExistsError:
            # another worker may have done the same scan
            if existing_labels(plan, replace(job, adopted=False)) is None:
                raise NameTaken from None
        except OSError as error:
            if name == POINTS or len(formats) == 1:
                raise
            failures.append(f"{_named(plan, job, name)} was not written ({error.strerror or error}): free space there.")
        except VertebraLabelingError as error:
            failures.append(f"{_named(plan, job, name)} was not written: {error}")
        except MemoryError:
            failures.append(f"{_named(plan, job, name)} was not written: it needs more memory than is free.")
        except Exception as error:  # a bug of one format, or of its library
            log_failure(logger, _named(plan, job, name), error)
            reason = f"an unexpected {type(error).__name__}, which the log (--debug) tells in full"
            failures.append(f"{_named(plan, job, name)} was not written: {reason}.")
    return Written(tuple(notes), tuple(failures))


def _write(path: Path, name: str, job: ScanJob, labels: SpineLabels, scan: Scan, is_own: bool):
    if is_own:
        return WRITERS[name].write(path, labels, scan, job.name)
    if path.exists():
        raise FileExistsError
    with new_path(path) as temporary:
        return WRITERS[name].write(temporary, labels, scan, job.name)


def _named(plan: OutputPlan, job: ScanJob, format_name: str) -> str:
    return plan.path(job, format_name).name
