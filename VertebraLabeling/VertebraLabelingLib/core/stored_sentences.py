"""Warnings of scenes that hold them as English sentences: read back as data, so that corrections know what they are."""

from __future__ import annotations

import re

from .anatomy import LEVELS
from .label_warning import (
    CUT,
    DENS,
    END,
    FIRST_RIB,
    FURTHER,
    GAP,
    IMPLANTS,
    LAST_RIB,
    SACRUM,
    SHIFT,
    VARIANT,
    LabelWarning,
    note,
)

_LEVEL = "[CTL][0-9]{1,2}"
_SPAN = f"(?P<first>{_LEVEL})(?:-(?P<last>{_LEVEL}))?"
_PATTERNS = (
    (SHIFT, re.compile("Levels may be shifted by one:(?P<why>.*)")),
    (VARIANT, re.compile("(?P<first>L6) or lumbarized S1 found.*")),
    (VARIANT, re.compile("(?P<first>T13) found.*")),
    (GAP, re.compile(f"{_SPAN} not found between (?P<above>{_LEVEL}) and (?P<below>{_LEVEL}).*")),
    (END, re.compile(f"{_SPAN} not found (?:above|below) (?P<above>{_LEVEL}),.*")),
    (CUT, re.compile(f"The field of view ends inside {_SPAN}.*")),
    (FURTHER, re.compile("Further vertebral bodies are seen.*")),
    (IMPLANTS, re.compile(f"Metal or cement lies at {_SPAN}:.*")),
)
_SEEN = ((DENS, "at C2"), (FIRST_RIB, "the first rib"), (LAST_RIB, "the last rib"), (SACRUM, "the sacrum"))


def from_sentence(text: str) -> LabelWarning:
    """The warning that a sentence tells; one of kind ``note`` where it is none of the solver's or about implants."""
    for kind, pattern in _PATTERNS:
        found = pattern.fullmatch(text)
        if found:
            warning = _read(kind, found.groupdict())
            return warning if LabelWarning.from_json(warning.to_json()) else note(text)
    return note(text)


def _read(kind: str, parts: dict[str, str | None]) -> LabelWarning:
    why = parts.get("why") or ""
    landmarks = tuple(name for name, words in _SEEN if words in why) if "does not settle" in why else ()
    first, last = parts.get("first"), parts.get("last")
    levels = () if first is None else _between(first, last) if last else (first,)
    beside = tuple(level for level in (parts.get("above"), parts.get("below")) if level)
    return LabelWarning(kind, levels, beside, landmarks)


def _between(first: str, last: str) -> tuple[str, ...]:
    """All levels of a span, which the sentence tells by its ends; variants only where they are an end."""
    if first not in LEVELS or last not in LEVELS:
        return (first, last)
    inside = LEVELS[LEVELS.index(first) : LEVELS.index(last) + 1]
    return tuple(level for level in inside if level in (first, last) or level not in ("T13", "L6")) or (first, last)
