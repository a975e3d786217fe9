"""The button that shows the straightened spine beside the usual views, and takes it away again."""

import slicer
from slicer.i18n import tr as _
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML.display import removeWithDisplay
from VertebraLabelingMRML.straight_views import StraightViews

from . import straight_layout

SETTLE_MS = 50  # a layout gives its views their size after it has made them


class StraightButton:
    """Makes the straightened volume while the button is down; when it comes up, or a source is gone, all of it goes.

    Args:
        button: a checkable QPushButton.
        messages: :class:`messages.Messages`.
        straighten: ``straighten(volumeNode, pointsNode, onChanged=)``, as of the module's logic.
        callLater: ``callLater(ms, function)`` calls a function from the event loop.
        onChanged: called when the straightened spine has come or gone.
    """

    def __init__(self, button, messages, straighten, callLater, onChanged):
        self._button, self._messages, self._straighten = button, messages, straighten
        self._callLater, self._onChanged = callLater, onChanged
        self._sources, self._before, self._hasFailed = (None, None), None, False
        self.straight = self.views = None
        button.connect("clicked(bool)", self._onButton)

    def update(self, pointsNode, volumeNode):
        """Offer the spine of these points in this volume; that of others is taken away."""
        if self.straight is not None and (pointsNode, volumeNode) != self._sources:
            self.close()
        self._sources = pointsNode, volumeNode
        if self.straight is None:
            straight_layout.leave(None)  # that of an opened scene has nothing to show
        self._button.enabled = None not in self._sources and slicer.app.layoutManager() is not None
        self._button.checked = self.straight is not None

    def close(self):
        """Take the straightened spine out of views and scene."""
        straight, self.straight = self.straight, None
        if straight is None:
            return
        if self.views is not None:
            self.views.stop()
            self.views = None
        straight.end()
        straight_layout.leave(self._before)
        for node in (straight.pointsNode, straight.volumeNode):
            removeWithDisplay(node)
        self._button.checked = False
        self._onChanged()

    def _onButton(self, isDown):
        if not isDown:
            self.close()
            return
        with self._messages.failing():
            self._show()
        self._button.checked = self.straight is not None

    def _show(self):
        pointsNode, volumeNode = self._sources
        with slicer.util.WaitCursor():
            straight = self._straighten(volumeNode, pointsNode, onChanged=self._onStraight)
        for node in (straight.volumeNode, straight.pointsNode):
            for each in (node, node.GetDisplayNode()):
                each.SetSaveWithScene(False)  # in an opened scene nothing would keep it in step with its points
        self.straight = straight
        views, self._before = straight_layout.show()
        self.views = StraightViews(straight, views)
        for view in views:
            view.SetOrientation(straight_layout.VIEWS[view.GetLayoutName()])
        self._fit()
        self._callLater(SETTLE_MS, self._fit)
        straight.pointsNode.GetDisplayNode().SetViewNodeIDs([view.GetID() for view in views])
        self._messages.tell(_("Click in the straightened spine: all views go there."))
        self._onChanged()

    def _fit(self):
        """All of the spine in its views, cut through the bodies; the middle of the volume lies in the canal."""
        if self.views is None:
            return
        pointsNode = self.straight.pointsNode
        place = pointsNode.GetNthControlPointPositionWorld(pointsNode.GetNumberOfControlPoints() // 2)
        for view in self.views.nodes:
            slicer.app.applicationLogic().GetSliceLogic(view).FitSliceToBackground()
            view.JumpSliceByOffsetting(*place)

    def _onStraight(self, straight):
        """It was made anew after a correction, or has ended with one of its sources."""
        if straight is not self.straight or self.views is None:
            return
        if not straight.running:
            self._callLater(0, self.close)
        elif straight.problem:
            self._messages.fail(InputError(straight.problem))
            self._hasFailed = True
        else:
            if self._hasFailed:
                self._messages.endError()
            self._hasFailed = False
            self.views.refresh()
