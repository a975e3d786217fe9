"""Reading levels: what the slice views say of their level, and a text for the report."""

import qt
from slicer.i18n import tr as _
from VertebraLabelingMRML import levels
from VertebraLabelingMRML.control_points import levelIndices
from VertebraLabelingMRML.level_readout import LevelReadout

from .later import Later
from .plane_chooser import PlaneChooser


class ReadingSection:
    """The section "Read levels"; it follows the points of the chosen output node.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
    """

    def __init__(self, ui, messages):
        self._ui, self._messages = ui, messages
        self._parameters, self._timers = None, {}
        self.readout = LevelReadout(self._callLater)
        self.planes = PlaneChooser(ui.planeComboBox, messages)
        ui.copyReportButton.connect("clicked(bool)", self._onCopyReport)

    @property
    def _node(self):
        node = self._parameters.outputPoints if self._parameters is not None else None
        return node if node is not None and node.GetScene() is not None else None

    def setParameters(self, parameters):
        """Read the output node of these choices; None while there is no scene."""
        self._parameters = parameters
        self.update()

    def update(self):
        """Bring views and buttons in line with the points."""
        node = self._node
        hasPoints = node is not None and any(placed for _index, _level, placed in levelIndices(node))
        self._ui.copyReportButton.enabled = hasPoints
        self.planes.update(node if hasPoints else None)
        self.readout.follow(node if hasPoints and self._parameters.showLevel else None)

    def stop(self):
        """Nothing stays in the views, and no call comes any more from the timers of this section."""
        self.readout.follow(None)
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.stop()

    def _callLater(self, ms, function):
        if function not in self._timers:
            self._timers[function] = Later(function)
        self._timers[function].start(ms)

    def _onCopyReport(self):
        with self._messages.failing():
            qt.QApplication.clipboard().setText(levels.reportText(self._node))
            self._messages.tell(_("The text for the report is on the clipboard."))
