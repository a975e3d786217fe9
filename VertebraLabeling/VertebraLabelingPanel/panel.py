"""The panel: its sections, put together on the widgets of the .ui file."""

from slicer.i18n import tr as _
from VertebraLabelingMRML.points import belongsTo, hasPoints, pointsNodeOf

from .correction_section import CorrectionSection
from .count_section import CountSection
from .labeling_process import ready
from .messages import Messages
from .reading_section import ReadingSection
from .result_section import ResultSection
from .run_section import RunSection
from .setup_section import SetupSection
from .shortcuts import Shortcuts


class Panel:
    """Gives each section the choices of the user, and each event to the section that it concerns.

    Args:
        ui: the widgets of the .ui file by name.
        logic: VertebraLabelingLogic.
    """

    def __init__(self, ui, logic):
        self._parameters, self._volumeID, self._chosen = None, None, (None, None)
        self.messages = Messages(ui.statusLabel, ui.countLabel, ui.warningLabel, ui.errorLabel)
        self.setup = SetupSection(ui, self.messages)
        self.corrections = CorrectionSection(ui, self.messages, self.refresh)
        self.counting = CountSection(ui, self.messages, self.corrections.countBy)
        self.reading = ReadingSection(ui, self.messages, logic.straighten)
        self.results = ResultSection(ui, self.messages, self.corrections.name, self.corrections.dragged, self._onShown)
        self.corrections.setTable(self.results.table)
        self.shortcuts = Shortcuts(self._keys(ui), ui.levelTable)
        self.run = RunSection(
            ui, logic, self.messages, self.runArguments, self.onResult, self.setup.open, self.setup.setLabeling
        )

    def _keys(self, ui):
        """What each key does: the same as on the browser page. The tool tips of the buttons name them."""
        buttons = {
            "+": ui.shiftDownButton,
            "-": ui.shiftUpButton,
            "Return": ui.confirmButton,
            "Enter": ui.confirmButton,
            "U": ui.undoButton,
        }
        actions = {key: lambda button=button: _press(button) for key, button in buttons.items()}
        table, planes = self.results.table, self.reading.planes
        actions |= {"PgUp": lambda: planes.step(-1), "PgDown": lambda: planes.step(1), "Home": planes.back}
        return {"Up": lambda: table.step(-1), "Down": lambda: table.step(1), **actions}

    def enter(self):
        """The module is opened: its keys work."""
        self.shortcuts.install()

    def exit(self):
        """Another module is opened."""
        self.shortcuts.remove()

    def setParameters(self, parameters):
        """Show and use these choices (a parameter node); None while there is no scene."""
        self._parameters = parameters
        self._matchOutput()
        self._endMessagesOfOthers()
        for section in (self.run, self.corrections, self.reading, self.results):  # the last updates the two before
            section.setParameters(parameters)

    def _matchOutput(self):
        """When another volume is chosen, choose its points: those of the volume before must not be overwritten."""
        volumeNode = self._parameters.inputVolume if self._parameters is not None else None
        volumeID = volumeNode.GetID() if volumeNode is not None else None
        before, self._volumeID = self._volumeID, volumeID
        output = self._parameters.outputPoints if self._parameters is not None else None
        if volumeNode is not None and volumeID != before and not _fits(output, volumeNode, first=before is None):
            self._parameters.outputPoints = pointsNodeOf(volumeNode)

    def _endMessagesOfOthers(self):
        """What was said belongs to the nodes that were chosen then; beside others it would be read as theirs."""
        nodes = (getattr(self._parameters, name, None) for name in ("inputVolume", "outputPoints"))
        chosen = tuple(node.GetID() if node is not None else None for node in nodes)
        if chosen != self._chosen:
            self.messages.endError()
            if chosen[0] not in (None, self._chosen[0]):
                self.messages.endState()
        self._chosen = chosen

    def refresh(self):
        """Bring the results and the buttons in line with the points."""
        self.results.update()

    def _onShown(self):
        self.counting.show(self.results.told)
        self.corrections.setLevels(self.results.told.levels)
        self.corrections.update()
        self.reading.update()

    def runArguments(self):
        """How a run is to go: model file, device, and by which rule it names what it finds."""
        return {"weights": self.setup.weightsPath, "device": self._parameters.device, "count": self.counting.rule}

    def onResult(self, pointsNode, labelsBefore):
        """A run has ended well: show its points, and make it possible to take it back."""
        if labelsBefore is not None:
            self.corrections.undoStack.remember(pointsNode, _("labeling"), labelsBefore)
        self._parameters.outputPoints = pointsNode
        self.results.showNew(pointsNode)
        self.refresh()

    def stop(self):
        """End what runs in the background, and give the keys back."""
        self.shortcuts.remove()
        self.run.cancel()
        self.setup.stop()
        ready.end()
        self.results.stop()
        self.reading.stop()


def _fits(pointsNode, volumeNode, first):
    """Whether a point list may stay chosen when this volume is; one of unknown origin only with the first volume."""
    if pointsNode is None:
        return False
    belongs = belongsTo(pointsNode, volumeNode)
    return first or not hasPoints(pointsNode) if belongs is None else belongs


def _press(button):
    """A key for a button: as a click, where the button is enabled."""
    if button.enabled:
        button.click()
