"""A plain table, one row per vertebra: ``case,level,r,a,s,confidence,status`` (RAS mm); another one of the discs."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence

from ..core.labels import LabeledPoint, SpineLabels
from ..reading.discs import Disc
from ..system.atomic import write_text

COLUMNS = ("case", "level", "r", "a", "s", "confidence", "status")
DISC_COLUMNS = ("case", "disc", "r", "a", "s", "confidence", "seen")


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
    _write(path, COLUMNS, {case: [_row(case, point) for point in labels.points] for case, labels in cases.items()})


def write_discs(path: str | os.PathLike, discs: Sequence[Disc], case: str) -> None:
    """Write the discs of one case; ``seen`` is 1 where the CT shows both end plates of the disc.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    rows = [(case, disc.name, *_shown(disc.ras), f"{disc.confidence:.4f}", str(int(disc.seen))) for disc in discs]
    _write(path, DISC_COLUMNS, {case: rows})


def _write(path: str | os.PathLike, columns: Sequence[str], cases: Mapping[str, Sequence[Sequence[str]]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(columns)
    for case, rows in cases.items():
        quoting = csv.QUOTE_ALL if "\r" in case else csv.QUOTE_MINIMAL  # which leaves a lone \r bare before Python 3.13
        csv.writer(text, lineterminator="\n", quoting=quoting).writerows(rows)
    write_text(path, text.getvalue())


def _row(case: str, point: LabeledPoint) -> Sequence[str]:
    return case, point.level, *_shown(point.ras), f"{point.confidence:.4f}", point.status


def _shown(ras: Sequence[float]) -> list[str]:
    return [f"{value:.3f}" for value in ras]
