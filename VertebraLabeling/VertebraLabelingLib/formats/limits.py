"""What a file of points may hold at most. Whatever is beyond is damage or malice, and is refused."""

from __future__ import annotations

from collections.abc import Sequence

MAX_BYTES = 16 * 2**20
MAX_MM = 1e5
"""No point of a scan lies further from the origin along an axis."""


def is_place(ras: Sequence[float]) -> bool:
    """Whether these are three finite numbers within :data:`MAX_MM`."""
    try:
        return len(ras) == 3 and all(abs(value) < MAX_MM for value in ras)  # false for NaN
    except TypeError:  # no sequence, or no numbers
        return False


def shown(value: object) -> str:
    """The beginning of a value from a file, harmless in a message."""
    text = ascii(value)
    return text if len(text) <= 24 else f"{text[:20]}..."
