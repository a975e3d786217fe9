"""Candidates: modes of the body-center map, of the levels' heat maps, and what each could be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.networks.detection_network import BACKGROUND, Prediction
from VertebraLabelingLib.pipeline.detection import evidence_from, find_modes

SHAPE = (48, 32, 32)


def prediction_of(bodies: dict[str, tuple[float, float, float]], merged: bool = False) -> Prediction:
    """What an ideal network says of bodies at voxels (z, y, x); ``merged``: all but the last are shoulders of it."""
    axes = [torch.arange(n, dtype=torch.float32) for n in SHAPE]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    coarse = torch.stack(
        torch.meshgrid(*[(a[: n // 2] + 0.5) * 2 - 0.5 for a, n in zip(axes, SHAPE)], indexing="ij"), -1
    )
    center = torch.full(SHAPE, -6.0)
    level = torch.zeros((len(LEVELS) + 1, *coarse.shape[:3]))
    level[BACKGROUND] = 6.0
    for name, place in bodies.items():
        squares = ((grid - torch.tensor(place)) ** 2).sum(-1)
        wide, shoulder = merged and name == list(bodies)[-1], merged and name != list(bodies)[-1]
        center += (2.0 if shoulder else 9.0) * torch.exp(-squares / (2 * (2.5 if wide else 1.3) ** 2))
        level[LEVEL_INDEX[name]] += 14 * torch.exp(-((coarse - torch.tensor(place)) ** 2).sum(-1) / (2 * 1.2**2))
    slices = torch.zeros((1, SHAPE[0] // 2, len(LEVELS) + 1))
    presence = torch.full((1, len(LEVELS)), -6.0)
    presence[0, [LEVEL_INDEX[name] for name in bodies]] = 6.0
    return Prediction(center[None], level[None], slices, presence, torch.full((1, len(LEVELS)), -20.0))


def evidence_of(bodies, **options):
    grid = Volume(np.zeros(SHAPE, np.float32), np.diag([4.0, 4.0, 4.0, 1.0]))
    return evidence_from(prediction_of(bodies, **options), torch.tensor(1.0), grid, grid)


def test_each_body_gives_one_candidate_at_its_place_named_by_its_level():
    bodies = {"L1": (36.3, 15.6, 16.0), "L2": (27.8, 14.2, 16.4), "L3": (19.0, 14.0, 15.7)}
    evidence = evidence_of(bodies)
    assert len(evidence.points) == 3
    for name, place in bodies.items():
        distance = np.linalg.norm(evidence.points - 4 * np.array(place)[::-1], axis=1)  # RAS = 4 mm * (x, y, z)
        assert distance.min() < 1.0
        assert LEVELS[evidence.unary[distance.argmin()].argmin()] == name
    assert (evidence.detection > 0.5).all()
    assert evidence.presence[LEVEL_INDEX["L2"]] > 0.9 > 0.1 > evidence.presence[LEVEL_INDEX["T4"]]


def test_two_bodies_that_run_together_are_told_apart_by_their_levels():
    bodies = {"C4": (22.5, 16.0, 16.0), "C5": (18.3, 16.0, 16.0)}
    prediction = prediction_of(bodies, merged=True)
    assert len(find_modes(prediction.center[0])) == 1
    evidence = evidence_of(bodies, merged=True)
    assert len(evidence.points) == 2
    assert {LEVELS[k] for k in evidence.unary.argmin(1)} == {"C4", "C5"}


@pytest.mark.parametrize("bodies", [{}, {"T7": (0.0, 16.0, 16.0)}])
def test_nothing_or_a_body_at_the_edge_is_no_error(bodies):
    evidence = evidence_of(bodies)
    assert len(evidence.points) == len(bodies) and np.isfinite(evidence.unary).all()


def test_candidates_keep_their_distance():
    torch.manual_seed(0)
    voxels = find_modes(torch.randn(24, 24, 24) * 3)
    distance = torch.cdist(voxels.float(), voxels.float()) * 4 + 100 * torch.eye(len(voxels))
    assert distance.min() >= 9
