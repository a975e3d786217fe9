"""Reading levels: what the slice views say of their level, and a text for the report."""

import qt
from slicer.i18n import tr as _
from VertebraLabelingMRML import discs, levels, points
from VertebraLabelingMRML.display import removeWithDisplay
from VertebraLabelingMRML.level_readout import LevelReadout

from .later import Laters
from .plane_chooser import PlaneChooser
from .straight_button import StraightButton


class ReadingSection:
    """The section "Read levels"; it follows the points of the chosen output node.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
        straighten: as of the module's logic.
    """

    def __init__(self, ui, messages, straighten):
        self._ui, self._messages = ui, messages
        self._parameters, self._later = None, Laters()
        self.readout = LevelReadout(self._later.start)
        self.planes = PlaneChooser(ui.planeComboBox, messages, self._onTurned)
        self.straight = StraightButton(ui.straightButton, messages, straighten, self._later.start, self._onStraight)
        self._discs = discs.DiscFollower(self._later.start)
        ui.discsCheckBox.connect("clicked(bool)", self._onDiscs)
        ui.copyReportButton.connect("clicked(bool)", self._onCopyReport)

    @property
    def _node(self):
        node = self._parameters.outputPoints if self._parameters is not None else None
        return node if node is not None and node.GetScene() is not None else None

    def setParameters(self, parameters):
        """Read the output node of these choices, from the next :meth:`update` on; None while there is no scene."""
        self._parameters = parameters

    def update(self):
        """Bring views and buttons in line with the points."""
        node = self._node
        hasPoints = node is not None and points.hasPoints(node)
        self._ui.copyReportButton.enabled = hasPoints
        discsNode = discs.discsNodeOf(node) if node is not None else None
        self._ui.discsCheckBox.enabled = hasPoints or discsNode is not None
        self._ui.discsCheckBox.checked = discsNode is not None
        self._discs.follow(node if discsNode is not None else None)
        self.straight.update(*self._toStraighten(node if hasPoints else None))
        self.planes.update(node if hasPoints else None)
        self.readout.follow(node if hasPoints and self._parameters.showLevel else None)

    def _toStraighten(self, pointsNode):
        """Points and the volume that they were found in, or the chosen one where that is not known."""
        if pointsNode is None:
            return None, None
        return pointsNode, points.sourceVolume(pointsNode) or self._parameters.inputVolume

    def _onTurned(self, place):
        """The views of the straightened spine go where the others were turned."""
        if self.straight.views is not None:
            self.straight.views.goTo(place)

    def _onStraight(self):
        self.readout.straight = self.straight.straight

    def stop(self):
        """Nothing stays in the views, and no call comes any more from the timers of this section."""
        self.straight.close()
        self._discs.follow(None)
        self.readout.follow(None)
        self._later.stop()

    def _onDiscs(self, wanted):
        node = self._node
        with self._messages.failing():
            if wanted:
                discs.writeDiscs(node)
            else:
                removeWithDisplay(discs.discsNodeOf(node))
        self.update()

    def _onCopyReport(self):
        with self._messages.failing():
            qt.QApplication.clipboard().setText(levels.reportText(self._node))
            self._messages.tell(_("The text for the report is on the clipboard."))
