"""The list of discs in a scene: derived, locked, in step with the vertebrae, and never taken for them."""

import gc
import unittest
from unittest import mock

import numpy as np
import slicer
from bent_spine import tilted_bodies
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.core.labels import SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, discs, points
from VertebraLabelingMRML.undo import UndoStack

from VertebraLabeling import VertebraLabelingLogic

LEVELS = list(centers())
NAMES = [f"{above}/{below}" for above, below in zip(LEVELS, LEVELS[1:])]


def namesOf(node):
    return [node.GetNthControlPointLabel(index) for index in range(node.GetNumberOfControlPoints())]


def placeOf(node, name):
    return np.array(node.GetNthControlPointPositionWorld(namesOf(node).index(name)))


class DiscCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)

    def middle(self, name):
        above, below = (self.labels().by_level[level].ras for level in name.split("/"))
        return np.add(above, below) / 2


class TestTheList(DiscCase):
    def test_it_holds_the_discs_and_no_vertebra(self):
        node = discs.writeDiscs(self.node)
        self.assertEqual(namesOf(node), NAMES)
        for name in NAMES:
            self.assertLess(np.linalg.norm(placeOf(node, name) - self.middle(name)), 4.0)
        self.assertTrue(node.GetLocked() and node.GetFixedNumberOfControlPoints())
        self.assertEqual(node.GetName(), "CT vertebrae discs")
        self.assertTrue(discs.isDiscs(node) and not discs.isDiscs(self.node) and not discs.isDiscs(None))
        self.assertFalse(points.areVertebrae(node))
        self.assertIs(points.pointsNodeOf(self.volumeNode), self.node)
        self.assertEqual([each.point.level for each in points.levelPoints(self.node)], LEVELS)

    def test_asking_again_updates_it(self):
        node = discs.writeDiscs(self.node)
        self.assertIs(discs.writeDiscs(self.node), node)
        self.assertIs(discs.discsNodeOf(self.node), node)
        other = VertebraLabelingLogic(BallLabeler()).label(addVolume(name="other"))
        self.assertIsNone(discs.discsNodeOf(other))
        self.assertIsNone(discs.updateDiscs(other))

    def test_corrections_and_undo_take_it_along(self):
        node, stack = discs.writeDiscs(self.node), UndoStack()
        stack.remember(self.node, "name")
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(
            namesOf(node), [f"{a}/{b}" for a, b in zip(centers("T9", "L5"), [*centers("T10", "L5"), "S1"])]
        )
        stack.undo(self.node)
        self.assertEqual(namesOf(node), NAMES)
        corrections.delete(self.node, self.index("L4"))
        self.assertEqual(namesOf(node), NAMES[:-1])

    def test_a_run_takes_it_along(self):
        node = discs.writeDiscs(self.node)
        VertebraLabelingLogic(BallLabeler("T7")).label(self.volumeNode)
        self.assertEqual(namesOf(node)[0], "T7/T8")

    def test_a_list_that_cannot_be_read_leaves_no_old_discs(self):
        node = discs.writeDiscs(self.node)
        self.node.SetNthControlPointLabel(self.index("T11"), "T12")
        discs.updateDiscs(self.node)
        self.assertEqual(namesOf(node), [])
        with self.assertRaisesRegex(InputError, "used twice"):
            discs.writeDiscs(self.node)

    def test_it_comes_back_with_the_scene(self):
        discs.writeDiscs(self.node)
        self.reload()
        node = discs.discsNodeOf(self.node)
        self.assertEqual(namesOf(node), NAMES)
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(namesOf(node)[0], "T9/T10")

    def test_whoever_moves_or_names_a_vertebra_takes_the_discs_along(self):
        """In Markups, by a script, by a transform: no list of discs of other vertebrae than these stays."""
        node = discs.writeDiscs(self.node)
        before = placeOf(node, "T11/T12")
        ras = np.add(self.node.GetNthControlPointPositionWorld(self.index("T12")), (9.0, 0.0, 0.0))
        self.node.SetNthControlPointPositionWorld(self.index("T12"), list(ras))
        self.assertGreater(placeOf(node, "T11/T12")[0] - before[0], 2.0)
        self.node.RemoveNthControlPoint(self.index("L4"))
        self.assertEqual(namesOf(node), NAMES[:-1])
        self.node.SetNthControlPointLabel(self.index("L3"), "L5")
        self.assertNotIn("L2/L3", namesOf(node))
        transform, matrix = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), np.eye(4)
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        before, matrix[2, 3] = placeOf(node, "T8/T9"), 50.0
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        self.assertAlmostEqual(placeOf(node, "T8/T9")[2] - before[2], 50.0, places=1)

    def test_it_is_watched_once_however_often_it_is_written(self):
        nodeID = self.node.GetID()
        self.node = None
        for _ in range(3):
            discs.writeDiscs(slicer.mrmlScene.GetNodeByID(nodeID))
            gc.collect()  # Python has no reference to the node now
        self.node = slicer.mrmlScene.GetNodeByID(nodeID)
        with mock.patch.object(discs, "updateDiscs") as update:
            self.node.SetNthControlPointPositionWorld(0, [1.0, 2.0, 300.0])
        self.assertEqual(update.call_count, 1)

    def test_in_an_opened_scene_it_is_kept_up_again(self):
        discs.writeDiscs(self.node)
        self.reload()
        discs.resume()
        node = discs.discsNodeOf(self.node)
        self.node.RemoveNthControlPoint(self.index("L4"))
        self.assertEqual(namesOf(node), NAMES[:-1])

    def test_what_is_right_is_not_written_again(self):
        node = discs.writeDiscs(self.node)
        before = node.GetMTime()
        discs.updateDiscs(self.node)
        self.assertEqual(node.GetMTime(), before)

    def test_under_a_transform_it_stands_in_world_space(self):
        node, matrix = discs.writeDiscs(self.node), np.eye(4)
        before = placeOf(node, "T11/T12")
        matrix[:3, 3] = (5.0, -7.0, 120.0)
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        for each in (self.node, self.volumeNode):
            each.SetAndObserveTransformNodeID(transform.GetID())
        discs.updateDiscs(self.node)
        np.testing.assert_allclose(placeOf(node, "T11/T12") - before, (5.0, -7.0, 120.0), atol=0.01)


class TestFollower(DiscCase):
    def setUp(self):
        super().setUp()
        self.waiting = []
        self.follower = discs.DiscFollower(lambda ms, function: self.waiting.append(function))
        self.disc = discs.writeDiscs(self.node)
        self.follower.follow(self.node)
        self.wait()

    def tearDown(self):
        self.follower.follow(None)

    def wait(self):
        while self.waiting:
            self.waiting.pop(0)()

    def move(self, level, by):
        ras = np.add(self.node.GetNthControlPointPositionWorld(self.index(level)), by)
        self.node.SetNthControlPointPositionWorld(self.index(level), list(ras))

    def test_a_moved_vertebra_moves_its_discs_once(self):
        before = placeOf(self.disc, "T11/T12")
        with mock.patch.object(discs, "updateDiscs", wraps=discs.updateDiscs) as update:
            for level in ("T10", "T11", "T12"):
                self.move(level, (6.0, 0.0, 0.0))
            self.wait()
        self.assertEqual(update.call_count, 1)
        self.assertGreater(placeOf(self.disc, "T11/T12")[0] - before[0], 4.0)

    def test_while_the_mouse_holds_a_vertebra_the_discs_wait(self):
        before, markups = placeOf(self.disc, "T11/T12"), slicer.vtkMRMLMarkupsNode
        self.node.InvokeEvent(markups.PointStartInteractionEvent)
        self.move("T12", (9.0, 0.0, 0.0))
        self.wait()
        np.testing.assert_allclose(placeOf(self.disc, "T11/T12"), before)
        self.node.InvokeEvent(markups.PointEndInteractionEvent)
        self.wait()
        self.assertGreater(placeOf(self.disc, "T11/T12")[0] - before[0], 2.0)

    def test_after_it_is_told_to_stop_discs_follow_at_once(self):
        before = placeOf(self.disc, "T11/T12")
        self.move("T12", (9.0, 0.0, 0.0))
        self.follower.follow(None)
        between = placeOf(self.disc, "T11/T12")
        self.assertGreater(between[0] - before[0], 2.0)
        with mock.patch.object(discs, "discPoints", side_effect=AssertionError):
            self.wait()
        self.move("T12", (9.0, 0.0, 0.0))
        self.assertEqual(self.waiting, [])
        self.assertGreater(placeOf(self.disc, "T11/T12")[0] - between[0], 2.0)

    def test_a_deleted_list_does_no_harm(self):
        self.move("T12", (9.0, 0.0, 0.0))
        slicer.mrmlScene.RemoveNode(self.node)
        self.wait()


class TestOnTheCt(unittest.TestCase):
    def test_discs_are_those_that_the_ct_shows(self):
        slicer.mrmlScene.Clear()
        volume, found, true = tilted_bodies()
        volumeNode = slicer.util.addVolumeFromArray(volume.array, volume.ijk_to_ras, "CT")
        node = points.createPointsNode(volumeNode)
        points.writeLabels(node, SpineLabels(tuple(found)), volumeNode)
        seen = {disc.name: disc for disc in discs.discPoints(node)}
        self.assertEqual([seen[name].seen for name in true], [True] * 3)
        for name, (origin, up) in true.items():
            self.assertLess(np.degrees(np.arccos(seen[name].plane.up @ up)), 0.7)
            self.assertLess(np.linalg.norm(seen[name].plane.origin - origin), 0.5)
        self.assertFalse(any(disc.seen for disc in discs.discPoints(node, onCt=False)))
