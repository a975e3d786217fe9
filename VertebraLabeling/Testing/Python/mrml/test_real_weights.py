"""The shipped network on a real CT, from volume node to points; skipped where weights or data are absent."""

import json
import os
import unittest
from pathlib import Path

import numpy as np
import slicer
from VertebraLabelingLib.networks import weights

from VertebraLabeling import VertebraLabelingLogic

REPOSITORY = Path(__file__).resolve().parents[4]
CASE = (
    "ct/ts_aorta_chest"  # may have been trained on: this asks whether nodes and engine fit, not how good the network is
)


def sharedCase():
    data = Path(os.environ.get("VERTEBRA_LABELING_DATA", REPOSITORY.parent / "shared" / "data"))
    volume, truth = data / f"{CASE}.nii.gz", data / f"{CASE}.mrk.json"
    return (volume, truth) if volume.is_file() and truth.is_file() else None


@unittest.skipUnless(weights.default_weights().is_file(), "the network weights are not in the repository")
@unittest.skipUnless(sharedCase(), "needs the data folder with real CT and truth: set VERTEBRA_LABELING_DATA")
class TestRealWeights(unittest.TestCase):
    def test_the_vertebrae_of_a_real_ct_are_named(self):
        slicer.mrmlScene.Clear()
        volume, truthFile = sharedCase()
        node = VertebraLabelingLogic().label(slicer.util.loadVolume(str(volume), properties={}))
        truth = {
            point["label"]: np.array(point["position"]) * (-1, -1, 1)
            for point in json.loads(truthFile.read_text())["markups"][0]["controlPoints"]
            if point.get("description") != "cut"
        }
        found = {
            node.GetNthControlPointLabel(index): np.array(node.GetNthControlPointPositionWorld(index))
            for index in range(node.GetNumberOfControlPoints())
        }
        hits = [level for level in truth if level in found and np.linalg.norm(found[level] - truth[level]) < 20]
        self.assertGreaterEqual(len(hits) / len(truth), 0.8, sorted(found))
