"""A real nginx on this computer, configured as docs/web.md says."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[4]
PUBLIC_HOST = "reading.example.org"  # the name in the documented block; the tests' browser finds it on this computer
PLAIN = "server {{ listen 127.0.0.1:{port}; location {path} {{ proxy_pass {target}; {more} }} }}"
CONFIGURATION = """
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {server}
}}
"""


def program() -> str | None:
    """nginx, which Debian keeps where only the administrator looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def documented(port: int, server_port: int, certificate: Path, key: Path, more: str = "") -> str:
    """The block of docs/web.md for these ports; ``more`` is put into its location."""
    block = re.search(r"```nginx\n(.*?)```", (ROOT / "docs" / "web.md").read_text(encoding="utf-8"), re.S).group(1)
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("127.0.0.1:8080/", f"127.0.0.1:{server_port}/"),
        ("/etc/ssl/certs/reading.pem", str(certificate)),
        ("/etc/ssl/private/reading.key", str(key)),
        ("location /spine/ {", f"location /spine/ {{ {more}"),
    ):
        assert old in block, f"docs/web.md has no {old!r}"
        block = block.replace(old, new)
    assert f"server_name {PUBLIC_HOST};" in block
    return block


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate that only a test trusts, and its key."""
    certificate, key = folder / "reading.pem", folder / "reading.key"
    what = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={PUBLIC_HOST}"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(["openssl", "req", *what, *files], check=True, capture_output=True, timeout=60)
    return certificate, key


class Nginx:
    """A running nginx.

    Args:
        folder: its files lie here.
        server: the ``server { }`` blocks.
        port: on which it answers.
    """

    def __init__(self, folder: Path, server: str, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file, self._port, self._folder = folder / "nginx.conf", port, folder
        self._file.write_text(CONFIGURATION.format(folder=folder, server=server))
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [program(), "-p", str(self._folder), "-c", str(self._file), "-g", "daemon off;"],
            stderr=subprocess.PIPE,
        )
        end = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, self._process.stderr.read().decode()
            assert time.monotonic() < end, "nginx did not start"
            time.sleep(0.05)

    def stop(self) -> None:
        """Cut all connections."""
        self._process.terminate()
        self._process.wait(30)
        self._process.stderr.close()

    def _answers(self) -> bool:
        try:
            urlopen(f"http://127.0.0.1:{self._port}/none", timeout=5).close()
        except URLError as error:
            return hasattr(error, "code")  # any answer will do
        except OSError:
            return False
        return True
