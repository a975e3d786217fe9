"""The spine that named points tell of: each vertebra between two end plates, and what lies between two vertebrae.

Without the CT, end plates stand across the line through the body centers, in the middle between neighbors but for the
disc. :mod:`.end_plates` moves them to where the CT shows them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.anatomy import LEVEL_INDEX
from ..core.labels import LabeledPoint
from ..core.spacing import EDGES, NO_T12, VERSE_SPACING, scale_of
from ..core.straight_spine import turning_level
from ..errors import InputError
from .planes import Plane, between
from .spine_line import SpineLine

SACRUM = "S1"
LAST_ONES = ("L5", "L6")
"""Levels that the sacrum follows: below them lies one more disc."""

DISC_SHARES = {"C": 0.26, "T": 0.14, "L": 0.24}
"""Height of a disc over the distance of the centers above and below it, by the region of the vertebra above.

Medians of the end plates that :mod:`.end_plates` sees in 13 CT, 82 discs C2/C3-L4/L5.
"""
LOW_THORACIC_SHARE = 0.18
_LOW_THORACIC = ("T11", "T12", "T13")

FORWARD_DEG = (8.0, 16.0)
"""By how much more the lower end plate of the last lumbar vertebra and the upper one of the sacrum lean to the front
than a plane across the line: the line bends on below the last point. Of masks of two patients."""

_NEIGHBORS = 1.5  # times the usual distance: more lies between T11 and L1 where a T12 was passed over


@dataclass(frozen=True)
class Vertebra:
    """One vertebra.

    Attributes:
        level: its name.
        center: (3,) its point, world RAS mm.
        upper, lower: planes of its end plates.
        upper_seen, lower_seen: the CT shows them there.
    """

    level: str
    center: np.ndarray
    upper: Plane
    lower: Plane
    upper_seen: bool = False
    lower_seen: bool = False

    @property
    def plane(self) -> Plane:
        """The plane of the vertebra through its point, halfway between its end plates in direction."""
        return Plane(self.center, between(self.upper, self.lower).up)


@dataclass(frozen=True)
class Spine:
    """Named vertebrae from head to foot.

    Attributes:
        vertebrae: N >= 1.
        joined: (N - 1,) whether no vertebra is missing between each and the next.
        sacral: upper end plate of the sacrum where the last vertebra is one of :data:`LAST_ONES`, else ``None``.
        line: through the points.
        scale: size relative to an adult's spine.
        sacral_seen: the CT shows the end plate of the sacrum there.
    """

    vertebrae: tuple[Vertebra, ...]
    joined: tuple[bool, ...]
    sacral: Plane | None
    line: SpineLine
    scale: float
    sacral_seen: bool = False

    @classmethod
    def of(cls, points: Iterable[LabeledPoint]) -> Spine:
        """The spine of labeled points.

        Raises:
            InputError: there are none, two stand at one place, or they do not follow one another along a spine.
        """
        found = sorted(points, key=lambda point: LEVEL_INDEX[point.level])
        if not found:
            raise InputError("There are no vertebrae to read levels from: label the CT first.")
        levels = [point.level for point in found]
        places = np.array([point.ras for point in found], dtype=float)
        if len(places) > 1 and np.linalg.norm(np.diff(places, axis=0), axis=1).min() < 1.0:
            raise InputError("Two vertebrae stand at one place: correct one of them first.")
        turning = turning_level(found)
        if turning is not None:
            raise InputError(f"The spine turns back at {turning}, so it has no levels: put the points in their order.")
        scale = scale_of(places, np.array([LEVEL_INDEX[level] for level in levels])) or 1.0
        return _spine(levels, SpineLine.through(places), scale)

    @property
    def levels(self) -> tuple[str, ...]:
        """The names, head to foot."""
        return tuple(vertebra.level for vertebra in self.vertebrae)

    @cached_property
    def discs(self) -> dict[str, Plane]:
        """Planes of the discs by name (``T8/T9``), each through its middle; there is none between C1 and C2."""
        found = {}
        for above, below, joined in zip(self.vertebrae, self.vertebrae[1:], self.joined):
            if joined and above.level != "C1":
                found[f"{above.level}/{below.level}"] = between(above.lower, below.upper)
        if self.sacral is not None:
            found[f"{self.levels[-1]}/{SACRUM}"] = between(self.vertebrae[-1].lower, self.sacral)
        return found


def _spine(levels: list[str], line: SpineLine, scale: float) -> Spine:
    gaps = np.diff(line.knots)
    joined = tuple(_are_neighbors(above, below, gap / scale) for above, below, gap in zip(levels, levels[1:], gaps))
    upper, lower = [], []  # mm along the line
    for row, level in enumerate(levels):
        above = joined[row - 1] if row else False
        below = joined[row] if row < len(gaps) else False
        half_above = gaps[row - 1] / 2 if above else _usual_half(level, True) * scale
        half_below = gaps[row] / 2 if below else _usual_half(level, False) * scale
        if row and not above:
            half_above = min(half_above, gaps[row - 1] / 2)
        if row < len(gaps) and not below:
            half_below = min(half_below, gaps[row] / 2)
        disc_above = disc_share(levels[row - 1] if above else _above(level))
        upper.append(line.knots[row] - half_above * (1 - disc_above))
        lower.append(line.knots[row] + half_below * (1 - disc_share(level)))
    sacral = [line.knots[-1] + half_below * (1 + disc_share(levels[-1]))] if levels[-1] in LAST_ONES else []
    places, down = line.at([*upper, *lower, *sacral])
    planes = [Plane(place, -way) for place, way in zip(places, down)]
    count = len(levels)
    if sacral:
        planes[-2:] = (plane.leaning(degrees) for plane, degrees in zip(planes[-2:], FORWARD_DEG))
    vertebrae = tuple(
        Vertebra(level, center, above, below)
        for level, center, above, below in zip(levels, line.points, planes[:count], planes[count:])
    )
    return Spine(vertebrae, joined, planes[-1] if sacral else None, line, scale)


def disc_share(above: str) -> float:
    """Height of the disc below a level over the distance of the centers; 0 below C1, which has no disc."""
    if above == "C1":
        return 0.0
    return LOW_THORACIC_SHARE if above in _LOW_THORACIC else DISC_SHARES[above[0]]


def _are_neighbors(above: str, below: str, distance: float) -> bool:
    edge = EDGES.get((above, below))
    return edge is not None and (edge != NO_T12 or distance < _NEIGHBORS * VERSE_SPACING[above, below])


def _usual_half(level: str, above: bool) -> float:
    """Half the usual distance to the neighbor above or below, mm at scale 1; C1 and the last one as to the other."""
    column = 1 if above else 0
    found = [VERSE_SPACING[edge] for edge in EDGES if edge[column] == level and EDGES[edge] != NO_T12]
    others = [VERSE_SPACING[edge] for edge in EDGES if edge[1 - column] == level and EDGES[edge] != NO_T12]
    return (found or others)[0] / 2


def _above(level: str) -> str:
    return next((edge[0] for edge in EDGES if edge[1] == level and EDGES[edge] != NO_T12), level)
