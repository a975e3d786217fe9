"""Read the CSV tables of :mod:`csv_table` back, as any program would."""

from __future__ import annotations

import csv
from pathlib import Path

from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels


def read_table(path: Path) -> dict[str, SpineLabels]:
    """Case -> labels."""
    cases: dict[str, list[LabeledPoint]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ras = (float(row["r"]), float(row["a"]), float(row["s"]))
            point = LabeledPoint(row["level"], ras, float(row["confidence"]), row["status"])
            cases.setdefault(row["case"], []).append(point)
    return {case: SpineLabels(tuple(points)) for case, points in cases.items()}
