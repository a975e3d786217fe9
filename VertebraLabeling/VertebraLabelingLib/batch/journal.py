"""The journal of an output folder: one line for each finished scan, written at once, so that a killed batch loses none.

It also keeps which scan each name belongs to, for outputs that cannot say so themselves.
"""

from __future__ import annotations

import json
import logging
import math
import unicodedata
from dataclasses import fields
from pathlib import Path

from ..core.scan_source import ScanSource
from .naming import safe_name
from .scan_job import ScanResult

JOURNAL = "summary.jsonl"

_LONGEST = 1e7  # seconds; no scan takes months
_FIELDS = {field.name for field in fields(ScanResult)}

logger = logging.getLogger(__name__)


def append(folder: Path, result: ScanResult) -> None:
    """Add a line; a disk that is full costs the line only."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(line_of(result))
    except OSError as error:
        logger.warning("The summary cannot be written (%s): free space or choose another folder.", error.strerror)


def line_of(result: ScanResult) -> str:
    """The line of one result."""
    return json.dumps(result.to_dict()) + "\n"


def read_journal(folder: Path) -> dict[str, ScanResult]:
    """The last line of each scan; damaged lines are left out."""
    known: dict[str, ScanResult] = {}
    try:
        lines = (folder / JOURNAL).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return known
    for line in lines:
        try:
            data = {name: value for name, value in json.loads(line).items() if name in _FIELDS}
            data["points"] = tuple((str(p[0]), *(float(x) for x in p[1:5])) for p in data.get("points", ()))
            data["warnings"], data["files"] = (tuple(map(str, data.get(key, ()))) for key in ("warnings", "files"))
            result = ScanResult(**data)
            if not _is_sound(result):
                raise ValueError("a field is of another kind")
            known[result.name or result.path] = result
        except (ValueError, TypeError, AttributeError, KeyError, IndexError, RecursionError, OverflowError):
            logger.debug("a damaged line of the journal is left out")
    return known


def _is_sound(result: ScanResult) -> bool:
    """Whether a line of the journal is such as this program writes; its name becomes that of a file."""
    texts = (result.name, result.path, result.series, result.status, result.message, result.job, result.counted)
    return (
        all(isinstance(text, str) for text in texts)
        and (not result.name or safe_name(result.name) == unicodedata.normalize("NFC", result.name))
        and type(result.seconds) in (int, float)
        and 0 <= result.seconds < _LONGEST  # false for NaN
        and isinstance(result.kept, bool)
        and isinstance(result.provenance, dict)
        and (not result.source or ScanSource.from_dict(result.source) is not None)
        and all(len(point) == 5 and all(map(math.isfinite, point[1:])) for point in result.points)
    )
