"""Undo on a real node, where the node is not what it was when the change was made."""

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
