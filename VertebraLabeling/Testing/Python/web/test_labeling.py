"""A person opens the page, labels, corrects and saves: in a real browser, on real MRML nodes."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import SimpleITK as sitk
from balls import centers
from browser import ServerProcess, visitor
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.read_scan import read_volume

BALLS = list(centers())


def moved_by(before, after):
    return {level: float(np.linalg.norm(np.subtract(after[level], before[level]))) for level in before}


def test_the_scan_is_shown_in_four_views_with_sides_and_positions(person):
    assert person.state("scan_name") == "balls"
    letters = {view: state["letters"] for view, state in person.state("slices").items()}
    assert letters["Sagittal"] == {"left": "A", "right": "P", "top": "S", "bottom": "I"}
    assert letters["Coronal"] == {"left": "R", "right": "L", "top": "S", "bottom": "I"}
    assert letters["Axial"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    person.page.wait_for_function("document.querySelectorAll('.view img').length === 4")
    boxes = [person.page.locator(f".{view}").bounding_box() for view in ("Sagittal", "Coronal", "Axial", "ThreeD")]
    areas = [box["width"] * box["height"] for box in boxes]
    assert areas[0] == max(areas) and min(areas) > 200 * 200
    assert all(box["x"] + box["width"] <= 1281 and box["y"] + box["height"] <= 801 for box in boxes)
    assert person.page.evaluate("document.documentElement.scrollHeight <= innerHeight")


def test_labeling_reports_progress_and_names_every_ball(person):
    person.page.click("#label")
    person.page.wait_for_selector("#cancel")
    person.wait("state.get('progress') > 5 && state.get('stage').startsWith('Finding vertebrae')")
    person.wait("state.get('rows')?.length && !state.get('running')")
    assert person.levels() == BALLS
    found = person.ask("positions")
    assert max(np.linalg.norm(np.subtract(found[level], place)) for level, place in centers().items()) < 1.0
    assert person.page.inner_text("#message").startswith(f"{len(BALLS)} vertebrae labeled in ")
    assert all(0 <= row["percent"] <= 99 for row in person.state("rows"))


def test_a_cancelled_run_leaves_no_points(person):
    person.page.click("#label")
    person.page.dispatch_event("#cancel", "click")  # at once: no waiting until the button stands still
    person.wait("!state.get('running')")
    assert person.page.inner_text("#message") == "Labeling was canceled."
    assert person.ask("positions") == {}


def test_a_run_that_is_cancelled_at_once_leaves_the_page_usable(person):
    person.page.evaluate("['label', 'cancel'].forEach((name) => window.trame.trigger(name, []))")
    person.wait("state.get('message') === 'Labeling was canceled.' && !state.get('running')")
    person.label()
    assert person.levels() == BALLS


def test_a_scan_that_is_opened_during_a_run_gets_no_points_of_the_one_before(browser, ball_ct, tmp_path):
    server = ServerProcess(tmp_path, [ball_ct], keep=60.0).wait()
    try:
        with visitor(browser, server) as person:
            person.open_scan()
            person.ask("read_slowly", 1.0)
            person.page.evaluate("window.trame.trigger('open_served', [0])")
            person.wait("state.get('busy_text')")
            person.page.keyboard.press("l")  # the button is off, the key is not
            person.wait("!state.get('busy_text')")
            person.page.wait_for_timeout(3000)  # a run takes less
            assert not person.state("running") and person.ask("positions") == {}
            person.label()
    finally:
        server.stop()


def test_a_dragged_point_moves_in_the_scene_and_in_the_saved_file(reader):
    before = reader.ask("positions")
    _, aim = reader.drag("T11", right=-24, up=6)
    reader.wait("state.get('undo_what') === 'drag of T11'")
    after = reader.ask("positions")
    distance = moved_by(before, after)
    assert distance.pop("T11") > 3.0
    assert np.linalg.norm(np.subtract(after["T11"], aim)[1:]) < 1.0  # where the mouse let go, in the plane of the view
    assert max(distance.values()) < 0.1
    assert reader.levels() == BALLS and reader.state("chosen") == "T11"
    assert [row["level"] for row in reader.state("rows") if row["status"] == "moved"] == ["T11"]
    _, data = reader.save("#save-mrk")
    points = {each["label"]: each for each in json.loads(data)["markups"][0]["controlPoints"]}
    assert np.allclose(np.array(points["T11"]["position"]) * (-1, -1, 1), after["T11"], atol=0.01)
    assert "status=moved" in points["T11"]["description"]
    reader.page.click("#undo")
    reader.wait("state.get('rows').find((row) => row.level === 'T11').status === 'predicted'")
    assert moved_by(before, reader.ask("positions"))["T11"] < 0.01


def test_naming_one_vertebra_renames_the_others(reader):
    before = reader.ask("positions")
    reader.choose("T12")
    reader.page.select_option("#level", "L1")
    reader.page.click("#name")
    reader.wait("state.get('chosen') === 'L1'")
    expected = [*BALLS[1:], "L5"]
    assert reader.levels() == expected
    assert np.allclose(reader.ask("positions")["L1"], before["T12"], atol=0.1)
    reader.page.keyboard.press("u")
    reader.wait("state.get('rows')[0].level === 'T8'")
    assert reader.levels() == BALLS


def test_shifting_adding_deleting_and_confirming_can_be_taken_back(reader):
    reader.page.click("#shift-up")
    reader.wait("state.get('rows')[0].level === 'T7'")
    reader.page.click("#undo")
    reader.wait("state.get('rows')[0].level === 'T8'")
    count = len(BALLS)
    reader.choose("T10")
    reader.page.click("#delete")
    reader.wait(f"state.get('rows')?.length === {count - 1}")
    reader.choose("T9")
    reader.page.click("#add")
    reader.wait(f"state.get('rows')?.length === {count}")
    assert reader.levels() == BALLS and reader.confirmed() == ["T10"]
    reader.page.click("#undo")
    reader.wait(f"state.get('rows')?.length === {count - 1}")
    reader.page.keyboard.press("Control+z")
    reader.wait(f"state.get('rows')?.length === {count}")
    assert reader.levels() == BALLS and not reader.confirmed()
    reader.choose("L2")
    reader.page.click("#confirm")
    reader.wait("state.get('rows').find((row) => row.level === 'L2').status === 'confirmed'")


def test_warnings_speak_of_the_new_names_after_a_shift(person, ball_ct, tmp_path):
    whole = read_volume(ball_ct)
    below = round((centers()["L4"][2] - 9.0 - whole.ijk_to_ras[2, 3]) / 3.0)  # slices of 3 mm; the ball ends 7 mm below
    start = whole.ijk_to_ras.copy()
    start[2, 3] += 3.0 * below
    sitk.WriteImage(to_sitk(Volume(whole.array[below:], start)), str(tmp_path / "cut.nii.gz"))
    person.page.set_input_files("#open-menu input.file", [str(tmp_path / "cut.nii.gz")])
    person.wait("state.get('scan_name') === 'cut' && !state.get('busy_text')")
    person.label()
    assert person.page.inner_text("#warnings") == "The field of view ends inside L4."
    person.page.click("#shift-up")
    person.wait("state.get('rows')[0].level === 'T7'")
    assert person.page.inner_text("#warnings") == "The field of view ends inside L3."


def test_a_click_in_the_table_takes_all_views_there(reader):
    reader.choose("L3")
    place = reader.ask("positions")["L3"]
    reader.wait(f"Math.abs(state.get('slices')?.Axial.value - ({place[2]})) < 2")
    slices = reader.state("slices")
    assert slices["Coronal"]["value"] == pytest.approx(place[1], abs=0.1)
    assert abs(slices["Sagittal"]["value"]) == pytest.approx(abs(place[0]), abs=0.1)
    reader.page.keyboard.press("ArrowUp")
    reader.wait("state.get('chosen') === 'L2'")


def test_wheel_slider_and_keys_move_slices_and_set_windows(person):
    person.page.hover(".Axial")
    before = person.state("slices")["Axial"]["value"]
    person.page.mouse.wheel(0, 240)
    person.wait(f"state.get('slices')?.Axial.value !== {before}")
    person.page.keyboard.press("ArrowRight")
    person.page.locator(".Coronal .slider").fill("5")
    person.wait("Math.abs(state.get('slices')?.Coronal.value - 5) < 2")
    assert person.ask("window") == [1800.0, 400.0]
    person.page.keyboard.press("2")
    person.wait("state.get('window_name') === 'Soft tissue'")
    assert person.ask("window") == [400.0, 40.0]
    person.page.click("text=Lung")
    person.wait("state.get('window_name') === 'Lung'")


def test_points_are_saved_as_markups_table_and_verse_list(reader):
    found = reader.ask("positions")
    name, data = reader.save("#save-mrk")
    points = json.loads(data)["markups"][0]["controlPoints"]
    assert name == "balls.mrk.json" and [point["label"] for point in points] == BALLS
    name, data = reader.save("#save-csv")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert name == "balls.csv" and [row["level"] for row in rows] == BALLS
    assert np.allclose([float(rows[0][axis]) for axis in "ras"], found[BALLS[0]], atol=0.01)
    name, data = reader.save("#save-verse")
    assert name == "balls.verse.json" and [each["label"] for each in json.loads(data)[1:4]] == [15, 16, 17]


@pytest.mark.parametrize("way", ["Cancel", "Escape"])
def test_points_of_another_image_are_asked_about_and_nothing_happens_without_an_answer(reader, way):
    before = reader.ask("positions")
    reader.confirm("L1")
    reader.ask("roll_voxels", 10)
    reader.page.click("#label")
    said = reader.question()
    for words in ("have changed since its points were found", "confirmed (L1)", "keep them as they stand"):
        assert words in said
    if way == "Cancel":
        reader.answer("Cancel")
    else:
        reader.page.keyboard.press("Escape")
        reader.wait("!state.get('question')")
    assert reader.ask("positions") == before and reader.confirmed() == ["L1"]
    assert reader.page.inner_text("#message") == "Nothing was labeled."


def test_points_of_another_image_are_kept_where_the_user_says_so(reader):
    before = reader.ask("positions")
    reader.confirm("L1")
    reader.ask("roll_voxels", 1)
    reader.page.keyboard.press("l")
    reader.question()
    reader.answer("Keep them as they stand")
    reader.wait("!state.get('running') && state.get('rows')?.length")
    assert reader.confirmed() == ["L1"] and np.allclose(reader.ask("positions")["L1"], before["L1"], atol=0.01)
    reader.page.click("#label")  # they belong to this image now: no question any more
    reader.wait("state.get('running') || state.get('question')")
    reader.wait("!state.get('running')")
    assert reader.state("question") is None and reader.confirmed() == ["L1"]


def test_points_of_another_image_are_left_out_where_the_user_says_so(reader):
    before = reader.ask("positions")
    reader.confirm("L1")
    reader.ask("roll_voxels", 10)
    reader.page.click("#label")
    reader.question()
    reader.answer("Label without them")
    reader.wait("!state.get('running') && state.get('rows').every(row => row.status === 'predicted')")
    after = reader.ask("positions")
    assert reader.state("error") == "" and list(after) == BALLS
    assert all(abs(after[level][2] - before[level][2] - 30) < 2 for level in BALLS)


def test_the_last_vertebra_that_was_deleted_comes_back(reader):
    for level in BALLS:
        reader.choose(level)
        reader.page.click("#delete")
        reader.wait(f"!state.get('rows').some(row => row.level === '{level}')")
    assert reader.ask("positions") == {} and not reader.page.locator("#delete").is_visible()
    reader.page.click("#undo")
    reader.wait("state.get('rows')?.length === 1")
    assert reader.levels() == BALLS[-1:]


@pytest.mark.parametrize("size", [(900, 700), (700, 600)])
def test_in_a_narrow_window_all_of_the_head_can_be_reached(reader, size):
    reader.page.set_viewport_size({"width": size[0], "height": size[1]})
    boxes = [reader.page.locator(f"header > {each}").bounding_box() for each in (".scan", "#open-menu", "#help-menu")]
    assert all(box["width"] > 20 and box["x"] + box["width"] <= size[0] for box in boxes), boxes
