"""A CT with irregular or tilted slices, as Slicer's DICOM reader loads it: under the transform that places them."""

import numpy as np
import slicer
import vtk
from acquisition import SIZE, SPACING, addAcquisitionTransform, addScan, positionsAt
from labeled_case import LabeledCase
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, levels, volumes
from VertebraLabelingMRML.undo import UndoStack

from VertebraLabeling import VertebraLabelingLogic

EVEN = np.arange(-150.0, 150.0, 2.5)  # mm
COLUMNS = np.eye(3)[:, :2] * SPACING
TILTED = (0.0, np.tan(np.radians(18)), 1.0)


def jittered(by, seed=3):
    return EVEN + np.random.default_rng(seed).uniform(-by, by, len(EVEN))


def twoDistances():
    heights = np.cumsum(np.random.default_rng(5).choice([1.5, 3.0], size=140))
    return heights - heights.mean()


def addTransform(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def turned(degrees, *offset):
    angle, matrix = np.radians(degrees), np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = offset or (0, 0, 0)
    return matrix


def mapped(matrix, places):
    return {level: tuple((matrix @ [*ras, 1.0])[:3]) for level, ras in places.items()}


class AcquisitionCase(LabeledCase):
    def setUp(self):
        super().setUp()
        self.labeler = BallLabeler()
        self.logic = VertebraLabelingLogic(self.labeler)

    def label(self, volumeNode=None, **options):
        self.volumeNode = volumeNode if volumeNode is not None else self.volumeNode
        self.node = self.logic.label(self.volumeNode, **options)

    def assertFound(self, expected=None, within=0.5):
        expected = expected or centers()
        found = self.labels().by_level
        self.assertEqual(list(found), list(expected))
        apart = [np.linalg.norm(np.subtract(found[level].ras, ras)) for level, ras in expected.items()]
        self.assertLess(max(apart), within)

    def said(self):
        return " ".join(str(warning) for warning in self.labels().warnings)

    def assertRefused(self, words, **options):
        count = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(InputError, words) as raised:
            self.logic.label(self.volumeNode, **options)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)
        return str(raised.exception)


class TestPlaces(AcquisitionCase):
    def test_points_lie_where_the_slices_of_the_scanner_lay(self):
        series = {
            "irregular": positionsAt(jittered(0.8)),
            "two distances": positionsAt(twoDistances()),
            "missing slices": positionsAt(np.delete(EVEN, [20, 50, 51])),
            "tilted": positionsAt(EVEN, TILTED),
            "tilted and irregular": positionsAt(jittered(0.8), TILTED),
            "foot to head": positionsAt(jittered(0.8)[::-1], TILTED),
        }
        for name, positions in series.items():
            with self.subTest(name):
                slicer.mrmlScene.Clear()
                self.label(addScan(positions))
                self.assertFound()

    def test_without_the_transform_they_would_not(self):
        """The volumes are hard enough: taken out of the transform, points are millimeters off."""
        for positions in (positionsAt(twoDistances()), positionsAt(EVEN, TILTED)):
            self.label(addScan(positions))
            truth = self.labels().by_level
            self.volumeNode.SetAndObserveTransformNodeID(None)
            self.label()
            apart = [np.linalg.norm(np.subtract(p.ras, truth[p.level].ras)) for p in self.labels().points]
            self.assertGreater(max(apart), 4.0)

    def test_rows_and_columns_may_run_along_any_axes(self):
        axes = turned(30)[:3, :3] @ np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
        normal = np.cross(axes[:, 0], axes[:, 1])
        middle = np.mean(list(centers().values()), axis=0)
        corner = middle - axes[:, :2] @ (np.array(SPACING) * (np.array(SIZE) - 1) / 2)
        corner[2] = 0.0
        self.label(addScan(corner + np.outer(jittered(0.8), normal), axes[:, :2]))
        self.assertFound()

    def test_the_network_sees_the_true_distance_of_slices(self):
        self.label(addScan(positionsAt(EVEN, TILTED)))
        step = self.labeler.volumes[-1].ijk_to_ras[:3, 2]
        self.assertLess(np.abs(step - np.multiply(2.5, TILTED)).max(), 1e-3)
        self.label(addScan(positionsAt(np.repeat(EVEN[::4], 2) + np.tile([0.0, 4.0], 30))))  # 4 and 6 mm apart
        seen = self.labeler.volumes[-1]
        self.assertAlmostEqual(seen.spacing[2] * (len(seen.array) - 1), 58 * 5 + 4, delta=0.01)

    def test_voxels_are_copied_only_where_slices_have_to_be_interpolated(self):
        for positions, copied in ((positionsAt(jittered(0.01)), False), (positionsAt(jittered(0.8)), True)):
            self.label(addScan(positions))
            shared = np.shares_memory(self.labeler.volumes[-1].array, slicer.util.arrayFromVolume(self.volumeNode))
            self.assertEqual(shared, not copied)
            self.assertEqual("interpolated, so check the levels there" in self.said(), copied)

    def test_the_report_does_not_bear_the_name_of_the_volume(self):
        """A file may be named after its patient."""
        volumeNode = addScan(positionsAt(jittered(0.8)))
        volumeNode.SetName("Jane Doe")
        self.label(volumeNode)
        text = levels.reportText(self.node)
        self.assertIn("interpolated, so check the levels there", text)
        self.assertNotIn("Jane Doe", text)

    def test_a_tilt_is_told(self):
        self.label(addScan(positionsAt(EVEN, TILTED)))
        self.assertIn("The gantry is tilted by 18 degrees", self.said())

    def test_linear_transforms_above_and_below_count_too(self):
        matrix = turned(25, 30, -20, 100)
        volumeNode = addScan(positionsAt(jittered(0.8), TILTED))
        volumeNode.GetParentTransformNode().SetAndObserveTransformNodeID(addTransform(matrix).GetID())
        self.label(volumeNode)
        self.assertFound(mapped(matrix, centers()))

    def test_a_scan_that_was_moved_below_its_acquisition_transform_is_placed_as_slicer_shows_it(self):
        volumeNode = addScan(positionsAt(jittered(0.8), TILTED))
        below = addTransform(turned(0, 12, -7, 0))
        below.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
        volumeNode.SetAndObserveTransformNodeID(below.GetID())
        self.label(volumeNode)
        self.assertFound(mapped(turned(0, 12, -7, 0), centers()))
        slicer.util.updateTransformMatrixFromArray(below, turned(0, 0, 0, 10))  # the displacements of other slices
        self.assertRefused("The slices of 'CT' do not line up")

    def test_also_after_saving_and_loading(self):
        self.label(addScan(positionsAt(jittered(0.8), TILTED)))
        corrections.confirm(self.node, [self.index("L1")])
        self.reload()
        self.assertIsNotNone(self.volumeNode.GetParentTransformNode())
        self.label()
        self.assertFound()
        self.assertIn("L1", self.labeler.fixed[-1])

    def test_a_transform_that_is_stored_the_other_way_round(self):
        positions = positionsAt(jittered(0.8))
        volumeNode = addScan(positions)
        slicer.mrmlScene.RemoveNode(volumeNode.GetParentTransformNode())
        mirrored = 2 * positionsAt(np.linspace(positions[0, 2], positions[-1, 2], len(positions))) - positions
        addAcquisitionTransform(volumeNode, mirrored, COLUMNS, inverse=True)
        self.label(volumeNode)
        self.assertFound(within=1.0)


class TestRefusals(AcquisitionCase):
    def test_other_transforms_are_refused_with_the_advice_to_harden_only(self):
        self.volumeNode = addVolume()
        bSpline = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
        plate = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        plate.SetAndObserveTransformToParent(thinPlate())
        for transform in (bSpline, plate):
            self.volumeNode.SetAndObserveTransformNodeID(transform.GetID())
            sentence = self.assertRefused("'CT' stands under a non-linear transform: harden it")
            self.assertNotRegex(sentence, "take it|out of|remove")

    def test_a_grid_that_varies_within_a_slice_is_another_transform(self):
        for bend in (0.3, 8.0):
            self.volumeNode = addScan(positionsAt(EVEN))
            slicer.mrmlScene.RemoveNode(self.volumeNode.GetParentTransformNode())
            addAcquisitionTransform(self.volumeNode, positionsAt(EVEN), COLUMNS, bend=bend)
            self.assertRefused("non-linear transform: harden it")

    def test_a_grid_across_the_slices_is_another_transform(self):
        other = addScan(positionsAt(jittered(0.8)), name="other")
        self.volumeNode = addVolume(directions=np.eye(3)[[2, 0, 1]])
        self.volumeNode.SetAndObserveTransformNodeID(other.GetTransformNodeID())
        self.assertRefused("non-linear transform: harden it")

    def test_slices_that_make_no_volume_are_refused(self):
        aside = positionsAt(EVEN)
        aside[40:60, 0] += 3.0
        for positions, words in (
            (aside, "The slices of 'CT' do not line up"),
            (positionsAt(np.delete(EVEN, range(40, 50))), "hole of 28 mm between slices of 'CT'"),
        ):
            self.volumeNode = addScan(positions)
            self.assertRefused(words)
            slicer.mrmlScene.Clear()


class TestSettledPoints(AcquisitionCase):
    def setUp(self):
        super().setUp()
        self.label(addScan(positionsAt(jittered(0.8), TILTED)))
        corrections.confirm(self.node, [self.index("L1")])

    def test_the_same_volume_is_labeled_again(self):
        self.label()
        self.assertEqual(list(self.labeler.fixed[-1]), ["L1"])
        self.assertFound()

    def test_without_the_transform_or_with_another_it_is_another_volume(self):
        acquisition = self.volumeNode.GetTransformNodeID()
        self.volumeNode.SetAndObserveTransformNodeID(None)
        self.assertRefused("The spacing or the axes of 'CT' have changed since its points were found")
        self.volumeNode.SetAndObserveTransformNodeID(acquisition)
        self.label()
        self.volumeNode.SetAndObserveTransformNodeID(None)
        heights = jittered(0.8)
        heights[5:-5] += 1.0
        addAcquisitionTransform(self.volumeNode, positionsAt(heights, TILTED), COLUMNS)
        self.assertRefused("The places of the slices of 'CT' have changed since its points were found")

    def test_they_go_along_with_a_move(self):
        matrix = turned(20, 5, -8, 31)
        self.volumeNode.GetParentTransformNode().SetAndObserveTransformNodeID(addTransform(matrix).GetID())
        self.label()
        self.assertFound(mapped(matrix, centers()))

    def test_corrections_and_undo_leave_the_places(self):
        stack, before = UndoStack(), self.labels().points
        stack.remember(self.node, "name")
        corrections.nameAs(self.node, self.index("T12"), "L1")
        self.assertEqual([point.ras for point in self.labels().points], [point.ras for point in before])
        corrections.shift(self.node, -1)
        self.label()
        self.assertFound()
        stack.undo(self.node)
        self.assertEqual(self.labels().points, before)
        self.label()
        self.assertFound()

    def test_slices_that_are_placed_otherwise_during_a_run_end_it(self):
        class Changing(BallLabeler):
            def label(labeler, *arguments, **options):
                self.volumeNode.SetAndObserveTransformNodeID(None)
                return super().label(*arguments, **options)

        self.logic = VertebraLabelingLogic(Changing())
        self.assertRefused("'CT' have changed during the labeling.*label it again")

    def test_a_volume_that_lost_its_voxels_can_still_be_corrected(self):
        self.volumeNode.SetAndObserveImageData(None)
        corrections.confirm(self.node, [self.index("T9")])
        self.assertEqual(self.labels().by_level["T9"].status, "confirmed")
        with self.assertRaisesRegex(InputError, "holds no voxels"):
            volumes.volumeFromNode(self.volumeNode)


def thinPlate():
    plate = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        source.InsertNextPoint(np.multiply(corner, 100.0))
        target.InsertNextPoint(np.multiply(corner, 100.0))
    source.InsertNextPoint(50, 50, 50)
    target.InsertNextPoint(50, 60, 50)
    plate.SetBasisToR()
    plate.SetSourceLandmarks(source)
    plate.SetTargetLandmarks(target)
    return plate
