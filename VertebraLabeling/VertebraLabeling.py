"""Vertebra Labeling: finds the vertebrae in a CT, names them C1-L5 and places editable markup points.

Only what Slicer asks of a module file is here: the descriptor, the panel, the logic and the self test. The nodes are
handled by ``VertebraLabelingMRML``, the panel's parts by ``VertebraLabelingPanel``, and the labeling itself by
``VertebraLabelingLib``, which imports torch on first use. Loading this file imports none of torch, SimpleITK, scipy.
"""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import carrying, labeling, sequences, straightened, volumes
from VertebraLabelingMRML.engine import checkPyTorch, makeLabeler
from VertebraLabelingPanel import new_views, sample_data, straight_layout, view_menu
from VertebraLabelingPanel.later import Later
from VertebraLabelingPanel.panel import Panel
from VertebraLabelingPanel.parameters import VertebraLabelingParameterNode
from VertebraLabelingPanel.run import LabelingRun

HOMEPAGE = "https://github.com/VertebraLabeling/SlicerVertebraLabeling"


class VertebraLabeling(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Vertebra Labeling")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Quantification")]
        parent.dependencies = ["Markups", "SubjectHierarchy"]
        parent.contributors = ["The VertebraLabeling contributors"]
        parent.helpText = _(
            "Finds the vertebrae in a CT, names them C1 to L5 and places one editable point in each vertebral body. "
            "Drag a wrong point, or name one vertebra, and the others are named again. "
            "Not a medical device: for research only. "
            'See the <a href="{homepage}">documentation</a>.'
        ).format(homepage=HOMEPAGE)
        parent.acknowledgementText = _(
            "A detection network finds vertebral bodies, a level network classifies the rows of the straightened "
            "spine, and a centroid network refines each center by integral regression; a chain solver joins them into "
            "one ordered spine with calibrated confidence. The detection is a re-implementation, from the published "
            "abstract, of Qin et al. (2020); no code or weights of the authors are used."
        )
        slicer.app.connect("startupCompleted()", sample_data.register)
        slicer.app.connect("startupCompleted()", view_menu.register)
        slicer.app.connect("startupCompleted()", new_views.register)
        slicer.app.connect("startupCompleted()", straight_layout.register)


class VertebraLabelingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel in Slicer: follows the scene and its parameter node. What it shows and does is in :class:`Panel`."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = self.panel = None
        self._parameterNode = self._guiTag = None
        self._addedVolumes = []

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        widgets = slicer.util.loadUI(self.resourcePath("UI/VertebraLabeling.ui"))
        self.layout.addWidget(widgets)
        self.ui = slicer.util.childWidgetVariables(widgets)
        widgets.setMRMLScene(slicer.mrmlScene)
        self.logic = VertebraLabelingLogic()
        self.panel = Panel(self.ui, self.logic)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneReady)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneReady)
        self.addObserver(scene, scene.NodeAddedEvent, self.onNodeAdded)
        self.addObserver(scene, scene.EndBatchProcessEvent, self.chooseAddedVolume)
        self.addObserver(scene, scene.NodeRemovedEvent, self.onNodeRemoved)
        slicer.app.connect("aboutToQuit()", self.panel.stop)
        self.initializeParameterNode()

    def cleanup(self):
        slicer.app.disconnect("aboutToQuit()", self.panel.stop)
        self.panel.stop()
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()
        self.panel.enter()

    def exit(self):
        self.panel.exit()

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)
        self.panel.messages.clear()

    def onSceneReady(self, caller, event):
        self.initializeParameterNode()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeAdded(self, caller, event, node):
        if volumes.isScalarVolume(node):
            self._addedVolumes.append(node.GetID())
            if not slicer.mrmlScene.IsBatchProcessing():  # else the selectors do not list it yet
                self.chooseAddedVolume()

    def chooseAddedVolume(self, caller=None, event=None):
        """Choose the volume that was just added to the scene, where none is chosen."""
        added = [slicer.mrmlScene.GetNodeByID(nodeID) for nodeID in self._addedVolumes]
        self._addedVolumes = []
        volumeNode = next((node for node in added if node is not None), None)
        if volumeNode is not None and self._parameterNode and not self._parameterNode.inputVolume:
            self._parameterNode.inputVolume = volumeNode

    def onNodeRemoved(self, caller, event):
        if self._parameterNode and not slicer.mrmlScene.IsBatchProcessing():
            self.onParametersModified()

    def nameVertebra(self, pointsNode, index, level):
        """ "This is L1", from the menu of a point in a view: the panel turns to these points and names them again."""
        self._parameterNode.outputPoints = pointsNode
        self.panel.corrections.name(index, level)

    def initializeParameterNode(self):
        """Take up the scene's choices; where no volume is chosen, the likely one is."""
        self.setParameterNode(self.logic.getParameterNode())
        volumeNode = volumes.likelyVolume()
        if not self._parameterNode.inputVolume and volumeNode:
            self._parameterNode.inputVolume = volumeNode

    def setParameterNode(self, parameterNode):
        modified = vtk.vtkCommand.ModifiedEvent
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, modified, self.onParametersModified)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode.parameterNode, modified, self.onParametersModified)
        self.onParametersModified()

    def onParametersModified(self, caller=None, event=None):
        if not slicer.mrmlScene.IsImporting():  # else the chosen nodes may not be there yet; EndImportEvent follows
            self.panel.setParameters(self._parameterNode)


class VertebraLabelingLogic(ScriptedLoadableModuleLogic):
    """Labeling from Python.

    Args:
        labeler: what finds the vertebrae (see :class:`VertebraLabelingMRML.labeling.Labeler`); by default the shipped
            network, loaded on first use.

    Example::

        logic = slicer.util.getModuleLogic("VertebraLabeling")
        pointsNode = logic.label(slicer.util.getNode("CT"))
        slicer.util.arrayFromMarkupsControlPoints(pointsNode, world=True)   # (N, 3) RAS mm
    """

    def __init__(self, labeler=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self._labeler = labeler
        self._runs = set()
        self.backgroundLabeler = labeling_process.NETWORK

    @property
    def labeler(self):
        if self._labeler is None:
            self._labeler = makeLabeler()
        return self._labeler

    def getParameterNode(self):
        return VertebraLabelingParameterNode(super().getParameterNode())

    def label(self, volumeNode, outputNode=None, fixed=None, progress=None, cancelled=None, keep=None, count=None):
        """Find and name the vertebrae of a CT; returns when done.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode with HU, under any linear transform, or the acquisition transform of
                Slicer's DICOM reader.
            outputNode: vtkMRMLMarkupsFiducialNode to write into. By default the node of an earlier run on this volume
                is updated, else one is created. Points that the user moved, named or confirmed in it are kept.
            fixed: level -> world RAS mm of points that are known, e.g. ``{"L1": (1.0, -20.0, 35.5)}``.
            progress: called with a fraction 0..1 and the name of the stage.
            cancelled: asked often; returning True ends the run with ``errors.Cancelled``, the scene as it was.
            keep: what to do with points that the user moved or confirmed where the voxels or the geometry of the
                volume have changed since they were found, or where they were moved without it: None refuses in a
                sentence, True uses them as they stand, False goes on without them. Where the volume was only moved or
                turned, they have gone along. An output with the vertebrae of another volume is refused by None.
            count: how a spine of unusual numbers is named: "seen" (T13 is a thirteenth rib-bearing vertebra, L6 a sixth
                lumbar one), "above" (seven, twelve, five from C1) or "sacrum" (five, twelve, seven upward). By default
                as in the earlier run on this volume, else "seen".

        Returns:
            vtkMRMLMarkupsFiducialNode: one unlocked control point per vertebra, named by level, at the center of the
            vertebral body; description ``confidence=0.97;status=predicted;SCT=66794005``.

        Raises:
            VertebraLabelingError: one sentence for the user: not a CT, no spine in view, a label map, a warping
                transform, a volume that has changed (``keep``), missing weights or PyTorch.
        """
        return labeling.label(volumeNode, self.labeler, outputNode, fixed, progress, cancelled, keep, count)

    def startLabeling(
        self,
        volumeNode,
        outputNode=None,
        onFinished=None,
        waitForCompletion=False,
        onProgress=None,
        fixed=None,
        weights=None,
        device="auto",
        newOutput=False,
        keep=None,
        count=None,
    ):
        """Label a CT in a process of its own: Slicer stays alive, and the scene is as it was until the result is there.

        Args:
            volumeNode, outputNode, fixed, keep, count: as in :meth:`label`.
            onFinished: called once with the run: ``run.pointsNode`` is the result, or ``run.error`` says why there is
                none (``errors.Cancelled`` after ``run.cancel()``, or when the volume or the scene was closed).
            waitForCompletion: return only when the run has ended; for scripts. Raises what ``run.error`` holds.
            onProgress: called with (fraction 0..1, stage, seconds left or None).
            weights: model file; the shipped one by default.
            device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
            newOutput: create a point list even where an earlier run on this volume has left one.

        Returns:
            LabelingRun: with ``cancel()``, ``wait()``, ``running``, ``pointsNode`` and ``error``.

        Raises:
            VertebraLabelingError: the volume cannot be used, or PyTorch is missing.

        Example::

            logic = slicer.util.getModuleLogic("VertebraLabeling")
            run = logic.startLabeling(slicer.util.getNode("CT"), onFinished=lambda run: print(run.error or "done"))
        """
        request = labeling.prepare(volumeNode, outputNode, fixed, newOutput, keep, count)
        if self.backgroundLabeler == labeling_process.NETWORK:
            checkPyTorch()

        def finished(run):
            self._runs.discard(run)
            if onFinished:
                onFinished(run)

        arguments = {"weights": weights, "device": device}
        run = LabelingRun(request, arguments, onProgress, finished, self.backgroundLabeler)
        run.start()
        self._runs.add(run)  # a run must outlive the variable of whoever started it
        if waitForCompletion:
            run.wait()
        return run

    def labelSequence(self, node, items=None, progress=None, cancelled=None, keep=None, count=None):
        """Label the frames of a sequence, one after the other.

        The points of all frames are a sequence of their own, "<sequence> vertebrae sequence", which is browsed along
        with the volumes: the returned point list always shows the points of the shown frame, and keeps what is
        corrected there in that frame. Where the sequence was labeled before, its points are updated as by
        :meth:`label`. The frame that was shown is shown again afterwards.

        Runs in Slicer's own process: its windows answer between the steps of a frame only. What goes wrong in one frame
        leaves its points as they were (none, the first time), and the others are labeled.

        Args:
            node: vtkMRMLSequenceNode of CT volumes, its vtkMRMLSequenceBrowserNode, or the volume that this shows.
            items: numbers of the frames to label, from 0; all by default.
            progress: called with the fraction 0..1 of all frames, and what is being done.
            cancelled: asked often; returning True ends the run, and keeps what has been labeled.
            keep, count: as in :meth:`label`, for each frame.

        Returns:
            tuple: the point list (None where no frame could be labeled), and a list with a dict for each frame:
            ``item``, ``index`` (e.g. "time 0.5 s"), ``status`` (done, failed or canceled), ``message`` (names the frame
            and says why it failed), ``levels``, ``confidence`` (the lowest one), ``warnings``, ``seconds``.

        Raises:
            VertebraLabelingError: this is no sequence of CT volumes, or PyTorch or the weights are missing.

        Example::

            pointsNode, frames = logic.labelSequence(slicer.util.getNode("CT sequence"))
        """

        def report(fraction, what):
            slicer.app.processEvents()
            if progress:
                progress(fraction, what)

        return sequences.labelSequence(node, self.labeler, items, report, cancelled, keep, count)

    def straighten(self, volumeNode, pointsNode, voxelMm=0.7, onChanged=None):
        """Make a volume of the spine pulled straight, with its own points: every vertebra in one picture.

        Both follow what is changed in the points, in the voxels and in transforms, until ``end()`` is called or one of
        the nodes leaves the scene; what was made stays. They stand in the scene to the right of the patient. Heights
        are true distances along the spine.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode, CT or MR, under any linear transform.
            pointsNode: vtkMRMLMarkupsFiducialNode with at least two of its vertebrae.
            voxelMm: size of the voxels.
            onChanged: called with the result after each update and at the end.

        Returns:
            StraightenedSpine: with ``volumeNode``, ``pointsNode``, ``problem`` (why it cannot be straightened any
            more), ``toWorld(ras)`` and ``toStraight(ras)`` (``None`` outside), ``alongMm(ras, ras)``, ``jump(ras)``
            (all slice views to a place of either), ``update()`` and ``end()``.

        Raises:
            VertebraLabelingError: the nodes cannot be used, or their points give no curve; nothing is made then.

        Example::

            straight = logic.straighten(slicer.util.getNode("CT"), pointsNode)
            slicer.util.setSliceViewerLayers(background=straight.volumeNode, fit=True)
        """
        return straightened.straighten(volumeNode, pointsNode, voxelMm, Later, onChanged)

    def carryTo(self, volumeNode, pointsNode, targetNode, sameFrame=None, progress=None, cancelled=None):
        """Carry the vertebrae of a volume to another CT, or to an MR, of the same patient; returns when done.

        Where both have one DICOM frame of reference nothing is computed. Else they are registered around the spine,
        each group of vertebrae for itself, in some seconds. Check the result: an estimate is no proof.

        Args:
            volumeNode, pointsNode: the volume and its vertebrae, two or more.
            targetNode: vtkMRMLScalarVolumeNode.
            sameFrame: True where both are known to share their world coordinates, False to register in any case; by
                default their DICOM headers tell, and two patients are refused.
            progress, cancelled: as in :meth:`label`.

        Returns:
            CarriedPoints: with ``pointsNode`` (a new list), ``errorMm`` and ``errorsMm`` (estimates), ``leftOut``
            (levels that the other volume does not show) and ``message``.

        Raises:
            VertebraLabelingError: the nodes cannot be used, or the scans do not fit well enough; nothing is made then.

        Example::

            carried = logic.carryTo(slicer.util.getNode("CT"), pointsNode, slicer.util.getNode("MR"))
            print(carried.message)
        """

        def report(fraction, what):
            slicer.app.processEvents()
            if progress:
                progress(fraction, what)

        return carrying.carryTo(volumeNode, pointsNode, targetNode, sameFrame, report, cancelled)

    def labelFolder(
        self,
        inputFolder,
        outputFolder,
        pattern="*",
        formats=("mrk.json",),
        overwrite=False,
        progress=None,
        count="seen",
    ):
        """Label every CT below a folder (NIfTI, NRRD, MetaImage, DICOM series); the scene is not touched.

        Runs in Slicer's own process: its windows answer between the steps of a scan only, up to some seconds apart. For
        hundreds of scans use ``vertebra-labeling label`` in a shell, which also has workers.

        Args:
            inputFolder: searched at any depth.
            outputFolder: receives ``<name>.mrk.json`` and the other formats; made if needed.
            pattern: which file names are taken, e.g. ``"*.nii.gz"``.
            formats: what to write for each scan; see ``vertebra-labeling label --help`` for all.
            overwrite: label again what is already done; otherwise only what is missing is made.
            progress: called with the fraction 0..1 of the whole folder, and what is being done.
            count: as in :meth:`label`.

        Returns:
            list[dict]: one per scan: ``name``, ``status`` (done, present, skipped or failed), ``message`` (why it was
            skipped or failed), ``levels``, ``confidence`` (the lowest one), ``counted`` (how, a sentence),
            ``warnings``, ``seconds``, ``files``.

        Raises:
            VertebraLabelingError: there is no CT in the folder, or PyTorch or the weights are missing.

        Example::

            logic.labelFolder("/data/ct", "/data/labels", "*.nii.gz", formats=("mrk.json", "csv"))
        """
        from VertebraLabelingLib.batch.label_batch import label_folder

        def report(fraction, what):
            slicer.app.processEvents()
            if progress:
                progress(fraction, what)

        return label_folder(
            inputFolder, outputFolder, pattern, formats, overwrite, report, labeler=self.labeler, count=count
        )


class VertebraLabelingTest(ScriptedLoadableModuleTest):
    """Self test of "Reload and Test": nodes in, nodes out, with a stand-in for the network. No torch, no download."""

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_points_are_named_and_editable()
        self.setUp()
        self.test_a_label_map_gets_a_sentence()

    def test_points_are_named_and_editable(self):
        volumeNode = slicer.util.addVolumeFromArray(np.zeros((8, 8, 8), np.int16), name="CT")
        node = VertebraLabelingLogic(_OneSpine()).label(volumeNode)
        self.assertEqual(node.GetNumberOfControlPoints(), len(USUAL_LEVELS))
        self.assertEqual(node.GetNthControlPointLabel(0), "C1")
        self.assertFalse(node.GetNthControlPointLocked(0))

    def test_a_label_map_gets_a_sentence(self):
        labelMap = slicer.util.addVolumeFromArray(np.zeros((8, 8, 8)), nodeClassName="vtkMRMLLabelMapVolumeNode")
        with self.assertRaises(VertebraLabelingError):
            VertebraLabelingLogic(_OneSpine()).label(labelMap)


class _OneSpine:
    """Answers every volume with the same straight spine."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        return SpineLabels(tuple(LabeledPoint(level, (0.0, 0.0, -25.0 * i)) for i, level in enumerate(USUAL_LEVELS)))
