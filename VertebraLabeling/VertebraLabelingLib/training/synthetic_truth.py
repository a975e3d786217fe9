"""Truth files of synthetic cases: 3D Slicer markups (``.mrk.json``), LPS on disk, ``cut`` as the description."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..anatomy import LEVEL_INDEX

SCHEMA = "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"


def write_truth(path: Path, truth: dict[str, tuple[float, float, float]], cut: frozenset[str]) -> None:
    """Write body centres (world RAS mm) under a temporary name, then rename."""
    points = [
        {
            "id": str(number),
            "label": level,
            "description": "cut" if level in cut else "",
            "associatedNodeID": "",
            "position": [round(-truth[level][0], 2), round(-truth[level][1], 2), round(truth[level][2], 2)],
            "orientation": [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0],
            "selected": True,
            "locked": False,
            "visibility": True,
            "positionStatus": "defined",
        }
        for number, level in enumerate(sorted(truth, key=LEVEL_INDEX.__getitem__), start=1)
    ]
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "coordinateUnits": "mm", "controlPoints": points}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1), encoding="utf-8")
    os.replace(part, path)
