"""Slices that lie where each of them says."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.slice_positions import check_in_line, evenly_spaced, tilt_note
from VertebraLabelingLib.errors import InputError


def positions(heights, lean=0.0):
    return np.outer(heights, (0.0, lean, 1.0)) + np.array((7.0, -3.0, 40.0))


def test_evenly_spaced_slices_are_not_copied():
    array = np.zeros((8, 3, 3), np.int16)
    same, step, notes = evenly_spaced(array, positions(np.arange(8) * 2.0, lean=0.3), "it")
    assert same is array and notes == []
    np.testing.assert_allclose(step, (0.0, 0.6, 2.0))


def test_values_between_uneven_slices_lie_where_they_would():
    """Voxels that hold their own height: whatever slices are made, each holds its own height again."""
    heights = np.array([0.0, 2.0, 3.0, 7.0, 9.0, 14.0, 16.0, 18.0])
    array = np.repeat((100 * heights).astype(np.int16), 9).reshape(-1, 3, 3)
    even, step, notes = evenly_spaced(array, positions(heights, lean=0.5), "it")
    np.testing.assert_allclose(even[:, 1, 1], 100 * np.arange(len(even)) * step[2], atol=1)
    assert len(even) == 10 and "1.1 to 5.6 mm" in notes[0]


def test_a_closer_limit_interpolates_what_a_wider_one_leaves():
    heights = np.array([0.0, 4.0, 8.5, 12.0])
    array = np.zeros((4, 2, 2), np.int16)
    assert evenly_spaced(array, positions(heights), "it")[0] is array
    assert evenly_spaced(array, positions(heights), "it", most_mm=0.2)[0] is not array


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 1, 1, 3], [0, 1, 2, 0]])
def test_slices_out_of_order_are_no_volume(order):
    with pytest.raises(InputError, match="slices of it do not line up"):
        check_in_line(positions(np.arange(4.0)[order]), "it", 2.0)


def test_slices_beside_the_line_are_no_volume():
    aside = positions(np.arange(6.0))
    aside[2, 0] += 1.0
    check_in_line(aside, "it", 2.0)
    with pytest.raises(InputError, match="slices of it do not line up"):
        check_in_line(aside, "it", 0.5)


def test_a_tilt_is_told_in_degrees():
    row, column = np.array([0.7, 0.0, 0.0]), np.array([0.0, -0.7, 0.0])
    assert tilt_note(row, column, np.array([0.0, 0.0, 2.0])) == []
    (note,) = tilt_note(row, column, np.array([0.0, 2.0, 2.0]))
    assert "45 degrees" in note
