"""What the panel tests share: the open panel with a labeler that finds bright balls."""

import sys
import unittest
from pathlib import Path

import slicer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "mrml"))

from synthetic_spine import BallLabeler


class PanelCase(unittest.TestCase):
    """A clean scene and the module's panel, opened as Slicer opens it."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.widget = slicer.util.getModuleWidget("VertebraLabeling")
        self.ui = self.widget.ui
        self.labeler = BallLabeler()
        self.widget.logic._labeler = self.labeler
        self.widget.enter()
        self.addCleanup(self.widget.exit)
