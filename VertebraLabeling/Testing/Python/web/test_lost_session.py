"""A session that ended while the network was away, and a restarted server: the page says so, corrections stay."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import SimpleITK as sitk
from browser import OFTEN_S, ServerProcess, Visitor, until, visitor
from cable import MANY_BYTES, Cable


@pytest.fixture
def keep() -> float:
    """Seconds for which a lost session is kept."""
    return 1.0


@pytest.fixture
def listening(browser, ball_ct, tmp_path, keep):
    """A server that soon hears that a session is lost."""
    process = ServerProcess(tmp_path, [ball_ct], heartbeat=8, keep=keep, poll=OFTEN_S)
    yield process.wait()
    process.stop()


def test_a_session_that_has_expired_says_so_and_offers_what_was_kept(browser, listening):
    with visitor(browser, listening) as person:
        person.cut = True
        person.open_scan()
        person.label()
        person.confirm("L1")
        before = person.corrections()
        person.context.set_offline(True)
        person.told("lost")
        until(lambda: not listening.session_folders(), "for the session to end")
        person.context.set_offline(False)
        said = person.told("ended")
        assert said.startswith("The connection was lost for more than 1 second.")
        assert "The unsaved corrections of 'balls' are kept until" in said
        person.page.keyboard.press("Enter")  # the button has the keyboard
        person.open_scan_here()
        assert "Corrections of 'balls' were not saved" in person.question()
        name, data = person.save("#question >> text=Save .mrk.json")
        assert name == "balls.mrk.json" and b"status=confirmed" in data
        person.answer("Put them back")
        person.wait("state.get('rows')?.length")
        assert person.corrections() == before


@pytest.mark.parametrize("keep", [60.0])
def test_without_corrections_a_lost_session_gives_way_and_says_so(browser, listening):
    with visitor(browser, listening) as person:
        person.cut = True
        person.open_scan()
        person.label()
        person.context.set_offline(True)
        assert "corrections" not in person.told("lost")
        with visitor(browser, listening) as second:
            second.open_scan()
            person.context.set_offline(False)
            said = person.told("ended")
            assert "somebody else opened the page" in said and said.endswith("Nothing was unsaved.")
            assert second.state("scan_name") == "balls"


def test_a_browser_that_went_while_pictures_were_on_their_way_leaves_the_page_to_others(browser, listening):
    cable = Cable(listening.port)
    try:
        with visitor(browser, listening, cable.url) as person:
            person.cut = True
            person.open_scan()
            cable.choke()
            person.page.evaluate("size => { window.trame.trigger('test_flood', [size]); }", MANY_BYTES)
            person.page.wait_for_timeout(500)
            person.page.evaluate("() => { window.trame.trigger('fit', []); }")  # its answer waits for the pictures
            assert person.told("lost")
            cable.silence()
            with visitor(browser, listening) as second:
                began = time.monotonic()
                second.open_scan()
                assert time.monotonic() - began < 60
    finally:
        cable.stop()


@contextmanager
def corrected_over_a_restart(browser, scan, folder, end: str, meanwhile=lambda: None) -> Iterator[Visitor]:
    """Somebody who has confirmed L1 on a server that was then ended and started again on the same port."""
    first = ServerProcess(folder, [scan], keep=60.0, poll=OFTEN_S).wait()
    second = None
    try:
        with visitor(browser, first) as person:
            person.cut = True
            person.open_scan()
            person.label()
            person.confirm("L1")
            until(lambda: list(folder.glob("state/**/[!.]*.json")), "for the corrections to be kept")
            getattr(first.process, end)()
            first.process.wait(60)
            person.told("lost")
            meanwhile()
            second = ServerProcess(folder, [scan], keep=60.0, poll=OFTEN_S, port=first.port).wait()
            assert person.told("ended").startswith("The program that serves this page was started anew.")
            person.page.click("#connection-go")
            person.open_scan_here()
            yield person
    finally:
        first.stop()
        if second is not None:
            second.stop()


@pytest.mark.parametrize("end", ["kill", pytest.param("terminate", marks=pytest.mark.long)])
def test_a_restarted_server_says_so_and_offers_what_was_kept(browser, ball_ct, tmp_path, end):
    with corrected_over_a_restart(browser, ball_ct, tmp_path, end) as person:
        assert person.question().startswith("Corrections of 'balls' were not saved (")
        person.answer("Put them back")
        person.wait("state.get('rows')?.length")
        assert person.confirmed() == ["L1"]


def test_corrections_are_not_put_on_another_image_of_the_same_name(browser, ball_ct, tmp_path):
    scan = Path(shutil.copy(ball_ct, tmp_path))

    def replace_scan() -> None:
        image = sitk.ReadImage(str(scan))
        sitk.WriteImage(sitk.Flip(image, (False, True, False)), str(scan))

    with corrected_over_a_restart(browser, scan, tmp_path, "terminate", replace_scan) as person:
        assert "but 'balls' is another image now: save them as a file to compare." in person.question()
        assert person.page.locator("#question button").all_inner_texts() == ["Delete them", "Later"]
        assert b"status=confirmed" in person.save("#question >> text=Save .mrk.json")[1]
        person.answer("Later")
        assert person.ask("positions") == {}
        person.page.reload()
        person.open_scan_here()
        assert person.state("question") is None
