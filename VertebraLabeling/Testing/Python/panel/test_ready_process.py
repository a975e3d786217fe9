"""The process that stays ready after a run: who gets it, when it ends, and that nothing of a volume stays in it."""

import os
import signal
import subprocess
import sys
import unittest
import unittest.mock
from pathlib import Path

import numpy as np
import qt
import slicer
from panel_case import PanelCase, addVolume, centers, processIsAlive, volumeFolders
from VertebraLabelingLib.background import engine_files, job_queue, labeling_process
from VertebraLabelingLib.errors import Cancelled, VertebraLabelingError
from VertebraLabelingPanel.labeling_process import ready


class ReadyCase(PanelCase):
    def label(self, volumeNode=None, **arguments):
        """Label from the console and return the run, which has ended."""
        return self.start(volumeNode, waitForCompletion=True, **arguments)

    def start(self, volumeNode=None, **arguments):
        return self.logic.startLabeling(volumeNode or addVolume(), **arguments)

    def assertGone(self, pid):
        self.waitUntil(lambda: not processIsAlive(pid))

    def processes(self):
        slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        return len(slicer.app.findChildren(qt.QProcess))


class TestTheNextRun(ReadyCase):
    def test_it_is_done_by_the_same_process_with_the_voxels_of_its_own_volume(self):
        runs = [self.label(addVolume(centers("T5", last), name=last)) for last in ("T10", "T12", "L1")]
        self.assertEqual(len({run.workerPid for run in runs}), 1)
        self.assertEqual([run.pointsNode.GetNumberOfControlPoints() for run in runs], [6, 8, 9])

    def test_it_works_in_the_next_scene(self):
        first = self.label()
        slicer.mrmlScene.Clear()
        second = self.label(addVolume(centers("T5", "T9")))
        self.assertEqual(second.workerPid, first.workerPid)
        self.assertEqual(second.pointsNode.GetNumberOfControlPoints(), 5)

    def test_another_device_or_model_gets_a_process_of_its_own(self):
        pids = [self.label(device="cpu").workerPid]
        pids.append(self.label(device="auto").workerPid)
        pids.append(self.label(device="auto", weights="/models/mine.pt").workerPid)
        self.assertEqual(len(set(pids)), 3)
        for pid in pids[:2]:
            self.assertGone(pid)

    def test_changed_code_gets_a_process_of_its_own(self):
        pid = self.label().workerPid
        folder = Path(slicer.app.temporaryPath)
        with unittest.mock.patch.object(engine_files, "ENGINE", folder):
            self.assertNotEqual(self.label().workerPid, pid)
        self.assertGone(pid)

    def test_two_runs_at_once_have_two_processes_of_which_one_stays(self):
        runs = [self.start(addVolume(centers("T5", last), name=last)) for last in ("T10", "T12")]
        for run, count in zip(runs, (6, 8)):
            self.assertEqual(run.wait().GetNumberOfControlPoints(), count)
        self.waitUntil(lambda: sum(processIsAlive(run.workerPid) for run in runs) == 1)
        self.assertEqual(self.processes(), 1)

    def test_after_a_scan_without_a_spine_it_is_still_there(self):
        pid = self.label().workerPid
        empty = slicer.util.addVolumeFromArray(np.zeros((9, 9, 9), "int16"), name="empty")
        run = self.start(empty)
        with self.assertRaisesRegex(VertebraLabelingError, "No spine"), self.assertLogs(level="ERROR"):
            run.wait()
        self.assertEqual([run.workerPid, self.label().workerPid], [pid, pid])

    def test_after_a_bug_there_is_a_new_one(self):
        self.logic.backgroundLabeler = "balls:BuggyLabeler"
        run = self.start()
        with self.assertRaises(VertebraLabelingError), self.assertLogs(level="ERROR"):
            run.wait()
        self.assertGone(run.workerPid)
        self.assertEqual(self.processes(), 0)


class TestItsEnd(ReadyCase):
    def test_a_crash_between_runs_is_noticed(self):
        pid = self.label().workerPid
        os.kill(pid, signal.SIGKILL)
        self.waitUntil(lambda: self.processes() == 0)
        self.assertNotEqual(self.label().workerPid, pid)

    def test_a_crash_that_nobody_has_noticed_yet_costs_no_run(self):
        pid = self.label().workerPid
        os.kill(pid, signal.SIGKILL)
        self.assertGone(pid)
        run = self.label()
        self.assertNotEqual(run.workerPid, pid)
        self.assertEqual(run.pointsNode.GetNumberOfControlPoints(), len(centers()))

    def test_a_crash_of_its_launcher_ends_it(self):
        pid = self.label().workerPid
        ready._process._process.kill()
        self.assertGone(pid)
        self.assertEqual(self.processes(), 0)

    def test_cancel_during_the_hand_over_ends_it_and_removes_the_volume(self):
        pid = self.label().workerPid
        run = self.start()
        self.assertNotEqual(volumeFolders(), [])
        run.cancel()
        with self.assertRaises(Cancelled):
            run.wait()
        self.assertGone(pid)
        self.assertEqual(volumeFolders(), [])
        self.assertEqual(self.processes(), 0)

    def test_quitting_or_leaving_the_module_ends_it(self):
        for end in (self.widget.panel.stop, lambda: slicer.app.aboutToQuit.emit()):
            if hasattr(slicer.app, "commandOptions") and end != self.widget.panel.stop:
                continue  # would quit the Slicer that runs the tests
            pid = self.label().workerPid
            self.assertTrue(processIsAlive(pid))
            end()
            self.assertGone(pid)
            self.assertEqual(self.processes(), 0)

    def test_one_process_is_alive_after_many_runs_and_none_after_the_panel(self):
        before = self.processes()
        for _ in range(3):
            self.label()
        self.assertEqual(self.processes(), before + 1)
        self.widget.panel.stop()
        self.assertEqual(self.processes(), before)

    def test_waiting_too_long_or_a_lack_of_memory_ends_it(self):
        for reason in ("idle", "memory"):
            with (
                self.subTest(reason),
                unittest.mock.patch.dict(os.environ, IMPATIENT_PROCESS=reason),
                unittest.mock.patch.object(labeling_process, "__name__", "impatient_process"),
            ):
                self.assertGone(self.label().workerPid)
                self.waitUntil(lambda: self.processes() == 0)
                self.assertIsNone(ready._process)

    def test_advanced_tells_how_long_it_stays_and_all_that_ends_it_sooner(self):
        self.assertEqual(job_queue.IDLE_SECONDS, 600)
        for words in ("ready for ten minutes", "Cancel", "quitting Slicer", "too little free memory"):
            self.assertIn(words, self.ui.readyLabel.text)


class TestTheVolume(ReadyCase):
    def test_its_folder_is_private_and_its_name_says_nothing_of_the_patient(self):
        run = self.start(addVolume(name="Doe^Jane"))
        (folder,) = volumeFolders()
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        self.assertEqual([path.name for path in folder.iterdir()], ["volume.npy"])
        self.assertNotIn("Doe", str(folder))
        run.wait()
        self.assertFalse(folder.exists())

    def test_the_process_that_waits_holds_no_volume(self):
        self.logic.backgroundLabeler = "ball_labeler:BallLabeler"  # the other one keeps its volumes
        run = self.start()
        (folder,) = volumeFolders()
        run.wait()
        maps = Path(f"/proc/{run.workerPid}/maps")
        self.waitUntil(lambda: str(folder) not in maps.read_text())

    def test_a_folder_that_cannot_be_made_gets_a_sentence(self):
        with (
            unittest.mock.patch("VertebraLabelingPanel.run.make_private_folder", side_effect=OSError(28, "disk full")),
            self.assertRaisesRegex(VertebraLabelingError, "disk full"),
        ):
            self.start()


SLICER = """
import os, sys, time
from pathlib import Path
testing = Path(sys.argv[1])
sys.path[:0] = [str(testing.parents[1]), str(testing), str(testing / "helpers")]
os.environ["PYTHONPATH"] = str(testing / "helpers")
import harness
harness.start()
import slicer
harness.loadModule(testing.parents[1] / "VertebraLabeling.py")
from VertebraLabeling import VertebraLabelingLogic
from synthetic_spine import addVolume
logic = VertebraLabelingLogic()
logic.backgroundLabeler = sys.argv[2]
run = logic.startLabeling(addVolume())
while run.workerPid is None or (run.running and sys.argv[2] == "balls:BallLabeler"):
    slicer.app.processEvents()
    time.sleep(0.005)
print("worker", run.workerPid, slicer.app.temporaryPath, flush=True)
time.sleep(60)
"""


@unittest.skipIf(hasattr(slicer.app, "commandOptions"), "kills the application: only in the harness")
class TestAKilledSlicer(ReadyCase):
    def killed_during(self, labeler):
        command = [sys.executable, "-c", SLICER, str(Path(__file__).resolve().parents[1]), labeler]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, text=True, **pipes) as application:
            self.addCleanup(application.kill)
            said = next(line for line in application.stdout if line.startswith("worker"))
            application.kill()
        _, pid, folder = said.split()
        self.assertGone(int(pid))
        self.waitUntil(lambda: not volumeFolders(application.pid, folder))

    def test_it_takes_the_process_and_the_volume_of_a_run_along(self):
        self.killed_during("balls:SlowBallLabeler")

    def test_it_takes_the_process_that_waits_along(self):
        self.killed_during("balls:BallLabeler")
