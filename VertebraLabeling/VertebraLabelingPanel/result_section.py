"""What a run found: the table, how the points look, the curve and the warnings."""

import slicer
from VertebraLabelingMRML import display
from VertebraLabelingMRML.bone_surface import boneModel, isBoneShown, showBoneSurface
from VertebraLabelingMRML.look import Look
from VertebraLabelingMRML.points import EVIDENCE, PROVENANCE, WARNINGS, hasPoints, levelPoints, sourceVolume
from VertebraLabelingMRML.slice_view_follower import SliceViewFollower
from VertebraLabelingMRML.told import Told, told
from VertebraLabelingMRML.watcher import PointsWatcher

from .later import Laters
from .report_button import ReportButton
from .table import LevelTable


class ResultSection:
    """Shows the points of the chosen output node and keeps up with their changes.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
        onNamed: called with (control point index, level) when the user names a row.
        onDragged: called with (levels, labels before) when the user dragged points.
        onChanged: called after the display was brought up to date.

    Attributes:
        told: what is told of the shown points (:class:`told.Told`).
    """

    def __init__(self, ui, messages, onNamed, onDragged, onChanged):
        self._ui, self._messages, self._onChanged = ui, messages, onChanged
        self._parameters, self._node, self._later = None, None, Laters()
        self._shown, self.told, self._lookBefore, self._boneBefore = None, Told(), None, False
        self.table = LevelTable(ui.levelTable, self._onChosen, onNamed)
        self._watcher = PointsWatcher(self.update, onDragged, self._later.start)
        self._views = SliceViewFollower(self._later.start)
        self._report = ReportButton(ui.reportButton, messages, lambda: self._presentNode)
        ui.boneButton.connect("clicked(bool)", self._onBoneButton)
        ui.viewsBackButton.connect("clicked(bool)", self._onViewsBackButton)

    @property
    def pointsNode(self):
        return self._node

    @property
    def _presentNode(self):
        return self._node if self._node is not None and self._node.GetScene() is not None else None

    def setParameters(self, parameters):
        """Show the output node of these choices; None while there is no scene."""
        self._parameters = parameters
        node = parameters.outputPoints if parameters is not None else None
        if node is not self._node:
            if self._node is not None and self._node.GetScene() is not None:
                display.removeDerived(self._node)
            self._node, self._lookBefore = node, None
            self._watcher.watch(node)
        self.update()

    def update(self):
        """Bring table, colors, curve and warnings in line with the node and the choices, where they are not."""
        node = self._presentNode
        amberBelow = self._parameters.amberBelow if self._parameters is not None else 0.0
        volume = sourceVolume(node) if node is not None else None
        self._ui.boneButton.enabled = volume is not None
        self._ui.viewsBackButton.enabled = self._lookBefore is not None
        self._report.update()
        if node is None or self._state(node, amberBelow) != self._shown:
            self._show(node, amberBelow)
        if not isBoneShown(self._boneOf()):
            self._later.start(0, self._showBone)  # the points first
        self._messages.warn(self.told.warnings)
        self._onChanged()

    def _boneOf(self):
        """The volume whose bone is to be seen in 3D, or None."""
        node = self._presentNode
        wanted = node is not None and self._parameters.showBone and hasPoints(node)
        return sourceVolume(node) if wanted else None

    def _showBone(self):
        if slicer.mrmlScene is not None and not slicer.mrmlScene.IsBatchProcessing():
            showBoneSurface(self._boneOf())

    def _show(self, node, amberBelow):
        self.table.show(node, amberBelow)
        self.told, self._shown = told(node), None
        if node is not None:
            display.showConfidence(node, amberBelow)
            hasAny = hasPoints(node)
            display.showCurve(node, self._parameters.showCurve and hasAny)
            display.showRegions(node, self._parameters.showRegions and hasAny, amberBelow)
            self._shown = self._state(node, amberBelow)
        self._views.follow(node)

    def _state(self, node, amberBelow):
        """All that the display depends on: while it is the same, nothing is drawn again."""
        found = levelPoints(node)
        shown = [
            (node.GetNthControlPointSelected(each.index), node.GetNthControlPointVisibility(each.index))
            for each in found
        ]
        choices = (amberBelow, self._parameters.showCurve, self._parameters.showRegions)
        kept = tuple(node.GetAttribute(name) for name in (EVIDENCE, PROVENANCE, WARNINGS))
        return node, found, shown, choices, kept, display.derived(node)

    def showNew(self, node):
        """Bring the points of a run into the views, which can be put back as they are now."""
        self._lookBefore = Look(sourceVolume(node))
        self._boneBefore = boneModel(sourceVolume(node)) is not None
        display.showResult(node)

    def stop(self):
        """No call comes any more from the timers of this section."""
        self._watcher.watch(None)
        self._views.follow(None)
        self._shown = None
        self._later.stop()

    def _onChosen(self, index):
        display.jumpTo(self._node, index)
        self._views.choose(index)
        self._onChanged()

    def _onBoneButton(self):
        display.showBone(sourceVolume(self._node))

    def _onViewsBackButton(self):
        look, self._lookBefore = self._lookBefore, None
        look.restore()
        self._parameters.showBone = self._boneBefore
        self.update()
