"""A labeled volume with a confirmed point, and what may become of volume and points before the next run."""

import numpy as np
import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, points

from VertebraLabeling import VertebraLabelingLogic

UP = (0.0, 0.0, 30.0)  # mm: about one vertebra


def matrixOf(*offset, degrees=0.0):
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = offset or (0, 0, 0)
    return matrix


def addTransform(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def move(node, matrix, harden=False):
    """Put a node under a linear transform, and harden it."""
    node.SetAndObserveTransformNodeID(addTransform(matrix).GetID())
    if harden:
        node.HardenTransform()


def setGeometry(volumeNode, change):
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    volumeNode.GetIJKToRASMatrix(matrix)
    volumeNode.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(change @ slicer.util.arrayFromVTKMatrix(matrix)))


class ChangedCase(LabeledCase):
    """A labeled volume with L1 confirmed."""

    def setUp(self):
        super().setUp()
        self.labeler = BallLabeler()
        self.logic = VertebraLabelingLogic(self.labeler)
        self.volumeNode = addVolume()
        self.node = self.logic.label(self.volumeNode)
        self.predicted = self.labels()
        corrections.confirm(self.node, [self.index("L1")])

    def unsettle(self):
        points.writeLabels(self.node, self.predicted)

    def rollVoxels(self):
        """The next frame: the patient lies one vertebra further up in the picture."""
        array = slicer.util.arrayFromVolume(self.volumeNode)
        slicer.util.updateVolumeFromArray(self.volumeNode, np.roll(array, 10, axis=0))

    def assertRefused(self, words):
        before, runs = self.labels(), len(self.labeler.volumes)
        with self.assertRaisesRegex(InputError, words) as raised:
            self.logic.label(self.volumeNode)
        self.assertRegex(str(raised.exception), r"since its points were found, .* confirmed \(L1\) .* keep=True")
        self.assertEqual((self.labels().points, len(self.labeler.volumes)), (before.points, runs))

    def assertFound(self, expected, tolerance=1.5):
        found = {point.level: point.ras for point in self.labels().points}
        self.assertEqual(list(found), list(expected))
        apart = [np.linalg.norm(np.subtract(found[level], ras)) for level, ras in expected.items()]
        self.assertLess(max(apart), tolerance)
