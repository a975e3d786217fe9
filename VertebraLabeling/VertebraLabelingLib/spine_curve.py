"""The line of the spine through scattered candidates: an order from head to foot in any posture and orientation.

Neighboring vertebrae are 16-36 mm apart, vertebrae that a strong curve brings near each other again are not, so the
minimum spanning tree of the candidates follows the spine through kyphosis, scoliosis and any tilt of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .labels import level_probabilities

SMOOTHING_MM = 20.0
LONGEST_EDGE_MM = 45.0
SUPERIOR_WEIGHT = 0.3


@dataclass(frozen=True)
class SpineCurve:
    """Candidates put in order along the spine.

    Attributes:
        order: (N,) indices of the candidates from head to foot.
        position: (N,) arc length along the curve of the ordered candidates, mm, ascending.
        foot: (N, 3) their nearest points on the curve, world mm.
        tangent: (N, 3) unit direction toward the feet there.
    """

    order: np.ndarray
    position: np.ndarray
    foot: np.ndarray
    tangent: np.ndarray


def spine_curve(points: np.ndarray, weight: np.ndarray, unary: np.ndarray) -> SpineCurve:
    """Order candidates along the spine.

    Args:
        points: (N, 3) candidates, world RAS mm.
        weight: (N,) 0..1, how much each counts (probability to be a vertebra).
        unary: (N, 26) level costs; they decide which end is the head, world superior where they say nothing.
    """
    weight, n = np.clip(weight, 0.02, 1.0), len(points)
    path = _backbone(points, weight)
    if len(path) == 1:  # all candidates stand at one place
        return SpineCurve(np.arange(n), np.zeros(n), points.copy(), np.tile((0.0, 0.0, -1.0), (n, 1)))
    line = _smooth(points, weight, path)
    position, foot, tangent = _project(points, line)
    if _upside_down(points, position, weight, unary):
        position, tangent = -position, -tangent
    order = np.lexsort((np.arange(len(points)), position))
    return SpineCurve(order, position[order], foot[order], tangent[order])


def _backbone(points: np.ndarray, weight: np.ndarray) -> list[int]:
    """The heaviest path of the minimum spanning tree; false positives hang beside it as twigs."""
    n = len(points)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    tree: list[list[tuple[int, float]]] = [[] for _ in range(n)]
    nearest, parent = distance[0].copy(), np.zeros(n, int)
    inside = np.zeros(n, bool)
    inside[0] = True
    for _ in range(n - 1):
        new = int(np.where(inside, np.inf, nearest).argmin())
        old = int(parent[new])
        length = min(distance[old, new], LONGEST_EDGE_MM) * min(weight[old], weight[new])
        tree[old].append((new, length))
        tree[new].append((old, length))
        inside[new] = True
        closer = distance[new] < nearest
        nearest[closer], parent[closer] = distance[new][closer], new
    end, _ = _farthest(tree, 0)
    _, path = _farthest(tree, end)
    return path


def _farthest(tree: list[list[tuple[int, float]]], root: int) -> tuple[int, list[int]]:
    """The node farthest from ``root`` along the tree, and the path from it back to the root."""
    length, parent, stack = {root: 0.0}, {root: root}, [root]
    while stack:
        node = stack.pop()
        for other, step in tree[node]:
            if other not in length:
                length[other], parent[other] = length[node] + step, node
                stack.append(other)
    node = max(length, key=lambda key: (length[key], -key))
    path = [node]
    while path[-1] != root:
        path.append(parent[path[-1]])
    return node, path


def _smooth(points: np.ndarray, weight: np.ndarray, path: list[int]) -> np.ndarray:
    """Gaussian average along the path: (M, 3) polyline that single outliers do not bend much."""
    line = points[path]
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    kernel = np.exp(-0.5 * ((arc[:, None] - arc[None]) / SMOOTHING_MM) ** 2) * weight[path]
    # a local straight-line fit instead of a mean: the ends are not drawn inward
    smooth = np.empty_like(line)
    for row, w in enumerate(kernel):
        mean_arc, mean_point = w @ arc / w.sum(), w @ line / w.sum()
        spread = w @ (arc - mean_arc) ** 2
        slope = (w * (arc - mean_arc)) @ (line - mean_point) / max(spread, 1e-9)
        smooth[row] = mean_point + slope * (arc[row] - mean_arc)
    return smooth


def _project(points: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arc length, nearest point and tangent on a polyline whose first and last segments go on for ever."""
    start, step = line[:-1], np.diff(line, axis=0)
    length = np.maximum(np.linalg.norm(step, axis=1), 1e-6)
    direction = step / length[:, None]
    along = np.einsum("nmc,mc->nm", points[:, None] - start[None], direction)
    low, high = np.zeros(len(length)), length.copy()
    low[0], high[-1] = -np.inf, np.inf
    along = np.clip(along, low, high)
    foot = start[None] + along[:, :, None] * direction[None]
    segment = np.linalg.norm(points[:, None] - foot, axis=2).argmin(axis=1)
    rows = np.arange(len(points))
    offset = np.concatenate([[0.0], np.cumsum(length)])[:-1]
    return offset[segment] + along[rows, segment], foot[rows, segment], direction[segment]


def _upside_down(points: np.ndarray, position: np.ndarray, weight: np.ndarray, unary: np.ndarray) -> bool:
    """Whether the curve runs from foot to head, by the levels' evidence first and world superior second."""
    likely = level_probabilities(unary)
    above = np.cumsum(likely, axis=1) - likely  # (N, 26) probability to lie above level k
    before = likely @ above.T  # [m, n] = P(level n < level m)
    pair = weight[:, None] * weight[None] * np.sign(position[:, None] - position[None])
    evidence = (pair * (before - before.T)).sum() / max(np.abs(pair).sum(), 1e-9)
    drop = np.polyfit(position, points[:, 2], 1, w=np.sqrt(weight))[0]  # -1 where the curve runs straight to the feet
    return evidence - SUPERIOR_WEIGHT * np.clip(drop, -1, 1) < 0
