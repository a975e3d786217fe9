"""What the user set on control points in Markups stays with its vertebra; lists that are too small are told of."""

import unittest
from dataclasses import replace

import numpy as np
import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import control_points, corrections, display, points
from VertebraLabelingMRML.editor import Editor
from VertebraLabelingMRML.watcher import PointsWatcher

from VertebraLabeling import VertebraLabelingLogic

ALL = list(centers())


class MarkupsCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.logic = VertebraLabelingLogic(BallLabeler())
        self.volumeNode = addVolume()
        self.node = self.logic.label(self.volumeNode)

    def names(self):
        return [self.node.GetNthControlPointLabel(i) for i in range(self.node.GetNumberOfControlPoints())]

    def index(self, level):
        return self.names().index(level)

    def runAgain(self):
        self.logic.label(self.volumeNode, self.node)


class TestMarks(MarkupsCase):
    """T9 is locked, T11 hidden, L2 unselected, that is in the other color."""

    def setUp(self):
        super().setUp()
        display.showConfidence(self.node, 0.7)
        self.node.SetNthControlPointLocked(self.index("T9"), True)
        self.node.SetNthControlPointVisibility(self.index("T11"), False)
        self.node.SetNthControlPointSelected(self.index("L2"), False)
        self.expected = self.marks()
        self.assertEqual(self.expected[:3], (["T9"], ["T11"], ["L2"]))

    def marks(self):
        """Levels that are locked, hidden and unselected once the display is up to date, and all names."""
        display.showConfidence(self.node, 0.7)
        node, levels = self.node, points.levelPoints(self.node)
        locked = [each.point.level for each in levels if node.GetNthControlPointLocked(each.index)]
        hidden = [each.point.level for each in levels if not node.GetNthControlPointVisibility(each.index)]
        other = [each.point.level for each in levels if not node.GetNthControlPointSelected(each.index)]
        return locked, hidden, other, self.names()

    def assertMarksAre(self, locked, hidden, other):
        self.assertEqual(self.marks()[:3], ([locked], [hidden], [other]))

    def test_they_stay_in_a_second_run_and_after_reload(self):
        self.runAgain()
        self.assertEqual(self.marks(), self.expected)
        self.reload()
        self.assertEqual(self.marks(), self.expected)
        self.runAgain()
        self.assertEqual(self.marks(), self.expected)

    def test_they_stay_with_the_vertebra_when_it_is_named_anew(self):
        corrections.shift(self.node, 1)
        self.assertMarksAre("T10", "T12", "L3")
        corrections.shift(self.node, -1)
        self.assertEqual(self.marks(), self.expected)

    def test_they_stay_when_vertebrae_are_confirmed_dragged_deleted_and_added(self):
        editor = Editor()
        editor.confirm(self.node)
        self.assertEqual(self.marks(), self.expected)
        before = points.readLabels(self.node)
        place = np.add(before.by_level["T12"].ras, (0, 3, 0))
        self.node.SetNthControlPointPositionWorld(self.index("T12"), place)
        editor.dragged(self.node, ["T12"], before)
        self.assertEqual(self.marks(), self.expected)
        editor.delete(self.node, [self.index("T8")])
        self.assertEqual(self.marks()[:3], self.expected[:3])
        while editor.undo(self.node):
            pass
        self.assertEqual(self.marks(), self.expected)

    def test_they_stay_when_a_missed_vertebra_is_added_between(self):
        corrections.delete(self.node, self.index("T10"))
        gap = points.readLabels(self.node)
        above = next(each for each in points.levelPoints(self.node) if each.point.level == gap.points[1].level)
        self.assertTrue(self.node.GetNthControlPointLocked(above.index))
        corrections.addBelow(self.node, above.index)
        self.assertEqual(self.names(), sorted(self.names(), key=control_points.LEVEL_INDEX.get))
        self.assertEqual([len(each) for each in self.marks()[:3]], [1, 1, 1])
        self.assertEqual(self.names()[1], self.marks()[0][0])

    def test_they_go_along_when_the_volume_is_moved_by_a_vertebra(self):
        matrix = np.eye(4)
        matrix[2, 3] = 27.0
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        self.volumeNode.SetAndObserveTransformNodeID(transform.GetID())
        self.runAgain()
        self.assertEqual(self.marks(), self.expected)

    def test_a_deleted_vertebra_leaves_no_mark_on_another(self):
        keep = tuple(point for point in points.readLabels(self.node).points if point.level != "T9")
        points.writeLabels(self.node, replace(points.readLabels(self.node), points=keep))
        self.assertEqual(self.marks()[0], [])
        self.runAgain()
        self.assertEqual((self.marks()[0], self.names()), ([], ALL))

    def test_control_points_that_are_no_level_keep_theirs(self):
        index = self.node.AddControlPointWorld([1.0, 2.0, 3.0], "biopsy")
        self.node.SetNthControlPointLocked(index, True)
        corrections.delete(self.node, self.index("T8"))
        self.runAgain()
        self.assertTrue(self.node.GetNthControlPointLocked(self.index("biopsy")))
        self.assertEqual(self.marks()[0], ["T9"])

    def test_the_module_s_amber_still_follows_the_confidence(self):
        self.node.SetNthControlPointDescription(self.index("T12"), "confidence=0.30;status=predicted")
        display.showConfidence(self.node, 0.7)
        self.assertFalse(self.node.GetNthControlPointSelected(self.index("T12")))
        display.showConfidence(self.node, 0.1)
        self.assertTrue(self.node.GetNthControlPointSelected(self.index("T12")))


class TestNames(MarkupsCase):
    def test_what_a_user_types_is_read_as_the_level_that_it_means(self):
        for typed in ("l1", " L1 ", "l-1", "L 1", "l - 1\t"):
            self.assertEqual(control_points.levelOf(typed), "L1", typed)
        self.assertEqual(control_points.levelOf("t12"), "T12")
        for other in ("", "1", "L", "L1/2", "T1-2", "T1 2", "L01", "L9", "C8", "S1", "L1 biopsy", "l\u0661", "\u017f1"):
            self.assertIsNone(control_points.levelOf(other), other)

    def test_a_typed_name_is_mended_where_the_points_are_watched(self):
        calls = []
        watcher = PointsWatcher(lambda: None, lambda *unused: None, lambda ms, function: calls.append(function))
        watcher.watch(self.node)
        for typed in ("l1", " L1 ", "l-1"):
            self.node.SetNthControlPointLabel(ALL.index("L1"), typed)
            for call in calls[:]:
                call()
            self.assertEqual(self.names(), ALL)
        self.assertEqual(points.userPoints(self.node), {})
        watcher.watch(None)

    def test_a_vertebra_named_by_such_a_name_is_confirmed_and_not_doubled(self):
        for typed in ("l1", " L1 ", "l-1"):
            with self.subTest(typed):
                self.setUp()
                self.node.SetNthControlPointLabel(self.index("T12"), typed)
                self.node.RemoveNthControlPoint(self.index("L1"))
                self.assertEqual(points.readLabels(self.node).by_level["L1"].status, "confirmed")
                self.runAgain()
                self.assertEqual(self.names(), list(centers("T9", "L5")))

    def test_a_second_point_of_a_level_is_told_and_left_as_typed(self):
        self.node.SetNthControlPointLabel(self.index("T12"), "l1")
        control_points.mendNames(self.node)
        self.assertIn("l1", self.names())
        with self.assertRaisesRegex(InputError, "The level L1 is used twice"):
            corrections.shift(self.node, 1)

    def test_two_settled_points_of_one_level_are_told_by_a_run(self):
        before = self.node.GetNumberOfControlPoints()
        for typed in ("L1", "l1"):
            self.node.AddControlPointWorld([1.0, 2.0, 300.0], typed)
        with self.assertRaisesRegex(InputError, "The level L1 is used twice"):
            self.runAgain()
        self.assertEqual(self.node.GetNumberOfControlPoints(), before + 2)

    def test_a_point_without_a_position_is_not_doubled(self):
        cases = (self.node.UnsetNthControlPointPosition, self.node.SetNthControlPointPositionMissing)
        for take in cases:
            with self.subTest(take):
                take(self.index("T12"))
                self.runAgain()
                self.assertEqual(self.names(), ALL)
                self.assertEqual([point.level for point in points.readLabels(self.node).points], ALL)

    def test_a_point_without_a_position_that_no_run_finds_stays(self):
        self.node.AddControlPointWorld([0.0, 0.0, 0.0], "C2")
        self.node.UnsetNthControlPointPosition(self.index("C2"))
        self.runAgain()
        self.assertEqual(self.names(), [*ALL, "C2"])


class TestRoom(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        self.labeler = BallLabeler()
        self.logic = VertebraLabelingLogic(self.labeler)
        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        self.volumeNode = addVolume()

    def state(self):
        node = self.node
        names = [node.GetNthControlPointLabel(i) for i in range(node.GetNumberOfControlPoints())]
        return names, slicer.util.arrayFromMarkupsControlPoints(node).tolist(), dict.fromkeys(node.GetAttributeNames())

    def assertTold(self, words, action=None):
        before = self.state()
        with self.assertRaisesRegex(InputError, words):
            action() if action else self.logic.label(self.volumeNode, self.node)
        self.assertEqual(self.state(), before)

    def test_a_list_with_a_fixed_number_of_points_is_told_before_the_run(self):
        self.node.AddControlPointWorld([1.0, 2.0, 3.0], "biopsy")
        self.node.SetFixedNumberOfControlPoints(True)
        self.assertTold("'mine' has a fixed number of points")
        self.assertEqual(self.labeler.volumes, [])

    def test_a_full_list_is_told_before_the_run(self):
        self.node.AddControlPointWorld([1.0, 2.0, 3.0], "biopsy")
        self.node.SetMaximumNumberOfControlPoints(1)
        self.assertTold("'mine' takes 1 points at most")
        self.assertEqual(self.labeler.volumes, [])

    def test_a_list_that_is_too_small_for_what_was_found_stays_as_it_is(self):
        self.node.SetMaximumNumberOfControlPoints(len(ALL) - 1)
        self.assertTold(f"'mine' takes {len(ALL) - 1} points at most and would need {len(ALL)}: choose another")

    def test_a_list_that_is_just_large_enough_is_filled_again_and_again(self):
        self.node.SetMaximumNumberOfControlPoints(len(ALL))
        for fixed in (False, True, True):
            self.logic.label(self.volumeNode, self.node)
            self.assertEqual(self.state()[0], ALL)
            self.node.SetFixedNumberOfControlPoints(fixed)

    def test_corrections_that_need_another_number_are_told_and_undone(self):
        self.logic.label(self.volumeNode, self.node)
        self.node.SetFixedNumberOfControlPoints(True)
        editor = Editor()
        self.assertTold("fixed number", lambda: editor.addBelow(self.node, 2))
        self.assertTold("fixed number", lambda: editor.delete(self.node, [0]))
        self.assertEqual(editor.undo(self.node), "")
        editor.shift(self.node, 1)
        self.assertEqual(self.state()[0], list(centers("T9", "L5")))
