"""Points of the discs, C2/C3 to L5/S1: derived from the vertebrae, so that they follow each correction of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.field_of_view import distance_to_face
from ..core.labels import SpineLabels
from ..core.volume import Volume
from .end_plates import with_end_plates
from .planes import Plane
from .spine import Spine

HALF_DEPTH = 0.5
"""From the middle of a disc to its posterior edge, in distances between the centers above and below it: 0.38 to 0.66,
0.51 on average, of the rims of 18 discs C6/C7-L4/L5 in masks of four patients."""


@dataclass(frozen=True)
class Disc:
    """One disc.

    Attributes:
        name: of the vertebrae above and below it, e.g. ``T8/T9``.
        plane: through its middle.
        posterior: (3,) about the middle of its posterior edge, world RAS mm; 2 mm off on average.
        confidence: as users are told it, the lower one of the two vertebrae.
        seen: the CT shows both of its end plates.
    """

    name: str
    plane: Plane
    posterior: np.ndarray
    confidence: float
    seen: bool = False

    @property
    def ras(self) -> tuple[float, float, float]:
        """Its middle, world RAS mm."""
        return tuple(self.plane.origin.tolist())

    @property
    def description(self) -> str:
        """What its control point says, e.g. ``confidence=0.97;status=derived``."""
        return f"confidence={self.confidence:.2f};status=derived"


def discs_of(labels: SpineLabels, volume: Volume | None = None) -> tuple[Disc, ...]:
    """The discs between neighbors, head to foot, and the one on the sacrum.

    Args:
        volume: the CT of the labels, HU: end plates that it shows are used, and discs outside of it are left out.

    Raises:
        InputError: as :meth:`Spine.of`.
    """
    spine = Spine.of(labels.points)
    if volume is not None:
        spine = with_end_plates(spine, volume)
    rows = {level: row for row, level in enumerate(spine.levels)}
    found = []
    for name, plane in spine.discs.items():
        above, below = name.split("/")
        vertebra = spine.vertebrae[rows[above]]
        under = spine.vertebrae[rows[below]] if below in rows else None
        gap = np.linalg.norm((under.center if under else 2 * plane.origin - vertebra.center) - vertebra.center)
        points = [labels.by_level[level].told_confidence for level in (above, below) if level in rows]
        seen = vertebra.lower_seen and (under.upper_seen if under else spine.sacral_seen)
        found.append(Disc(name, plane, plane.origin - HALF_DEPTH * gap * plane.front, min(points), seen))
    if volume is not None and found:
        inside = distance_to_face(np.array([disc.ras for disc in found]), volume.corners) >= 0
        found = [disc for disc, is_inside in zip(found, inside) if is_inside]
    return tuple(found)
