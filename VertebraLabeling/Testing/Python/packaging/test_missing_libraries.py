"""Where the system libraries of Qt are missing, the tests that need them skip and say the one line to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]


def test_tests_that_need_qt_skip_with_the_line_to_run(tmp_path):
    package = tmp_path / "PySide6"
    package.mkdir()
    (package / "__init__.py").write_text('raise ImportError("libEGL.so.1: cannot open shared object file")\n')
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        str(TESTS / "mrml"),
        str(TESTS / "panel"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=TESTS.parents[2], env=environment, capture_output=True, text=True, timeout=120)
    files = len([*(TESTS / "mrml").glob("test_*.py"), *(TESTS / "panel").glob("test_*.py")])
    assert f"{files} skipped" in done.stdout, done.stdout[-2000:]
    assert "libEGL.so.1" in done.stdout
    assert "apt-get install --no-install-recommends libgl1" in done.stdout
    assert done.returncode in (0, 5), done.stdout[-2000:]  # 5: nothing was left to run


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a shell")
@pytest.mark.parametrize("unknown", ["chromium", "libegl1", ""])
def test_a_package_that_the_system_does_not_know_keeps_none_of_the_others_out(tmp_path, unknown):
    programs = {
        "id": "echo 0",  # root
        "dpkg-query": "exit 1",  # nothing is there
        "apt-get": f"""[ "$1" = install ] || exit 0
            for name in "$@"; do [ "$name" = "{unknown}" ] && exit 100; done
            printf '%s\n' "$@" | grep -vE '^(-|install$)' >> {tmp_path}/installed""",
    }
    for name, script in programs.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\nexit 0\n")
        path.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(TESTS.parent / "install-system-packages.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    wanted = (TESTS.parent / "apt-packages.txt").read_text().split()
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "installed").read_text().split() == [name for name in wanted if name != unknown]
    assert done.stdout.split()[-1:] == ([unknown] if unknown else [])
