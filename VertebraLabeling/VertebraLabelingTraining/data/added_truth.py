"""The truth of a case, with vertebrae that the data folder's own file leaves out; see ``truth_added/README.md``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from VertebraLabelingLib.formats.mrk_json import MarkupPoint, read_points

from .cases import TRUTH_SUFFIX, truth_file

ADDED = Path(__file__).parent / "truth_added"


def read_truth(name: str, ct: Path) -> list[MarkupPoint]:
    """Read the truth of a case.

    Args:
        name: case name, e.g. ``ct/ts_example_ct``.
        ct: its image, with the truth of the data folder beside it.

    Raises:
        InputError: a truth file is damaged.
    """
    given = read_points(truth_file(ct))
    return [*given, *read_added(name, given)]


def read_added(name: str, given: Sequence[MarkupPoint]) -> list[MarkupPoint]:
    """Only the points that are added to the ``given`` ones of a case.

    Raises:
        InputError: the file is damaged.
    """
    added = ADDED / (name + TRUTH_SUFFIX)
    known = {point.level for point in given}
    return [point for point in (read_points(added) if added.is_file() else ()) if point.level not in known]


def image_edge(name: str, end: str) -> float | None:
    """Where the image of a case ends along the spine, mm up (RAS), as it was read; ``None`` where nobody has read it.

    Scans of ``openkbp`` end before their files do: what lies beyond is empty.

    Args:
        name: case name, e.g. ``openkbp/pt_1``.
        end: ``upper`` or ``lower``.
    """
    return _edges().get((name.rpartition("/")[2], end))


@cache
def _edges() -> dict[tuple[str, str], float]:
    with (ADDED / "ends_first.csv").open(encoding="utf-8") as table:
        return {(row["case"], row["end"]): float(row["edge_up"]) for row in csv.DictReader(table)}
