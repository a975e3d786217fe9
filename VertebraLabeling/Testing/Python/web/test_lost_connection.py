"""Sleep, a lost network, a second tab: the page says what happened, and corrections stay."""

from __future__ import annotations

import re
import time

import pytest
from browser import Visitor, visitor
from cable import MANY_BYTES, Cable

LOSS_S = 5.0  # time enough for a page to load and to be sent its pictures
CALM_S = 5.0  # the page looks at its pictures every two seconds
AWAY_S = 4.0  # with a grace of a second: longer than a session without corrections is protected from others


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
    before, network = corrected.corrections(), Offline(corrected)
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
    assert corrected.corrections() == before and corrected.state("unsaved") is True
    corrected.page.click("#undo")
    corrected.wait("state.get('undo_what') === 'confirmation'")


def test_a_network_that_went_while_pictures_were_on_their_way_holds_up_nothing(corrected, cable):
    """What nobody takes any more fills the way to the old socket; the new one is another."""
    before = corrected.corrections()
    cable.choke()
    corrected.page.evaluate("size => { window.trame.trigger('test_flood', [size]); }", MANY_BYTES)
    assert corrected.told("lost")
    cable.mend()
    began = time.monotonic()
    back(corrected)
    assert time.monotonic() - began < 60
    assert corrected.corrections() == before
    corrected.confirm("L2")


def test_a_computer_that_slept_comes_back_to_the_same_corrected_points(corrected, cable):
    """The page stands still, and nothing comes through: neither end notices anything until it wakes."""
    before = corrected.corrections()
    session = corrected.context.new_cdp_session(corrected.page)
    session.send("Page.setWebLifecycleState", {"state": "frozen"})
    cable.silence()
    time.sleep(AWAY_S)
    cable.mend()
    session.send("Page.setWebLifecycleState", {"state": "active"})
    corrected.page.wait_for_load_state()
    corrected.page.wait_for_function(f"performance.timeOrigin > {time.time() * 1000 - 1000 * AWAY_S / 2}")
    corrected.open_scan_here()
    assert corrected.corrections() == before
    corrected.confirm("L2")


def test_of_two_tabs_the_newer_has_the_scan_and_the_older_can_take_it_back(corrected):
    before = corrected.corrections()
    older = corrected.page
    corrected.use(corrected.context.new_page())
    corrected.open_scan()
    assert corrected.corrections() == before
    newer = corrected.page
    corrected.page = older
    assert corrected.told("elsewhere") == "It shows the same scan and corrections there."
    visit = "document.querySelector('[data-visit]').dataset.visit"  # asked where a socket was closed without a reason
    ask = f"async () => (await (await fetch('session?visit=' + {visit})).json())"
    assert [page.evaluate(ask)["state"] for page in (older, newer)] == ["elsewhere", "open"]
    older.click("#connection-go")
    back(corrected)
    assert corrected.corrections() == before
    newer.wait_for_selector("#connection[data-kind=elsewhere]")
    newer.close(run_before_unload=True)  # has no say any more
    time.sleep(AWAY_S)
    assert corrected.corrections() == before


def test_pictures_that_were_lost_on_their_way_are_asked_for_again(person):
    person.ask("lose_pictures", LOSS_S)
    person.cut = True
    person.page.reload()
    person.open_scan_here()
    for view in ("Coronal", "Axial", "ThreeD"):
        person.page.wait_for_function("view => document.querySelector(`.${view} img`)?.naturalWidth > 100", arg=view)


def test_a_view_that_has_its_picture_asks_for_no_other(person):
    person.page.wait_for_timeout(1000 * CALM_S)
    before = person.ask("pictures")
    person.page.wait_for_timeout(1000 * CALM_S)
    assert person.ask("pictures") == before > 0
