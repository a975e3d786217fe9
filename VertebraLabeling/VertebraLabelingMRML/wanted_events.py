"""Observes the events that are wanted now, and no others."""

from slicer.util import VTKObservationMixin


class WantedEvents(VTKObservationMixin):
    """A base of what follows nodes and views that come and go."""

    def __init__(self):
        super().__init__()
        self._observed = {}

    def observeOnly(self, wanted):
        """Observe (object, event) -> function, and end all other observations; an empty one ends all."""
        for key in set(self._observed) - set(wanted):
            self.removeObserver(*key, self._observed.pop(key))
        for key in set(wanted) - set(self._observed):
            self.addObserver(*key, wanted[key])
            self._observed[key] = wanted[key]
