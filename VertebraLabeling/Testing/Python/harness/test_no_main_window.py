"""Under ``Slicer --no-main-window`` there are no views: tests that need them skip, and all others pass."""

import sys
import unittest
import unittest.mock
from pathlib import Path

import pytest
import slicer

PANEL = Path(__file__).resolve().parents[1] / "panel"
NEED_VIEWS = {
    "test_correcting": {
        "test_going_to_a_row_jumps_the_views_to_the_vertebra",
        "test_after_a_run_the_volume_and_the_middle_of_the_spine_are_in_view",
    },
    "test_first_look": {
        "test_all_vertebrae_are_in_view_and_so_is_their_bone",
        "test_a_view_that_shows_them_all_is_not_turned_by_another_run",
        "test_one_press_takes_the_bone_away_with_the_rest",
        "test_one_press_puts_back_how_much_a_parallel_projection_shows",
        "test_bone_that_was_shown_before_a_run_is_shown_after_the_press",
    },
    "test_level_of_others": None,  # all of them
    "test_level_readout": None,
    "test_names_in_views": None,
    "test_new_views": None,
    "test_plane_views": None,
    "test_shortcuts": None,
    "test_straight_view": None,
    "test_views_and_drag": None,
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name == "test_correcting" else []) for name in NEED_VIEWS]
)
def test_a_test_that_needs_views_skips_without_them(name, monkeypatch):
    monkeypatch.syspath_prepend(str(PANEL))
    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    suite, result = unittest.defaultTestLoader.loadTestsFromName(name), unittest.TestResult()
    with unittest.mock.patch.object(slicer.app, "_layoutManager", None):
        suite.run(result)
    assert [trace for _test, trace in result.failures + result.errors] == []
    skipped = {test.id().rsplit(".", 1)[1] for test, _reason in result.skipped}
    assert skipped == NEED_VIEWS[name] if NEED_VIEWS[name] else len(result.skipped) == result.testsRun
