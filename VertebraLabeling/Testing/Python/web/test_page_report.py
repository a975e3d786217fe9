"""The text for a report: on the clipboard of a real browser, or shown where that is closed."""

from __future__ import annotations

import pytest

COPIED = "The text for the report is on the clipboard."


@pytest.fixture
def section(reader):
    """The section "Read levels", open."""
    reader.page.click("#reading summary")
    return reader


def test_the_button_copies_the_text_and_a_correction_changes_it(section):
    section.context.grant_permissions(["clipboard-read", "clipboard-write"])
    section.page.click("#copy-report")
    section.wait(f"state.get('message') === '{COPIED}'")
    text = section.page.evaluate("navigator.clipboard.readText()")
    assert text.splitlines()[0] == "9 vertebrae were labeled: T8 to L4."
    assert len(text.splitlines()) == 3 and section.page.locator("#report-text").count() == 0
    section.page.click("#shift-up")
    section.wait("state.get('rows')[0].level === 'T7'")
    section.page.click("#copy-report")
    section.page.wait_for_function(
        "navigator.clipboard.readText().then(text => text.startsWith('9 vertebrae were labeled: T7 to L3.'))"
    )


def test_where_the_vertebrae_change_after_the_text_was_copied_the_page_says_so(section):
    section.context.grant_permissions(["clipboard-read", "clipboard-write"])
    changed = section.page.locator("#report-changed")
    section.page.click("#copy-report")
    section.wait(f"state.get('message') === '{COPIED}'")
    assert changed.count() == 0
    section.page.click("#shift-up")
    changed.wait_for()
    section.page.click("#undo")
    changed.wait_for(state="detached")  # it is true again
    section.page.click("#shift-down")
    changed.wait_for()
    section.page.click("#copy-report")
    changed.wait_for(state="detached")
    section.page.click("#undo")
    changed.wait_for()
    section.page.evaluate("window.trame.trigger('open_served', [0])")
    changed.wait_for(state="detached")


@pytest.mark.parametrize("refusal", ["() => Promise.reject(new DOMException('', 'NotAllowedError'))", "undefined"])
def test_where_the_clipboard_is_closed_the_text_is_shown_chosen_and_follows_corrections(section, refusal):
    closed = f"{{ value: {'undefined' if refusal == 'undefined' else f'{{ writeText: {refusal} }}'} }}"
    section.page.evaluate(f"Object.defineProperty(navigator, 'clipboard', {closed})")
    section.page.click("#copy-report")
    section.page.wait_for_selector("#report-text")
    area = section.page.locator("#report-text")
    assert area.input_value().startswith("9 vertebrae were labeled: T8 to L4.")
    section.page.wait_for_function("document.activeElement.id === 'report-text'")
    chosen = section.page.evaluate("(({ selectionStart: a, selectionEnd: b }) => b - a)(document.activeElement)")
    assert chosen == len(area.input_value()) and section.state("message") != COPIED
    section.page.click("#shift-up")
    section.page.wait_for_function("document.getElementById('report-text').value.includes('T7 to L3')")


@pytest.mark.parametrize("field", ["#report-text", "#level"])
def test_keys_typed_in_a_field_do_nothing_to_the_vertebrae(section, field):
    section.page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    section.page.click("#copy-report")
    section.page.wait_for_function("document.activeElement.id === 'report-text'")
    section.page.focus(field)
    before = section.ask("positions")
    for key in ("Delete", "+", "a", "l"):
        section.page.keyboard.press(key)
        assert section.ask("positions") == before and not section.state("running")
    section.page.focus("#confirm")
    section.page.keyboard.press("Delete")  # elsewhere they work
    section.wait("state.get('rows')?.length === 8")
