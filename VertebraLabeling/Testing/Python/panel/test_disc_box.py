"""Disc points: a list of its own for the chosen vertebrae, which follows them."""

import numpy as np
import slicer
from panel_case import PanelCase, centers
from VertebraLabelingMRML import corrections, discs

LEVELS = list(centers())
NAMES = [f"{above}/{below}" for above, below in zip(LEVELS, LEVELS[1:])]


class TestDiscPoints(PanelCase):
    def setUp(self):
        super().setUp()
        self.box = self.ui.discsCheckBox
        self.assertFalse(self.box.enabled)
        self.showBalls()

    def names(self):
        node = discs.discsNodeOf(self.node)
        return [node.GetNthControlPointLabel(index) for index in range(node.GetNumberOfControlPoints())]

    def test_checked_they_are_there_and_unchecked_they_are_gone(self):
        self.box.click()
        self.assertEqual(self.names(), NAMES)
        node = discs.discsNodeOf(self.node)
        display = node.GetDisplayNode()
        self.box.click()
        self.assertEqual([node.GetScene(), display.GetScene()], [None, None])
        self.assertFalse(self.box.checked)

    def test_they_follow_corrections_and_drags(self):
        self.box.click()
        corrections.nameAs(self.node, LEVELS.index("T12"), "L1")
        self.settle()
        self.assertEqual(self.names()[3:5], ["T12/L1", "L1/L2"])
        node = discs.discsNodeOf(self.node)
        before = np.array(node.GetNthControlPointPositionWorld(2))
        markups = slicer.vtkMRMLMarkupsNode
        self.node.InvokeEvent(markups.PointStartInteractionEvent)
        place = np.add(self.node.GetNthControlPointPositionWorld(2), (0, 8, 0))
        self.node.SetNthControlPointPositionWorld(2, list(place))
        self.node.InvokeEvent(markups.PointEndInteractionEvent)
        self.settle()
        self.assertGreater(np.linalg.norm(np.subtract(node.GetNthControlPointPositionWorld(2), before)), 2.0)

    def test_the_box_tells_whether_the_chosen_vertebrae_have_them(self):
        self.box.click()
        first = self.node
        self.widget._parameterNode.outputPoints = None
        self.settle()
        self.assertFalse(self.box.checked or self.box.enabled)
        self.widget._parameterNode.outputPoints = first
        self.settle()
        self.assertTrue(self.box.checked)
        slicer.mrmlScene.RemoveNode(discs.discsNodeOf(first))
        self.settle()
        self.assertFalse(self.box.checked)

    def test_they_are_emptied_with_the_vertebrae_and_not_chosen_for_them(self):
        self.box.click()
        node = discs.discsNodeOf(self.node)
        self.assertIsNot(self.node, node)
        self.node.RemoveAllControlPoints()
        self.settle()
        self.assertEqual(node.GetNumberOfControlPoints(), 0)
