"""Shows vertebrae in views that appear while the panel does not follow them: another layout, a scene just opened."""

import slicer
import vtk
from slicer.util import VTKObservationMixin
from VertebraLabelingMRML import discs, slice_views
from VertebraLabelingMRML.points import wasLabeled

from .later import Later

SETTLE_MS = 50  # a layout gives its views their orientation after it has added them


class NewViews(VTKObservationMixin):
    """Arranges labeled points anew where a slice view was added, or a scene was opened; lists of discs are kept up."""

    def __init__(self):
        super().__init__()
        self._later = Later(self._arrange)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.NodeAddedEvent, self._onNodeAdded)
        self.addObserver(scene, scene.EndImportEvent, self._onSceneOpened)

    def stop(self):
        """Follow no more."""
        self.removeObservers()
        self._later.stop()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, caller, event, node):
        if node.IsA("vtkMRMLSliceNode"):
            self._later.start(SETTLE_MS)

    def _onSceneOpened(self, caller, event):
        self._later.start(SETTLE_MS)

    def _arrange(self):
        discs.resume()
        for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode"):
            if wasLabeled(node) and not slice_views.isFollowed(node):
                slice_views.arrange(node)


_following = []


def register():
    """Follow from now on until Slicer ends; called when it has started."""
    if not _following:
        _following.append(NewViews())
