"""Threads that wait must not keep their core busy, unless the user wants it so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from VertebraLabelingLib.system.idle_threads import TURNS, sleep_while_waiting

STARTS = {
    "commands.cli": "main(['evaluate', 'nowhere', 'nowhere'])",
    "background.labeling_process": "JobQueue = list; module.main(['--jobs'])",
    "batch.workers": "limit_threads(1)",
}


def test_threads_sleep_while_they_wait(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    sleep_while_waiting()
    assert os.environ == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": TURNS}


def test_what_the_environment_says_is_kept(monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    sleep_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE" and "GOMP_SPINCOUNT" not in os.environ


def test_how_long_they_turn_is_kept(monkeypatch):
    monkeypatch.setattr(os, "environ", {"GOMP_SPINCOUNT": "7"})
    sleep_while_waiting()
    assert os.environ == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "7"}


@pytest.mark.parametrize("module", STARTS)
def test_who_runs_in_a_process_of_its_own_can_still_say_so(module):
    """The modules that set it do not import torch, which reads it once."""
    code = f"import sys, VertebraLabelingLib.{module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("module", STARTS)
def test_who_runs_in_a_process_of_its_own_says_so(module):
    code = f"import os; import VertebraLabelingLib.{module} as module; module.{STARTS[module]}"
    code += "; print(os.environ.get('OMP_WAIT_POLICY'))"
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=others)
    assert "PASSIVE" in done.stdout + done.stderr
