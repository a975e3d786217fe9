"""Keys for the buttons of the panel while the module is open; where one types or goes through a list they rest."""

import qt
import slicer

OWN_KEYS = ("QLineEdit", "QTextEdit", "QPlainTextEdit", "QAbstractSpinBox", "QComboBox", "QAbstractSlider")


class Shortcuts:
    """Installs keys in Slicer's main window with :meth:`install`, until :meth:`remove`.

    Args:
        actions: key sequence, as ``qt.QKeySequence`` reads it -> what is called.
        table: the list whose own arrow keys do the same as these.
    """

    def __init__(self, actions, table):
        self._actions, self._table, self._shortcuts = actions, table, []

    def install(self):
        """Listen to the keys; nothing where Slicer has no main window, or they are installed."""
        window = slicer.util.mainWindow()
        if window is None or self._shortcuts:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)
        slicer.app.connect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        self._onFocusChanged(None, qt.QApplication.focusWidget())

    def remove(self):
        """Give all keys back."""
        if self._shortcuts:
            slicer.app.disconnect("focusChanged(QWidget*,QWidget*)", self._onFocusChanged)
        while self._shortcuts:
            shortcut = self._shortcuts.pop()
            shortcut.enabled = False
            shortcut.deleteLater()

    def _onFocusChanged(self, before, now):
        if now is None:  # no window has the focus; at exit the shortcuts may be gone already
            return
        free = not self._needsKeys(now)
        for shortcut in self._shortcuts:
            shortcut.enabled = free

    def _needsKeys(self, widget):
        isList = widget.inherits("QAbstractItemView") and widget is not self._table
        return isList or any(widget.inherits(each) for each in OWN_KEYS)
