"""CT of unusual counts, made from held-out scans: a slab of slices twice, or left out, or rudimentary twelfth ribs.

The slab reaches from disc to disc, and what lies below moves along in its own plane, so that the spine goes on. Other
than the straightened pieces of :mod:`..networks.level_samples`, these are whole scans of one patient with all their
organs, and no training makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk
from VertebraLabelingLib.formats.mrk_json import MarkupPoint

from ..networks.variant_counts import UNNAMED, above, below, counted_names
from .rudimentary_ribs import with_rudimentary_ribs

THIRTEEN, ELEVEN, SIX, FOUR = "thirteen ribs", "eleven ribs", "six lumbar", "four lumbar"
RUDIMENTARY = "rudimentary ribs"
KINDS = (THIRTEEN, ELEVEN, SIX, FOUR, RUDIMENTARY)
CHANGES = {  # what is made -> levels that come twice or are left out
    THIRTEEN: (("T11", 1), ("T8", 1), ("T6", 1)),
    ELEVEN: (("T5", -1), ("T7", -1), ("T10", -1)),
    SIX: (("L3", 1), ("L2", 1)),
    FOUR: (("L3", -1), ("L2", -1)),
}
_NEEDED = {THIRTEEN: ("T1", "T12"), ELEVEN: ("T1", "T12"), SIX: ("T12", "L5"), FOUR: ("T12", "L5")}


@dataclass(frozen=True)
class Changed:
    """A scan with a changed number of vertebrae.

    Attributes:
        kind: one of :data:`KINDS`.
        level: what comes twice, is left out, or bears such ribs.
        volume: the CT, canonical.
        truth: the names that are right when what is seen is named, at their places.
    """

    kind: str
    level: str
    volume: Volume
    truth: list[MarkupPoint]


def changed_scans(volume: Volume, truth: Sequence[MarkupPoint]) -> Iterator[Changed]:
    """All changes that a scan with truth allows: it must show whole vertebrae at both ends of what is counted.

    Args:
        volume: a CT, canonical.
        truth: its vertebrae, of a usual spine.
    """
    whole = {point.level for point in truth if not point.cut}
    for kind, changes in CHANGES.items():
        for level, step in changes:
            near = {LEVELS[change(LEVEL_INDEX[level])] for change in (above, below)}
            if whole.issuperset((*_NEEDED[kind], level, *near)):
                made = changed(volume, truth, level, step)
                if made is not None:
                    yield Changed(kind, level, *made)
    rudimentary = with_rudimentary_ribs(volume, truth) if whole.intersection(("T1", "L5")) else None
    if rudimentary is not None:  # counted from the other end, they change no name
        yield Changed(RUDIMENTARY, "T12", rudimentary, list(truth))


def changed(
    volume: Volume, truth: Sequence[MarkupPoint], level: str, step: int
) -> tuple[Volume, list[MarkupPoint]] | None:
    """A scan with one vertebra twice (``step`` 1) or left out (-1), and the names that are then right.

    Returns:
        ``None`` where no landmark in view settles the names.
    """
    ordered = sorted(truth, key=lambda point: -point.ras[2])
    places = ras_to_ijk(volume, np.array([point.ras for point in ordered]))
    at = [point.level for point in ordered].index(level)
    upper, lower = (places[at - 1] + places[at]) / 2, (places[at] + places[at + 1]) / 2
    top, bottom = round(upper[2]), round(lower[2])  # slices; k grows to the head
    way = np.rint(lower - upper).astype(int) * (1, 1, 0)  # of the spine within the slab's own plane
    array = np.asarray(volume.array)
    head, slab, foot = array[top:], array[bottom:top], array[:bottom]
    height = top - bottom
    if step > 0:
        parts = [_moved(foot, way), _moved(slab, way), slab, head]
        below_it, raised = places[at:] + way, np.array([0, 0, height])
        new = np.concatenate([places[: at + 1] + raised, below_it])
        looks = [point for point in ordered[: at + 1]] + [point for point in ordered[at:]]
    else:
        parts = [_moved(foot, -way), head]
        new = np.concatenate([places[:at] - (0, 0, height), places[at + 1 :] - way])
        looks = [point for n, point in enumerate(ordered) if n != at]
    made = Volume(np.concatenate(parts), volume.ijk_to_ras)
    index = np.array([LEVEL_INDEX[point.level] for point in looks])
    names = counted_names(index, np.array([not point.cut for point in looks]))
    if (names == UNNAMED).any():
        return None
    ras = apply_affine(volume.ijk_to_ras, new)
    return made, [
        replace(point, level=LEVELS[name], ras=tuple(place)) for name, place, point in zip(names, ras.tolist(), looks)
    ]


def _moved(slices: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Slices moved by whole voxels (i, j), air where nothing was."""
    result = np.full_like(slices, AIR_HU)
    i, j = int(way[0]), int(way[1])
    rows, columns = slices.shape[1:]
    result[:, max(j, 0) : rows + min(j, 0), max(i, 0) : columns + min(i, 0)] = slices[
        :, max(-j, 0) : rows + min(-j, 0), max(-i, 0) : columns + min(-i, 0)
    ]
    return result
