"""``logic.straighten`` on real nodes: its volume and points, in step with corrections, both ways, and its end."""

import gc
import time
import unittest
import weakref

import numpy as np
import slicer
import vtk
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import corrections, points, straightened, volumes

from VertebraLabeling import VertebraLabelingLogic


class OnCall:
    """Stands in for the timer of the panel; what waits is called by :meth:`fire`."""

    made = []  # noqa: RUF012 - all that are not stopped

    def __init__(self, function):
        self.function, self.waits = function, False
        OnCall.made.append(self)

    def start(self, ms):
        self.waits = True

    def stop(self):
        self.function, self.waits = None, False
        OnCall.made.remove(self)

    @classmethod
    def fire(cls):
        waiting = [each for each in cls.made if each.waits]
        for each in waiting:
            each.waits = False
            each.function()
        return len(waiting)


def transformOf(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    return node


def turn():
    matrix = np.eye(4)
    matrix[:2, :2] = [[0.96, -0.28], [0.28, 0.96]]
    matrix[:3, 3] = (30, -20, 60)
    return matrix


class StraightCase(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        OnCall.made.clear()
        self.logic = VertebraLabelingLogic(BallLabeler())
        self.volumeNode = addVolume()
        self.pointsNode = self.logic.label(self.volumeNode)
        self.told = []

    def straighten(self, voxelMm=1.5):
        return straightened.straighten(self.volumeNode, self.pointsNode, voxelMm, OnCall, self.told.append)

    def assertInStep(self, straight):
        """Every vertebra of the source at its place in the volume, in a ball of it, and back."""
        found = {each.point.level: each.point.ras for each in points.levelPoints(straight.pointsNode)}
        wanted = {each.point.level: each.point.ras for each in points.levelPoints(self.pointsNode)}
        self.assertEqual(list(found), list(wanted))
        array, toIjk = slicer.util.arrayFromVolume(straight.volumeNode), self.rasToIjk(straight.volumeNode)
        for level, ras in found.items():
            self.assertLess(np.linalg.norm(np.subtract(straight.toWorld(ras), wanted[level])), 0.05)
            self.assertLess(np.linalg.norm(np.subtract(straight.toStraight(wanted[level]), ras)), 0.05)
            i, j, k = (toIjk @ [*ras, 1.0])[:3].round().astype(int)
            self.assertGreater(array[k, j, i], 400, level)

    def rasToIjk(self, node):
        matrix = vtk.vtkMatrix4x4()
        node.GetRASToIJKMatrix(matrix)
        return slicer.util.arrayFromVTKMatrix(matrix)


class TestNodes(StraightCase):
    def test_every_vertebra_stands_in_its_body_in_the_straightened_volume(self):
        straight = self.straighten()
        self.assertInStep(straight)
        heights = [each.point.ras[2] for each in points.headToFoot(straight.pointsNode)]
        places = points.placesOf(self.pointsNode)
        apart = np.linalg.norm(np.diff(places, axis=0), axis=1)
        np.testing.assert_allclose(-np.diff(heights), apart, rtol=0.03)
        along = straight.alongMm(places[0], places[-1])
        self.assertAlmostEqual(along, heights[0] - heights[-1], delta=0.1)
        straight.end()

    def test_slices_of_any_shape_and_turn(self):
        for name, arguments in {
            "thick": {"spacing": (1.5, 1.5, 5.0)},
            "sagittal": {"directions": np.eye(3)[[2, 0, 1]] * (1, -1, 1), "spacing": (4.0, 2.0, 2.0)},
        }.items():
            with self.subTest(name):
                self.volumeNode = addVolume(name=name, **arguments)
                self.pointsNode = self.logic.label(self.volumeNode)
                straight = self.straighten()
                self.assertInStep(straight)
                straight.end()

    def test_nodes_under_transforms_are_taken_where_they_stand(self):
        node = transformOf(turn())
        for each in (self.volumeNode, self.pointsNode):
            each.SetAndObserveTransformNodeID(node.GetID())
        straight = self.straighten()
        self.assertInStep(straight)
        straight.end()

    def test_the_straightened_volume_stands_beside_the_patient(self):
        straight = self.straighten()
        bounds, patient = [0.0] * 6, [0.0] * 6
        straight.volumeNode.GetRASBounds(bounds)
        self.volumeNode.GetRASBounds(patient)
        self.assertGreater(bounds[0], patient[1])
        for ras in points.placesOf(self.pointsNode):
            self.assertIsNone(straight.toWorld(ras))
        self.assertIsNone(straight.toStraight((0.0, 400.0, 0.0)))
        straight.end()

    def test_it_looks_like_its_volume_and_cannot_be_dragged(self):
        self.volumeNode.CreateDefaultDisplayNodes()
        self.volumeNode.GetDisplayNode().AutoWindowLevelOff()
        self.volumeNode.GetDisplayNode().SetWindowLevel(777, 111)
        straight = self.straighten()
        self.assertEqual(straight.volumeNode.GetDisplayNode().GetWindow(), 777)
        self.assertTrue(straight.pointsNode.GetLocked())
        straight.end()

    def test_it_is_taken_neither_for_a_scan_nor_for_its_points(self):
        straight = self.straighten()
        straight.end()
        self.assertFalse(volumes.isScalarVolume(straight.volumeNode))
        self.assertFalse(points.areVertebrae(straight.pointsNode))
        with self.assertRaisesRegex(InputError, "is a straightened spine: choose the volume that it was made from"):
            self.logic.label(straight.volumeNode)
        with self.assertRaisesRegex(InputError, "shows a straightened spine"):
            self.logic.label(self.volumeNode, straight.pointsNode)
        with self.assertRaisesRegex(InputError, "is a straightened spine"):
            self.logic.straighten(straight.volumeNode, self.pointsNode)


class TestInStep(StraightCase):
    def setUp(self):
        super().setUp()
        self.straight = self.straighten()
        self.addCleanup(self.straight.end)

    def index(self, level):
        return next(each.index for each in points.levelPoints(self.pointsNode) if each.point.level == level)

    def test_a_dragged_point_bends_the_curve_when_it_is_let_go(self):
        markups, index = slicer.vtkMRMLMarkupsNode, self.index("T10")
        place = np.add(self.pointsNode.GetNthControlPointPositionWorld(index), (4.0, 3.0, 0.0))
        self.pointsNode.InvokeEvent(markups.PointStartInteractionEvent)
        self.pointsNode.SetNthControlPointPositionWorld(index, place)
        self.assertEqual(OnCall.fire(), 0)
        self.pointsNode.InvokeEvent(markups.PointEndInteractionEvent)
        self.assertEqual(OnCall.fire(), 1)
        self.assertInStep(self.straight)
        self.assertEqual(self.told, [self.straight])

    def test_names_follow_a_shift_and_a_deletion(self):
        corrections.shift(self.pointsNode, 1)
        OnCall.fire()
        self.assertInStep(self.straight)
        self.pointsNode.RemoveNthControlPoint(0)
        OnCall.fire()
        self.assertInStep(self.straight)

    def test_many_changes_are_one_update(self):
        for step in range(5):
            self.pointsNode.SetNthControlPointPositionWorld(0, *np.add(points.placesOf(self.pointsNode)[0], step / 10))
        self.assertEqual((OnCall.fire(), OnCall.fire()), (1, 0))

    def test_a_transform_that_is_put_on_or_changed_takes_it_along(self):
        node = transformOf(turn())
        for each in (self.volumeNode, self.pointsNode):
            each.SetAndObserveTransformNodeID(node.GetID())
        OnCall.fire()
        self.assertInStep(self.straight)
        slicer.util.updateTransformMatrixFromArray(node, turn() @ turn())
        self.assertEqual(OnCall.fire(), 1)
        self.assertInStep(self.straight)

    def test_new_voxels_are_shown(self):
        slicer.util.arrayFromVolume(self.volumeNode)[...] = 55
        slicer.util.arrayFromVolumeModified(self.volumeNode)
        OnCall.fire()
        shown = slicer.util.arrayFromVolume(self.straight.volumeNode)
        self.assertEqual(shown[shown.shape[0] // 2, shown.shape[1] // 2, shown.shape[2] // 2], 55)

    def test_a_volume_that_was_given_another_place_takes_it_along(self):
        matrix = vtk.vtkMatrix4x4()
        self.volumeNode.GetIJKToRASMatrix(matrix)
        matrix.SetElement(1, 3, matrix.GetElement(1, 3) + 5.0)
        self.volumeNode.SetIJKToRASMatrix(matrix)
        self.assertEqual(OnCall.fire(), 1)

    def test_a_new_name_of_the_volume_changes_nothing(self):
        self.volumeNode.SetName("other")
        self.assertEqual(OnCall.fire(), 0)

    def test_what_cannot_be_straightened_any_more_is_emptied_and_told_and_comes_back(self):
        kept = points.readLabels(self.pointsNode)
        while self.pointsNode.GetNumberOfControlPoints() > 1:
            self.pointsNode.RemoveNthControlPoint(1)
        OnCall.fire()
        self.assertIn("at least two vertebrae", self.straight.problem)
        self.assertEqual(self.straight.pointsNode.GetNumberOfControlPoints(), 0)
        self.assertFalse(slicer.util.arrayFromVolume(self.straight.volumeNode).any())
        self.assertIsNone(self.straight.toStraight(kept.points[0].ras))
        points.writeLabels(self.pointsNode, kept)
        OnCall.fire()
        self.assertEqual(self.straight.problem, "")
        self.assertInStep(self.straight)

    def test_its_own_volume_under_a_transform_still_finds_the_way_back(self):
        self.straight.volumeNode.SetAndObserveTransformNodeID(transformOf(turn()).GetID())
        world = points.placesOf(self.pointsNode)[3]
        place = self.straight.toStraight(world)
        np.testing.assert_allclose(self.straight.toWorld(place), world, atol=0.05)
        self.straight.volumeNode.SetAndObserveTransformNodeID(None)

    def test_a_click_takes_every_view_to_the_place_in_its_own_picture(self):
        views = {}
        for name, volumeNode in (("Usual", self.volumeNode), ("Straight", self.straight.volumeNode)):
            view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode")
            self.addCleanup(slicer.mrmlScene.RemoveNode, view)  # a cleared scene keeps what has a singleton tag
            view.SetLayoutName(name)
            view.SetSingletonTag(name)
            view.SetOrientation("Axial")
            composite = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")
            composite.SetLayoutName(name)
            composite.SetBackgroundVolumeID(volumeNode.GetID())
            views[name] = view
        world = tuple(points.placesOf(self.pointsNode)[4])
        straight = self.straight.toStraight(world)
        for place in (world, straight):
            for view in views.values():
                view.JumpSliceByCentering(0.0, 0.0, 0.0)
            np.testing.assert_allclose(self.straight.jump(place), world, atol=0.05)
            self.assertAlmostEqual(views["Usual"].GetSliceToRAS().GetElement(2, 3), world[2], delta=0.1)
            self.assertAlmostEqual(views["Straight"].GetSliceToRAS().GetElement(2, 3), straight[2], delta=0.1)
        self.assertIsNone(self.straight.jump((0.0, 900.0, 0.0)))


class TestEnd(StraightCase):
    def test_after_the_end_nothing_follows_and_the_nodes_stay(self):
        straight = self.straighten()
        straight.end()
        self.assertEqual(OnCall.made, [])
        before = points.placesOf(straight.pointsNode)
        corrections.shift(self.pointsNode, 1)
        self.assertEqual(OnCall.fire(), 0)
        np.testing.assert_array_equal(points.placesOf(straight.pointsNode), before)
        self.assertFalse(straight.running)
        straight.end()
        straight.update()
        self.assertEqual(self.told, [straight])

    def test_it_ends_with_any_of_its_nodes(self):
        for which in ("source volume", "source points", "volume", "points"):
            with self.subTest(which):
                self.setUp()
                straight = self.straighten()
                nodes = {
                    "source volume": self.volumeNode,
                    "source points": self.pointsNode,
                    "volume": straight.volumeNode,
                    "points": straight.pointsNode,
                }
                slicer.mrmlScene.RemoveNode(nodes[which])
                self.assertFalse(straight.running)
                self.assertEqual(OnCall.made, [])

    def test_it_ends_with_the_scene(self):
        straight = self.straighten()
        slicer.mrmlScene.Clear()
        self.assertFalse(straight.running)
        self.assertIsNone(straight.toWorld((0.0, 0.0, 0.0)))

    def test_nothing_outlives_it(self):
        straight = weakref.ref(self.straighten())
        straight().end()
        self.told.clear()
        gc.collect()
        self.assertIsNone(straight())

    def test_the_logic_uses_a_timer_of_the_application(self):
        straight = self.logic.straighten(self.volumeNode, self.pointsNode, voxelMm=2.0)
        corrections.shift(self.pointsNode, 1)
        until = time.monotonic() + 5
        wanted = [each.point.level for each in points.headToFoot(self.pointsNode)]
        while time.monotonic() < until:
            slicer.app.processEvents()
            if [each.point.level for each in points.headToFoot(straight.pointsNode)] == wanted:
                break
            time.sleep(0.02)
        self.assertInStep(straight)
        straight.end()


class TestRefusals(StraightCase):
    def assertRefused(self, words, volumeNode, pointsNode):
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(InputError, words):
            self.logic.straighten(volumeNode, pointsNode)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_no_nodes(self):
        self.assertRefused("No point list is chosen", self.volumeNode, None)
        self.assertRefused("No volume is chosen", None, self.pointsNode)

    def test_too_few_points(self):
        empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
        self.assertRefused("at least two vertebrae", self.volumeNode, empty)
        empty.AddControlPoint([0, 0, 0], "L1")
        self.assertRefused("at least two vertebrae", self.volumeNode, empty)

    def test_points_in_the_wrong_order(self):
        names = [self.pointsNode.GetNthControlPointLabel(index) for index in (3, 4)]
        for index, name in zip((3, 4), names[::-1]):
            self.pointsNode.SetNthControlPointLabel(index, name)
        self.assertRefused("turns back at", self.volumeNode, self.pointsNode)

    def test_points_of_another_place(self):
        far = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "far")
        for level, ras in centers().items():
            far.AddControlPoint(list(np.add(ras, (500.0, 0, 0))), level)
        self.assertRefused("The points of 'far' lie outside 'CT'", self.volumeNode, far)

    def test_a_bent_transform(self):
        warp = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
        warp.SetAndObserveTransformFromParent(vtk.vtkThinPlateSplineTransform())
        self.volumeNode.SetAndObserveTransformNodeID(warp.GetID())
        self.assertRefused("non-linear transform", self.volumeNode, self.pointsNode)
