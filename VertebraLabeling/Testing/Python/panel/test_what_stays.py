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
    def test_a_run_is_gone_when_it_has_ended(self):
        before = timers()
        self.ui.inputSelector.setCurrentNode(addVolume())
        self.ui.labelButton.click()
        run = weakref.ref(self.widget.panel.run._run)
        self.waitUntil(lambda: not self.widget.panel.run.running)
        self.settle()
        self.widget.panel.stop()
        self.settle()
        slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        gc.collect()
        self.assertIsNone(run())
        self.assertLessEqual(timers(), before)

    def test_a_run_that_is_kept_does_not_keep_the_voxels(self):
        run = self.logic.startLabeling(addVolume())
        request = weakref.ref(run._request)
        run.wait()
        self.settle()
        gc.collect()
        self.assertIsNone(request())

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
