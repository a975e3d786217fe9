"""Keys of the panel: what they do, and when they rest."""

import qt
import slicer
from panel_case import PanelCase, centers
from VertebraLabelingMRML import points, slice_views
from VertebraLabelingMRML.look import Look

LEVELS = list(centers())


class ShortcutCase(PanelCase):
    def setUp(self):
        super().setUp()
        self.window = slicer.util.mainWindow()
        if self.window is None:
            self.skipTest("needs Slicer's main window")
        self.showBalls()
        self.window.activateWindow()
        self.window.setFocus()
        self.widget.enter()
        self.addCleanup(self.widget.exit)
        self.settle()

    def shortcuts(self):
        return {each.key.toString(): each for each in self.widget.panel.shortcuts._shortcuts}

    def press(self, key):
        """A key as the window system delivers it, where Qt's tests are there; else what its shortcut would do."""
        try:
            from PySide6.QtTest import QTest
        except ImportError:
            shortcut = self.shortcuts().get(key)
            if shortcut is not None and shortcut.enabled:
                shortcut.activated()
        else:
            target = slicer.app.focusWidget() or self.window
            code = {"+": "Plus", "-": "Minus", "PgUp": "PageUp", "PgDown": "PageDown"}.get(key, key)
            QTest.keyClick(target, getattr(qt.Qt, f"Key_{code}"))
        self.settle()

    def field(self, widget):
        """A widget in the main window that has the focus."""
        widget.setParent(self.window)
        widget.show()
        widget.setFocus()
        self.addCleanup(self.takeAway, widget)
        self.settle()
        self.assertIs(slicer.app.focusWidget(), widget)
        return widget

    def takeAway(self, widget):
        widget.hide()
        widget.setParent(None)

    def chosen(self):
        return self.widget.panel.results.table.chosenLevel()


class TestKeys(ShortcutCase):
    def test_arrows_go_to_the_vertebrae(self):
        seen = []
        for key in ("Down", "Down", "Down", "Up"):
            self.press(key)
            seen.append(self.chosen())
        self.assertEqual(seen, [*LEVELS[:3], LEVELS[1]])
        axial = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        place = points.readLabels(self.node).by_level[LEVELS[1]].ras
        self.assertAlmostEqual(slicer.util.arrayFromVTKMatrix(axial.GetSliceToRAS())[2, 3], place[2], delta=0.5)
        for _ in range(3):
            self.press("Up")
        self.assertEqual(self.chosen(), LEVELS[0])
        self.ui.levelTable.clearSelection()
        self.press("Up")
        self.assertEqual(self.chosen(), LEVELS[-1])

    def test_plus_and_minus_shift_and_u_takes_back(self):
        self.press("+")
        self.assertEqual(self.levels(), list(centers("T9", "L5")))
        self.press("U")
        self.assertEqual(self.levels(), LEVELS)
        self.press("-")
        self.assertEqual(self.levels()[0], "T7")

    def test_enter_confirms_the_chosen_vertebra_only(self):
        for key in ("Return", "Enter"):
            self.press(key)
            self.assertNotIn("confirmed", self.column(2))
        self.chooseRows("T10")
        for key in ("Return", "Enter"):
            self.press(key)
            self.assertEqual([level for level, status in zip(LEVELS, self.column(2)) if status == "confirmed"], ["T10"])
            self.press("U")
            self.assertNotIn("confirmed", self.column(2))
            self.chooseRows("T10")

    def test_what_cannot_be_done_is_not_done(self):
        self.press("U")
        slicer.mrmlScene.Clear()
        for key in self.shortcuts():
            self.press(key)
        self.assertEqual(self.ui.errorLabel.text, "")


class TestRest(ShortcutCase):
    def test_in_a_text_field_the_keys_are_text(self):
        for make in (qt.QLineEdit, qt.QTextEdit, qt.QPlainTextEdit):
            field = self.field(make())
            for key in ("U", "+", "-"):
                self.press(key)
            self.assertEqual(self.levels(), LEVELS)
            if hasattr(slicer.app, "commandOptions"):
                continue
            self.assertEqual(field.text if make is qt.QLineEdit else field.toPlainText(), "u+-")

    def test_lists_sliders_and_numbers_keep_their_arrows(self):
        for make in (qt.QSpinBox, qt.QComboBox, qt.QSlider, qt.QListWidget):
            self.field(make())
            self.press("Down")
            self.assertIsNone(self.chosen(), make)
            self.window.setFocus()
            self.settle()
            self.assertTrue(self.shortcuts()["Down"].enabled)

    def test_where_one_types_no_key_moves_confirms_or_renames_a_vertebra(self):
        editable = qt.QComboBox()
        editable.editable = True
        kinds = (qt.QLineEdit, qt.QTextEdit, qt.QSpinBox, qt.QDoubleSpinBox, qt.QDateEdit, qt.QKeySequenceEdit)
        for field in (*(make() for make in kinds), editable):
            self.chooseRows("T10")
            place = self.axialHeight()
            inner = [each for each in field.findChildren(qt.QWidget) if each.focusPolicy]
            for each in (field, *inner):
                with self.subTest(f"{type(field).__name__}: {type(each).__name__}"):
                    field.setParent(self.window)
                    field.show()
                    each.setFocus()
                    self.settle()
                    focused = slicer.app.focusWidget()
                    if focused is self.window:  # takes none
                        continue
                    for key in self.shortcuts():
                        self.press(key)
                    self.assertEqual((self.levels(), self.chosen()), (LEVELS, "T10"))
                    self.assertEqual((set(self.column(2)), self.axialHeight()), ({"predicted"}, place))
                    self.window.setFocus()
                    self.settle()
            self.takeAway(field)

    def axialHeight(self):
        axial = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        return slicer.util.arrayFromVTKMatrix(axial.GetSliceToRAS())[2, 3]

    def test_the_table_of_vertebrae_has_them_too(self):
        self.widget.panel.shortcuts._onFocusChanged(None, self.ui.levelTable)
        self.assertTrue(self.shortcuts()["U"].enabled)

    def test_another_module_has_no_keys_of_this_one(self):
        slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)  # those of other tests
        before = len(self.window.findChildren(qt.QShortcut))
        self.assertEqual(before, len(self.shortcuts()))
        self.widget.exit()
        self.press("+")
        self.assertEqual(self.levels(), LEVELS)
        slicer.app.sendPostedEvents(None, qt.QEvent.DeferredDelete)
        self.assertEqual(len(self.window.findChildren(qt.QShortcut)), 0)
        for _ in range(2):
            self.widget.enter()
        self.assertEqual(len(self.window.findChildren(qt.QShortcut)), before)

    def test_a_stopped_panel_has_none(self):
        self.widget.panel.stop()
        self.assertEqual(self.shortcuts(), {})

    def test_each_key_stands_in_the_tool_tip_of_its_button(self):
        told = {
            "-": self.ui.shiftUpButton,
            "+": self.ui.shiftDownButton,
            "U": self.ui.undoButton,
            "Enter": self.ui.confirmButton,
        }
        for key, button in told.items():
            self.assertTrue(button.toolTip.replace("\N{MINUS SIGN}", "-").endswith(f"Key: {key}"), button.toolTip)


class TestLayouts(ShortcutCase):
    """Views of other layouts: Four-Up, Dual 3D, Conventional, comparisons, and those that users name."""

    def addView(self, className, name, size=None):
        view = slicer.mrmlScene.AddNewNodeByClass(className, name)
        view.SetLayoutName(name)
        if size is not None:
            view.SetDimensions(*size, 1)
        self.addCleanup(slicer.mrmlScene.RemoveNode, view)
        return view

    def test_whatever_a_view_is_called_the_keys_do_what_they_do(self):
        names = ("Slice4", "Compare1", "Red+", "Vue sagittale é", "右 1", "", "View %1", "x" * 300)
        for className in ("vtkMRMLSliceNode", "vtkMRMLViewNode"):
            for name in names:
                self.addView(className, name)
        self.addView("vtkMRMLSliceNode", "not shown yet", (0, 0))
        self.addView("vtkMRMLSliceNode", "no field of view").SetFieldOfView(0, 0, 1)
        self.waitUntil(lambda: slice_views.isFollowed(self.node))
        self.settle()
        seen = []
        for key in ("Down", "Down", "Up", "Return", "+", "U", "-", "U"):
            self.press(key)
            seen.append(self.chosen())
        self.assertEqual(seen[:3], [LEVELS[0], LEVELS[1], LEVELS[0]])
        self.assertEqual(self.column(2)[0], "confirmed")
        self.assertEqual((self.levels(), self.ui.errorLabel.text), (LEVELS, ""))

    def test_a_view_that_is_not_shown_is_put_back_like_the_others(self):
        self.addView("vtkMRMLSliceNode", "not shown yet", (0, 0))
        axial = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
        look, offset = Look(None), axial.GetSliceOffset()
        axial.SetSliceOffset(offset + 20)
        look.restore()
        self.assertAlmostEqual(axial.GetSliceOffset(), offset)
