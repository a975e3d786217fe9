"""A volume that changes after its points were settled: no run counts the levels from another picture unasked."""

import json

import numpy as np
import slicer
import vtk
from changed_case import UP, ChangedCase, matrixOf, move, setGeometry
from synthetic_spine import BallLabeler, centers
from VertebraLabelingLib.core.label_warning import ASTRAY
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, found_in, points
from VertebraLabelingMRML.undo import UndoStack
from vtk.util.numpy_support import numpy_to_vtk

from VertebraLabeling import VertebraLabelingLogic


class TestRefusals(ChangedCase):
    def test_other_voxels_are_refused(self):
        self.rollVoxels()
        self.assertRefused("The voxels of 'CT' have changed")

    def test_other_voxels_are_refused_after_reload_too(self):
        self.reload()
        self.rollVoxels()
        self.assertRefused("The voxels of 'CT' have changed")

    def test_another_size_is_refused(self):
        array = slicer.util.arrayFromVolume(self.volumeNode)
        slicer.util.updateVolumeFromArray(self.volumeNode, array[4:].copy())
        self.assertRefused("The size of 'CT' has changed")

    def test_another_spacing_and_a_mirror_are_refused(self):
        for factors in ((1, 1, 1.1, 1), (-1, 1, 1, 1)):
            with self.subTest(factors):
                self.setUp()
                setGeometry(self.volumeNode, np.diag(factors))
                self.assertRefused("The spacing or the axes of 'CT' have changed")

    def test_a_hardened_warp_is_refused(self):
        warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        field = vtk.vtkImageData()
        field.SetDimensions(3, 3, 9)
        field.SetOrigin(-100, -100, -200)
        field.SetSpacing(100, 100, 50)
        field.AllocateScalars(vtk.VTK_DOUBLE, 3)
        shifts = np.zeros((81, 3))
        shifts[27:54, 2] = 30
        field.GetPointData().SetScalars(numpy_to_vtk(shifts, deep=True))
        grid = vtk.vtkGridTransform()
        grid.SetDisplacementGridData(field)
        warp.SetAndObserveTransformFromParent(grid)
        self.volumeNode.SetAndObserveTransformNodeID(warp.GetID())
        self.volumeNode.HardenTransform()
        self.assertRefused("of 'CT' ha(s|ve) changed")

    def test_a_single_other_voxel_is_refused(self):
        """Wherever it lies: in one of many rows, within a row, changed by little."""
        array = slicer.util.arrayFromVolume(self.volumeNode)
        rng = np.random.default_rng(0)
        for place in zip(*(rng.integers(count, size=12) for count in array.shape)):
            array[place] += 1
            self.assertRefused("The voxels of 'CT' have changed")
            array[place] -= 1
        row = array[array.shape[0] // 2, 1]
        row[10], row[11] = row[10] + 5, row[11] - 5  # the same sum
        self.assertRefused("The voxels of 'CT' have changed")
        row[10], row[11] = row[10] - 5, row[11] + 5
        self.logic.label(self.volumeNode)

    def test_a_moved_point_is_refused_like_a_confirmed_one(self):
        self.unsettle()
        place = np.add(centers()["L1"], (0, 3, 0))
        self.node.SetNthControlPointPositionWorld(self.index("L1"), place)
        self.rollVoxels()
        self.assertRefused("The voxels of 'CT' have changed")

    def test_predicted_points_alone_are_not_refused(self):
        self.unsettle()
        self.rollVoxels()
        self.logic.label(self.volumeNode)
        self.assertEqual([point.level for point in self.labels().points], list(centers()))

    def test_an_unchanged_volume_is_labeled_again_also_after_reload(self):
        for again in (lambda: None, self.reload):
            again()
            self.assertIs(self.logic.label(self.volumeNode), self.node)
            self.assertIn("L1", self.labeler.fixed[-1])
            self.assertFound(centers())

    def test_a_scene_without_that_memory_is_trusted_as_ever(self):
        whole = self.labels().provenance[found_in.FOUND_IN]
        damaged = (
            {key: whole[key] for key in ("size", "digest")},
            {**whole, "size": "abc"},
            {**whole, "digest": 5},
            {**whole, "ijkToWorld": [[10**400] * 4] * 4},
            {**whole, "ijkToWorld": [[float("nan")] * 4] * 4},
            {**whole, "ijkToWorld": [[1.0] * 4] * 4},
            {**whole, "ijkToWorld": [*whole["ijkToWorld"][:3], [0, 0, 0, 2]]},
            {**whole, "ijkToWorld": [*([*row[:3], 1e7] for row in whole["ijkToWorld"][:3]), [0, 0, 0, 1]]},
            {**whole, "ijkToWorld": np.diag([1e-308, 1e-308, 1e-308, 1.0]).tolist()},
            {**whole, "places": 7},
            {**whole, "beside": [[0.0, 0.0, 0.0]]},
            {**whole, "beside": "abc"},
            {**whole, "beside": [[float("nan")] * 3] * whole["size"][2]},
        )
        for memory in (None, [], "x", *damaged):
            provenance = {**self.labels().provenance, found_in.FOUND_IN: memory}
            self.node.SetAttribute(points.PROVENANCE, json.dumps(provenance))
            self.rollVoxels()
            with self.subTest(memory):
                self.logic.label(self.volumeNode)
                self.assertIn("L1", self.labeler.fixed[-1])


class TestKeep(ChangedCase):
    def test_true_uses_the_points_as_they_stand_and_remembers_the_new_voxels(self):
        self.rollVoxels()
        place = self.labels().by_level["L1"].ras
        self.logic.label(self.volumeNode, keep=True)
        self.assertEqual(self.labeler.fixed[-1], {"L1": place})
        self.logic.label(self.volumeNode)
        self.assertEqual(self.labeler.fixed[-1], {"L1": place})

    def test_false_goes_on_without_them(self):
        self.rollVoxels()
        self.logic.label(self.volumeNode, keep=False)
        self.assertIsNone(self.labeler.fixed[-1])
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})
        self.assertEqual({point.status for point in self.labels().points}, {"predicted"})

    def test_undo_after_that_brings_them_back_and_with_them_the_refusal(self):
        before, stack = self.labels(), UndoStack()
        self.rollVoxels()
        self.logic.label(self.volumeNode, keep=False)
        stack.remember(self.node, "labeling", before)
        stack.undo(self.node)
        self.assertEqual(self.labels().points, before.points)
        self.assertRefused("The voxels of 'CT' have changed")

    def test_false_uses_them_where_nothing_has_changed(self):
        self.logic.label(self.volumeNode, keep=False)
        self.assertIn("L1", self.labeler.fixed[-1])


class TestConfirmedAgain(ChangedCase):
    """Whoever confirms in the new voxels has said that the points hold there."""

    def test_all_settled_points_confirmed_again_are_used(self):
        self.rollVoxels()
        self.node.SetNthControlPointPositionWorld(self.index("L1"), np.add(centers()["L1"], UP))
        corrections.confirm(self.node, [self.index("L1")])
        self.logic.label(self.volumeNode)
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})

    def test_one_of_two_is_not_enough(self):
        corrections.confirm(self.node, [self.index("T9")])
        self.rollVoxels()
        corrections.confirm(self.node, [self.index("T9")])
        with self.assertRaisesRegex(InputError, r"\(T9, L1\)"):
            self.logic.label(self.volumeNode)

    def test_confirming_what_stands_still_does_not_hide_that_the_volume_was_moved(self):
        move(self.volumeNode, matrixOf(*UP))
        corrections.confirm(self.node, [self.index("L1")])
        self.logic.label(self.volumeNode)
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})


class TestMoves(ChangedCase):
    def assertFollows(self, matrix):
        self.logic.label(self.volumeNode)
        expected = {level: tuple((matrix @ [*ras, 1.0])[:3]) for level, ras in centers().items()}
        self.assertFound(expected)
        after = self.labels()
        self.assertEqual([point.level for point in after.points if point.status == "confirmed"], ["L1"])
        self.assertEqual([warning for warning in after.warnings if warning.kind == ASTRAY], [])

    def test_settled_points_go_along_with_a_volume_under_a_transform_or_hardened(self):
        for matrix in (matrixOf(*UP), matrixOf(5, -8, -31.0), matrixOf(20, 4, 9, degrees=20)):
            for harden in (False, True):
                with self.subTest(matrix=matrix.tolist(), harden=harden):
                    self.setUp()
                    move(self.volumeNode, matrix, harden)
                    self.assertFollows(matrix)
                    self.assertFollows(matrix)

    def test_also_after_reload(self):
        self.reload()
        move(self.volumeNode, matrixOf(*UP), harden=True)
        self.assertFollows(matrixOf(*UP))

    def test_points_that_have_gone_along_already_are_not_moved_twice(self):
        for harden in (False, True):
            with self.subTest(harden=harden):
                self.setUp()
                for node in (self.volumeNode, self.node):
                    move(node, matrixOf(*UP), harden)
                place = self.labels().by_level["L1"].ras
                self.logic.label(self.volumeNode)
                self.assertLess(np.abs(np.subtract(self.labels().by_level["L1"].ras, place)).max(), 1e-3)
                self.assertLess(np.abs(np.subtract(place, np.add(centers()["L1"], UP))).max(), 1.5)

    def test_a_point_named_after_the_move_stays_and_one_named_before_goes_along(self):
        move(self.volumeNode, matrixOf(40, 0, 0))
        place = np.add(centers()["T10"], (40, 0, 0))
        self.node.SetNthControlPointPositionWorld(self.index("T10"), place)
        self.logic.label(self.volumeNode)
        self.assertFound({level: np.add(ras, (40, 0, 0)) for level, ras in centers().items()})

    def test_a_correction_before_the_move_is_remembered_at_its_place(self):
        corrections.shift(self.node, 1)
        before = self.labels()
        move(self.volumeNode, matrixOf(*UP))
        self.logic.label(self.volumeNode)
        self.assertFound({point.level: np.add(point.ras, UP) for point in before.points})


class TestAstray(ChangedCase):
    def astray(self):
        return [warning.levels for warning in self.labels().warnings if warning.kind == ASTRAY]

    def test_a_settled_point_far_from_all_that_was_seen_is_told(self):
        far = np.add(centers()["L1"], (40.0, 0, 0))
        self.node.SetNthControlPointPositionWorld(self.index("L1"), far)
        self.logic.label(self.volumeNode)
        self.assertEqual(self.astray(), [("L1",)])
        self.reload()
        self.assertEqual(self.astray(), [("L1",)])

    def test_the_warning_goes_with_a_better_place_and_speaks_of_new_names(self):
        self.node.SetNthControlPointPositionWorld(self.index("L1"), np.add(centers()["L1"], (40.0, 0, 0)))
        self.logic.label(self.volumeNode)
        corrections.shift(self.node, 1)
        self.assertEqual(self.astray(), [("L2",)])
        corrections.shift(self.node, -1)
        self.node.SetNthControlPointPositionWorld(self.index("L1"), centers()["L1"])
        self.logic.label(self.volumeNode)
        self.assertEqual(self.astray(), [])


class ChangingLabeler(BallLabeler):
    """Something happens to the volume while it is labeled."""

    def __init__(self, change):
        super().__init__()
        self.change = change

    def label(self, volume, *arguments, **options):
        labels = super().label(volume, *arguments, **options)
        self.change()
        return labels


class TestDuringARun(ChangedCase):
    def runWith(self, change, **options):
        return VertebraLabelingLogic(ChangingLabeler(change)).label(self.volumeNode, **options)

    def test_other_voxels_end_it_with_a_sentence(self):
        before = self.labels()
        with self.assertRaisesRegex(InputError, "The voxels of 'CT' have changed during the labeling.*label it again"):
            self.runWith(self.rollVoxels)
        self.assertEqual(self.labels().points, before.points)

    def test_another_spacing_ends_it_and_leaves_no_node(self):
        count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode")
        slicer.mrmlScene.RemoveNode(self.node)
        with self.assertRaisesRegex(InputError, "spacing or the axes"):
            self.runWith(lambda: setGeometry(self.volumeNode, np.diag([1, 1, 1.2, 1])))
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode"), count - 1)

    def test_a_moved_volume_takes_found_and_settled_points_along(self):
        self.runWith(lambda: move(self.volumeNode, matrixOf(*UP)))
        self.assertFound({level: np.add(ras, UP) for level, ras in centers().items()})

    def test_a_point_confirmed_meanwhile_is_kept(self):
        self.runWith(lambda: corrections.confirm(self.node, [self.index("T10")]))
        settled = [point.level for point in self.labels().points if point.status == "confirmed"]
        self.assertEqual(settled, ["T10", "L1"])

    def test_a_name_given_meanwhile_names_the_others_as_after_the_run(self):
        """L1 is confirmed beforehand, so it is first set free: the new name tells all others by one."""
        slicer.mrmlScene.RemoveNode(self.node)
        self.node = VertebraLabelingLogic(BallLabeler()).label(self.volumeNode)
        self.runWith(lambda: corrections.nameAs(self.node, self.index("T10"), "T11"))
        self.assertEqual([point.level for point in self.labels().points], list(centers("T9", "L5")))
        self.assertEqual(len({point.ras for point in self.labels().points}), len(centers()))

    def test_a_name_typed_meanwhile_and_one_confirmed_before_both_hold(self):
        self.runWith(lambda: self.node.SetNthControlPointLabel(self.index("T10"), "T11"))
        levels = [point.level for point in self.labels().points]
        self.assertEqual(levels, ["T9", "T10", "T11", "T12", "T13", "L1", "L2", "L3", "L4"])
        self.assertEqual(len({point.ras for point in self.labels().points}), len(centers()))

    def test_a_moved_point_that_was_deleted_meanwhile_does_not_come_back_as_moved(self):
        self.node.SetNthControlPointPositionWorld(self.index("T10"), np.add(centers()["T10"], (0, 4, 0)))
        self.runWith(lambda: corrections.delete(self.node, self.index("T10")))
        self.assertNotIn("moved", [point.status for point in self.labels().points])
