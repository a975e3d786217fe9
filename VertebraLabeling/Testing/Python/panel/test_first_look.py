"""What is seen when a run has ended: bone and points in 3D, all vertebrae in view; and the way back."""

import os
import tempfile

import numpy as np
import slicer
from drawn_names import picture
from panel_case import PanelCase, addVolume, centers
from VertebraLabelingMRML import points, view_windows
from VertebraLabelingMRML.bone_surface import boneModel


class FirstLookCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.volumeNode = self.labelBalls() and self.ui.inputSelector.currentNode()
        self.settle()

    def bounds(self, volumeNode=None):
        """(3, 2) world bounds of the bone that is shown."""
        bounds = [0.0] * 6
        boneModel(volumeNode or self.volumeNode).GetRASBounds(bounds)
        return np.reshape(bounds, (3, 2))

    def assertAround(self, bounds, places):
        """The bone reaches about as far as the balls, whose radius is 7 mm."""
        places = np.array(list(places))
        self.assertLess(np.abs(bounds[:, 0] - (places.min(axis=0) - 7)).max(), 3)
        self.assertLess(np.abs(bounds[:, 1] - (places.max(axis=0) + 7)).max(), 3)


class TestBone(FirstLookCase):
    def test_the_bone_of_the_ct_is_a_surface_where_it_stands_in_the_ct(self):
        self.assertAround(self.bounds(), centers().values())
        model = boneModel(self.volumeNode)
        self.assertTrue(model.GetHideFromEditors())
        self.assertFalse(model.GetDisplayNode().GetVisibility2D())

    def test_it_can_be_hidden_and_shown(self):
        for shown in (False, True):
            self.ui.boneCheckBox.checked = shown
            self.settle()
            self.assertEqual(boneModel(self.volumeNode) is not None, shown)

    def test_it_is_made_once_and_not_touched_until_the_voxels_change(self):
        model = boneModel(self.volumeNode)
        surface = model.GetPolyData()
        self.widget.panel.refresh()
        self.ui.shiftDownButton.click()
        self.settle()
        self.assertIs(boneModel(self.volumeNode).GetPolyData(), surface)
        slicer.util.arrayFromVolume(self.volumeNode)[:40] = -1000
        slicer.util.arrayFromVolumeModified(self.volumeNode)
        self.widget.panel.refresh()
        self.settle()
        self.assertIsNot(boneModel(self.volumeNode).GetPolyData(), surface)

    def test_a_volume_that_is_moved_takes_its_bone_along(self):
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.eye(4)
        matrix[:3, 3] = (10, 20, 30)
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        self.volumeNode.SetAndObserveTransformNodeID(transform.GetID())
        self.widget.panel.refresh()
        self.settle()
        self.assertAround(self.bounds(), np.add(list(centers().values()), (10, 20, 30)))

    def test_only_the_bone_of_the_chosen_points_is_shown(self):
        other = addVolume(name="other")
        self.ui.inputSelector.setCurrentNode(other)
        self.settle()
        self.assertIsNone(boneModel(self.volumeNode))
        self.ui.inputSelector.setCurrentNode(self.volumeNode)
        self.settle()
        self.assertIsNotNone(boneModel(self.volumeNode))
        slicer.mrmlScene.RemoveNode(self.volumeNode)
        self.settle()
        names = [each.GetName() for each in slicer.util.getNodesByClass("vtkMRMLModelNode")]
        self.assertEqual([each for each in names if "bone" in each], [])

    def test_it_is_not_saved(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrml")
            slicer.util.saveScene(path)
            with open(path, encoding="utf-8") as stream:
                self.assertNotIn("bone", stream.read())

    def test_a_volume_without_bone_shows_none_and_says_nothing(self):
        slicer.util.arrayFromVolume(self.volumeNode)[:] = -1000
        slicer.util.arrayFromVolumeModified(self.volumeNode)
        self.widget.panel.refresh()
        self.settle()
        self.assertEqual(boneModel(self.volumeNode).GetPolyData().GetNumberOfPoints(), 0)
        self.assertEqual(self.ui.errorLabel.text, "")


class TestThreeD(FirstLookCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        widget = slicer.app.layoutManager().threeDWidget(0)
        self.view, self.viewNode = widget.threeDView(), widget.mrmlViewNode()

    def pixels(self):
        return view_windows.project(self.viewNode, points.placesOf(self.node)).pixels

    def test_all_vertebrae_are_in_view_and_so_is_their_bone(self):
        size = np.array(self.view.renderWindow().GetSize())
        self.assertTrue(((self.pixels() > 0) & (self.pixels() < size)).all())
        self.assertGreater(np.ptp(self.pixels()[:, 1]), size[1] / 3)
        self.view.forceRender()
        before = picture(self.view).astype(int)
        self.ui.boneCheckBox.checked = False
        self.settle()
        self.view.forceRender()
        self.assertGreater((np.abs(picture(self.view).astype(int) - before).max(axis=2) > 20).sum(), 200)

    def test_a_view_that_shows_them_all_is_not_turned_by_another_run(self):
        camera = view_windows.cameraOf(self.viewNode).GetCamera()
        camera.Azimuth(40)
        before = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertTrue(np.allclose(np.subtract(camera.GetPosition(), camera.GetFocalPoint()), before, atol=1e-3))

    def test_one_press_takes_the_bone_away_with_the_rest(self):
        self.ui.viewsBackButton.click()
        self.settle()
        self.assertIsNone(boneModel(self.volumeNode))
        self.assertFalse(self.ui.boneCheckBox.checked)

    def test_one_press_puts_back_how_much_a_parallel_projection_shows(self):
        camera = view_windows.cameraOf(self.viewNode)
        camera.SetParallelProjection(True)
        self.addCleanup(camera.SetParallelProjection, False)
        camera.SetParallelScale(12.5)
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertGreater(camera.GetParallelScale(), 50)
        self.ui.viewsBackButton.click()
        self.assertEqual(camera.GetParallelScale(), 12.5)

    def test_bone_that_was_shown_before_a_run_is_shown_after_the_press(self):
        for hiddenMeanwhile in (False, True):
            with self.subTest(hiddenMeanwhile=hiddenMeanwhile):
                self.ui.labelButton.click()
                self.waitUntil(lambda: not self.widget.panel.run.running)
                self.settle()
                self.ui.boneCheckBox.checked = not hiddenMeanwhile
                self.settle()
                self.ui.viewsBackButton.click()
                self.settle()
                self.assertIsNotNone(boneModel(self.volumeNode))
                self.assertTrue(self.ui.boneCheckBox.checked)
