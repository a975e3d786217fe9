"""Calls a function a little later, once. Slicer's ``qt.QTimer.singleShot`` keeps what it calls until Slicer ends."""

import qt
import slicer


class Later:
    """One timer that belongs to the application and is given back by :meth:`stop`.

    Args:
        function: called without arguments, from the event loop, once for each :meth:`start`.
    """

    def __init__(self, function):
        self._function = function
        self._timer = qt.QTimer(slicer.app)  # without a parent it would go with its last Python reference
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._onTimeout)

    @property
    def waiting(self):
        """Whether a call is still to come."""
        return self._timer is not None and self._timer.active

    def start(self, ms):
        """Call the function in ``ms`` milliseconds; a call that still waits is put off until then."""
        if self._timer is not None:
            self._timer.start(ms)

    def stop(self):
        """No call comes any more; the timer and the function are given back."""
        timer, self._timer, self._function = self._timer, None, None
        if timer is not None:
            timer.stop()
            timer.disconnect("timeout()", self._onTimeout)
            timer.deleteLater()

    def _onTimeout(self):
        if self._function is not None:
            self._function()


class Laters:
    """The timers of one part of the panel: one for each function that it calls later."""

    def __init__(self):
        self._timers = {}

    def start(self, ms, function):
        """Call a function in ``ms`` milliseconds; a call of it that still waits is put off until then."""
        if function not in self._timers:
            self._timers[function] = Later(function)
        self._timers[function].start(ms)

    def stop(self):
        """No call comes any more."""
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.stop()
