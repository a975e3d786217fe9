"""A node of labeled vertebrae, as tests of corrections, drags and later runs look at it."""

import tempfile
import unittest

import slicer
from VertebraLabelingMRML import points


class LabeledCase(unittest.TestCase):
    """``node`` holds the points that were found in the volume "CT"."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def labels(self):
        return points.readLabels(self.node)

    def all(self):
        """Whatever the node holds of its vertebrae, and of which volume they are."""
        node = self.node
        shown = [
            (
                node.GetNthControlPointID(i),
                node.GetNthControlPointLabel(i),
                node.GetNthControlPointDescription(i),
                node.GetNthControlPointPosition(i),
                node.GetNthControlPointLocked(i),
            )
            for i in range(node.GetNumberOfControlPoints())
        ]
        attributes = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
        return shown, attributes, points.sourceVolume(node)

    def index(self, level):
        return next(each.index for each in points.levelPoints(self.node) if each.point.level == level)

    def reload(self):
        """Save the scene, open it again, and find node and volume in it."""
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/scene.mrb"
            slicer.util.saveScene(path, properties={})
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path, properties={})
        self.node, self.volumeNode = slicer.util.getNode("CT vertebrae"), slicer.util.getNode("CT")
