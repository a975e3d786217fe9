"""A bounded fuzz run of each reader of our own formats; see ``Testing/fuzz/fuzz_readers.py``."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_readers import READERS

SCRIPT = Path(__file__).resolve().parents[2] / "fuzz" / "fuzz_readers.py"
SECONDS = int(os.environ.get("VERTEBRA_LABELING_FUZZ_SECONDS", "20"))


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris (Linux, Python 3.11 to 3.13)")
@pytest.mark.parametrize("name", READERS)
def test_fuzzing_finds_no_input_that_is_neither_refused_nor_read_rightly(name, tmp_path):
    command = [sys.executable, str(SCRIPT), name, f"-max_total_time={SECONDS}", "-print_final_stats=1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS * 10 + 300)
    told = done.stdout[-1500:] + done.stderr[-3000:]
    assert done.returncode == 0, told
    runs = int(re.search(r"number_of_executed_units:\s*(\d+)", told).group(1))
    print(f"{name}: {runs} inputs in {SECONDS} s")
    assert runs > 20
