"""A point list that is moved: with its volume, without it, or not while the volume is."""

import numpy as np
import slicer
from changed_case import UP, ChangedCase, matrixOf, move
from synthetic_spine import BallLabeler, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, points
from VertebraLabelingMRML.editor import Editor
from VertebraLabelingMRML.undo import UndoStack

from VertebraLabeling import VertebraLabelingLogic

MOVES = {
    "up by a vertebra": matrixOf(*UP),
    "down by a vertebra": matrixOf(2, -3, -28.0),
    "turned": matrixOf(20, 4, 9, degrees=20),
}
ALONE = "'CT vertebrae' was moved without 'CT'"


class TestWithoutTheVolume(ChangedCase):
    def test_it_is_noticed_under_a_transform_and_hardened_and_after_reload(self):
        for name, matrix in MOVES.items():
            for harden in (False, True):
                with self.subTest(name, harden=harden):
                    self.setUp()
                    move(self.node, matrix, harden)
                    if harden:  # every point looks as if the user had dragged it
                        with self.assertRaisesRegex(InputError, f"{ALONE} since its points were found"):
                            self.logic.label(self.volumeNode)
                    else:
                        self.assertRefused(ALONE)
        self.reload()
        with self.assertRaisesRegex(InputError, ALONE):
            self.logic.label(self.volumeNode)

    def test_keep_uses_the_points_as_they_stand_or_goes_on_without_them(self):
        move(self.node, matrixOf(*UP))
        place = self.labels().by_level["L1"].ras
        self.logic.label(self.volumeNode, keep=False)
        self.assertIsNone(self.labeler.fixed[-1])
        self.assertFound(centers())
        self.setUp()
        move(self.node, matrixOf(*UP))
        self.logic.label(self.volumeNode, keep=True)
        self.assertEqual(self.labeler.fixed[-1], {"L1": place})
        self.logic.label(self.volumeNode)  # they have been found there now
        self.assertEqual(self.labeler.fixed[-1], {"L1": place})

    def test_corrections_in_between_do_not_hide_it(self):
        def shiftBack():
            corrections.shift(self.node, -1)
            corrections.shift(self.node, 1)

        def drag():
            place = np.add(self.labels().by_level["T10"].ras, (0, 6, 0))
            self.node.SetNthControlPointPositionWorld(self.index("T10"), place)
            points.updateStatus(self.node)

        for correct in (
            lambda: corrections.confirm(self.node, [self.index("T9")]),
            lambda: corrections.nameAs(self.node, self.index("L1"), "T12"),
            lambda: corrections.shift(self.node, 1),
            lambda: corrections.delete(self.node, self.index("T8")),
            shiftBack,
            drag,
        ):
            self.setUp()
            move(self.node, matrixOf(*UP))
            correct()
            with self.assertRaisesRegex(InputError, ALONE):
                self.logic.label(self.volumeNode)

    def test_confirming_all_settled_points_says_that_they_are_right_where_they_are(self):
        move(self.node, matrixOf(0, 0, 9.0))
        place = self.labels().by_level["L1"].ras
        corrections.confirm(self.node, [self.index("L1")])
        self.logic.label(self.volumeNode)
        self.assertEqual(self.labeler.fixed[-1], {"L1": place})

    def test_moved_back_it_is_as_ever(self):
        move(self.node, matrixOf(*UP))
        move(self.node, np.eye(4))
        self.logic.label(self.volumeNode)
        self.assertIn("L1", self.labeler.fixed[-1])

    def test_undo_after_a_move_brings_the_points_back_to_their_vertebrae(self):
        stack = UndoStack()
        stack.remember(self.node, "confirmation")
        corrections.confirm(self.node, [self.index("T9")])
        move(self.node, matrixOf(*UP))
        stack.undo(self.node)
        self.logic.label(self.volumeNode)
        self.assertFound(centers())

    def test_a_small_move_or_points_that_were_dragged_one_by_one_are_the_users_business(self):
        move(self.node, matrixOf(0, 1, 2.0))
        self.logic.label(self.volumeNode)
        self.setUp()
        rng = np.random.default_rng(1)
        for level, ras in centers().items():
            self.node.SetNthControlPointPositionWorld(self.index(level), np.add(ras, rng.uniform(3, 8, 3)))
        self.logic.label(self.volumeNode)
        self.assertIn("L1", self.labeler.fixed[-1])

    def test_names_typed_one_level_further_are_no_move(self):
        for index in reversed(range(self.node.GetNumberOfControlPoints())):
            level = self.node.GetNthControlPointLabel(index)
            following = [*list(centers("T8", "L5"))][list(centers("T8", "L5")).index(level) + 1]
            self.node.SetNthControlPointLabel(index, following)
        self.logic.label(self.volumeNode)
        self.assertEqual(list(self.labels().by_level), list(centers("T9", "L5")))

    def test_during_a_run_it_ends_it_with_a_sentence(self):
        class Moving(BallLabeler):
            def label(labeler, *arguments, **options):
                move(self.node, matrixOf(*UP))
                return super().label(*arguments, **options)

        before = self.labels()
        with self.assertRaisesRegex(InputError, "'CT vertebrae' was moved during the labeling: .* label again"):
            VertebraLabelingLogic(Moving()).label(self.volumeNode)
        self.assertEqual([point.level for point in self.labels().points], [point.level for point in before.points])

    def test_together_with_its_volume_during_a_run_it_is_followed(self):
        class Moving(BallLabeler):
            def label(labeler, *arguments, **options):
                labels = super().label(*arguments, **options)
                for node in (self.node, self.volumeNode):
                    move(node, matrixOf(*UP))
                return labels

        VertebraLabelingLogic(Moving()).label(self.volumeNode)
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})


class TestCorrectionsAfterTheVolumeWasMoved(ChangedCase):
    """The points still stand where the volume was: corrections speak of these places, what is placed by hand of now."""

    def setUp(self):
        super().setUp()
        corrections.delete(self.node, self.index("T11"))
        move(self.volumeNode, matrixOf(*UP))

    def assertGoesAlong(self, expected):
        self.logic.label(self.volumeNode)
        self.assertFound({level: np.add(ras, UP) for level, ras in expected.items()})

    def test_an_added_vertebra_goes_along(self):
        corrections.addBelow(self.node, self.index("T10"))
        self.assertGoesAlong(centers())

    def test_shifted_names_go_along(self):
        corrections.shift(self.node, 1)
        before = {point.level: point.ras for point in self.labels().points}
        self.logic.label(self.volumeNode)
        found = self.labels().by_level
        for level, ras in before.items():
            self.assertLess(np.abs(np.subtract(found[level].ras, np.add(ras, UP))).max(), 1.5)

    def test_a_vertebra_that_is_placed_by_hand_where_it_is_now_stays(self):
        place = np.add(centers()["T11"], UP)
        self.node.AddControlPointWorld(list(place), "T11")
        corrections.confirm(self.node, [self.index("T9")])
        self.logic.label(self.volumeNode)
        self.assertLess(np.abs(np.subtract(self.labels().by_level["T11"].ras, place)).max(), 0.01)
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})

    def test_whatever_became_of_the_volume_they_work(self):
        for matrix in (np.diag([1.0, 0.0, 1.0, 1.0]), np.diag([-1.0, 1, 1, 1]), np.full((4, 4), np.nan)):
            move(self.volumeNode, matrix)
            corrections.confirm(self.node, [self.index("T9")])
            corrections.shift(self.node, 1)
            corrections.shift(self.node, -1)


class TestDraggedPoints(ChangedCase):
    """The volume is moved after a point was dragged and the others were not named again around it."""

    def dragged(self, level, offset):
        """The place of a point that was dragged in the panel, *name the others again* being off."""
        before, place = self.labels(), np.add(self.labels().by_level[level].ras, offset)
        self.node.SetNthControlPointPositionWorld(self.index(level), place)
        Editor().dragged(self.node, [level], before, follow=False)
        return place

    def test_a_dragged_point_goes_along(self):
        for offset in ((0, 0, 9.0), (0, 3.0, 14.0), (18.0, 0, 10.0), (0, 0, -9.0)):
            for matrix in (matrixOf(*UP), matrixOf(0, 0, 16.0)):
                with self.subTest(offset=offset, by=matrix[2, 3]):
                    self.setUp()
                    place = self.dragged("T11", offset)
                    move(self.volumeNode, matrix)
                    self.logic.label(self.volumeNode)
                    apart = [np.linalg.norm(p.ras - np.add(place, matrix[:3, 3])) for p in self.labels().points]
                    self.assertLess(min(apart), 0.01)

    def test_with_the_list_it_is_not_moved_twice(self):
        place = np.add(self.dragged("T11", (0, 0, 9.0)), UP)
        for node in (self.volumeNode, self.node):
            move(node, matrixOf(*UP))
        self.logic.label(self.volumeNode)
        self.assertLess(min(np.linalg.norm(np.subtract(p.ras, place)) for p in self.labels().points), 0.01)

    def test_points_of_no_run_are_not_taken_for_labeled_ones(self):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        node.AddControlPointWorld([1.0, 2.0, 3.0], "l1")
        self.assertEqual(points.updateStatus(node), ["L1"])
        self.assertFalse(points.wasLabeled(node))

    def test_dragged_to_its_vertebra_after_the_move_it_stays_there(self):
        move(self.volumeNode, matrixOf(*UP))
        place = self.dragged("T11", UP)
        self.logic.label(self.volumeNode)
        self.assertLess(np.abs(np.subtract(self.labels().by_level["T11"].ras, place)).max(), 0.01)
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})
