"""The free memory of the computer, in bytes, or that it cannot be known."""

from __future__ import annotations

import sys

import pytest
from VertebraLabelingLib.system import free_memory as asked
from VertebraLabelingLib.system.free_memory import free_memory


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")
def test_it_is_some_of_what_the_computer_has():
    total = next(line for line in asked.MEMINFO.read_text().splitlines() if line.startswith("MemTotal"))
    assert 2**20 < free_memory() < 1024 * int(total.split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="as Linux tells it")
def test_it_is_read_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(asked, "MEMINFO", tmp_path / "meminfo")
    asked.MEMINFO.write_text("MemTotal: 900 kB\nMemAvailable:    500 kB\n")
    assert free_memory() == 500 * 1024


@pytest.mark.parametrize("text", ["", "MemTotal: 900 kB\n", "MemAvailable: much kB\n"])
def test_where_the_system_does_not_tell_it_is_not_known(tmp_path, monkeypatch, text):
    monkeypatch.setattr(asked, "MEMINFO", tmp_path / "meminfo")
    assert free_memory() is None
    asked.MEMINFO.write_text(text)
    assert free_memory() is None
