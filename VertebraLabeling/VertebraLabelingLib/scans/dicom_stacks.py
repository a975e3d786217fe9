"""Planes of one series as stacks that each can be a volume: equal planes together, in order, phases apart.

Position and geometry decide. Identifiers (acquisition, phase, folder, instance number) only tell apart what lies at one
position, and only where they do so for the whole stack: scanners number acquisitions by slice, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np

from ..core.slice_positions import MAX_HOLE_MM
from .dicom_frames import Frame
from .dicom_pixels import same_pixels

SAME_PLACE_MM = 0.05
"""Planes that lie closer than this lie at one position; the thinnest slices are 0.2 mm apart."""

SAME_GRID_MM = 1.0
"""Far edges of planes with equal corners that differ by less belong to one stack: rounded, and jittered, headers."""

LINE_UP_MM = 2.0
"""No corner of a plane may lie farther from the grid of its volume."""

_EVEN = 0.1  # of the usual distance: less is rounding
_FEW = 3  # planes that have a usual distance
_STRAY = 0.1  # of the planes of a stack
_MOST_PARTS = 50  # folders that are tried for one scan; an archive under one series UID has more


def edges(frame: Frame) -> np.ndarray:
    """(2, 3) the first row and the first column of a plane as vectors, mm."""
    rows, columns = frame.shape
    vectors = np.reshape(frame.orientation, (2, 3))
    return vectors * np.array([[frame.spacing[1] * columns], [frame.spacing[0] * rows]])


def same_grids(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Groups of planes of equal size and direction, the largest first; the planes are placed."""
    if len(frames) == 1:
        return [list(frames)]
    groups: list[list[Frame]] = []
    by_shape: dict[tuple[int, int], list[Frame]] = defaultdict(list)
    for frame in frames:
        by_shape[frame.shape].append(frame)
    for left in by_shape.values():
        vectors = np.array([edges(frame) for frame in left])
        while len(left):
            near = _near(vectors, vectors[0])
            near = _near(vectors, np.median(vectors[near], axis=0)) | (np.arange(len(left)) == 0)
            groups.append([frame for frame, taken in zip(left, near) if taken])
            left = [frame for frame, taken in zip(left, near) if not taken]
            vectors = vectors[~near]
    return sorted(groups, key=len, reverse=True)


def _near(vectors: np.ndarray, middle: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors - middle, axis=2).max(axis=1) < SAME_GRID_MM


class Parts(NamedTuple):
    """Planes of one grid (from folders that belong together) as volumes.

    Attributes:
        stacks: sorted along the normal, none repeats a position.
        copies: how many copies (same place, same voxels) were left out.
        told: the planes at repeated positions can be told apart.
    """

    stacks: list[list[Frame]]
    copies: int
    told: bool


def split(frames: Sequence[Frame]) -> list[Parts]:
    """The volumes in planes of one grid."""
    if len(frames) == 1:
        return [Parts([list(frames)], 0, True)]
    height = _heights(frames)
    result = []
    for part in _by_folder(frames, height):
        kept = _without_copies(part, height)
        stacks, told = _phases(kept, height)
        result.append(Parts(stacks, len(part) - len(kept), told))
    return result


def _heights(frames: Sequence[Frame]) -> Callable[[Frame], float]:
    """Where a plane lies along the common normal, mm."""
    row, column = np.reshape(frames[0].orientation, (2, 3))
    normal = np.cross(row, column)
    table = {id(frame): float(normal @ frame.position) for frame in frames}
    return lambda frame: table[id(frame)]


def _places(frames: Sequence[Frame], height: Callable[[Frame], float]) -> list[list[Frame]]:
    """The planes at each position, in the order of positions."""
    places: list[list[Frame]] = []
    for frame in sorted(frames, key=height):
        if places and height(frame) - height(places[-1][0]) < SAME_PLACE_MM:
            places[-1].append(frame)
        else:
            places.append([frame])
    return places


def _without_copies(frames: Sequence[Frame], height) -> list[Frame]:
    kept: list[Frame] = []
    for place in _places(frames, height):
        first: list[Frame] = []
        for frame in sorted(place, key=_reading_order):
            if not any(same_pixels(frame, other) for other in first):
                first.append(frame)
        kept += first
    return kept


def _by_folder(frames: Sequence[Frame], height) -> list[list[Frame]]:
    """The planes of several folders in as few volumes as fit together: halves and parts of one scan, not two scans.

    Folders with fewer planes than have a usual distance count as one.
    """
    folders: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        folders[frame.file.path.parent].append(frame)
    if len(folders) == 1:
        return [list(frames)]
    if _is_whole(_without_copies(frames, height), height):
        return [list(frames)]
    loose = [frame for part in folders.values() if len(part) < _FEW for frame in part]
    parts = [part for part in (loose, *folders.values()) if part and (part is loose or len(part) >= _FEW)]
    if len(parts) > _MOST_PARTS:
        return parts
    volumes = [[part] for part in sorted(parts, key=lambda part: min(map(height, part)))]
    while pair := next((pair for pair in combinations(volumes, 2) if _fit_together(*pair, height)), None):
        volumes = [volume for volume in volumes if volume is not pair[0] and volume is not pair[1]]
        volumes.append(pair[0] + pair[1])
    return [
        list(chain(*part)) for volume in volumes for part in ([volume] if _is_even(volume, height) else zip(volume))
    ]


def _is_whole(frames: Sequence[Frame], height) -> bool:
    """Whether the planes of all folders are one even stack, however they were dealt out."""
    steps = _steps(frames, height)
    few_repeat = len(frames) - len(steps) - 1 <= max(1, _STRAY * len(frames) / _FEW)
    return bool(
        few_repeat
        and len(steps) >= _FEW
        and _evenness(steps) > 1.0 - _EVEN
        and steps.max() <= max(MAX_HOLE_MM, 1.5 * float(np.median(steps)))
        and _line_up(frames, ())
    )


def _fit_together(one: Sequence[Sequence[Frame]], other: Sequence[Sequence[Frame]], height) -> bool:
    """Whether two groups of folders lie on one grid, without a hole; a few planes may lie in both."""
    first, second = list(chain(*one)), list(chain(*other))
    have, more, both = (_steps(each, height) for each in (first, second, first + second))
    repeated = len(have) + len(more) + 1 - len(both)
    if not len(both) or repeated > max(1, _STRAY * min(len(first), len(second))):
        return False
    unit = np.percentile(both, 10)
    multiples = both / unit
    on_grid = np.mean(np.abs(multiples - np.round(multiples)) < _EVEN * np.round(multiples))
    few = min(len(have), len(more)) < _FEW - 1
    near = both.max() <= max(MAX_HOLE_MM, 1.5 * float(np.median(both)))
    return bool(near and (few or on_grid > 1 - _EVEN) and _line_up(first, second))


def _is_even(parts: Sequence[Sequence[Frame]], height) -> bool:
    """Whether all parts together are as even as each alone; what lies on one grid may still not fill it."""
    if len(parts) == 1:
        return True
    alone = [_evenness(steps) for part in parts if len(steps := _steps(part, height)) >= _FEW - 1]
    return _evenness(_steps(list(chain(*parts)), height)) >= min(alone, default=0.0) - _EVEN


def _steps(frames: Sequence[Frame], height) -> np.ndarray:
    return np.diff([height(place[0]) for place in _places(frames, height)])


def _evenness(steps: np.ndarray) -> float:
    """The share of steps that are as long as most."""
    return float(np.mean(np.abs(steps / np.median(steps) - 1.0) < _EVEN))


def _line_up(volume: Sequence[Frame], part: Sequence[Frame]) -> bool:
    """Whether the corners of two stacks lie on one straight line."""
    positions = np.array([frame.position for frame in (*volume, *part)])
    return bool(_beside_line(positions).max() < LINE_UP_MM)


def _beside_line(positions: np.ndarray) -> np.ndarray:
    """(N,) distances of points (N, 3) from the line along which they lie."""
    centered = positions - positions.mean(axis=0)
    line = np.linalg.svd(centered, full_matrices=False)[2][0]
    return np.linalg.norm(centered - (centered @ line)[:, None] * line, axis=1)


def _phases(frames: Sequence[Frame], height) -> tuple[list[list[Frame]], bool]:
    """Where positions repeat, one stack of each phase: by an identifier that tells them all, or else in their order."""
    places = _places(frames, height)
    most = max(map(len, places))
    if most == 1:
        stack = [place[0] for place in places]
        return _interlocked(stack, height) or [stack], True
    at = {id(frame): number for number, place in enumerate(places) for frame in place}
    for mark in range(len(frames[0].marks)):
        phases = _packed(frames, at, mark)
        if len(phases) == most:
            return phases, True
    by_turn: list[list[Frame]] = [[] for _ in range(most)]
    for place in places:
        for turn, frame in enumerate(sorted(place, key=_reading_order)):
            by_turn[turn].append(frame)
    if any(len({frame.order for frame in place}) < len(place) for place in places):
        return by_turn, False
    few = len(by_turn[1]) < _STRAY * len(by_turn[0])  # no phase, but images taken twice
    for phases in (by_turn,) if few else (_in_blocks(frames, at), by_turn):
        if len(phases) == most and all(map(_in_order, phases)):
            return phases, True
    return by_turn, False


def _in_blocks(frames: Sequence[Frame], at: dict[int, int]) -> list[list[Frame]]:
    """Phases that were stored one after the other: a new one begins where a position repeats."""
    blocks: list[dict[int, Frame]] = []
    for frame in sorted(frames, key=_reading_order):
        if not blocks or at[id(frame)] in blocks[-1]:
            blocks.append({})
        blocks[-1][at[id(frame)]] = frame
    return [[block[number] for number in sorted(block)] for block in blocks]


def _in_order(stack: Sequence[Frame]) -> bool:
    """Whether the images were numbered along the stack, up or down; else it may be put together of two phases."""
    steps = [(one.order < other.order) - (other.order < one.order) for one, other in zip(stack, stack[1:])]
    return all(step == 1 for step in steps) or all(step == -1 for step in steps)


def _packed(frames: Sequence[Frame], at: dict[int, int], mark: int) -> list[list[Frame]]:
    """Groups of one mark, put together where they lie apart; none where a group repeats a position."""
    phases: list[list[Frame]] = []
    taken: list[set[int]] = []
    for group in _marked(frames, mark):
        places = {at[id(frame)] for frame in group}
        if len(places) < len(group):
            return []
        home = next((number for number, have in enumerate(taken) if not have & places), len(phases))
        if home == len(phases):
            phases.append([])
            taken.append(set())
        phases[home] += group
        taken[home] |= places
    return [sorted(phase, key=lambda frame: at[id(frame)]) for phase in phases]


def _interlocked(stack: Sequence[Frame], height) -> list[list[Frame]]:
    """Even stacks whose planes lie between each other's, so that together they are not; none where the stack is one."""
    steps = _steps(stack, height)
    if len(steps) < _FEW or _evenness(steps) > 1.0 - _EVEN:
        return []
    for mark in range(len(stack[0].marks)):
        groups = _marked(stack, mark)
        if not 1 < len(groups) <= len(stack) / _FEW or min(map(len, groups)) < _FEW:
            continue
        even = min(_evenness(_steps(group, height)) for group in groups) > _evenness(steps) + _EVEN
        heights = sorted((min(map(height, group)), max(map(height, group))) for group in groups)
        between = all(upper[0] < lower[1] for lower, upper in zip(heights, heights[1:]))
        if even and between:
            return [sorted(group, key=height) for group in groups]
    return []


def _marked(frames: Sequence[Frame], mark: int) -> list[list[Frame]]:
    groups: dict[Hashable, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[frame.marks[mark : mark + 1]].append(frame)
    return sorted(groups.values(), key=lambda group: min(map(_reading_order, group)))


def _reading_order(frame: Frame) -> tuple:
    return (*frame.order, str(frame.file.path))
