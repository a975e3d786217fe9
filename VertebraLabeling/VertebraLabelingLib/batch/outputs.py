"""Which files a scan gives, which of them are there already, and how each is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..core.labels import SpineLabels
from ..errors import InputError
from ..formats import csv_table, dicom_sr, mrk_json, verse_json
from ..review.snapshot import need_matplotlib, write_snapshot
from ..scans.read_scan import Scan
from .inputs import ScanJob
from .naming import output_path

POINTS = "mrk.json"
PICTURE = "png"
DICOM = "dicom"


class Writer(NamedTuple):
    """How a format is written: the suffix of its files, and ``write(path, labels, scan, name)``."""

    suffix: str
    write: Callable[[Path, SpineLabels, Scan, str], None]


WRITERS: dict[str, Writer] = {
    "csv": Writer(".csv", lambda path, labels, scan, name: csv_table.write_labels(path, labels, name)),
    "verse.json": Writer(
        ".verse.json", lambda path, labels, scan, name: verse_json.write_labels(path, labels, scan.volume)
    ),
    PICTURE: Writer(
        ".png", lambda path, labels, scan, name: write_snapshot(path, scan.volume, labels, name, notes=scan.notes)
    ),
    DICOM: Writer(".dcm", lambda path, labels, scan, name: dicom_sr.write_labels(path, labels, scan.dicom_files)),
    POINTS: Writer(".mrk.json", lambda path, labels, scan, name: mrk_json.write_labels(path, labels)),
}
"""Format -> writer. The points come last: where they are, everything else is."""


@dataclass(frozen=True)
class OutputPlan:
    """Where outputs go.

    Attributes:
        folder: all files of a batch lie directly in it.
        formats: keys of :data:`WRITERS`. ``dicom`` is made of scans that came as DICOM only.
        overwrite: replace files that are there; otherwise only missing ones are made.

    Raises:
        InputError: an unknown format, or pictures where matplotlib is not installed.
    """

    folder: str
    formats: tuple[str, ...] = (POINTS,)
    overwrite: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in WRITERS]
        if unknown or not self.formats:
            raise InputError(f"{', '.join(unknown) or 'Nothing'} is no output format: use {', '.join(WRITERS)}.")
        if PICTURE in self.formats:
            need_matplotlib()
        object.__setattr__(self, "formats", tuple(name for name in WRITERS if name in self.formats))

    def path(self, job: ScanJob, format_name: str) -> Path:
        """The output file of a scan in one format; never outside the folder."""
        return output_path(Path(self.folder), job.name, WRITERS[format_name].suffix)

    def wanted(self, job: ScanJob) -> tuple[str, ...]:
        """The formats that this scan can have.

        Raises:
            InputError: only a DICOM report is wanted, of a scan that did not come as DICOM.
        """
        formats = tuple(name for name in self.formats if name != DICOM or job.is_dicom)
        if not formats:
            raise InputError("A DICOM report needs a scan that came as DICOM: add another format for this scan.")
        return formats

    def missing(self, job: ScanJob) -> tuple[str, ...]:
        """The formats still to be written."""
        return tuple(name for name in self.wanted(job) if self.overwrite or not self.path(job, name).exists())

    def needs_labeler(self, job: ScanJob) -> bool:
        """The scan has outputs to be made, and no points to make them from."""
        try:
            return bool(self.missing(job)) and (self.overwrite or not self.path(job, POINTS).exists())
        except InputError:  # the scan will fail with this sentence
            return False


def existing_labels(plan: OutputPlan, job: ScanJob) -> SpineLabels | None:
    """The points that an earlier run left, perhaps corrected by hand since; ``None`` where they are to be made anew.

    Raises:
        InputError: the file is damaged.
    """
    path = plan.path(job, POINTS)
    return mrk_json.read_labels(path) if path.exists() and not plan.overwrite else None


def write_outputs(plan: OutputPlan, formats: Sequence[str], job: ScanJob, labels: SpineLabels, scan: Scan) -> None:
    """Write some formats of one scan; each file appears whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    os.makedirs(plan.folder, exist_ok=True)
    for name in formats:
        WRITERS[name].write(plan.path(job, name), labels, scan, job.name)
