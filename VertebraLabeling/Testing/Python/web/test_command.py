"""``vertebra-labeling serve`` on the command line."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from http.cookiejar import CookieJar
from importlib.util import find_spec
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

import pytest
from browser import ServerProcess

MODULE = Path(__file__).resolve().parents[3]
COMMAND = ("-m", "VertebraLabelingLib.commands.cli", "serve")

needs_web = pytest.mark.skipif(find_spec("trame_slicer") is None, reason="needs the extra 'web'")


@needs_web
def test_bound_to_other_computers_the_page_asks_for_the_printed_token_and_warns(ball_ct, tmp_path):
    server = ServerProcess(tmp_path, [], command=[*COMMAND, str(ball_ct), "--host", "0.0.0.0"])
    try:
        server.wait()
        assert "the connection is not encrypted" in server.text()
        token = re.search(r"\?token=([\w-]+)", server.text()).group(1)
        for path in ("/", "/index.html", "/?token=wrong", "/save/csv"):
            status, text = server.get(path)
            assert status == 403 and "needs its link" in text, path
        assert get_with_cookies(f"{server.url}/?token={token}") == 200
    finally:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(120) == 0
        server.stop()
    assert not server.session_folders()


@needs_web
def test_a_port_in_use_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(*COMMAND, "--port", str(port))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: 127.0.0.1:{port} cannot be listened on")


@needs_web
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--public-url", "reading.example.org", "is no address for --public-url: give it as https://HOST/"),
        ("--keep-session", "-1", "--keep-session or --upload-limit is no number that can be used"),
        ("--keep-session", "nan", "--keep-session or --upload-limit is no number that can be used"),
        ("--upload-limit", "inf", "--keep-session or --upload-limit is no number that can be used"),
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence(option, value, words):
    done = run(*COMMAND, option, value)
    assert done.returncode == 1 and words in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@needs_web
def test_a_missing_file_is_one_sentence():
    done = run(*COMMAND, "no-such-scan.nii.gz")
    assert (done.returncode, done.stderr) == (1, "error: no-such-scan.nii.gz does not exist: check the path.\n")


def test_without_the_extra_the_sentence_says_what_to_install():
    script = (
        "import sys; sys.modules['trame_slicer'] = sys.modules['trame'] = None\n"
        "from VertebraLabelingLib.commands import cli; sys.exit(cli.main(['serve']))"
    )
    done = run("-c", script)
    assert done.returncode == 1
    assert done.stderr.startswith("error: The browser page needs the extra 'web': pip install")


def run(*arguments):
    """Python in a process of its own: this one may hold another ``slicer`` already."""
    environment = {**os.environ, "PYTHONPATH": str(MODULE)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, timeout=300)


def get_with_cookies(url: str) -> int:
    return build_opener(HTTPCookieProcessor(CookieJar())).open(url).status
