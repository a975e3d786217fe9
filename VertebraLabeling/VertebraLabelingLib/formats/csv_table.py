"""A plain table, one row per vertebra: ``case,level,r,a,s,confidence,status`` (RAS mm)."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping

from ..core.labels import LabeledPoint, SpineLabels
from ..system.atomic import write_text

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
