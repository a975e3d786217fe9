"""Corrections on real nodes: one word of the user, the solver names the rest, in well under a second, undoable."""

from dataclasses import replace
from unittest import mock

import numpy as np
import slicer
from balls import centers
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingLib.core.label_warning import ASTRAY, CUT, IMPLANTS, LAST_RIB, NO_GPU, SHIFT, LabelWarning
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.solver.chain import relabel
from VertebraLabelingMRML import corrections, points
from VertebraLabelingMRML.undo import DEPTH, UndoStack

from VertebraLabeling import VertebraLabelingLogic

LEVELS = list(centers())
DOUBT, SLOW = LabelWarning(SHIFT, landmarks=(LAST_RIB,)), LabelWarning(NO_GPU)


class CorrectionCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.node = VertebraLabelingLogic(BallLabeler()).label(addVolume())

    def levels(self):
        return [each.point.level for each in points.levelPoints(self.node)]

    def place(self, level):
        return points.readLabels(self.node).by_level[level].ras

    def status(self, level):
        return points.readLabels(self.node).by_level[level].status

    def warn(self):
        """Let the field of view end inside T8 and L4, and the count be in doubt; returns the warnings."""
        labels = self.labels()
        corners = labels.evidence.corners.copy()
        top, bottom = labels.points[0].ras[2] + 5.0, labels.points[-1].ras[2] - 5.0
        corners[:, 2] = np.where(corners[:, 2] > corners[:, 2].mean(), top, bottom)
        solved = relabel(replace(labels, evidence=replace(labels.evidence, corners=corners)), {})
        points.writeLabels(self.node, replace(solved, warnings=(DOUBT, *solved.warnings, SLOW)))
        return list(self.labels().warnings)


class TestNaming(CorrectionCase):
    def test_naming_one_vertebra_renames_the_rest(self):
        where = self.place("T12")
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        self.assertEqual((self.place("L1"), self.status("L1")), (where, "confirmed"))

    def test_the_solver_is_asked_once(self):
        """How long it takes is measured with the solver's own tests."""
        with mock.patch.object(corrections, "relabel", wraps=corrections.relabel) as relabelled:
            corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(relabelled.call_count, 1)

    def test_it_works_after_a_reload_of_the_scene_without_torch(self):
        import subprocess
        import sys
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/scene.mrb"
            slicer.util.saveScene(path, properties={})
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path, properties={})
        self.node = slicer.util.getNode("CT vertebrae")
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        if not hasattr(slicer.app, "commandOptions"):
            code = (
                f"import sys; sys.path.insert(0, {str(Path(corrections.__file__).parents[1])!r}); "
                "from VertebraLabelingMRML import corrections; assert 'torch' not in sys.modules"
            )
            subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

    def test_control_points_keep_their_identity(self):
        before = self.node.GetNthControlPointID(self.index("T12"))
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(self.node.GetNthControlPointID(self.index("L1")), before)

    def test_an_impossible_name_changes_nothing(self):
        corrections.confirm(self.node, [self.index("T8")])
        before = self.labels()
        for index, level in ((self.index("T12"), "X1"), (99, "L1")):
            with self.subTest(level), self.assertRaises(InputError):
                corrections.nameAs(self.node, index, level)
            self.assertEqual(self.labels().points, before.points)

    def test_a_node_without_evidence_gets_a_sentence(self):
        self.node.SetAttribute(points.EVIDENCE, None)
        with self.assertRaisesRegex(InputError, "label the scan again"):
            corrections.nameAs(self.node, self.index("T12"), "L1")

    def test_a_node_under_a_transform_is_named_in_world_space(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.eye(4)
        matrix[:3, 3] = (30, 40, -50)
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        where = self.place("T12")
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertLess(np.abs(np.subtract(self.place("L1"), where)).max(), 1e-3)
        self.assertEqual(self.levels(), list(centers("T9", "L5")))


class TestFollowing(CorrectionCase):
    def test_a_point_dragged_onto_the_next_vertebra_takes_the_others_along(self):
        self.node.SetNthControlPointPositionWorld(self.index("L1"), self.place("L2"))
        corrections.follow(self.node)
        self.assertEqual(self.levels(), list(centers("T7", "L3")))
        self.assertEqual(self.status("L1"), "moved")

    def test_a_small_drag_renames_nothing(self):
        place = tuple(np.add(self.place("L1"), (3, -2, 2)))
        self.node.SetNthControlPointPositionWorld(self.index("L1"), place)
        corrections.follow(self.node)
        self.assertEqual(self.levels(), LEVELS)
        self.assertLess(np.abs(np.subtract(self.place("L1"), place)).max(), 1e-6)

    def test_without_evidence_the_point_is_only_marked_as_moved(self):
        self.node.SetAttribute(points.EVIDENCE, None)
        self.node.SetNthControlPointPositionWorld(self.index("L1"), (1.0, 2.0, 3.0))
        corrections.follow(self.node)
        described = LabeledPoint.parse_description(self.node.GetNthControlPointDescription(self.index("L1")))
        self.assertEqual(described["status"], "moved")


class TestShifting(CorrectionCase):
    def test_shifting_down_and_up_renames_all_by_one(self):
        corrections.shift(self.node, 1)
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        corrections.shift(self.node, -1)
        self.assertEqual(self.levels(), LEVELS)

    def test_positions_stay(self):
        before = slicer.util.arrayFromMarkupsControlPoints(self.node, world=True)
        corrections.shift(self.node, 1)
        after = slicer.util.arrayFromMarkupsControlPoints(self.node, world=True)
        self.assertLess(np.abs(after - before).max(), 1e-9)

    def test_the_shift_holds_in_a_second_run(self):
        corrections.shift(self.node, 1)
        node = VertebraLabelingLogic(BallLabeler()).label(points.sourceVolume(self.node))
        self.assertIs(node, self.node)
        self.assertEqual(self.levels(), list(centers("T9", "L5")))

    def test_warnings_follow_the_new_names_and_doubt_about_the_count_goes(self):
        def cut(level):
            return LabelWarning(CUT, (level,))

        self.assertEqual(self.warn(), [DOUBT, cut("T8"), cut("L4"), SLOW])
        corrections.shift(self.node, 1)
        self.assertEqual(list(self.labels().warnings), [cut("T9"), cut("L5"), SLOW])
        corrections.shift(self.node, -1)
        self.assertEqual(list(self.labels().warnings), [cut("T8"), cut("L4"), SLOW])

    def test_warnings_are_those_of_naming_one_vertebra_one_level_down(self):
        self.warn()
        before = self.labels()
        corrections.shift(self.node, 1)
        after = self.labels().warnings
        points.writeLabels(self.node, before)
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual(after, self.labels().warnings)

    def test_the_spine_does_not_pass_its_ends(self):
        corrections.shift(self.node, 1)
        with self.assertRaisesRegex(InputError, "below L5"):
            corrections.shift(self.node, 1)
        self.assertEqual(self.levels(), list(centers("T9", "L5")))

    def test_names_shift_past_variants_and_over_gaps(self):
        cases = [
            (["T11", "T12", "L1"], 1, ["T12", "L1", "L2"]),
            (["T12", "T13", "L1"], 1, ["L1", "L2", "L3"]),
            (["T11", "T12", "T13", "L1"], -1, ["T10", "T11", "T12", "L1"]),
            (["T10", "T12", "L1"], -1, ["T9", "T11", "T12"]),
            (["L3", "L4", "L5", "L6"], -1, ["L2", "L3", "L4", "L5"]),
        ]
        for levels, step, expected in cases:
            with self.subTest(levels=levels):
                self.assertEqual(corrections.shifted(levels, step), expected)
        for levels, step in ((["C1", "C2"], -1), (["L4", "L5"], 1), (["T13", "L1"], 1)):
            with self.subTest(levels=levels), self.assertRaises(InputError):
                corrections.shifted(levels, step)


class TestAddingAndDeleting(CorrectionCase):
    def test_a_deleted_false_vertebra_makes_the_others_close_up(self):
        corrections.delete(self.node, self.index("T8"))
        self.assertEqual(self.levels(), LEVELS[1:])

    def test_a_vertebra_deleted_from_the_middle_leaves_the_evidence_too(self):
        where = self.place("T12")
        corrections.delete(self.node, self.index("T12"))
        remaining = points.readLabels(self.node).evidence.points
        self.assertGreater(np.linalg.norm(remaining - np.array(where), axis=1).min(), 10)
        self.assertEqual(len(self.levels()), len(LEVELS) - 1)

    def test_a_missed_vertebra_is_put_back_where_the_gap_is(self):
        where = self.place("T12")
        corrections.delete(self.node, self.index("T12"))
        above = next(
            each.index
            for each, below in zip(points.levelPoints(self.node), points.levelPoints(self.node)[1:])
            if each.point.ras[2] - below.point.ras[2] > 45
        )
        level = corrections.addBelow(self.node, above)
        self.assertEqual(self.levels(), LEVELS)
        self.assertEqual(level, "T12")
        self.assertLess(np.linalg.norm(np.subtract(self.place("T12"), where)), 3.0)
        self.assertEqual(self.status("T12"), "confirmed")

    def test_all_can_be_deleted(self):
        for _ in LEVELS:
            corrections.delete(self.node, 0)
        self.assertEqual(self.levels(), [])

    def test_there_is_nothing_to_add_below_the_last(self):
        with self.assertRaisesRegex(InputError, "no vertebra below L4"):
            corrections.addBelow(self.node, self.index("L4"))


class TestConfirming(CorrectionCase):
    def test_confirmed_points_say_so_and_the_others_do_not(self):
        corrections.confirm(self.node, [self.index("T9"), self.index("L1")])
        confirmed = [level for level in LEVELS if self.status(level) == "confirmed"]
        self.assertEqual(confirmed, ["T9", "L1"])
        self.assertIn("confidence=1.00;status=confirmed", self.node.GetNthControlPointDescription(self.index("T9")))

    def test_doubt_about_the_count_goes_with_the_first_confirmed_point_and_other_warnings_stay(self):
        before = self.warn()
        corrections.confirm(self.node, [])
        self.assertEqual(list(self.labels().warnings), before)
        corrections.confirm(self.node, [self.index("L1")])
        self.assertEqual(list(self.labels().warnings), before[1:])

    def test_a_confirmed_point_holds_its_name_against_the_solver_in_a_second_run(self):
        corrections.nameAs(self.node, self.index("T12"), "L1")
        labeler = BallLabeler()
        VertebraLabelingLogic(labeler).label(points.sourceVolume(self.node))
        self.assertIn("L1", labeler.fixed[-1])
        self.assertEqual(self.levels(), list(centers("T9", "L5")))


class TestWarningsOfPlaces(CorrectionCase):
    """Metal lies at a vertebra, whatever that is named."""

    def setUp(self):
        super().setUp()
        told = (LabelWarning(IMPLANTS, ("T10", "T12")), LabelWarning(ASTRAY, ("T10",)), SLOW)
        points.writeLabels(self.node, replace(self.labels(), warnings=told))

    def told(self):
        return {each.kind: each.levels for each in self.labels().warnings if each.kind in (IMPLANTS, ASTRAY)}

    def test_they_follow_every_correction(self):
        corrections.nameAs(self.node, self.index("L1"), "L2")
        self.assertEqual(self.told(), {IMPLANTS: ("T11", "L1"), ASTRAY: ("T11",)})
        corrections.shift(self.node, -1)
        self.assertEqual(self.told(), {IMPLANTS: ("T10", "T12"), ASTRAY: ("T10",)})
        self.node.SetNthControlPointPositionWorld(self.index("T12"), np.add(self.place("T12"), (0, 5, 2)))
        corrections.follow(self.node)
        self.assertEqual(self.told(), {IMPLANTS: ("T10", "T12"), ASTRAY: ("T10",)})
        self.assertIn(SLOW, self.labels().warnings)

    def test_they_go_with_the_vertebra_that_is_deleted(self):
        corrections.delete(self.node, self.index("T8"))
        first = self.told()
        self.assertEqual(len(first[IMPLANTS]), 2)
        corrections.delete(self.node, self.index(first[ASTRAY][0]))
        self.assertEqual([*self.told()], [IMPLANTS])
        self.assertEqual(len(self.told()[IMPLANTS]), 1)


class TestUndo(CorrectionCase):
    def setUp(self):
        super().setUp()
        self.stack = UndoStack()

    def test_steps_are_taken_back_one_by_one(self):
        first = self.labels()
        self.stack.remember(self.node, "one")
        corrections.nameAs(self.node, self.index("T12"), "L1")
        second = self.labels()
        self.stack.remember(self.node, "two")
        corrections.delete(self.node, 0)
        self.assertEqual(self.stack.next(self.node), "two")
        self.assertEqual(self.stack.undo(self.node), "two")
        self.assertEqual(self.labels().points, second.points)
        self.assertEqual(self.stack.undo(self.node), "one")
        self.assertEqual(self.labels().points, first.points)
        self.assertEqual(self.labels().evidence.to_json(), first.evidence.to_json())
        self.assertEqual(self.stack.undo(self.node), "")

    def test_nodes_do_not_mix(self):
        other = VertebraLabelingLogic(BallLabeler()).label(addVolume(name="other"))
        self.stack.remember(self.node, "mine")
        self.stack.remember(other, "other's")
        self.assertEqual(self.stack.next(self.node), "mine")
        slicer.mrmlScene.RemoveNode(other)
        self.stack.dropDeleted()
        self.assertEqual(self.stack.undo(self.node), "mine")

    def test_the_stack_is_small(self):
        for step in range(DEPTH + 20):
            self.stack.remember(self.node, str(step))
        self.assertEqual(len(self.stack._steps), DEPTH)
        self.assertEqual(self.stack.next(self.node), str(DEPTH + 19))
