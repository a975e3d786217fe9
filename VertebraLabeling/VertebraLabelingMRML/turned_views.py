"""Which way each slice view looks: as it stood before it was turned to the plane of a vertebra or disc."""

import numpy as np
import slicer
from VertebraLabelingLib.reading.planes import AXIAL, CORONAL, SAGITTAL

from .levels import axesBefore
from .view_windows import isStraightened

ALONG_AXIS = (SAGITTAL, CORONAL, AXIAL)  # the patient's axes R, A, S, along which one looks


def usualViews():
    """(vtkMRMLSliceNode, ``"Axial"``, ``"Sagittal"`` or ``"Coronal"``) of each view of the patient.

    An oblique view has the orientation that it is nearest to; views of a straightened spine are none of the patient.
    """
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [(view, _orientation(view)) for view in views if not isStraightened(view)]


def _orientation(sliceNode):
    axes = axesBefore(sliceNode)
    if axes is None:
        axes = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())[:3, :3]
    return ALONG_AXIS[int(np.abs(axes[:, 2]).argmax())]
