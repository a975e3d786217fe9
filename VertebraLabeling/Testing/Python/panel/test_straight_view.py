"""The straightened spine beside the usual views: a click or the crosshair in one takes the others there."""

import os
import tempfile

import numpy as np
import slicer
from panel_case import PanelCase
from VertebraLabelingMRML import corrections, points
from VertebraLabelingPanel import straight_layout

USUAL = ("Red", "Yellow", "Green")


class StraightCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.requireViews()
        self.enlargeMainWindow()
        self.showBalls()
        self.layout = slicer.app.layoutManager()
        self.layoutBefore = self.layout.layout
        self.addCleanup(self.layout.setLayout, self.layoutBefore)
        self.before = self.nodes()
        self.button = self.ui.straightButton
        self.button.click()
        self.settle()
        self.assertEqual(self.ui.errorLabel.text, "")
        self.part = self.widget.panel.reading.straight
        self.straight = self.part.straight

    def nodes(self):
        """IDs of all nodes but views, which Slicer keeps, and names in views, which come and go."""
        found = [slicer.mrmlScene.GetNthNode(index) for index in range(slicer.mrmlScene.GetNumberOfNodes())]
        kept = ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode", "vtkMRMLSliceDisplayNode")
        return {
            node.GetID()
            for node in found
            if node.GetClassName() not in kept and "names" not in node.GetName() and node.GetSaveWithScene()
        }

    def place(self, level):
        return points.readLabels(self.node).by_level[level].ras

    def view(self, name):
        return self.layout.sliceWidget(name)

    def origin(self, name):
        return slicer.util.arrayFromVTKMatrix(self.view(name).mrmlSliceNode().GetSliceToRAS())[:3, 3]

    def pixel(self, name, ras):
        xyToRas = slicer.util.arrayFromVTKMatrix(self.view(name).mrmlSliceNode().GetXYToRAS())
        return tuple(round(value) for value in (np.linalg.inv(xyToRas) @ [*ras, 1.0])[:2])

    def hover(self, name, ras, modifiers=()):
        x, y = self.pixel(name, ras)
        slicer.util.clickAndDrag(
            self.view(name), button="None", start=(x - 5, y), end=(x, y), modifiers=list(modifiers)
        )

    def click(self, name, ras, move=0):
        self.hover(name, ras)
        x, y = self.pixel(name, ras)
        slicer.util.clickAndDrag(self.view(name), button="Left", start=(x, y), end=(x + move, y), steps=2)
        self.settle()

    def assertAt(self, level, away=2.5):
        """All views are there, and both marks stand there."""
        ras, straight = self.place(level), self.straight.toStraight(self.place(level))
        for mark, wanted in zip(self.part.views.marked, (ras, straight)):
            self.assertLess(np.linalg.norm(np.subtract(mark, wanted)), away)
        for name in straight_layout.VIEWS:
            matrix = slicer.util.arrayFromVTKMatrix(self.view(name).mrmlSliceNode().GetSliceToRAS())
            self.assertLess(abs((np.subtract(straight, matrix[:3, 3])) @ matrix[:3, 2]), away, name)

    def assertGone(self):
        self.settle()
        self.assertIsNone(self.part.straight)
        self.assertFalse(self.button.checked)
        self.assertEqual(self.layout.layout, self.layoutBefore)


class TestShown(StraightCase):
    def test_both_views_show_it_with_its_names_and_the_usual_ones_do_not(self):
        self.assertEqual(self.layout.layout, straight_layout.LAYOUT)
        display = self.straight.pointsNode.GetDisplayNode()
        for name, orientation in straight_layout.VIEWS.items():
            node = self.view(name).mrmlSliceNode()
            composite = self.view(name).sliceLogic().GetSliceCompositeNode()
            self.assertEqual(composite.GetBackgroundVolumeID(), self.straight.volumeNode.GetID())
            self.assertEqual(node.GetOrientation(), orientation)
            self.assertTrue(display.IsDisplayableInView(node.GetID()))
            shown = [self.node.GetNthDisplayNode(n) for n in range(self.node.GetNumberOfDisplayNodes())]
            self.assertFalse(any(each.IsDisplayableInView(node.GetID()) for each in shown))
        for name in USUAL:
            self.assertFalse(display.IsDisplayableInView(self.view(name).mrmlSliceNode().GetID()))

    def test_it_is_cut_through_the_bodies_not_through_the_canal(self):
        places = [each.ras for each in points.readLabels(self.node).points]
        middle = self.straight.toStraight(places[len(places) // 2])
        for name in straight_layout.VIEWS:
            matrix = slicer.util.arrayFromVTKMatrix(self.view(name).mrmlSliceNode().GetSliceToRAS())
            self.assertLess(abs((np.subtract(middle, matrix[:3, 3])) @ matrix[:3, 2]), 1.0, name)

    def test_a_volume_that_is_shown_in_all_views_leaves_them(self):
        volumeNode = self.ui.inputSelector.currentNode()
        slicer.util.setSliceViewerLayers(background=volumeNode, foreground=volumeNode)
        self.settle()
        for name in straight_layout.VIEWS:
            composite = self.view(name).sliceLogic().GetSliceCompositeNode()
            self.assertEqual(composite.GetBackgroundVolumeID(), self.straight.volumeNode.GetID())
            self.assertIsNone(composite.GetForegroundVolumeID())

    def test_a_second_press_takes_all_of_it_away(self):
        self.click("StraightSide", self.straight.toStraight(self.place("T11")))
        made = [self.straight.volumeNode, self.straight.pointsNode]
        made += [node.GetDisplayNode() for node in made]
        self.assertEqual([node.GetSaveWithScene() for node in made], [0, 0, 0, 0])
        self.button.click()
        self.assertGone()
        self.assertEqual([node.GetScene() for node in made], [None] * 4)
        self.assertEqual(self.nodes(), self.before)

    def test_a_scene_that_was_saved_with_it_opens_without_it(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "scene.mrml")
            slicer.mrmlScene.Commit(path)
            with open(path, encoding="utf-8") as stream:
                self.assertNotIn("straightened", stream.read())
        self.button.click()
        self.layout.setLayout(straight_layout.LAYOUT)  # as Slicer opens it
        self.widget.onSceneReady(None, None)
        self.assertEqual(self.layout.layout, slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)

    def test_a_layout_that_the_user_chose_meanwhile_stays(self):
        other = slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
        self.layout.setLayout(other)
        self.button.click()
        self.assertEqual(self.layout.layout, other)


class TestPointing(StraightCase):
    def test_a_click_takes_all_views_there(self):
        for name, level in (("StraightSide", "T10"), ("StraightFront", "L2")):
            self.click(name, self.straight.toStraight(self.place(level)))
            self.assertAt(level)
            for each in USUAL:
                self.assertLess(np.linalg.norm(self.origin(each) - self.place(level)), 2.5)
            self.assertTrue(self.widget.panel.reading.readout.texts()["Red"].startswith(level))

    def test_a_drag_is_no_click(self):
        before = {name: self.origin(name) for name in USUAL}
        self.click("StraightSide", self.straight.toStraight(self.place("T10")), move=25)
        for name in USUAL:
            np.testing.assert_allclose(self.origin(name), before[name])

    def test_a_click_beside_the_volume_moves_nothing(self):
        before = {name: self.origin(name) for name in USUAL}
        self.click("StraightSide", np.add(self.straight.toStraight(self.place("T8")), (0, 0, 90)))
        for name in USUAL:
            np.testing.assert_allclose(self.origin(name), before[name])

    def test_a_click_in_the_air_around_the_scan_moves_nothing(self):
        place = np.array(self.straight.toStraight(self.place("T8")))
        steps = [np.add(place, (0, step, 0)) for step in range(-60, 30)]
        beside = [each for each in steps if self.straight.toWorld(each) and not self.straight.isOfScan(each)]
        before = {name: self.origin(name) for name in USUAL}
        self.click("StraightSide", beside[len(beside) // 2])
        for name in USUAL:
            np.testing.assert_allclose(self.origin(name), before[name])

    def test_the_crosshair_of_either_shows_in_the_other(self):
        yellow = self.view("Yellow").mrmlSliceNode()
        yellow.JumpSliceByCentering(*self.place("T12"))
        self.hover("Yellow", self.place("T12"), ["Shift"])
        self.assertAt("T12")
        self.hover("StraightFront", self.straight.toStraight(self.place("L1")), ["Shift"])
        self.settle()
        self.assertAt("L1")
        self.assertLess(np.linalg.norm(self.origin("Red") - self.place("L1")), 2.5)

    def test_a_chosen_vertebra_is_shown_in_it(self):
        self.ui.levelTable.selectRow(self.levels().index("T9"))
        self.settle()
        for name in straight_layout.VIEWS:
            place = self.straight.toWorld(self.origin(name))
            self.assertLess(np.linalg.norm(np.subtract(place, self.place("T9"))), 1.0)

    def test_a_plane_that_the_others_are_turned_to_is_marked_in_it(self):
        self.widget.panel.reading.planes._turnTo("T10")
        before = slicer.util.arrayFromVTKMatrix(self.view("Red").mrmlSliceNode().GetSliceToRAS()).copy()
        self.assertAt("T10")
        self.settle()
        np.testing.assert_allclose(
            slicer.util.arrayFromVTKMatrix(self.view("Red").mrmlSliceNode().GetSliceToRAS()), before, atol=1e-6
        )

    def test_the_mouse_reads_the_level_in_it(self):
        self.hover("StraightSide", self.straight.toStraight(self.place("L3")))
        self.assertEqual(self.widget.panel.reading.readout.texts()["StraightSide"], "L3, middle third")


class TestInStep(StraightCase):
    def test_a_correction_renames_its_points_and_moves_the_mark(self):
        self.click("StraightSide", self.straight.toStraight(self.place("T10")))
        corrections.nameAs(self.node, self.levels().index("T12"), "L1")
        names = self.levels()
        pointsOf = lambda: [each.point.level for each in points.headToFoot(self.straight.pointsNode)]  # noqa: E731
        self.waitUntil(lambda: pointsOf() == names)
        self.assertAt("T11")

    def test_it_goes_with_its_points_its_volume_and_the_scene(self):
        for end in (
            lambda: slicer.mrmlScene.RemoveNode(self.node),
            lambda: slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode()),
            lambda: slicer.mrmlScene.Clear(),
            self.widget.panel.stop,
        ):
            if self.part.straight is None:
                self.showBalls()
                self.button.click()
                self.settle()
            made = self.part.straight.volumeNode, self.part.straight.pointsNode
            end()
            self.assertGone()
            self.assertEqual([node.GetScene() for node in made], [None, None])

    def test_while_there_is_no_spine_it_is_told_and_afterwards_no_more(self):
        first = self.place("T8")
        self.node.SetNthControlPointPositionWorld(0, list(self.place("L4")))
        self.waitUntil(lambda: self.straight.problem != "")
        self.assertEqual(self.ui.errorLabel.text, self.straight.problem)
        self.node.SetNthControlPointPositionWorld(0, list(first))
        self.waitUntil(lambda: self.straight.problem == "")
        self.assertEqual(self.ui.errorLabel.text, "")

    def test_points_that_give_no_spine_are_told(self):
        self.button.click()
        while self.node.GetNumberOfControlPoints() > 1:
            self.node.RemoveNthControlPoint(0)
        self.settle()
        self.button.click()
        self.assertNotEqual(self.ui.errorLabel.text, "")
        self.assertGone()
