"""Real rendering and a real mouse: points in the slice and 3D views, and a drag through the VTK interactor."""

import numpy as np
import slicer
import vtk
from panel_case import PanelCase, centers
from VertebraLabelingMRML import points
from vtk.util.numpy_support import vtk_to_numpy

LEVELS = list(centers())


def picture(view):
    """(H, W, 3) uint8 of what a view shows."""
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(view.renderWindow())
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]


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
