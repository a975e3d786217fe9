"""Correcting: name a vertebra, shift the count, add, delete, confirm, undo."""

from slicer.i18n import tr as _
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingMRML import points
from VertebraLabelingMRML.editor import Editor


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
        self._editor = Editor()
        self.undoStack = self._editor.undoStack
        self.setLevels(LEVELS)
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

    def setLevels(self, levels):
        """Offer these names for the chosen vertebra."""
        combo = self._ui.levelComboBox
        if [combo.itemText(index) for index in range(combo.count)] != list(levels):
            combo.clear()
            combo.addItems(list(levels))

    def setParameters(self, parameters):
        """Correct the output node of these choices, from the next :meth:`update` on; None while there is no scene."""
        self._parameters = parameters
        self.undoStack.dropDeleted()

    @property
    def _node(self):
        node = self._parameters.outputPoints if self._parameters is not None else None
        return node if node is not None and node.GetScene() is not None else None

    def update(self):
        """Enable what can be done now."""
        node = self._node
        chosen = self._table.chosen() if self._table is not None and node is not None else []
        hasPoints = node is not None and points.hasPoints(node)
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
        self._change(lambda node: self._editor.name(node, index, level), level)

    def countBy(self, rule):
        """Name all by another rule of counting."""
        self._change(lambda node: self._editor.countBy(node, rule))

    def dragged(self, levels, before):
        """After a drag: the point is where the user wants it; the others are named again around it."""
        node = self._node
        if node is None:
            return
        with self._messages.failing():
            self._editor.dragged(node, levels, before, self._parameters.followDrag)
        self._refresh()

    def _onNameButton(self):
        self.name(self._table.chosen()[0], self._ui.levelComboBox.currentText)

    def _onShift(self, step):
        self._change(lambda node: self._editor.shift(node, step))

    def _onAdd(self):
        index = self._table.chosen()[0]
        self._change(lambda node: self._editor.addBelow(node, index))

    def _onDelete(self):
        indices = self._table.chosen()
        self._change(lambda node: self._editor.delete(node, indices))

    def _onConfirm(self):
        indices = self._table.chosen()
        self._change(lambda node: self._editor.confirm(node, indices))

    def _onConfirmAll(self):
        self._change(self._editor.confirm)

    def _onUndo(self):
        with self._messages.failing():
            what = self._editor.undo(self._node)
            self._messages.tell(_("Taken back: {what}.").format(what=what))
        self._refresh()

    def _change(self, action, chooseLevel=None):
        """Do something to the node; what goes wrong is said."""
        node = self._node
        with self._messages.failing():
            action(node)
            self._messages.tell("")
        self._refresh()
        for each in points.levelPoints(node):
            if each.point.level == chooseLevel:
                self._table.choose(each.index)
