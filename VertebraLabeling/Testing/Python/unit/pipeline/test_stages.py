"""The first stage: what it mends in a CT, it tells."""

from __future__ import annotations

import numpy as np
import pytest
from ct_habits import CT, volume
from VertebraLabelingLib.pipeline.stages import State, check


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
