"""The line of the spine through scattered candidates: an order from head to foot in any posture and orientation.

Neighboring vertebrae are 16-36 mm apart, vertebrae that a strong curve brings near each other again are not, so the
minimum spanning tree of the candidates follows the spine through kyphosis, scoliosis and any tilt of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.evidence import level_probabilities

SMOOTHING_MM = 20.0  # a thoracic vertebra: one that stands out does not bend the line
LONGEST_EDGE_MM = 45.0  # neighbors are not farther apart: L4 and L5 of a tall adult are about 42 mm
ONE_VERTEBRA_MM = 12.0  # candidates nearer to each other may be one and the same
SUPERIOR_WEIGHT = 0.3  # of the scan's axis against the levels: levels decide where they agree
LEAST_WEIGHT = 0.02  # of a candidate in the line: one without any would leave the line undefined


@dataclass(frozen=True)
class SpineCurve:
    """Candidates put in order along the spine.

    Attributes:
        order: (N,) indices of the candidates from head to foot.
        position: (N,) arc length along the curve of the ordered candidates, mm, ascending.
        tangent: (N, 3) unit direction toward the feet there.
    """

    order: np.ndarray
    position: np.ndarray
    tangent: np.ndarray


def spine_curve(points: np.ndarray, weight: np.ndarray, unary: np.ndarray) -> SpineCurve:
    """Order candidates along the spine.

    Args:
        points: (N, 3) candidates, world RAS mm.
        weight: (N,) 0..1, how much each counts (probability to be a vertebra).
        unary: (N, 26) level costs; they decide which end is the head, world superior where they say nothing.
    """
    weight, n = np.clip(weight, LEAST_WEIGHT, 1.0), len(points)
    path = _backbone(points, weight)
    if len(path) == 1:  # all candidates stand at one place
        return SpineCurve(np.arange(n), np.zeros(n), np.tile((0.0, 0.0, -1.0), (n, 1)))
    line = _smooth(points, weight, path)
    position, tangent = _project(points, line)
    if _upside_down(points, position, weight, unary):
        position, tangent = -position, -tangent
    order = np.lexsort((np.arange(len(points)), position))
    return SpineCurve(order, position[order], tangent[order])


def _backbone(points: np.ndarray, weight: np.ndarray) -> list[int]:
    """The heaviest path of the minimum spanning tree; false positives hang beside it as twigs.

    What an edge is longer than neighbors lie apart costs as much as that length of spine gains: over a gap the path
    goes to a part of the spine that is longer than the gap, but not to a stray candidate, which would bend the line at
    the last vertebra.
    """
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    edges = _spanning_tree(distance)
    usual = float((weight**2).sum() / weight.sum())
    path: list[int] = []
    for gap_cost in (usual, 0.0):  # without, where all that is left is one vertebra
        tree: list[list[tuple[int, float]]] = [[] for _ in points]
        for old, new in edges:
            apart = distance[old, new]
            gain = min(apart, LONGEST_EDGE_MM) * min(weight[old], weight[new])
            gain -= max(apart - LONGEST_EDGE_MM, 0.0) * gap_cost
            tree[old].append((new, gain))
            tree[new].append((old, gain))
        path = max((_heaviest_from(tree, root) for root in range(len(points))), key=lambda found: found[0])[1]
        if distance[np.ix_(path, path)].max() >= ONE_VERTEBRA_MM:
            break
    return path


def _spanning_tree(distance: np.ndarray) -> list[tuple[int, int]]:
    """Edges of the minimum spanning tree, by Prim's algorithm from the first point."""
    nearest, parent = distance[0].copy(), np.zeros(len(distance), int)
    inside = np.zeros(len(distance), bool)
    inside[0] = True
    edges = []
    for _ in range(len(distance) - 1):
        new = int(np.where(inside, np.inf, nearest).argmin())
        edges.append((int(parent[new]), new))
        inside[new] = True
        closer = distance[new] < nearest
        nearest[closer], parent[closer] = distance[new][closer], new
    return edges


def _heaviest_from(tree: list[list[tuple[int, float]]], root: int) -> tuple[float, list[int]]:
    """The gain of the path from ``root`` that gains most, and the path, from its far end to the root."""
    gain, parent, stack = {root: 0.0}, {root: root}, [root]
    while stack:
        node = stack.pop()
        for other, step in tree[node]:
            if other not in gain:
                gain[other], parent[other] = gain[node] + step, node
                stack.append(other)
    node = max(gain, key=lambda key: (gain[key], -key))
    path = [node]
    while path[-1] != root:
        path.append(parent[path[-1]])
    return gain[node], path


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


def _project(points: np.ndarray, line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arc length and tangent on a polyline whose first and last segments go on for ever."""
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
    place = along[rows, segment]
    beside = np.where(place == 0.0, segment - 1, np.where(place == length[segment], segment + 1, segment))
    tangent = direction[segment] + direction[np.clip(beside, 0, len(length) - 1)]  # at a joint, of both sides
    norm = np.linalg.norm(tangent, axis=1, keepdims=True)
    tangent = np.where(norm > 1e-3, tangent / np.maximum(norm, 1e-3), direction[segment])  # a line that turns back
    return offset[segment] + place, tangent


def _upside_down(points: np.ndarray, position: np.ndarray, weight: np.ndarray, unary: np.ndarray) -> bool:
    """Whether the curve runs from foot to head, by the levels' evidence first and world superior second."""
    likely = level_probabilities(unary)
    above = np.cumsum(likely, axis=1) - likely  # (N, 26) probability to lie above level k
    before = likely @ above.T  # [m, n] = P(level n < level m)
    pair = weight[:, None] * weight[None] * np.sign(position[:, None] - position[None])
    evidence = (pair * (before - before.T)).sum() / max(np.abs(pair).sum(), 1e-9)
    drop = np.polyfit(position, points[:, 2], 1, w=np.sqrt(weight))[0]  # -1 where the curve runs straight to the feet
    return evidence - SUPERIOR_WEIGHT * np.clip(drop, -1, 1) < 0
