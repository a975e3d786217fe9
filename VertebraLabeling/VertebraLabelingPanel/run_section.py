"""The "Label vertebrae" button, which becomes Cancel, and the progress below it."""

import slicer
from slicer.i18n import tr as _
from VertebraLabelingLib.errors import Cancelled
from VertebraLabelingMRML import wording
from VertebraLabelingMRML.engine import PyTorchMissingError
from VertebraLabelingMRML.found_in import ChangedVolumeError
from VertebraLabelingMRML.points import readLabels


class RunSection:
    """Starts and stops runs.

    Args:
        ui: the panel's widgets.
        logic: VertebraLabelingLogic.
        messages: :class:`messages.Messages`.
        makeArguments: returns arguments of the run (``weights``, ``device``, ``count``) as they are chosen now.
        onResult: called with (markups node, labels it held before or None) after a run.
        onPyTorchMissing: called when a run ends because PyTorch is missing.
        onRunning: called with whether a run goes on, when that may have changed.
    """

    def __init__(self, ui, logic, messages, makeArguments, onResult, onPyTorchMissing, onRunning):
        self._ui, self._logic, self._messages = ui, logic, messages
        self._makeArguments, self._onResult, self._onPyTorchMissing = makeArguments, onResult, onPyTorchMissing
        self._onRunning = onRunning
        self._parameters, self._run = None, None
        ui.progressBar.setRange(0, 1000)
        ui.labelButton.connect("clicked(bool)", self._onButton)
        self.update()

    @property
    def running(self):
        return self._run is not None and self._run.running

    def setParameters(self, parameters):
        """Use these choices of volume and output; None while there is no scene."""
        self._parameters = parameters
        self.update()

    def update(self):
        """Set the button and the progress bar to what can be done now."""
        hasVolume = self._parameters is not None and self._parameters.inputVolume is not None
        self._ui.labelButton.enabled = hasVolume or self.running
        self._ui.labelButton.text = _("Cancel") if self.running else _("Label vertebrae")
        for widget in (self._ui.progressBar, self._ui.stageLabel):
            widget.setVisible(self.running)
        ui = self._ui  # what would change the choices of a run
        for widget in (ui.inputSelector, ui.outputSelector, ui.deviceComboBox, ui.countComboBox, ui.otherCounts):
            widget.enabled = not self.running
        self._onRunning(self.running)

    def cancel(self):
        """End a run, if there is one."""
        if self.running:
            self._run.cancel()

    def _onButton(self):
        if self.running:
            self.cancel()
            return
        self._messages.tell("")  # what is told of the shown points stays, as they do
        with self._messages.failing(self._onError):
            output = self._parameters.outputPoints
            if output is not None:
                readLabels(output)  # a list that cannot be read is told now, not after the run
            try:
                self._start(output)
            except ChangedVolumeError as error:
                if goesOnWithout(error):
                    self._start(output, keep=False)
                else:
                    self._messages.tell(_("Nothing was labeled."))
        self.update()

    def _start(self, output, keep=None):
        self._run = self._logic.startLabeling(
            self._parameters.inputVolume,
            output,
            onFinished=self._onFinished,
            onProgress=self._onProgress,
            newOutput=output is None,
            keep=keep,
            **self._makeArguments(),
        )

    def _onProgress(self, fraction, stage, secondsLeft):
        self._ui.progressBar.value = round(1000 * fraction)
        self._ui.stageLabel.text = wording.stageText(stage, secondsLeft)

    def _onFinished(self, run):
        self._run = None
        self.update()
        if run.error is None:
            self._messages.tell(wording.summary(run.pointsNode))
            self._onResult(run.pointsNode, run.labelsBefore)
        elif isinstance(run.error, Cancelled):
            self._messages.tell(str(run.error))
        else:
            self._messages.fail(run.error)
            self._onError(run.error)

    def _onError(self, error):
        if isinstance(error, PyTorchMissingError):
            self._onPyTorchMissing()


def goesOnWithout(error):
    """Ask whether a changed volume is to be labeled without the points that were settled in it before."""
    question = error.sentence(_("label it without these points, or cancel, check them and press Confirm all?"))
    return slicer.util.confirmOkCancelDisplay(question, windowTitle=_("Vertebra Labeling"))
