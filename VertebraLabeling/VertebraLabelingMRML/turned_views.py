"""Which way each slice view looks: as it stood before it was turned to the plane of a vertebra or disc."""

import numpy as np
import slicer
from VertebraLabelingLib.reading.planes import AXIAL, CORONAL, SAGITTAL

from .levels import axesBefore
from .view_windows import STRAIGHT_VIEWS, isStraightened

ALONG_AXIS = (SAGITTAL, CORONAL, AXIAL)  # the patient's axes R, A, S, along which one looks


def usualViews():
    """(vtkMRMLSliceNode, ``"Axial"``, ``"Sagittal"`` or ``"Coronal"``) of each view of the patient.

    An oblique view has the orientation that it is nearest to. Views of a straightened spine are none of the patient;
    neither are those that were made for one and stay, out of sight, when it is gone.
    """
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    views = [view for view in views if view.GetLayoutName() not in STRAIGHT_VIEWS and not isStraightened(view)]
    return [(view, _orientation(view)) for view in views]


def _orientation(sliceNode):
    axes = axesBefore(sliceNode)
    if axes is None:
        axes = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
    return ALONG_AXIS[int(np.abs(axes[:, 2]).argmax())]
