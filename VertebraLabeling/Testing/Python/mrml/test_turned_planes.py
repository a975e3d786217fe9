"""The planes that all views are turned to: named as the points are now, also where the CT moves a disc."""

import numpy as np
import pytest
import slicer
from balls import centers, voxels
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.errors import InputError
from VertebraLabelingMRML import levels, points
from VertebraLabelingMRML.turned_planes import TurnedPlanes
from VertebraLabelingMRML.turned_views import usualViews

LAYOUT, HIDDEN = ("Axial", "Sagittal", "Coronal"), "StraightSide"


@pytest.fixture
def node():
    """Points of balls in their CT, whose end plates are where no disc of the points is."""
    slicer.mrmlScene.Clear(False)
    balls = np.array(list(centers().values()))
    matrix = np.diag([2.5, 2.5, 3.0, 1.0])
    matrix[:3, 3] = balls.mean(axis=0) - np.array([2.5, 2.5, 3.0]) * (np.array((36, 40, 110)) - 1) / 2
    volumeNode = slicer.util.addVolumeFromArray(voxels(balls, matrix, (36, 40, 110)), matrix, "balls")
    pointsNode = points.createPointsNode(volumeNode)
    found = tuple(LabeledPoint(level, tuple(map(float, ras)), 0.9) for level, ras in centers().items())
    for name in LAYOUT:
        view = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", name)
        view.SetLayoutName(name)
        view.SetOrientation(name)
    points.writeLabels(pointsNode, SpineLabels(found), volumeNode)
    yield pointsNode
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):  # they stay when a scene is cleared
        if view.GetLayoutName() in (*LAYOUT, HIDDEN):
            slicer.mrmlScene.RemoveNode(view)
    slicer.mrmlScene.Clear(False)


def test_each_plane_is_named_as_it_was_chosen_and_the_next_one_is_the_next(node):
    planes = TurnedPlanes()
    planes.follow(node)
    names = planes.names
    assert any(levels.levelAt(node, planes.turnTo(name)).name != name for name in names)  # the CT has moved it
    planes.turnTo(names[0])
    walked = [planes.name]
    while (following := planes.next(1)) is not None:
        planes.turnTo(following)
        walked.append(planes.name)
    assert walked == names
    while (above := planes.next(-1)) is not None:
        planes.turnTo(above)
    assert planes.name == names[0]


def test_a_view_of_a_straightened_spine_that_is_out_of_sight_is_not_turned(node):
    """Slicer keeps the views of a layout when another one is shown."""
    hidden = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", HIDDEN)
    hidden.SetLayoutName(HIDDEN)
    hidden.SetOrientation("Sagittal")
    planes = TurnedPlanes()
    planes.follow(node)
    planes.turnTo("T9")
    assert levels.axesBefore(hidden) is None and planes.name == "T9"


def test_a_vertebra_that_is_gone_has_no_plane_any_more(node):
    planes = TurnedPlanes()
    planes.follow(node)
    planes.turnTo("T12/L1")
    node.RemoveNthControlPoint(list(centers()).index("L1"))
    assert planes.name is None and "T12/L1" not in planes.names
    with pytest.raises(InputError):
        planes.turnTo("T12/L1")


def test_other_points_begin_in_the_usual_planes(node):
    planes = TurnedPlanes()
    planes.follow(node)
    planes.turnTo("L2")
    planes.follow(None)
    assert planes.name == "" and planes.names == [] and planes.next(1) is None


def test_who_has_gone_elsewhere_in_turned_views_goes_on_from_there(node):
    planes = TurnedPlanes()
    planes.follow(node)
    planes.turnTo("T9/T10")
    axial = next(view for view, orientation in usualViews() if orientation == "Axial")
    assert not planes.left
    axial.SetSliceOffset(axial.GetSliceOffset() + 2.5)  # in the disc still
    assert planes.left and (planes.next(1), planes.next(-1)) == ("T10", "T9")
    axial.JumpSliceByCentering(*centers()["L3"])
    assert planes.left and planes.name == "T9/T10"  # as the view is turned
    assert planes.next(1) == planes.next(-1) == "L3"
    planes.turnTo("L3")
    assert not planes.left and planes.next(1) == "L3/L4"
