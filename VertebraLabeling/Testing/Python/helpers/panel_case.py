"""What the panel tests share: the open panel, with a labeler that finds bright balls in a process of its own."""

import os
import time
import unittest
from pathlib import Path

import slicer
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.background.private_folder import private_folders
from VertebraLabelingMRML.points import levelPoints
from VertebraLabelingPanel.labeling_process import ready

from VertebraLabeling import VertebraLabelingLogic

__all__ = ["PanelCase", "addVolume", "centers", "processIsAlive"]

HELPERS = str(Path(__file__).resolve().parent)
TIMEOUT = 60.0
WINDOW_SIZE = (1400, 1000)


def volumeFolders(pid=None, temporary=None):
    """Folders of volumes that a process has handed over, this one by default; those of tests beside it do not count."""
    mark = f"-{pid or os.getpid()}-"
    return [each for each in private_folders(temporary or slicer.app.temporaryPath) if mark in each.name]


def processIsAlive(pid):
    """Whether a process still runs; one that has ended and waits to be collected does not."""
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
        return stream.read().rsplit(")", 1)[1].split()[0] != "Z"


class PanelCase(unittest.TestCase):
    """A clean scene and the module's panel, opened as Slicer opens it."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        environment = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = HELPERS  # where the labeling process finds its labeler
        self.addCleanup(self._restore, environment)
        self.widget = slicer.util.getModuleWidget("VertebraLabeling")
        self.logic, self.ui = self.widget.logic, self.widget.ui
        self.logic.backgroundLabeler = "balls:BallLabeler"
        self.widget.enter()

    def _restore(self, environment):
        self.widget.panel.run.cancel()
        ready.end()
        if environment is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = environment

    def requireViews(self):
        """Skip where Slicer has none: with --no-main-window."""
        if slicer.app.layoutManager() is None:
            self.skipTest("needs views: Slicer runs without a main window")

    def enlargeMainWindow(self):
        """Make the views large enough for points, balls and curve; with --testing Slicer opens at 1037 x 570."""
        window = slicer.util.mainWindow()
        self.addCleanup(window.resize, window.width, window.height)
        window.resize(*WINDOW_SIZE)
        self.settle()

    @property
    def node(self):
        return self.ui.outputSelector.currentNode()

    def levels(self):
        return [each.point.level for each in levelPoints(self.node)]

    def labelBalls(self, balls=None):
        """Load a volume with balls, press the button, and wait; returns the points node."""
        self.ui.inputSelector.setCurrentNode(addVolume(balls))
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.settle()
        self.assertIsNotNone(self.node, self.ui.errorLabel.text)
        return self.node

    def showBalls(self, balls=None):
        """The points in a volume with balls as after a run, but made here: for tests of what comes after it."""
        volumeNode = addVolume(balls)
        self.ui.inputSelector.setCurrentNode(volumeNode)
        self.widget.panel.onResult(VertebraLabelingLogic(BallLabeler()).label(volumeNode), None)
        self.settle()
        return self.node

    def waitUntil(self, condition, seconds=TIMEOUT):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "waited too long")
            slicer.app.processEvents()
            time.sleep(0.005)

    def settle(self):
        """Let timers and queued events happen, also on a busy computer."""
        for _ in range(12):
            time.sleep(0.01)
            slicer.app.processEvents()

    def rowMenu(self, row):
        """The menu of a row, which goes at the end: the table is that of the next test, too."""
        menu = self.widget.panel.results.table.makeMenu(row)
        self.addCleanup(menu.deleteLater)
        return menu

    def chooseRows(self, *levels):
        """Select the rows of these levels in the table, as ctrl-clicks do."""
        self.ui.levelTable.clearSelection()
        for row in range(self.ui.levelTable.rowCount):
            if self.cell(row, 0) in levels:
                for column in range(self.ui.levelTable.columnCount):
                    self.ui.levelTable.item(row, column).setSelected(True)

    def cell(self, row, column):
        return self.ui.levelTable.item(row, column).text()

    def column(self, column):
        return [self.cell(row, column) for row in range(self.ui.levelTable.rowCount)]
