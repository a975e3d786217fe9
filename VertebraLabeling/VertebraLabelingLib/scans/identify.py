"""What identifies a scan on disk; see :class:`core.scan_source.ScanSource`. Reads headers and samples, never decodes.

A copy of the files elsewhere, or a moved tree, is the same scan. Of a patient nothing but one digest is kept, over
identifier, name and date of birth together and different for each series: it cannot be looked up part by part, and does
not tell that two scans are of one patient.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..core.scan_source import DICOM, FILE, ScanSource, digest_of, instances_digest, shown_uid
from ..errors import InputError
from .dicom_frames import Frame
from .dicom_headers import looks_like_dicom
from .dicom_series import DicomSeries, choose_series, find_series

_BLOCK = 4096  # bytes of a sample
_BLOCKS = 256
"""Samples of a file, evenly spaced. A change between them is seen where the file is compressed, by its checksum."""

_IMAGES = 5
"""Images of a series of which a sample is taken: UIDs alone repeat where an anonymizer made them badly."""

_PATIENT = ("0010|0020", "0010|0021", "0010|0010", "0010|0030")  # identifier, its issuer, name, date of birth
_STUDY, _SERIES, _FRAME = "0020|000d", "0020|000e", "0020|0052"
_DETACHED = re.compile(rb"^\s*(?:data ?file\s*:|ElementDataFile\s*=)\s*(.*)$", re.IGNORECASE | re.MULTILINE)
_HEADERS = (".nhdr", ".mhd", ".nrrd", ".mha")  # may name other files that hold the voxels


def identify(path: str | os.PathLike, series: str = "", folders: Sequence[str | os.PathLike] = ()) -> ScanSource:
    """The identity of a scan as it lies on disk now.

    Args:
        path, folders: as of :func:`read_scan.read_scan`.
        series: key of the DICOM series in the folder; empty for files.

    Raises:
        InputError: the folder does not hold that series.
        OSError: the files cannot be read.
    """
    path = Path(path)
    if folders or path.is_dir():
        found = find_series(*(map(Path, folders) if folders else (path,)))
        return identify_series(choose_series(found, series or None, path))
    if path.name.lower().endswith((".nii", ".nii.gz", *_HEADERS)) or not looks_like_dicom(path):
        return identify_file(path)
    found = [item for item in find_series(path) if not item.skipped]
    return identify_series(choose_series(found, series or None, path)) if found else identify_file(path)


def identify_series(series: DicomSeries) -> ScanSource:
    """The identity of a DICOM series, whose headers were read already."""
    return _of_images([_image(item) for item in series.slices])


class _Image(NamedTuple):
    """One image of a series: where it is stored, its SOP instance UID, and the place of its pixels."""

    path: Path
    uid: str
    place: str


def _image(frame: Frame) -> _Image:
    return _Image(frame.file.path, frame.file.instance_uid, ",".join(f"{x:.3f}" for x in frame.position or ()))


def _of_images(images: Sequence[_Image]) -> ScanSource:
    ordered = sorted(images, key=lambda image: (image.uid, image.path.name))
    tags = _tags(ordered[0].path)
    step = max(1, len(ordered) // _IMAGES)
    return ScanSource(
        DICOM,
        (
            ("patient", digest_of((tags[_SERIES], *(tags[name] for name in _PATIENT)))),
            ("study", shown_uid(tags[_STUDY])),
            ("series", shown_uid(tags[_SERIES])),
            ("frame_of_reference", shown_uid(tags[_FRAME])),
            ("instances", instances_digest(image.uid for image in images)),
            ("places", digest_of(sorted(image.place for image in images))),
            ("pixels", digest_of(_middle(image.path) for image in ordered[::step][:_IMAGES])),
        ),
    )


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


def _middle(path: Path) -> str:
    """A digest of the middle of a DICOM file, which is that of its picture."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size // 2 - _BLOCK // 2))
        return hashlib.sha256(file.read(_BLOCK)).hexdigest()


def _tags(path: Path) -> dict[str, str]:
    """What identifies patient, study and frame, as it stands in the header; empty where it does not."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    names = (*_PATIENT, _STUDY, _SERIES, _FRAME)
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path.name} cannot be read, it is damaged: export the series again.") from error
    return {name: reader.GetMetaData(name).strip(" \0") if reader.HasMetaDataKey(name) else "" for name in names}
