"""What the user does to the vertebrae of a node, each change with its way back. Panel and browser page use it alike."""

from VertebraLabelingLib.errors import VertebraLabelingError

from . import corrections
from .node_attributes import allOrNothing
from .points import levelPoints, readLabels, updateStatus
from .translation import tr as _
from .undo import UndoStack


class Editor:
    """Corrections with undo. What goes wrong is raised, and leaves the node and the undo stack as they were; so does
    what changes nothing, as to confirm a point again.

    Attributes:
        undoStack: :class:`UndoStack` of all nodes.
    """

    def __init__(self):
        self.undoStack = UndoStack()

    def name(self, pointsNode, index, level):
        """ "This is L1": name a control point; the others are named again around it."""
        what = _("'this is {level}'").format(level=level)
        self._change(pointsNode, what, lambda: corrections.nameAs(pointsNode, index, level))

    def shift(self, pointsNode, step):
        """Name every vertebra one level further down (``step`` = 1) or up (-1)."""
        what = _("shift down") if step > 0 else _("shift up")
        self._change(pointsNode, what, lambda: corrections.shift(pointsNode, step))

    def countBy(self, pointsNode, rule):
        """Give all vertebrae the names of another rule of counting, one of ``core.count_rules.RULES``."""
        self._change(pointsNode, _("counting"), lambda: corrections.countBy(pointsNode, rule))

    def addBelow(self, pointsNode, index):
        """Add a missed vertebra below a control point."""
        self._change(pointsNode, _("added vertebra"), lambda: corrections.addBelow(pointsNode, index))

    def delete(self, pointsNode, indices):
        """Delete control points that are no vertebrae, given by their indices."""
        ids = [pointsNode.GetNthControlPointID(index) for index in indices]  # a deletion may put them in another order

        def deleteAll():
            for each in ids:
                index = pointsNode.GetNthControlPointIndexByID(each)
                if index >= 0:  # else the spine without the others has no place for it
                    corrections.delete(pointsNode, index)

        self._change(pointsNode, _("deletion"), deleteAll)

    def confirm(self, pointsNode, indices=None):
        """Accept points as they are; all of them where no indices are given."""
        if indices is None:
            indices = [each.index for each in levelPoints(pointsNode)]
        self._change(pointsNode, _("confirmation"), lambda: corrections.confirm(pointsNode, indices))

    def dragged(self, pointsNode, levels, before, follow=True):
        """After a drag the point is where the user wants it.

        Args:
            levels: what was dragged.
            before: the labels before the drag.
            follow: name the others again around it, where it was one point.
        """
        self.undoStack.remember(pointsNode, _("drag of {levels}").format(levels=", ".join(levels)), before)
        if not follow or len(levels) != 1:
            updateStatus(pointsNode)
            return
        try:
            corrections.follow(pointsNode)
        except VertebraLabelingError:
            updateStatus(pointsNode)
            raise

    def undo(self, pointsNode):
        """Take back the last change; returns what it was, an empty text when there was none."""
        return self.undoStack.undo(pointsNode)

    def _change(self, pointsNode, what, action):
        before = readLabels(pointsNode)
        with allOrNothing(pointsNode):
            action()
        if not _areAlike(before, readLabels(pointsNode)):
            self.undoStack.remember(pointsNode, what, before)


def _areAlike(before, after):
    """Whether labels tell the same; the evidence changes with the points only."""
    return (before.points, before.warnings, before.provenance) == (after.points, after.warnings, after.provenance)
