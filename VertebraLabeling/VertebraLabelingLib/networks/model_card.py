"""What the model card (``<name>.md`` beside the weights) says of licenses: of the weights, and of what they have seen.

The card is written for people; these two places of it are also read by the panel and by fine-tuning:

* the row ``| license of the weights | CC BY-SA 4.0 |``;
* the table whose first column is ``source`` and whose last is ``license``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Licenses:
    """Licenses of a model.

    Attributes:
        weights: license of the weights file.
        sources: (what was trained on, its license), as in the card.
    """

    weights: str
    sources: tuple[tuple[str, str], ...] = ()


def read_licenses(weights: Path) -> Licenses | None:
    """Read the card of a weights file; ``None`` where there is no card, or it names no license."""
    try:
        text = Path(weights).with_suffix(".md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    rows = [_cells(line) for line in text.splitlines()]
    named = next((row[1] for row in rows if len(row) == 2 and re.match(r"licen[cs]e of the weights", row[0], re.I)), "")
    return Licenses(named, tuple(_sources(rows))) if named else None


def _sources(rows: list[list[str]]):
    """The rows below the header ``source ... license``, up to the end of that table."""
    inside = False
    for row in rows:
        if len(row) > 1 and row[0].lower() == "source" and re.fullmatch(r"licen[cs]e", row[-1], re.I):
            inside = True
        elif inside and not row:
            return
        elif inside and not set(row[0]) <= set("-: "):
            yield row[0], row[-1]


def _cells(line: str) -> list[str]:
    """The cells of a table row without code marks; an empty list for any other line."""
    line = line.strip()
    if len(line) < 2 or line[0] != "|" or line[-1] != "|":
        return []
    return [cell.strip().replace("`", "") for cell in line[1:-1].split("|")]
