"""Threads that wait must not keep their core busy, unless the user wants it so."""

from __future__ import annotations

import subprocess
import sys

import pytest
from VertebraLabelingLib.idle_threads import sleep_while_waiting


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    return monkeypatch


def test_threads_sleep_while_they_wait(environment):
    import os

    environment.setattr(os, "environ", dict(os.environ))
    sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_what_the_environment_says_is_kept(environment):
    import os

    environment.setenv("OMP_WAIT_POLICY", "ACTIVE")
    sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize("module", ["cli", "background", "workers"])
def test_who_runs_in_a_process_of_its_own_can_still_say_so(module):
    """The modules that set it do not import torch, which reads it once."""
    code = f"import sys, VertebraLabelingLib.{module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
