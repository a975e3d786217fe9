"""The panel's choices, kept in the scene by Slicer's parameter node wrapper."""

from typing import Annotated

import slicer
from slicer.parameterNodeWrapper import Choice, WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class VertebraLabelingParameterNode:
    """What the widgets of the panel show and set, each named by the ``SlicerParameterName`` of its widget.

    Attributes:
        inputVolume: the CT.
        outputPoints: the markups node of the vertebrae.
        device: where the network runs.
        amberBelow: confidence 0..1 below which a point is shown in amber.
        showCurve: a curve node through the points.
        showRegions: balls in the colors of the regions behind the points.
        showBone: the bone of the CT in 3D.
        showLevel: the level of the spine in a corner of each slice view.
        followDrag: after a drag the solver names the other points again.
    """

    inputVolume: slicer.vtkMRMLScalarVolumeNode
    outputPoints: slicer.vtkMRMLMarkupsFiducialNode
    device: Annotated[str, Choice(["auto", "cpu", "cuda"])] = "auto"
    amberBelow: Annotated[float, WithinRange(0.0, 1.0)] = 0.7
    showCurve: bool = False
    showRegions: bool = True
    showBone: bool = True
    showLevel: bool = True
    followDrag: bool = True
