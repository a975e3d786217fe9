"""A volume with a bright ball in every vertebral body, and a labeler that really finds them.

It stands in for the network where a test is about nodes and panels: it knows nothing of the volume but its voxels and
affine, so an error in either moves its points.
"""

import numpy as np
import slicer
from VertebraLabelingLib.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.errors import Cancelled, NoSpineError
from VertebraLabelingLib.labels import Evidence, LabeledPoint, SpineLabels
from VertebraLabelingLib.volume import apply_affine

BALL_HU, BACKGROUND_HU, RADIUS_MM = 1200, -50, 7.0
FIRST, LAST = "T8", "L5"


def centers(first=FIRST, last=LAST):
    """level -> world RAS mm of the balls: a gently curved column, 26 mm apart."""
    levels = USUAL_LEVELS[USUAL_LEVELS.index(first) : USUAL_LEVELS.index(last) + 1]
    middle = (len(levels) - 1) / 2
    return {
        level: (8.0 + 0.4 * (i - middle), -12.0 - 0.5 * (i - middle) ** 2, 40.0 + 26.0 * (middle - i))
        for i, level in enumerate(levels)
    }


def addVolume(balls=None, spacing=(2.5, 2.5, 3.0), directions=None, name="CT"):
    """Add a scalar volume node with the balls drawn in it; axes may be permuted or flipped by ``directions`` (3, 3)."""
    balls = np.array(list((balls or centers()).values()))
    axes = (np.eye(3) if directions is None else np.asarray(directions, float)) * np.array(spacing)
    size = np.ceil(np.abs(np.linalg.inv(axes) @ np.diag([90.0, 100.0, np.ptp(balls[:, 2]) + 70.0])).sum(1)).astype(int)
    ijkToRas = np.eye(4)
    ijkToRas[:3, :3] = axes
    ijkToRas[:3, 3] = balls.mean(axis=0) - axes @ ((size - 1) / 2)
    k, j, i = np.meshgrid(*(np.arange(n) for n in size[::-1]), indexing="ij")
    world = apply_affine(ijkToRas, np.stack([i.ravel(), j.ravel(), k.ravel()], axis=1))
    distance = np.min([np.linalg.norm(world - ball, axis=1) for ball in balls], axis=0)
    voxels = np.where(distance < RADIUS_MM, BALL_HU, BACKGROUND_HU).astype(np.int16).reshape(size[::-1])
    return slicer.util.addVolumeFromArray(voxels, ijkToRas, name)


class BallLabeler:
    """Finds the balls by their voxels and names them downwards from ``first``, or from a fixed point."""

    def __init__(self, first=FIRST):
        self.first = first
        self.volumes, self.fixed = [], []

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        self.volumes.append(volume)
        self.fixed.append(fixed)
        for fraction in (0.0, 0.5):
            if progress:
                progress(fraction, "finding vertebrae")
            if cancelled and cancelled():
                raise Cancelled("Labeling was cancelled.")
        points = find_balls(volume)
        if len(points) == 0:
            raise NoSpineError(f"No spine was found in {volume.array.shape}: choose a CT that shows the spine.")
        start = LEVEL_INDEX[self.first]
        for level, ras in (fixed or {}).items():
            nearest = int(np.linalg.norm(points - np.array(ras), axis=1).argmin())
            start = USUAL_LEVELS.index(level) - nearest
            start = LEVEL_INDEX[USUAL_LEVELS[start]]
        first = USUAL_LEVELS.index(LEVELS[start])
        names = USUAL_LEVELS[first : first + len(points)]
        labeled = tuple(LabeledPoint(name, tuple(point), 0.9) for name, point in zip(names, points))
        return SpineLabels(labeled, ("A warning.",), {"model": "balls"}, evidence_of(points, names, volume.corners))


def find_balls(volume):
    """(N, 3) world RAS mm of the bright components, from head to foot."""
    import SimpleITK as sitk

    bright = sitk.GetImageFromArray((volume.array > 500).astype(np.uint8))
    components = sitk.GetArrayFromImage(sitk.ConnectedComponent(bright))
    found = [np.argwhere(components == label).mean(axis=0)[::-1] for label in range(1, components.max() + 1)]
    world = apply_affine(volume.ijk_to_ras, np.array(found).reshape(-1, 3))
    return world[np.argsort(-world[:, 2])]


def evidence_of(points, names, corners):
    """Evidence in which each point favors its own level by a little, as a network's does."""
    n, k = len(points), len(LEVELS)
    wanted = np.array([LEVEL_INDEX[name] for name in names])
    unary = np.minimum(np.abs(np.arange(k)[None] - wanted[:, None]) * 1.0, 6.0)
    return Evidence(points, unary, np.full(n, 0.95), np.full(k, 0.5), corners)
