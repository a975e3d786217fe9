"""DICOM series in a tree of folders: one series may lie in several, as halves, parts, or one image in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.scan_source import ScanSource
from ..errors import InputError
from .dicom_series import SINGLE, STRAY, DicomSeries, find_images, find_series
from .series_source import identify_series

MOST_JOINED = 20_000
"""Images under one series UID that are looked at together; anonymizers give whole archives one UID."""

_MAY_BE_PART = ("", SINGLE, STRAY)


@dataclass(frozen=True)
class TreeSeries:
    """A series of a tree, without its headers: those of ten thousand series would fill the memory.

    Attributes:
        folders: in which to look for it, by :func:`dicom_series.find_series`.
        lies_in: those of them that hold its files.
        key, uid: by which it is chosen among what is found there.
        shown: how it is named in messages.
        skipped: why it is no CT volume; empty for one.
        source: what identifies it; None where it is no CT volume.
    """

    folders: tuple[Path, ...]
    lies_in: tuple[Path, ...]
    key: str
    uid: str
    shown: str
    skipped: str
    source: ScanSource | None = None


@dataclass(frozen=True)
class TreeFolder:
    """What was found in one folder.

    Attributes:
        series: those that begin in it.
        rejected: reason, number and first file of DICOM files without an image.
        error: why the folder cannot be read.
        elsewhere: a part of a series lies here that begins in another folder.
    """

    series: tuple[TreeSeries, ...]
    rejected: tuple[tuple[str, int, Path], ...] = ()
    error: str = ""
    elsewhere: bool = False


def folders_below(folder: Path) -> list[Path]:
    """A folder and all below it that are neither hidden nor links, in the order of their paths.

    Raises:
        OSError: one cannot be listed.
    """
    found = [folder]
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            found += folders_below(path)
    return found


def find_in_tree(folders: Sequence[Path]) -> dict[Path, TreeFolder]:
    """The series of all folders; those of one scan that lie in several are one series, told at its first folder.

    Folders that cannot be read have an ``error`` and nothing else.
    """
    found: dict[Path, TreeFolder] = {}
    images: dict[str, dict[Path, int]] = defaultdict(dict)
    for folder in folders:
        try:
            series, rejected = find_images(folder)
            light = tuple(_light(item, (folder,)) for item in series)
        except (OSError, InputError) as error:
            found[folder] = TreeFolder((), error=str(getattr(error, "strerror", None) or error))
            continue
        found[folder] = TreeFolder(light, _counted(rejected))
        for item in series:
            if item.uid and item.skipped in _MAY_BE_PART:
                images[item.uid][folder] = images[item.uid].get(folder, 0) + len(item.slices)
    order = {folder: number for number, folder in enumerate(folders)}
    for group in _linked(images):
        begin: dict[Path, list[TreeSeries]] = defaultdict(list)
        later: set[Path] = set()
        for item in find_series(*group):
            first = min(item.folders, key=order.__getitem__)
            begin[first].append(_light(item, group))
            later.update(set(item.folders) - {first})
        for folder in group:
            found[folder] = TreeFolder(tuple(begin[folder]), found[folder].rejected, elsewhere=folder in later)
    return found


def _linked(images: dict[str, dict[Path, int]]) -> list[tuple[Path, ...]]:
    """Groups of folders that share a volume."""
    group_of: dict[Path, set[Path]] = {}
    for parts in images.values():
        if len(parts) < 2 or sum(parts.values()) > MOST_JOINED:
            continue
        for item in find_series(*parts):
            if len(item.folders) > 1 and not item.skipped:
                group = set().union(*(group_of.get(folder, {folder}) for folder in item.folders))
                group_of.update(dict.fromkeys(group, group))
    return [tuple(sorted(group)) for group in {id(group): group for group in group_of.values()}.values()]


def _light(item: DicomSeries, folders: Iterable[Path]) -> TreeSeries:
    source = None if item.skipped else identify_series(item)
    return TreeSeries(tuple(folders), item.folders, item.key, item.uid, str(item), item.skipped, source)


def _counted(rejected: Sequence[tuple[Path, str]]) -> tuple[tuple[str, int, Path], ...]:
    by_reason: dict[str, list[Path]] = defaultdict(list)
    for path, reason in rejected:
        by_reason[reason].append(path)
    return tuple((reason, len(paths), paths[0]) for reason, paths in by_reason.items())
