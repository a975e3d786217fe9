"""The shipped network in its own process, run and cancelled from the panel; needs weights, data and PyTorch."""

import os
import unittest
from pathlib import Path

import slicer
from click_to_points import timedRuns
from marks import timing
from panel_case import PanelCase, processIsAlive
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.networks import weights
from VertebraLabelingMRML.engine import torchVersion
from VertebraLabelingMRML.points import levelPoints

REPOSITORY = Path(__file__).resolve().parents[4]
DATA = Path(os.environ.get("VERTEBRA_LABELING_DATA", REPOSITORY.parent / "shared" / "data"))
CT = DATA / "ct" / "ts_aorta_chest.nii.gz"


@unittest.skipUnless(weights.default_weights().is_file(), "the network weights are not in the repository")
@unittest.skipUnless(torchVersion(), "needs PyTorch")
@unittest.skipUnless(CT.is_file(), "needs the data folder with real CT and truth: set VERTEBRA_LABELING_DATA")
class TestRealRun(PanelCase):
    def setUp(self):
        super().setUp()
        self.logic.backgroundLabeler = labeling_process.NETWORK
        self.ui.deviceComboBox.currentText = "cpu"
        self.ui.inputSelector.setCurrentNode(slicer.util.loadVolume(str(CT), properties={}))

    def test_the_panel_labels_a_real_ct_with_the_shipped_network(self):
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running, seconds=300)
        self.assertEqual(self.ui.errorLabel.text, "")
        self.assertGreater(len(levelPoints(self.node)), 8)
        self.assertIn("on the CPU", self.ui.statusLabel.text)

    @timing
    def test_cancel_ends_the_network_at_once(self):
        """A few tenths of a second on a quiet computer; the network would go on for several seconds."""
        self.ui.labelButton.click()
        self.waitUntil(lambda: "inding" in self.ui.stageLabel.text and self.ui.progressBar.value > 300, seconds=120)
        pid = self.widget.panel.run._run.workerPid
        self.ui.labelButton.click()
        self.waitUntil(lambda: not processIsAlive(pid), seconds=5)
        self.assertIsNone(self.node)

    @timing
    def test_the_next_run_waits_neither_for_a_process_nor_for_pytorch(self):
        """On two quiet cores a second or two less; here the stages tell, whatever else the computer does."""
        first, second = timedRuns(self.widget, self.ui.inputSelector.currentNode(), 2)
        self.assertGreater(first["PyTorch"], 0.1)
        self.assertLess(second["start"], first["start"] + first["PyTorch"])
        self.assertEqual(second["PyTorch"], 0.0)
        if first["CPU"]:
            self.assertLess(second["CPU"], first["CPU"])
