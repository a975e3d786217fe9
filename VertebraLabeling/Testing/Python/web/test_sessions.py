"""One session at a time, nothing of it for others, nothing left when it ends."""

from __future__ import annotations

import http.client

import pytest
from browser import Visitor, until, visitor


def test_a_second_browser_is_told_that_the_page_is_in_use_and_gets_nothing(person, browser, server):
    second = Visitor(browser, server)
    answer = second.page.goto(server.url)
    assert answer.status == 503
    assert "This page is in use." in second.page.inner_text("h1")
    assert "balls" not in second.page.content()
    for path in ("/save/csv", "/vue.global.js", "/vertebra_labeling/page.js"):
        assert server.get(path)[0] == 409, path
    assert socket_status(server) == 409
    second.close()
    assert person.state("scan_name") == "balls"


def test_the_next_session_finds_no_trace_of_the_one_before(browser, server, ball_ct):
    with visitor(browser, server) as first:
        first.open_scan()
        upload = {"name": "secret-patient.nii.gz", "mimeType": "application/gzip", "buffer": ball_ct.read_bytes()}
        first.page.set_input_files("#open-menu input.file", [upload])
        first.wait("state.get('scan_name') === 'secret-patient' && !state.get('busy_text')")
        first.label()
        assert len(server.session_folders()) == 1
        assert first.ask("nodes")[:2] == ["secret-patient", "secret-patient vertebrae"]
    until(lambda: not server.session_folders(), "for the files of the session to go")
    with visitor(browser, server) as second:
        second.open_scan()
        assert second.ask("nodes") == ["balls"]
        assert second.state("rows") == [] and second.state("message") == ""
        assert "secret" not in second.page.evaluate("JSON.stringify(window.trame.state.state)")


def test_the_newest_tab_of_a_session_goes_on_with_its_scan(reader):
    levels = reader.levels()
    first = reader.page
    reader.page = reader.context.new_page()
    reader.open_scan()
    assert reader.levels() == levels
    first.wait_for_selector("text=The connection to this page has ended.")


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}], ids=str
)
def test_other_sites_reach_neither_page_nor_socket(server, headers):
    assert server.get("/index.html", headers)[0] == 403
    assert socket_status(server, headers) == 403


def socket_status(server, headers=None):
    """Status of the answer to a request for the WebSocket."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    wanted = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **(headers or {}),
    }
    connection.request("GET", "/ws", headers=wanted)
    status = connection.getresponse().status
    connection.close()
    return status
