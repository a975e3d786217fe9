"""What can be opened: the scans that were served, the sample CT, and what the browser sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from VertebraLabelingLib.batch.inputs import ScanJob, find_scans
from VertebraLabelingLib.batch.scan_job import in_hounsfield
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans import sample_ct
from VertebraLabelingLib.scans.read_scan import Scan, read_scan

SAMPLE_NAME = "LIDC-IDRI-0001"
SAMPLE = "sample"


@dataclass(frozen=True)
class OpenScan:
    """A scan that was read.

    Attributes:
        name: what the page and the names of downloads call it.
        scan: voxels in HU, notes of the reader, DICOM files.
        origin: what opens it again: :data:`SAMPLE`, the identity of a served scan, or empty for an upload.
    """

    name: str
    scan: Scan
    origin: str = ""


def served_scans(arguments: Sequence[str]) -> list[ScanJob]:
    """The scans behind the arguments of the command line: files, DICOM folders, folders of both.

    Raises:
        InputError: an argument stands for no scan.
    """
    inputs = find_scans(arguments)
    if inputs.problems:
        raise InputError(inputs.problems[0].message)
    return inputs.jobs


def origin_of(job: ScanJob) -> str:
    """What tells a served scan from others, also after a restart of the server."""
    return f"served:{os.path.abspath(job.path)}:{job.series}"


def read_job(job: ScanJob) -> OpenScan:
    """Read a scan that :func:`served_scans` found.

    Raises:
        InputError: it cannot be read, or is no CT.
    """
    return OpenScan(job.name, in_hounsfield(read_scan(job.path, job.series or None, job.folders)), origin_of(job))


def read_upload(path: Path) -> OpenScan:
    """Read what :func:`uploads.receive` saved; of several DICOM series that with the most slices of those that can be
    read.

    Raises:
        InputError: none can be read, or is a CT.
    """
    if path.is_file():
        return replace(read_job(served_scans([str(path)])[0]), origin="")
    inputs = find_scans([str(path)], series="all")
    if not inputs.jobs:
        raise InputError(inputs.problems[0].message if inputs.problems else "No CT series is among the files.")
    largest: OpenScan | None = None
    refused: list[InputError] = []
    for job in inputs.jobs:
        try:
            opened = read_job(job)
        except InputError as error:
            refused.append(error)
            continue
        if largest is None or len(opened.scan.volume.array) > len(largest.scan.volume.array):
            largest = opened
    if largest is None:
        raise refused[0]
    notes = list(largest.scan.notes)
    if len(inputs.jobs) > 1:
        notes.append(f"{len(inputs.jobs)} series were sent; the one with the most slices is shown.")
    notes += [f"One of them was left out: {error}" for error in refused]
    return replace(largest, scan=replace(largest.scan, notes=tuple(notes)), origin="")


def sample_folder() -> Path:
    """Where the sample CT is kept once it was downloaded: the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "vertebra-labeling"


def read_sample() -> OpenScan:
    """Download the sample CT where it is not there yet, and read it.

    Raises:
        InputError: it cannot be downloaded.
    """
    path = sample_ct.fetch_sample(sample_folder())
    return replace(read_job(served_scans([str(path)])[0]), name=SAMPLE_NAME, origin=SAMPLE)
