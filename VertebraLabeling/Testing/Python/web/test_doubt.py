"""A doubtful level stays so on the page when its point is dragged; naming and confirming settle it."""

from __future__ import annotations

import json

import pytest
from balls import centers
from browser import ServerProcess, visitor

LEVELS = list(centers("T4", "T9"))


@pytest.fixture(scope="module")
def doubtful_server(browser, thoracic_ct, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doubtful")
    process = ServerProcess(folder, [thoracic_ct], labeler="balls:DoubtfulBallLabeler", poll=30.0)
    yield process.wait()
    process.stop()


def unsure(person) -> list[str]:
    """Levels that are to be checked, as the page is drawn."""
    rows = person.page.locator(".levels tr.unsure")
    return [row.get_attribute("id").removeprefix("row-") for row in rows.all()]


def is_in_doubt(person) -> bool:
    return any("shifted by one" in warning for warning in person.state("warnings"))


@pytest.mark.parametrize("follow", [True, False])
def test_a_drag_settles_no_doubt_and_a_confirmation_does(browser, doubtful_server, follow):
    with visitor(browser, doubtful_server) as person:
        person.open_scan().label()
        if person.state("follow") != follow:
            person.page.get_by_label("After a drag, name the others again").click()
            person.wait(f"state.get('follow') === {str(follow).lower()}")
        before = {row["level"]: row["percent"] for row in person.state("rows")}
        assert unsure(person) == LEVELS and is_in_doubt(person)
        person.drag("T6", right=-12, up=3)
        person.wait("state.get('undo_what') === 'drag of T6'")
        rows = {row["level"]: row for row in person.state("rows")}
        assert rows["T6"]["status"] == "moved" and list(rows) == LEVELS
        assert unsure(person) == LEVELS and is_in_doubt(person)
        assert max(abs(rows[level]["percent"] - percent) for level, percent in before.items()) < 10
        _, data = person.save("#save-mrk")
        points = {each["label"]: each for each in json.loads(data)["markups"][0]["controlPoints"]}
        assert f"confidence=0.{rows['T6']['percent']:02d};status=moved" in points["T6"]["description"]
        person.confirm("T6")
        assert "T6" not in unsure(person)
        assert person.state("rows")[LEVELS.index("T6")]["percent"] == 100
