"""The picture of a labeled spine: each name lies on its vertebra, nothing far from the spine is shown."""

from __future__ import annotations

import numpy as np
import pytest
from phantoms import affine, body
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.label_warning import SHIFT, LabelWarning
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.review.curved_planar_reformation import (
    REACH_MM,
    coronal_view,
    sagittal_view,
    sample,
    spine_frame,
)
from VertebraLabelingLib.review.snapshot import confidence_color, draw_snapshot, write_snapshot

pytest.importorskip("matplotlib", reason="pictures need matplotlib")

TURN = np.array([[0.96, 0.0, 0.28], [0.0, 1.0, 0.0], [-0.28, 0.0, 0.96]])
FLIPPED = np.array([[-1.0, 0, 0], [0, -1.0, 0], [0, 0, 1.0]])


def curved_balls(count=5, top=222.0) -> np.ndarray:
    """Centers of a kyphotic and scoliotic spine, head to foot."""
    n = np.arange(count)
    return np.stack((6 * np.sin(n / 2), -14 + 10 * np.cos(n / 2), top - 25 * n), axis=1)


def labels_at(points, confidence=0.9) -> SpineLabels:
    return SpineLabels(tuple(LabeledPoint(LEVELS[7 + n], tuple(p), confidence) for n, p in enumerate(points)))


def volume_around(axes) -> Volume:
    """A volume with other axes that covers the balls, the balls in it."""
    spacing = np.array((2.0, 2.0, 3.0))
    matrix = affine(spacing, (0, 0, 0), axes)
    shape = (60, 60, 64)
    matrix[:3, 3] = (0, -10, 170) - matrix[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return body(shape, matrix, curved_balls(), radius_mm=7)


def value_at(view, across, height) -> float:
    left, right, bottom, top = view.extent
    rows, columns = view.pixels.shape
    row = (top - height) / (top - bottom) * rows
    return float(view.pixels[int(row), int((across - left) / (right - left) * columns)])


@pytest.mark.parametrize("axes", [np.eye(3), FLIPPED, TURN, FLIPPED @ TURN], ids=["RAS", "LPS", "oblique", "both"])
def test_every_vertebra_lies_under_its_point_in_both_views(axes):
    volume = volume_around(axes)
    frame = spine_frame(volume, curved_balls())
    sagittal, coronal = sagittal_view(volume, frame), coronal_view(volume, frame)
    for right, front, up in frame.coordinates(curved_balls()):
        assert value_at(sagittal, front, up) > 1200 and value_at(coronal, right, up) > 1200
        assert value_at(sagittal, front, up - 12) < 500, "the gap between two vertebrae"


@pytest.mark.parametrize(("view_of", "beside"), [(sagittal_view, (0, 30, 0)), (coronal_view, (30, 0, 0))])
def test_front_and_right_are_on_the_left_of_the_picture(view_of, beside):
    """A dense ball beside the spine shows up in the left half of the row at its height."""
    spine = np.array([(0.0, -20.0, 220.0 - 25 * n) for n in range(5)])
    volume = body((60, 70, 70), affine((2, 2, 3), (-70, -80, 80)), [spine[2] + beside], radius_mm=7)
    view = view_of(volume, spine_frame(volume, spine))
    row = np.nan_to_num(view.pixels[int((view.extent[3] - 170) / (view.extent[3] - view.extent[2]) * len(view.pixels))])
    assert row.max() > 1200
    assert row.argmax() < 0.4 * len(row)


def test_nothing_farther_than_six_centimeters_from_the_spine_is_shown():
    volume = Volume(np.full((60, 120, 120), 1000, np.int16), affine((2, 2, 3), (-120, -130, 100)))
    frame = spine_frame(volume, curved_balls())
    for view, center in ((sagittal_view(volume, frame), frame.fronts), (coronal_view(volume, frame), frame.rights)):
        columns = np.linspace(view.extent[0], view.extent[1], view.pixels.shape[1])
        for row, middle in zip(view.pixels, center[::-1]):
            shown = columns[np.isfinite(row)]
            assert len(shown) and np.abs(shown - middle).max() <= REACH_MM + 1


@pytest.mark.parametrize("count", [1, 2, 3, 26])
def test_one_to_twenty_six_vertebrae_make_a_picture(tmp_path, count):
    points = [(0.5 * n, 3 * np.sin(n), 640 - 24 * n) for n in range(count)]
    labels = SpineLabels(tuple(LabeledPoint(LEVELS[n], p, n / 26) for n, p in enumerate(points)))
    volume = Volume(np.zeros((220, 30, 30), np.int16), affine((4, 4, 3), (-60, -60, 0)))
    write_snapshot(tmp_path / "a.png", volume, labels, "case")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_names_and_points_are_drawn_where_the_vertebrae_are():
    volume = volume_around(np.eye(3))
    figure = draw_snapshot(volume, labels_at(curved_balls()), "case 7")
    sagittal, names, coronal = figure.axes
    assert [text.get_text() for text in names.texts[::2]] == ["T1", "T2", "T3", "T4", "T5"]
    heights = [text.get_position()[1] for text in names.texts[::2]]
    np.testing.assert_allclose(heights, curved_balls()[:, 2], atol=2)
    for axes, axis in ((sagittal, 1), (coronal, 0)):
        drawn = axes.lines[0].get_xydata()
        np.testing.assert_allclose(drawn, curved_balls()[:, [axis, 2]])
    assert any("case 7" in text.get_text() for text in figure.texts)


def test_names_of_close_vertebrae_do_not_overlap():
    points = [(0.0, 0.0, 200.0 - 2 * n) for n in range(8)]
    figure = draw_snapshot(volume_around(np.eye(3)), labels_at(points), "crowded")
    names = figure.axes[1]
    heights = [text.get_position()[1] for text in names.texts[::2]]
    inches = names.get_position().height * figure.get_size_inches()[1]
    gaps = -np.diff(heights) * inches / np.ptp(names.get_ylim())
    assert gaps.min() > 0.15, "a line of 10 point text is 0.14 inch high"


def test_doubtful_levels_carry_a_question_mark_and_warnings_are_written_out():
    labels = SpineLabels(labels_at(curved_balls(), 0.3).points, (LabelWarning(SHIFT),))
    figure = draw_snapshot(volume_around(np.eye(3)), labels, "case", notes=["The gantry is tilted."])
    assert figure.axes[1].texts[0].get_text() == "T1 ?"
    written = " ".join(text.get_text() for text in figure.texts)
    assert "may be shifted" in written and "gantry is tilted" in written


@pytest.mark.parametrize("title", ["$\\frac{1}{0}$ cost $5", "a" * 300, "Größe 脊椎", "", "a\nb"])
def test_any_case_name_can_be_a_title(tmp_path, title):
    write_snapshot(tmp_path / "a.png", volume_around(np.eye(3)), labels_at(curved_balls()), title)


def test_a_spine_far_from_the_patient_axis_is_shown_along_itself():
    lying = curved_balls()[:, [0, 2, 1]] * (1, 1, -1)  # head to the front: a header with wrong axes
    volume = Volume(np.zeros((40, 80, 60), np.int16), affine((3, 3, 3), (-90, 50, -60)))
    frame = spine_frame(volume, lying)
    assert frame.up[1] > 0.9
    np.testing.assert_allclose(
        [frame.front @ frame.up, frame.right @ frame.up, frame.front @ frame.right], 0, atol=1e-9
    )
    assert sagittal_view(volume, frame).pixels.shape[0] > 100


def test_confidence_runs_from_red_to_green():
    low, high = confidence_color(0.0), confidence_color(1.0)
    assert low[0] > low[1] and high[1] > high[0]
    assert confidence_color(-3) == low and confidence_color(7) == high


def test_sampling_is_linear_and_knows_where_the_scan_ends():
    volume = Volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), affine((2, 2, 2), (0, 0, 0)))
    values = sample(
        volume, np.array([(0, 0, 0), (6, 4, 2), (1, 0, 0), (3, 2, 1), (-0.9, 0, 0), (-1.1, 0, 0), (0, 0, 9)])
    )
    np.testing.assert_allclose(values, [0, 23, 0.5, 11.5, 0, np.nan, np.nan])


def test_no_points_is_one_sentence():
    with pytest.raises(InputError, match="no vertebra to show"):
        draw_snapshot(volume_around(np.eye(3)), SpineLabels(()), "case")
