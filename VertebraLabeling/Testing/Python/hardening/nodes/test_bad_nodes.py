"""Volume nodes that are no CT, or are put together wrongly: one sentence, or points at the right place."""

from __future__ import annotations

import numpy as np
import pytest
import slicer
import vtk
from cases import wrong_sentence
from synthetic_spine import BallLabeler, addVolume, centers
from VertebraLabelingLib.errors import InputError, VertebraLabelingError
from VertebraLabelingLib.preprocessing.ct_check import check_ct
from VertebraLabelingMRML import labeling
from VertebraLabelingMRML.volumes import volumeFromNode

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def clean_scene():
    slicer.mrmlScene.Clear()
    yield
    slicer.mrmlScene.Clear()


class CarefulLabeler(BallLabeler):
    """Checks that the voxels are those of a CT, as the network's labeler does, then finds the balls."""

    def label(self, volume, fixed=None, progress=None, cancelled=None):
        check_ct(volume)
        return super().label(volume, fixed, progress, cancelled)


def refusal(volumeNode) -> str:
    """The sentence with which a node is refused; the scene is as it was. Empty where it is labeled."""
    before = slicer.mrmlScene.GetNumberOfNodes()
    try:
        labeling.label(volumeNode, CarefulLabeler())
    except VertebraLabelingError as error:
        assert slicer.mrmlScene.GetNumberOfNodes() == before, "a refused volume left a node"
        return str(error)
    return ""


def node_of(array, spacing=(2.0, 2.0, 2.0), name="CT"):
    matrix = np.diag([*spacing, 1.0])
    return slicer.util.addVolumeFromArray(np.ascontiguousarray(array), matrix, name)


RANDOM = np.random.default_rng(3)
SHAPE = (20, 24, 22)
CT = np.where(RANDOM.random(SHAPE) < 0.3, -1000, RANDOM.normal(40, 30, SHAPE)).astype(np.int16)

NO_CT = {
    "constant 0": np.zeros(SHAPE, np.int16),
    "constant -1000": np.full(SHAPE, -1000, np.int16),
    "all NaN": np.full(SHAPE, NAN, np.float32),
    "all infinite": np.full(SHAPE, INF, np.float32),
    "nearly all NaN": np.where(RANDOM.random(SHAPE) < 0.98, NAN, CT).astype(np.float32),
    "MR": RANDOM.gamma(3, 150, SHAPE).astype(np.float32),
    "MR int16": RANDOM.integers(0, 4000, SHAPE).astype(np.int16),
    "PET": RANDOM.gamma(0.4, 4000, SHAPE).astype(np.float32),
    "SUV": RANDOM.gamma(0.4, 1.5, SHAPE).astype(np.float64),
    "0 to 1": RANDOM.random(SHAPE),
    "label map": RANDOM.integers(0, 27, SHAPE).astype(np.uint8),
    "label map int32": RANDOM.integers(0, 27, SHAPE).astype(np.int32),
    "mask": (CT > 0).astype(np.int8),
    "picture": RANDOM.integers(0, 256, SHAPE).astype(np.uint8),
    "only air": RANDOM.normal(-1000, 10, SHAPE).astype(np.float32),
    "1e30": RANDOM.normal(1e30, 1e29, SHAPE).astype(np.float32),
    "one voxel": np.zeros((1, 1, 1), np.int16),
    "one slice": CT[:1],
    "one row": CT[:, :1],
    "one column": CT[:, :, :1],
}


@pytest.mark.parametrize("name", NO_CT)
def test_voxels_that_are_no_ct_are_refused_in_a_sentence(name):
    assert not wrong_sentence(refusal(node_of(NO_CT[name])))


TYPES = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64)


@pytest.mark.parametrize("dtype", TYPES, ids=lambda dtype: dtype.__name__)
def test_every_voxel_type_is_labeled_rightly_or_refused_in_a_sentence(dtype):
    source = addVolume()
    array = slicer.util.arrayFromVolume(source).astype(np.int64)
    limits = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(dtype)
    array = (array + 1024 if np.issubdtype(dtype, np.unsignedinteger) else array).clip(limits.min, limits.max)
    volumeNode = slicer.util.addVolumeFromArray(array.astype(dtype), slicer.util.arrayFromVTKMatrix(ijkToRas(source)))
    try:
        node = labeling.label(volumeNode, BallLabeler())
    except VertebraLabelingError as error:
        assert dtype in (np.int8, np.uint8) and not wrong_sentence(str(error))
        return
    if dtype not in (np.int8, np.uint8) and not np.issubdtype(dtype, np.unsignedinteger):
        assert_at_balls(node)


def ijkToRas(volumeNode):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return matrix


def assert_at_balls(node, matrix=None, tolerance=1.0):
    matrix = np.eye(4) if matrix is None else matrix
    found = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
    expected = np.array([(matrix @ [*ras, 1.0])[:3] for ras in centers().values()])
    assert np.linalg.norm(found - expected, axis=1).max() < tolerance


GEOMETRIES = {
    "zero spacing": lambda node: node.SetSpacing(0, 0, 0),
    "one zero spacing": lambda node: node.SetSpacing(2, 0, 2),
    "negative spacing": lambda node: node.SetSpacing(-2, 2, 2),
    "NaN spacing": lambda node: node.SetSpacing(NAN, 2, 2),
    "infinite spacing": lambda node: node.SetSpacing(INF, 2, 2),
    "1e-30 mm": lambda node: node.SetSpacing(1e-30, 1e-30, 1e-30),
    "1e30 mm": lambda node: node.SetSpacing(1e30, 1e30, 1e30),
    "2 m": lambda node: node.SetSpacing(2000, 2000, 2000),
    "2 micrometers": lambda node: node.SetSpacing(0.002, 0.002, 0.002),
    "NaN origin": lambda node: node.SetOrigin(NAN, 0, 0),
    "infinite origin": lambda node: node.SetOrigin(INF, 0, 0),
    "origin at 1e30": lambda node: node.SetOrigin(1e30, 0, 0),
    "zero directions": lambda node: node.SetIJKToRASDirections(0, 0, 0, 0, 0, 0, 0, 0, 0),
    "singular directions": lambda node: node.SetIJKToRASDirections(1, 1, 0, 0, 0, 0, 0, 0, 1),
    "NaN directions": lambda node: node.SetIJKToRASDirections(NAN, 0, 0, 0, 1, 0, 0, 0, 1),
    "equal axes": lambda node: node.SetIJKToRASDirections(0, 0, 1, 0, 0, 0, 1, 1, 0),
}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_node_of_impossible_geometry_is_refused_in_a_sentence(name):
    volumeNode = addVolume()
    GEOMETRIES[name](volumeNode)
    told = refusal(volumeNode)
    if name == "negative spacing" and not told:  # a mirrored volume is one, and its voxels are where it says
        return
    assert not wrong_sentence(told)


def transformed(volumeNode, matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    slicer.util.updateTransformMatrixFromArray(node, matrix)
    volumeNode.SetAndObserveTransformNodeID(node.GetID())
    return volumeNode


BAD_MATRICES = {
    "zero": np.diag([0.0, 0, 0, 1]),
    "flat": np.diag([1.0, 1, 0, 1]),
    "NaN": np.diag([NAN, 1, 1, 1]),
    "infinite": np.diag([INF, 1, 1, 1]),
    "1e30": np.diag([1e30, 1e30, 1e30, 1]),
    "1e-30": np.diag([1e-30, 1e-30, 1e-30, 1]),
    "perspective": np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0.5, 1]]),
    "far away": np.array([[1.0, 0, 0, 1e30], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "two equal rows": np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("name", BAD_MATRICES)
def test_a_node_under_an_impossible_transform_is_refused_in_a_sentence(name):
    assert not wrong_sentence(refusal(transformed(addVolume(), BAD_MATRICES[name])))


SHEAR = np.eye(4)
SHEAR[1, 2] = 0.3
TURN = np.eye(4)
TURN[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]


@pytest.mark.parametrize("matrix", [SHEAR, TURN, np.diag([-1.0, 1, 1, 1]), np.diag([1.0, -1, -1, 1])], ids=str)
def test_a_node_under_an_unusual_but_sound_transform_is_labeled_at_the_right_place(matrix):
    node = labeling.label(transformed(addVolume(), matrix), UnorderedBallLabeler())
    found = slicer.util.arrayFromMarkupsControlPoints(node, world=True)
    expected = np.array([(matrix @ [*ras, 1.0])[:3] for ras in centers().values()])
    distance = np.linalg.norm(found[:, None] - expected[None], axis=2).min(axis=1)
    assert len(found) == len(expected) and distance.max() < 1.0


class UnorderedBallLabeler(BallLabeler):
    """Uncertain of names: a turned patient may be named from either end, the places count."""

    def __init__(self):
        super().__init__(certainty=0.0)


def test_nodes_of_other_kinds_are_refused_in_a_sentence():
    classes = (
        *("vtkMRMLLabelMapVolumeNode", "vtkMRMLVectorVolumeNode", "vtkMRMLScalarVolumeNode", "vtkMRMLModelNode"),
        *("vtkMRMLMarkupsFiducialNode", "vtkMRMLSegmentationNode", "vtkMRMLLinearTransformNode", "vtkMRMLTableNode"),
        *("vtkMRMLDiffusionTensorVolumeNode", "vtkMRMLDiffusionWeightedVolumeNode", "vtkMRMLTextNode"),
    )
    for name in classes:
        node = slicer.mrmlScene.AddNewNodeByClass(name, "<b>odd\nname</b>")
        if node is not None:
            assert not wrong_sentence(refusal(node)), name


def test_a_node_whose_voxels_are_taken_away_is_refused_in_a_sentence():
    volumeNode = addVolume()
    volumeNode.SetAndObserveImageData(None)
    assert not wrong_sentence(refusal(volumeNode))
    volumeNode.SetAndObserveImageData(vtk.vtkImageData())
    assert not wrong_sentence(refusal(volumeNode))


@pytest.mark.parametrize("components", [2, 3, 4, 9])
def test_a_scalar_node_of_several_components_is_refused_in_a_sentence(components):
    image = vtk.vtkImageData()
    image.SetDimensions(10, 11, 12)
    image.AllocateScalars(vtk.VTK_SHORT, components)
    volumeNode = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "color")
    volumeNode.SetAndObserveImageData(image)
    assert not wrong_sentence(refusal(volumeNode))


NAMES = (
    "",
    " ",
    "a" * 3000,
    "<script>alert(1)</script>",
    "a\nb",
    "../../x",
    "%s%n",
    "{0}",
    "日本語",
    "\x1b[2J",
    "a/b\\c",
)


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_node_of_any_name_is_labeled(name):
    node = labeling.label(addVolume(name=name), BallLabeler())
    assert_at_balls(node)


FIXED = {
    "NaN": {"L1": (NAN, 0, 0)},
    "infinite": {"L1": (INF, 0, 0)},
    "no level": {"S1": (0, 0, 0)},
    "two at one place": {"L1": (0, 0, 0), "L2": (0, 0, 0)},
    "upside down": {"T9": (0, 0, -80), "L3": (0, 0, 80)},
}


@pytest.mark.parametrize("name", FIXED)
def test_known_points_that_cannot_be_are_refused_in_a_sentence(name):
    volumeNode = addVolume()
    with pytest.raises(InputError) as error:
        labeling.label(volumeNode, BallLabeler(), fixed=FIXED[name])
    assert not wrong_sentence(str(error.value))


def test_the_engine_s_volume_is_the_node_s():
    volume = volumeFromNode(addVolume())
    assert volume.array.ndim == 3 and np.isfinite(volume.ijk_to_ras).all()
