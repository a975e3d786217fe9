"""Made-up spines with evidence as a network would give it, for the tests of the chain solver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, THORACIC, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.core.spacing import EDGES, VERSE_SPACING

NO_T12 = tuple(level for level in USUAL_LEVELS if level != "T12")
WITH_T13 = (*USUAL_LEVELS[:19], "T13", *USUAL_LEVELS[19:])
WITH_L6 = (*USUAL_LEVELS, "L6")
FOUR_LUMBAR = USUAL_LEVELS[:-1]


def lordotic(part: float) -> float:
    """Angle (radians) of a usual spine to the vertical at a part 0..1 of its length."""
    return 0.35 * np.sin(2 * np.pi * (part * 1.5 + 0.1))


def positions(
    levels: Sequence[str], scale: float = 1.0, angle: Callable[[float], float] = lordotic, sideways: float = 0.0
) -> np.ndarray:
    """(N, 3) body centers, world RAS mm, of neighboring levels with the mean distances of the spacing table."""
    points = [np.array([3.0, -20.0, 500.0])]
    for row, (above, below) in enumerate(zip(levels, levels[1:])):
        assert (above, below) in EDGES
        tilt = angle((row + 0.5) / max(len(levels) - 1, 1))
        lateral = sideways * np.sin(2 * np.pi * row / 16)
        step = np.array([lateral, np.sin(tilt), -np.cos(tilt)])
        points.append(points[-1] + scale * VERSE_SPACING[above, below] * step / np.linalg.norm(step))
    return np.array(points)


def evidence(
    levels: Sequence[str],
    points: np.ndarray,
    strength: float = 3.0,
    noise: float = 0.0,
    seed: int = 0,
    margin_mm: float = 15.0,
    presence: bool = True,
) -> Evidence:
    """Evidence for candidates at ``points``: the cost grows by ``strength`` per level of difference, plus noise.

    Args:
        levels: the true level of each point; ``""`` for a false positive.
        points: (N, 3) mm.
        strength: 0 for candidates without any appearance.
        noise: standard deviation of Gaussian noise on every cost.
        seed: of the noise.
        margin_mm: how far the field of view goes beyond the points along z.
        presence: whether the presence of levels is known (0.95 or 0.05) or not (0.5).
    """
    rng = np.random.default_rng(seed)
    true = np.array([LEVEL_INDEX.get(level, -1) for level in levels])
    away = np.abs(_rank()[None] - _rank()[true][:, None])
    unary = np.where(true[:, None] < 0, 3.0, strength * away) + noise * rng.standard_normal((len(true), len(LEVELS)))
    detection = np.where(true < 0, 0.4, 0.95)
    here = np.isin(np.arange(len(LEVELS)), true)
    around = np.array([80.0, 80.0, margin_mm])
    low, high = points.min(axis=0) - around, points.max(axis=0) + around
    corners = np.array(np.meshgrid(*zip(low, high), indexing="ij")).reshape(3, 8).T
    seen = np.where(here, 0.95, 0.05) if presence else np.full(len(LEVELS), 0.5)
    return Evidence(points, np.clip(unary, 0.0, 12.0), detection, seen, corners)


def signs(levels: Sequence[str], last: str | None = None, odds: float = 5.0) -> np.ndarray:
    """(N, 4) log-odds of a spine that looks as its levels say; ``last`` lies on the sacrum."""
    columns = [[level == "C2", level == "T1", level in THORACIC, level == last] for level in levels]
    return np.where(np.array(columns), odds, -odds)


def spine(levels: Sequence[str]) -> Evidence:
    """Evidence of a spine that is seen as it is; an L4, L5 or L6 at its end lies on the sacrum."""
    last = levels[-1] if levels[-1] in ("L4", "L5", "L6") else None
    said = evidence(levels, positions(levels), margin_mm=40.0, presence=False)
    return replace(said, landmarks=signs(levels, last))


def names(labels: SpineLabels) -> list[str]:
    """The levels from head to foot."""
    return [point.level for point in labels.points]


def _rank() -> np.ndarray:
    """(26,) place of each level along the spine; T13 lies between T12 and L1, L6 below L5."""
    place = {level: float(row) for row, level in enumerate(USUAL_LEVELS)}
    place["T13"], place["L6"] = place["T12"] + 0.5, place["L5"] + 1.0
    return np.array([place[level] for level in LEVELS])
