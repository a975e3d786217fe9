"""Views turned to the plane of a vertebra or disc: chosen in the list or by keys, and back to the usual planes."""

import os
import tempfile

import numpy as np
import slicer
from panel_case import addVolume
from test_shortcuts import LEVELS, ShortcutCase
from VertebraLabelingMRML import corrections, levels, points

VIEWS = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}


class PlaneCase(ShortcutCase):
    def setUp(self):
        super().setUp()
        self.list = self.ui.planeComboBox
        self.nodes = {name: slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode() for name in VIEWS}
        for name, orientation in VIEWS.items():
            self.nodes[name].SetOrientation(orientation)
        self.jump("T10")
        self.usual = self.axes()

    def place(self, level):
        return points.readLabels(self.node).by_level[level].ras

    def jump(self, level):
        for node in self.nodes.values():
            node.JumpSliceByCentering(*self.place(level))

    def axes(self):
        """name -> (3, 3) axes of each view."""
        return {
            name: slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, :3].copy()
            for name, node in self.nodes.items()
        }

    def origin(self, name="Red"):
        return slicer.util.arrayFromVTKMatrix(self.nodes[name].GetSliceToRAS())[:3, 3]

    def choose(self, name):
        """As the user does in the list."""
        row = next(row for row in range(self.list.count) if self.list.itemText(row) == name)
        self.list.setCurrentIndex(row)
        activated = self.list.activated
        getattr(activated, "emit", activated)(row)
        self.settle()

    def assertTurnedTo(self, name):
        plane = levels.planeOf(self.node, name)
        self.assertEqual(self.list.currentText, name)
        self.assertEqual(self.ui.errorLabel.text, "")
        for view, orientation in VIEWS.items():
            np.testing.assert_allclose(
                slicer.util.arrayFromVTKMatrix(self.nodes[view].GetSliceToRAS()), plane.slice_to_ras(orientation)
            )

    def assertUsual(self):
        self.assertEqual(self.list.currentIndex, 0)
        for view, axes in self.axes().items():
            np.testing.assert_allclose(axes, self.usual[view], atol=1e-9)


class TestPlanes(PlaneCase):
    def test_the_list_offers_vertebrae_and_discs_head_to_foot(self):
        names = [self.list.itemText(row) for row in range(self.list.count)]
        self.assertEqual(names, ["Usual planes", *levels.planeNames(self.node)])
        self.assertEqual(names[1:4], ["T8", "T8/T9", "T9"])

    def test_a_disc_is_chosen_and_the_usual_planes_come_back_where_one_is(self):
        self.choose("L1/L2")
        self.assertTurnedTo("L1/L2")
        place = self.origin().copy()
        self.choose("Usual planes")
        self.assertUsual()
        for view in VIEWS:
            np.testing.assert_allclose(self.origin(view), place, atol=1e-6)

    def test_keys_go_from_where_one_is_to_the_next_and_back(self):
        for key, name in (("PgDown", "T10"), ("PgDown", "T10/T11"), ("PgDown", "T11"), ("PgUp", "T10/T11")):
            self.press(key)
            self.assertTurnedTo(name)
        self.press("Home")
        self.assertUsual()

    def test_each_plane_is_named_as_it_was_chosen(self):
        """Also a disc whose middle the CT shows in what the points alone take for a vertebra."""
        for name in levels.planeNames(self.node):
            plane = levels.planeOf(self.node, name)
            self.assertEqual(levels.planeAt(self.node, plane.origin), name)
        self.assertEqual(levels.planeAt(self.node, (0.0, 0.0, 900.0)), "")

    def test_the_keys_end_at_the_ends(self):
        self.choose("T8")
        self.press("PgUp")
        self.assertTurnedTo("T8")
        last = levels.planeNames(self.node)[-1]
        self.choose(last)
        self.press("PgDown")
        self.assertTurnedTo(last)

    def test_a_correction_gives_the_plane_its_new_name_and_leaves_the_views(self):
        self.choose("T12")
        before = self.axes()
        corrections.nameAs(self.node, LEVELS.index("T12"), "L1")
        self.settle()
        self.assertEqual(self.list.currentText, "L1")
        for view, axes in self.axes().items():
            np.testing.assert_array_equal(axes, before[view])
        self.press("PgUp")
        self.assertTurnedTo("T12/L1")

    def test_a_view_that_the_user_has_turned_is_turned_too_and_comes_back_as_it_stood(self):
        oblique = levels.planeOf(self.node, "T9").leaning(30).slice_to_ras("Coronal")
        slicer.util.updateVTKMatrixFromArray(self.nodes["Green"].GetSliceToRAS(), oblique)
        self.nodes["Green"].UpdateMatrices()
        self.choose("L2")
        self.assertTurnedTo("L2")
        self.press("Home")
        np.testing.assert_allclose(self.axes()["Green"], oblique[:3, :3], atol=1e-9)

    def test_a_second_patient_is_not_shown_in_planes_of_the_first(self):
        for choose in (
            lambda: self.ui.inputSelector.setCurrentNode(addVolume(name="second")),
            lambda: self.ui.outputSelector.setCurrentNode(None),
            lambda: slicer.mrmlScene.RemoveNode(self.node),
        ):
            if self.node is None:
                self.showBalls()
            self.choose("L2")
            choose()
            self.settle()
            self.assertFalse(self.list.enabled)
            self.assertUsual()

    def test_a_scene_that_was_saved_with_turned_views_names_their_plane(self):
        self.choose("T12")
        turned = self.axes()
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.util.saveScene(path, properties={}))
            slicer.mrmlScene.Clear()
            self.settle()
            slicer.util.loadScene(path, properties={})
        self.settle()
        for view, axes in self.axes().items():
            np.testing.assert_allclose(axes, turned[view], atol=1e-3)
        self.assertEqual(self.list.currentText, "T12")
        self.press("PgDown")
        self.assertTurnedTo("T12/L1")
        self.press("Home")
        for view, axes in self.axes().items():
            np.testing.assert_allclose(axes, self.usual[view], atol=1e-5)
        self.assertEqual(self.list.currentText, "Usual planes")

    def test_views_that_a_script_or_another_list_turned_are_not_told_as_usual(self):
        red = self.nodes["Red"]
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "other")
        for owner in (None, other):
            levels.turnTo(red, levels.planeOf(self.node, "T12"), pointsNode=owner)
            self.widget.panel.refresh()
            self.assertEqual((self.list.currentIndex, self.list.currentText), (-1, ""))
            self.press("Home")
            self.assertUsual()

    def test_where_points_and_ct_were_moved_apart_no_plane_is_named_nor_turned_to(self):
        self.choose("T12")
        turned = self.axes()
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = np.eye(4)
        matrix[2, 3] = 30.0  # about one vertebra
        slicer.util.updateTransformMatrixFromArray(transform, matrix)
        self.node.SetAndObserveTransformNodeID(transform.GetID())
        self.widget.panel.refresh()
        self.assertEqual(self.list.currentIndex, -1)
        self.choose("L2")
        self.assertIn("were moved apart", self.ui.errorLabel.text)
        for view, axes in self.axes().items():
            np.testing.assert_array_equal(axes, turned[view])

    def test_views_that_slicer_turned_back_are_told_as_usual(self):
        self.choose("L2")
        for name, orientation in VIEWS.items():
            self.nodes[name].SetOrientation(orientation)
        self.widget.panel.refresh()
        self.assertUsual()

    def test_without_points_there_is_none(self):
        self.choose("L2")
        self.node.RemoveAllControlPoints()
        self.settle()
        self.assertFalse(self.list.enabled)
        self.assertEqual(self.list.count, 1)
        self.press("PgDown")
        self.press("Home")
        self.assertUsual()
