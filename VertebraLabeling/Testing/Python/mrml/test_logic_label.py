"""``VertebraLabelingLogic.label`` on real nodes, called as a user of Slicer's Python console calls it."""

import unittest

import numpy as np
import slicer
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.core.labels import LabeledPoint
from VertebraLabelingLib.errors import Cancelled, InputError, NoSpineError
from VertebraLabelingMRML import corrections, labeling, points

from VertebraLabeling import VertebraLabelingLogic


class LogicCase(unittest.TestCase):
    """A clean scene, a volume with balls, and a logic that finds them."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.labeler = BallLabeler()
        self.logic = VertebraLabelingLogic(self.labeler)

    def assertPointsAt(self, node, expected, tolerance=1.0):
        self.assertEqual(labelsOf(node), list(expected))
        found = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
        distance = np.linalg.norm(found - np.array(list(expected.values())), axis=1)
        self.assertLess(distance.max(), tolerance, distance)


def labelsOf(node):
    return [node.GetNthControlPointLabel(index) for index in range(node.GetNumberOfControlPoints())]


def addTransform(matrix, parent=None):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def translation(*offset):
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def rotation(degrees):
    angle = np.radians(degrees)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


def scaling(*factors):
    return np.diag([*factors, 1.0])


def moved(matrix, positions):
    return {level: tuple((matrix @ [*ras, 1.0])[:3]) for level, ras in positions.items()}


class TestPoints(LogicCase):
    def test_each_ball_gets_an_unlocked_point_with_its_level_and_description(self):
        node = self.logic.label(addVolume())
        self.assertEqual(node.GetClassName(), "vtkMRMLMarkupsFiducialNode")
        self.assertPointsAt(node, centers())
        self.assertFalse(node.GetLocked())
        self.assertFalse(any(node.GetNthControlPointLocked(i) for i in range(node.GetNumberOfControlPoints())))
        description = node.GetNthControlPointDescription(labelsOf(node).index("L1"))
        self.assertRegex(description, r"^confidence=0\.\d\d;status=predicted;SCT=66794005$")

    def test_the_engine_sees_the_node_s_own_voxels_without_a_copy(self):
        volumeNode = addVolume()
        self.logic.label(volumeNode)
        self.assertTrue(np.shares_memory(self.labeler.volumes[0].array, slicer.util.arrayFromVolume(volumeNode)))

    def test_axis_order_and_flips_of_the_volume_do_not_matter(self):
        for order, signs in (((2, 0, 1), (1, -1, 1)), ((1, 2, 0), (-1, -1, -1)), ((0, 1, 2), (-1, -1, 1))):
            with self.subTest(order=order, signs=signs):
                slicer.mrmlScene.Clear()
                node = self.logic.label(addVolume(directions=np.eye(3)[list(order)] * signs))
                self.assertPointsAt(node, centers(), tolerance=1.5)

    def test_points_are_right_in_world_space_under_a_linear_transform(self):
        cases = {
            "translation": translation(30, -20, 100),
            "rotation": rotation(25),
            "scaling": scaling(1.1, 0.9, 1.05),
            "mirror": scaling(-1, 1, 1),
        }
        for name, matrix in cases.items():
            with self.subTest(name):
                slicer.mrmlScene.Clear()
                volumeNode = addVolume()
                volumeNode.SetAndObserveTransformNodeID(addTransform(matrix).GetID())
                self.assertPointsAt(self.logic.label(volumeNode), moved(matrix, centers()))

    def test_points_are_right_in_world_space_under_a_chain_of_transforms(self):
        outer, inner = rotation(20), translation(15, 40, -60)
        volumeNode = addVolume()
        volumeNode.SetAndObserveTransformNodeID(addTransform(inner, parent=addTransform(outer)).GetID())
        self.assertPointsAt(self.logic.label(volumeNode), moved(outer @ inner, centers()))

    def test_an_output_node_under_a_transform_of_its_own_gets_the_same_world_positions(self):
        output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        output.SetAndObserveTransformNodeID(addTransform(rotation(40) @ translation(5, 6, 7)).GetID())
        node = self.logic.label(addVolume(), output)
        self.assertIs(node, output)
        self.assertPointsAt(node, centers())
        found = points.readLabels(node).evidence.points
        self.assertLess(np.abs(found - np.array(list(centers().values()))).max(), 1.0)

    def test_progress_and_cancel_reach_the_engine_and_a_cancelled_run_leaves_no_node(self):
        seen = []
        self.logic.label(addVolume(), progress=lambda fraction, stage: seen.append((fraction, stage)))
        self.assertEqual(seen, [(fraction, "finding vertebrae") for fraction in (0.0, 0.25, 0.5, 0.75)])
        slicer.mrmlScene.Clear()
        with self.assertRaises(Cancelled):
            self.logic.label(addVolume(), cancelled=lambda: True)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"), [])


class TestUsersPoints(LogicCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = addVolume()
        self.node = self.logic.label(self.volumeNode)

    def index(self, level):
        return labelsOf(self.node).index(level)

    def test_a_second_run_updates_the_same_node(self):
        again = self.logic.label(self.volumeNode)
        self.assertIs(again, self.node)
        self.assertPointsAt(again, centers())

    def test_a_dragged_point_keeps_its_place_and_is_not_given_to_the_solver_as_a_level(self):
        place = tuple(np.add(centers()["T12"], (4.0, -5.0, 3.0)))
        self.node.SetNthControlPointPositionWorld(self.index("T12"), place)
        self.logic.label(self.volumeNode)
        self.assertIsNone(self.labeler.fixed[-1])
        self.assertPointsAt(self.node, {**centers(), "T12": place})
        description = LabeledPoint.parse_description(self.node.GetNthControlPointDescription(self.index("T12")))
        self.assertEqual(description["status"], "moved")

    def test_a_point_the_user_renamed_anchors_the_names_of_the_others(self):
        self.node.SetNthControlPointLabel(self.index("L2"), "L1")
        self.node.RemoveNthControlPoint(self.index("L1"))
        self.logic.label(self.volumeNode)
        self.assertEqual(labelsOf(self.node), list(centers("T7", "L3")))

    def test_a_point_placed_and_named_by_hand_is_kept(self):
        index = self.node.AddControlPointWorld([1.0, 2.0, 300.0], "T3")
        self.assertEqual(points.levelPoints(self.node)[index].point.status, "confirmed")

    def test_control_points_that_are_no_level_survive_a_second_run(self):
        self.node.AddControlPointWorld([1.0, 2.0, 3.0], "biopsy")
        self.logic.label(self.volumeNode)
        self.assertIn("biopsy", labelsOf(self.node))
        self.assertEqual(len(labelsOf(self.node)), len(centers()) + 1)

    def test_points_found_in_another_volume_are_not_taken_as_known(self):
        self.node.SetNthControlPointPositionWorld(0, (20.0, -30.0, 55.0))
        other = addVolume(name="other")
        self.logic.label(other, self.node, keep=True)
        self.assertIsNone(self.labeler.fixed[-1])
        self.assertPointsAt(self.node, centers())

    def test_runs_that_overlap_update_the_same_node(self):
        volumeNode = addVolume()
        requests = [labeling.prepare(volumeNode) for _ in range(2)]
        first, second = (labeling.finish(each, self.labeler.label(each.volume)) for each in requests)
        self.assertIs(first, second)
        corrections.nameAs(first, 0, "T9")
        self.assertIs(labeling.finish(requests[0], self.labeler.label(requests[0].volume)), first)
        self.assertEqual((labelsOf(first)[0], points.userPoints(first)["T9"].status), ("T9", "confirmed"))
        new = labeling.prepare(volumeNode, newOutput=True)
        self.assertIsNot(labeling.finish(new, self.labeler.label(new.volume)), first)

    def test_two_volumes_get_two_nodes(self):
        self.assertIsNot(self.logic.label(addVolume(name="other")), self.node)

    def test_fixed_points_come_back_confirmed_at_their_place(self):
        place = centers()["L3"]
        node = self.logic.label(addVolume(name="other"), fixed={"L2": place})
        self.assertEqual(labelsOf(node)[0], "T7")
        kept = points.readLabels(node).by_level["L2"]
        self.assertEqual((kept.ras, kept.status), (place, "confirmed"))

    def test_a_known_point_outside_of_the_volume_is_refused(self):
        """It is of another CT: kept, it would give all vertebrae wrong names."""
        place = np.array(centers()["L3"])
        for far in ((0, 0, 400), (200, 0, 0)):
            with self.assertRaisesRegex(InputError, "L2 lies .* outside of other"):
                self.logic.label(addVolume(name="other"), fixed={"L2": tuple(place + far)})


class TestRefusals(LogicCase):
    def assertRefused(self, volumeNode, words, error=InputError):
        before = slicer.mrmlScene.GetNumberOfNodes()
        with self.assertRaisesRegex(error, words):
            self.logic.label(volumeNode)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_no_volume(self):
        self.assertRefused(None, "choose a CT volume")

    def test_a_label_map(self):
        node = slicer.util.addVolumeFromArray(np.zeros((4, 4, 4)), nodeClassName="vtkMRMLLabelMapVolumeNode", name="m")
        self.assertRefused(node, "'m' is a label map")

    def test_a_vector_volume(self):
        node = slicer.util.addVolumeFromArray(np.zeros((3, 4, 4, 4)), nodeClassName="vtkMRMLVectorVolumeNode")
        self.assertRefused(node, "not a scalar volume")

    def test_an_empty_volume_node(self):
        self.assertRefused(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"), "holds no voxels")

    def test_a_single_slice(self):
        self.assertRefused(slicer.util.addVolumeFromArray(np.zeros((1, 64, 64))), "three dimensions")

    def test_a_non_linear_transform(self):
        volumeNode = addVolume()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
        volumeNode.SetAndObserveTransformNodeID(transform.GetID())
        self.assertRefused(volumeNode, "non-linear transform")

    def test_a_singular_transform(self):
        volumeNode = addVolume()
        volumeNode.SetAndObserveTransformNodeID(addTransform(scaling(1, 0, 1)).GetID())
        self.assertRefused(volumeNode, "transform of .CT. flattens space")

    def test_no_spine_in_view(self):
        self.assertRefused(slicer.util.addVolumeFromArray(np.zeros((8, 8, 8))), "No spine", NoSpineError)

    def test_nodes_that_are_not_in_the_scene(self):
        volume, elsewhere = addVolume(), slicer.vtkMRMLScene()
        for scene in (None, elsewhere):
            output, alone = slicer.vtkMRMLMarkupsFiducialNode(), slicer.vtkMRMLScalarVolumeNode()
            output.SetName("mine")
            alone.Copy(volume)
            alone.SetName("alone")
            for node in (output, alone) if scene is not None else ():
                scene.AddNode(node)
            self.assertRefused(alone, "'alone' is not in the scene: add it")
            with self.assertRaisesRegex(InputError, "'mine' is not in the scene: add it"):
                self.logic.label(volume, output)
            self.assertEqual((output.GetNumberOfControlPoints(), self.labeler.volumes), (0, []))
        slicer.mrmlScene.AddNode(output)
        self.assertIs(self.logic.label(volume, output), output)

    def test_an_output_that_is_no_point_list(self):
        curve = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsCurveNode", "line")
        with self.assertRaisesRegex(InputError, "'line' is not a point list"):
            self.logic.label(addVolume(), curve)
