"""What identifies a scan on disk; see :class:`core.scan_source.ScanSource`. Reads headers and samples, never decodes.

A copy of the files elsewhere, or a moved tree, is the same scan.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..core.scan_source import FILE, ScanSource, digest_of
from .read_scan import VOLUME_SUFFIXES, dicom_series_at
from .series_source import identify_series, is_of_patient

_BLOCK = 4096  # bytes of a sample
_BLOCKS = 256
"""Samples of a file, evenly spaced. A change between them is seen where the file is compressed, by its checksum."""

_DETACHED = re.compile(rb"^\s*(?:data ?file\s*:|ElementDataFile\s*=)\s*(.*)$", re.IGNORECASE | re.MULTILINE)
_HEADERS = (".nhdr", ".mhd", ".nrrd", ".mha")  # may name other files that hold the voxels


def identify(path: str | os.PathLike, series: str = "", folders: Sequence[str] = ()) -> ScanSource:
    """The identity of a scan as it lies on disk now.

    Args:
        path, folders: as of :func:`read_scan.read_scan`.
        series: key of the DICOM series in the folder; empty for files.

    Raises:
        InputError: the folder does not hold that series.
        OSError: the files cannot be read.
    """
    path = Path(path)
    if path.name.lower().endswith(VOLUME_SUFFIXES) and not path.is_dir():
        return identify_file(path)
    return identify_series(dicom_series_at(path, series or None, folders))


def shares_frame(path: str | os.PathLike, series: str, source: ScanSource) -> bool:
    """Whether a DICOM series says the frame of reference of another one, and the same patient.

    Anonymizers give many patients one frame of reference.

    Args:
        path, series: as of :func:`identify`.
        source: of the other series.

    Raises:
        InputError, OSError: as of :func:`identify`.
    """
    frame = source.part("frame_of_reference")
    if not frame or identify(path, series).part("frame_of_reference") != frame:
        return False
    return is_of_patient(dicom_series_at(Path(path), series or None, ()), source)


def of_two_patients(path: str | os.PathLike, series: str, other: str | os.PathLike, other_series: str) -> bool:
    """Whether the headers of two DICOM series name two patients; other files, and what is missing, name none.

    Args:
        path, series, other, other_series: as of :func:`identify`.

    Raises:
        InputError, OSError: as of :func:`identify`.
    """
    both = zip(_patient(Path(path), series), _patient(Path(other), other_series))
    return any(one and another and one != another for one, another in both)


def _patient(path: Path, series: str) -> tuple[str, ...]:
    if path.name.lower().endswith(VOLUME_SUFFIXES) and not path.is_dir():
        return ()
    return dicom_series_at(path, series or None, ()).slices[0].file.patient


def identify_file(path: Path) -> ScanSource:
    """The identity of a volume file, and of the files of its voxels where these lie apart."""
    with path.open("rb") as file:
        head = file.read(_BLOCK * 16)
    others = _voxel_files(path, head) if path.name.lower().endswith(_HEADERS) else []
    blocks = max(1, _BLOCKS // (1 + len(others)))
    return ScanSource(
        FILE,
        (
            ("bytes", str(sum(item.stat().st_size for item in (path, *others)))),
            ("header", hashlib.sha256(head[:_BLOCK]).hexdigest()[:32]),
            ("voxels", digest_of(_samples(item, blocks) for item in (path, *others))),
        ),
    )


def _voxel_files(path: Path, head: bytes) -> list[Path]:
    """The files that a NRRD or MetaImage header names, as far as they exist."""
    found = _DETACHED.search(head)
    if not found:
        return []
    value = found.group(1).strip().decode("utf-8", "surrogateescape")
    if value.upper().startswith("LIST"):
        lines = head[found.end() :].decode("utf-8", "surrogateescape").splitlines()
        return _existing(path.parent, lines)
    if "%" in value:
        pattern = re.sub(r"%0?\d*d", "*", value.split()[0])
        try:
            return sorted(item for item in path.parent.glob(pattern) if item.is_file())
        except (ValueError, NotImplementedError, OSError):  # no pattern for a file beside the header
            return []
    return _existing(path.parent, [value])


def _existing(folder: Path, names: Sequence[str]) -> list[Path]:
    places = (os.path.join(folder, name.strip()) for name in names if name.strip() and "\0" not in name)
    return [Path(place) for place in places if os.path.isfile(place)]


def _samples(path: Path, blocks: int) -> str:
    """A digest of evenly spaced blocks of a file, its beginning and its end included."""
    size, digest = path.stat().st_size, hashlib.sha256()
    with path.open("rb") as file:
        if size <= blocks * _BLOCK:
            digest.update(file.read())
        else:
            for number in range(blocks):
                file.seek(number * (size - _BLOCK) // max(1, blocks - 1))
                digest.update(file.read(_BLOCK))
    return digest.hexdigest()
