"""Continuous integration keeps only the installer of Slicer that is published. A local server stands in."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPT = Path(__file__).resolve().parents[4] / ".github" / "actions" / "install-slicer" / "fetch_slicer.py"
INSTALLER = b"an installer" * 1000


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server():
    """A download server as Slicer's: ``/find`` describes a package, ``/bitstream/<id>`` is it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked = urlsplit(self.path)
            if asked.path == "/find":
                self.server.asked = {key: value[0] for key, value in parse_qs(asked.query).items()}
                body = json.dumps(self.server.record).encode()
            else:
                body = self.server.content if asked.path == "/bitstream/1a2b" else b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.content = INSTALLER
        http.url = f"http://127.0.0.1:{http.server_address[1]}"
        http.record = {
            **{"version": "5.12.4", "revision": "34645", "download_url": "/bitstream/1a2b"},
            "sha512": hashlib.sha512(INSTALLER).hexdigest(),
        }
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("system", "name", "ending"),
    [("Linux", "linux", ".tar.gz"), ("macOS", "macosx", ".dmg"), ("Windows", "win", ".exe")],
)
def test_the_published_installer_is_kept(script, server, tmp_path, system, name, ending):
    path = script.fetch(system, "nightly", tmp_path, server.url)
    assert path.read_bytes() == INSTALLER and path.name.endswith(ending)
    assert server.asked == {"os": name, "stability": "nightly"}


@pytest.mark.parametrize("content", [INSTALLER[:-1], INSTALLER + b"x", b""])
def test_another_file_is_refused_and_not_kept(script, server, tmp_path, content):
    server.content = content
    with pytest.raises(ValueError, match="SHA-512"):
        script.fetch("Linux", "release", tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("digest", [None, "", "abc"])
def test_without_a_published_sum_nothing_is_downloaded(script, server, tmp_path, digest):
    server.record["sha512"] = digest
    with pytest.raises(ValueError, match="names no SHA-512"):
        script.fetch("Linux", "release", tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []
