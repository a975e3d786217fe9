"""At which level of the spine a place or a slice lies: prepared once for a list of points, then read at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..core.marked import marked as _
from .spine import SACRUM, Spine, disc_share

VERTEBRA, DISC, GAP, ABOVE, BELOW = "vertebra", "disc", "gap", "above", "below"

COLUMN = 0.75
"""How far from the line, in distances between neighbors, a place is still in the column of bodies: farther away lie
processes, which hang down behind the bodies of the next vertebrae, and what is beside the spine."""

ACROSS_DEG = 45.0  # a slice whose normal is nearer to the spine's direction cuts across
_STEP_MM = 2.0  # of the line, for slices; between two steps it is straight to 0.05 mm
_BEYOND_MM = 500.0  # the line goes on that far for slices beyond the last vertebra


_THIRDS = (_("{level}, upper third"), _("{level}, middle third"), _("{level}, lower third"))


@dataclass(frozen=True)
class Reading:
    """Where a place or a slice lies.

    Attributes:
        kind: ``vertebra``; ``disc``; ``gap``: between two vertebrae of which others that lie between were not found;
            ``above`` the first or ``below`` the last vertebra.
        levels: the vertebra, or those above and below (``S1`` below the last disc).
        fraction: 0 at the upper to 1 at the lower end of what it lies in; 0.5 above and below.
        away_mm: from the line through the body centers, across the spine.
        beside: the place lies beside the column of bodies, at this height of the spine.
    """

    kind: str
    levels: tuple[str, ...]
    fraction: float = 0.5
    away_mm: float = 0.0
    beside: bool = False

    @property
    def name(self) -> str:
        """``T8``, or ``T8/T9`` for a disc or gap."""
        return "/".join(self.levels)

    def text(self, translate: Callable[[str], str] = str) -> str:
        """What the corner of a view says: ``T8, upper third``, ``T8/T9 disc``, ``above C3``, ``below L5``.

        Args:
            translate: English template -> the same in the user's language.
        """
        text = self._text(translate)
        at_its_height = self.beside and self.kind not in (ABOVE, BELOW)
        return translate(_("at the level of {level}")).format(level=text) if at_its_height else text

    def _text(self, translate: Callable[[str], str]) -> str:
        if self.kind == VERTEBRA and self.levels != ("C1",):  # which is a ring and has no thirds
            return translate(_THIRDS[min(int(self.fraction * 3), 2)]).format(level=self.name)
        if self.kind == DISC:
            return translate(_("{levels} disc")).format(levels=self.name)
        if self.kind == GAP:
            return translate(_("between {above} and {below}")).format(above=self.levels[0], below=self.levels[1])
        if self.kind == ABOVE:
            return translate(_("above {level}")).format(level=self.name)
        return translate(_("below {level}")).format(level=self.name) if self.kind == BELOW else self.name


class LevelReader:
    """Reads levels of one spine.

    Args:
        spine: :meth:`Spine.of` the labeled points, or the same with end plates as the CT shows them.

    Example:
        >>> reader = LevelReader(Spine.of(labels.points))                   # doctest: +SKIP
        >>> reader.at((3.0, -20.0, 310.0)).text()                           # doctest: +SKIP
        'T8, upper third'
    """

    def __init__(self, spine: Spine) -> None:
        self.spine = spine
        planes, self._regions = [], [(ABOVE, spine.levels[:1])]
        for row, vertebra in enumerate(spine.vertebrae):
            planes += [vertebra.upper, vertebra.lower]
            self._regions.append((VERTEBRA, (vertebra.level,)))
            if row < len(spine.joined):
                self._regions.append((DISC if spine.joined[row] else GAP, spine.levels[row : row + 2]))
        if spine.sacral is not None:
            planes.append(spine.sacral)
            self._regions.append((DISC, (spine.levels[-1], SACRUM)))
        self._regions.append((BELOW, spine.levels[-1:]))
        self._origins = np.array([plane.origin for plane in planes])
        self._ups = np.array([plane.up for plane in planes])
        self._offsets = np.einsum("kc,kc->k", self._origins, self._ups)
        # two ends and the middle of each region, to tell the nearest where planes cross far from the spine
        self._middles = np.concatenate(
            [self._origins[:1], (self._origins[:-1] + self._origins[1:]) / 2, self._origins[-1:]]
        )
        self._reach = COLUMN * self._distances()
        along = np.arange(-_BEYOND_MM, spine.line.knots[-1] + _BEYOND_MM, _STEP_MM)
        self._places, self._ways = spine.line.at(along)

    def at(self, ras) -> Reading:
        """The level of a place, (3,) world RAS mm."""
        region, fraction, away, beside = self.many(np.asarray(ras, dtype=float).reshape(1, 3))
        kind, levels = self._regions[region[0]]
        return Reading(kind, levels, float(fraction[0]), float(away[0]), bool(beside[0]))

    def on_slice(self, slice_to_ras: np.ndarray, across_deg: float = ACROSS_DEG) -> Reading | None:
        """The level of a slice: where it cuts the line through the body centers, nearest to its origin.

        Args:
            slice_to_ras: (4, 4); its third column is the normal, the fourth the origin, world RAS mm.
            across_deg: between the normal and the spine at most.

        Returns:
            ``None`` where the slice runs along the spine, or cuts it nowhere: read a place in it by :meth:`at`.
        """
        place = self.cut(slice_to_ras, across_deg)
        return self.at(place) if place is not None else None

    def cut(self, slice_to_ras: np.ndarray, across_deg: float = ACROSS_DEG) -> np.ndarray | None:
        """(3,) the place of that cut, world RAS mm; arguments and ``None`` as of :meth:`on_slice`."""
        matrix = np.asarray(slice_to_ras, dtype=float)
        normal = matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
        height = (self._places - matrix[:3, 3]) @ normal
        cut = np.flatnonzero((height[:-1] <= 0) != (height[1:] <= 0))
        cut = cut[np.abs(self._ways[cut] @ normal) > np.cos(np.radians(across_deg))]
        if not len(cut):
            return None
        share = (height[cut] / (height[cut] - height[cut + 1]))[:, None]
        places = (1 - share) * self._places[cut] + share * self._places[cut + 1]
        return places[np.linalg.norm(places - matrix[:3, 3], axis=1).argmin()]

    def many(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The levels of (N, 3) places, world RAS mm.

        Returns:
            (N,) numbers of the regions (:meth:`region`), fractions, mm from the line, and whether beside the column;
            see :class:`Reading`.
        """
        height = points @ self._ups.T - self._offsets  # mm above each plane
        below = np.pad(height <= 0, ((0, 0), (1, 0)), constant_values=True)
        above = np.pad(height > 0, ((0, 0), (0, 1)), constant_values=True)
        far = ((points[:, None] - self._middles[None]) ** 2).sum(axis=2)
        region = np.where(below & above, far, np.inf).argmin(axis=1)
        rows, last = np.arange(len(points)), len(self._origins) - 1
        upper, lower = np.clip(region - 1, 0, last), np.clip(region, 0, last)
        over, under = -height[rows, upper], height[rows, lower]
        inside = upper != lower
        fraction = np.where(inside, over / np.where(inside, np.maximum(over + under, 1e-9), 1.0), 0.5)
        middle = self._origins[upper] + fraction[:, None] * (self._origins[lower] - self._origins[upper])
        offset = points - middle
        beyond = np.where(inside, 0.0, np.einsum("nc,nc->n", offset, self._ups[upper]))
        away = np.linalg.norm(offset - beyond[:, None] * self._ups[upper], axis=1)
        return region, fraction, away, away > self._reach[region]

    def region(self, number: int) -> tuple[str, tuple[str, ...]]:
        """Kind and levels of a region; see :class:`Reading`."""
        return self._regions[number]

    def _distances(self) -> np.ndarray:
        """Of each region the distance between neighbors there, mm."""
        spine = self.spine
        heights = np.array([np.linalg.norm(v.upper.origin - v.lower.origin) for v in spine.vertebrae])
        of_vertebra = heights / (1 - np.array([disc_share(level) for level in spine.levels]))
        levels = list(spine.levels)
        return np.array([of_vertebra[levels.index(region[1][0])] for region in self._regions])
