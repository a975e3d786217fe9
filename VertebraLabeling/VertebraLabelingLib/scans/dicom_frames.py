"""Single slices and the frames of multi-frame objects as one list of planes, each with its own place and rescale.

Everything that is decided about a series (:mod:`dicom_stacks`, :mod:`dicom_series`, :mod:`dicom_volume`) is decided on
this list, so that it makes no difference in which of the two ways a scanner stores.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .dicom_elements import Header, numbers_of
from .dicom_headers import (
    DAMAGED,
    FRAME_GROUPS,
    ORDER_TAGS,
    PLACE_TAGS,
    SHAPE_TAGS,
    SHARED_GROUPS,
    DicomFile,
    read_file,
)

logger = logging.getLogger(__name__)

MOST_KEPT = 10_000
"""Frames whose headers are remembered: a scan is first found, then read, and a series may lie in several folders."""

MOST_FRAMES = 2**16
"""A header that promises more in one file is taken as damaged."""

_GROUPS = {
    **{"position": 0x00209113, "orientation": 0x00209116, "spacing": 0x00289110},
    **{"slope": 0x00289145, "intercept": 0x00289145},
}
"""Functional group that holds a value."""
_FRAME_MARKS = (
    *((0x00209111, 0x00209056), (0x00209111, 0x00209128), (0x00209111, 0x00209156)),  # stack, time point, acquisition
    *((0x00189118, 0x00209241), (0x00209310, 0x0020930D), (0x00189314, 0x00181210)),  # cardiac phase, time, kernel
)
_FRAME_TYPE = (0x00189329, 0x00089007)
_PLAIN_MARKS = ("temporal", "cardiac", "trigger", "kernel", "acquisition")


@dataclass(frozen=True)
class Frame:
    """One plane of voxels.

    Attributes:
        file: where it is stored.
        index: which frame of its file, from 0.
        shape: rows and columns.
        position, orientation: LPS mm, of the first voxel's center, and of rows and columns; None where missing or bad.
        spacing: mm from row to row and from column to column; None where missing or bad.
        rescale: slope and intercept to HU; None where neither is stored.
        bad_rescale: there is one, and it is no number.
        order: instance number, time and index, by which frames at one position are ordered.
        marks: what may tell the frames at one position apart: kind or object, stack, time, phase, kernel, acquisition.
        localizer: the frame is a scout view.
        multi: it is one of several of its file.
        grouped: its values come from functional groups.
    """

    file: DicomFile
    index: int
    shape: tuple[int, int]
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    rescale: tuple[float, float] | None
    bad_rescale: bool
    order: tuple[int, str, int]
    marks: tuple[str, ...]
    localizer: bool
    multi: bool
    grouped: bool

    @property
    def placed(self) -> bool:
        """Position, orientation and pixel spacing are known."""
        return None not in (self.position, self.orientation, self.spacing)


class _Kept(OrderedDict):
    """The headers of the files that were read last, up to a number of frames."""

    frames = 0

    def keep(self, key: tuple, value: tuple[DicomFile | None, tuple[Frame, ...]]) -> None:
        self[key] = value
        self.frames += max(len(value[1]), 1)
        while self.frames > MOST_KEPT and len(self) > 1:
            self.frames -= max(len(self.popitem(last=False)[1][1]), 1)


_kept = _Kept()


def read_frames(path: Path) -> tuple[DicomFile | None, tuple[Frame, ...]]:
    """The header of a file and the planes in it; (None, ()) where it is no DICOM, no planes where it has a fault.

    Raises:
        InputError: pydicom is not installed.
        OSError: the file cannot be read.
    """
    state = path.stat()
    key = (str(path), state.st_mtime_ns, state.st_size)
    found = _kept.get(key)
    if found is None:
        found = _read(path)
        _kept.keep(key, found)
    return found


def _read(path: Path) -> tuple[DicomFile | None, tuple[Frame, ...]]:
    file, header = read_file(path)
    if file is None or header is None:
        return file, ()
    try:
        return file, tuple(_frames(file, header))
    except Exception as error:  # pydicom raises many kinds on a damaged sequence
        logger.debug("%s: %s", path, type(error).__name__)
        return replace(file, fault=DAMAGED), ()


def _frames(file: DicomFile, header) -> list[Frame]:
    count = max(header.whole(SHAPE_TAGS["frames"]) or 1, 1)
    if count > MOST_FRAMES:
        raise ValueError(f"{count} frames")
    shared, each = header.items(SHARED_GROUPS), header.items(FRAME_GROUPS)
    if not shared and not each:
        return [_plain(file, header, index, count) for index in range(count)]
    own = each if len(each) == count else [None] * count  # a table of another length describes other frames
    of_all = shared[0] if shared else None
    return [_grouped(file, header, index, own[index], of_all, count) for index in range(count)]


def _plain(file: DicomFile, header, index: int, count: int) -> Frame:
    """A single slice; a frame of an object without functional groups has no position of its own."""
    values = {name: header.text(tag) for name, tag in PLACE_TAGS.items()}
    if count > 1:
        values["position"] = ""
    marks = {name: header.text(tag) for name, tag in ORDER_TAGS.items()}
    instance, time = header.whole(ORDER_TAGS["instance"]) or 0, marks["time"]
    scout = "LOCALIZER" in file.image_type.split("\\")
    return _frame(
        file, header, index, values, (instance, time, index), (file.image_type, *map(marks.get, _PLAIN_MARKS)), scout
    )


def _grouped(file: DicomFile, header, index: int, own, shared, count: int) -> Frame:
    """A frame of an object with functional groups: a value is its own, or that of all frames."""
    values = {}
    for name, group in _GROUPS.items():
        values[name] = _in_group(own, group, PLACE_TAGS[name])
        if not values[name] and (name != "position" or count == 1):
            values[name] = _in_group(shared, group, PLACE_TAGS[name])
        if not values[name] and count == 1:
            values[name] = header.text(PLACE_TAGS[name])
    marks = [file.concatenation or file.instance_uid]
    marks += [_mark(own, *mark) or _mark(shared, *mark) for mark in _FRAME_MARKS]
    kind = _in_group(own, *_FRAME_TYPE) or _in_group(shared, *_FRAME_TYPE) or file.image_type
    scout = "LOCALIZER" in kind.upper().split("\\")
    return _frame(file, header, index, values, (file.part, "", index), tuple(marks), scout)


def _frame(file: DicomFile, header, index: int, values: dict[str, str], order, marks, scout: bool) -> Frame:
    slope, intercept = (numbers_of(values[name], 1) for name in ("slope", "intercept"))
    stored = bool(values["slope"] or values["intercept"])
    bad = bool((values["slope"] and not slope) or (values["intercept"] and not intercept))
    return Frame(
        file=file,
        index=index,
        shape=(header.whole(SHAPE_TAGS["rows"]) or 0, header.whole(SHAPE_TAGS["columns"]) or 0),
        position=numbers_of(values["position"], 3),
        orientation=_directions(numbers_of(values["orientation"], 6)),
        spacing=_sizes(numbers_of(values["spacing"], 2)),
        rescale=((slope or (1.0,))[0] or 1.0, (intercept or (0.0,))[0]) if stored and not bad else None,
        bad_rescale=bad,
        order=order,
        marks=marks,
        localizer=scout,
        multi=(header.whole(SHAPE_TAGS["frames"]) or 1) > 1,
        grouped=FRAME_GROUPS in header or SHARED_GROUPS in header,
    )


def _directions(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """Rows and columns, where they are unit vectors at a right angle."""
    if values is None:
        return None
    row, column = values[:3], values[3:]
    faults = (_dot(row, row) - 1.0, _dot(column, column) - 1.0, _dot(row, column))
    return values if max(map(abs, faults)) < 0.01 else None


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other))


def _sizes(values: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return values if values and min(values) > 0 else None


def _in_group(item: Header | None, group: int, tag: int) -> str:
    """A value of the first item of a functional group; empty where it is missing."""
    inner = item.items(group) if item else []
    return inner[0].text(tag) if inner else ""


def _mark(item: Header | None, group: int, tag: int) -> str:
    inner = item.items(group) if item else []
    return inner[0].raw(tag) if inner else ""
