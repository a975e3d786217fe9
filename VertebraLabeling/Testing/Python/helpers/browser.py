"""A headless Chromium that opens the page, and a server process behind it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

HELPERS = Path(__file__).resolve().parent
SERVE = HELPERS / "serve_for_tests.py"
BALLS = "balls:UnhurriedBallLabeler"
QUICK = {"labeler": BALLS, "grace": 1.0, "keep": 1.0, "poll": 2.5, "upload_limit": 2 * 10**6}
OFTEN_S = 1.0  # "poll" where a network is cut; else a busy computer is not to be taken for one
CUT = "Object"  # how Playwright shows what trame's client rejects its calls with
WAIT_MS = 120_000  # the machine may be busy
DRAWN = "document.querySelector('.Sagittal img')?.naturalWidth > 100"
FACTS = """({
  images: [...document.querySelectorAll('.view img')].map((image) => [image.naturalWidth, image.complete]),
  areas: document.querySelectorAll('.remote-controlled-area').length,
  dialog: document.getElementById('connection')?.innerText,
  shown: document.visibilityState,
  scripts: performance.getEntriesByType('resource').map((each) => [each.name.split('/').pop(), each.responseStatus]),
})"""
POLL_MS = 100  # by default a wait looks when the browser draws, which a busy one may put off
NETWORK_MS = 300_000
START_S = 180


def chromium() -> str | None:
    """The program; Debian calls it chromium."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


class ServerProcess:
    """A server in a process of its own.

    Args:
        folder: its temporary files lie here.
        files: what it serves.
        command: a program other than ``serve_for_tests``.
        port: by default a free one.
        heartbeat: seconds between two looks whether a silent browser is still there.
        options: of the server; a lost session is kept for a second, and the browser looks at it every 2.5 s.
    """

    def __init__(self, folder: Path, files: Sequence[Path], command=None, port=None, heartbeat=30, **options):
        self.folder, self.port = folder, port or free_port()
        options = {**QUICK, "port": self.port, **options}
        folder.mkdir(parents=True, exist_ok=True)
        paths = [HELPERS.parents[2], HELPERS]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "TMPDIR": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "OMP_NUM_THREADS": "2",
            "TRAME_WS_HEART_BEAT": str(heartbeat),
        }
        given = [str(SERVE), json.dumps(options), *map(str, files)]
        self.log = (folder / "log.txt").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, *(given if command is None else [*command, "--port", str(self.port)])],
            env=environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def text(self) -> str:
        """What it printed."""
        return (self.folder / "log.txt").read_text()

    def wait(self):
        """Until it answers."""
        end = time.monotonic() + START_S
        while "in a browser" not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, f"the server did not start: {self.text()}"
            time.sleep(0.1)
        return self

    def session_folders(self) -> list[Path]:
        return list(self.folder.glob("VertebraLabeling-web-*"))

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and text of a plain request, redirects followed."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers or {})) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition, what="", seconds=WAIT_MS / 1000):
    """Wait for something outside the browser."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited too long {what}"
        time.sleep(0.1)


class Visitor:
    """A person with a browser of their own.

    Args:
        browser: Playwright's browser.
        server: what they visit.
        url: another address of it.
        options: of the browser's context.

    Attributes:
        page: Playwright's page.
        requested: addresses of other servers that the browser asked; there must be none.
        problems: exceptions in the page's scripts.
        cut: a connection was cut, and trame's client has said so in its own way, which is no problem.
    """

    def __init__(self, browser, server: ServerProcess, url: str = "", **options):
        self.server, self.url, self.cut = server, url or server.url, False
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True, **options)
        self.context.set_default_timeout(WAIT_MS)
        self.requested, self.problems = [], []
        self.use(self.context.new_page())

    def use(self, page) -> None:
        """Go on in this tab."""
        self.page = page
        page.on("request", lambda request: self._note(request.url))
        page.on("websocket", lambda socket: self._note(socket.url.replace("ws", "http", 1)))
        page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _note(self, url: str) -> None:
        ours = urlsplit(self.url)._replace(path="", query="").geturl()
        if not url.startswith((ours, "data:", "blob:")):
            self.requested.append(url)

    def open(self) -> Visitor:
        """Open the page as soon as it is free."""
        until(lambda: self._try_to_open(), "for the page to be free")
        self.page.wait_for_function("window.trame?.state?.get('views')?.length", polling=POLL_MS)
        return self

    def _try_to_open(self) -> bool:
        answer = self.page.goto(self.url, wait_until="commit")
        return answer.status == 200

    def open_scan(self) -> Visitor:
        """Open the page and wait until the scan is drawn."""
        self.open()
        return self.open_scan_here()

    def open_scan_here(self) -> Visitor:
        """Wait until the scan is drawn in the page that is loading."""
        from playwright.sync_api import TimeoutError as TooLate  # where it is missing these tests skip

        self.page.wait_for_function("window.trame?.state?.get('views')?.length", polling=POLL_MS)
        self.wait("state.get('scan_name') && !state.get('busy_text') && state.get('slices')?.Sagittal")
        try:
            self.page.wait_for_function(DRAWN, polling=POLL_MS)
        except TooLate:
            print("No picture came:", self.page.evaluate(FACTS))  # pytest shows it beside what failed
            raise
        return self

    def wait(self, condition: str, milliseconds: int = WAIT_MS) -> None:
        """Wait for something in trame's ``state``."""
        expression = f"(() => {{ const state = window.trame?.state; return state && ({condition}); }})()"
        self.page.wait_for_function(expression, timeout=milliseconds, polling=POLL_MS)

    def state(self, name: str):
        return self.page.evaluate("name => window.trame.state.get(name)", name)

    def ask(self, name: str, *arguments):
        """Call a trigger of ``serve_for_tests``."""
        call = "([name, given]) => window.trame.trigger(name, given)"
        return self.page.evaluate(call, [f"test_{name}", list(arguments)])

    def label(self) -> None:
        """Press the button and wait for the points."""
        self.page.click("#label")
        self.wait("(state.get('rows')?.length && !state.get('running')) || state.get('error')", NETWORK_MS)
        assert not self.state("error")

    def levels(self) -> list[str]:
        return [row["level"] for row in self.state("rows")]

    def choose(self, level: str) -> None:
        self.page.click(f"#row-{level}")
        self.wait(f"state.get('chosen') === '{level}'")

    def drag(self, level: str, right: float, up: float, view="Sagittal") -> tuple[list[float], list[float]]:
        """Drag a point by pixels; returns where it was and where the mouse let it go, world RAS mm."""
        x, y, width, height = self.ask("place", level, view)
        box = self.image_box(view)
        assert abs(box["width"] - width) <= 2 and abs(box["height"] - height) <= 2, (box, width, height)
        start = box["x"] + x, box["y"] + box["height"] - y
        mouse = self.page.mouse
        mouse.move(start[0] - 20, start[1])
        until(lambda: self._hovers(start, level), f"for the mouse to be over {level}")
        mouse.down()
        self.page.wait_for_timeout(100)
        mouse.move(start[0] + right, start[1] - up, steps=8)
        self.page.wait_for_timeout(200)
        mouse.up()
        return self.ask("positions").get(level), self.ask("to_world", view, x + right, y + up)

    def image_box(self, view: str) -> dict[str, float]:
        """Where the picture of a view is on the page, CSS pixels: waits while a new picture takes the place of one."""
        boxes = []
        until(
            lambda: boxes.append(self.page.locator(f".{view} img").first.bounding_box()) or boxes[-1] is not None,
            f"for the picture of {view}",
        )
        return boxes[-1]

    def _hovers(self, place: tuple[float, float], level: str) -> bool:
        self.page.mouse.move(place[0] - 2, place[1])
        self.page.mouse.move(*place, steps=2)
        self.page.wait_for_timeout(100)
        return self.ask("hovered") == level

    def save(self, button: str) -> tuple[str, bytes]:
        """Press a button that saves; returns name and content of the file."""
        with self.page.expect_download() as started:
            self.page.click(button)
        return started.value.suggested_filename, Path(started.value.path()).read_bytes()

    def question(self) -> str:
        """The text of the dialog that asks."""
        self.page.wait_for_selector("#question[open]")
        return self.page.inner_text("#question-text")

    def answer(self, label: str) -> None:
        """Press a button of the dialog that asks."""
        self.page.locator("#question").get_by_role("button", name=label, exact=True).click()
        self.wait("!state.get('question')")

    def told(self, kind: str) -> str:
        """The text of the dialog about the connection."""
        self.page.wait_for_selector(f"#connection[data-kind={kind}]")
        return self.page.inner_text("#connection-text")

    def confirm(self, level: str) -> None:
        """Make a correction."""
        self.choose(level)
        self.page.click("#confirm")
        self.wait(f"state.get('rows').some(row => row.level === '{level}' && row.status === 'confirmed')")
        self.wait("state.get('unsaved')")

    def corrections(self) -> tuple:
        """All that corrections can change: the rows of the list, and where the points are."""
        return self.state("rows"), self.ask("positions")

    def confirmed(self) -> list[str]:
        """Levels that are confirmed."""
        return [row["level"] for row in self.state("rows") if row["status"] == "confirmed"]

    def close(self) -> None:
        self.context.close()
        problems = [each for each in self.problems if not (self.cut and each == CUT)]
        assert not problems, problems
        assert not self.requested, f"the page asked other servers: {self.requested}"


@contextmanager
def visitor(browser, server, url: str = "", **options):
    """A visitor that leaves in the end."""
    person = Visitor(browser, server, url, **options)
    try:
        yield person
    except BaseException:
        print(server.text())  # pytest shows it beside what failed
        raise
    finally:
        person.close()
