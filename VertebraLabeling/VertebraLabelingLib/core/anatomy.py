"""Vertebral levels: order, regions, terminology codes and colors.

Levels are named as radiologists write them: ``C1``-``C7``, ``T1``-``T12`` (``T13`` where a thirteenth rib-bearing
vertebra exists) and ``L1``-``L5`` (``L6`` where a sixth lumbar vertebra exists). :data:`LEVELS` is the one order used
for every per-level axis in the project: network channels, cost matrices, presence vectors.

Codes: SNOMED CT, as in TotalSegmentator's terminology file; T13 and L6 have no SNOMED CT code.
"""

from __future__ import annotations

CERVICAL = tuple(f"C{i}" for i in range(1, 8))
THORACIC = tuple(f"T{i}" for i in range(1, 14))
LUMBAR = tuple(f"L{i}" for i in range(1, 7))

LEVELS: tuple[str, ...] = CERVICAL + THORACIC + LUMBAR
"""All 26 levels from head to foot, the enumeration variants T13 and L6 included."""

USUAL_LEVELS: tuple[str, ...] = tuple(level for level in LEVELS if level not in ("T13", "L6"))
"""The 24 levels of the usual spine, C1-L5."""

LEVEL_INDEX: dict[str, int] = {level: index for index, level in enumerate(LEVELS)}

LEVEL_RANK: tuple[float, ...] = tuple(
    USUAL_LEVELS.index("T12") + 0.5 if level == "T13" else (*USUAL_LEVELS, "L6").index(level) for level in LEVELS
)
"""Place of each of :data:`LEVELS` in the usual spine: C1 is 0, T12 18, T13 18.5, L1 19, L6 24."""

SNOMED_CODES: dict[str, str] = dict(
    zip(
        USUAL_LEVELS,
        (
            *("14806007", "39976000", "113205007", "5329002", "36978003", "36054005", "87391001"),
            *("64864005", "53733008", "1626008", "73071006", "56401006", "45296009", "62487009"),
            *("11068009", "82687006", "7610001", "12989004", "23215003"),
            *("66794005", "14293000", "36470004", "11994002", "49668003"),
        ),
    )
)
"""SNOMED CT code of each usual level."""

VERSE_LABELS: dict[str, int] = {
    **{level: index + 1 for index, level in enumerate(CERVICAL)},
    **{level: index + 8 for index, level in enumerate(THORACIC[:12])},
    **{level: index + 20 for index, level in enumerate(LUMBAR)},
    "T13": 28,
}
"""Integer labels of the VerSe data sets (26 sacrum and 27 coccyx are not vertebral levels here)."""

REGION_COLORS: dict[str, tuple[int, int, int]] = {
    "cervical": (196, 160, 255),
    "thoracic": (96, 190, 255),
    "lumbar": (112, 224, 144),
}
"""Display color of each region, RGB 0-255: apart from each other, from bone, and from the amber of uncertain points."""


def region(level: str) -> str:
    """Return ``"cervical"``, ``"thoracic"`` or ``"lumbar"`` for a level name.

    Raises:
        KeyError: ``level`` is not one of :data:`LEVELS`.
    """
    if level not in LEVEL_INDEX:
        raise KeyError(f"{level!r} is not a vertebral level (C1-C7, T1-T13, L1-L6).")
    return {"C": "cervical", "T": "thoracic", "L": "lumbar"}[level[0]]
