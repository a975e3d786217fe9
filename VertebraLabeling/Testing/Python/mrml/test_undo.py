"""Undo on a real node, where the node is not what it was when the change was made."""

import numpy as np
import slicer
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML.editor import Editor

from VertebraLabeling import VertebraLabelingLogic


class UndoCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addVolume()
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)
        self.editor = Editor()

    def places(self):
        return {point.level: point.ras for point in self.labels().points}


class TestRefused(UndoCase):
    def test_what_cannot_be_taken_back_now_can_be_later(self):
        self.editor.delete(self.node, [self.index("T12")])
        self.node.SetFixedNumberOfControlPoints(True)
        with self.assertRaisesRegex(InputError, "fixed number of points"):
            self.editor.undo(self.node)
        self.node.SetFixedNumberOfControlPoints(False)
        self.assertEqual(self.editor.undo(self.node), "deletion")
        self.assertEqual(list(self.places()), list(centers()))


class TestNothingDone(UndoCase):
    def test_what_changes_nothing_is_no_step(self):
        self.editor.countBy(self.node, "above")
        self.editor.name(self.node, self.index("T12"), "T12")
        steps = ["'this is T12'", "counting"]
        for again in (
            lambda: self.editor.countBy(self.node, "above"),
            lambda: self.editor.confirm(self.node, [self.index("T12")]),
            lambda: self.editor.confirm(self.node, []),
            lambda: self.editor.delete(self.node, []),
            lambda: self.editor.name(self.node, self.index("T12"), "T12"),
        ):
            again()
        self.assertEqual([self.editor.undo(self.node), self.editor.undo(self.node)], steps)
        self.assertEqual(self.editor.undo(self.node), "")


class TestDeletion(UndoCase):
    def test_what_is_chosen_is_deleted_in_whatever_order_the_points_stand(self):
        for one, other in ((0, 8), (3, 7), (1, 2)):
            self.node.SwapControlPoints(one, other)
        before, chosen = self.places(), ("T9", "T11", "L3")
        self.editor.delete(self.node, [self.index(level) for level in chosen])
        left = {tuple(round(value, 1) for value in ras) for ras in self.places().values()}
        gone = {level for level, ras in before.items() if tuple(round(value, 1) for value in ras) not in left}
        self.assertEqual(gone, set(chosen))

    def test_a_point_that_was_added_by_hand_is_deleted_with_others(self):
        x, y, z = self.places()["T8"]
        self.node.AddControlPointWorld([x, y, z + 25.0], "T7")
        self.editor.delete(self.node, [self.index("T7"), self.index("T9")])
        self.assertNotIn("T7", self.places())
        self.assertEqual(self.node.GetNumberOfControlPoints(), len(centers()) - 1)
        self.assertEqual(self.editor.undo(self.node), "deletion")
        self.assertEqual(set(self.places()), {"T7", *centers()})


class TestMoved(UndoCase):
    """Between a change and its undo the list is moved: what is taken back is where the list is."""

    def setUp(self):
        super().setUp()
        self.before = self.labels()
        self.editor.confirm(self.node, [self.index("L1")])
        self.editor.delete(self.node, [self.index("T10")])

    def move(self, nodes, matrix, harden=False):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        for node in nodes:
            node.SetAndObserveTransformNodeID(transform.GetID())
            if harden:
                node.HardenTransform()

    def turned(self, degrees, shift):
        matrix = np.eye(4)
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        matrix[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
        matrix[:3, 3] = shift
        return matrix

    def undoAll(self):
        self.assertEqual([self.editor.undo(self.node) for _ in range(3)], ["deletion", "confirmation", ""])

    def assertStandsAt(self, matrix):
        self.assertEqual([point.status for point in self.labels().points], ["predicted"] * len(centers()))
        for level, ras in self.places().items():
            want = matrix @ [*self.before.by_level[level].ras, 1.0]
            self.assertLess(np.abs(want[:3] - ras).max(), 0.01, level)
        want = self.before.evidence.points @ matrix[:3, :3].T + matrix[:3, 3]
        self.assertLess(np.abs(want - self.labels().evidence.points).max(), 0.1)

    def test_undo_brings_back_the_points_where_they_are_now(self):
        scaled = np.diag([1.1, 0.9, 1.2, 1.0])
        motions = {
            "shift": self.turned(0, (0, 0, 50)),
            "small": self.turned(0, (0, 3, 0)),
            "turn": self.turned(35, (10, 5, -40)),
        }
        for name, matrix in motions.items():
            for harden in (False, True):
                with self.subTest(name, harden=harden):
                    self.setUp()
                    self.move((self.volumeNode, self.node), matrix, harden)
                    self.undoAll()
                    self.assertStandsAt(matrix)
        with self.subTest("scaled"):
            self.setUp()
            self.move((self.volumeNode, self.node), scaled)
            self.undoAll()
            self.assertStandsAt(scaled)

    def test_a_move_between_two_changes_is_kept_by_the_undo_of_both(self):
        matrix = self.turned(20, (0, 30, -20))
        self.move((self.volumeNode, self.node), matrix, harden=True)
        self.editor.shift(self.node, 1)
        self.assertEqual(self.editor.undo(self.node), "shift down")
        self.undoAll()
        self.assertStandsAt(matrix)

    def test_where_the_volume_stayed_they_come_back_in_the_volume(self):
        for harden in (False, True):
            with self.subTest(harden=harden):
                self.setUp()
                self.move((self.node,), self.turned(35, (10, 5, -40)), harden)
                self.undoAll()
                self.assertStandsAt(np.eye(4))

    def test_a_list_whose_volume_is_gone_is_where_it_is(self):
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        matrix = self.turned(35, (10, 5, -40))
        self.move((self.node,), matrix, harden=True)
        self.undoAll()
        self.assertStandsAt(matrix)

    def test_where_the_points_would_be_is_not_guessed(self):
        self.move((self.volumeNode, self.node), np.diag([1.3, 1.3, 1.5, 1.0]), harden=True)
        before = self.all()
        with self.assertRaisesRegex(InputError, "moved or bent since then"):
            self.editor.undo(self.node)
        self.assertEqual(self.all(), before)

    def test_points_that_were_moved_by_hand_meanwhile_do_not_matter(self):
        for index in (0, 3):
            x, y, z = self.node.GetNthControlPointPosition(index)
            self.node.SetNthControlPointPosition(index, x + 4.0, y, z)
        self.undoAll()
        self.assertStandsAt(np.eye(4))

    def test_a_transform_that_flattens_space_is_told(self):
        before = self.labels()
        self.move((self.volumeNode, self.node), np.diag([0.0, 1.0, 1.0, 1.0]))
        for act in (self.editor.undo, self.editor.confirm, lambda node: self.editor.shift(node, 1)):
            with self.assertRaisesRegex(InputError, "'CT vertebrae' flattens space"):
                act(self.node)
        self.move((self.volumeNode, self.node), np.eye(4))
        self.assertEqual(self.labels().points, before.points)
        self.undoAll()
