"""The slice views of the page in the plane of a vertebra or disc: by the list and by keys, and back."""

from __future__ import annotations

import numpy as np
import pytest

VIEWS = ("Sagittal", "Coronal", "Axial")


def matrices(reader):
    """The slice-to-RAS matrix of each view."""
    return {name: np.array(matrix) for name, matrix in reader.ask("slice_to_ras").items()}


def assert_turned(reader, name):
    reader.wait(f"state.get('plane') === '{name}'")
    wanted = reader.ask("plane_of", name)
    for view, matrix in matrices(reader).items():
        np.testing.assert_allclose(matrix, wanted[view], atol=1e-6, err_msg=view)
    assert reader.page.input_value("#plane") == name
    assert reader.page.inner_text(".Axial .title") == f"Axial, {name}"


def assert_usual(reader, before):
    reader.wait("state.get('plane') === ''")
    for view, matrix in matrices(reader).items():
        np.testing.assert_allclose(matrix[:3, :3], before[view][:3, :3], atol=1e-9, err_msg=view)
    assert reader.page.inner_text(".Axial .title") == "Axial"


@pytest.fixture
def section(reader):
    """The section "Read levels", open, and the views at T10."""
    reader.page.click("#reading summary")
    reader.choose("T10")
    return reader


def test_a_disc_is_chosen_in_the_list_and_the_usual_planes_come_back_where_one_is(section):
    before = matrices(section)
    section.page.select_option("#plane", "T12/L1")
    assert_turned(section, "T12/L1")
    assert not np.allclose(matrices(section)["Axial"][:3, 2], before["Axial"][:3, 2], atol=0.02)
    place = matrices(section)["Axial"][:3, 3]
    section.page.select_option("#plane", "")
    assert_usual(section, before)
    np.testing.assert_allclose(matrices(section)["Axial"][:3, 3], place, atol=1e-6)


def test_keys_and_buttons_go_from_where_one_is_to_the_next_and_back(section):
    before = matrices(section)
    section.page.locator("#reading summary").blur()
    for key, name in (("PageDown", "T10"), ("PageDown", "T10/T11"), ("PageDown", "T11"), ("PageUp", "T10/T11")):
        section.page.keyboard.press(f"Shift+{key}")
        assert_turned(section, name)
    section.page.click("#plane-down")
    assert_turned(section, "T11")
    section.page.click("#plane-up")
    assert_turned(section, "T10/T11")
    section.page.keyboard.press("Home")
    assert_usual(section, before)


def test_the_keys_of_the_page_still_scroll(section):
    section.page.locator("#reading summary").blur()
    section.page.hover(".Axial")
    before = section.state("slices")["Axial"]["value"]
    section.page.keyboard.press("PageUp")
    section.wait(f"state.get('slices')?.Axial.value > {before}")
    assert section.state("plane") == ""


def test_a_correction_names_the_plane_anew_and_leaves_the_views(section):
    section.page.select_option("#plane", "T12")
    assert_turned(section, "T12")
    before = matrices(section)
    section.page.click("#shift-down")
    section.wait("state.get('plane') === 'L1'")
    for view, matrix in matrices(section).items():
        np.testing.assert_array_equal(matrix, before[view])


def test_views_stay_in_the_plane_when_they_are_fitted_or_get_another_size(section):
    section.page.select_option("#plane", "L1/L2")
    assert_turned(section, "L1/L2")
    before = matrices(section)
    section.page.click("text=Fit")
    section.page.set_viewport_size({"width": 1000, "height": 700})
    section.page.wait_for_timeout(1500)
    for view, matrix in matrices(section).items():
        np.testing.assert_allclose(matrix[:3, :3], before[view][:3, :3], atol=1e-9)
        normal = before[view][:3, 2]
        assert (matrix[:3, 3] - before[view][:3, 3]) @ normal == pytest.approx(0, abs=1e-3)


def test_the_next_scan_begins_in_the_usual_planes(section):
    before = matrices(section)
    section.page.select_option("#plane", "L1/L2")
    assert_turned(section, "L1/L2")
    section.page.evaluate("window.trame.trigger('open_served', [0])")
    section.wait("!state.get('rows')?.length && !state.get('busy_text')")
    assert_usual(section, before)
    assert section.state("planes") == []


def test_a_plane_that_is_not_there_is_a_sentence(section):
    section.page.evaluate("window.trame.trigger('turn_to', ['C3/C4'])")
    section.wait("state.get('error').includes('no vertebra or disc C3/C4')")
    assert section.state("plane") == ""


def test_a_view_that_went_from_the_plane_to_another_place_does_not_bear_its_name(section):
    section.page.select_option("#plane", "T9/T10")
    assert_turned(section, "T9/T10")
    section.choose("L3")
    for view in VIEWS:
        expected = f"{view}, tilted as T9/T10"
        section.page.wait_for_function(f"document.querySelector('.{view} .title').innerText === '{expected}'")
    section.page.click("#plane-down")
    assert_turned(section, "L3")


def test_the_keys_for_the_next_plane_hold_in_the_list_of_planes_too(section):
    section.page.focus("#plane")
    section.page.select_option("#plane", "T10")
    assert_turned(section, "T10")
    section.page.keyboard.press("Shift+PageDown")
    assert_turned(section, "T10/T11")
    section.page.keyboard.press("Delete")  # others rest there
    section.page.keyboard.press("Shift+PageUp")
    assert_turned(section, "T10")
    assert "T10" in section.levels()


def test_where_the_vertebra_of_the_plane_is_deleted_the_list_says_oblique(section):
    section.page.select_option("#plane", "T10")
    assert_turned(section, "T10")
    section.page.click("#delete")
    section.wait("state.get('plane') === 'oblique'")
    shown = "(({ options, selectedIndex }) => options[selectedIndex]?.text)(document.getElementById('plane'))"
    section.page.wait_for_function(f"{shown} === 'Oblique'")
    assert section.page.inner_text(".Axial .title") == "Axial, oblique"
    section.page.click("#undo")
    assert_turned(section, "T10")
