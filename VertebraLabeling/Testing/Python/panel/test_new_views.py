"""Views that appear while the panel does not follow the points: another layout, a scene opened elsewhere."""

import os
import tempfile

import slicer
from panel_case import PanelCase, addVolume
from synthetic_spine import BallLabeler
from VertebraLabelingMRML import slice_views
from VertebraLabelingPanel import new_views

from VertebraLabeling import VertebraLabelingLogic


class TestNewViews(PanelCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        self.following = new_views.NewViews()
        self.addCleanup(self.following.stop)
        self.showBalls()
        self.mine = VertebraLabelingLogic(BallLabeler()).label(addVolume(name="not chosen"))

    def addView(self, orientation):
        view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", f"new {orientation}")
        self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        view.SetOrientation(orientation)
        return view

    def projected(self, node, view):
        displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
        return [bool(each.GetSliceProjection()) for each in displays if each.IsDisplayableInView(view.GetID())]

    def test_a_new_view_along_the_spine_projects_points_that_are_not_chosen(self):
        self.assertFalse(slice_views.isFollowed(self.mine))
        along, across = self.addView("Sagittal"), self.addView("Axial")
        self.assertEqual(self.projected(self.mine, along), [False])
        self.waitUntil(lambda: self.projected(self.mine, along) == [False, True])
        self.assertEqual(self.projected(self.mine, across), [False])

    def test_those_that_the_panel_follows_are_left_to_it(self):
        along = self.addView("Sagittal")
        self.waitUntil(lambda: self.projected(self.node, along) == [True])
        self.waitUntil(lambda: self.projected(self.mine, along) == [False, True])
        self.assertTrue(slice_views.isFollowed(self.node))
        self.assertEqual(self.projected(self.node, along), [True])

    def test_points_that_are_no_longer_chosen_are_shown_in_new_views_too(self):
        before = self.node
        self.ui.outputSelector.setCurrentNode(self.mine)
        self.settle()
        self.assertEqual([slice_views.isFollowed(each) for each in (before, self.mine)], [False, True])
        self.assertIn(False, self.projected(before, self.addView("Coronal")))

    def test_a_scene_opened_without_the_panel_shows_points_and_names_in_its_views_and_in_new_ones(self):
        slicer.mrmlScene.RemoveNode(self.mine)
        view = slicer.app.layoutManager().sliceWidget("Yellow").mrmlSliceNode()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path)
            slicer.mrmlScene.Clear()
            self.widget.cleanup()
            self.addCleanup(slicer.util.reloadScriptedModule, "VertebraLabeling")
            slicer.util.loadScene(path)
        node = slicer.util.getNode("CT vertebrae")
        self.waitUntil(lambda: self.projected(node, view) == [False, True])
        names = [node.GetNthDisplayNode(index).GetPointLabelsVisibility() for index in range(2)]
        self.assertEqual(names, [True, True])
        new = self.addView("Sagittal")
        self.waitUntil(lambda: self.projected(node, new) == [False, True])
