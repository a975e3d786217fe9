"""Which slices cut across a spine, and which display node shows the points in them."""

import unittest

import numpy as np
import slicer
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingMRML import slice_names, slice_views

from VertebraLabeling import VertebraLabelingLogic

# a spine that bends forward by a quarter of a circle of 200 mm, from upright at the foot to lying at the head
ANGLES = np.radians(np.linspace(90, 0, 10))
BENT = np.stack([np.zeros(10), 200 - 200 * np.cos(ANGLES), 200 * np.sin(ANGLES)], axis=1)


class TestIsAcross(unittest.TestCase):
    def setUp(self):
        self.slice = slicer.vtkMRMLSliceNode()

    def across(self, normal, place, places):
        """Whether a slice with this normal through a place cuts across."""
        transverse = np.cross(normal, (1, 0, 0)) if abs(normal[0]) < 0.9 else np.array([0, 0, 1.0])
        self.slice.SetSliceToRASByNTP(*normal, *transverse, *place, 0)
        return slice_views.isAcross(self.slice, np.array(places, float))

    def test_slices_of_an_upright_spine(self):
        spine = [(0, 0, -25.0 * number) for number in range(8)]
        self.assertTrue(self.across((0, 0, 1), (0, 0, -60), spine))
        self.assertFalse(self.across((1, 0, 0), (0, 0, -60), spine))
        self.assertFalse(self.across((0, 1, 0), (40, 30, 0), spine))

    def test_an_oblique_slice_is_judged_by_the_spine_where_it_cuts(self):
        for place, tangent in ((BENT[1], (0, 1, 0.18)), (BENT[8], (0, 0.18, 1))):
            tangent = np.array(tangent) / np.linalg.norm(tangent)
            normal = np.cross(tangent, (1, 0, 0))
            self.assertTrue(self.across(tangent, place, BENT))
            for angle, expected in ((30, True), (60, False)):
                turned = np.cos(np.radians(angle)) * tangent + np.sin(np.radians(angle)) * normal
                self.assertEqual(self.across(turned, place, BENT), expected)

    def test_a_slice_along_the_whole_of_a_kyphotic_spine_runs_along_it_also_through_the_bend(self):
        heights = np.arange(12) * -20.0
        bent = [(0, -90 * np.exp(-(((height + 110) / 60) ** 2)), height) for height in heights]
        steepest = int(np.abs(np.gradient([place[1] for place in bent])).argmax())
        self.assertGreater(abs(np.gradient([place[1] for place in bent])[steepest]), 20)  # more than 45 degrees there
        self.assertFalse(self.across((0, 1, 0), bent[steepest], bent))
        self.assertTrue(self.across((0, 0, 1), bent[1], bent))

    def test_one_vertebra_and_two_at_one_place(self):
        for spine in ([(1, 2, 3)], [(1, 2, 3), (1, 2, 3)]):
            self.assertTrue(self.across((0, 0, 1), (0, 0, 0), spine))
            self.assertFalse(self.across((1, 0, 0), (0, 0, 0), spine))


class TestTwoDisplayNodes(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        self.views = []
        for name, orientation in (("Across", "Axial"), ("Along", "Sagittal")):
            view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", name)
            view.SetOrientation(orientation)
            self.views.append(view)
            self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        self.node = VertebraLabelingLogic(BallLabeler()).label(addVolume())

    def shownBy(self, view):
        """The display nodes that show the points in a view."""
        displays = (self.node.GetNthDisplayNode(index) for index in range(self.node.GetNumberOfDisplayNodes()))
        return [each for each in displays if each.IsDisplayableInView(view.GetID())]

    def test_a_run_without_the_panel_projects_along_only(self):
        across, along = (self.shownBy(view) for view in self.views)
        self.assertEqual([each.GetSliceProjection() for each in across], [False])
        self.assertEqual([each.GetSliceProjection() for each in along], [False, True])

    def test_while_the_points_are_followed_each_view_has_one_display_node(self):
        slice_views.arrange(self.node, followed=True)
        across, along = (self.shownBy(view) for view in self.views)
        self.assertEqual([each.GetSliceProjection() for each in across], [False])
        self.assertEqual([each.GetSliceProjection() for each in along], [True])
        slice_views.arrange(self.node)
        self.assertEqual([len(self.shownBy(view)) for view in self.views], [1, 2])

    def test_a_view_that_comes_later_shows_the_points_in_its_slice_without_a_follower(self):
        for className in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
            view = slicer.mrmlScene.AddNewNodeByClass(className, "Later")
            self.addCleanup(slicer.mrmlScene.RemoveNode, view)
            self.assertEqual([each.GetSliceProjection() for each in self.shownBy(view)], [False])

    def turnAll(self, orientation):
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            self.addCleanup(view.SetOrientation, view.GetOrientation())
            view.SetOrientation(orientation)

    def test_without_a_view_along_one_display_node_is_enough(self):
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsDisplayNode")
        self.turnAll("Axial")
        slice_views.arrange(self.node)
        self.assertEqual(self.node.GetNumberOfDisplayNodes(), 1)
        self.assertEqual(self.node.GetDisplayNode().GetViewNodeIDs(), ())
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsDisplayNode"), before - 1)

    def test_without_a_view_across_no_view_has_two(self):
        self.turnAll("Sagittal")
        slice_views.arrange(self.node, followed=True)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            self.assertEqual(len(self.shownBy(view)), 1)

    def test_a_list_with_other_points_is_left_alone(self):
        mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        mine.CreateDefaultDisplayNodes()
        for name in ("T12", "tumor"):
            mine.AddControlPointWorld([0, 0, 0], name)
        slice_views.arrange(mine)
        self.assertEqual(mine.GetNumberOfDisplayNodes(), 1)
        self.assertEqual(mine.GetDisplayNode().GetViewNodeIDs(), ())

    def test_views_that_the_user_chose_stay(self):
        self.node.GetDisplayNode().SetViewNodeIDs([self.views[1].GetID()])
        slice_views.arrange(self.node)
        self.assertEqual(self.node.GetDisplayNode().GetViewNodeIDs(), (self.views[1].GetID(),))

    def test_a_clone_has_display_nodes_of_its_own(self):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(self.node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), self.node)
        slicer.vtkSlicerSubjectHierarchyModuleLogic.CloneSubjectHierarchyItem(hierarchy, item, "clone")
        clone = slicer.util.getNode("clone")
        for node in (clone, self.node):
            slice_views.arrange(node)
        ids = [each.GetNthDisplayNodeID(index) for each in (clone, self.node) for index in range(2)]
        self.assertEqual(len(set(ids)), 4, ids)
        self.assertEqual((clone.GetNumberOfDisplayNodes(), self.node.GetNumberOfDisplayNodes()), (2, 2))


class TestPassedVertebra(unittest.TestCase):
    SPINE = np.array([(0, 0, -25.0 * number) for number in range(4)] + [(0, 0, -200.0)])

    def passed(self, height, thickness=1.0):
        view = slicer.vtkMRMLSliceNode()
        view.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, 0, 0, height, 0)
        view.SetFieldOfView(100, 100, thickness)
        return slice_names.passedVertebra(view, self.SPINE)

    def test_it_is_the_nearest_but_for_the_one_whose_point_is_in_the_slice(self):
        self.assertEqual([self.passed(-25.0 + off) for off in (12, 2, 0.3, -2, -13)], [1, 1, None, 1, 2])
        self.assertEqual([self.passed(-23.0, thickness) for thickness in (1.0, 5.0)], [1, None])

    def test_far_above_far_below_and_where_vertebrae_are_missing_there_is_none(self):
        self.assertEqual(
            [self.passed(height) for height in (12, 13, -90, -130, -185, -221)], [0, None, 3, None, 4, None]
        )
        self.assertIsNone(slice_names.passedVertebra(slicer.vtkMRMLSliceNode(), np.zeros((0, 3))))
