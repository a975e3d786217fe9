"""What identifies a DICOM series; see :class:`core.scan_source.ScanSource`. Nothing is decoded.

Of a patient nothing but one digest is kept, over identifier, name, date of birth and sex together and different for
each series: it cannot be looked up part by part, and does not tell that two scans are of one patient.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..core.scan_source import DICOM, ScanSource, digest_of, instances_digest, shown_uid
from .dicom_frames import Frame
from .dicom_series import DicomSeries

_BLOCK = 4096  # bytes of a sample
_IMAGES = 5
"""Images of a series of which a sample is taken: UIDs alone repeat where an anonymizer made them badly."""


def identify_series(series: DicomSeries) -> ScanSource:
    """The identity of a DICOM series, whose headers were read already; only samples of its pixels are read now.

    Raises:
        OSError: a file cannot be read.
    """
    frames = series.slices
    files = sorted(
        {frame.file.path: frame.file for frame in frames}.values(), key=lambda f: (f.instance_uid, f.path.name)
    )
    first, step = files[0], max(1, len(files) // _IMAGES)
    return ScanSource(
        DICOM,
        (
            ("patient", digest_of((first.series, *first.patient))),
            ("study", shown_uid(first.study)),
            ("series", shown_uid(first.series)),
            ("frame_of_reference", shown_uid(first.frame_of_reference)),
            ("instances", instances_digest(file.instance_uid for file in files)),
            ("places", digest_of(sorted(map(_place, frames)))),
            ("pixels", digest_of(_middle(file.path) for file in files[::step][:_IMAGES])),
        ),
    )


def is_of_patient(series: DicomSeries, source: ScanSource) -> bool:
    """Whether a series names the patient of another one, of which only the source is known."""
    return digest_of((source.part("series"), *series.slices[0].file.patient)) == source.part("patient")


def _place(frame: Frame) -> str:
    """Where a plane lies, in space and in its file: phases of one multi-frame object differ by the latter only."""
    return ",".join((str(frame.index), *(f"{x:.3f}" for x in frame.position or ())))


def _middle(path: Path) -> str:
    """A digest of the middle of a DICOM file, which is that of its picture."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size // 2 - _BLOCK // 2))
        return hashlib.sha256(file.read(_BLOCK)).hexdigest()
