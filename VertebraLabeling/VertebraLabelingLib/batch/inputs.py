"""Which scans are meant: files, DICOM folders, trees of both, globs, lists and BIDS data sets, as a list of jobs.

What cannot be used is returned as a :class:`Problem` (an error: the user named it) or a :class:`Skip` (found on the way
and passed over for a stated reason); nothing here stops a batch.
"""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import InputError
from ..scans.dicom_headers import DICOMDIR
from ..scans.dicom_series import choose_series, find_series
from ..scans.dicom_tree import find_in_tree
from ..scans.read_scan import VOLUME_SUFFIXES
from ..scans.series_source import identify_series
from ..system.native_output import native_output_to_log
from .jobs import Inputs, Problem, ScanJob, Skip
from .lists import read_list
from .naming import Source, former_names, output_names, safe_name, unique
from .tree import ALL_SERIES, NO_TARGET, Found, Tree

_GLOB_SIGNS = frozenset("*?[")
_LONGEST = 4096  # characters of a path or pattern; the time to match a pattern grows with the square of its length


def find_scans(arguments: Iterable[str | os.PathLike], series: str | int | None = None, pattern: str = "*") -> Inputs:
    """Find the scans that are meant.

    Args:
        arguments: each a volume file; a folder with the files of a DICOM series; a folder that holds volumes and DICOM
            folders at any depth (a BIDS data set: its CT only); a pattern with ``*``, ``?`` or ``**``; ``@FILE``, a
            text file of one input a line; or a table with a column ``path`` and optional columns ``series`` and
            ``case`` (the output name). Paths in a list are relative to the list's folder.
        series: number of the DICOM series to take where a folder holds several CT series, or ``"all"``. In a tree every
            CT series is taken unless a number is given.
        pattern: of what is found in trees, only file names (and names of DICOM folders) that match are taken.

    Returns:
        Jobs in a stable order with unique names; the same scan named twice is one job. Whatever else was found is a
        problem or skipped, with the reason.
    """
    result = Inputs()
    named: list[Found | Tree] = []
    with native_output_to_log():
        for argument in arguments:
            try:
                for item in _expand(str(argument), None if series is None else str(series), result):
                    named.append(item)  # what was found before an error is kept
            except InputError as error:
                result.problems.append(Problem(str(argument), str(error)))
        found = list(_with_folders(named, result))
    found = [item for item in found if item.named or fnmatch.fnmatch(item.path.name, pattern)]
    found = _without_repeats(found, result)
    sources = [Source(item.path, item.series, item.root) for item in found]
    wanted = [safe_name(item.case) if item.case else name for item, name in zip(found, output_names(sources))]
    result.jobs = [
        ScanJob(str(f.path), name, f.series, f.named, f.folders, want, former_names(source), f.source)
        for f, source, want, name in zip(found, sources, wanted, unique(wanted))
    ]
    result.skipped = list(dict.fromkeys(result.skipped))
    return result


def _with_folders(named: Sequence[Found | Tree], result: Inputs) -> Iterator[Found]:
    """What was named, with what lies in the folders in place of these; a DICOM series may lie in several of them."""
    trees = [item for item in named if isinstance(item, Tree)]
    dicom = find_in_tree(list(dict.fromkeys(folder for tree in trees for folder in tree.folders)))
    for item in named:
        try:
            yield from item.scans(dicom) if isinstance(item, Tree) else [item]
        except InputError as error:
            result.problems.append(Problem(item.argument, str(error)))


def _without_repeats(found: Sequence[Found], result: Inputs) -> list[Found]:
    """Each file and series once; a link to one that is there is told."""
    first: dict[tuple, Found] = {}
    for item in found:
        other = first.setdefault((os.path.realpath(item.path), item.series, item.folders), item)
        if os.path.abspath(other.path) != os.path.abspath(item.path):
            result.skipped.append(Skip(str(item.path), f"the same file as {other.path}"))
    return list(first.values())


def _expand(
    argument: str, series: str | None, result: Inputs, listed: bool = False, root: Path | None = None
) -> Iterator[Found | Tree]:
    """The scans of one argument, and folders still to be searched.

    ``listed`` ones may not be lists again, which could name themselves.

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
        yield _folder(argument, path, root, series, result)
    elif not os.path.exists(path) and _GLOB_SIGNS & set(argument):
        try:
            matches = sorted(glob.glob(argument, recursive=True))
        except RecursionError:
            raise InputError(f"The pattern {argument[:40]}... has too many folders: shorten it.") from None
        if not matches:
            raise InputError(f"Nothing matches {_shown(argument)}: check the pattern.")
        for match in matches:
            if not (listed and match.lower().endswith(".csv")):
                try:
                    yield from _expand(match, series, result, listed, _fixed_part(argument))
                except InputError as error:  # one match that is no scan costs no other
                    result.problems.append(Problem(match, str(error)))
    elif os.path.islink(path) and not os.path.exists(path):
        raise InputError(f"{_shown(argument)} is a link {NO_TARGET}.")
    elif not os.path.exists(path):
        raise InputError(f"{_shown(argument)} does not exist: check the path.")
    elif not os.path.isfile(path):
        raise InputError(f"{_shown(argument)} is no file: give a CT file or a folder.")
    elif path.name.upper() == DICOMDIR:  # it lists what lies in its folder
        yield _folder(argument, path.parent, root, series, result)
    elif series is not None and not path.name.lower().endswith(VOLUME_SUFFIXES):
        usable = [item for item in find_series(path) if not item.skipped]
        chosen = usable if series == ALL_SERIES else [choose_series(usable, series, path)]
        yield from (Found(path, item.key, root=root, source=identify_series(item)) for item in chosen)
    else:
        yield Found(path, root=root)


def _folder(argument: str, path: Path, root: Path | None, series: str | None, result: Inputs) -> Tree:
    tree = Tree(path, root or path, series, result)
    tree.argument = argument
    return tree


def _list_file(argument: str) -> Path | None:
    """The list that is meant by ``@FILE`` or by the name of a CSV file; ``None`` for any other argument."""
    if argument.startswith("@") and not os.path.exists(argument):
        return Path(argument[1:])
    path = Path(argument)
    return path if path.suffix.lower() == ".csv" and not os.path.isdir(path) else None


def _fixed_part(pattern: str) -> Path:
    """The folders of a pattern before the first that has a sign in it."""
    parts = Path(pattern).parts
    count = next((number for number, part in enumerate(parts) if _GLOB_SIGNS & set(part)), len(parts))
    return Path(*parts[:count])


def _shown(text: str) -> str:
    """A path or pattern as a message names it: of a very long one, both ends."""
    return text if len(text) <= 260 else f"{text[:160]}...{text[-80:]}"


def _from_list(path: Path, series: str | None, result: Inputs) -> Iterator[Found | Tree]:
    """The scans named in a list; a bad line is a problem of its own."""
    rows, faults = read_list(path)
    result.problems += [Problem(str(path), fault) for fault in faults]
    for row in rows:
        try:
            for found in _expand(row.path, row.series or series, result, listed=True, root=path.parent):
                if isinstance(found, Tree):
                    found.case = row.case
                    yield found
                else:
                    yield replace(found, case=row.case)
        except InputError as error:
            result.problems.append(Problem(row.path, str(error)))
