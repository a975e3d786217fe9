"""What the corner of a slice view says of its level: scrolled, moved over with a mouse, and measured on pictures."""

import time

import numpy as np
import slicer
from drawn_names import picture
from marks import timing
from panel_case import PanelCase, addVolume
from spine_factory import positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingMRML import corrections, points

VIEWS = ("Red", "Yellow", "Green")
CORNER = (slice(-40, None), slice(-170, None))  # of a picture: rows, columns


class ReadoutCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        self.enlargeMainWindow()
        self.readout = self.widget.panel.reading.readout
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        crosshair.SetCursorPositionInvalid()
        crosshair.SetCrosshairMode(crosshair.NoCrosshair)
        self.crosshair = crosshair
        self.showBalls()
        slicer.app.layoutManager().resetSliceViews()

    def view(self, name="Red"):
        return slicer.app.layoutManager().sliceWidget(name)

    def sliceNode(self, name="Red"):
        return self.view(name).mrmlSliceNode()

    def place(self, level):
        return np.array(points.readLabels(self.node).by_level[level].ras)

    def scrollTo(self, ras):
        """As the wheel does: the slice is moved along its normal."""
        self.sliceNode().JumpSliceByOffsetting(*ras)

    def drawn(self, name="Red"):
        """How many pixels of the view's lower right corner are bright."""
        self.view(name).sliceView().forceRender()
        return int((picture(self.view(name).sliceView())[CORNER].min(axis=2) > 150).sum())

    def hover(self, name, ras):
        xyToRas = slicer.util.arrayFromVTKMatrix(self.sliceNode(name).GetXYToRAS())
        x, y = (round(value) for value in (np.linalg.inv(xyToRas) @ [*ras, 1.0])[:2])
        slicer.util.clickAndDrag(self.view(name), button="None", start=(x - 5, y), end=(x, y))


class TestScrolling(ReadoutCase):
    def test_a_slice_across_the_spine_says_its_level_as_it_is_scrolled(self):
        for level in ("T9", "L1", "L3"):
            self.scrollTo(self.place(level))
            self.assertEqual(self.readout.texts()["Red"], f"{level}, middle third")
        self.scrollTo((self.place("T12") + self.place("L1")) / 2)
        self.assertEqual(self.readout.texts()["Red"], "T12/L1 disc")
        self.scrollTo(np.add(self.place("T8"), (0, 0, 45)))
        self.assertEqual(self.readout.texts()["Red"], "above T8")
        self.scrollTo(self.place("L4") - (0, 0, 60))
        self.assertEqual(self.readout.texts()["Red"], "below L4")

    def named(self):
        """What is named in the axial view, where it shows no point."""
        red = self.sliceNode().GetID()
        nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        shown = (node for node in nodes if node.GetName().endswith(" names") and node.GetDisplayNode().GetVisibility())
        return [node.GetNthControlPointLabel(0) for node in shown if red in node.GetDisplayNode().GetViewNodeIDs()]

    def test_the_name_in_the_view_and_the_level_in_its_corner_agree(self):
        """In a disc, above and below, none is named; in a vertebra it is the one that the corner tells."""
        said = set()
        for height in np.arange(self.place("L4")[2] - 24, self.place("T8")[2] + 24, 3.7):
            self.scrollTo((0.0, 0.0, float(height)))
            self.settle()
            text, names = self.readout.texts()["Red"], self.named()
            level = text.split(",")[0]
            if "third" not in text:
                self.assertEqual(names, [], text)
            elif min(abs(height - self.place(each)[2]) for each in points.readLabels(self.node).by_level) > 3:
                self.assertEqual(names, [level], text)
            said.add(text)
        self.assertTrue({"T12/L1 disc", "T9, upper third", "above T8", "below L4"} <= said, said)

    def test_the_text_is_drawn_in_the_lower_right_corner_and_elsewhere_where_that_is_taken(self):
        self.scrollTo(self.place("L1"))
        self.assertGreater(self.drawn(), 60)
        self.ui.levelCheckBox.click()
        self.assertEqual(self.drawn(), 0)
        self.ui.levelCheckBox.click()
        self.sliceNode().SetRulerType(slicer.vtkMRMLAbstractViewNode.RulerTypeThin)
        self.addCleanup(self.sliceNode().SetRulerType, slicer.vtkMRMLAbstractViewNode.RulerTypeNone)
        self.settle()
        self.view().sliceView().forceRender()
        shown = picture(self.view().sliceView())
        self.assertGreater((shown[:40].min(axis=2) > 150).sum(), 60)

    @timing
    def test_an_update_costs_less_than_two_milliseconds(self):
        spine = [LabeledPoint(level, tuple(ras)) for level, ras in zip(USUAL_LEVELS, positions(USUAL_LEVELS).tolist())]
        points.writeLabels(self.node, SpineLabels(tuple(spine)))
        self.settle()
        places, spent, texts = np.linspace(spine[0].ras, spine[-1].ras, 100), 0.0, set()
        for place in places:
            self.scrollTo(place)
            start = time.process_time()
            self.readout._onView(self.sliceNode(), None)
            spent += time.process_time() - start
            texts.add(self.readout.texts()["Red"])
        self.assertGreater(len(texts), 60)
        self.assertLess(spent / len(places), 0.002)

    def test_another_volume_of_the_same_world_has_the_same_levels(self):
        other = addVolume()
        slicer.util.setSliceViewerLayers(background=other)
        self.settle()
        self.scrollTo(self.place("L2"))
        self.assertEqual(self.readout.texts()["Red"], "L2, middle third")

    def test_a_view_that_shows_no_volume_says_nothing(self):
        slicer.util.setSliceViewerLayers(background=None)
        self.settle()
        self.assertEqual(self.readout.texts(), {})


class TestAlongTheSpine(ReadoutCase):
    def test_the_mouse_says_which_place_is_meant_else_it_is_the_center(self):
        self.sliceNode("Yellow").JumpSliceByCentering(*self.place("T11"))
        self.assertEqual(self.readout.texts()["Yellow"], "Center: T11, middle third")
        self.hover("Yellow", self.place("L2"))
        self.assertEqual(self.readout.texts()["Yellow"], "L2, middle third")
        self.hover("Yellow", self.place("L2") - (0, 45, 0))
        self.assertTrue(self.readout.texts()["Yellow"].startswith("at the level of "), self.readout.texts())
        self.view("Yellow").interactor().InvokeEvent("LeaveEvent")
        self.assertEqual(self.readout.texts()["Yellow"], "Center: T11, middle third")

    def test_a_crosshair_that_is_shown_in_the_slice_is_read(self):
        self.crosshair.SetCrosshairRAS(*self.place("L3"))
        self.sliceNode("Yellow").JumpSliceByCentering(*self.place("T11"))
        self.assertEqual(self.readout.texts()["Yellow"], "Center: T11, middle third")
        self.crosshair.SetCrosshairMode(self.crosshair.ShowBasic)
        self.sliceNode("Yellow").JumpSlice(*self.place("L3"))
        self.assertEqual(self.readout.texts()["Yellow"], "L3, middle third")
        self.sliceNode("Yellow").JumpSliceByOffsetting(*np.add(self.place("L3"), (30, 0, 0)))
        self.sliceNode("Yellow").JumpSliceByCentering(*np.add(self.place("L2"), (20, -45, 0)))
        self.assertRegex(self.readout.texts()["Yellow"], "^Center: (L1|L2)")


class TestChanges(ReadoutCase):
    def test_a_correction_changes_it_at_once(self):
        self.scrollTo(self.place("T12"))
        corrections.nameAs(self.node, [each.index for each in points.levelPoints(self.node)][4], "L1")
        self.settle()
        self.assertEqual(self.readout.texts()["Red"], "L1, middle third")

    def test_what_is_uncertain_is_said_to_be(self):
        self.scrollTo(self.place("T12"))
        self.widget._parameterNode.amberBelow = 1.0
        self.settle()
        self.assertEqual(self.readout.texts()["Red"], "T12, middle third (uncertain)")

    def test_without_points_and_with_the_option_off_there_is_none(self):
        self.assertIn("Red", self.readout.texts())
        self.ui.levelCheckBox.click()
        self.assertEqual(self.readout.texts(), {})
        self.ui.levelCheckBox.click()
        self.assertIn("Red", self.readout.texts())
        self.node.RemoveAllControlPoints()
        self.settle()
        self.assertEqual(self.readout.texts(), {})

    def test_nothing_outlives_list_scene_or_panel(self):
        props = {name: self.props(name) for name in VIEWS}
        self.assertGreater(min(props.values()), 0)
        for end in (lambda: slicer.mrmlScene.RemoveNode(self.node), slicer.mrmlScene.Clear, self.widget.panel.stop):
            if self.node is None:
                self.showBalls()
            end()
            self.settle()
            self.assertEqual(self.readout.texts(), {})
            self.assertEqual([self.props(name) for name in VIEWS], [0, 0, 0])
            self.sliceNode().JumpSlice(0, 0, 10)
            self.assertEqual(self.readout.texts(), {})

    def props(self, name):
        """How many corner texts a view has."""
        found = self.view(name).renderWindow().GetRenderers().GetFirstRenderer().GetViewProps()
        return sum(prop.IsA("vtkCornerAnnotation") for prop in found)
