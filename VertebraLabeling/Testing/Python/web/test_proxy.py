"""Behind nginx: as docs/web.md says the page works, and otherwise it says in a sentence what to set up."""

from __future__ import annotations

import re
import shutil
import zipfile

import pytest
from browser import ServerProcess, free_port, until, visitor
from nginx import PLAIN, PUBLIC_HOST, Nginx, documented, make_certificate, program

UPGRADE = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"
SAME_HOST = "proxy_set_header Host $http_host;"

pytestmark = [
    pytest.mark.skipif(program() is None, reason="needs nginx: apt-get install --no-install-recommends nginx-light"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: apt-get install openssl"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def port():
    """Where the proxy listens."""
    return free_port()


@pytest.fixture(scope="module")
def behind(browser, ball_ct, port, tmp_path_factory):
    """A server that was told its address behind the proxy."""
    url = f"https://{PUBLIC_HOST}:{port}/spine/"
    process = ServerProcess(tmp_path_factory.mktemp("behind"), [ball_ct], public_url=url, keep=30.0)
    yield process.wait()
    process.stop()


@pytest.fixture
def proxy(tmp_path):
    """Starts an nginx, which ends with the test."""
    running = []

    def start(server: str, port: int) -> Nginx:
        running.append(Nginx(tmp_path / f"nginx-{len(running)}", server, port))
        return running[-1]

    yield start
    for each in running:
        each.stop()


def link(server) -> str:
    """What the program printed."""
    return re.search(r"open (\S+) in a browser", server.text()).group(1)


@pytest.mark.parametrize("more", ["", SAME_HOST], ids=["host-replaced", "host-passed-on"])
def test_the_documented_block_serves_the_page_with_tls_below_a_path(
    browser, behind, proxy, port, certificate, ball_ct, tmp_path, more
):
    nginx = proxy(documented(port, behind.port, *certificate, more), port)
    assert link(behind).startswith(f"https://{PUBLIC_HOST}:{port}/spine/?token=")
    with visitor(browser, behind, link(behind), ignore_https_errors=True) as person:
        person.cut = True
        person.open_scan()
        assert person.page.url == f"https://{PUBLIC_HOST}:{port}/spine/index.html"
        assert all(cookie["secure"] and cookie["httpOnly"] for cookie in person.context.cookies())
        person.label()
        person.confirm("L1")
        before = person.state("rows"), person.ask("positions")
        nginx.stop()
        person.told("lost")
        nginx.start()
        person.page.wait_for_selector("#connection", state="detached")
        person.open_scan_here()
        assert (person.state("rows"), person.ask("positions")) == before
        assert person.save("#save-mrk")[0] == "balls.mrk.json"
        with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
            archive.write(ball_ct, "ct/sent.nii.gz")
        person.page.set_input_files("#open-menu input.file", [str(tmp_path / "study.zip")])
        person.wait("state.get('scan_name') === 'sent' && !state.get('busy_text')")
        until(lambda: person.page.evaluate("document.querySelector('#connection') === null"))
    until(lambda: behind.get("/session")[0] == 200)


def test_a_proxy_that_does_not_pass_the_websocket_on_is_told(browser, behind, proxy, port, certificate):
    block = documented(port, behind.port, *certificate)
    proxy(re.sub(r".*(Upgrade|Connection).*\n", "", block), port)
    with visitor(browser, behind, link(behind), ignore_https_errors=True) as person:
        person.cut = True
        person.page.goto(person.url)
        assert "a proxy in between must pass the Upgrade header on" in person.told("address")


def test_an_upload_that_the_proxy_refuses_is_told(browser, behind, proxy, port, certificate):
    block = documented(port, behind.port, *certificate)
    proxy(re.sub("client_max_body_size.*", "client_max_body_size 100k;", block), port)
    with visitor(browser, behind, link(behind), ignore_https_errors=True) as person:
        person.open_scan()
        sent = {"name": "ct.nii.gz", "mimeType": "application/gzip", "buffer": b"x" * 10**6}
        person.page.set_input_files("#open-menu input.file", [sent])
        person.wait("state.get('error')")
        assert re.match("A proxy refused the upload as too large|The upload broke off: it is", person.state("error"))
        assert person.state("busy_text") == "" and person.state("scan_name") == "balls"


def test_the_usual_two_lines_without_an_option_name_the_option(browser, server, proxy):
    port = free_port()
    proxy(PLAIN.format(port=port, path="/", target=f"http://127.0.0.1:{server.port}", more=UPGRADE), port)
    with visitor(browser, server, f"http://{PUBLIC_HOST}:{port}/") as person:
        person.cut = True
        person.page.goto(person.url)
        said = person.told("address")
        assert f"start it with --public-url http://{PUBLIC_HOST}:{port}/." in said
        assert person.page.locator("#connection").count() == 1 and "Loading" not in said


def test_a_host_that_was_not_named_is_refused_with_the_option(browser, server, proxy):
    port = free_port()
    proxy(PLAIN.format(port=port, path="/", target=f"http://127.0.0.1:{server.port}", more=SAME_HOST), port)
    with visitor(browser, server, f"http://{PUBLIC_HOST}:{port}/") as person:
        assert person.page.goto(person.url).status == 403
        assert "--public-url" in person.page.inner_text("p")


@pytest.mark.parametrize("address", ["spine/", "spine/index.html"])
def test_a_path_that_the_proxy_does_not_take_off_is_told(browser, server, proxy, address):
    port = free_port()
    proxy(PLAIN.format(port=port, path="/spine/", target=f"http://127.0.0.1:{server.port}", more=UPGRADE), port)
    with visitor(browser, server, f"http://localhost:{port}/{address}") as person:
        assert person.page.goto(person.url).status == 404
        assert "must take that path off" in person.page.inner_text("p")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example", "X-Forwarded-Host": PUBLIC_HOST, "Forwarded": f"host={PUBLIC_HOST}"},
        {"Origin": "http://evil.example"},
        {"Origin": f"http://{PUBLIC_HOST}"},
        {"Host": PUBLIC_HOST, "Origin": "https://evil.example"},
        {},
        {"Host": PUBLIC_HOST},
    ],
    ids=["host", "forwarded-host", "origin", "other-scheme", "origin-at-host", "no-token", "no-token-at-host"],
)
def test_behind_a_proxy_other_sites_and_people_without_the_link_get_nothing(behind, headers):
    for path in ("/index.html", "/save/csv", "/ws"):
        status, text = behind.get(path, headers)
        assert status == 403 and "balls" not in text, path
