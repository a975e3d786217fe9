"""What the corners of the slice views on the page say of their level."""

from __future__ import annotations

import numpy as np
import pytest
from balls import centers
from marks import timing

SAID = "state.get('view_levels')"


def move(reader, view, value):
    reader.page.evaluate("([view, value]) => window.trame.trigger('slice', [view, value])", [view, float(value)])


def says(reader, text, view="Axial"):
    """Wait until a view says this, and see it there."""
    reader.wait(f"{SAID}.{view}?.text === '{text}'")
    reader.page.wait_for_function(f"document.querySelector('.{view} .overlay .level')?.innerText === '{text}'")


def test_without_points_nothing_is_said(person):
    assert person.state("view_levels") == {}
    assert person.page.locator(".overlay .level").count() == 0


def test_a_slice_across_the_spine_says_its_level_as_it_is_scrolled(reader):
    places = reader.ask("positions")
    for level in ("T9", "L1", "L3"):
        move(reader, "Axial", places[level][2])
        says(reader, f"{level}, middle third")
    move(reader, "Axial", (places["T12"][2] + places["L1"][2]) / 2)
    says(reader, "T12/L1 disc")
    move(reader, "Axial", places["T8"][2] + 30)
    says(reader, "above T8")
    move(reader, "Axial", places["T12"][2])
    says(reader, "T12, middle third")
    reader.page.hover(".Axial")
    for _ in range(10):
        reader.page.mouse.wheel(0, 240)
    reader.wait(f"{SAID}.Axial.text !== 'T12, middle third'")
    value = reader.state("slices")["Axial"]["value"]
    assert value != pytest.approx(places["T12"][2], abs=2.0)


def test_along_the_spine_it_is_the_level_under_the_mouse_else_that_of_the_center(reader):
    reader.choose("T11")
    says(reader, "Center: T11, middle third", "Sagittal")
    x, y, _, height = reader.ask("place", "L2", "Sagittal")
    box = reader.image_box("Sagittal")
    reader.page.mouse.move(box["x"] + x - 5, box["y"] + height - y)
    reader.page.mouse.move(box["x"] + x, box["y"] + height - y, steps=4)
    says(reader, "L2, middle third", "Sagittal")
    assert reader.state("view_levels")["Coronal"]["text"] == "Center: T11, middle third"
    reader.page.hover("#levels")
    says(reader, "Center: T11, middle third", "Sagittal")


def test_a_correction_changes_it_at_once_and_another_scan_ends_it(reader):
    reader.choose("T12")
    says(reader, "T12, middle third")
    reader.page.click("#shift-up")
    says(reader, "T11, middle third")
    reader.page.click("#undo")
    says(reader, "T12, middle third")
    reader.page.evaluate("window.trame.trigger('open_served', [0])")
    reader.wait("state.get('scan_name') && !state.get('rows')?.length && !state.get('busy_text')")
    reader.wait(f"!Object.keys({SAID}).length")
    assert reader.page.locator(".overlay .level").count() == 0


def test_where_a_point_is_dragged_the_level_follows(reader):
    reader.choose("T12")
    says(reader, "T12, middle third")
    reader.drag("T12", right=0, up=20)
    reader.wait(f"{SAID}.Axial.text.startsWith('T12') && {SAID}.Axial.text !== 'T12, middle third'")
    assert np.subtract(reader.ask("positions")["T12"], centers()["T12"])[2] > 2


@timing
def test_an_update_costs_less_than_two_milliseconds(reader):
    assert reader.ask("time_of_level") < 2.0
