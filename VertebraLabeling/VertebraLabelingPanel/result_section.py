"""What a run found: the table, how the points look, the curve and the warnings."""

from slicer.i18n import tr as _
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import display
from VertebraLabelingMRML.points import levelPoints, readLabels, sourceVolume
from VertebraLabelingMRML.slice_views import SliceViewFollower
from VertebraLabelingMRML.watcher import PointsWatcher

from .later import Later
from .table import LevelTable


class ResultSection:
    """Shows the points of the chosen output node and keeps up with their changes.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
        onNamed: called with (control point index, level) when the user names a row.
        onDragged: called with (levels, labels before) when the user dragged points.
        onChanged: called after the display was brought up to date.
    """

    def __init__(self, ui, messages, onNamed, onDragged, onChanged):
        self._ui, self._messages, self._onChanged = ui, messages, onChanged
        self._parameters, self._node, self._timers = None, None, {}
        self.table = LevelTable(ui.levelTable, self._onChosen, onNamed)
        self._watcher = PointsWatcher(self.update, onDragged, self._callLater)
        self._views = SliceViewFollower(self._callLater)
        ui.boneButton.connect("clicked(bool)", self._onBoneButton)

    @property
    def pointsNode(self):
        return self._node

    def setParameters(self, parameters):
        """Show the output node of these choices; None while there is no scene."""
        self._parameters = parameters
        node = parameters.outputPoints if parameters is not None else None
        if node is not self._node:
            if self._node is not None and self._node.GetScene() is not None:
                display.removeDerived(self._node)
            self._node = node
            self._watcher.watch(node)
        self.update()

    def update(self):
        """Bring table, colors, curve and warnings in line with the node and the choices."""
        node = self._node if self._node is not None and self._node.GetScene() is not None else None
        amberBelow = self._parameters.amberBelow if self._parameters is not None else 0.0
        self.table.show(node, amberBelow)
        volume = sourceVolume(node) if node is not None else None
        self._ui.boneButton.enabled = volume is not None
        if node is None:
            self._messages.warn([])
        else:
            display.showConfidence(node, amberBelow)
            hasPoints = bool(levelPoints(node))
            display.showCurve(node, self._parameters.showCurve and hasPoints)
            display.showRegions(node, self._parameters.showRegions and hasPoints, amberBelow)
            self._messages.warn(_warnings(node))
        self._views.follow(node)
        self._onChanged()

    def showNew(self, node):
        """Bring the points of a run into the views."""
        display.showResult(node)

    def stop(self):
        """No call comes any more from the timers of this section."""
        self._watcher.watch(None)
        self._views.follow(None)
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.stop()

    def _callLater(self, ms, function):
        if function not in self._timers:
            self._timers[function] = Later(function)
        self._timers[function].start(ms)

    def _onChosen(self, index):
        display.jumpTo(self._node, index)
        self._onChanged()

    def _onBoneButton(self):
        display.showBone(sourceVolume(self._node))


def _warnings(node):
    try:
        return tuple(warning.sentence(_) for warning in readLabels(node).warnings)
    except VertebraLabelingError as error:
        return (str(error),)
