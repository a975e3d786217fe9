"""A plain table, one row per vertebra: ``case,level,r,a,s,confidence,status`` (RAS mm)."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..core.labels import STATUSES, LabeledPoint, SpineLabels
from ..errors import InputError
from ..system.atomic import write_text
from .limits import MAX_BYTES, is_place

COLUMNS = ("case", "level", "r", "a", "s", "confidence", "status")


def write_labels(path: str | os.PathLike, labels: SpineLabels, case: str) -> None:
    """Write the table of one case.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    write_table(path, {case: labels})


def write_table(path: str | os.PathLike, cases: Mapping[str, SpineLabels]) -> None:
    """Write one table of many cases.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(COLUMNS)
    for case, labels in cases.items():
        quoting = csv.QUOTE_ALL if "\r" in case else csv.QUOTE_MINIMAL  # which leaves a lone \r bare before Python 3.13
        writer = csv.writer(text, lineterminator="\n", quoting=quoting)
        writer.writerows(_row(case, point) for point in labels.points)
    write_text(path, text.getvalue())


def _row(case: str, point: LabeledPoint) -> Iterable[str]:
    position = (f"{value:.3f}" for value in point.ras)
    return case, point.level, *position, f"{point.confidence:.4f}", point.status


def read_table(path: str | os.PathLike) -> dict[str, SpineLabels]:
    """Read a table back: case -> labels.

    Raises:
        InputError: the file is not such a table.
    """
    path = Path(path)
    cases: dict[str, list[LabeledPoint]] = {}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is too large for a table of vertebrae: split it.")
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path.name} has not the columns {','.join(COLUMNS)}: give a table written here.")
            for row in reader:
                ras = (float(row["r"]), float(row["a"]), float(row["s"]))
                point = LabeledPoint(row["level"], ras, float(row["confidence"]), row["status"])
                if not is_place(ras) or not 0 <= point.confidence <= 1 or point.status not in STATUSES:
                    raise ValueError("a value out of range")
                cases.setdefault(row["case"], []).append(point)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise InputError(f"{path.name} is damaged near row {reader.line_num}: write it again.") from error
    return {case: SpineLabels(tuple(points)) for case, points in cases.items()}
