"""What VID's detections say about levels beyond their three scores: a small network over each candidate's surroundings.

VID's detector scores only cervical, thoracic and lumbar. A detection's place in the run of scores, the distances to
its neighbors, and the width and position of its pedicles say more; the network (one hidden layer) learns how much from
training scans and gives the costs of all 26 levels and the probability of a false positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.solver.spine_curve import spine_curve

from .vid_data import VidScan

REACH = 4  # neighbors on either side
COUNTED = 8
PEDICLE_MM, PEDICLE_ALONG_MM = 60.0, 25.0
HIDDEN, EPOCHS, BATCH = 64, 60, 512
LEARNING_RATE, WEIGHT_DECAY, NOISE, SMOOTHING = 1e-2, 1e-3, 0.05, 0.01
HIGHEST_COST = 12.0


def features(scan: VidScan) -> tuple[np.ndarray, np.ndarray]:
    """Describe every detection by itself and its neighbors along the spine.

    Returns:
        (N,) order of the detections from head to foot, and (N, F) features in that order.
    """
    given = scan.evidence
    curve = spine_curve(given.points, given.detection, given.unary)
    points = scan.bodies[curve.order]
    score = np.clip(scan.scores[curve.order], 0.002, 0.998)
    own = [np.log(score / (1 - score)) / 4, _pedicles(points, curve.tangent, scan.left, scan.right), _gaps(points)]
    own = np.concatenate([np.ones((len(points), 1)), *own, scan.inferred[curve.order, None]], axis=1)
    padded = np.pad(own, ((REACH, REACH), (0, 0)))
    around = [padded[shift : shift + len(points)] for shift in range(2 * REACH + 1)]
    above = np.arange(len(points))
    counts = [_counted(above), _counted(above[::-1])]
    return curve.order, np.concatenate([*around, *counts], axis=1)


def _pedicles(points: np.ndarray, tangent: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(N, 4): found, and the pedicles' distance from each other, from the body, and along the spine."""
    rows = []
    for point, direction in zip(points, tangent):
        pair = [_nearest_pedicle(point, direction, side) for side in (left, right)]
        if any(side is None for side in pair):
            rows.append((0.0, 0.0, 0.0, 0.0))
            continue
        middle = (pair[0] + pair[1]) / 2 - point
        along = middle @ direction
        behind = np.sqrt(max(middle @ middle - along**2, 0.0))
        rows.append((1.0, np.linalg.norm(pair[0] - pair[1]) / 30 - 0.9, behind / 30 - 0.8, along / 10))
    return np.array(rows)


def _nearest_pedicle(point: np.ndarray, direction: np.ndarray, side: np.ndarray) -> np.ndarray | None:
    if not len(side):
        return None
    away = np.linalg.norm(side - point, axis=1)
    along = np.abs((side - point) @ direction)
    best = int((away + along).argmin())
    return side[best] if away[best] < PEDICLE_MM and along[best] < PEDICLE_ALONG_MM else None


def _gaps(points: np.ndarray) -> np.ndarray:
    """(N, 2): whether there is a next detection below, and the logarithm of its distance."""
    gap = np.linalg.norm(np.diff(points, axis=0), axis=1)
    known = np.stack([np.ones(len(gap)), 3 * np.clip(np.log(np.maximum(gap, 1.0) / 30), -1.5, 1.5)], axis=1)
    return np.concatenate([known, np.zeros((1, 2))])


def _counted(count: np.ndarray) -> np.ndarray:
    """(N, 9) how many detections lie beyond: as a number, and one by one up to 7."""
    return np.concatenate([np.minimum(count, 12)[:, None] / 6, count[:, None] == np.arange(COUNTED)], axis=1)


class LevelModel:
    """An ensemble of small networks from features to levels; fit it on training scans, ask it for evidence."""

    def __init__(self, seeds: Sequence[int] = (0, 1, 2, 3)) -> None:
        self.seeds = tuple(seeds)
        self._networks: list = []
        self._log_frequency = np.zeros(len(LEVELS))

    def fit(self, scans: Sequence[VidScan]) -> LevelModel:
        """Train on scans with truth; the same scans give the same model."""
        import torch

        scans = [scan for scan in scans if len(scan.bodies)]
        described = [features(scan) for scan in scans]
        inputs = torch.tensor(np.concatenate([rows for _, rows in described]), dtype=torch.float32)
        levels = np.concatenate([scan.matched_levels()[order] for scan, (order, _) in zip(scans, described)])
        count = np.bincount(levels, minlength=len(LEVELS) + 1)[: len(LEVELS)] + 5.0
        self._log_frequency = np.log(count / count.sum())
        self._networks = [_train(inputs, torch.tensor(levels), seed) for seed in self.seeds]
        return self

    def evidence(self, scan: VidScan) -> Evidence:
        """The scan's detections with learned costs.

        The costs are likelihoods, not posteriors: the frequency of each level in the training scans is divided out.
        """
        import torch

        given = scan.evidence
        if not len(given.points):
            return given
        order, rows = features(scan)
        with torch.no_grad():
            outputs = [torch.softmax(net(torch.tensor(rows, dtype=torch.float32)), 1) for net in self._networks]
        probability = np.mean([output.double().numpy() for output in outputs], axis=0)
        likelihood = np.log(np.maximum(probability[:, :-1], 1e-9)) - self._log_frequency
        likelihood -= np.log(np.exp(likelihood).sum(axis=1, keepdims=True))
        unary, detection = np.empty_like(given.unary), np.empty_like(given.detection)
        unary[order], detection[order] = np.minimum(-likelihood, HIGHEST_COST), 1.0 - probability[:, -1]
        return replace(given, unary=unary, detection=np.clip(detection, 0.0, 1.0))


def out_of_fold(scans: Sequence[VidScan], folds: int = 4, seeds: Sequence[int] = (0, 1, 2, 3)) -> list[Evidence]:
    """Evidence for each scan from a model that never saw its patient."""
    patients = sorted({scan.patient for scan in scans})
    np.random.default_rng(1).shuffle(patients)
    fold_of = {patient: number % folds for number, patient in enumerate(patients)}
    models = [LevelModel(seeds).fit([scan for scan in scans if fold_of[scan.patient] != fold]) for fold in range(folds)]
    return [models[fold_of[scan.patient]].evidence(scan) for scan in scans]


def _train(inputs, levels, seed: int):
    import torch

    torch.manual_seed(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(inputs.shape[1], HIDDEN), torch.nn.Tanh(), torch.nn.Linear(HIDDEN, len(LEVELS) + 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    batches = -(-len(levels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(levels)).split(BATCH):
            noisy = inputs[rows] + NOISE * torch.randn(len(rows), inputs.shape[1])
            loss = torch.nn.functional.cross_entropy(network(noisy), levels[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()
