"""Who may have the page, and in which order sessions that are away end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from VertebraLabelingWeb import occupancy
from VertebraLabelingWeb.occupancy import GAVE_WAY, LEFT, REMEMBERED, Occupancy, Stay, duration

GRACE, KEEP = 0.05, 0.3


class House:
    """An occupancy, and what it did."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(occupancy, "CONNECT_S", GRACE)
        self.begun, self.ended, self.unsaved = [], 0, False
        self.occupancy = Occupancy(self.begun.append, self._end, lambda: self.unsaved, Stay(GRACE, KEEP))

    def _end(self):
        self.ended += 1


@pytest.fixture
def house(monkeypatch):
    return House(monkeypatch)


def lived(story) -> None:
    """Run a story in a loop of its own: Playwright's runs in the thread of the tests."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(story())).result()


@pytest.mark.parametrize("unsaved", [False, True])
def test_a_lost_session_is_kept_as_long_as_was_stated_and_then_explained(house, unsaved):
    async def story():
        house.unsaved = unsaved
        assert house.occupancy.claim("a")
        house.occupancy.connected()
        house.occupancy.disconnected()
        await asyncio.sleep(3 * GRACE)
        assert house.occupancy.holder == "a" and 0 < house.occupancy.seconds_left() < KEEP
        await asyncio.sleep(KEEP)
        assert (house.occupancy.holder, house.ended) == (None, 1)
        assert house.occupancy.why_ended("a").startswith("The connection was lost for more than")
        assert house.occupancy.why_ended("b") == house.occupancy.why_ended(None) == ""

    lived(story)


def test_only_a_session_without_corrections_gives_way_and_not_at_once(house):
    async def story():
        house.occupancy.claim("a")
        house.occupancy.connected()
        assert not house.occupancy.claim("b")
        house.occupancy.disconnected()
        assert not house.occupancy.claim("b")  # away for a moment only
        await asyncio.sleep(2 * GRACE)
        house.unsaved = True
        assert not house.occupancy.claim("b")
        house.unsaved = False
        assert house.occupancy.claim("b") and house.begun == ["a", "b"] and house.ended == 1
        assert house.occupancy.why_ended("a") == GAVE_WAY

    lived(story)


def test_a_closed_tab_ends_the_session_soon_but_a_reload_does_not(house):
    async def story():
        house.unsaved = True
        house.occupancy.claim("a")
        house.occupancy.connected()
        house.occupancy.leave(house.occupancy.visit)
        house.occupancy.disconnected()
        house.occupancy.claim("a")  # it was a reload
        house.occupancy.connected()
        await asyncio.sleep(2 * GRACE)
        assert house.occupancy.holder == "a"
        house.occupancy.leave(house.occupancy.visit - 1)  # an older tab
        house.occupancy.disconnected()
        await asyncio.sleep(2 * GRACE)
        assert house.occupancy.holder == "a"
        house.occupancy.leave(house.occupancy.visit)
        await asyncio.sleep(2 * GRACE)
        assert house.occupancy.holder is None and house.occupancy.why_ended("a") == LEFT

    lived(story)


def test_who_never_connects_does_not_hold_the_page(house):
    async def story():
        house.occupancy.claim("robot")
        await asyncio.sleep(2 * GRACE)
        assert house.occupancy.holder is None

    lived(story)


def test_a_connection_that_is_only_thought_to_be_open_does_not_count_twice(house):
    async def story():
        house.occupancy.claim("a")
        house.occupancy.connected()
        house.occupancy.claim("a")
        house.occupancy.connected()  # the network is back before the server has noticed that it was gone
        house.occupancy.disconnected()
        await asyncio.sleep(KEEP + GRACE)
        assert house.occupancy.holder == "a" and house.occupancy.seconds_left() is None

    lived(story)


def test_few_ends_are_remembered(house):
    async def story():
        for number in range(REMEMBERED + 10):
            house.occupancy.claim(str(number))
            await asyncio.sleep(0)
            house.occupancy._end(LEFT)
        assert house.occupancy.why_ended("9") == "" and house.occupancy.why_ended("10") == LEFT

    lived(story)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (3600, "1 hour"),
        (7200, "2 hours"),
        (2700, "45 minutes"),
        (61, "1 minute"),
        (20, "20 seconds"),
        (0.2, "a second"),
    ],
)
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words
