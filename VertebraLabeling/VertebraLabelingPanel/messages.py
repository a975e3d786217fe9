"""What the panel tells the user: one line of state, how was counted, warnings, and errors, in words, without popups."""

import logging
from contextlib import contextmanager

import qt
import slicer
from VertebraLabelingLib.errors import VertebraLabelingError


class Messages:
    """Writes into four labels, each hidden while it has nothing to say."""

    def __init__(self, statusLabel, countLabel, warningLabel, errorLabel):
        self._status, self._count, self._warning, self._error = statusLabel, countLabel, warningLabel, errorLabel
        for label in (statusLabel, countLabel, warningLabel, errorLabel):
            label.textFormat = qt.Qt.PlainText  # names and notes of a scene are data, not HTML
        self.clear()

    def clear(self):
        """Say nothing."""
        for label in (self._status, self._count, self._warning, self._error):
            self._say(label, "")

    def tell(self, text):
        """State in one line, e.g. how many vertebrae were found; ends an error shown before."""
        self._say(self._status, text)
        self.endError()

    def endError(self):
        """The cause of an error shown before is gone."""
        self._say(self._error, "")

    def endState(self):
        """What was told is no longer of what is seen."""
        self._say(self._status, "")

    def tellCount(self, sentence):
        """How the vertebrae were counted; empty to say nothing."""
        self._say(self._count, sentence)

    def warn(self, sentences):
        """Warnings that belong to the points; an empty list hides them."""
        self._say(self._warning, "\n".join(f"\N{WARNING SIGN} {sentence}" for sentence in sentences))

    def fail(self, error):
        """Why something was not done; the state line is cleared."""
        self._say(self._error, str(error))
        self._say(self._status, "")

    @contextmanager
    def failing(self, onError=None):
        """Show an error meant for the user in the panel; anything else is a bug and goes to Slicer's error display."""
        with slicer.util.tryWithErrorDisplay("Vertebra Labeling: an unexpected error occurred."):
            try:
                yield
            except VertebraLabelingError as error:
                logging.info("VertebraLabeling: %s", error)
                self.fail(error)
                if onError:
                    onError(error)

    @staticmethod
    def _say(label, text):
        label.text = text
        label.setVisible(bool(text))
