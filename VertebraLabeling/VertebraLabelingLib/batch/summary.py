"""What a batch leaves beside its outputs: a journal while it runs, then ``summary.json``, ``summary.csv`` and a page.

The journal gets one line for each finished scan at once, so nothing that is known about a scan is lost when the batch
is killed; a line that was cut off is ignored. The summaries are made from it and cover all runs into the same folder.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from .. import __version__
from ..errors import printable
from ..system.atomic import write_text
from .inputs import Skip
from .naming import safe_name
from .review_page import review_page
from .scan_job import PRESENT, ScanResult

JOURNAL, JSON_NAME, CSV_NAME, PAGE_NAME = "summary.jsonl", "summary.json", "summary.csv", "review.html"
COLUMNS = ("case", "status", "levels", "count", "lowest_confidence", "warnings", "seconds", "error", "input")

logger = logging.getLogger(__name__)

_LONGEST = 1e7  # seconds; no scan takes months
_FIELDS = {field.name for field in fields(ScanResult)}


class Summary:
    """Collects the results of a batch.

    Args:
        folder: the output folder.
        several: the batch has more than one scan. A single one is added to a summary that is there, but starts none.
    """

    def __init__(self, folder: str, several: bool = True) -> None:
        self._folder = Path(folder)
        self._enabled = several or (self._folder / JOURNAL).exists()
        before = _read_journal(self._folder / JOURNAL)
        # inputs that never became a scan are told again by each run, if they are still wrong
        self._known = {name: result for name, result in before.items() if result.name}

    def add(self, result: ScanResult) -> ScanResult:
        """Keep a result; one with points of an earlier run gets back what that run knew (warnings, model)."""
        key = result.name or result.path
        before = self._known.get(key)
        if result.kept and before and before.points:
            warnings = tuple(dict.fromkeys((*before.warnings, *result.warnings)))
            points = result.points or before.points
            seconds = before.seconds if result.status == PRESENT else result.seconds
            result = replace(result, points=points, warnings=warnings, seconds=seconds, provenance=before.provenance)
        self._known[key] = result
        if self._enabled:
            self._append(result)
        return result

    def _append(self, result: ScanResult) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / JOURNAL).open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(result.to_dict()) + "\n")
        except OSError as error:
            logger.warning("The summary cannot be written (%s): free space or choose another folder.", error.strerror)

    def write(self, skipped: Sequence[Skip] = ()) -> None:
        """Write the summaries.

        Raises:
            OSError: they cannot be written; older ones are untouched.
        """
        if not self._enabled:
            return
        results = sorted(self._known.values(), key=lambda result: (result.name, result.path))
        passed_over = [{"path": skip.path, "reason": skip.reason} for skip in skipped]
        data = {"version": __version__, "scans": [result.to_dict() for result in results], "skipped": passed_over}
        write_text(self._folder / JSON_NAME, json.dumps(data, indent=1) + "\n")
        write_text(self._folder / CSV_NAME, _table(results))
        pictures = {result.name for result in results if (self._folder / f"{result.name}.png").exists()}
        write_text(self._folder / PAGE_NAME, review_page(results, pictures))
        write_text(self._folder / JOURNAL, "".join(json.dumps(result.to_dict()) + "\n" for result in results))


def _read_journal(path: Path) -> dict[str, ScanResult]:
    """The last line of each scan; damaged lines are left out."""
    known: dict[str, ScanResult] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
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
            logger.debug("a damaged line of %s is left out", path)
    return known


def _is_sound(result: ScanResult) -> bool:
    """Whether a line of the journal is such as this program writes; its name becomes that of a file."""
    texts = (result.name, result.path, result.status, result.message)
    return (
        all(isinstance(text, str) for text in texts)
        and (not result.name or safe_name(result.name) == result.name)
        and type(result.seconds) in (int, float)
        and 0 <= result.seconds < _LONGEST  # false for NaN
        and isinstance(result.kept, bool)
        and isinstance(result.provenance, dict)
        and all(len(point) == 5 and all(map(math.isfinite, point[1:])) for point in result.points)
    )


def _table(results: Sequence[ScanResult]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for result in results:
        sure = "" if result.confidence is None else f"{result.confidence:.4f}"
        writer.writerow(
            _no_formula(printable(cell))
            for cell in (
                *(result.name, result.status, " ".join(result.levels), str(len(result.levels)), sure),
                *(" | ".join(result.warnings), f"{result.seconds:.2f}", result.message, result.path),
            )
        )
    return text.getvalue()


def _no_formula(cell: str) -> str:
    """A spreadsheet runs cells that start like this as formulas; paths come from outside."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
