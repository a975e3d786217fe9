"""The shipped network on a real CT, from volume node to points; skipped where weights, data or PyTorch are absent."""

import json
import os
import unittest
from pathlib import Path

import numpy as np
import slicer
from acquisition import addAcquisitionTransform
from VertebraLabelingLib.networks import weights
from VertebraLabelingMRML import volumes
from VertebraLabelingMRML.engine import torchVersion

from VertebraLabeling import VertebraLabelingLogic

REPOSITORY = Path(__file__).resolve().parents[4]
CASE = (
    "ct/ts_aorta_chest"  # may have been trained on: this asks whether nodes and engine fit, not how good the network is
)


def placesOf(node):
    """level -> world RAS mm of the vertebrae of a node."""
    return {
        node.GetNthControlPointLabel(index): np.array(node.GetNthControlPointPositionWorld(index))
        for index in range(node.GetNumberOfControlPoints())
    }


def _shifted(picture, rows):
    """A slice (J, I) in which each row shows what lay ``rows`` further, between voxels too."""
    whole = int(np.floor(rows))
    near, far = (np.roll(picture, -each, axis=0) for each in (whole, whole + 1))
    return np.round(near * (whole + 1 - rows) + far * (rows - whole)).astype(picture.dtype)


def sharedCase():
    data = Path(os.environ.get("VERTEBRA_LABELING_DATA", REPOSITORY.parent / "shared" / "data"))
    volume, truth = data / f"{CASE}.nii.gz", data / f"{CASE}.mrk.json"
    return (volume, truth) if volume.is_file() and truth.is_file() else None


@unittest.skipUnless(weights.default_weights().is_file(), "the network weights are not in the repository")
@unittest.skipUnless(torchVersion(), "needs PyTorch")
@unittest.skipUnless(sharedCase(), "needs the data folder with real CT and truth: set VERTEBRA_LABELING_DATA")
class TestRealWeights(unittest.TestCase):
    def test_uneven_and_tilted_slices_of_a_real_ct_give_the_same_points(self):
        """The same picture: slices left out at random, and each moved along the columns with its place."""
        slicer.mrmlScene.Clear()
        logic = VertebraLabelingLogic()
        volumeNode = slicer.util.loadVolume(str(sharedCase()[0]), properties={})
        expected = placesOf(logic.label(volumeNode))
        matrix, array = volumes.volumeFromNode(volumeNode).ijk_to_ras, slicer.util.arrayFromVolume(volumeNode)
        rng = np.random.default_rng(7)
        kept = np.sort(rng.choice(len(array), size=int(0.7 * len(array)), replace=False))
        shifts = 0.25 * (kept - len(array) / 2)  # voxels
        moved = np.array([_shifted(array[k], shift) for k, shift in zip(kept, shifts)])
        tilted = slicer.util.addVolumeFromArray(moved, matrix)
        tilted.SetSpacing(*volumeNode.GetSpacing()[:2], volumeNode.GetSpacing()[2] / 0.7)
        positions = np.array([(matrix @ [0, shift, k, 1])[:3] for k, shift in zip(kept, shifts)])
        addAcquisitionTransform(tilted, positions, matrix[:3, :2])
        found = placesOf(logic.label(tilted))
        self.assertEqual(sorted(found), sorted(expected))
        apart = [np.linalg.norm(np.subtract(found[level], expected[level])) for level in expected]
        self.assertLess(max(apart), 1.5)

    def test_the_vertebrae_of_a_real_ct_are_named(self):
        slicer.mrmlScene.Clear()
        volume, truthFile = sharedCase()
        node = VertebraLabelingLogic().label(slicer.util.loadVolume(str(volume), properties={}))
        truth = {
            point["label"]: np.array(point["position"]) * (-1, -1, 1)
            for point in json.loads(truthFile.read_text())["markups"][0]["controlPoints"]
            if point.get("description") != "cut"
        }
        found = placesOf(node)
        hits = [level for level in truth if level in found and np.linalg.norm(found[level] - truth[level]) < 20]
        self.assertGreaterEqual(len(hits) / len(truth), 0.8, sorted(found))
