"""Nothing that was corrected is lost without a question: another scan, an upload, a reload, a closed tab."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from browser import until, visitor


def ask_for_another(person, way: str, ball_ct, name: str = "other") -> None:
    """Ask the page for another scan in one of its ways."""
    if way == "served":
        person.page.click("#open-menu summary")
        person.page.click("#open-menu button.item >> text=balls")
        return
    file = {"name": f"{name}.nii.gz", "mimeType": "application/gzip", "buffer": ball_ct.read_bytes()}
    person.page.set_input_files("#open-menu input.file", [file])


def kept_files(server) -> set:
    """What is kept of unsaved corrections, of all sessions."""
    return set(server.folder.glob("state/**/[!.]*.json"))


@contextmanager
def leaving_asked(page, stay: bool) -> Iterator[list[str]]:
    """What the browser asks while the block leaves the page, answered."""
    asked = []

    def answer(dialog) -> None:
        asked.append(dialog.type)
        if stay:
            dialog.dismiss()
        else:
            dialog.accept()

    page.on("dialog", answer)
    yield asked
    page.remove_listener("dialog", answer)


def test_what_was_only_labeled_is_no_correction_and_another_scan_opens_at_once(reader, ball_ct):
    assert reader.state("unsaved") is False
    ask_for_another(reader, "upload", ball_ct)
    reader.wait("state.get('scan_name') === 'other' && !state.get('busy_text')")
    assert reader.state("rows") == [] and reader.state("question") is None


@pytest.mark.parametrize("way", ["served", "upload"])
def test_another_scan_is_opened_over_unsaved_corrections_only_after_a_question(reader, ball_ct, server, way):
    before = kept_files(server)
    reader.confirm("L1")
    assert reader.page.inner_text("#unsaved") == "Not saved"
    ask_for_another(reader, way, ball_ct)
    assert reader.question().startswith("The corrections of 'balls' are not saved: open ")
    assert reader.page.evaluate("document.activeElement.closest('#question') !== null")  # the keyboard is in it
    reader.page.keyboard.press("Escape")
    reader.wait("!state.get('question') && !state.get('busy_text') && !state.get('uploading')")
    assert reader.page.locator(".busy").count() == 0
    assert reader.confirmed() == ["L1"] and reader.state("scan_name") == "balls" and reader.state("busy_text") == ""
    uploads = [path for folder in server.session_folders() for path in folder.glob("upload-*")]
    assert uploads == []
    ask_for_another(reader, way, ball_ct)
    reader.question()
    reader.answer("Open without saving")
    reader.wait("!state.get('rows')?.length && !state.get('busy_text') && state.get('scan_name')")
    assert reader.state("scan_name") == ("balls" if way == "served" else "other")
    assert reader.state("unsaved") is False and reader.state("question") is None  # given up: not offered again
    assert kept_files(server) <= before


def test_a_look_at_the_headers_of_a_file_saves_nothing(reader, server):
    """As extensions of browsers do that manage downloads."""
    reader.confirm("L1")
    assert reader.context.request.head(f"{server.url}/save/mrk.json").status in (404, 405)
    reader.page.wait_for_timeout(500)
    assert reader.state("unsaved") is True and kept_files(server)


def test_corrections_are_saved_from_the_question_itself(reader, ball_ct):
    reader.confirm("L1")
    ask_for_another(reader, "upload", ball_ct)
    reader.question()
    _, data = reader.save("#question >> text=Save .mrk.json")
    assert "status=confirmed" in json.dumps(json.loads(data))
    reader.wait("state.get('question').text.startsWith(\"The corrections of 'balls' are saved\")")
    reader.answer("Open")
    reader.wait("state.get('scan_name') === 'other' && !state.get('busy_text')")


@pytest.mark.parametrize("button", ["#save-mrk", "#save-csv", "#save-verse"])
def test_saved_corrections_are_no_reason_to_ask(reader, ball_ct, button):
    reader.confirm("L1")
    reader.save(button)
    reader.wait("!state.get('unsaved')")
    reader.page.click("#shift-up")
    reader.wait("state.get('unsaved')")
    reader.page.click("#undo")
    reader.wait("!state.get('unsaved')")
    ask_for_another(reader, "upload", ball_ct)
    reader.wait("state.get('scan_name') === 'other' && !state.get('busy_text')")


def test_labeling_again_does_not_save_a_correction(reader):
    reader.confirm("L1")
    reader.page.click("#label")
    reader.wait("state.get('running')")
    reader.wait("!state.get('running')")
    assert reader.confirmed() == ["L1"] and reader.state("unsaved") is True


def test_a_reload_asks_where_something_is_unsaved_and_loses_nothing(reader):
    with leaving_asked(reader.page, stay=False) as asked:
        reader.page.reload()
        reader.open_scan_here()
        assert asked == []  # nothing was corrected
        reader.confirm("T12")
        reader.page.reload()
        assert asked == ["beforeunload"]
        reader.open_scan_here()
    assert reader.confirmed() == ["T12"] and reader.state("unsaved") is True


def test_who_stays_after_the_question_goes_on_working(reader):
    reader.confirm("T12")
    with leaving_asked(reader.page, stay=True) as asked:
        reader.page.close(run_before_unload=True)
        until(lambda: reader.page.evaluate("1") and asked, "for the question")
    reader.confirm("L2")
    assert reader.confirmed() == ["T12", "L2"]


def test_a_tab_that_was_closed_all_the_same_can_be_made_up_for(browser, server):
    with visitor(browser, server) as person:
        person.open_scan()
        person.label()
        person.confirm("L1")
        before = person.state("rows"), person.ask("positions")
        with leaving_asked(person.page, stay=False) as asked, person.page.expect_event("close"):
            person.page.close(run_before_unload=True)
        assert asked == ["beforeunload"]
        until(lambda: not server.session_folders(), "for the session to end")
        person.use(person.context.new_page())
        person.open_scan()
        assert "Corrections of 'balls' were not saved" in person.question()
        person.answer("Put them back")
        person.wait("state.get('rows')?.length")
        assert (person.state("rows"), person.ask("positions")) == before
        assert person.state("unsaved") is True
        person.save("#save-mrk")
        person.page.reload()
        person.open_scan_here()
        assert person.state("question") is None


def test_what_was_kept_is_offered_to_the_same_browser_only(browser, server):
    with visitor(browser, server) as person:
        person.open_scan()
        person.label()
        before = kept_files(server)
        person.confirm("L1")
        until(lambda: kept_files(server) - before, "for the corrections to be kept")
        (kept,) = kept_files(server) - before
        assert kept.stat().st_mode & 0o077 == 0 and kept.parent.stat().st_mode & 0o077 == 0
        session = next(each["value"] for each in person.context.cookies() if "session" in each["name"])
        assert session not in kept.name
    with visitor(browser, server) as other:
        other.open_scan()
        assert other.state("question") is None
        assert server.get(f"/kept/{kept.name.split('.')[1]}.mrk.json")[0] == 409
        answer = other.context.request.get(f"{server.url}/kept/{kept.name.split('.')[1]}.mrk.json")
        assert answer.status == 404
