"""A labeling run in the background: hand the volume over, watch the process, write the result into the scene."""

import logging
import shutil
import tempfile
import time
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.background.handover import Handover
from VertebraLabelingLib.background.labeling_process import HANDOVER_SHARE
from VertebraLabelingLib.errors import Cancelled, VertebraLabelingError
from VertebraLabelingMRML import labeling

from .later import Later

MODULE_FOLDER = Path(__file__).resolve().parents[1]
STDERR_LINES = 20
FINISH_MS = 3000
NO_RESULT = (
    "The labeling process ended without a result, most often because memory ran out: close other programs or crop the "
    "volume. Its last lines are in Slicer's error log."
)


def pythonSlicer():
    """Path of Slicer's Python interpreter.

    Raises:
        VertebraLabelingError: it is not on the path.
    """
    path = shutil.which("PythonSlicer")
    if not path:
        raise VertebraLabelingError("PythonSlicer was not found: start Slicer through its launcher.")
    return path


class LabelingRun(VTKObservationMixin):
    """One run. The application stays alive; the scene is not touched before the result is there.

    Args:
        request: what to label (:func:`labeling.prepare`).
        arguments: ``weights`` and ``device`` of the network's labeler.
        onProgress: called with (fraction 0..1, stage, seconds left or None).
        onFinished: called once with this run, however it ended.
        labelerName: ``module:class`` that labels in the process.

    Attributes:
        pointsNode: the result; None until it is there.
        error: why there is none: :class:`VertebraLabelingError`, or :class:`Cancelled`.
        detail: text for the log that belongs to ``error``.
    """

    def __init__(self, request, arguments=None, onProgress=None, onFinished=None, labelerName=labeling_process.NETWORK):
        super().__init__()
        self.pointsNode, self.error, self.detail = None, None, ""
        self.workerPid = None
        self._request, self._arguments, self._labelerName = request, dict(arguments or {}), labelerName
        self._onProgress, self._onFinished = onProgress, onFinished
        self._volumeID = request.volumeNode.GetID()
        self._folder = self._process = self._handover = self._later = None
        self._output, self._stderr = b"", b""
        self._labels, self._done, self._startTime = None, False, time.monotonic()

    @property
    def running(self):
        return not self._done

    def start(self):
        """Begin; returns at once.

        Raises:
            VertebraLabelingError: nothing could be started.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="VertebraLabeling-", dir=slicer.app.temporaryPath))
        try:
            self._handover = Handover(self._request.volume.array, self._folder / "volume.npy")
            self._program = pythonSlicer()
        except VertebraLabelingError:
            self._done = True
            self._removeFiles()
            raise
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onSceneChanged)
        self._report(0.0, _("handing over the volume"))
        self._later = Later(self._handOver)
        self._later.start(0)

    def cancel(self):
        """End the run now; the scene stays as it was."""
        if not self._done:
            self._end(error=Cancelled("Labeling was cancelled."))

    def wait(self):
        """Keep the application alive until the run has ended; returns the markups node.

        Raises:
            VertebraLabelingError: the run failed or was cancelled.
        """
        while not self._done:
            slicer.app.processEvents()
            time.sleep(0.005)
        if self.error:
            raise self.error
        return self.pointsNode

    def _handOver(self):
        if self._done:
            return
        try:
            more = self._handover.step()
        except VertebraLabelingError as error:
            self._end(error)
            return
        self._report(HANDOVER_SHARE * self._handover.fraction, _("handing over the volume"))
        if self._done:  # whoever was told of the progress cancelled
            return
        if more:
            self._later.start(0)
        else:
            self._startProcess()

    def _startProcess(self):
        job = labeling_process.Job(
            str(self._handover.path),
            self._request.volume.ijk_to_ras.tolist(),
            self._request.fixed,
            self._arguments,
            self._labelerName,
        )
        job.write(self._folder / "job.json")
        process = self._process = qt.QProcess(slicer.app)  # without a parent it dies inside its own signal
        process.setWorkingDirectory(str(MODULE_FOLDER))  # "-m" finds the engine there
        process.connect("readyReadStandardOutput()", self._onOutput)
        process.connect("readyReadStandardError()", self._onStandardError)
        process.connect("finished(int,QProcess::ExitStatus)", self._onProcessFinished)
        process.connect("errorOccurred(QProcess::ProcessError)", self._onProcessError)
        process.start(self._program, ["-m", labeling_process.__name__, str(self._folder / "job.json")])

    def _onOutput(self):
        if self._process is None:
            return
        self._output += bytes(self._process.readAllStandardOutput().data())
        *lines, self._output = self._output.split(b"\n")
        for line in lines:
            if self._done:
                return
            message = labeling_process.parse_message(line)
            if message:
                self._onMessage(message)

    def _onMessage(self, message):
        kind = message["type"]
        if kind == "started":
            self.workerPid = message["pid"]
        elif kind == "progress":
            self._report(HANDOVER_SHARE + (1 - HANDOVER_SHARE) * message["fraction"], message["stage"])
        elif kind == "result":
            self._labels = labeling_process.labels_from_json(message["labels"])
        elif kind == "error":
            self.detail = message["detail"]
            self._end(VertebraLabelingError(message["message"]))

    def _onStandardError(self):
        if self._process is None:
            return
        self._stderr = (self._stderr + bytes(self._process.readAllStandardError().data()))[-65536:]

    def _onProcessError(self, *unused):
        if not self._done and self._process.state() == qt.QProcess.NotRunning:
            self._end(
                VertebraLabelingError(f"The labeling process ended unexpectedly ({self._process.errorString()}).")
            )

    def _onProcessFinished(self, *unused):
        if self._done:
            return
        self._onOutput()
        self._onStandardError()
        if self._done:
            return
        if self._labels is None:
            self._end(VertebraLabelingError(NO_RESULT))
            return
        try:
            self.pointsNode = labeling.finish(self._request, self._labels)
        except VertebraLabelingError as error:
            self._end(error)
        else:
            self._end()

    def _onSceneChanged(self, caller, event):
        if self._done:
            return
        if slicer.mrmlScene.IsClosing() or slicer.mrmlScene.GetNodeByID(self._volumeID) is not self._request.volumeNode:
            self._end(error=Cancelled("The volume was removed from the scene: the labeling was cancelled."))

    def _report(self, fraction, stage):
        if self._onProgress:
            seconds = time.monotonic() - self._startTime
            self._onProgress(fraction, stage, labeling_process.seconds_left(fraction, seconds))

    def _end(self, error=None):
        """Stop whatever still runs, remove the files and tell the caller. Happens once."""
        self._done, self.error = True, error
        self.removeObservers()
        if self._later is not None:
            self._later.stop()
        self._stopProcess()
        self._removeFiles()
        self._request = self._handover = None  # the voxels: whoever keeps the run must not keep them
        if error is not None and not isinstance(error, Cancelled):
            lastLines = "\n".join(self._stderr.decode("utf-8", "replace").splitlines()[-STDERR_LINES:])
            self.detail = "\n".join(part for part in (self.detail, lastLines) if part)
            logging.error("%s\n%s", error, self.detail)
        if self._onFinished:
            self._onFinished(self)

    def _stopProcess(self):
        process, self._process = self._process, None
        if process is None:
            return
        if process.state() != qt.QProcess.NotRunning:
            # PythonSlicer is a launcher: killing it leaves the interpreter that it started. Closing the standard
            # input ends that one by itself (VertebraLabelingLib.background.labeling_process).
            process.closeWriteChannel()
            process.kill()
            process.waitForFinished(FINISH_MS)
        process.deleteLater()

    def _removeFiles(self):
        if self._handover is not None:
            self._handover.close()
        if self._folder is not None:
            _removeFolder(self._folder)


def _removeFolder(folder):
    """Remove a folder; where a process still holds a file in it (Windows), once more a little later."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():

        def removeAgain():
            shutil.rmtree(folder, ignore_errors=True)
            later.stop()

        later = Later(removeAgain)
        later.start(2 * FINISH_MS)
