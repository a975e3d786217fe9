"""What is alive after a run and after drags: nothing that holds voxels, and no timer."""

import gc
import os
import tempfile
import weakref

import qt
import slicer
from panel_case import PanelCase, addVolume


def timers():
    return len(slicer.app.findChildren(qt.QTimer))


class TestWhatStays(PanelCase):
    def left(self):
        """How many timers the application has when the panel has stopped and what was given back is deleted."""
        self.settle()
        self.widget.panel.stop()
        slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        gc.collect()
        return timers()

    def drag(self):
        """What a drag tells the panel."""
        markups = slicer.vtkMRMLMarkupsNode
        self.node.InvokeEvent(markups.PointStartInteractionEvent)
        place = [0.0, 0.0, 0.0]
        self.node.GetNthControlPointPositionWorld(2, place)
        self.node.SetNthControlPointPositionWorld(2, place[0] + 3.0, place[1], place[2])
        self.node.InvokeEvent(markups.PointEndInteractionEvent)
        self.settle()

    def test_a_run_is_gone_when_it_has_ended(self):
        before = self.left()
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.ui.labelButton.click()
        run = weakref.ref(self.widget.panel.run._run)
        self.assertGreater(timers(), before)
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertEqual(self.left(), before)
        self.assertIsNone(run())

    def test_more_drags_need_no_more_timers_and_a_stopped_panel_has_none(self):
        before = self.left()
        self.showBalls()
        self.drag()
        self.assertTrue(self.ui.undoButton.text.startswith("Undo drag"), self.ui.undoButton.text)
        slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        needed = timers()
        self.assertGreater(needed, before)
        for _ in range(3):
            self.drag()
        self.assertEqual(timers(), needed)
        self.assertEqual(self.left(), before)

    def test_more_right_clicks_in_the_table_need_no_more_menus(self):
        self.showBalls()
        table = self.ui.levelTable
        for row in range(3):
            place = table.visualItemRect(table.item(row, 0)).center()
            self.widget.panel.results.table._onMenuRequested(place)
            slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
            (menu,) = table.findChildren(qt.QMenu)
            menu.close()

    def test_a_run_that_is_kept_does_not_keep_the_voxels(self):
        run = self.logic.startLabeling(addVolume())
        request, voxels = weakref.ref(run._request), weakref.ref(run._request.volume.array)
        run.wait()
        self.settle()
        gc.collect()
        self.assertIsNone(request())
        self.assertIsNone(voxels())

    def test_a_python_that_cannot_be_started_is_told_and_the_processes_have_a_parent(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        program = os.path.join(folder.name, "PythonSlicer")
        with open(program, "w", encoding="utf-8") as stream:
            stream.write("#!/nowhere/interpreter\n")
        os.chmod(program, 0o755)
        before = os.environ["PATH"]
        os.environ["PATH"] = folder.name + os.pathsep + before
        self.addCleanup(os.environ.__setitem__, "PATH", before)
        parents = []
        make = qt.QProcess

        def recording(*given):
            parents.extend(given or [None])
            return make(*given)

        recording.NotRunning = make.NotRunning
        qt.QProcess = recording
        self.addCleanup(setattr, qt, "QProcess", make)
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.ui.labelButton.click()
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.assertIn("ended unexpectedly", self.ui.errorLabel.text)
        self.assertEqual(parents, [slicer.app])
