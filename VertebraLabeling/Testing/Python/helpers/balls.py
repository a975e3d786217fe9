"""Bright balls for vertebral bodies, and a labeler that really finds them: needs neither Slicer nor torch.

It stands in for the network where a test is about nodes and panels: it knows nothing of the volume but its voxels and
affine, so an error in either moves its points. The names are the real solver's.
"""

from __future__ import annotations

import time

import numpy as np
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.spacing import VERSE_SPACING
from VertebraLabelingLib.core.volume import apply_affine
from VertebraLabelingLib.errors import Cancelled, NoSpineError
from VertebraLabelingLib.solver.chain import solve

BALL_HU, BACKGROUND_HU, RADIUS_MM = 1200, -50, 7.0
FIRST, LAST = "T8", "L4"


def centers(first=FIRST, last=LAST):
    """level -> world RAS mm of the balls: a gently curved column with the spacing of real spines, centered at S = 0."""
    levels = USUAL_LEVELS[USUAL_LEVELS.index(first) : USUAL_LEVELS.index(last) + 1]
    down = np.cumsum([0.0, *(VERSE_SPACING[pair] for pair in zip(levels, levels[1:]))])
    down -= down.mean()
    return {level: (8.0 + 0.01 * d, -12.0 - 0.0008 * d * d, -float(d)) for level, d in zip(levels, down)}


def voxels(balls, ijk_to_ras, size):
    """int16 array (K, J, I) with a ball at each of the (N, 3) world positions; ``size`` is (I, J, K)."""
    k, j, i = np.meshgrid(*(np.arange(n) for n in size[::-1]), indexing="ij")
    world = apply_affine(ijk_to_ras, np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1))
    distance = np.full(len(world), np.inf)
    for ball in balls:
        np.minimum(distance, np.linalg.norm(world - ball, axis=1), out=distance)
    return np.where(distance < RADIUS_MM, BALL_HU, BACKGROUND_HU).astype(np.int16).reshape(size[::-1])


class BallLabeler:
    """Finds the balls by their voxels and takes the topmost for ``first``, unless fixed points say otherwise.

    Args:
        first: level of the topmost ball.
        certainty: how strongly the evidence speaks for the names, as a cost per level.
        weights, device: what the network's labeler takes; kept for tests to look at.
    """

    pause = 0.0  # seconds between the steps of a run

    def __init__(self, first=FIRST, certainty=6.0, weights=None, device="auto"):
        self.first, self.certainty = first, certainty
        self.weights, self.device = weights, device
        self.volumes, self.fixed = [], []

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        self.volumes.append(volume)
        self.fixed.append(fixed)
        for fraction in (0.0, 0.25, 0.5, 0.75):
            time.sleep(self.pause)
            if progress:
                progress(fraction, "finding vertebrae")
            if cancelled and cancelled():
                raise Cancelled("Labeling was canceled.")
        points = find_balls(volume)
        if len(points) == 0:
            raise NoSpineError(f"No spine was found in {volume.array.shape}: choose a CT that shows the spine.")
        labels = solve(self.evidence(points, volume.corners), fixed)
        provenance = {**labels.provenance, "model": "balls", "device": "cpu", "seconds": 0.1}
        return type(labels)(labels.points, labels.warnings, provenance, labels.evidence)

    def evidence(self, points, corners):
        """Evidence in which each point favors the level that follows from its place below the first."""
        place = USUAL_LEVELS.index(self.first)
        wanted = [LEVEL_INDEX[level] for level in USUAL_LEVELS[place : place + len(points)]]
        unary = np.minimum(np.abs(np.arange(len(LEVELS))[None] - np.array(wanted)[:, None]) * self.certainty, 12.0)
        return Evidence(points, unary, np.full(len(points), 0.95), np.full(len(LEVELS), 0.5), corners)


class UnhurriedBallLabeler(BallLabeler):
    """Leaves time between its messages."""

    pause = 0.05


class DoubtfulBallLabeler(BallLabeler):
    """Six thoracic vertebrae, no landmark in view, and hardly a sign of which they are: they may be shifted by one."""

    def __init__(self, first="T4", certainty=0.3, weights=None, device="auto"):
        super().__init__(first, certainty, weights, device)


class SlowBallLabeler(BallLabeler):
    """Takes its time, so that a test can cancel it, close the scene, or pull its volume away."""

    pause = 20.0


class CrashingLabeler(BallLabeler):
    """Dies as a process dies: without a word on its output."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        import os
        import sys

        print("about to crash", file=sys.stderr, flush=True)
        os._exit(7)


class BuggyLabeler(BallLabeler):
    """Fails with an error that is not meant for users."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        raise KeyError("a bug")


def find_balls(volume):
    """(N, 3) world RAS mm of the bright components, from head to foot."""
    import SimpleITK as sitk

    bright = sitk.GetImageFromArray((np.asarray(volume.array) > 500).astype(np.uint8))
    components = sitk.GetArrayFromImage(sitk.ConnectedComponent(bright))
    found = [np.argwhere(components == label).mean(axis=0)[::-1] for label in range(1, components.max() + 1)]
    world = apply_affine(volume.ijk_to_ras, np.array(found).reshape(-1, 3))
    return world[np.argsort(-world[:, 2])]
