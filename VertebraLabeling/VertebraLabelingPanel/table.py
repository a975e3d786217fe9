"""The table of vertebrae: level, confidence, status. A click, or the arrow keys, go to the vertebra."""

import qt
from slicer.i18n import tr as _
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, REGION_COLORS, USUAL_LEVELS, region
from VertebraLabelingLib.core.labels import GIVEN
from VertebraLabelingMRML.points import headToFoot
from VertebraLabelingMRML.told import levelsOf

AMBER = (255, 170, 40)
ROW_HEIGHT = 22  # pixels
UNKNOWN = "\N{EN DASH}"  # confidence of a level that a list gives without one
NEIGHBORS = 4  # levels offered in the menu on either side of the present one
STATUS_WORDS = {"predicted": "predicted", "moved": "moved", "confirmed": "confirmed", "given": "given"}


class LevelTable:
    """Fills and reads a QTableWidget.

    Args:
        widget: the QTableWidget.
        onChosen: called with the control point index of the row the user went to.
        onNamed: called with (control point index, level) when "this is ..." is chosen in the menu of a row.
    """

    def __init__(self, widget, onChosen, onNamed):
        self._widget, self._onChosen, self._onNamed = widget, onChosen, onNamed
        self._node, self._rows, self._menu, self._filling = None, [], None, False
        widget.setColumnCount(3)
        widget.setHorizontalHeaderLabels([_("Level"), _("Confidence"), _("Status")])
        widget.horizontalHeader().setStretchLastSection(True)
        widget.verticalHeader().hide()
        widget.verticalHeader().setDefaultSectionSize(ROW_HEIGHT)
        widget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        widget.setSelectionMode(qt.QAbstractItemView.ExtendedSelection)
        widget.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        widget.setContextMenuPolicy(qt.Qt.CustomContextMenu)
        widget.connect("cellClicked(int,int)", self._onCellChosen)
        widget.connect("currentCellChanged(int,int,int,int)", self._onCellChosen)
        widget.connect("customContextMenuRequested(QPoint)", self._onMenuRequested)

    def show(self, pointsNode, amberBelow):
        """Show the vertebrae of a node (head to foot); the selected levels stay selected."""
        self._filling = True
        try:
            self._fill(pointsNode, amberBelow)
        finally:
            self._filling = False

    def _fill(self, pointsNode, amberBelow):
        selected = {self._rows[row].point.level for row in self._selectedRows()}
        self._node, self._rows = pointsNode, headToFoot(pointsNode)
        self._widget.setRowCount(len(self._rows))
        self._widget.clearSelection()
        for row, each in enumerate(self._rows):
            point = each.point
            uncertain = point.is_uncertain(amberBelow)
            sure = f"{100 * point.shown_confidence:.0f} %" if point.status != GIVEN else UNKNOWN
            texts = (point.level, sure, _(STATUS_WORDS[point.status]))
            for column, text in enumerate(texts):
                self._setCell(row, column, text, point, uncertain)
        for row, each in enumerate(self._rows):
            if each.point.level in selected:
                self._select(row)

    def choose(self, index):
        """Select the row of a control point."""
        self._widget.clearSelection()
        for row, each in enumerate(self._rows):
            if each.index == index:
                self._select(row)
                self._widget.scrollToItem(self._widget.item(row, 0))

    def step(self, step):
        """Go to the next vertebra towards the foot (``step`` = 1) or the head (-1); from none to the first or last."""
        rows = self._selectedRows()
        row = rows[0] + step if rows else (0 if step > 0 else len(self._rows) - 1)
        if 0 <= row < len(self._rows):
            self._widget.setCurrentCell(row, 0)
            self.choose(self._rows[row].index)

    def chosen(self):
        """Control point indices of the selected rows, head to foot."""
        return [self._rows[row].index for row in self._selectedRows()]

    def chosenLevel(self):
        """Level of the first selected row, or None."""
        rows = self._selectedRows()
        return self._rows[rows[0]].point.level if rows else None

    def makeMenu(self, row):
        """The menu of a row: "This is T12" for the levels near it."""
        menu = qt.QMenu(self._widget)
        each = self._rows[row]
        for level in levelsNear(each.point.level, levelsOf(self._node)):
            action = menu.addAction(_("This is {level}").format(level=level))
            action.connect("triggered()", lambda index=each.index, level=level: self._onNamed(index, level))
        return menu

    def _setCell(self, row, column, text, point, uncertain):
        item = qt.QTableWidgetItem(text)
        if column == 0:
            item.setBackground(qt.QBrush(qt.QColor(*REGION_COLORS[region(point.level)])))
            item.setForeground(qt.QBrush(qt.QColor(30, 30, 30)))
        elif uncertain:
            item.setBackground(qt.QBrush(qt.QColor(*AMBER)))
            item.setForeground(qt.QBrush(qt.QColor(30, 30, 30)))
            item.setToolTip(_("The level is uncertain: please check."))
        self._widget.setItem(row, column, item)

    def _select(self, row):
        for column in range(3):
            self._widget.item(row, column).setSelected(True)

    def _selectedRows(self):
        return sorted({index.row() for index in self._widget.selectionModel().selectedRows()})

    def _onCellChosen(self, row, column):
        if not self._filling and 0 <= row < len(self._rows):
            self._onChosen(self._rows[row].index)

    def _onMenuRequested(self, position):
        item = self._widget.itemAt(position)
        if item is not None:
            if self._menu is not None:
                self._menu.deleteLater()
            self._menu = self.makeMenu(item.row())  # kept: popup() returns at once
            self._menu.popup(self._widget.viewport().mapToGlobal(position))


def levelsNear(level, levels):
    """Those of the levels that the menu of a vertebra offers: some on either side; T13 and L6 only beside neighbors."""
    place = LEVEL_INDEX[level]
    near = [other for other in levels if other != level and abs(LEVEL_INDEX[other] - place) <= NEIGHBORS]
    return [other for other in near if other in USUAL_LEVELS or abs(LEVEL_INDEX[other] - place) <= 1]
