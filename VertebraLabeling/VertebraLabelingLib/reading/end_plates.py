"""End plates where the CT shows them: planes along which bone ends and the disc begins.

Around each disc a column of profiles across it is sampled. A plate is the plane, of all that stand near the one that
the points tell, along which the values change most: the sum of the slopes of all profiles where it cuts them. Bodies
are concave and have spurs; a plane fitted to all profiles at once stands firm where single edges do not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ..core.sampling import sample
from ..core.volume import Volume
from .planes import Plane, between, degrees_between
from .spine import Spine

WIDTH, DEPTH = 0.45, 0.36
"""Half axes of the column, in distances between neighbors: the middle of the body, without its rims and spurs."""

LEAST_MM = 5.0  # half axes of the column where vertebrae are small
REACH = 0.45  # of the profiles above and below the middle of the disc, in distances between neighbors
GRID_MM = 2.0  # between profiles
STEP_MM = 0.5  # along a profile
SEARCH_MM = 1.0  # between planes that are tried
SMOOTHING_MM = 0.75  # along a profile: less than the thinnest plate
WINDOW_HU = (-100.0, 600.0)  # what lies beyond is gas or metal, whose edges are not plates
STEEPEST = 0.36  # tangent of 20 degrees: the tilt against the plane that the points tell
TILTS = 13  # tried each way
NEAREST, FARTHEST = 0.03, 0.40  # a plate is as far from the middle of the disc, in distances between neighbors
PLACE_SIGMA = 0.08  # of the same from where the points tell
DISC_SIGMA = 0.30  # tangent: a disc stands within about 17 degrees of the plane that the points tell
PLATE_SIGMA = 0.10  # tangent: its two plates within about 6 degrees of the disc
EDGE_MM = 3.0  # from a plane to the edge of a profile that belongs to it: a thick slice
STRAY_MM = 1.0  # an edge that lies off by more is a spur or a Schmorl node and counts less
ROUNDS = 5  # of the fit; the last one moves a plate by less than 0.1 mm
MOST_SIGMA = 2.0  # a plate that leans against its disc by more than that many is none
WEDGE_DEG = 20.0  # between the plates of a disc at most; L5/S1, the most wedged, has about 15
CLEAR_HU = 14.0  # per mm: the mean slope along a plate that counts as seen


@dataclass(frozen=True)
class _Column:
    """Profiles across a disc.

    Attributes:
        plane: of the disc as the points tell it; heights are from it, mm up.
        across, deep: (M,) mm to the right and to the front of each profile.
        heights: (Z,) mm, ascending.
        slopes: (M, Z) HU per mm upward.
        gap: distance between the neighbors, mm.
    """

    plane: Plane
    across: np.ndarray
    deep: np.ndarray
    heights: np.ndarray
    slopes: np.ndarray
    gap: float


def with_end_plates(spine: Spine, volume: Volume, levels: Collection[str] | None = None) -> Spine:
    """The spine with end plates where the CT shows them; what is not clearly seen stays where the points tell.

    Args:
        volume: the CT of the points, HU.
        levels: only the end plates of these vertebrae are looked for (and those across the discs beside them), which
            is quicker; all by default.
    """
    vertebrae, sacral, sacral_seen = list(spine.vertebrae), spine.sacral, False
    for row, vertebra in enumerate(vertebrae):
        if row < len(spine.joined):
            if not spine.joined[row] or vertebra.level == "C1":
                continue
            below = vertebrae[row + 1]
            if levels is not None and not {vertebra.level, below.level}.intersection(levels):
                continue
            lower, upper = _plates(volume, vertebra.lower, below.upper, below.center - vertebra.center)
            if upper is not None:
                vertebrae[row + 1] = replace(below, upper=upper, upper_seen=True)
        elif sacral is not None and (levels is None or vertebra.level in levels):
            step = 2 * (between(vertebra.lower, sacral).origin - vertebra.center)
            lower, upper = _plates(volume, vertebra.lower, sacral, step)
            sacral, sacral_seen = upper or sacral, upper is not None
        else:
            continue
        if lower is not None:
            vertebrae[row] = replace(vertebrae[row], lower=lower, lower_seen=True)
    return replace(spine, vertebrae=tuple(vertebrae), sacral=sacral, sacral_seen=sacral_seen)


def _plates(volume: Volume, lower: Plane, upper: Plane, step: np.ndarray) -> tuple[Plane | None, Plane | None]:
    """The lower end plate of a vertebra and the upper one of the next; ``None`` where it is not seen.

    Args:
        lower, upper: both as the points tell them.
        step: (3,) from the center above to the one below, mm.
    """
    column = _column(volume, between(lower, upper), float(np.linalg.norm(step)))
    if column is None:
        return None, None
    half = float(np.linalg.norm(lower.origin - upper.origin)) / 2
    common = _common_tilt(column, half)
    above, below = _plate(column, half, common, 1.0), _plate(column, half, common, -1.0)
    if above is not None and below is not None and degrees_between(above, below) > WEDGE_DEG:
        return None, None
    return above, below


def _column(volume: Volume, plane: Plane, gap: float) -> _Column | None:
    """Profiles around the middle of a disc; ``None`` where most of them leave the image."""
    wide, long = max(WIDTH * gap, LEAST_MM), max(DEPTH * gap, LEAST_MM)
    across, deep = (grid.ravel() for grid in np.meshgrid(_centered(wide, GRID_MM), _centered(long, GRID_MM)))
    inside = (across / wide) ** 2 + (deep / long) ** 2 <= 1
    across, deep = across[inside], deep[inside]
    heights = _centered(REACH * gap, STEP_MM)
    base = plane.origin + across[:, None] * plane.right + deep[:, None] * plane.front
    places = base[:, None] + heights[None, :, None] * plane.up
    values = sample(volume, places.reshape(-1, 3)).reshape(places.shape[:2])
    whole = np.isfinite(values).all(axis=1)
    if whole.mean() < 0.5:
        return None
    values = _smooth(np.clip(values[whole], *WINDOW_HU))
    slopes = np.ascontiguousarray(np.gradient(values, STEP_MM, axis=1), dtype=np.float32)
    return _Column(plane, across[whole], deep[whole], heights, slopes, gap)


def _centered(reach: float, step: float) -> np.ndarray:
    count = int(reach / step)
    return np.arange(-count, count + 1) * step


def _smooth(values: np.ndarray) -> np.ndarray:
    """Gaussian average along the profiles."""
    reach = int(np.ceil(3 * SMOOTHING_MM / STEP_MM))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP_MM / SMOOTHING_MM) ** 2)
    padded = np.pad(values, ((0, 0), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(kernel), axis=1)
    return windows @ (kernel / kernel.sum())


def _common_tilt(column: _Column, usual: float) -> np.ndarray:
    """(2,) tilts of the disc against the plane that the points tell: those at which both plates show best together."""
    leans = _leans(np.zeros(2), STEEPEST, TILTS)
    places = np.arange(NEAREST * column.gap, FARTHEST * column.gap, SEARCH_MM)
    likely = np.exp(-0.5 * ((places - usual) / (PLACE_SIGMA * column.gap)) ** 2)[:, None]
    total = sum((_slopes(column, sign, places, leans) * likely).max(axis=0) for sign in (1.0, -1.0))
    return leans[(total * _likely_tilt(leans, np.zeros(2), DISC_SIGMA)).argmax()]


def _plate(column: _Column, usual: float, common: np.ndarray, sign: float) -> Plane | None:
    """The plate above the disc (where values rise upward) or below it (where they fall); ``None`` if it is not seen.

    Args:
        usual: mm from the middle of the disc to the plate as the points tell it.
        common: (2,) tilts of the disc.
        sign: 1 above, -1 below.
    """
    places = np.arange(NEAREST * column.gap, FARTHEST * column.gap, SEARCH_MM)
    leans = _leans(common, 2 * PLATE_SIGMA, TILTS)
    slopes = _slopes(column, sign, places, leans)
    likely = np.exp(-0.5 * ((places - usual) / (PLACE_SIGMA * column.gap)) ** 2)[:, None]
    row, tilt = np.unravel_index((slopes * likely * _likely_tilt(leans, common, PLATE_SIGMA)).argmax(), slopes.shape)
    if slopes[row, tilt] < CLEAR_HU:
        return None
    found = np.array([sign * places[row], *leans[tilt]])
    height, sideways, forward = fitted = _through_edges(column, sign, found)
    if abs(height - found[0]) > EDGE_MM or np.abs(fitted[1:] - common).max() > MOST_SIGMA * PLATE_SIGMA:
        return None  # its edges are not those of a plate
    plane = column.plane
    up = plane.up - sideways * plane.right - forward * plane.front
    return Plane(plane.origin + height * plane.up, up / np.linalg.norm(up))


def _through_edges(column: _Column, sign: float, found: np.ndarray) -> np.ndarray:
    """The plane (height, tilts) through the edges of the single profiles near one that was found.

    The edge of a profile is the middle of all that rises there, which partial volumes do not shift: the steepest plane
    itself is drawn to the slices of the scan.
    """
    surface = np.stack([np.ones(len(column.across)), column.across, column.deep], axis=1)
    for _ in range(ROUNDS):
        beside = column.heights - (surface @ found)[:, None]
        rise = np.where(np.abs(beside) <= EDGE_MM, np.maximum(sign * column.slopes, 0.0), 0.0)
        total = rise.sum(axis=1)
        off = (rise * beside).sum(axis=1) / np.maximum(total, 1e-9)
        weight = total / (1 + (off / STRAY_MM) ** 2)
        weighted = surface * weight[:, None]
        found = found + np.linalg.lstsq(weighted.T @ surface, weighted.T @ off, rcond=None)[0]
    return found


def _leans(around: np.ndarray, reach: float, count: int) -> np.ndarray:
    """(count², 2) tilts (tangents of the rise to the right and to the front) on a square around one."""
    steps = np.linspace(-reach, reach, count)
    return around + np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def _likely_tilt(leans: np.ndarray, usual: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * (((leans - usual) / sigma) ** 2).sum(axis=1))


def _slopes(column: _Column, sign: float, places: np.ndarray, leans: np.ndarray) -> np.ndarray:
    """(P, T) mean slope (HU per mm) of the profiles where planes cut them.

    Args:
        sign: 1 for planes above the middle of the disc and values that rise upward, -1 for those below that fall.
        places: (P,) mm of each from the middle of the disc.
        leans: (T, 2) tilts.
    """
    rise = np.round((leans[:, :1] * column.across + leans[:, 1:] * column.deep) / STEP_MM).astype(np.int32)  # (T, M)
    middle = np.round((sign * places - column.heights[0]) / STEP_MM).astype(np.int32)
    count = len(column.heights)
    row = middle[:, None, None] + rise[None]
    np.clip(row, 0, count - 1, out=row)
    row += np.arange(len(column.across), dtype=np.int32) * count
    return sign * column.slopes.ravel().take(row).mean(axis=2)
