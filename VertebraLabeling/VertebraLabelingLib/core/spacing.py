"""Distances between neighboring vertebrae and the ways in which levels can follow each other.

The graph of levels holds the usual order C1-L5 and the enumeration variants: T13 between T12 and L1, no T12
(T11 is followed by L1), and L6 below L5. A *hop* is one way through that graph from one found vertebra to the next
found one; the levels in between are missed vertebrae.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .anatomy import LEVEL_INDEX, LEVELS

USUAL, T13, NO_T12, L6 = "usual", "T13", "no T12", "L6"

_VARIANT_EDGES = {("T11", "L1"): NO_T12, ("T12", "T13"): T13, ("T13", "L1"): USUAL, ("L5", "L6"): L6}
EDGES: dict[tuple[str, str], str] = {
    **{pair: USUAL for pair in zip(LEVELS, LEVELS[1:]) if "T13" not in pair and "L6" not in pair},
    ("T12", "L1"): USUAL,
    **_VARIANT_EDGES,
}
"""Which level may follow directly upon which, and the variant that this means."""

VERSE_SPACING: dict[tuple[str, str], float] = {
    **dict(zip(zip(LEVELS[:7], LEVELS[1:8]), (17.1, 18.5, 15.9, 16.1, 16.1, 17.7, 18.8))),
    **dict(zip(zip(LEVELS[7:18], LEVELS[8:19]), (20.9, 22.2, 22.3, 22.8, 23.5, 24.0, 24.3, 24.9, 25.7, 27.6, 29.8))),
    ("T12", "L1"): 32.0,
    **dict(zip(zip(LEVELS[20:25], LEVELS[21:26]), (33.4, 34.1, 33.8, 31.7, 30.6))),
    **{("T12", "T13"): 32.3, ("T13", "L1"): 35.0, ("T11", "L1"): 31.0},
}
"""Mean distance between the body centers of neighboring levels, mm: VerSe 2020 training landmarks (Sekuboyina et al.
2021, Löffler et al. 2020), 113 scans, 1428 vertebrae. C1 is the point at the dens, as everywhere in this project.
Log-distances scatter by 0.066 between scans (size of the patient) and by 0.037 within one."""


@dataclass(frozen=True)
class Hops:
    """All ways from one found vertebra to the next found one, sorted by target level.

    Attributes:
        source, target: (H,) level indices.
        distance: (H,) expected distance along the spine at scale 1, mm.
        steps: (H,) edges walked; ``steps - 1`` vertebrae are missed.
        passed: (H, 26) 1 where the hop passes over that level as missed.
        variants: variant name -> (H,) bool, the hop uses that variant.
    """

    source: np.ndarray
    target: np.ndarray
    distance: np.ndarray
    steps: np.ndarray
    passed: np.ndarray
    variants: dict[str, np.ndarray]

    def pick(self, keep: np.ndarray) -> Hops:
        """The hops where ``keep`` (H,) is true."""
        variants = {name: value[keep] for name, value in self.variants.items()}
        fields = (self.source, self.target, self.distance, self.steps, self.passed)
        return Hops(*(value[keep] for value in fields), variants)


@lru_cache(maxsize=1)
def all_hops() -> Hops:
    """Every hop between two levels, at the distances of :data:`VERSE_SPACING`."""
    following: dict[str, list[str]] = {level: [b for a, b in EDGES if a == level] for level in LEVELS}
    paths: list[list[str]] = []

    def walk(path: list[str]) -> None:
        if "T13" in path[1:]:
            return  # a thirteenth thoracic vertebra is either found or not assumed at all
        for level in following[path[-1]]:
            paths.append([*path, level])
            walk(paths[-1])

    for level in LEVELS:
        walk([level])
    paths.sort(key=lambda path: (LEVEL_INDEX[path[-1]], LEVEL_INDEX[path[0]], len(path)))

    passed = np.zeros((len(paths), len(LEVELS)))
    for row, path in enumerate(paths):
        passed[row, [LEVEL_INDEX[level] for level in path[1:-1]]] = 1.0
    edges = [list(zip(path, path[1:])) for path in paths]
    return Hops(
        source=np.array([LEVEL_INDEX[path[0]] for path in paths]),
        target=np.array([LEVEL_INDEX[path[-1]] for path in paths]),
        distance=np.array([sum(VERSE_SPACING[edge] for edge in path) for path in edges]),
        steps=np.array([len(path) for path in edges]),
        passed=passed,
        variants={
            name: np.array([any(EDGES[edge] == name for edge in path) for path in edges]) for name in (T13, NO_T12, L6)
        },
    )


@lru_cache(maxsize=1)
def distance_from() -> np.ndarray:
    """(26, 26) distance along the usual spine between two levels at scale 1, mm; ``inf`` where there is no such way.

    Only the 24 usual levels count as expected beyond the ends of a chain; T13 and L6 are reached from their neighbors
    but never expected.
    """
    hops = all_hops()
    table = np.full((len(LEVELS), len(LEVELS)), np.inf)
    for row in np.flatnonzero(~hops.variants[NO_T12]):
        a, b = hops.source[row], hops.target[row]
        table[a, b] = table[b, a] = hops.distance[row]
    for absent in ("T13", "L6"):
        table[:, LEVEL_INDEX[absent]] = np.inf
    return table


def distance_ratios(points: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(M - 1,) distances between the (M, 3) points of a chain over those of its (M,) level indices at scale 1.

    They are 0 to T13 and L6, which lie at no usual distance.
    """
    return np.linalg.norm(np.diff(points, axis=0), axis=1) / distance_from()[levels[:-1], levels[1:]]


def scale_of(points: np.ndarray, levels: np.ndarray) -> float:
    """Size of a spine: the median of :func:`distance_ratios`; 1 where there are none."""
    ratio = distance_ratios(points, levels)
    return float(np.median(ratio[ratio > 0])) if (ratio > 0).any() else 1.0


def lacks_t12(levels: Sequence[str], points: np.ndarray, scale: float) -> bool:
    """Whether L1 follows T11 as its neighbor, so that there is no T12; farther apart, one was missed between them.

    Args:
        levels: of a chain, head to foot.
        points: (M, 3) its places, mm.
        scale: size of the spine relative to :data:`VERSE_SPACING`.
    """
    pairs = list(zip(levels, levels[1:]))
    if ("T11", "L1") not in pairs:
        return False
    row = pairs.index(("T11", "L1"))
    neighbors, with_t12 = VERSE_SPACING["T11", "L1"], VERSE_SPACING["T11", "T12"] + VERSE_SPACING["T12", "L1"]
    apart = np.linalg.norm(points[row + 1] - points[row]) / scale
    return bool(apart**2 < neighbors * with_t12)  # nearer to the former, as logarithms


def twice_apart(levels: Sequence[str], points: np.ndarray, scale: float) -> list[tuple[str, str]]:
    """Neighbors of a chain that lie about twice as far apart as neighbors do: a vertebra may lie between them.

    C1 is left out: its point lies at the dens, whose height varies.

    Args:
        levels, points, scale: see :func:`lacks_t12`.
    """
    pairs = []
    for pair, vector in zip(zip(levels, levels[1:]), np.diff(points, axis=0)):
        usual = VERSE_SPACING.get(pair, np.inf) * scale
        if pair[0] != "C1" and np.linalg.norm(vector) > np.sqrt(2.0) * usual:  # nearer to twice, as logarithms
            pairs.append(pair)
    return pairs
