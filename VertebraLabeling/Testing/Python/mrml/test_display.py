"""How the points are shown, as far as nodes tell; what is drawn is tested in ``panel/test_views_and_drag.py``."""

import unittest

import numpy as np
import slicer
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingMRML import display, points

from VertebraLabeling import VertebraLabelingLogic


class TestStyle(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        self.logic = VertebraLabelingLogic(BallLabeler())
        self.volumeNode = addVolume()
        self.node = self.logic.label(self.volumeNode)

    def test_new_points_are_styled_once_and_then_left_to_the_user(self):
        shown = self.node.GetDisplayNode()
        self.assertEqual(shown.GetColor(), display.AMBER)
        self.assertFalse(shown.GetSliceProjection())  # the second display node projects, along the spine only
        shown.SetTextScale(9.0)
        self.logic.label(self.volumeNode)
        self.assertEqual(shown.GetTextScale(), 9.0)

    def test_what_the_user_has_set_of_a_list_stays_and_the_rest_is_styled(self):
        styled = self.node.GetDisplayNode()
        for name, value in {
            "SelectedColor": (0.9, 0.1, 0.2),
            "Color": (0.2, 0.3, 0.9),
            "ActiveColor": (0.1, 0.1, 0.1),
            "GlyphType": slicer.vtkMRMLMarkupsDisplayNode.Cross2D,
            "GlyphScale": 5.0,
            "TextScale": 7.5,
            "PointLabelsVisibility": False,
            "OccludedOpacity": 0.9,
        }.items():
            with self.subTest(name):
                node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
                node.CreateDefaultDisplayNodes()
                shown = node.GetDisplayNode()
                self.assertNotEqual(getattr(shown, f"Get{name}")(), value)
                getattr(shown, f"Set{name}")(*(value if isinstance(value, tuple) else (value,)))
                for _run in range(2):
                    self.logic.label(self.volumeNode, node)
                    for other in display.STYLE:
                        wanted = value if other == name else getattr(styled, f"Get{other}")()
                        self.assertEqual(getattr(shown, f"Get{other}")(), wanted, other)

    def test_what_slicer_was_told_to_give_new_lists_is_not_taken_for_the_user_s_of_one(self):
        kind = "vtkMRMLMarkupsFiducialDisplayNode"
        if slicer.mrmlScene.GetDefaultNodeByClass(kind) is None:
            made = slicer.mrmlScene.CreateNodeByClass(kind)
            made.UnRegister(None)
            slicer.mrmlScene.AddDefaultNode(made)
        usual = slicer.mrmlScene.GetDefaultNodeByClass(kind)
        self.addCleanup(usual.SetTextScale, usual.GetTextScale())
        usual.SetTextScale(2.0)
        for give in (lambda shown: None, lambda shown: shown.Copy(usual)):
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "new")
            node.CreateDefaultDisplayNodes()
            give(node.GetDisplayNode())
            self.logic.label(self.volumeNode, node)
            self.assertEqual(node.GetDisplayNode().GetTextScale(), display.STYLE["TextScale"])

    def test_points_stand_beside_their_volume_in_the_subject_hierarchy(self):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        study = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "study")
        hierarchy.CreateItem(study, self.volumeNode)
        node = points.createPointsNode(self.volumeNode)
        if not hierarchy.GetItemByDataNode(node):
            self.skipTest("the subject hierarchy takes up nodes only inside Slicer")
        self.assertEqual(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)), study)

    def test_the_camera_keeps_its_direction_and_distance_when_it_turns_to_a_point(self):
        camera = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCameraNode")
        camera.SetFocalPoint(1, 2, 3)
        camera.SetPosition(1, -397, 103)
        display.jumpTo(self.node, 3)
        place = np.array(self.node.GetNthControlPointPositionWorld(3))
        self.assertTrue(np.allclose(camera.GetFocalPoint(), place))
        self.assertTrue(np.allclose(np.array(camera.GetPosition()) - place, (0, -399, 100)))

    def test_a_volume_that_is_in_view_is_not_fitted_again(self):
        if slicer.app.layoutManager() is None:
            self.skipTest("needs views")
        display.showResult(self.node)
        sliceNode = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        sliceNode.SetFieldOfView(33, 44, 1)
        display.showResult(self.node)
        self.assertEqual(sliceNode.GetFieldOfView()[:2], (33.0, 44.0))
