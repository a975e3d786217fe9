"""The straightened spine in a strip beside the views: its points, a click in it, and when it goes."""

from __future__ import annotations

import numpy as np
import pytest
from browser import ServerProcess, visitor

SHOWN = "state.get('strip').side && !state.get('strip_stale')"


def at(reader, level):
    """Where a level is in the picture from the side: percent from the left and from above."""
    return next(each["side"] for each in reader.state("strip_points") if each["level"] == level)


@pytest.fixture
def strip(reader):
    """A reader who sees the strip."""
    reader.page.click("#reading summary")
    reader.page.check("#straighten")
    reader.wait(SHOWN)
    reader.page.wait_for_function("document.querySelector('.picture.side img')?.naturalWidth > 100")
    return reader


def test_it_shows_all_levels_from_side_and_front_with_their_places_along_the_curve(strip):
    levels = [each["level"] for each in strip.state("strip_points")]
    assert levels == strip.levels()
    drawn = strip.page.locator(".picture.side .point").all_inner_texts()
    assert drawn == levels and strip.page.locator(".picture.front .point").all_inner_texts() == levels
    places = strip.ask("positions")
    box = strip.page.locator(".picture.side img").evaluate("each => [each.naturalWidth, each.naturalHeight]")
    tall_mm = box[1] * 0.7
    for above, below in zip(levels, levels[1:]):
        step = (at(strip, below)[1] - at(strip, above)[1]) / 100 * tall_mm
        assert step == pytest.approx(np.linalg.norm(np.subtract(places[above], places[below])), rel=0.02)
    frame = strip.page.locator(".strip").bounding_box()
    sagittal = strip.page.locator(".Sagittal").bounding_box()
    assert frame["x"] + frame["width"] <= sagittal["x"] + 2 and frame["width"] < 420
    strip.page.click(".strip-head button.front")
    assert not strip.page.locator(".picture.side").is_visible() and strip.page.locator(".picture.front").is_visible()


@pytest.mark.parametrize("name", ["side", "front"])
def test_a_click_takes_all_views_there_and_the_present_level_is_shown(strip, name):
    x, y = next(each[name] for each in strip.state("strip_points") if each["level"] == "L2")
    picture = strip.page.locator(f".picture.{name}")
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * x / 100, "y": box["height"] * y / 100})
    strip.wait("state.get('view_levels').Axial.text === 'L2, middle third'")
    place = np.array(strip.ask("positions")["L2"])
    for view, matrix in strip.ask("slice_to_ras").items():
        away = np.array(matrix)[:3, 3] - place
        assert np.linalg.norm(away) < 2.5, (view, away)  # half a pixel of the strip is a millimeter
    strip.wait(f"Math.abs(state.get('strip_mark') - {at(strip, 'L2')[1]}) < 1")
    strip.page.wait_for_function(
        f"document.querySelector('.picture.{name} .here b').textContent === 'L2, middle third'"
    )


def test_a_click_beside_the_scan_moves_no_view(strip):
    before = strip.ask("slice_to_ras")
    box = strip.page.locator(".picture.side").bounding_box()
    strip.page.locator(".picture.side").click(position={"x": box["width"] - 2, "y": box["height"] / 2})
    strip.page.locator(".picture.side").click(position={"x": box["width"] / 3, "y": box["height"] / 2})
    strip.wait("state.get('view_levels').Axial.text")
    after = strip.ask("slice_to_ras")
    assert after != before
    strip.page.locator(".picture.side").click(position={"x": box["width"] - 2, "y": box["height"] / 2})
    strip.page.wait_for_timeout(500)
    assert strip.ask("slice_to_ras") == after


def test_the_line_in_it_follows_the_axial_view(strip):
    for level in ("T10", "L3"):
        strip.choose(level)
        strip.wait(f"Math.abs(state.get('strip_mark') - {at(strip, level)[1]}) < 0.5")


def test_names_and_places_follow_corrections(strip):
    before = strip.state("strip")["side"]["image"]
    strip.page.click("#shift-up")
    strip.wait("state.get('strip_points')[0].level === 'T7'")
    assert strip.state("strip")["side"]["image"] == before  # the same places: nothing was drawn anew
    strip.page.click("#undo")
    strip.wait("state.get('strip_points')[0].level === 'T8'")
    place = at(strip, "T11")
    strip.drag("T11", right=0, up=20)
    strip.wait("state.get('undo_what') === 'drag of T11'")
    strip.wait(f"{SHOWN} && state.get('strip_points').find(each => each.level === 'T11').side[1] < {place[1] - 0.8}")
    assert strip.state("strip")["side"]["image"] != before


def test_the_window_is_that_of_the_views(strip):
    before = strip.state("strip")["side"]["image"]
    strip.page.click("text=Lung")
    strip.wait("state.get('window_name') === 'Lung'")
    assert strip.state("strip")["side"]["image"] != before


def test_where_the_points_give_no_curve_nothing_is_shown_but_a_sentence_and_a_correction_ends_that(strip):
    places = strip.ask("positions")
    strip.ask("exchange", "T10", "L2")
    strip.wait("state.get('error').includes('turns back') && !state.get('strip').side")
    assert strip.page.locator(".picture").count() == 0 and strip.state("strip_points") == []
    strip.ask("exchange", "T10", "L2")
    strip.wait(SHOWN)
    assert strip.ask("positions") == places


def test_it_goes_with_its_scan_and_when_it_is_closed(strip):
    strip.page.click(".picture.side")
    strip.wait("state.get('strip_points').length")
    assert "Place" in strip.ask("nodes")
    strip.page.click(".strip-head > button")
    strip.wait("!state.get('strip_wanted') && !state.get('strip').side")
    assert strip.page.locator(".strip").count() == 0 and "Place" not in strip.ask("nodes")
    assert not strip.page.is_checked("#straighten")
    strip.page.check("#straighten")
    strip.wait(SHOWN)
    strip.page.evaluate("window.trame.trigger('open_served', [0])")
    strip.wait("!state.get('rows')?.length && !state.get('busy_text') && !state.get('strip_wanted')")
    assert strip.page.locator(".strip").count() == 0 and strip.state("strip") == {}


def test_where_it_cannot_be_made_anew_the_old_one_does_not_stay(browser, ball_ct, tmp_path):
    server = ServerProcess(tmp_path, [ball_ct]).wait()
    try:
        with visitor(browser, server) as reader:
            reader.open_scan().label()
            reader.page.click("#reading summary")
            reader.page.check("#straighten")
            reader.wait(SHOWN)
            reader.ask("break_straightening")
            reader.choose("T8")
            reader.page.click("#delete")
            reader.wait("state.get('error').includes('unexpected') && !state.get('strip_stale')")
            assert reader.state("strip") == {} and reader.state("strip_points") == []
            assert reader.page.locator(".picture").count() == 0
    finally:
        server.stop()
