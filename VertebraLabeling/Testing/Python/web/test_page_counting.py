"""Spines of unusual numbers on the page: how they were counted, other names by a click, and the rule that stays."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from balls import voxels
from browser import ServerProcess, visitor
from counted_balls import CountedBallLabeler, SixLumbar, ThirteenRibs, balls_of
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

ABOVE = [*USUAL_LEVELS[6:], "L6"]  # C7 and the eighteen below
SACRUM = list(USUAL_LEVELS[5:])
SPACING_MM = np.array([2.5, 2.5, 3.0])
MARGIN_MM = np.array([80.0, 90.0, 60.0])


def ct_of(labeler, folder: Path) -> Path:
    """A small CT with the balls of a labeler, as a file."""
    balls = np.array(list(balls_of(labeler.LEVELS).values()))
    size = np.ceil((np.ptp(balls, axis=0) + MARGIN_MM) / SPACING_MM).astype(int)
    matrix = np.diag([*SPACING_MM, 1.0])
    matrix[:3, 3] = (balls.min(axis=0) + balls.max(axis=0)) / 2 - SPACING_MM * (size - 1) / 2
    array = voxels(balls, matrix, tuple(size))
    array[:, :4] = -1000  # air, as in a CT
    path = folder / f"{labeler.__name__}.nii.gz"
    sitk.WriteImage(to_sitk(Volume(array, matrix)), str(path))
    return path


def served(labeler, folder: Path) -> ServerProcess:
    files = [ct_of(labeler, folder)]
    labeled = f"counted_balls:{labeler.__name__}"
    return ServerProcess(folder / "server", files, labeler=labeled, poll=5.0).wait()  # no test here loses the network


@pytest.fixture(scope="module")
def thirteen_ribs(browser, tmp_path_factory):
    """A server with a spine that has a T13."""
    process = served(ThirteenRibs, tmp_path_factory.mktemp("T13"))
    yield process
    process.stop()


@pytest.fixture
def counter(browser, thirteen_ribs):
    """Somebody who has labeled the spine with a T13."""
    with visitor(browser, thirteen_ribs) as person:
        person.open_scan()
        person.label()
        yield person


def buttons(person) -> list[str]:
    """Texts of the buttons that name all vertebrae otherwise."""
    return person.page.locator("#other-counts button").all_inner_texts()


def press(person, rule: str) -> None:
    person.page.click(f"#count-{rule}")
    person.wait(f"state.get('counting') === '{rule}'")


def choose(person, rule: str) -> None:
    """Choose in the menu; waits until the browser has kept it."""
    person.page.click("#count-menu summary")
    person.page.click(f"#count-menu [data-rule={rule}]")
    person.wait(f"state.get('counting') === '{rule}'")
    person.page.wait_for_function(f"Object.values(localStorage).includes('{rule}')")
    assert not person.page.locator("#count-menu").get_attribute("open")


def shown(person):
    return person.levels(), person.page.inner_text("#how-counted"), buttons(person), person.state("counting")


def test_a_usual_spine_has_the_sentence_and_nothing_else(browser, tmp_path):
    server = served(CountedBallLabeler, tmp_path)
    try:
        with visitor(browser, server) as person:
            person.open_scan()
            assert not person.page.locator("#how-counted").is_visible()
            person.label()
            told = "Counted from the first rib, the last rib and the sacrum."
            assert shown(person) == (list(CountedBallLabeler.LEVELS), told, [], "seen")
            assert not person.page.locator("#other-counts").is_visible()
    finally:
        server.stop()


def test_an_unusual_number_is_told_with_its_other_names(counter):
    levels, told, others, rule = shown(counter)
    assert (levels, rule) == (list(ThirteenRibs.LEVELS), "seen")
    assert told.endswith("the last is named T13; counted from the sacrum it is T12.")
    assert others == ["Count from above: T13-L5 become L1-L6", "Count from the sacrum: C7-T13 become C6-T12"]
    assert counter.state("unsaved") is False


def test_one_click_gives_the_other_names_another_gives_them_back_and_undo_too(counter):
    before = shown(counter)
    press(counter, "sacrum")
    levels, told, others, _ = shown(counter)
    assert levels == SACRUM and "the names are counted from the sacrum up" in told
    assert others == ["Name what is seen: C6-T12 become C7-T13", "Count from above: C6-L5 become C7-L6"]
    assert counter.state("unsaved") is True
    press(counter, "seen")
    assert shown(counter) == before and counter.state("unsaved") is False
    press(counter, "above")
    assert counter.levels() == ABOVE
    assert counter.page.inner_text("#undo") == "Undo counting"
    counter.page.keyboard.press("u")
    counter.wait("state.get('counting') === 'seen'")
    assert shown(counter) == before


def test_shift_and_names_are_right_under_the_rule(counter):
    press(counter, "above")
    counter.page.click("#shift-up")
    counter.wait("state.get('rows')[0].level === 'C6'")
    assert counter.levels() == SACRUM and counter.state("counting") == "above"
    assert counter.page.inner_text("#how-counted").startswith("Counted from what the user has named")
    counter.page.click("#undo")
    counter.wait("state.get('rows')[0].level === 'C7'")
    counter.choose("L2")
    counter.page.select_option("#level", "L1")
    counter.page.click("#name")
    counter.wait("state.get('chosen') === 'L1'")
    assert counter.levels() == SACRUM
    counter.choose("T12")
    assert "T13" not in counter.page.locator("#level option").all_inner_texts()
    counter.page.evaluate("window.trame.trigger('name', ['T13'])")
    counter.wait("state.get('error').startsWith('There is no T13 where vertebrae are counted one by one')")
    assert counter.levels() == SACRUM


def test_a_second_run_a_reload_and_the_file_keep_the_rule(counter):
    press(counter, "sacrum")
    counter.label()
    assert counter.levels() == SACRUM and counter.state("counting") == "sacrum"
    before = shown(counter)
    _, data = counter.save("#save-mrk")
    file = json.loads(data)
    assert [point["label"] for point in file["markups"][0]["controlPoints"]] == SACRUM
    assert file["vertebraLabeling"]["count"]["rule"] == "sacrum"
    counter.wait("!state.get('unsaved')")
    counter.page.reload()
    counter.open_scan_here()
    assert shown(counter) == before
    counter.page.click("#undo")
    counter.wait("state.get('undo_what') === 'counting'")
    counter.page.click("#undo")
    counter.wait("state.get('counting') === 'seen'")
    assert counter.levels() == list(ThirteenRibs.LEVELS)


def test_a_choice_in_the_menu_is_kept_by_the_browser_for_other_scans_and_sessions(browser, tmp_path):
    server = served(SixLumbar, tmp_path)
    try:
        with visitor(browser, server) as person:
            person.open_scan()
            choose(person, "sacrum")
            person.label()
            assert person.levels() == SACRUM
            choose(person, "seen")
            assert person.levels() == list(SixLumbar.LEVELS)
            choose(person, "sacrum")
            with person.page.expect_download():
                person.page.click("#save-csv")
            person.wait("!state.get('unsaved')")
            storage = person.context.storage_state()
        with visitor(browser, server, storage_state={**storage, "cookies": []}) as person:
            person.open_scan()
            person.wait("state.get('counting') === 'sacrum'")
            person.label()
            assert person.levels() == SACRUM
        with visitor(browser, server) as another:
            another.open_scan()
            another.label()
            assert another.levels() == list(SixLumbar.LEVELS), "one browser's choice is not another's"
    finally:
        server.stop()


def test_what_a_browser_should_not_send_changes_nothing(counter):
    before = shown(counter)
    for value in ("upwards", "", ["seen"], {"rule": "above"}, None):
        for name in ("prefer", "choose_rule", "count_by"):
            counter.page.evaluate("([name, value]) => window.trame.trigger(name, [value])", [name, value])
    counter.wait("state.get('error')")
    assert shown(counter) == before
    counter.page.evaluate("window.trame.state.set('preferred_counting', 'upwards')")
    counter.page.evaluate("window.trame.state.set('error', '')")
    counter.label()
    assert shown(counter) == before


@pytest.mark.parametrize("height", [600, 800])
def test_all_of_the_panel_can_be_reached_and_no_text_is_cut(counter, height):
    counter.page.set_viewport_size({"width": 1280, "height": height})
    for rule in ("sacrum", "above", "seen"):
        press(counter, rule)
        cut = """[...document.querySelectorAll("#how-counted, #other-counts button, #warnings li")]
            .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => each.innerText)"""
        assert counter.page.evaluate(cut) == []
        boxes = [counter.page.locator(each).bounding_box() for each in ("#how-counted", "#warnings", "#other-counts")]
        assert all(a["y"] + a["height"] <= b["y"] for a, b in zip(boxes, boxes[1:])), "one below the other"
        assert counter.page.locator(".levels").bounding_box()["height"] >= 96
    counter.page.locator("#save-verse").scroll_into_view_if_needed()
    box = counter.page.locator("#save-verse").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= height
