"""A stage's numbers that were chosen on scans, as a dataclass with units, and as JSON that a model's card holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field, fields

FACTOR = 20.0  # a number farther from the shipped one is a mistake: zero, another sign, another unit
MOST_LOG_ODDS = 100.0  # of a weight of the calibration, which may have either sign


def tuned(default: float | tuple[float, ...], unit: str, chosen_on: str):
    """A field that holds a chosen number, or several of one unit."""
    return field(default=default, metadata={"unit": unit, "chosen_on": chosen_on})


def group_to_json(group) -> dict[str, object]:
    """The numbers of one stage as plain JSON types."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(group).items()}


def group_from_json(kind: type, data: object):
    """Read what :func:`group_to_json` made of a ``kind``.

    Raises:
        ValueError: an unknown number, or a value that is no number of the kind and about the size.
    """
    known = {item.name: item for item in fields(kind)}
    if not isinstance(data, Mapping) or set(data) - set(known):
        raise ValueError(f"{kind.__name__} holds an unknown number")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    for name, value in values.items():
        default = known[name].default
        numbers, expected = (each if isinstance(each, tuple) else (each,) for each in (value, default))
        if value is None and isinstance(default, tuple):
            continue
        if isinstance(value, tuple) != isinstance(default, tuple) or len(numbers) != len(expected):
            raise ValueError(f"{name} has another shape")
        if not all(_is_sound(*pair, known[name].metadata["unit"]) for pair in zip(numbers, expected)):
            raise ValueError(f"{name} is no number, or out of range")
    return kind(**values)


def _is_sound(value: object, default: float, unit: str) -> bool:
    """Whether a value may stand in the place of a shipped one; false for NaN."""
    if type(value) not in (int, float):
        return False
    if unit == "log odds":
        return abs(value) <= MOST_LOG_ODDS
    low, high = sorted((default / FACTOR, default * FACTOR))
    return low <= value <= (min(high, 1.0) if unit in ("share", "probability") else high)
