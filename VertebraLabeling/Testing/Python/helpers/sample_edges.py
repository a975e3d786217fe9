"""Vertebrae that the edges of the sample CT cut: a point may be there or not, and may be farther off than others."""

from __future__ import annotations

CUT = frozenset(("C6", "L3"))
WITHIN_MM, CUT_WITHIN_MM = 3.0, 12.0  # of where it was placed by hand: a whole vertebra; of one that is cut, its half


def allowed_mm(level: str) -> float:
    """How far a point of a level may be from where it was placed by hand."""
    return CUT_WITHIN_MM if level in CUT else WITHIN_MM
