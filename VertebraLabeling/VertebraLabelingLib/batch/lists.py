"""Lists of scans: a path a line, or a table with a column ``path``, as people and their spreadsheets save them."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, printable

PATH_COLUMNS = ("path", "file", "image", "ct")

_SEPARATORS = (",", ";", "\t")  # a German Excel writes semicolons
_QUOTES = ('""', "''", "“”", "„“", "‘’", "«»", "»«")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Row(NamedTuple):
    """One entry: a path as :func:`inputs.find_scans` takes it, below the folder of the list; series and output name."""

    path: str
    series: str = ""
    case: str = ""


def read_list(path: Path) -> tuple[list[Row], list[str]]:
    """The entries of a list.

    Args:
        path: a text file; by its name or its first line it may be a table.

    Returns:
        The entries, and a sentence for each line that names no path and says something else.

    Raises:
        InputError: it cannot be read, is no text, names nothing, or is a table without a column of paths.
    """
    text = _text(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    is_table = path.suffix.lower() == ".csv" or _hint(lines[0]) is not None or _header(lines[:1])[1] > 1
    faults: list[str] = []
    rows = list(_table(path, lines, faults) if is_table else _lines(path, lines))
    if not rows and not faults:
        raise InputError(f"The list {path} names no scan: put one path on each line.")
    return rows, faults


def _text(path: Path) -> str:
    """UTF-8, UTF-16 as spreadsheets mark it, or else the code page of Western Windows."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InputError(f"The list {path} cannot be read ({error.strerror}): check the path.") from error
    try:
        if not raw.startswith(_UTF_16):
            return raw.decode("utf-8-sig")
        text = raw.decode("utf-16")
        if set("./\\\n") & set(text):
            return text
    except UnicodeDecodeError:
        if b"\0" not in raw and not raw.startswith(_UTF_16):
            return raw.decode("cp1252", "replace")
    raise InputError(f"The list {path} is not UTF-8 text: save it as such.")


def _lines(path: Path, lines: Sequence[str]) -> Iterator[Row]:
    for line in lines:
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        whole = _placed(path, entry)
        parts = [_placed(path, part) for part in entry.split(";") if part.strip()]
        if not os.path.exists(whole) and len(parts) > 1 and all(map(os.path.exists, parts)):
            yield from map(Row, parts)  # several paths on one line
        elif not os.path.exists(whole) and len(parts) == 1:
            yield Row(parts[0])
        else:
            yield Row(whole)


def _table(path: Path, lines: Sequence[str], faults: list[str]) -> Iterator[Row]:
    separator = _hint(lines[0])
    lines = lines if separator is None else lines[1:]
    try:
        column, width, found = _header(lines, separator)
        if not width:
            raise InputError(f"The list {path} has no column named path: add one.")
        reader = csv.reader(lines, delimiter=found)
        names = [name.strip().lower() for name in next(reader)]
        for cells in reader:
            row = dict(zip(names, cells))
            entry = cells[column].strip() if column < len(cells) else ""
            others = {name: row.get(name, "").strip() for name in ("series", "case")}
            if entry:
                yield Row(_placed(path, entry), **others)
            elif any(cell.strip() for cell in cells):
                shown = printable(found.join(cells))[:60]
                faults.append(
                    f"Line {reader.line_num} of {path.name} names no path ({shown}): fill in its column path."
                )
    except csv.Error as error:
        raise InputError(f"The list {path} is not a valid CSV file ({error}): save it again.") from error


def _hint(line: str) -> str | None:
    """The separator that a first line ``sep=;`` tells Excel; ``None`` where it is another line."""
    line = line.strip().strip('"')
    return (line[4:5] or ",") if line.lower().startswith("sep=") else None


def _header(lines: Sequence[str], separator: str | None = None) -> tuple[int, int, str]:
    """Where the first line has the column of paths, how many columns it has, and what separates them; of width 0 where
    there is no such column."""
    best = (0, 0, ",")
    for sign in (separator,) if separator else _SEPARATORS:
        try:
            names = [name.strip().lower() for name in next(csv.reader(lines, delimiter=sign), [])]
        except (csv.Error, TypeError):  # no text, or no separator
            continue
        known = next((name for name in PATH_COLUMNS if name in names), None)
        if known and len(names) > best[1]:
            best = (names.index(known), len(names), sign)
    return best


def _placed(path: Path, entry: str) -> str:
    """The entry below the list's folder, without the quotes that "Copy as path" puts around it."""
    entry = entry.strip()
    plain = str(path.parent / entry)
    while len(entry) > 2 and entry[0] + entry[-1] in _QUOTES and not os.path.exists(plain):
        entry = entry[1:-1].strip()
        plain = str(path.parent / entry)
    return plain
