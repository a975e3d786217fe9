"""A labeling run in the background: hand the volume over, watch the process, write the result into the scene."""

import logging
import time
from dataclasses import replace

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.background.engine_files import made_of
from VertebraLabelingLib.background.handover import Handover
from VertebraLabelingLib.background.labeling_process import HANDOVER_SHARE, Job
from VertebraLabelingLib.background.private_folder import make_private_folder, remove_private_folder
from VertebraLabelingLib.errors import Cancelled, VertebraLabelingError
from VertebraLabelingLib.networks.weights import default_weights
from VertebraLabelingMRML import labeling
from VertebraLabelingMRML.points import readLabels

from .labeling_process import FINISH_MS, LabelingProcess, ready
from .later import Later
from .point_drags import PointDrags

NO_RESULT = (
    "The labeling process ended without a result, most often because memory ran out: close other programs or crop the "
    "volume. Its last lines are in Slicer's error log."
)


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
        labelsBefore: what the point list held when the result was written into it; None for a new one.
        error: why there is none: :class:`VertebraLabelingError`, or :class:`Cancelled`.
        detail: text for the log that belongs to ``error``.
        times: seconds after the start at which the volume was handed over, the process had started, was ready, sent its
            result, and the run had finished.
    """

    def __init__(self, request, arguments=None, onProgress=None, onFinished=None, labelerName=labeling_process.NETWORK):
        super().__init__()
        self.pointsNode, self.labelsBefore, self.error, self.detail = None, None, None, ""
        self.workerPid, self.times = None, {}
        self._request = request
        self._job = Job(
            "", request.volume.ijk_to_ras.tolist(), request.fixed, dict(arguments or {}), labelerName, False
        )
        self._onProgress, self._onFinished = onProgress, onFinished
        self._volumeID = request.volumeNode.GetID()
        self._folder = self._process = self._handover = self._later = None
        self._drags = self._found = None
        self._reused, self._done, self._startTime = False, False, time.monotonic()

    @property
    def running(self):
        return not self._done

    def start(self):
        """Begin; returns at once.

        Raises:
            VertebraLabelingError: nothing could be started.
        """
        voxels = self._request.volume.array
        try:
            self._makeFolder(voxels.nbytes)
            self._handover = Handover(voxels, self._folder / "volume.npy")
            self._job = replace(self._job, array=str(self._handover.path))
            self._takeProcess()  # it gets ready while the volume is handed over
        except VertebraLabelingError:
            self._done = True
            self._removeFiles()
            raise
        self._drags = PointDrags(self._request.pointsNode)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneChanged)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onSceneChanged)
        slicer.app.connect("aboutToQuit()", self.cancel)  # no process and no voxels stay, whoever started the run
        self._report(0.0, _("handing over the volume"))
        self._later = Later(self._handOver)
        self._later.start(0)

    def cancel(self):
        """End the run now; the scene stays as it was."""
        if not self._done:
            self._end(error=Cancelled("Labeling was canceled."))

    def wait(self):
        """Keep the application alive until the run has ended; returns the markups node.

        Raises:
            VertebraLabelingError: the run failed or was canceled.
        """
        while not self._done:
            slicer.app.processEvents()
            time.sleep(0.005)
        if self.error:
            raise self.error
        return self.pointsNode

    def _makeFolder(self, size):
        try:
            self._folder = make_private_folder(slicer.app.temporaryPath, size)
        except OSError as error:
            raise VertebraLabelingError(
                f"No folder could be made in {slicer.app.temporaryPath} ({error.strerror or error}): free some disk "
                "space there, or choose another temporary folder in Slicer's settings."
            ) from error

    def _takeProcess(self):
        """The process that is ready, or a new one, and the job for it."""
        weights = self._job.arguments.get("weights") or default_weights()
        madeOf = made_of(self._job, weights)
        self._process = ready.take(madeOf)
        self._reused = self._process is not None
        if self._process is None:
            self._process = LabelingProcess(madeOf)
        self._process.onMessage, self._process.onEnded = self._onMessage, self._onProcessEnded
        self._process.send(self._job)

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
            self._mark("handed over")
            self._job = replace(self._job, written=True)
            self._process.send(self._job)

    def _onMessage(self, message):
        if self._done:
            return
        kind = message["type"]
        if kind in ("started", "ready", "result"):
            self._mark(kind)
        if kind == "started":
            self.workerPid = message["pid"]
        elif kind == "progress":
            self._report(HANDOVER_SHARE + (1 - HANDOVER_SHARE) * message["fraction"], message["stage"])
        elif kind == "result":
            self._found = labeling_process.labels_from_json(message["labels"])
            self._drags.afterwards(self._finish)
        elif kind == "error":
            self.detail = message["detail"]
            self._end(VertebraLabelingError(message["message"]), fit=message["fit"])

    def _onProcessEnded(self, reason):
        if self._done or self._found is not None:  # the result is here, and waits for the mouse
            return
        if self._reused and self.workerPid is None:  # it had ended before it knew of this run
            self._process.end()
            try:
                self._takeProcess()
            except VertebraLabelingError as error:
                self._end(error)
        elif reason:
            self._end(VertebraLabelingError(f"The labeling process ended unexpectedly ({reason})."))
        else:
            self._end(VertebraLabelingError(NO_RESULT))

    def _finish(self):
        if self._done:
            return
        before = self._labelsNow()
        try:
            self.pointsNode = labeling.finish(self._request, self._found)
            self.labelsBefore = before
        except VertebraLabelingError as error:
            self._end(error, fit=True)
        else:
            self._end(fit=True)

    def _labelsNow(self):
        """What the point list holds now, corrections during the run included; None for none, or where it is unclear."""
        node = self._request.pointsNode
        if node is None or node.GetScene() is None:
            return None
        try:
            return readLabels(node)
        except VertebraLabelingError:
            return None

    def _onSceneChanged(self, caller, event):
        if self._done:
            return
        if slicer.mrmlScene.IsClosing() or slicer.mrmlScene.GetNodeByID(self._volumeID) is not self._request.volumeNode:
            self._end(error=Cancelled("The volume was removed from the scene: the labeling was canceled."))

    def _report(self, fraction, stage):
        if self._onProgress:
            seconds = time.monotonic() - self._startTime
            self._onProgress(fraction, stage, labeling_process.seconds_left(fraction, seconds))

    def _mark(self, what):
        self.times.setdefault(what, time.monotonic() - self._startTime)

    def _end(self, error=None, fit=False):
        """Stop whatever still runs, remove the files and tell the caller. Happens once.

        Args:
            fit: whether the process may stay for the next run.
        """
        self._done, self.error = True, error
        self.removeObservers()
        if self._drags is not None:  # it was started
            self._drags.stop()
            slicer.app.disconnect("aboutToQuit()", self.cancel)
        if self._later is not None:
            self._later.stop()
        process, self._process = self._process, None
        lastLines = process.lastLines if process is not None else ""
        if process is not None and fit:
            ready.keep(process)
        elif process is not None:
            process.end()
        self._removeFiles()
        self._request = self._handover = self._found = None  # the voxels: whoever keeps the run must not keep them
        if error is not None and not isinstance(error, Cancelled):
            self.detail = "\n".join(part for part in (self.detail, lastLines) if part)
            logging.error("%s\n%s", error, self.detail)
        self._mark("finished")
        if self._onFinished:
            self._onFinished(self)

    def _removeFiles(self):
        if self._handover is not None:
            self._handover.close()
        if self._folder is not None:
            _removeFolder(self._folder)


def _removeFolder(folder):
    """Remove a folder; where a process still holds a file in it (Windows), once more a little later."""
    remove_private_folder(folder)
    if folder.exists():

        def removeAgain():
            remove_private_folder(folder)
            later.stop()

        later = Later(removeAgain)
        later.start(2 * FINISH_MS)
