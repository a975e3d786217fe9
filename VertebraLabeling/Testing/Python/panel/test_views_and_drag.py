"""Real rendering and a real mouse: points in the slice and 3D views, and a drag through the VTK interactor."""

import os
import tempfile

import numpy as np
import slicer
from drawn_names import picture
from panel_case import PanelCase, addVolume, centers
from synthetic_spine import BallLabeler
from VertebraLabelingMRML import points

from VertebraLabeling import VertebraLabelingLogic

LEVELS = list(centers())


class ViewCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        self.enlargeMainWindow()
        self.showBalls()
        self.slice = slicer.app.layoutManager().sliceWidget("Yellow")
        slicer.app.layoutManager().resetSliceViews()
        self.jumpTo("T12")

    def jumpTo(self, level):
        self.slice.mrmlSliceNode().JumpSlice(*points.readLabels(self.node).by_level[level].ras)
        slicer.util.forceRenderAllViews()

    def place(self, level):
        return np.array(points.readLabels(self.node).by_level[level].ras)

    def pixel(self, ras):
        xyToRas = slicer.util.arrayFromVTKMatrix(self.slice.mrmlSliceNode().GetXYToRAS())
        return tuple(round(value) for value in (np.linalg.inv(xyToRas) @ [*ras, 1.0])[:2])

    def drag(self, level, target):
        """Move the mouse onto a point, press, move to the target and release."""
        slicer.util.forceRenderAllViews()
        start, end = self.pixel(self.place(level)), self.pixel(target)
        slicer.util.clickAndDrag(self.slice, button="None", start=(start[0] - 30, start[1]), end=start)
        slicer.util.clickAndDrag(self.slice, button="Left", start=start, end=end)
        self.settle()


class TestDrag(ViewCase):
    def test_a_mouse_drag_moves_the_point_and_marks_it_as_moved(self):
        others = {level: self.place(level) for level in LEVELS if level != "T12"}
        target = np.add(self.place("T12"), (0, 6, 4))
        self.drag("T12", target)
        self.assertLess(np.linalg.norm(self.place("T12") - target), 2.0)
        self.assertEqual(self.levels(), LEVELS)
        self.assertEqual(self.cell(LEVELS.index("T12"), 2), "moved")
        self.assertIn("status=moved", self.node.GetNthControlPointDescription(LEVELS.index("T12")))
        for level, place in others.items():
            self.assertLess(np.linalg.norm(self.place(level) - place), 1e-6, level)

    def test_a_point_dragged_onto_the_next_vertebra_takes_the_names_along(self):
        target = self.place("L1")
        self.drag("T12", target)
        self.assertEqual(self.levels(), list(centers("T7", "L3")))
        self.assertLess(np.linalg.norm(self.place("T12") - target), 2.0)

    def test_with_the_option_off_only_the_point_moves(self):
        self.ui.followDragCheckBox.checked = False
        self.drag("T12", np.add(self.place("L1"), (0, 0, 12)))
        self.assertEqual(self.levels(), LEVELS)
        self.assertEqual(points.readLabels(self.node).by_level["T12"].status, "moved")

    def test_a_drag_can_be_undone(self):
        before = self.place("T12")
        self.drag("T12", np.add(before, (0, 6, 4)))
        self.assertEqual(self.ui.undoButton.text, "Undo drag of T12")
        self.ui.undoButton.click()
        self.assertLess(np.linalg.norm(self.place("T12") - before), 1e-6)
        self.assertEqual(points.readLabels(self.node).by_level["T12"].status, "predicted")

    def test_a_click_without_movement_changes_nothing(self):
        before = points.readLabels(self.node).points
        start = self.pixel(self.place("T12"))
        slicer.util.clickAndDrag(self.slice, button="None", start=(start[0] - 30, start[1]), end=start)
        interactor = self.slice.interactorStyle().GetInteractor()
        interactor.LeftButtonPressEvent()
        interactor.LeftButtonReleaseEvent()
        self.settle()
        self.assertEqual(points.readLabels(self.node).points, before)
        self.assertFalse(self.ui.undoButton.enabled)

    def test_dragged_points_survive_a_second_run(self):
        target = np.add(self.place("T12"), (0, 6, 4))
        self.drag("T12", target)
        placed = self.place("T12")
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertLess(np.linalg.norm(self.place("T12") - placed), 1e-6)


class TestRendering(ViewCase):
    def drawn(self, view, change):
        """How many pixels of a view change when something is switched off."""
        slicer.util.forceRenderAllViews()
        before = picture(view).astype(int)
        change()
        self.settle()
        slicer.util.forceRenderAllViews()
        return (np.abs(picture(view).astype(int) - before).max(axis=2) > 40).sum()

    def hidePoints(self):
        self.node.GetDisplayNode().SetVisibility(False)

    def test_points_and_names_are_drawn_in_the_slice_view(self):
        self.assertGreater(self.drawn(self.slice.sliceView(), self.hidePoints), 800)

    def test_points_and_names_are_drawn_in_the_3d_view(self):
        slicer.util.resetThreeDViews()
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()
        self.assertGreater(self.drawn(view, self.hidePoints), 800)

    def test_every_vertebra_is_drawn_also_where_the_spine_leaves_the_slice(self):
        ras = np.subtract(self.place("T12"), (40, 0, 0))
        self.slice.mrmlSliceNode().JumpSlice(*ras)
        slicer.util.forceRenderAllViews()
        view = picture(self.slice.sliceView())
        height = view.shape[0]
        for level in LEVELS:
            x, y = self.pixel(self.place(level))
            patch = view[height - y - 12 : height - y + 12, x - 12 : x + 12].astype(int)
            self.assertGreater(np.ptp(patch, axis=2).max(), 60, f"{level} is not drawn")

    def test_uncertain_points_are_drawn_in_amber(self):
        index = LEVELS.index("T12")
        self.node.SetNthControlPointDescription(index, "confidence=0.20;status=predicted")
        self.widget.panel.refresh()
        slicer.util.forceRenderAllViews()
        view = picture(self.slice.sliceView())
        height = view.shape[0]

        def redness(level):
            x, y = self.pixel(self.place(level))
            patch = view[height - y - 6 : height - y + 6, x - 6 : x + 6].astype(int)
            return int((patch[..., 0] - patch[..., 2]).max())

        self.assertGreater(redness("T12"), redness("T10") + 60)

    def test_region_balls_are_drawn_in_the_3d_view(self):
        slicer.util.resetThreeDViews()
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()

        def hideBalls():
            self.ui.regionsCheckBox.checked = False

        self.assertGreater(self.drawn(view, hideBalls), 100)

    def test_the_curve_is_drawn_in_the_3d_view(self):
        slicer.util.resetThreeDViews()
        view = slicer.app.layoutManager().threeDWidget(0).threeDView()

        def showCurve():
            self.ui.curveCheckBox.checked = True

        self.assertGreater(self.drawn(view, showCurve), 100)


class TestViewsBack(PanelCase):
    def setUp(self):
        super().setUp()
        if slicer.app.layoutManager() is None:
            self.skipTest("needs views: Slicer runs without a main window")

    def look(self, volumeNode):
        """Slice places and sizes, what the slices show, the camera, and the window."""
        node = slicer.app.layoutManager().sliceWidget("Yellow").mrmlSliceNode()
        camera = slicer.util.getNodesByClass("vtkMRMLCameraNode")[0]
        display = volumeNode.GetDisplayNode()
        numbers = [
            *slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).ravel(),
            *node.GetFieldOfView(),
            *node.GetXYZOrigin(),
            *camera.GetPosition(),
            *camera.GetFocalPoint(),
            *camera.GetViewUp(),
            camera.GetParallelScale(),
            *(display.GetWindow(), display.GetLevel(), display.GetAutoWindowLevel()),
        ]
        shown = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")[0].GetBackgroundVolumeID()
        return np.round(numbers, 4).tolist(), shown

    def test_one_press_puts_views_and_window_back_as_they_were_before_a_run(self):
        first, volumeNode = addVolume(name="before"), addVolume()
        slicer.util.setSliceViewerLayers(background=first, fit=True)
        slicer.util.forceRenderAllViews()
        self.ui.inputSelector.setCurrentNode(volumeNode)
        self.assertFalse(self.ui.viewsBackButton.enabled)
        before = self.look(volumeNode)
        self.widget.panel.onResult(VertebraLabelingLogic(BallLabeler()).label(volumeNode), None)
        self.ui.boneButton.click()
        self.settle()
        after = self.look(volumeNode)
        self.assertNotEqual(after[0], before[0])
        self.assertEqual((before[1], after[1]), (first.GetID(), volumeNode.GetID()))
        self.ui.viewsBackButton.click()
        self.assertEqual(self.look(volumeNode), before)
        self.assertFalse(self.ui.viewsBackButton.enabled)

    def test_what_is_gone_is_passed_over(self):
        first = addVolume(name="before")
        slicer.util.setSliceViewerLayers(background=first, fit=True)
        self.showBalls()
        slicer.mrmlScene.RemoveNode(first)
        slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode())
        self.ui.viewsBackButton.click()
        slicer.mrmlScene.Clear()
        self.assertFalse(self.ui.viewsBackButton.enabled)


class TestAcrossTheSpine(ViewCase):
    """In a slice across the spine the other vertebrae would lie over one another: they are not there."""

    def setUp(self):
        super().setUp()
        self.look("Red", "T12")

    def look(self, name, level):
        """Look at a vertebra in this slice view."""
        self.slice = slicer.app.layoutManager().sliceWidget(name)
        self.jumpTo(level)

    def turn(self, orientation):
        before = self.slice.mrmlSliceNode().GetOrientation()
        self.slice.mrmlSliceNode().SetOrientation(orientation)
        self.addCleanup(self.slice.mrmlSliceNode().SetOrientation, before)
        slicer.app.layoutManager().resetSliceViews()
        self.settle()
        self.jumpTo("T12")

    def isDrawn(self, level):
        """Whether a point or name has its color where this vertebra lies or is projected to."""
        slicer.util.forceRenderAllViews()
        view = picture(self.slice.sliceView())
        x, y = self.pixel(self.place(level))
        patch = view[view.shape[0] - y - 6 : view.shape[0] - y + 6, x - 6 : x + 6].astype(int)
        return np.ptp(patch, axis=2).max() > 60

    def test_only_the_vertebra_of_the_slice_is_drawn(self):
        self.assertTrue(self.isDrawn("T12"))
        self.assertFalse(self.isDrawn("T8"))

    def move(self, mm):
        """Look at a slice some mm above the present one."""
        node = self.slice.mrmlSliceNode()
        node.SetSliceOffset(node.GetSliceOffset() + mm)
        self.settle()

    def named(self):
        """The level that is named in the view though its point is not in the slice, or None."""
        return next((node.GetNthControlPointLabel(0) for node in self.nameNodes()), None)

    def nameNodes(self):
        """The nodes that show names in the view."""
        view, lists = self.slice.mrmlSliceNode().GetID(), slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        shown = [node for node in lists if node.GetHideFromEditors() and node.GetDisplayNode().GetVisibility()]
        return [node for node in shown if node.GetDisplayNode().IsDisplayableInView(view)]

    def test_the_vertebra_that_a_slice_passes_is_named_and_cannot_be_dragged_there(self):
        self.assertIsNone(self.named())  # the point itself is there
        self.move(8.0)
        self.assertEqual(self.named(), "T12")
        self.assertTrue(self.isDrawn("T12"))
        self.assertFalse(self.isDrawn("T8"))
        before = points.readLabels(self.node).points
        self.drag("T12", np.add(self.place("T12"), (15.6, 0, 0)))
        self.assertEqual(points.readLabels(self.node).points, before)
        self.move(10.0)
        self.assertEqual(self.named(), "T11")
        self.move(300.0)
        self.assertIsNone(self.named())

    def test_names_at_slices_are_no_nodes_of_the_user_and_end_with_the_panel(self):
        self.move(8.0)
        (name,) = {each.GetName() for each in self.nameNodes()}
        self.assertNotIn(name, (self.node.GetName(), ""))
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrml")
            slicer.util.saveScene(path)
            with open(path, encoding="utf-8") as stream:
                self.assertNotIn(name, stream.read())
        self.widget.panel.stop()
        self.addCleanup(self.widget.enter)
        self.assertIsNone(self.named())
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"), [self.node])

    def test_points_that_are_hidden_are_not_named(self):
        self.move(8.0)
        self.node.GetDisplayNode().SetVisibility(False)
        self.settle()
        self.assertIsNone(self.named())

    def test_a_vertebra_far_from_the_slice_cannot_be_dragged(self):
        before = points.readLabels(self.node).points
        self.drag("T8", np.add(self.place("T8"), (-15.6, 0, 0)))
        self.assertEqual(points.readLabels(self.node).points, before)

    def test_the_vertebra_of_the_slice_can_be_dragged(self):
        target = np.add(self.place("T12"), (6, 4, 0))
        self.drag("T12", target)
        self.assertLess(np.linalg.norm(self.place("T12") - target), 2.0)

    def test_a_view_that_turns_shows_what_it_then_can(self):
        self.turn("Sagittal")
        self.assertTrue(all(self.isDrawn(level) for level in LEVELS))
        self.turn("Axial")
        self.assertFalse(self.isDrawn("T8"))
        self.look("Yellow", "T12")
        self.assertTrue(self.isDrawn("T8"))
        self.turn("Axial")
        self.assertFalse(self.isDrawn("T8"))

    def test_amber_colors_and_sizes_are_those_of_the_other_views(self):
        index = LEVELS.index("T12")
        self.node.SetNthControlPointDescription(index, "confidence=0.20;status=predicted")
        self.ui.regionsCheckBox.checked = False
        self.widget.panel.refresh()
        self.node.GetDisplayNode().SetColor(1.0, 0.0, 1.0)
        slicer.util.forceRenderAllViews()
        view = picture(self.slice.sliceView())
        x, y = self.pixel(self.place("T12"))
        patch = view[view.shape[0] - y - 3 : view.shape[0] - y + 3, x - 3 : x + 3].astype(int)
        self.assertTrue((patch[..., 0] > patch[..., 1] + 60).any())
        self.node.GetDisplayNode().SetVisibility(False)
        self.assertFalse(self.isDrawn("T12"))

    def test_points_can_be_placed_here(self):
        displays = [self.node.GetNthDisplayNode(index) for index in range(self.node.GetNumberOfDisplayNodes())]
        for name in ("Red", "Yellow"):
            view = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetID()
            self.assertEqual(sum(each.IsDisplayableInView(view) for each in displays), 1)

    def test_a_view_that_is_new_shows_the_points(self):
        view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLViewNode")
        self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        self.settle()
        self.assertTrue(self.node.GetDisplayNode().IsDisplayableInView(view.GetID()))

    def test_a_stopped_panel_follows_no_view(self):
        self.widget.panel.stop()
        self.addCleanup(self.widget.enter)
        views = self.node.GetDisplayNode().GetViewNodeIDs()
        self.turn("Sagittal")
        self.assertEqual(self.node.GetDisplayNode().GetViewNodeIDs(), views)

    def test_a_saved_scene_looks_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrb")
            slicer.util.saveScene(path, properties={})
            slicer.mrmlScene.Clear()
            slicer.util.loadScene(path, properties={})
        self.settle()
        self.assertEqual(self.node.GetNumberOfDisplayNodes(), 2)
        self.look("Red", "T12")
        self.assertTrue(self.isDrawn("T12"))
        self.assertFalse(self.isDrawn("T8"))
        self.look("Yellow", "T12")
        self.assertTrue(self.isDrawn("T8"))
