"""Sleep, a lost network, a restarted server, a second tab: the page says what happened, and corrections stay."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import SimpleITK as sitk
from browser import ServerProcess, Visitor, until, visitor
from cable import Cable

AWAY_S = 4.0  # with a grace of a second: longer than a session without corrections is protected from others


@pytest.fixture
def keeping(browser, ball_ct, tmp_path):
    """A server that keeps a lost session for a minute."""
    process = ServerProcess(tmp_path, [ball_ct], keep=60.0)
    yield process.wait()
    process.stop()


@pytest.fixture
def cable(keeping):
    """The network between the browser and that server."""
    between = Cable(keeping.port)
    yield between
    between.stop()


@pytest.fixture
def corrected(browser, keeping, cable):
    """Somebody who has confirmed L1 and dragged T11, and saved nothing."""
    with visitor(browser, keeping, cable.url) as person:
        person.cut = True
        person.open_scan()
        person.label()
        person.confirm("L1")
        person.drag("T11", right=-24, up=6)
        person.wait("state.get('undo_what') === 'drag of T11'")
        yield person


def corrections(person):
    return person.state("rows"), person.ask("positions")


def back(person) -> None:
    """Wait until the page has reloaded itself and shows the scan."""
    person.page.wait_for_selector("#connection", state="detached")
    person.open_scan_here()


class Offline:
    """The browser's own switch, which the system turns when the network goes."""

    def __init__(self, person):
        self._person = person

    def fail(self):
        self._person.context.set_offline(True)

    def mend(self):
        self._person.context.set_offline(False)


@pytest.mark.parametrize("kind", ["cut", "silent", "offline"])
def test_a_network_that_was_away_comes_back_to_the_same_corrected_points(corrected, browser, keeping, cable, kind):
    before, network = corrections(corrected), Offline(corrected)
    fail, mend = {
        "cut": (cable.cut, cable.mend),
        "silent": (cable.silence, cable.mend),
        "offline": (network.fail, network.mend),
    }[kind]
    fail()
    assert corrected.told("lost").startswith("Your corrections are kept on the server for 1 minute.")
    time.sleep(AWAY_S)
    second = Visitor(browser, keeping)  # unsaved corrections give way to nobody
    assert second.page.goto(keeping.url).status == 503
    if kind == "cut":
        assert re.search("has lost its connection and is kept for 5. seconds at most", second.page.inner_text("p"))
    second.close()
    mend()
    back(corrected)
    assert corrections(corrected) == before and corrected.state("unsaved") is True
    corrected.page.click("#undo")
    corrected.wait("state.get('undo_what') === 'confirmation'")


def test_a_computer_that_slept_comes_back_to_the_same_corrected_points(corrected, cable):
    """The page stands still, and nothing comes through: neither end notices anything until it wakes."""
    before = corrections(corrected)
    session = corrected.context.new_cdp_session(corrected.page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    cable.silence()
    time.sleep(AWAY_S)
    cable.mend()
    session.send("Page.setWebLifecycleState", {"state": "active"})
    corrected.page.wait_for_load_state()
    corrected.page.wait_for_function(f"performance.timeOrigin > {time.time() * 1000 - 1000 * AWAY_S / 2}")
    corrected.open_scan_here()
    assert corrections(corrected) == before
    corrected.confirm("L2")


def test_a_session_that_has_expired_says_so_and_offers_what_was_kept(browser, server):
    with visitor(browser, server) as person:  # this server keeps a session for a second
        person.cut = True
        person.open_scan()
        person.label()
        person.confirm("L1")
        before = corrections(person)
        person.context.set_offline(True)
        person.told("lost")
        until(lambda: not server.session_folders(), "for the session to end")
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
        person.wait("state.get('rows').length")
        assert corrections(person) == before


def test_without_corrections_a_lost_session_gives_way_and_says_so(browser, keeping):
    with visitor(browser, keeping) as person:
        person.cut = True
        person.open_scan()
        person.label()
        person.context.set_offline(True)
        assert "corrections" not in person.told("lost")
        with visitor(browser, keeping) as second:
            second.open_scan()
            person.context.set_offline(False)
            said = person.told("ended")
            assert "somebody else opened the page" in said and said.endswith("Nothing was unsaved.")
            assert second.state("scan_name") == "balls"


@contextmanager
def corrected_over_a_restart(browser, scan, folder, end: str, meanwhile=lambda: None) -> Iterator[Visitor]:
    """Somebody who has confirmed L1 on a server that was then ended and started again on the same port."""
    first = ServerProcess(folder, [scan], keep=60.0).wait()
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
            second = ServerProcess(folder, [scan], keep=60.0, port=first.port).wait()
            assert person.told("ended").startswith("The program that serves this page was started anew.")
            person.page.click("#connection-go")
            person.open_scan_here()
            yield person
    finally:
        first.stop()
        if second is not None:
            second.stop()


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_restarted_server_says_so_and_offers_what_was_kept(browser, ball_ct, tmp_path, end):
    with corrected_over_a_restart(browser, ball_ct, tmp_path, end) as person:
        assert person.question().startswith("Corrections of 'balls' were not saved (")
        person.answer("Put them back")
        person.wait("state.get('rows').length")
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


def test_of_two_tabs_the_newer_has_the_scan_and_the_older_can_take_it_back(corrected):
    before = corrections(corrected)
    older = corrected.page
    corrected.use(corrected.context.new_page())
    corrected.open_scan()
    assert corrections(corrected) == before
    newer = corrected.page
    corrected.page = older
    assert corrected.told("elsewhere") == "It shows the same scan and corrections there."
    older.click("#connection-go")
    back(corrected)
    assert corrections(corrected) == before
    newer.wait_for_selector("#connection[data-kind=elsewhere]")
    newer.close(run_before_unload=True)  # has no say any more
    time.sleep(AWAY_S)
    assert corrections(corrected) == before
