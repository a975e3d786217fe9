"""What the user does to the points while a run goes on: it is neither lost nor done to another vertebra."""

import os
import signal

import numpy as np
import slicer
from panel_case import PanelCase, centers
from VertebraLabelingMRML import points

LEVELS = list(centers())


class TestMeanwhile(PanelCase):
    def setUp(self):
        super().setUp()
        self.logic.backgroundLabeler = "balls:UnhurriedBallLabeler"
        self.showBalls()

    def index(self, level):
        return next(each.index for each in points.levelPoints(self.node) if each.point.level == level)

    def places(self):
        return {each.point.level: np.array(each.point.ras) for each in points.levelPoints(self.node)}

    def waitForRun(self):
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.settle()

    def invoke(self, name):
        self.node.InvokeEvent(getattr(slicer.vtkMRMLMarkupsNode, name))

    def test_a_correction_during_a_run_stays_when_the_run_is_taken_back(self):
        self.ui.labelButton.click()
        self.chooseRows("T12")
        self.ui.levelComboBox.currentText = "L1"
        self.ui.nameButton.click()
        self.assertTrue(self.widget.panel.run.running)
        self.waitForRun()
        for what in ("Undo labeling", "Undo 'this is L1'"):
            self.assertEqual(self.ui.undoButton.text, what)
            self.assertEqual(self.column(0), list(centers("T9", "L5")))
            self.assertEqual(self.cell(4, 2), "confirmed")
            self.ui.undoButton.click()
        self.assertEqual(self.column(0), LEVELS)

    def test_a_run_can_be_taken_back_also_where_another_list_is_shown_by_then(self):
        first = self.node
        other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "other")
        other.AddControlPointWorld([0, 0, 0], "C3")
        self.ui.labelButton.click()
        self.widget._parameterNode.outputPoints = other  # as the menu of a point in a view does
        self.waitForRun()
        self.assertIs(self.node, first)
        self.assertEqual(self.ui.undoButton.text, "Undo labeling")

    def test_a_result_waits_until_the_mouse_has_let_go_of_a_point(self):
        """It brings other points into the list, so the number that the mouse holds would be another vertebra's."""
        self.chooseRows("T8", "T9")
        self.ui.deleteButton.click()
        before, held = self.places(), self.index("T12")
        self.ui.labelButton.click()
        self.invoke("PointStartInteractionEvent")
        run = self.widget.panel.run._run
        self.waitUntil(lambda: "result" in run.times)
        self.settle()
        self.assertEqual(len(self.places()), len(before))
        self.assertTrue(self.widget.panel.run.running)
        os.kill(run.workerPid, signal.SIGTERM)  # it is needed no more
        target = before["T12"] + (0, 6, 4)
        self.node.SetNthControlPointPositionWorld(held, *target)
        self.invoke("PointEndInteractionEvent")
        self.waitForRun()
        after = self.places()
        self.assertEqual(list(after), LEVELS)
        np.testing.assert_allclose(after["T12"], target, atol=1e-6)
        self.assertEqual(self.cell(LEVELS.index("T12"), 2), "moved")
        for level in set(before) - {"T12"}:
            np.testing.assert_allclose(after[level], before[level], atol=0.01)
        self.ui.undoButton.click()
        self.assertEqual(self.ui.undoButton.text, "Undo drag of T12")
        self.ui.undoButton.click()
        np.testing.assert_allclose(self.places()["T12"], before["T12"], atol=1e-6)

    def test_a_list_that_is_removed_or_a_run_that_is_cancelled_in_a_drag_ends_the_wait(self):
        for end in (lambda: slicer.mrmlScene.RemoveNode(self.node), self.ui.labelButton.click, slicer.mrmlScene.Clear):
            self.ui.labelButton.click()
            run = self.widget.panel.run._run
            self.invoke("PointStartInteractionEvent")
            self.waitUntil(lambda run=run: "result" in run.times)
            end()
            self.waitForRun()
