"""3D Slicer markups, ``.mrk.json``, schema 1.0.3: the format that Slicer opens with a drop on its window.

On disk the coordinates are LPS unless the file says RAS; everything returned here is RAS mm.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.anatomy import LEVEL_INDEX
from ..core.counting import COUNT, Count
from ..core.label_warning import LabelWarning
from ..core.labels import LabeledPoint, SpineLabels
from ..core.scan_source import ScanSource, digest_of
from ..core.volume import lps_to_ras, ras_to_lps
from ..errors import InputError
from ..reading.discs import Disc
from ..system.atomic import write_text
from .limits import MAX_BYTES, is_place, shown

SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
ORIGIN = "vertebraLabeling"
"""Key beside the markups that says which scan the points were made from, by which model, and how they were counted.
Slicer passes over it, and leaves it out when it saves."""

AS_WRITTEN = "as_written"
"""Key in the provenance of labels that were read: nobody has changed the points since they were written."""

_STRAIGHTENED = "straightened"
"""Key there of points whose places are none in a patient."""

CUT = "cut"
"""Description of a truth point whose vertebra the image edge cuts: it counts neither way."""

_MODEL = ("model", "model_version", "weights_sha256")
_LONGEST_WORD = 256
_MOST_WARNINGS = 100

_LPS_ORIENTATION = [-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0]  # the world axes, as Slicer writes them
_DISPLAY = {
    "visibility": True,
    "opacity": 1.0,
    "color": [1.0, 0.65, 0.1],
    "selectedColor": [0.2, 0.9, 0.75],
    "activeColor": [1.0, 1.0, 0.3],
    "propertiesLabelVisibility": False,
    "pointLabelsVisibility": True,
    "textScale": 3.0,
    "glyphType": "Sphere3D",
    "glyphScale": 2.5,
    "useGlyphScale": True,
}
_DISC_DISPLAY = {
    **_DISPLAY,
    "selectedColor": [0.95, 0.6, 0.85],
    "glyphType": "Diamond2D",
    "glyphScale": 2.0,
    "textScale": 2.5,
}

DISCS_SUFFIX = ".discs.mrk.json"


def holds_discs(path: Path) -> bool:
    """Whether a file is named as one of disc points: their names are no levels, so they are no list of vertebrae."""
    return path.name.endswith(DISCS_SUFFIX)


@dataclass(frozen=True)
class MarkupPoint:
    """One control point: a level at a world position (RAS mm), with the description as it stands in the file."""

    level: str
    ras: tuple[float, float, float]
    description: str = ""

    @property
    def cut(self) -> bool:
        """The image edge cuts this vertebra."""
        return self.description.strip().lower() == CUT


def write_labels(path: str | os.PathLike, labels: SpineLabels, straightened: bool = False) -> None:
    """Write the points as one fiducial list: label = level, description as :attr:`LabeledPoint.description`.

    Args:
        straightened: the places are those of a straightened volume; the file is then refused as vertebrae of a patient.

    Of the provenance ``source`` (a :class:`ScanSource` as a dictionary), the model and the count are kept, and with the
    count the warnings, see :data:`ORIGIN`.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    points = [
        _control_point(number, point.level, point.description, point.ras)
        for number, point in enumerate(labels.points, start=1)
    ]
    markup = _fiducial_list(points, _DISPLAY)
    kept = {name: labels.provenance[name] for name in ("source", *_MODEL) if name in labels.provenance}
    if COUNT in labels.provenance:
        told = [warning.to_json() for warning in labels.warnings]
        kept |= {COUNT: labels.provenance[COUNT], "warnings": told}
    origin = {_STRAIGHTENED: True} if straightened else kept and {**kept, "points": _digest(points)}
    data = {"@schema": SCHEMA, **({ORIGIN: origin} if origin else {}), "markups": [markup]}
    write_text(path, json.dumps(data, indent=1) + "\n")


def write_discs(path: str | os.PathLike, discs: Sequence[Disc]) -> None:
    """Write disc points as a locked fiducial list: they are derived, and are made anew from corrected vertebrae.

    Raises:
        OSError: the file cannot be written; nothing is left behind.
    """
    points = [_control_point(number, each.name, each.description, each.ras) for number, each in enumerate(discs, 1)]
    markup = _fiducial_list(points, _DISC_DISPLAY, locked=True)
    write_text(path, json.dumps({"@schema": SCHEMA, "markups": [markup]}, indent=1) + "\n")


def _fiducial_list(points: list[dict], display: dict, locked: bool = False) -> dict:
    return {
        "type": "Fiducial",
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": locked,
        "fixedNumberOfControlPoints": locked,
        "labelFormat": "%N-%d",
        "lastUsedControlPointNumber": len(points),
        "controlPoints": points,
        "measurements": [],
        "display": display,
    }


def _control_point(number: int, name: str, description: str, ras: Sequence[float]) -> dict:
    return {
        "id": str(number),
        "label": name,
        "description": description,
        "associatedNodeID": "",
        "position": [round(value, 3) for value in ras_to_lps(ras).tolist()],
        "orientation": _LPS_ORIENTATION,
        "selected": True,
        "locked": False,
        "visibility": True,
        "positionStatus": "defined",
    }


def read_labels(path: str | os.PathLike) -> SpineLabels:
    """Read the points that have a level as their name; confidence and status come from the descriptions.

    A point without a status (placed by hand, or by another program) has confidence 1 and status ``given``. The
    provenance holds ``source`` and the model as far as the file says them, and :data:`AS_WRITTEN` where the points are
    those that were written here; then also the count, and the warnings are those of that run.

    Raises:
        InputError: as :func:`read_points`.
    """
    data = _load(Path(path))
    placed, origin = _points(data, Path(path)), _origin(data)
    points = tuple(LabeledPoint.described(point.level, point.ras, point.description) for point in placed)
    warnings = _warnings(data[ORIGIN].get("warnings")) if COUNT in origin else ()
    return SpineLabels(points, warnings, origin)


def _warnings(stored: object) -> tuple[LabelWarning, ...]:
    """The sound ones of stored warnings."""
    found = map(LabelWarning.from_json, stored[:_MOST_WARNINGS] if isinstance(stored, list) else ())
    return tuple(warning for warning in found if warning is not None)


def read_source(path: str | os.PathLike) -> ScanSource | None:
    """The scan that the points of a file were made from; ``None`` where the file does not say, or is damaged."""
    try:
        return ScanSource.from_dict(_origin(_load(Path(path))).get("source"))
    except InputError:
        return None


def _origin(data: dict) -> dict[str, object]:
    """What stands under :data:`ORIGIN`, as far as it is sound."""
    found = data.get(ORIGIN)
    if not isinstance(found, dict):
        return {}
    words = {name: found[name] for name in _MODEL if isinstance(found.get(name), str)}
    origin: dict[str, object] = {name: word for name, word in words.items() if len(word) <= _LONGEST_WORD}
    source = ScanSource.from_dict(found.get("source"))
    if source:
        origin["source"] = source.to_dict()
    try:
        (markup,) = data["markups"]
        points = markup["controlPoints"]
        is_complete = all(point.get("positionStatus") == "defined" for point in points)
        if is_complete and markup["coordinateSystem"] == "LPS" and found.get("points") == _digest(points):
            origin[AS_WRITTEN] = True
            count = Count.from_json(found.get(COUNT))
            origin.update({COUNT: count.to_json()} if count else {})
    except (KeyError, TypeError, ValueError, AttributeError):  # not as written here, then
        pass
    return origin


def _digest(points: list[dict]) -> str:
    """Of names, places and descriptions, which a person or another program may change."""
    return digest_of(json.dumps([point[key] for key in ("label", "position", "description")]) for point in points)


def read_points(path: str | os.PathLike) -> tuple[MarkupPoint, ...]:
    """Read the placed control points of all fiducial lists in a file, truth or prediction.

    Raises:
        InputError: missing, damaged, not a markups file, a label that is no level, a level used twice, a position that
            is not three finite numbers in mm.
    """
    path = Path(path)
    return _points(_load(path), path)


def _points(data: dict, path: Path) -> tuple[MarkupPoint, ...]:
    if isinstance(data.get(ORIGIN), dict) and data[ORIGIN].get(_STRAIGHTENED):
        raise InputError(
            f"{path.name} holds places in a straightened spine, which are none in a patient: give the points of the CT."
        )
    try:
        markups = data["markups"]
        if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
            raise TypeError("markups")
        points = [point for markup in markups for point in _points_of(markup, path)]
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path.name} is not a Slicer markups file, or it is damaged: save it again.") from error
    levels = [point.level for point in points]
    twice = next((level for level in levels if levels.count(level) > 1), None)
    if twice:
        raise InputError(f"{path.name} names {twice} twice: rename or delete one of the two points.")
    return tuple(points)


def _load(path: Path) -> dict:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is too large for a list of vertebrae: give a .mrk.json file.")
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is not valid JSON, it may be truncated: save it again.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path.name} is not a Slicer markups file: give a .mrk.json file.")
    return data


def _points_of(markup: dict, path: Path) -> list[MarkupPoint]:
    if markup.get("type", "Fiducial") != "Fiducial":
        return []  # curves and planes that were saved along
    if markup.get("coordinateUnits", "mm") not in ("mm", ["mm", "mm", "mm"]):
        raise InputError(f"{path.name} is in {shown(markup['coordinateUnits'])}, not mm: save it in mm.")
    system = markup.get("coordinateSystem", "LPS")
    if system not in ("LPS", "RAS"):
        raise InputError(f"{path.name} has the unknown coordinate system {shown(system)}: save it as LPS or RAS.")
    points = []
    for entry in markup["controlPoints"]:
        if entry.get("positionStatus", "defined") != "defined":
            continue
        level, description = entry["label"], entry.get("description", "")
        if level not in LEVEL_INDEX:
            raise InputError(f"{path.name} has a point named {shown(str(level))}: name it C1-C7, T1-T13 or L1-L6.")
        position = tuple(float(value) for value in _three_numbers(entry["position"], level, path))
        ras = position if system == "RAS" else tuple(lps_to_ras(position).tolist())
        points.append(MarkupPoint(level, ras, description if isinstance(description, str) else ""))
    return points


def _three_numbers(position: object, level: str, path: Path) -> list:
    numbers = (
        isinstance(position, list)
        and len(position) == 3
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in position)
        and is_place(position)  # before float() could overflow
    )
    if not numbers:
        raise InputError(f"The position of {level} in {path.name} is not three finite numbers: place it again.")
    return position
