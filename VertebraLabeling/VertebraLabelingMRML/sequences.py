"""Labeling a sequence frame by frame: the points of all frames are a sequence of their own, browsed along with it.

This is what Slicer's users know of other results: one point list in the scene, which always shows the points of the
frame that is shown. Corrections of it are kept in that frame.
"""

import logging
import time
from dataclasses import replace

import slicer
from VertebraLabelingLib.core.label_warning import FRAME
from VertebraLabelingLib.errors import Cancelled, InputError, VertebraLabelingError

from . import labeling
from .frames import Frame, frameOf
from .node_attributes import VOLUME, checkIsNode
from .points import createPointsNode, readLabels

DONE, FAILED, CANCELED = "done", "failed", "canceled"


def labelSequence(node, labeler, items=None, progress=None, cancelled=None, keep=None, count=None):
    """Label the frames of a sequence, one after the other; blocks.

    Args:
        node: vtkMRMLSequenceNode of scalar volumes, its vtkMRMLSequenceBrowserNode, or the volume that this shows.
        labeler: :class:`labeling.Labeler`.
        items: numbers of the frames, from 0; all by default.
        progress: called with a fraction 0..1 of all frames, and what is being done.
        cancelled: asked often; True ends the run after what has been labeled.
        keep, count: as in :func:`labeling.prepare`, for each frame.

    Returns:
        The markups node that shows the points of the shown frame, or ``None`` where no frame could be labeled; and a
        dict for each frame: ``item``, ``index`` (e.g. ``time 0.5 s``), ``status`` (done, failed or canceled),
        ``message`` (why it failed), ``levels``, ``confidence`` (the lowest one), ``warnings``, ``seconds``.

    Raises:
        InputError: this is no sequence of volumes, or its frames cannot be shown.
    """
    browser, sequence = _browserAndSequence(node)
    _checkBrowser(browser, sequence)
    number, shown = browser.GetNumberOfItems(), browser.GetSelectedItemNumber()
    items = range(number) if items is None else list(items)
    if not all(isinstance(item, int) and 0 <= item < number for item in items):
        raise InputError(f"'{sequence.GetName()}' has frames 0 to {number - 1}: choose among them.")
    browser.SetPlaybackActive(False)
    frames = [Frame(browser, sequence, item) for item in items]
    pointsNode = _pointsNodeIn(browser, sequence)
    new, results = pointsNode is None, []
    try:
        if new:
            pointsNode = _addPointsSequence(browser, sequence)
        for place, frame in enumerate(frames):

            def report(fraction, stage, place=place, frame=frame):
                if progress:
                    progress((place + fraction) / len(frames), f"{frame}: {stage}")

            results.append(_labelFrame(frame, pointsNode, labeler, report, cancelled, keep, count))
            if results[-1]["status"] == CANCELED:
                break
    finally:
        _show(browser, shown)
        if new and pointsNode is not None and all(each["status"] != DONE for each in results):
            _remove(browser, pointsNode)
            pointsNode = None
    results += [_result(frame, CANCELED) for frame in frames[len(results) :]]
    return pointsNode, results


def _labelFrame(frame, pointsNode, labeler, report, cancelled, keep, count):
    """Label one frame into the list that shows its points; what goes wrong is told and stays its own."""
    started = time.perf_counter()
    try:
        if cancelled and cancelled():
            raise Cancelled("Labeling was canceled.")
        _show(frame.browser, frame.item)
        _labelShown(frame, pointsNode, labeler, report, cancelled, keep, count)
    except Cancelled:
        return _result(frame, CANCELED)
    except VertebraLabelingError as error:
        return _result(frame, FAILED, message=f"In {frame}: {error}", seconds=_since(started))
    except Exception as error:  # a bug must not lose the other frames
        logging.exception("%s of the sequence failed", frame)
        message = f"In {frame}: unexpected {type(error).__name__}: report it, the log has the details."
        return _result(frame, FAILED, message=message, seconds=_since(started))
    labels = readLabels(pointsNode)
    return _result(
        frame,
        DONE,
        levels=[point.level for point in labels.points],
        confidence=min((point.told_confidence for point in labels.points), default=0.0),
        warnings=[str(warning) for warning in labels.warnings],
        seconds=_since(started),
    )


def _labelShown(frame, pointsNode, labeler, report, cancelled, keep, count):
    volumeNode = frame.browser.GetProxyNode(frame.sequence)
    request = labeling.prepare(volumeNode, pointsNode, keep=keep, count=count)
    request = replace(request, notes=tuple(note for note in request.notes if note.kind != FRAME))
    labels = labeler.label(request.volume, fixed=request.fixed or None, progress=report, cancelled=cancelled)
    if frame.browser.GetSelectedItemNumber() != frame.item:
        raise InputError("Another frame was shown during the labeling: label this one again.")
    labeling.finish(request, labels)


def _since(started):
    return round(time.perf_counter() - started, 2)


def _result(frame, status, **details):
    empty = {"message": "", "levels": [], "confidence": 0.0, "warnings": [], "seconds": 0.0}
    return {"item": frame.item, "index": frame.index, "status": status, **empty, **details}


def _browserAndSequence(node):
    """The browser that shows a sequence of volumes, made where there is none, and the sequence."""
    if node is not None:
        checkIsNode(node)
    if node is not None and node.IsA("vtkMRMLSequenceBrowserNode"):
        master = node.GetMasterSequenceNode()
        sequences = [master, *_othersIn(node)]
        sequence = next((each for each in sequences if _holdsVolumes(each)), None)
        if sequence is None:
            raise InputError(f"'{node.GetName()}' browses no sequence of CT volumes: choose another sequence.")
        return node, sequence
    if node is not None and node.IsA("vtkMRMLSequenceNode"):
        if not _holdsVolumes(node):
            raise InputError(f"'{node.GetName()}' is no sequence of CT volumes: choose another sequence.")
        return _browserOf(node), node
    frame = frameOf(node) if node is not None else None
    if frame is None or not _holdsVolumes(frame.sequence):
        raise InputError("This is no sequence: choose a sequence of CT volumes, its browser, or the volume it shows.")
    return frame.browser, frame.sequence


def _holdsVolumes(sequence):
    return sequence is not None and sequence.GetDataNodeClassName() == "vtkMRMLScalarVolumeNode"


def _othersIn(browser):
    """The sequences that are browsed along with the master."""
    sequences = slicer.util.getNodesByClass("vtkMRMLSequenceNode")
    return [each for each in sequences if browser.IsSynchronizedSequenceNode(each)]


def _browserOf(sequence):
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
    for browser in browsers:
        if browser.IsSynchronizedSequenceNode(sequence, True):
            return browser
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser


def _checkBrowser(browser, sequence):
    if browser.GetRecordingActive():
        raise InputError(f"'{browser.GetName()}' is recording: stop it first.")
    if not browser.GetPlayback(sequence):
        raise InputError(f"'{browser.GetName()}' does not show '{sequence.GetName()}': switch on its playback first.")


def _show(browser, item):
    browser.SetSelectedItemNumber(item)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def _pointsNodeIn(browser, sequence):
    """The newest list of an earlier run on this sequence: it shows the points of each frame."""
    volumeNode = browser.GetProxyNode(sequence)
    nodes = slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
    mine = (node for node in nodes if volumeNode is not None and node.GetNodeReference(VOLUME) is volumeNode)
    return next((node for node in reversed(list(mine)) if browser.IsProxyNodeID(node.GetID())), None)


def _addPointsSequence(browser, sequence):
    """A point list, and a sequence with one for each frame, all empty; the browser shows them and keeps changes."""
    logic = slicer.modules.sequences.logic()
    logic.UpdateProxyNodesFromSequences(browser)
    volumeNode = browser.GetProxyNode(sequence)
    pointsNode = createPointsNode(volumeNode, sequence.GetName())
    ofPoints = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{pointsNode.GetName()} sequence")
    master = browser.GetMasterSequenceNode()
    ofPoints.SetIndexName(master.GetIndexName())
    ofPoints.SetIndexUnit(master.GetIndexUnit())
    ofPoints.SetIndexType(master.GetIndexType())
    logic.AddSynchronizedNode(ofPoints, pointsNode, browser)  # while it is empty: else the browser makes its own list
    browser.SetOverwriteProxyName(ofPoints, False)
    browser.SetMissingItemMode(ofPoints, browser.MissingItemCreateFromDefault)
    for item in range(master.GetNumberOfDataNodes()):
        ofPoints.SetDataNodeAtValue(slicer.vtkMRMLMarkupsFiducialNode(), master.GetNthIndexValue(item))
    browser.SetSaveChanges(ofPoints, True)
    return pointsNode


def _remove(browser, pointsNode):
    sequence = browser.GetSequenceNode(pointsNode)
    browser.RemoveSynchronizedSequenceNode(sequence.GetID())
    for node in (pointsNode.GetDisplayNode(), pointsNode.GetStorageNode(), pointsNode, sequence):
        if node is not None:
            slicer.mrmlScene.RemoveNode(node)
