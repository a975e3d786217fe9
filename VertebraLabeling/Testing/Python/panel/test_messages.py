"""When what the panel says goes: with its cause, and never beside another CT."""

import unittest.mock

import numpy as np
import slicer
from panel_case import PanelCase, addVolume
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingPanel import sample_data, setup_section


class TestErrorsEnd(PanelCase):
    """An error stays until its cause is gone, and no longer."""

    def setUp(self):
        super().setUp()
        self.ui.inputSelector.setCurrentNode(slicer.util.addVolumeFromArray(np.zeros((9, 9, 9), "int16"), name="empty"))
        self.fail_now()

    def fail_now(self):
        self.widget.panel.messages.fail(VertebraLabelingError("No spine was found."))

    def test_it_stays_while_nothing_else_is_chosen(self):
        addVolume()
        self.ui.amberSlider.value = 0.3
        self.widget.enter()
        self.settle()
        self.assertEqual(self.ui.errorLabel.text, "No spine was found.")

    def test_it_goes_with_another_ct(self):
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.assertEqual(self.ui.errorLabel.text, "")
        self.assertFalse(self.ui.errorLabel.isVisibleTo(self.widget.parent))

    def test_it_goes_with_another_point_list(self):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "mine")
        for chosen in (node, None):
            self.fail_now()
            self.ui.outputSelector.setCurrentNode(chosen)
            self.assertEqual(self.ui.errorLabel.text, "")

    def test_it_goes_with_its_ct(self):
        slicer.mrmlScene.RemoveNode(self.ui.inputSelector.currentNode())
        self.assertEqual(self.ui.errorLabel.text, "")

    def test_it_goes_when_the_sample_is_loaded(self):
        again = self.ui.inputSelector.currentNode()
        for loaded in (again, addVolume(name="sample")):
            self.fail_now()
            with unittest.mock.patch.object(sample_data, "load", return_value=loaded):
                self.ui.loadSampleButton.click()
            self.assertEqual(self.ui.errorLabel.text, "")

    def test_it_goes_when_what_it_asked_for_was_done(self):
        self.addCleanup(setattr, self.ui.modelPathLineEdit, "currentPath", "")
        self.ui.modelPathLineEdit.currentPath = "/models/mine.pt"
        self.assertEqual(self.ui.errorLabel.text, "")
        self.fail_now()
        with unittest.mock.patch.object(setup_section, "installTorch"):
            self.widget.panel.setup._onInstallTorch()
        self.assertEqual(self.ui.errorLabel.text, "")

    def test_what_was_found_is_not_told_beside_another_ct(self):
        self.labelBalls()
        told = self.ui.statusLabel.text
        self.assertIn("labeled", told)
        self.ui.outputSelector.setCurrentNode(None)
        self.assertEqual(self.ui.statusLabel.text, told)
        other = addVolume(name="other")
        self.assertEqual(self.ui.statusLabel.text, told)
        self.ui.inputSelector.setCurrentNode(other)
        self.assertEqual(self.ui.statusLabel.text, "")

    def test_during_a_run_no_other_ct_can_be_chosen(self):
        self.logic.backgroundLabeler = "balls:SlowBallLabeler"
        self.assertTrue(self.ui.loadSampleButton.enabled)
        self.ui.labelButton.click()
        self.assertFalse(self.ui.inputSelector.enabled or self.ui.loadSampleButton.enabled)
        self.ui.labelButton.click()
        self.assertTrue(self.ui.inputSelector.enabled and self.ui.loadSampleButton.enabled)
