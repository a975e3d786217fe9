"""Stages: the first mends and tells, or refuses; what is no center in view; by which rule the last one names."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ct_habits import CT, volume
from phantoms import affine
from spine_factory import WITH_T13, spine
from VertebraLabelingLib.core.counting import rule_of
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.pipeline.reporting import Reporter
from VertebraLabelingLib.pipeline.stages import Engine, State, check, name, refine_centroids


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32])
def test_values_that_were_shifted_back_to_hu_are_told(dtype):
    stored = volume(np.clip(CT["int16"] + 1024, 0, None).astype(dtype))
    state = check(State(stored), None)
    np.testing.assert_allclose(state.volume.array, stored.array.astype(float) - 1024)
    assert ["HU + 1024" in warning.sentence() for warning in state.warnings] == [True]


def test_hu_are_taken_as_they_are_without_a_word():
    ct = volume(CT["int16"])
    state = check(State(ct), None)
    assert state.volume is ct and state.warnings == ()


def in_slices(distance_mm: float, axis: int) -> State:
    spacing = np.roll((distance_mm, 2.0, 2.0), axis)
    return State(Volume(CT["int16"], affine(spacing=tuple(spacing))))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("distance_mm", [12.5, 15.0, 30.0])
def test_slices_between_which_a_vertebra_may_lie_are_refused(distance_mm, axis):
    with pytest.raises(InputError, match=f"are {distance_mm:.3g} mm apart, so vertebrae may be missing.*choose"):
        check(in_slices(distance_mm, axis), None)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize(("distance_mm", "told"), [(5.0, False), (8.0, False), (8.5, True), (12.0, True)])
def test_thick_slices_are_told(distance_mm, told, axis):
    warnings = check(in_slices(distance_mm, axis), None).warnings
    assert ["mm apart" in warning.sentence() for warning in warnings] == [True] * told


@pytest.mark.parametrize("edge_mm", [-30.0, -3.0, 0.5, 1.0, 5.0])
@pytest.mark.parametrize("end", [0, -1])
def test_a_center_outside_the_image_is_none(end, edge_mm):
    """The image ends so many mm beyond the first or the last center; a smooth chain may move one by 0.7 mm."""
    evidence = spine(WITH_T13[5:])
    corners = evidence.corners.copy()
    outer = corners[:, 2].max() if end == 0 else corners[:, 2].min()
    up = 1 if end == 0 else -1
    corners[corners[:, 2] == outer, 2] = evidence.points[end, 2] + up * edge_mm
    evidence = replace(evidence, corners=corners)
    networks = SimpleNamespace(centroid_network=None, parameters=SHIPPED)
    kept = refine_centroids(State(None, evidence=evidence), Engine(lambda: networks, "cpu", None)).evidence.points
    seen = up * (corners[:, 2].max() if end == 0 else corners[:, 2].min()) - up * evidence.points[:, 2] >= 0.7
    np.testing.assert_array_equal(kept, evidence.points[seen])
    assert (seen.sum() == len(seen)) == (edge_mm > 0.7)


@pytest.mark.parametrize(("rule", "last"), [("seen", "L5"), ("above", "L6"), ("sacrum", "L5")])
def test_the_last_stage_names_by_the_chosen_rule_around_known_points(rule, last):
    """Thirteen vertebrae of this spine bear ribs."""
    evidence = spine(WITH_T13[5:])
    engine = Engine(lambda: SimpleNamespace(parameters=SHIPPED), "cpu", Reporter(None, None), count=rule)
    labels = name(State(None, evidence=evidence), engine).labels
    assert labels.points[-1].level == last and rule_of(labels) == rule
    known = {last: labels.points[-1].ras}
    again = name(State(None, evidence=evidence), replace(engine, fixed=known)).labels
    assert [point.level for point in again.points] == [point.level for point in labels.points]
