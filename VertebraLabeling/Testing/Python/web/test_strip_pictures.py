"""Pictures of the straightened spine: which place a pixel shows, and back."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from VertebraLabelingLib.core.volume import Volume

pytest.importorskip("vtkmodules")


@pytest.fixture
def pictures():
    """5 columns to the right, 8 to the front, 20 rows up, voxels of 2 mm, a bright voxel at (2, 6, -10)."""
    from VertebraLabelingWeb.strip_pictures import StripPictures

    array = np.full((20, 8, 5), -1000, dtype=np.int16)
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = (-4, -8, -38)
    array[14, 7, 3] = 1200
    return StripPictures(Volume(array, matrix))


def seen(address, folder):
    """The pixels of a picture, top row first."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkIOImage import vtkJPEGReader

    path = folder / "picture.jpg"
    path.write_bytes(base64.b64decode(address.removeprefix("data:image/jpeg;base64,")))
    reader = vtkJPEGReader()
    reader.SetFileName(str(path))
    reader.Update()
    image = reader.GetOutput()
    width, height, _ = image.GetDimensions()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width)[::-1]


@pytest.mark.parametrize(("name", "width", "column"), [("side", 8, 0), ("front", 5, 1)])
def test_a_place_is_seen_where_it_is_said_to_be(pictures, name, width, column, tmp_path):
    place = np.array([2.0, 6.0, -10.0])
    pixels = seen(pictures.picture(name, place, 2000.0, 0.0), tmp_path)
    assert pixels.shape == (20, width) and pictures.aspect(name) == width / 20
    assert np.unravel_index(pixels.argmax(), pixels.shape) == (5, column)
    x, y = pictures.shown_at(name, place)
    assert (int(x * width), int(y * 20)) == (column, 5)
    assert pictures.place_at(name, x, y, place) == pytest.approx(place)
    assert seen(pictures.picture(name, np.array([-2.0, -6.0, 0.0]), 2000.0, 0.0), tmp_path).max() < 60  # another plane


def test_beyond_the_edge_the_edge_is_meant(pictures):
    place = np.array([0.0, 0.0, 0.0])
    assert pictures.place_at("side", -1, 2, place) == pytest.approx([0, 7, -39])
    assert pictures.place_at("front", 2, -1, place) == pytest.approx([-5, 0, 1])
    assert pictures.picture("side", np.array([900.0, 900.0, 900.0]), 2000.0, 0.0)
