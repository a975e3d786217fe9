"""The search of a folder for scans: volume files and CT series at any depth; what else is there is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.scan_source import ScanSource
from ..errors import InputError
from ..scans.dicom_kinds import beside_the_series
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


@dataclass(frozen=True)
class Found:
    """A scan before it has its output name: for ``root`` see :class:`naming.Source`, else :class:`ScanJob`."""

    path: Path
    series: str = ""
    root: Path | None = None
    case: str = ""
    named: bool = True
    source: ScanSource | None = None
    folders: tuple[str, ...] = ()


class Tree:
    """The search of one folder that the user named, and of everything below it.

    Folders that links lead to are searched after all others, and none twice: a link may lead back.

    Attributes:
        folders: all of them, in their order. One DICOM series may lie in several, also of several trees: they are read
            together (:func:`dicom_tree.find_in_tree`).
        argument: what the user typed.
        case: output name that a list gives to the scan in it.
    """

    def __init__(self, folder: Path, root: Path, series: str | None, result: Inputs, argument: str = "") -> None:
        self._folder, self._root, self._series, self._result = folder, root, series, result
        self._links: list[Path] = []
        self._seen: set[str] = set()
        self.argument, self.case = argument or str(folder), ""
        self._told = len(result.skipped)
        self.folders = list(dict.fromkeys(self._search()))
        self._told_in_search = len(result.skipped) - self._told

    def scans(self, dicom: Mapping[Path, TreeFolder]) -> Iterator[Found]:
        """The scans of the folder that was named; several CT series in it need a choice.

        Args:
            dicom: the DICOM series of each of :attr:`folders`.

        Raises:
            InputError: there is none.
        """
        problems, skipped = len(self._result.problems), len(self._result.skipped)
        found = [item for folder in self.folders for item in self._in_folder(folder, dicom[folder])]
        elsewhere = any(dicom[folder].elsewhere for folder in self.folders)
        if not found and not elsewhere and len(self._result.problems) == problems:
            own = self._result.skipped[self._told : self._told + self._told_in_search]
            reasons = sorted({skip.reason for skip in (*own, *self._result.skipped[skipped:])})
            told = f" (skipped: {', '.join(reasons[:4])})" if reasons else ""
            raise InputError(f"{self._folder} holds no CT{told}: give CT files or the folder of a DICOM series.")
        yield from (replace(item, case=self.case) for item in found)

    def _search(self) -> Iterator[Path]:
        self._seen.add(os.path.realpath(self._folder))
        yield self._folder
        yield from self._below(self._folder)
        while self._links:
            link = self._links.pop(0)
            target = os.path.realpath(link)
            if target in self._seen:
                self._skip(link, "a link to a folder that is searched already")
            else:
                self._seen.add(target)
                yield link
                yield from self._below(link)

    def _skip(self, path: Path | str, reason: str) -> None:
        self._result.skipped.append(Skip(str(path), reason))

    def _fail(self, path: Path, message: str) -> None:
        self._result.problems.append(Problem(str(path), message))

    def _below(self, folder: Path) -> Iterator[Path]:
        """All subfolders of a folder, in the order of their paths."""
        try:
            subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        except OSError:  # which the search for DICOM series tells
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

    def _in_folder(self, folder: Path, dicom: TreeFolder) -> Iterator[Found]:
        """The volume files and the CT series of one folder."""
        if dicom.error:
            self._skip(folder, f"cannot be read ({dicom.error})")
            return
        try:
            yield from self._series_of(folder, dicom)
            yield from self._volumes(folder)
            self._tell_the_rest(folder, dicom)
        except OSError as error:
            self._skip(folder, f"cannot be read ({error.strerror or error})")

    def _series_of(self, folder: Path, dicom: TreeFolder) -> Iterator[Found]:
        named, usable = folder == self._folder, [item for item in dicom.series if not item.skipped]
        for item in dicom.series:
            if item.skipped:
                self._skip(f"{folder}/series {item.shown}", item.skipped)
        wanted = (self._series,)
        if named and usable and self._series != ALL_SERIES:
            try:
                meant = choose_series(find_series(*usable[0].folders), self._series, folder)
                wanted = (meant.key,)
            except InputError as error:
                self._fail(folder, str(error))
                return
        for item in usable:
            if wanted[0] in (None, ALL_SERIES, item.key, item.uid):
                root = None if named and self._root == self._folder else self._root
                yield _found(item, root, named)
            else:
                self._skip(f"{folder}/series {item.shown}", f"not series {self._series}")

    def _volumes(self, folder: Path) -> Iterator[Found]:
        for path in sorted(folder.iterdir()):
            name = path.name.lower()
            if path.name.startswith(".") or path.is_dir():
                continue
            if not name.endswith(VOLUME_SUFFIXES):
                if name.endswith(_OTHER_FORMATS):
                    self._skip(path, "not read: convert or unpack it first")
            elif _bids_reason(path.name):
                self._skip(path, _bids_reason(path.name))
            elif path.is_file():
                yield Found(path, root=self._root, named=False)
            elif path.is_symlink():
                self._fail(path, f"{path.name} is a link {NO_TARGET}.")
            else:
                self._skip(path, "no regular file")

    def _tell_the_rest(self, folder: Path, dicom: TreeFolder) -> None:
        """The DICOM files that are in no series. A folder of images none of which can be read has failed."""
        used = set().union(*(item.files for item in dicom.series), dicom.others)
        kinds, lost = beside_the_series(folder, used, VOLUME_SUFFIXES)
        for kind, files in kinds.items():
            more = f"{len(files)} times {kind}, e.g. {files[0].name}"
            self._skip(*((files[0], kind) if len(files) == 1 else (folder, more)))
        count = f"{len(lost)} DICOM image{'s' if len(lost) > 1 else ''}"
        if lost and all(item.skipped for item in dicom.series) and not dicom.elsewhere:
            self._fail(folder, f"{folder} holds {count} that cannot be read, e.g. {lost[0].name}: export it again.")
        elif lost:
            self._skip(folder, f"{count} that cannot be read or stored twice, e.g. {lost[0].name}")


def _found(item: TreeSeries, root: Path | None, named: bool) -> Found:
    folders = tuple(map(str, item.folders)) if len(item.folders) > 1 else ()
    place = Path(os.path.commonpath([*map(str, item.lies_in)]))
    return Found(place, item.key, root, named=named, source=item.source, folders=folders)


def _bids_reason(name: str) -> str:
    """Why a file with a BIDS name is no CT; empty for ``sub-01_ct.nii.gz`` and for other names."""
    suffix = name.split(".")[0].rsplit("_", 1)[-1]
    return f"BIDS suffix {suffix}" if name.startswith("sub-") and "_" in name and suffix.lower() != "ct" else ""
