"""Which scans are meant: files, DICOM folders, trees of both, globs, lists and BIDS data sets, as a list of jobs.

What cannot be used is returned as a :class:`Problem` (an error: the user named it) or a :class:`Skip` (found on the way
and passed over for a stated reason); nothing here stops a batch.
"""

from __future__ import annotations

import csv
import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import InputError
from ..scans.dicom_series import choose_series, find_series
from ..scans.read_scan import VOLUME_SUFFIXES
from ..system.native_output import native_output_to_log
from .naming import Source, output_names, safe_name

ALL_SERIES = "all"

_GLOB_SIGNS = frozenset("*?[")
_LONGEST = 4096  # characters of a path or pattern; the time to match a pattern grows with the square of its length
_PATH_COLUMNS = ("path", "file", "image", "ct")


@dataclass(frozen=True)
class ScanJob:
    """One scan to label; can be sent to another process or computer that sees the same files.

    Attributes:
        path: the file, or the folder of the DICOM series.
        name: unique output name without suffix.
        series: key of the DICOM series in its folder (:func:`dicom_series.find_series`); empty for other formats. The
            headers do not travel with the job: those of ten thousand series would fill the memory.
        named: the user named this scan; one that was found in a tree and is no CT is skipped rather than failed.
    """

    path: str
    name: str
    series: str = ""
    named: bool = True

    @property
    def is_dicom(self) -> bool:
        """The scan came as DICOM: a series of files, or one file with many frames."""
        return bool(self.series) or not self.path.lower().endswith(VOLUME_SUFFIXES)


@dataclass(frozen=True)
class Problem:
    """An input that cannot be used, and the sentence that says why and what to do."""

    path: str
    message: str


@dataclass(frozen=True)
class Skip:
    """Something in a tree that is no CT volume, and the reason."""

    path: str
    reason: str


@dataclass
class Inputs:
    """What the arguments of a batch stand for."""

    jobs: list[ScanJob] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Skip] = field(default_factory=list)


@dataclass(frozen=True)
class _Found:
    """A scan before it has its output name."""

    path: Path
    series: str = ""
    root: Path | None = None
    case: str = ""
    named: bool = True


def find_scans(arguments: Iterable[str | os.PathLike], series: str | int | None = None, pattern: str = "*") -> Inputs:
    """Find the scans that are meant.

    Args:
        arguments: each a volume file; a folder with the files of a DICOM series; a folder that holds volumes and DICOM
            folders at any depth (a BIDS data set: its CT only); a pattern with ``*``, ``?`` or ``**``; ``@FILE``, a
            text file of one input a line; or a ``.csv`` with a column ``path`` and optional columns ``series`` and
            ``case`` (the output name). Paths in a list are relative to the list's folder.
        series: number of the DICOM series to take where a folder holds several CT series, or ``"all"``. In a tree every
            CT series is taken unless a number is given.
        pattern: of what is found in trees, only file names (and names of DICOM folders) that match are taken.

    Returns:
        Jobs in a stable order with unique names; the same scan named twice is one job.
    """
    result = Inputs()
    found: list[_Found] = []
    with native_output_to_log():
        for argument in arguments:
            try:
                for item in _expand(str(argument), None if series is None else str(series), result):
                    found.append(item)  # what was found before an error is kept
            except InputError as error:
                result.problems.append(Problem(str(argument), str(error)))
    found = [item for item in found if item.named or fnmatch.fnmatch(item.path.name, pattern)]
    found = list({(os.path.realpath(item.path), item.series): item for item in found}.values())
    names = output_names([Source(item.path, item.series, item.root) for item in found])
    names = _with_given_names(names, found)
    result.jobs = [ScanJob(str(f.path), name, f.series, f.named) for f, name in zip(found, names)]
    return result


def _with_given_names(names: list[str], found: Sequence[_Found]) -> list[str]:
    """Put the names of a CSV's ``case`` column in place, unless they collide."""
    final = [safe_name(item.case) if item.case else name for name, item in zip(names, found)]
    while True:  # a name that falls back may collide with one that was given
        count = Counter(name.casefold() for name in final)
        clashes = [row for row, name in enumerate(final) if count[name.casefold()] > 1 and name != names[row]]
        if not clashes:
            return final
        for row in clashes:
            final[row] = names[row]


def _expand(argument: str, series: str | None, result: Inputs, listed: bool = False) -> Iterator[_Found]:
    """The scans of one argument; ``listed`` ones may not be lists again, which could name themselves.

    ``os.path`` rather than ``Path`` looks for files: it takes a name that is too long, or in a folder that may not be
    entered, for missing, where ``Path`` raises.
    """
    if len(argument) > _LONGEST:
        raise InputError(f"{argument[:40]}... is too long for a path: check what names this scan.")
    if "\0" in argument:
        name = _shown(argument.replace("\0", "?"))
        raise InputError(f"{name} holds a NUL character, which no path can: check what names this scan.")
    path, listing = Path(argument), _list_file(argument)
    if listing is not None:
        if listed:
            raise InputError(f"{_shown(argument)} is a list within a list: name its scans in the first one.")
        yield from _from_list(listing, series, result)
    elif os.path.isdir(path):
        yield from _from_folder(path, series, result)
    elif not os.path.exists(path) and _GLOB_SIGNS & set(argument):
        try:
            matches = sorted(glob.glob(argument, recursive=True))
        except RecursionError:
            raise InputError(f"The pattern {argument[:40]}... has too many folders: shorten it.") from None
        if not matches:
            raise InputError(f"Nothing matches {_shown(argument)}: check the pattern.")
        for match in matches:
            if not (listed and match.lower().endswith(".csv")):
                yield from _expand(match, series, result, listed)
    elif not os.path.exists(path):
        raise InputError(f"{_shown(argument)} does not exist: check the path.")
    else:
        yield _Found(path)


def _list_file(argument: str) -> Path | None:
    """The list that is meant by ``@FILE`` or by the name of a CSV file; ``None`` for any other argument."""
    if argument.startswith("@") and not os.path.exists(argument):
        return Path(argument[1:])
    path = Path(argument)
    return path if path.suffix.lower() == ".csv" and not os.path.isdir(path) else None


def _shown(text: str) -> str:
    """A path or pattern as a message names it: of a very long one, both ends."""
    return text if len(text) <= 260 else f"{text[:160]}...{text[-80:]}"


def _from_folder(folder: Path, series: str | None, result: Inputs) -> Iterator[_Found]:
    """The series whose files lie in a folder that the user named, and everything below it."""
    stacks = find_series(folder)
    if any(not stack.skipped for stack in stacks):
        chosen = stacks if series == ALL_SERIES else [choose_series(stacks, series, folder)]
        yield from (_Found(folder, stack.key) for stack in chosen if not stack.skipped)
        yield from _below(folder, folder, series, result)
        return
    found = [*_in_folder(folder, folder, series, result), *_below(folder, folder, series, result)]
    if not found:
        reasons = sorted({skip.reason for skip in result.skipped if Path(skip.path).is_relative_to(folder)})
        skipped = f" (skipped: {', '.join(reasons[:4])})" if reasons else ""
        raise InputError(f"{folder} holds no CT{skipped}: give CT files or the folder of a DICOM series.")
    yield from found


def _below(folder: Path, root: Path, series: str | None, result: Inputs) -> Iterator[_Found]:
    """All scans in the subfolders of a folder, in the order of their paths; links to folders are not followed."""
    try:
        subfolders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        result.skipped.append(Skip(str(folder), f"cannot be read ({error.strerror})"))
        return
    bids = (folder / "dataset_description.json").is_file() or any(path.name.startswith("sub-") for path in subfolders)
    for path in subfolders:
        if not path.name.startswith(".") and not (bids and path.name == "derivatives"):
            yield from _in_folder(path, root, series, result)
            yield from _below(path, root, series, result)


def _in_folder(folder: Path, root: Path, series: str | None, result: Inputs) -> Iterator[_Found]:
    """The volume files and the CT series of one folder of a tree."""
    try:
        for path in sorted(path for path in folder.iterdir() if path.name.lower().endswith(VOLUME_SUFFIXES)):
            reason = _bids_reason(path.name)
            if reason:
                result.skipped.append(Skip(str(path), reason))
            elif path.is_file() and not path.name.startswith("."):
                yield _Found(path, root=root, named=False)
        stacks = find_series(folder)
    except (OSError, InputError) as error:
        result.skipped.append(Skip(str(folder), f"cannot be read ({getattr(error, 'strerror', None) or error})"))
        return
    for stack in stacks:
        if stack.skipped:
            result.skipped.append(Skip(f"{folder}/series {stack}", stack.skipped))
        elif series in (None, ALL_SERIES, stack.key, stack.uid):
            yield _Found(folder, stack.key, root, named=False)


def _bids_reason(name: str) -> str:
    """Why a file with a BIDS name is no CT; empty for ``sub-01_ct.nii.gz`` and for other names."""
    suffix = name.split(".")[0].rsplit("_", 1)[-1]
    return f"BIDS suffix {suffix}" if name.startswith("sub-") and "_" in name and suffix.lower() != "ct" else ""


def _from_list(path: Path, series: str | None, result: Inputs) -> Iterator[_Found]:
    """The scans named in a text file or CSV; a bad line is a problem of its own."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"The list {path} cannot be read ({error.strerror}): check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"The list {path} is not UTF-8 text: save it as such.") from error
    rows = list(_csv_rows(path, text) if path.suffix.lower() == ".csv" else _lines(text))
    if not rows:
        raise InputError(f"The list {path} names no scan: put one path on each line.")
    for row in rows:
        entry = str(path.parent / row["path"])
        try:
            for found in _expand(entry, row.get("series") or series, result, listed=True):
                yield replace(found, case=row.get("case") or "")
        except InputError as error:
            result.problems.append(Problem(entry, str(error)))


def _lines(text: str) -> Iterator[dict[str, str]]:
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield {"path": line.strip()}


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, str]]:
    try:
        reader = csv.DictReader(text.splitlines())
        columns = {str(name).strip().lower(): name for name in reader.fieldnames or ()}
        column = next((columns[name] for name in _PATH_COLUMNS if name in columns), None)
        if column is None:
            raise InputError(f"The list {path} has no column named path: add one.")
        for row in reader:
            cells = {name: (row.get(columns[name]) or "").strip() for name in ("series", "case") if name in columns}
            if (row[column] or "").strip():
                yield {"path": row[column].strip(), **cells}
    except csv.Error as error:
        raise InputError(f"The list {path} is not a valid CSV file ({error}): save it again.") from error
