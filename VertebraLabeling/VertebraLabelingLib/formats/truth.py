"""Truth files of synthetic and reviewed cases: Slicer markups (``.mrk.json``), LPS on disk, ``cut`` as description."""

from __future__ import annotations

import json
from pathlib import Path

from ..core.anatomy import LEVEL_INDEX
from ..core.volume import ras_to_lps
from ..system.atomic import write_text
from .mrk_json import CUT, SCHEMA


def write_truth(path: Path, truth: dict[str, tuple[float, float, float]], cut: frozenset[str], note: str = "") -> None:
    """Write body centers (world RAS mm), whole or not at all; ``note`` describes the points that are not cut.

    Raises:
        OSError: the file cannot be written.
    """
    points = [
        {
            "id": str(number),
            "label": level,
            "description": CUT if level in cut else note,
            "position": [round(value, 2) for value in ras_to_lps(truth[level]).tolist()],
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, level in enumerate(sorted(truth, key=LEVEL_INDEX.__getitem__), start=1)
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
    write_text(path, json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1) + "\n")
