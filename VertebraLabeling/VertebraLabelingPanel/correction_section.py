"""Correcting: name a vertebra, shift the count, add, delete, confirm, undo."""

from slicer.i18n import tr as _
from VertebraLabelingLib.anatomy import LEVELS
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import corrections
from VertebraLabelingMRML.points import levelPoints, updateStatus
from VertebraLabelingMRML.undo import UndoStack


class CorrectionSection:
    """The buttons below the table. Each change can be taken back.

    Args:
        ui: the panel's widgets.
        messages: :class:`messages.Messages`.
        refresh: brings the display up to date after a change.
    """

    def __init__(self, ui, messages, refresh):
        self._ui, self._messages, self._refresh = ui, messages, refresh
        self._parameters, self._table = None, None
        self.undoStack = UndoStack()
        ui.levelComboBox.clear()
        ui.levelComboBox.addItems(list(LEVELS))
        ui.nameButton.connect("clicked(bool)", self._onNameButton)
        ui.shiftUpButton.connect("clicked(bool)", lambda: self._onShift(-1))
        ui.shiftDownButton.connect("clicked(bool)", lambda: self._onShift(1))
        ui.addButton.connect("clicked(bool)", self._onAdd)
        ui.deleteButton.connect("clicked(bool)", self._onDelete)
        ui.confirmButton.connect("clicked(bool)", self._onConfirm)
        ui.confirmAllButton.connect("clicked(bool)", self._onConfirmAll)
        ui.undoButton.connect("clicked(bool)", self._onUndo)
        ui.levelTable.connect("itemSelectionChanged()", self.update)

    def setTable(self, table):
        """Use the rows chosen in this table."""
        self._table = table

    def setParameters(self, parameters):
        """Correct the output node of these choices; None while there is no scene."""
        self._parameters = parameters
        self.undoStack.dropDeleted()
        self.update()

    @property
    def _node(self):
        node = self._parameters.outputPoints if self._parameters is not None else None
        return node if node is not None and node.GetScene() is not None else None

    def update(self):
        """Enable what can be done now."""
        node = self._node
        chosen = self._table.chosen() if self._table is not None and node is not None else []
        hasPoints = node is not None and bool(levelPoints(node))
        ui = self._ui
        for button in (ui.nameButton, ui.addButton):
            button.enabled = len(chosen) == 1
        for button in (ui.deleteButton, ui.confirmButton):
            button.enabled = bool(chosen)
        for button in (ui.shiftUpButton, ui.shiftDownButton, ui.confirmAllButton):
            button.enabled = hasPoints
        what = self.undoStack.next(node) if node is not None else ""
        ui.undoButton.enabled = bool(what)
        ui.undoButton.text = _("Undo {what}").format(what=what) if what else _("Undo")
        if len(chosen) == 1 and self._table.chosenLevel():
            ui.levelComboBox.currentText = self._table.chosenLevel()

    def name(self, index, level):
        """ "This is L1"."""
        self._change(
            _("'this is {level}'").format(level=level), lambda node: corrections.nameAs(node, index, level), level
        )

    def dragged(self, levels, before):
        """After a drag: the point is where the user wants it; the others are named again around it."""
        node = self._node
        if node is None:
            return
        self.undoStack.remember(node, _("drag of {levels}").format(levels=", ".join(levels)), before)
        with self._messages.failing():
            if self._parameters.followDrag and len(levels) == 1:
                try:
                    corrections.follow(node, levels[0])
                except VertebraLabelingError:
                    updateStatus(node)
                    raise
            else:
                updateStatus(node)
        self._refresh()

    def _onNameButton(self):
        self.name(self._table.chosen()[0], self._ui.levelComboBox.currentText)

    def _onShift(self, step):
        what = _("shift down") if step > 0 else _("shift up")
        self._change(what, lambda node: corrections.shift(node, step))

    def _onAdd(self):
        index = self._table.chosen()[0]
        self._change(_("added vertebra"), lambda node: corrections.addBelow(node, index))

    def _onDelete(self):
        indices = self._table.chosen()

        def deleteAll(node):
            for index in reversed(indices):
                corrections.delete(node, index)

        self._change(_("deletion"), deleteAll)

    def _onConfirm(self):
        indices = self._table.chosen()
        self._change(_("confirmation"), lambda node: corrections.confirm(node, indices))

    def _onConfirmAll(self):
        self._change(
            _("confirmation"), lambda node: corrections.confirm(node, [each.index for each in levelPoints(node)])
        )

    def _onUndo(self):
        with self._messages.failing():
            what = self.undoStack.undo(self._node)
            self._messages.tell(_("Taken back: {what}.").format(what=what))
        self._refresh()

    def _change(self, what, action, chooseLevel=None):
        """Do something to the node; what goes wrong is said, and leaves the node and the undo stack as they were."""
        node = self._node
        with self._messages.failing():
            self.undoStack.remember(node, what)
            try:
                action(node)
            except VertebraLabelingError:
                self.undoStack.undo(node)
                raise
            self._messages.tell("")
        self._refresh()
        for each in levelPoints(node):
            if each.point.level == chooseLevel:
                self._table.choose(each.index)
