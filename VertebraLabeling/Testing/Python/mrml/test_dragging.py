"""Dragging a point says where a vertebra is, not which: confidences and warnings stay what the evidence says."""

import numpy as np
from balls import DoubtfulBallLabeler
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.core.label_warning import SHIFT
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, points
from VertebraLabelingMRML.editor import Editor

from VertebraLabeling import VertebraLabelingLogic

DRAG = (0.0, 2.0, 0.0)


class TestDragging(LabeledCase):
    def setUp(self):
        super().setUp()
        self.node = VertebraLabelingLogic(DoubtfulBallLabeler()).label(addVolume(centers("T4", "T9")))
        self.before = self.labels()
        self.assertTrue(self.isInDoubt())

    def isInDoubt(self):
        return any(warning.kind == SHIFT for warning in self.labels().warnings)

    def drag(self, level, by=DRAG, follow=True):
        before = self.labels()
        place = tuple(np.add(before.by_level[level].ras, by))
        self.node.SetNthControlPointPositionWorld(self.index(level), place)
        Editor().dragged(self.node, [level], before, follow)
        return place

    def runAgain(self, labeler=None):
        VertebraLabelingLogic(labeler or DoubtfulBallLabeler()).label(points.sourceVolume(self.node), self.node)

    def assertAsUnsureAsBefore(self, moved):
        after = self.labels()
        self.assertEqual([point.level for point in after.points], [point.level for point in self.before.points])
        for old, new in zip(self.before.points, after.points):
            self.assertLess(abs(new.confidence - old.confidence), 0.06, (old, new))
        self.assertTrue(self.isInDoubt(), after.warnings)
        self.assertEqual([point.level for point in after.points if point.status != "predicted"], [moved])
        self.assertEqual(after.by_level[moved].status, "moved")

    def test_after_a_drag(self):
        for follow in (True, False):
            with self.subTest(follow=follow):
                place = self.drag("T6", follow=follow)
                self.assertAsUnsureAsBefore("T6")
                self.assertLess(np.abs(np.subtract(self.labels().by_level["T6"].ras, place)).max(), 1e-6)

    def test_after_a_second_run(self):
        place = self.drag("T6")
        self.runAgain()
        self.assertAsUnsureAsBefore("T6")
        self.assertLess(np.abs(np.subtract(self.labels().by_level["T6"].ras, place)).max(), 1e-6)

    def test_after_a_second_run_and_save_and_reload(self):
        place = self.drag("T6")
        self.runAgain()
        before = self.labels()
        self.reload()
        self.assertAsUnsureAsBefore("T6")
        after = self.labels()
        self.assertEqual(after.warnings, before.warnings)
        self.assertEqual([point.confidence for point in after.points], [point.confidence for point in before.points])
        self.assertLess(np.abs(np.subtract(after.by_level["T6"].ras, place)).max(), 1e-3)
        self.runAgain()
        self.assertAsUnsureAsBefore("T6")
        self.assertLess(np.abs(np.subtract(self.labels().by_level["T6"].ras, place)).max(), 1e-3)

    def test_after_save_and_reload_and_a_run_then(self):
        self.drag("T6")
        self.reload()
        self.assertAsUnsureAsBefore("T6")
        self.runAgain()
        self.assertAsUnsureAsBefore("T6")

    def test_a_run_that_counts_otherwise_renames_the_moved_point_too(self):
        place = self.drag("T6")
        labeler = DoubtfulBallLabeler("T5", certainty=6.0)
        self.runAgain(labeler)
        after = self.labels()
        self.assertEqual([point.level for point in after.points], list(centers("T5", "T10")))
        self.assertEqual((after.by_level["T7"].ras, after.by_level["T7"].status), (place, "moved"))

    def test_a_shift_settles_one_level_and_not_that_of_a_moved_point(self):
        self.drag("T6")
        corrections.shift(self.node, 1)
        moved = self.labels().by_level["T7"]
        self.assertEqual(sum(point.status == "confirmed" for point in self.labels().points), 1)
        self.assertTrue(moved.status == "confirmed" or moved.confidence < 1.0, moved)

    def test_naming_confirming_and_adding_settle_a_level(self):
        for settle in (
            lambda: corrections.nameAs(self.node, self.index("T6"), "T6"),
            lambda: corrections.confirm(self.node, [self.index("T6")]),
        ):
            with self.subTest(settle):
                points.writeLabels(self.node, self.before)
                self.drag("T6")
                settle()
                self.assertEqual((self.labels().by_level["T6"].confidence, self.isInDoubt()), (1.0, False))

    def test_a_confirmed_point_that_is_dragged_stays_confirmed(self):
        corrections.confirm(self.node, [self.index("T6")])
        place = self.drag("T6")
        point = self.labels().by_level["T6"]
        self.assertEqual((point.confidence, point.status), (1.0, "confirmed"))
        self.assertLess(np.abs(np.subtract(point.ras, place)).max(), 1e-6)

    def test_a_drag_far_sideways_renames_nothing_and_adds_nothing(self):
        for follow in (True, False):
            with self.subTest(follow=follow):
                points.writeLabels(self.node, self.before)
                self.drag("T6", (15.6, 0.0, 0.0), follow)
                self.drag("T8")
                self.assertEqual([each.level for each in self.labels().points], list(centers("T4", "T9")))

    def test_a_drag_past_confirmed_points_neither_loses_nor_renames_them(self):
        for labeler, balls, levels in (
            (DoubtfulBallLabeler(), ("T4", "T9"), ("T6", "T7", "T8")),
            (BallLabeler("T4"), ("T4", "T9"), ("T6", "T7", "T8")),
            (BallLabeler(), ("T8", "L4"), ("T12", "L1", "L2")),
        ):
            with self.subTest(levels=levels, certainty=labeler.certainty):
                self.node = VertebraLabelingLogic(labeler).label(addVolume(centers(*balls)))
                corrections.confirm(self.node, [self.index(level) for level in levels])
                before = self.labels()
                first, last = (before.by_level[level].ras for level in (levels[0], levels[2]))
                past = np.add(np.subtract(last, first), (0.0, 0.0, -10.0))
                with self.assertRaisesRegex(InputError, f"{levels[1]}.* does not fit together any more"):
                    self.drag(levels[0], past)
                after = self.labels()
                self.assertEqual(set(after.by_level), set(before.by_level))
                for level in set(before.by_level) - {levels[0]}:
                    self.assertEqual(after.by_level[level].ras, before.by_level[level].ras)
                    self.assertEqual(after.by_level[level].status, before.by_level[level].status)
                with self.assertRaisesRegex(InputError, "does not fit together any more"):
                    corrections.delete(self.node, self.index(balls[1]))
                self.assertEqual(self.labels().points, after.points)
                corrections.delete(self.node, self.index(levels[0]))  # the point that was dragged
                self.assertEqual([self.labels().by_level[level].status for level in levels[1:]], ["confirmed"] * 2)
