"""Where the names of points are drawn in a view, measured on rendered pictures: one name after another."""

import itertools

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

DARK = 40  # of 255: a pixel that differs by less has not been drawn on
PICTURES, DRAWN = 8, 3  # 56 names can be told apart


def picture(view):
    """(H, W, 3) uint8 of what a view shows; row 0 is the topmost."""
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(view.renderWindow())
    grabber.ReadFrontBufferOff()
    grabber.Update()
    image = grabber.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]


def nameBoxes(view, viewNode):
    """(name, box) of each name that a view draws; a box is (left, top, right, bottom) in pixels, all inclusive.

    The view is drawn some times, each name in three of the pictures and no two names in the same three. The pictures
    are taken without handling events in between, so what follows the points does not notice.
    """
    labels = [
        (node, index, node.GetNthControlPointLabel(index))
        for node in slicer.util.getNodesByClass("vtkMRMLMarkupsFiducialNode")
        for index in range(node.GetNumberOfControlPoints())
        if any(shown.IsDisplayableInView(viewNode.GetID()) for shown in _displays(node))
    ]
    codes = list(itertools.islice(itertools.combinations(range(PICTURES), DRAWN), len(labels)))
    try:
        _write(labels, [""] * len(labels))
        empty = _green(view)
        code = np.zeros(empty.shape, np.int32)
        for number in range(PICTURES):
            _write(labels, [name if number in drawn else "" for drawn, (_n, _i, name) in zip(codes, labels)])
            code += (np.abs(_green(view) - empty) > DARK).astype(np.int32) << number
    finally:
        _write(labels, [name for _node, _index, name in labels])
    rows, columns = np.nonzero(code)
    found = code[rows, columns]
    boxes = []
    for drawn, (_node, _index, name) in zip(codes, labels):
        word = sum(1 << number for number in drawn)
        mine = (found & word) == word  # also where another name lies over it
        alone = found == word
        if alone.any():
            box = (columns[alone].min(), rows[alone].min(), columns[alone].max(), rows[alone].max())
            near = mine & (np.abs(columns - (box[0] + box[2]) / 2) < 40) & (np.abs(rows - (box[1] + box[3]) / 2) < 20)
            boxes.append((name, (columns[near].min(), rows[near].min(), columns[near].max(), rows[near].max())))
    return boxes


def overlaps(boxes):
    """Pairs of different names whose boxes share a pixel, with the number of pixels."""
    found = []
    for (name, a), (other, b) in itertools.combinations(boxes, 2):
        width = min(a[2], b[2]) - max(a[0], b[0]) + 1
        height = min(a[3], b[3]) - max(a[1], b[1]) + 1
        if width > 0 and height > 0 and name != other:
            found.append((name, other, int(width * height)))
    return found


def _write(labels, names):
    for (node, index, _name), name in zip(labels, names):
        node.SetNthControlPointLabel(index, name)


def _green(view):
    """What a view draws, as one number a pixel: names are cyan or amber."""
    view.forceRender()
    return picture(view)[..., 1].astype(np.int16)


def _displays(node):
    displays = (node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes()))
    return [each for each in displays if each is not None]
