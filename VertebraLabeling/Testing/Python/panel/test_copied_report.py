"""The text for the report goes to the clipboard."""

import qt
from panel_case import PanelCase, centers
from VertebraLabelingMRML import levels


class TestReportText(PanelCase):
    def test_it_is_on_the_clipboard(self):
        self.assertFalse(self.ui.copyReportButton.enabled)
        node = self.showBalls()
        qt.QApplication.clipboard().setText("before")
        self.ui.copyReportButton.click()
        text = qt.QApplication.clipboard().text()
        self.assertEqual(text, levels.reportText(node))
        self.assertTrue(text.startswith(f"{len(centers())} vertebrae were labeled: T8 to L4."), text)
        self.assertIn("clipboard", self.ui.statusLabel.text)
        node.RemoveAllControlPoints()
        self.settle()
        self.assertFalse(self.ui.copyReportButton.enabled)
