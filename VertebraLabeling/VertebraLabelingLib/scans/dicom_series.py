"""DICOM folders: which series are there, which of them are CT volumes, and why the others are not."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .dicom_elements import numbers_of, without_words
from .dicom_frames import Frame, read_frames
from .dicom_headers import DAMAGED, DICOMDIR, DicomFile, looks_like_dicom
from .dicom_kinds import kind_of
from .dicom_stacks import Parts, same_grids, split

MOST_LISTED = 8
"""Series named in one message."""

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
SINGLE, STRAY = "a single image", "stray images"
"""Reasons for which a series is none, that another folder may heal."""

_STRAY = 0.1  # of the images of the largest stack; fewer are no scan of their own


_NO_PLACE, _BAD_PLACE = "no slice positions", "a damaged orientation or pixel spacing"
_BAD_RESCALE = "a damaged rescale"
_LEFT_OUT = (_NO_PLACE, _BAD_PLACE, _BAD_RESCALE)
"""Reasons for which an image is left out that may be a slice of the volume."""

_PATIENT = 4  # values of DicomFile.identity that say whose it is
_PATIENTS = "One series UID stands for several patients, who were kept apart: check whose scan this is."
_IGNORED = "An identifier of the study, series or frame of reference is another in every file; positions decided."
_UNTOLD = "has several images at one position, and nothing tells which belong together: export it again"


@dataclass(frozen=True)
class DicomSeries:
    """One stack of images that make a volume, or the reason why they do not.

    Attributes:
        key: what a user types to choose it: the series number, with ``.2``, ``.3`` added where it is not unique.
        uid: SeriesInstanceUID.
        description: SeriesDescription, made printable.
        slices: planes (single slices, or frames) sorted along the slice normal.
        skipped: why the series is no CT volume (``"modality MR"``, ``"localizer"``); empty for a CT volume.
        notes: sentences for the user about what was found while sorting.
        fault: why a CT volume cannot be read, as the end of a sentence that begins with its name; empty if it can.
    """

    key: str
    uid: str
    description: str
    slices: tuple[Frame, ...]
    skipped: str = ""
    notes: tuple[str, ...] = ()
    fault: str = ""

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files, each once, in the order of their first slice."""
        return tuple(dict.fromkeys(str(frame.file.path) for frame in self.slices))

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """The folders in which the files lie."""
        return tuple(sorted({frame.file.path.parent for frame in self.slices}))

    def __str__(self) -> str:
        images = len(self.slices)
        name = f' "{self.description}"' if self.description else ""
        return f"{self.key}{name} ({images} image{'s' if images != 1 else ''})"


class Found(NamedTuple):
    """What was found among some files: series, and (file, reason) of each DICOM file that holds no image."""

    series: list[DicomSeries]
    rejected: list[tuple[Path, str]]


def find_series(*folders: Path) -> list[DicomSeries]:
    """All image series among the files of some folders (not of their subfolders), CT volumes and skipped ones.

    The files of several folders are taken together: a series may lie in more than one.

    Raises:
        InputError: a folder cannot be listed, or pydicom is not installed.
    """
    return find_images(*folders).series


def find_images(*folders: Path) -> Found:
    """As :func:`find_series`, with the DICOM files that hold no image. A file may stand for a folder."""
    return series_of(path for folder in folders for path in _files(folder))


def series_of(paths: Iterable[Path]) -> Found:
    """The series of some files; those that are no DICOM are passed over.

    Raises:
        InputError: pydicom is not installed, or a file cannot be read.
    """
    frames: list[Frame] = []
    rejected: list[DicomFile] = []
    with without_words():
        for path in paths:
            file, planes = _read(path)
            frames += planes
            if file is not None and file.fault:
                rejected.append(file)
    series = [stack for group in _by_identity(frames) for stack in _stacks(*group)]
    damaged = [file for file in rejected if file.fault == DAMAGED]
    series = [replace(item, notes=(*item.notes, *_damage_beside(item, damaged))) for item in series]
    reasons = [(file.path, DAMAGED if file in damaged else _kind_of(file)) for file in rejected]
    return Found(_with_unique_keys(series), reasons)


def _files(folder: Path) -> list[Path]:
    try:
        if folder.is_file():
            return [folder]
        return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read ({error.strerror}): check its permissions.") from error


def _read(path: Path) -> tuple[DicomFile | None, tuple[Frame, ...]]:
    if not os.access(path, os.R_OK):  # it may be a slice
        return DicomFile(path, fault=DAMAGED), ()
    if path.name.upper() == DICOMDIR or not looks_like_dicom(path):
        return None, ()
    try:
        return read_frames(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


def _damage_beside(series: DicomSeries, damaged: Sequence[DicomFile]) -> tuple[str, ...]:
    """A sentence where damaged files may be slices that the series lacks."""
    lost = [file for file in damaged if file.series in ("", series.uid)]
    if not lost:
        return ()
    return (f"{len(lost)} DICOM file(s) hold no readable image, e.g. {lost[0].path.name}: slices may be missing.",)


def _kind_of(file: DicomFile) -> str:
    other = f"no image (modality {file.modality})" if file.modality else "no image"
    return kind_of(file.sop_class) or other


def choose_series(series: Sequence[DicomSeries], choice: str | int | None, folder: Path) -> DicomSeries:
    """The one CT series that is meant.

    Args:
        series: what :func:`find_series` found.
        choice: the key or SeriesInstanceUID of a series; ``None`` when there is only one.
        folder: named in the messages.

    Raises:
        InputError: there is none, or there are several and none was chosen; the sentence lists them.
    """
    usable = [item for item in series if not item.skipped]
    if choice is not None:
        wanted = str(choice).strip()
        meant = [item for item in series if wanted in (item.key, item.uid)]
        if meant:
            if meant[0].skipped:
                raise InputError(
                    f"Series {meant[0]} of {folder} is not a CT volume ({meant[0].skipped}): choose another."
                )
            return meant[0]
        raise InputError(f"{folder} has no series {wanted}: choose one of {_listing(usable) or 'another folder'}.")
    if not usable:
        raise InputError(f"{folder} holds no CT series{_skipped_listing(series)}: choose the folder of a CT series.")
    if len(usable) > 1:
        patients = " of several patients" if any(_PATIENTS in item.notes for item in usable) else ""
        raise InputError(
            f"{folder} holds {len(usable)} CT series{patients}, choose one with --series: {_listing(usable)}."
        )
    return usable[0]


def _by_identity(frames: Sequence[Frame]) -> list[tuple[list[Frame], tuple[str, ...]]]:
    """The planes of each series of each patient, and notes.

    One series UID may stand for several patients, studies or scans (anonymizers, copied templates): they are kept
    apart. An identifier that only some images have, or that is another in every file, tells nothing apart.
    """
    by_uid: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_uid[frame.file.series].append(frame)
    groups = []
    for same in by_uid.values():
        files = list({id(frame.file): frame.file for frame in same}.values())
        told = [
            _telling(column, len(files), ignorable=number >= _PATIENT)
            for number, column in enumerate(zip(*(file.identity for file in files)))
        ]
        identity = {id(file): row for file, row in zip(files, zip(*(column for column, _ in told)))}
        parts: dict[tuple, list[Frame]] = defaultdict(list)
        for frame in same:
            parts[identity[id(frame.file)]].append(frame)
        notes = (_IGNORED,) if any(ignored for _, ignored in told) else ()
        if len({row[:_PATIENT] for row in identity.values()}) > 1:
            notes += (_PATIENTS,)
        elif len(parts) > 1:
            notes += ("One series UID stands for several scans, which were kept apart.",)
        groups += [(part, notes) for part in parts.values()]
    return groups


def _telling(column: Sequence[str], files: int, ignorable: bool) -> tuple[Sequence[str], bool]:
    """One identifier of all files, and whether it was left aside; an empty value joins the only other one."""
    values = set(column) - {""}
    if len(values) == 1:
        return [values.pop()] * files, False
    if ignorable and len(values) == files > 2:
        return [""] * files, True
    return column, False


def _stacks(frames: Sequence[Frame], notes: tuple[str, ...]) -> list[DicomSeries]:
    """The volumes in the images of one series, and what is no volume, with the reason."""
    by_reason: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        by_reason[_reason_to_skip(frame)].append(frame)
    sound = by_reason.pop("", [])
    result = [_series(sorted(others, key=_order), reason) for reason, others in by_reason.items()]
    left_out = [(why, len(by_reason[why])) for why in _LEFT_OUT if why in by_reason]
    notes += tuple(f"{count} image(s) have {why} and were left out: slices may be missing." for why, count in left_out)
    stacks = [(stack, parts) for grid in same_grids(sound) for parts in split(grid) for stack in parts.stacks]
    largest = max((len(stack) for stack, _ in stacks), default=0)
    if largest == 1 and len(sound) > 2 and any(len(parts.stacks) + parts.copies == len(sound) for _, parts in stacks):
        return [*result, _series(sorted(sound, key=_order), "all images at one position")]
    for stack, parts in stacks:
        reason = SINGLE if len(stack) < 2 else STRAY if len(stack) < _STRAY * largest else ""
        told = (*notes, *_notes(stack, parts, largest)) if not reason else ()
        phases = sum(len(other) >= _STRAY * largest for other in parts.stacks)
        result.append(replace(_series(stack, reason, told), fault=_UNTOLD if phases > 1 and not parts.told else ""))
    return result


def _series(frames: Sequence[Frame], reason: str, notes: tuple[str, ...] = ()) -> DicomSeries:
    file = frames[0].file
    return DicomSeries(file.number or "0", file.series, file.description, tuple(frames), reason, notes)


def _notes(stack: Sequence[Frame], parts: Parts, largest: int) -> tuple[str, ...]:
    """What a radiologist should know of how this stack was made."""
    notes = []
    if parts.copies:
        notes.append(f"{parts.copies} image(s) were stored twice; the copies were left out.")
    doubled = sum(len(other) for other in parts.stacks if len(other) < _STRAY * largest)
    if doubled and len(stack) >= _STRAY * largest:
        notes.append(f"{doubled} image(s) repeat a position with other voxels; the first of each was taken.")
    files = {frame.file.path: frame.file for frame in stack}.values()
    uids = Counter(file.instance_uid for file in files if file.instance_uid)
    repeated = sum(count for count in uids.values() if count > 1)
    if repeated:
        notes.append(f"{repeated} different images share their SOP instance UIDs; all were kept, by position.")
    for uid in {file.concatenation for file in files if file.concatenation}:
        parts_found = {file.part for file in files if file.concatenation == uid}
        wanted = max(file.parts for file in files if file.concatenation == uid)
        if len(parts_found) < wanted:
            notes.append(f"{wanted - len(parts_found)} of {wanted} files of this concatenation are missing.")
    return tuple(notes)


def _reason_to_skip(frame: Frame) -> str:
    file = frame.file
    if file.modality != "CT":
        return f"modality {file.modality or 'unknown'}"
    if file.sop_class.startswith(_SECONDARY_CAPTURE):
        return "secondary capture"
    if file.samples != 1:
        return "color picture"
    if frame.localizer:
        return "localizer"
    if frame.position is None:
        return _NO_PLACE
    if not frame.placed or min(frame.shape) < 1:
        return _BAD_PLACE
    return _BAD_RESCALE if frame.bad_rescale else ""


def _order(frame: Frame) -> tuple:
    return (*frame.order, str(frame.file.path))


def _with_unique_keys(series: list[DicomSeries]) -> list[DicomSeries]:
    def order(item: DicomSeries) -> tuple:
        number = numbers_of(item.key, 1)
        return (number or (np.inf,))[0], item.uid, -len(item.slices), _order(item.slices[0])

    used: Counter[str] = Counter()
    result = []
    for item in sorted(series, key=order):
        used[item.key] += 1
        result.append(replace(item, key=f"{item.key}.{used[item.key]}") if used[item.key] > 1 else item)
    return result


def _listing(series: Sequence[DicomSeries]) -> str:
    return _first_few([str(item) for item in series])


def _first_few(texts: list[str]) -> str:
    more = f"; and {len(texts) - MOST_LISTED} more" if len(texts) > MOST_LISTED else ""
    return "; ".join(texts[:MOST_LISTED]) + more


def _skipped_listing(series: Sequence[DicomSeries]) -> str:
    if not series:
        return " (no DICOM image was found)"
    return " (skipped: " + _first_few([f"{item}: {item.skipped}" for item in series]) + ")"
