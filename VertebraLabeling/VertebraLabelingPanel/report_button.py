"""The "Save report" button: a DICOM structured report of the points, in Slicer's DICOM database."""

import importlib
import importlib.util

import slicer
from slicer.i18n import tr as _
from VertebraLabelingLib.errors import VertebraLabelingError
from VertebraLabelingMRML import dicom_report

from .labeling_process import MODULE_FOLDER

PACKAGE = "highdicom"
REQUIREMENTS = MODULE_FOLDER / "Resources" / "requirements.txt"
DECLINED = "The report needs the Python package highdicom, which was not installed."
FAILED = "highdicom could not be installed: check the network connection."


class ReportButton:
    """Saves the report, and says why not where it cannot.

    Args:
        button: the QPushButton; its tool tip says what it does, or why it is off.
        messages: :class:`messages.Messages`.
        pointsNode: returns the points node that is chosen now, or None.
    """

    def __init__(self, button, messages, pointsNode):
        self._button, self._messages, self._pointsNode = button, messages, pointsNode
        self._toolTip = button.toolTip
        button.connect("clicked(bool)", self._onButton)

    def update(self):
        """Enable the button where a report can be made."""
        why = dicom_report.whyNot(self._pointsNode())
        self._button.enabled = not why
        self._button.toolTip = why or self._toolTip

    def _onButton(self):
        with self._messages.failing():
            ensurePackage()
            dicom_report.save(self._pointsNode())
            self._messages.tell(_("The report was added to the DICOM database, in the study of the CT."))
        self.update()


def ensurePackage():
    """Install highdicom, which writes the report, where it is not there and the user agrees.

    Raises:
        VertebraLabelingError: the user declined, or it could not be installed.
    """
    if importlib.util.find_spec(PACKAGE) is not None:
        return
    try:
        packaging = importlib.import_module("slicer.packaging")
    except ImportError:  # before Slicer 5.12
        _askAndInstall()
    else:
        _ensure(packaging)
    importlib.invalidate_caches()
    if importlib.util.find_spec(PACKAGE) is None:  # as when Slicer runs tests, and installs nothing
        raise VertebraLabelingError(DECLINED)


def _ensure(packaging):
    """Slicer asks, installs with a progress dialog, and offers to restart where that is needed."""
    try:
        packaging.pip_ensure(packaging.load_requirements(REQUIREMENTS), requester=_("Vertebra Labeling"))
    except RuntimeError as error:  # Slicer's word for a user who declines
        raise VertebraLabelingError(DECLINED) from error
    except Exception as error:  # pip's process has failed
        raise VertebraLabelingError(FAILED) from error


def _askAndInstall():
    question = _("The report is written by the Python package highdicom, which is not installed yet. Install it now?")
    if not slicer.util.confirmOkCancelDisplay(question, windowTitle=_("Vertebra Labeling")):
        raise VertebraLabelingError(DECLINED)
    try:
        slicer.util.pip_install(["-r", str(REQUIREMENTS)])
    except Exception as error:  # pip's process has failed
        raise VertebraLabelingError(FAILED) from error
