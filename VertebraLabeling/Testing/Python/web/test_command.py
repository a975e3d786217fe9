"""``vertebra-labeling serve`` on the command line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest
from browser import ServerProcess
from VertebraLabelingLib import cli

COMMAND = ("-m", "VertebraLabelingLib.cli", "serve")

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
def test_a_port_in_use_is_one_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["serve", "--port", str(port)]) == 1
    assert f"127.0.0.1:{port} cannot be listened on" in capsys.readouterr().err


@needs_web
def test_a_missing_file_is_one_sentence(capsys):
    assert cli.main(["serve", "no-such-scan.nii.gz"]) == 1
    assert capsys.readouterr().err == "error: no-such-scan.nii.gz does not exist: check the path.\n"


def test_without_the_extra_the_sentence_says_what_to_install():
    script = (
        "import sys; sys.modules['trame_slicer'] = sys.modules['trame'] = None\n"
        "from VertebraLabelingLib import cli; sys.exit(cli.main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment())
    assert done.returncode == 1
    assert done.stderr.startswith("error: The browser page needs the extra 'web': pip install")


def environment():
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}


def get_with_cookies(url: str) -> int:
    from http.cookiejar import CookieJar
    from urllib.request import HTTPCookieProcessor, build_opener

    return build_opener(HTTPCookieProcessor(CookieJar())).open(url).status
