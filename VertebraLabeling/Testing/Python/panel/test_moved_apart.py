"""Points and their CT that were moved apart: no view tells a level and nothing is straightened until they are back."""

import numpy as np
import slicer
from test_level_readout import ReadoutCase
from VertebraLabelingMRML import corrections, levels
from VertebraLabelingMRML.stands_apart import standApart

APART = "no level: CT and points were moved apart"
VIEWS = ("Red", "Yellow", "Green")


class TestMovedApart(ReadoutCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = self.ui.inputSelector.currentNode()
        self.transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        self.move(30.0)
        self.scrollTo(self.place("T10"))
        self.said = self.texts()
        self.assertEqual(self.said["Red"], "T10, middle third")

    def move(self, mm):
        matrix = np.eye(4)
        matrix[2, 3] = mm
        slicer.util.updateTransformMatrixFromArray(self.transform, matrix)
        self.settle()

    def texts(self):
        self.settle()
        return {name: self.readout.texts()[name] for name in VIEWS}

    def put(self, *nodes):
        for node in nodes:
            node.SetAndObserveTransformNodeID(self.transform.GetID())
        self.settle()

    def assertApart(self):
        self.assertEqual(self.texts(), dict.fromkeys(VIEWS, APART))
        self.assertIsNone(levels.ctOf(self.node))

    def test_either_moved_alone_takes_the_levels_away_until_it_is_back(self):
        for name in ("volumeNode", "node"):
            with self.subTest(name):
                self.put(getattr(self, name))
                self.assertApart()
                getattr(self, name).SetAndObserveTransformNodeID(None)
                self.assertEqual(self.texts(), self.said)
                self.assertIsNotNone(levels.ctOf(self.node))

    def test_both_moved_together_keep_their_levels(self):
        self.put(self.volumeNode, self.node)
        self.assertNotIn(APART, self.texts().values())
        self.scrollTo(self.place("L2"))
        self.assertEqual(self.texts()["Red"], "L2, middle third")

    def test_a_hardened_transform_and_one_that_is_changed_are_seen_too(self):
        self.put(self.volumeNode, self.node)
        self.volumeNode.HardenTransform()
        self.assertNotIn(APART, self.texts().values())
        self.move(60.0)
        self.assertApart()
        self.move(30.0)
        self.assertNotIn(APART, self.texts().values())

    def test_a_nudge_that_leaves_each_point_in_its_vertebra_is_no_move(self):
        for name in ("volumeNode", "node"):
            for mm, apart in ((3.0, False), (8.0, True)):
                with self.subTest(name, mm=mm):
                    self.move(mm)
                    self.put(getattr(self, name))
                    self.assertEqual(standApart(self.node), apart)
            getattr(self, name).SetAndObserveTransformNodeID(None)

    def test_corrections_are_no_move(self):
        for correct in (
            lambda: corrections.shift(self.node, 1),
            lambda: corrections.countBy(self.node, "above"),
            lambda: corrections.nameAs(self.node, 3, "T9"),
            lambda: corrections.delete(self.node, 0),
            lambda: corrections.confirm(self.node, range(3)),
        ):
            correct()
            self.settle()
            self.assertFalse(standApart(self.node))

    def test_vertebrae_that_were_dragged_or_deleted_are_no_move(self):
        for index, away in ((0, (4.0, 3.0, 2.0)), (1, (0.0, 12.0, 0.0)), (2, (9.0, 0.0, 0.0))):
            place = np.add(self.node.GetNthControlPointPositionWorld(index), away)
            self.node.SetNthControlPointPositionWorld(index, list(place))
        self.node.RemoveNthControlPoint(4)
        self.settle()
        self.assertFalse(standApart(self.node))

    def test_they_are_not_straightened_and_what_was_straightened_is_emptied(self):
        self.put(self.volumeNode)
        self.ui.straightButton.click()
        self.settle()
        self.assertIn("were moved apart", self.ui.errorLabel.text)
        self.assertFalse(self.ui.straightButton.checked)
        self.volumeNode.SetAndObserveTransformNodeID(None)
        self.ui.straightButton.click()
        self.settle()
        self.addCleanup(self.widget.panel.reading.straight.close)
        straight = self.widget.panel.reading.straight.straight
        self.put(self.volumeNode)
        self.waitUntil(lambda: straight.problem != "")
        self.assertIn("were moved apart", self.ui.errorLabel.text)
        self.volumeNode.SetAndObserveTransformNodeID(None)
        self.waitUntil(lambda: straight.problem == "")
        self.assertEqual(self.ui.errorLabel.text, "")
