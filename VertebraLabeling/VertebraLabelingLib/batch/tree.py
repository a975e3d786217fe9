"""The search of a folder for scans: volume files and CT series at any depth; what else is there is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ..core.scan_source import ScanSource
from ..errors import InputError
from ..scans.dicom_headers import DAMAGED
from ..scans.dicom_series import choose_series, find_series
from ..scans.dicom_tree import TreeFolder, TreeSeries
from ..scans.read_scan import VOLUME_SUFFIXES
from .jobs import Inputs, Problem, Skip

ALL_SERIES = "all"
NO_TARGET = "whose file is missing: fetch the file (of a DataLad data set: git annex get) or remove the link"

_OTHER_FORMATS = (
    *(".hdr", ".img", ".img.gz", ".mgz", ".mgh", ".mnc", ".gipl", ".dcm.gz"),
    *(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar"),
)
"""Names of files that may hold a CT and are not read."""


_OUTPUTS = (".discs.nii.gz",)
"""Names of volume files that this program writes."""
_OF_DISCS = "named as disc labels of this program: rename it if it is a CT"


@dataclass(frozen=True)
class Found:
    """A scan before it has its output name; for ``root`` see :class:`naming.Source`, for ``named`` :class:`ScanJob`."""

    path: Path
    series: str = ""
    root: Path | None = None
    case: str = ""
    named: bool = True
    folders: tuple[str, ...] = ()
    source: ScanSource | None = None


class Tree:
    """The search of one folder that the user named, and of everything below it.

    Folders that links lead to are searched after all others, and none twice: a link may lead back.
    """

    case = ""  # the output name that a list gives
    argument = ""  # by which the user named the folder

    def __init__(self, folder: Path, root: Path, series: str | None, result: Inputs) -> None:
        self.folder, self._root, self._series, self._result = folder, root, series, result
        self._links: list[Path] = []
        self._seen: set[str] = set()

    @cached_property
    def folders(self) -> list[Path]:
        """The folder and all below it."""
        return list(self._walk())

    def scans(self, tree: Mapping[Path, TreeFolder]) -> Iterator[Found]:
        """The scans of the folder that was named; several CT series in it need a choice.

        Args:
            tree: what DICOM lies in the folders, and in others that were named: a series may lie in several.

        Raises:
            InputError: there is none.
        """
        problems, skipped = len(self._result.problems), len(self._result.skipped)
        found = [item for folder in self.folders for item in self._in_folder(folder, tree[folder])]
        elsewhere = any(tree[folder].elsewhere for folder in self.folders)
        if not found and not elsewhere and len(self._result.problems) == problems:
            reasons = sorted({skip.reason for skip in self._result.skipped[skipped:]})
            told = f" (skipped: {', '.join(reasons[:4])})" if reasons else ""
            raise InputError(f"{self.folder} holds no CT{told}: give CT files or the folder of a DICOM series.")
        yield from (replace(item, case=self.case) for item in found)

    def _walk(self) -> Iterator[Path]:
        """All folders to search."""
        self._seen.add(os.path.realpath(self.folder))
        yield self.folder
        yield from self._below(self.folder)
        while self._links:
            link = self._links.pop(0)
            target = os.path.realpath(link)
            if target in self._seen:
                self._skip(link, "a link to a folder that is searched already")
            else:
                self._seen.add(target)
                yield link
                yield from self._below(link)

    def _below(self, folder: Path) -> Iterator[Path]:
        """All subfolders of a folder, in the order of their paths."""
        try:
            subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        except OSError:  # which find_in_tree tells
            return
        is_bids = (folder / "dataset_description.json").is_file() or any(p.name.startswith("sub-") for p in subfolders)
        for path in subfolders:
            if is_bids and path.name == "derivatives":
                self._skip(path, "derivatives of a BIDS data set")
            elif path.is_symlink():
                self._links.append(path)
            else:
                self._seen.add(os.path.realpath(path))
                yield path
                yield from self._below(path)

    def _skip(self, path: Path | str, reason: str) -> None:
        self._result.skipped.append(Skip(str(path), reason))

    def _fail(self, path: Path, message: str) -> None:
        self._result.problems.append(Problem(str(path), message))

    def _in_folder(self, folder: Path, dicom: TreeFolder) -> Iterator[Found]:
        """The volume files and the CT series of one folder."""
        if dicom.error:
            self._skip(folder, f"cannot be read ({dicom.error})")
            return
        yield from self._series_of(folder, dicom)
        yield from self._files_of(folder)
        self._tell_rejected(folder, dicom)

    def _series_of(self, folder: Path, dicom: TreeFolder) -> Iterator[Found]:
        named, usable = folder == self.folder, [item for item in dicom.series if not item.skipped]
        for item in dicom.series:
            if item.skipped:
                self._skip(f"{folder}/series {item.shown}", item.skipped)
        keys = {item.key for item in usable if self._series in (None, ALL_SERIES, item.key, item.uid)}
        if named and usable and self._series != ALL_SERIES:
            try:
                keys = {choose_series(find_series(*usable[0].folders), self._series, folder).key}
            except InputError as error:
                self._fail(folder, str(error))
                return
        for item in usable:
            if item.key in keys:
                yield self._found(item, named)
            else:
                self._skip(f"{folder}/series {item.shown}", f"not series {self._series}")

    def _found(self, item: TreeSeries, named: bool) -> Found:
        folders = tuple(map(str, item.folders)) if len(item.folders) > 1 else ()
        place = Path(os.path.commonpath([*map(str, item.lies_in)]))
        root = None if named and self._root == self.folder else self._root
        return Found(place, item.key, root, named=named, folders=folders, source=item.source)

    def _files_of(self, folder: Path) -> Iterator[Found]:
        for path in sorted(folder.iterdir()):
            name = path.name.lower()
            if path.name.startswith(".") or path.is_dir():
                continue
            if not name.endswith(VOLUME_SUFFIXES):
                if path.is_symlink() and not path.exists():
                    self._skip(path, "a link whose file is missing")
                elif name.endswith(_OTHER_FORMATS):
                    self._skip(path, "not read: convert or unpack it first")
            elif name.endswith(_OUTPUTS):
                self._skip(path, _OF_DISCS)
            elif _bids_reason(path.name):
                self._skip(path, _bids_reason(path.name))
            elif path.is_file():
                yield Found(path, root=self._root, named=False)
            elif path.is_symlink():
                self._fail(path, f"{path.name} is a link {NO_TARGET}.")
            else:
                self._skip(path, "no regular file")

    def _tell_rejected(self, folder: Path, dicom: TreeFolder) -> None:
        """The DICOM files without a readable image. A folder of images none of which can be read has failed."""
        for reason, count, first in dicom.rejected:
            if reason == DAMAGED and all(item.skipped for item in dicom.series):
                images = f"{count} DICOM image{'s' if count > 1 else ''}"
                self._fail(folder, f"{folder} holds {images} that cannot be read, e.g. {first.name}: export it again.")
            else:
                self._skip(first, f"{reason} and {count - 1} more" if count > 1 else reason)


def _bids_reason(name: str) -> str:
    """Why a file with a BIDS name is no CT; empty for ``sub-01_ct.nii.gz`` and for other names."""
    suffix = name.split(".")[0].rsplit("_", 1)[-1]
    return f"BIDS suffix {suffix}" if name.startswith("sub-") and "_" in name and suffix.lower() != "ct" else ""
