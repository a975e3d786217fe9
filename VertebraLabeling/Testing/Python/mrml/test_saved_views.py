"""A saved scene shows its vertebrae where the module is not, and in views that it did not have."""

import os
import tempfile
import unittest

import slicer
from synthetic_spine import BallLabeler, addVolume
from VertebraLabelingMRML.slice_view_follower import SliceViewFollower

from VertebraLabeling import VertebraLabelingLogic

CLASSES = ("vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsFiducialDisplayNode", "vtkMRMLMarkupsFiducialStorageNode")


class TestSavedScene(unittest.TestCase):
    def setUp(self):
        slicer.mrmlScene.Clear()
        for name, orientation in (("Across", "Axial"), ("Along", "Sagittal")):
            view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", name)
            view.SetOrientation(orientation)
            self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        self.node = VertebraLabelingLogic(BallLabeler()).label(addVolume())
        self.waiting = []
        self.follower = SliceViewFollower(lambda ms, function: self.waiting.append(function))
        self.follower.follow(self.node)
        self.addCleanup(self.follower.follow, None)

    def elsewhere(self):
        """The scene, saved and read where nothing of this module is."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "scene.mrml")
        slicer.util.saveScene(path)
        scene = slicer.vtkMRMLScene()
        for name in CLASSES:
            scene.RegisterNodeClass(getattr(slicer, name)())
        scene.SetURL(path)
        scene.Import()
        return scene

    def shown(self, scene, view):
        """(projected, named) for each display node that shows the points in a view."""
        node = next(each for each in slicer.util.getNodesByClass(CLASSES[0], scene))
        displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
        return [
            (bool(each.GetSliceProjection()), bool(each.GetPointLabelsVisibility()))
            for each in displays
            if each.IsDisplayableInView(view.GetID())
        ]

    def test_a_scene_saved_without_a_follower_shows_points_and_names_in_each_view_also_in_new_ones(self):
        self.follower.follow(None)
        scene = self.elsewhere()
        views = {each.GetName(): each for each in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene)}
        self.assertEqual(self.shown(scene, views["Across"]), [(False, True)])
        self.assertEqual(self.shown(scene, views["Along"]), [(False, True), (True, True)])
        for className in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
            new = scene.AddNewNodeByClass(className, "New")
            self.assertEqual(self.shown(scene, new), [(False, True)], className)

    def test_a_scene_saved_while_it_is_followed_shows_the_points_in_the_views_of_then(self):
        scene = self.elsewhere()
        views = {each.GetName(): each for each in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene)}
        self.assertEqual(self.shown(scene, views["Across"]), [(False, True)])
        self.assertEqual(self.shown(scene, views["Along"]), [(True, False)])
