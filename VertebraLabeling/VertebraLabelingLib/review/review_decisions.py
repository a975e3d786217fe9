"""A reviewer's decisions on proposed points, one line of a CSV per scan, and what they make of the points.

========  ==============================================================================================================
verdict   meaning
========  ==============================================================================================================
(empty)   not looked at yet
accept    every point lies in the body of the vertebra that it names, and no visible body lacks one
reject    not used: cannot be counted, or would take too many corrections
shift     correct places, all names off by ``edits`` levels (``+1``: C3 becomes C4)
edit      correct after ``edits``, which are separated by blanks and applied in this order:
          ``drop:T5`` removes a point; ``rename:T4>T5`` renames (all renames of a line at once);
          ``add:C6`` adds a point midway between its neighbors, or one step on beyond the last point;
          ``by:C4:0,0,-3`` moves a point by mm along right, anterior, superior; ``at:T5:1,-30,-82`` sets or adds one at
          a world position (RAS mm, as the ticks of the contact sheets); ``cut:T5`` marks a vertebra that the edge of
          the image cuts, so that it counts neither way
========  ==============================================================================================================

``landmark`` names what the levels were counted from: ``dens``, ``first rib``, ``last rib`` or ``sacrum``, several
joined by ``+``. No truth is made without one.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from ..core.anatomy import LEVEL_INDEX, USUAL_LEVELS
from ..core.spacing import EDGES
from ..errors import InputError
from ..system.atomic import write_text

COLUMNS = ("case", "verdict", "landmark", "edits", "note")
ACCEPT, REJECT, SHIFT, EDIT = "accept", "reject", "shift", "edit"
VERDICTS = ("", ACCEPT, REJECT, SHIFT, EDIT)
LANDMARKS = ("dens", "first rib", "last rib", "sacrum")

_GAP_MM = (8.0, 50.0)  # between neighboring body centers, from a child's neck to a tall adult's lumbar spine

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Decision:
    """One line of the decisions; see the module's table."""

    case: str
    verdict: str = ""
    landmark: str = ""
    edits: str = ""
    note: str = ""


@dataclass(frozen=True)
class Truth:
    """Reviewed points: level -> world RAS mm, and the levels that the edge of the image cuts."""

    points: dict[str, Position]
    cut: frozenset[str]


def read_decisions(path: str | os.PathLike) -> list[Decision]:
    """Read the lines.

    Raises:
        InputError: not such a table, an unknown verdict, or a case named twice.
    """
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheet programs add the mark
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise InputError(f"{path.name} has not the columns {','.join(COLUMNS)}: start from one written here.")
            rows = [Decision(*((row[name] or "").strip() for name in COLUMNS)) for row in reader]
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} is no CSV text: save it as CSV, UTF-8.") from error
    cases = [row.case for row in rows]
    for row in rows:
        if row.verdict not in VERDICTS:
            raise InputError(f"{row.case}: the verdict {row.verdict!r} is none of {', '.join(VERDICTS[1:])}.")
        if cases.count(row.case) > 1:
            raise InputError(f"{path.name} names {row.case} twice: keep one line of each case.")
    return rows


def write_decisions(path: str | os.PathLike, decisions: Iterable[Decision]) -> None:
    """Write the lines, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(astuple(decision) for decision in decisions)
    write_text(path, text.getvalue())


def apply_decision(decision: Decision, proposed: Mapping[str, Position]) -> Truth | None:
    """What a decision makes of the proposed points; ``None`` where it makes no truth (rejected, not looked at).

    Args:
        proposed: level -> world RAS mm.

    Raises:
        InputError: no landmark is named, an edit cannot be done, or the result is no unbroken row of vertebrae.
    """
    if decision.verdict in ("", REJECT):
        return None
    if not decision.landmark or any(part.strip() not in LANDMARKS for part in decision.landmark.split("+")):
        raise InputError(f"{decision.case}: the landmark {decision.landmark!r} is none of {', '.join(LANDMARKS)}.")
    try:
        if decision.verdict == SHIFT:
            truth = Truth(_shifted(proposed, int(decision.edits)), frozenset())
        elif decision.verdict == EDIT:
            truth = _edited(proposed, decision.edits.split())
        elif decision.edits:
            raise ValueError("an accepted case has no edits")
        else:
            truth = Truth(dict(proposed), frozenset())
        _check(truth.points)
    except (KeyError, IndexError, ValueError) as error:
        reason = str(error).strip("'\"")
        message = f"{decision.case}: {decision.edits!r} cannot be applied ({reason}): correct the line."
        raise InputError(message) from error
    return truth


def _shifted(points: Mapping[str, Position], by: int) -> dict[str, Position]:
    if by == 0:
        raise ValueError("a shift by 0 levels")
    names = {level: USUAL_LEVELS.index(level) + by for level in points}
    if min(names.values()) < 0:
        raise ValueError("above C1")
    return {USUAL_LEVELS[names[level]]: position for level, position in points.items()}


def _edited(proposed: Mapping[str, Position], edits: list[str]) -> Truth:
    parts: dict[str, list[str]] = {name: [] for name in ("drop", "rename", "add", "by", "at", "cut")}
    for edit in edits:
        name, _, rest = edit.partition(":")
        parts[name].append(rest)
    if not edits:
        raise ValueError("no edits are given")
    points = dict(proposed)
    for level in parts["drop"]:
        del points[level]
    renames = dict(rest.split(">") for rest in parts["rename"])
    if not set(renames) <= set(points):
        raise ValueError("a level to rename is not there")
    if len({renames.get(level, level) for level in points}) < len(points):
        raise ValueError("a level would be used twice")
    points = {renames.get(level, level): position for level, position in points.items()}
    for level in parts["add"]:
        points[level] = _interpolated(points, level)
    for level, step in (rest.split(":") for rest in parts["by"]):
        points[level] = _numbers(np.add(points[level], _numbers(step.split(","))))
    for level, position in (rest.split(":") for rest in parts["at"]):
        points[level] = _numbers(position.split(","))
    if not set(parts["cut"]) <= set(points):
        raise ValueError("a cut level is not there")
    return Truth(points, frozenset(parts["cut"]))


def _interpolated(points: Mapping[str, Position], level: str) -> Position:
    """Midway between the neighbors of a level, or one step on from the two nearest on one side."""
    at = USUAL_LEVELS.index(level)
    if level in points:
        raise ValueError(f"{level} is there already")
    near = {step: points.get(USUAL_LEVELS[at + step]) for step in (-2, -1, 1, 2) if 0 <= at + step < len(USUAL_LEVELS)}
    for one, other, share in ((-1, 1, 0.5), (-2, -1, 2.0), (2, 1, 2.0)):
        if near.get(one) is not None and near.get(other) is not None:
            return _numbers(np.add(near[one], share * np.subtract(near[other], near[one])))
    raise ValueError(f"{level} has no two neighbors to be placed by")


def _numbers(values: Iterable) -> Position:
    right, front, up = (float(value) for value in values)
    return right, front, up


def _check(points: Mapping[str, Position]) -> None:
    """A row of neighboring vertebrae at distances that spines have; anything else is a slip of the pen."""
    levels = sorted(points, key=lambda level: LEVEL_INDEX[level])
    if not levels:
        raise ValueError("no point is left")
    for one, other in zip(levels, levels[1:]):
        if (one, other) not in EDGES:
            raise ValueError(f"no vertebra between {one} and {other}")
        gap = float(np.linalg.norm(np.subtract(points[one], points[other])))
        if not _GAP_MM[0] <= gap <= _GAP_MM[1]:
            raise ValueError(f"{one} and {other} are {gap:.0f} mm apart")
