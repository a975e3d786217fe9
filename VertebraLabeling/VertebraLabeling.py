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
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from VertebraLabelingLib.anatomy import USUAL_LEVELS
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingLib.labels import LabeledPoint, SpineLabels
from VertebraLabelingMRML import labeling, points
from VertebraLabelingMRML.engine import makeLabeler

HOMEPAGE = "https://github.com/VertebraLabeling/SlicerVertebraLabeling"


class VertebraLabeling(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("Vertebra Labeling")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Markups"]
        parent.contributors = ["The VertebraLabeling contributors"]
        parent.helpText = _(
            "Finds the vertebrae in a CT, names them C1 to L5 and places one editable point in each vertebral body. "
            "Drag a wrong point, or name one vertebra, and the others are named again. "
            "Not a medical device: for research only. "
            'See the <a href="{homepage}">documentation</a>.'
        ).format(homepage=HOMEPAGE)
        parent.acknowledgementText = _(
            "A re-implementation, from the published abstract, of the method of Qin et al. (2020): a residual "
            "multi-scale network, integral regression, and a Bi-LSTM for the levels in view. No code or weights of "
            "the authors are used."
        )


@parameterNodeWrapper
class VertebraLabelingParameterNode:
    """The panel's choices, kept in the scene."""

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    outputPoints: slicer.vtkMRMLMarkupsFiducialNode


class VertebraLabelingWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/VertebraLabeling.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = VertebraLabelingLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.labelButton.connect("clicked(bool)", self.onLabelButton)
        self.initializeParameterNode()

    def cleanup(self):
        self.setParameterNode(None)
        self.removeObservers()

    def enter(self):
        self.initializeParameterNode()

    def exit(self):
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event):
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event):
        self.initializeParameterNode()

    def initializeParameterNode(self):
        """Take up the scene's choices; the first volume is chosen when none is."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            self._parameterNode.inputVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def setParameterNode(self, parameterNode):
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._guiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode.parameterNode, vtk.vtkCommand.ModifiedEvent, self.updateButtons)
            self.updateButtons()

    def updateButtons(self, caller=None, event=None):
        self.ui.labelButton.enabled = self._parameterNode.inputVolume is not None

    def onLabelButton(self):
        with slicer.util.tryWithErrorDisplay(_("The vertebrae were not labeled."), waitCursor=True):
            node = self.logic.label(self._parameterNode.inputVolume, self._parameterNode.outputPoints)
            self._parameterNode.outputPoints = node
            count = len(points.levelPoints(node))
            self.ui.statusLabel.text = _("{count} vertebrae labeled.").format(count=count)


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

    @property
    def labeler(self):
        if self._labeler is None:
            self._labeler = makeLabeler()
        return self._labeler

    def getParameterNode(self):
        return VertebraLabelingParameterNode(super().getParameterNode())

    def label(self, volumeNode, outputNode=None, fixed=None, progress=None, cancelled=None):
        """Find and name the vertebrae of a CT; returns when done.

        Args:
            volumeNode: vtkMRMLScalarVolumeNode with HU, under any linear transform.
            outputNode: vtkMRMLMarkupsFiducialNode to write into. By default the node of an earlier run on this volume
                is updated, else one is created. Points that the user moved, named or confirmed in it are kept.
            fixed: level -> world RAS mm of points that are known, e.g. ``{"L1": (1.0, -20.0, 35.5)}``.
            progress: called with a fraction 0..1 and the name of the stage.
            cancelled: asked often; returning True ends the run with ``errors.Cancelled``, the scene as it was.

        Returns:
            vtkMRMLMarkupsFiducialNode: one unlocked control point per vertebra, named by level, at the center of the
            vertebral body; description ``confidence=0.97;status=predicted;SCT=66794005``.

        Raises:
            VertebraLabelingError: one sentence for the user: not a CT, no spine in view, a label map, a non-linear
                transform, missing weights or PyTorch.
        """
        return labeling.label(volumeNode, self.labeler, outputNode, fixed, progress, cancelled)


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
