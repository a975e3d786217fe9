"""What a file of points may hold at most. Whatever is beyond is damage or malice, and is refused."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.volume import FARTHEST_MM

MAX_BYTES = 16 * 2**20


def is_place(ras: Sequence[float]) -> bool:
    """Whether these are three finite numbers within :data:`.volume.FARTHEST_MM`."""
    try:
        return len(ras) == 3 and all(abs(value) < FARTHEST_MM for value in ras)  # false for NaN
    except TypeError:  # no sequence, or no numbers
        return False


def is_stored_place(value: object) -> bool:
    """Whether a value of a JSON document is a place: a list of three numbers, see :func:`is_place`."""
    return isinstance(value, list) and all(type(number) in (int, float) for number in value) and is_place(value)


def shown(value: object) -> str:
    """The beginning of a value from a file, harmless in a message."""
    text = ascii(value)
    return text if len(text) <= 24 else f"{text[:20]}..."
