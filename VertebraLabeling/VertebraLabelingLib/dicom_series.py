"""DICOM folders: which CT series are there, and one of them as a volume.

Headers and pixels come through SimpleITK/GDCM. The geometry is built here from the slice positions, because a series
reader assumes orthogonal, evenly spaced slices, and both a tilted gantry and a missing slice would move the vertebrae.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from .errors import InputError
from .volume import Volume, from_sitk, lps_affine_to_ras

logger = logging.getLogger(__name__)

MAX_HOLE_MM = 15.0
"""A hole between slices that is wider could hide a whole vertebra, so the count would be wrong."""

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DICOM_SUFFIXES = ("", ".dcm", ".dicom", ".ima")
_TILT_WORTH_A_NOTE_DEG = 0.5


@dataclass(frozen=True)
class _Slice:
    """What is needed of one file's header; ``position`` and ``orientation`` are LPS, None where the header has none."""

    path: Path
    instance_uid: str
    series_uid: str
    sop_class: str
    modality: str
    image_type: str
    number: str
    description: str
    acquisition: str
    instance: int
    frames: int
    samples: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None


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
    slices: tuple[_Slice, ...]
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

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read ({error.strerror}): check its permissions.") from error
    groups: dict[str, list[_Slice]] = defaultdict(list)
    unreadable = []
    for path in paths:
        if path.name.upper() == "DICOMDIR" or not looks_like_dicom(path):
            continue
        header = _read_header(path)
        if header is None:
            unreadable.append(path.name)
        else:
            groups[header.series_uid].append(header)
    series = [stack for slices in groups.values() for stack in _stacks(slices)]
    if unreadable:
        note = f"{len(unreadable)} DICOM file(s) hold no readable image, e.g. {unreadable[0]}."
        series = [replace(item, notes=(*item.notes, note)) for item in series]
    return _with_unique_keys(series)


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


def read_series(series: DicomSeries) -> tuple[Volume, tuple[str, ...]]:
    """Read the voxels of a series and place them by its slice positions.

    Returns:
        The volume in HU (the rescale slope and intercept are applied), and notes for the user: gantry tilt, slices
        that were missing and have been interpolated.

    Raises:
        InputError: a file is damaged, the slices do not line up, or a hole is wider than :data:`MAX_HOLE_MM`.
    """
    import SimpleITK as sitk

    first = series.slices[0]
    if len(series.slices) == 1:
        single = sitk.ImageFileReader()
        single.SetFileName(series.files[0])
        return _execute(single, series), series.notes

    steps = _slice_steps(series)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(series.files)
    array = _execute(reader, series).array
    if array.shape[0] != len(series.slices):
        raise InputError(f"Series {series} mixes images of different kinds: export the series again.")
    array, step, notes = _evenly_spaced(array, steps, series)
    affine = np.eye(4)
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    affine[:3, 0], affine[:3, 1] = row * first.pixel_spacing[1], column * first.pixel_spacing[0]
    affine[:3, 2], affine[:3, 3] = step, first.position
    tilt = np.degrees(np.arccos(np.clip(abs(np.cross(row, column) @ step) / np.linalg.norm(step), 0, 1)))
    if tilt > _TILT_WORTH_A_NOTE_DEG:
        notes.append(f"The gantry is tilted by {tilt:.0f} degrees; positions take it into account.")
    return Volume(array, lps_affine_to_ras(affine)), (*series.notes, *notes)


def looks_like_dicom(path: Path) -> bool:
    """The file carries the DICOM magic, or has no suffix that says otherwise (old files lack the magic)."""
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError:
        return False
    return head[128:132] == b"DICM" or (len(head) == 132 and path.suffix.lower() in _DICOM_SUFFIXES)


def _read_header(path: Path) -> _Slice | None:
    """The header of an image file; ``None`` for reports, structure sets, damaged files and anything else."""
    import SimpleITK as sitk

    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        logger.debug("%s: %s", path, error)
        return None

    def tag(name: str) -> str:
        return _printable(reader.GetMetaData(name)) if reader.HasMetaDataKey(name) else ""

    return _Slice(
        path=path,
        instance_uid=tag("0008|0018"),
        series_uid=tag("0020|000e"),
        sop_class=tag("0008|0016"),
        modality=tag("0008|0060"),
        image_type=tag("0008|0008").upper(),
        number=tag("0020|0011"),
        description=tag("0008|103e")[:60],
        acquisition=tag("0020|0012"),
        instance=int((_numbers(tag("0020|0013"), 1) or (0,))[0]),
        frames=int((_numbers(tag("0028|0008"), 1) or (1,))[0]),
        samples=reader.GetNumberOfComponents(),
        position=_numbers(tag("0020|0032"), 3),
        orientation=_numbers(tag("0020|0037"), 6),
        pixel_spacing=_numbers(tag("0028|0030"), 2),
    )


def _printable(text: str) -> str:
    """Header text as a harmless single line; bytes outside UTF-8 are taken as Latin-1."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _numbers(text: str, count: int) -> tuple[float, ...] | None:
    try:
        values = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return None
    return values if len(values) == count and np.isfinite(values).all() else None


def _stacks(slices: list[_Slice]) -> list[DicomSeries]:
    """Split one series into stacks of equal orientation, pixel size and position order; copies are dropped."""
    unique = {item.instance_uid or str(item.path): item for item in slices}
    groups: dict[object, list[_Slice]] = defaultdict(list)
    for item in unique.values():
        direction = tuple(np.round(item.orientation, 3) + 0.0) if item.orientation else None
        spacing = tuple(np.round(item.pixel_spacing, 4)) if item.pixel_spacing else None
        groups[direction, spacing, item.frames > 1 and item.path].append(item)
    return [_describe(phase) for group in groups.values() for phase in _phases(group)]


def _describe(slices: list[_Slice]) -> DicomSeries:
    first = slices[0]
    return DicomSeries(first.number or "0", first.series_uid, first.description, tuple(slices), _reason_to_skip(slices))


def _reason_to_skip(slices: list[_Slice]) -> str:
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
    return ""


def _phases(slices: list[_Slice]) -> list[list[_Slice]]:
    """Sort along the normal; where positions repeat (several phases, two acquisitions) make one stack of each."""
    if slices[0].orientation is None or any(item.position is None for item in slices):
        return [sorted(slices, key=lambda item: item.instance)]
    normal = np.cross(slices[0].orientation[:3], slices[0].orientation[3:])

    def place(item: _Slice) -> float:
        return round(float(normal @ item.position), 2)

    def stack(items: Iterable[_Slice]) -> list[_Slice]:
        return sorted(items, key=place)

    if max(Counter(map(place, slices)).values()) == 1:
        return [stack(slices)]
    by_acquisition: dict[str, list[_Slice]] = defaultdict(list)
    for item in slices:
        by_acquisition[item.acquisition].append(item)
    if len(by_acquisition) > 1:
        return [phase for group in by_acquisition.values() for phase in _phases(group)]
    seen: Counter[float] = Counter()
    phases: dict[int, list[_Slice]] = defaultdict(list)
    for item in sorted(slices, key=lambda item: item.instance):
        phases[seen[place(item)]].append(item)
        seen[place(item)] += 1
    return [stack(phase) for phase in phases.values()]


def _with_unique_keys(series: list[DicomSeries]) -> list[DicomSeries]:
    def order(item: DicomSeries) -> tuple:
        number = _numbers(item.key, 1)
        return (number or (np.inf,))[0], item.uid, -len(item.slices), item.slices[0].instance

    used: Counter[str] = Counter()
    result = []
    for item in sorted(series, key=order):
        used[item.key] += 1
        result.append(replace(item, key=f"{item.key}.{used[item.key]}") if used[item.key] > 1 else item)
    return result


def _slice_steps(series: DicomSeries) -> np.ndarray:
    """(N-1, 3) steps from slice to slice, LPS mm.

    Raises:
        InputError: the slices leave a common straight line, so they are not one volume.
    """
    positions = np.array([item.position for item in series.slices])
    start, line = positions[0], positions[-1] - positions[0]
    line = line / np.linalg.norm(line)
    beside = positions - start - ((positions - start) @ line)[:, None] * line
    if np.linalg.norm(beside, axis=1).max() > 2.0:
        raise InputError(f"The slices of series {series} do not line up: export the series again.")
    return np.diff(positions, axis=0)


def _evenly_spaced(
    array: np.ndarray, steps: np.ndarray, series: DicomSeries
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The array on slices of one distance, interpolating where slices are missing or the distance changes.

    Returns:
        (K', J, I) array, (3,) step between slices in LPS mm, notes.
    """
    lengths = np.linalg.norm(steps, axis=1)
    along = np.concatenate(([0.0], np.cumsum(lengths)))
    even = np.linspace(0.0, along[-1], len(along))
    direction = steps.sum(axis=0) / np.linalg.norm(steps.sum(axis=0))
    usual = float(np.median(lengths))
    if np.abs(along - even).max() <= min(0.25 * usual, 1.0):
        return array, direction * along[-1] / (len(along) - 1), []
    widest = float(lengths.max())
    if widest > MAX_HOLE_MM and widest > 1.5 * usual:
        raise InputError(
            f"Series {series} has a hole of {widest:.0f} mm between slices, so vertebrae may be missing: "
            "export the complete series again."
        )
    count = round(along[-1] / usual) + 1
    wanted = np.linspace(0.0, along[-1], count)
    above = np.clip(np.searchsorted(along, wanted), 1, len(along) - 1)
    weight = (wanted - along[above - 1]) / lengths[above - 1]
    out = np.empty((count, *array.shape[1:]), dtype=np.result_type(array.dtype, np.int16))
    for k, (upper, share) in enumerate(zip(above, weight)):
        mixed = array[upper - 1] * (1.0 - share) + array[upper] * share
        out[k] = np.round(mixed) if out.dtype.kind in "iu" else mixed
    note = (
        f"The slices of series {series} are not evenly spaced ({lengths.min():.1f} to {widest:.1f} mm, "
        "slices may be missing): they were interpolated, so check the levels there."
    )
    return out, direction * along[-1] / (count - 1), [note]


def _execute(reader, series: DicomSeries) -> Volume:
    """Run a SimpleITK reader; its own words go to the log."""
    reader.SetImageIO("GDCMImageIO")
    try:
        return from_sitk(reader.Execute())
    except RuntimeError as error:
        logger.debug("series %s: %s", series.uid, error)
        raise InputError(
            f"The images of series {series} cannot be read, they may be damaged: export it again."
        ) from error


def _listing(series: Sequence[DicomSeries]) -> str:
    return "; ".join(str(item) for item in series)


def _skipped_listing(series: Sequence[DicomSeries]) -> str:
    if not series:
        return " (no DICOM image was found)"
    return " (skipped: " + "; ".join(f"{item}: {item.skipped}" for item in series) + ")"
