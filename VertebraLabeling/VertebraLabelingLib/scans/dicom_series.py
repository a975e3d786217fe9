"""DICOM folders: which series are there, which of them are CT volumes, and why the others are not."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dicom_headers import SliceHeader, looks_like_dicom, numbers_of, read_header
from .dicom_kinds import kind_of

MOST_LISTED = 8
"""Series named in one message."""

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class DicomSeries:
    """One stack of images that make a volume, or the reason why they do not.

    Attributes:
        key: what a user types to choose it: the series number, with ``.2``, ``.3`` added where it is not unique.
        uid: SeriesInstanceUID.
        description: SeriesDescription, made printable.
        slices: sorted along the slice normal.
        skipped: why the series is no CT volume (``"modality MR"``, ``"localizer"``); empty for a CT volume.
        notes: sentences for the user about what was found while sorting.
    """

    key: str
    uid: str
    description: str
    slices: tuple[SliceHeader, ...]
    skipped: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The files in slice order."""
        return tuple(str(item.path) for item in self.slices)

    def __str__(self) -> str:
        images = max(len(self.slices), self.slices[0].frames)
        name = f' "{self.description}"' if self.description else ""
        return f"{self.key}{name} ({images} image{'s' if images != 1 else ''})"


def find_series(folder: Path) -> list[DicomSeries]:
    """All image series among the files of one folder (not of its subfolders), CT volumes and skipped ones.

    The answers for the last few folders are remembered: a scan is first found, then read.

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        return list(_find_series(folder, folder.stat().st_mtime_ns))
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read ({error.strerror}): check its permissions.") from error


@lru_cache(maxsize=2)
def _find_series(folder: Path, _modified: int) -> tuple[DicomSeries, ...]:
    """See :func:`find_series`; the time of the folder's last change tells a new answer from an old one."""
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    groups: dict[str, list[SliceHeader]] = defaultdict(list)
    unreadable = []
    for path in paths:
        if path.name.upper() == "DICOMDIR" or not looks_like_dicom(path):
            continue
        header = read_header(path)
        if header is None:
            unreadable += [] if kind_of(path) else [path.name]
        else:
            groups[header.series_uid].append(header)
    series = [stack for slices in groups.values() for stack in _stacks(slices)]
    if unreadable:
        note = f"{len(unreadable)} DICOM file(s) hold no readable image, e.g. {unreadable[0]}."
        series = [replace(item, notes=(*item.notes, note)) for item in series]
    return tuple(_with_unique_keys(series))


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
        for item in series:
            if wanted in (item.key, item.uid):
                if item.skipped:
                    raise InputError(f"Series {item} of {folder} is not a CT volume ({item.skipped}): choose another.")
                return item
        raise InputError(f"{folder} has no series {wanted}: choose one of {_listing(usable) or 'another folder'}.")
    if not usable:
        raise InputError(f"{folder} holds no CT series{_skipped_listing(series)}: choose the folder of a CT series.")
    if len(usable) > 1:
        raise InputError(f"{folder} holds {len(usable)} CT series, choose one with --series: {_listing(usable)}.")
    return usable[0]


def _stacks(slices: list[SliceHeader]) -> list[DicomSeries]:
    """Split one series into stacks of equal orientation, pixel size and position order; copies are dropped."""
    unique = {item.instance_uid or str(item.path): item for item in slices}
    groups: dict[object, list[SliceHeader]] = defaultdict(list)
    for item in unique.values():
        direction = tuple(np.round(item.orientation, 3) + 0.0) if item.orientation else None
        spacing = tuple(np.round(item.pixel_spacing, 4)) if item.pixel_spacing else None
        groups[direction, spacing, item.frames > 1 and item.path].append(item)
    stacks = [_describe(phase) for group in groups.values() for phase in _sorted_stacks(group)]
    largest = max(len(stack.slices) for stack in stacks)
    return [
        replace(stack, skipped="stray images") if not stack.skipped and len(stack.slices) < 0.1 * largest else stack
        for stack in stacks
    ]


def _describe(slices: list[SliceHeader]) -> DicomSeries:
    first = slices[0]
    return DicomSeries(first.number or "0", first.series_uid, first.description, tuple(slices), _reason_to_skip(slices))


def _reason_to_skip(slices: list[SliceHeader]) -> str:
    first = slices[0]
    if first.modality != "CT":
        return f"modality {first.modality or 'unknown'}"
    if first.sop_class.startswith(_SECONDARY_CAPTURE):
        return "secondary capture"
    if first.samples != 1:
        return "color picture"
    if "LOCALIZER" in first.image_type.split("\\"):
        return "localizer"
    if first.frames > 1:
        return ""
    if len(slices) < 2:
        return "a single image"
    if not all(item.position and item.orientation and item.pixel_spacing for item in slices):
        return "no slice positions"
    if not all(_is_sound(item) for item in slices):
        return "a damaged orientation or pixel spacing"
    return ""


def _is_sound(item: SliceHeader) -> bool:
    """Rows and columns are unit vectors at a right angle, and pixels have a size."""
    row, column = np.array(item.orientation[:3]), np.array(item.orientation[3:])
    products = (row @ row, column @ column, 1.0 + row @ column)
    return bool(np.allclose(products, 1.0, atol=0.01) and min(item.pixel_spacing) > 0)


def _sorted_stacks(slices: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Sort along the normal; where positions repeat (several phases, two acquisitions) make one stack of each."""
    if slices[0].orientation is None or any(item.position is None for item in slices):
        return [sorted(slices, key=lambda item: item.instance)]
    normal = np.cross(slices[0].orientation[:3], slices[0].orientation[3:])

    def place(item: SliceHeader) -> float:
        return round(float(normal @ item.position), 2)

    def stack(items: Iterable[SliceHeader]) -> list[SliceHeader]:
        return sorted(items, key=place)

    if max(Counter(map(place, slices)).values()) == 1:
        return [stack(slices)]
    by_acquisition: dict[str, list[SliceHeader]] = defaultdict(list)
    for item in slices:
        by_acquisition[item.acquisition].append(item)
    if len(by_acquisition) > 1:
        return [phase for group in by_acquisition.values() for phase in _sorted_stacks(group)]
    seen: Counter[float] = Counter()
    phases: dict[int, list[SliceHeader]] = defaultdict(list)
    for item in sorted(slices, key=lambda item: item.instance):
        phases[seen[place(item)]].append(item)
        seen[place(item)] += 1
    return [stack(phase) for phase in phases.values()]


def _with_unique_keys(series: list[DicomSeries]) -> list[DicomSeries]:
    def order(item: DicomSeries) -> tuple:
        number = numbers_of(item.key, 1)
        return (number or (np.inf,))[0], item.uid, -len(item.slices), item.slices[0].instance

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
