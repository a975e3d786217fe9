"""A labeler without a network, for tests: it finds the dense balls of a phantom and names them from T1 downwards."""

from __future__ import annotations

import os
import time

import numpy as np
import SimpleITK as sitk
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.label_warning import note
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras
from VertebraLabelingLib.errors import Cancelled, NoSpineError


class BallLabeler:
    """Stands in for :class:`labeler.VertebraLabeler`: same call, real points, made in milliseconds."""

    def __init__(self, weights=None, device="auto") -> None:
        self.count = 0

    def label(self, volume: Volume, fixed=None, progress=None, cancelled=None) -> SpineLabels:
        """Centers of mass of everything above 1000 HU, head to foot."""
        if cancelled and cancelled():
            raise Cancelled("Labeling was canceled.")
        if progress:
            progress(0.5, "finding balls")
        self.count += 1
        parts, number = sitk_components(np.asarray(volume.array) > 1000)
        centers = [ijk_to_ras(volume, [np.argwhere(parts == n)[:, ::-1].mean(axis=0)])[0] for n in range(1, number + 1)]
        if not centers:
            raise NoSpineError("No vertebra was found: choose a CT that shows the spine.")
        centers.sort(key=lambda center: -center[2])
        first = LEVEL_INDEX["T1"]
        points = [
            LabeledPoint(LEVELS[first + n], tuple(float(x) for x in center), round(0.95 - 0.1 * n, 2))
            for n, center in enumerate(centers)
        ]
        return SpineLabels(tuple(points), (note("Levels may be shifted by one."),), {"model": "balls"})


class SlowLabeler(BallLabeler):
    """Takes a second for each scan, so that it can be interrupted."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        time.sleep(1.0)
        return super().label(volume, fixed, progress, cancelled)


class DyingLabeler(BallLabeler):
    """Kills its process at a volume with five balls: always, or once if a file says so."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        labels = super().label(volume, fixed, progress, cancelled)
        once = os.environ.get("BALL_LABELER_DIES_ONCE", "")
        if len(labels.points) == 5 and not (once and os.path.exists(once)):
            if once:
                open(once, "w").close()
            os._exit(9)
        return labels


def sitk_components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected parts of a mask, numbered from 1."""
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)))
    array = sitk.GetArrayFromImage(parts)
    return array, int(array.max())
