"""A labeling makes no connection: Python's audit hooks see every socket before it is used."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import SimpleITK as sitk
from phantoms import affine, body
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

LABEL = """
import sys
sys.path[:0] = sys.argv[3:]
asked = []
def hook(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":  # the name marks temporary files
        asked.append(f"{event} {arguments}")
        raise OSError("there is no network")
sys.addaudithook(hook)
from VertebraLabelingLib.commands import cli
code = cli.main(["label", sys.argv[1], "-o", sys.argv[2], "--format", "mrk.json,csv,verse.json,png", "--device", "cpu"])
print("asked:", asked)
sys.exit(9 if asked else code)
"""


def test_labeling_makes_no_connection(tmp_path):
    path = tmp_path / "ct.nii.gz"
    sitk.WriteImage(to_sitk(body((24, 40, 36), affine((8.0, 8.0, 8.0)), balls=np.zeros((0, 3)))), str(path))
    paths = [entry for entry in sys.path if entry]
    done = subprocess.run(
        [sys.executable, "-c", LABEL, str(path), str(tmp_path / "out"), *paths], capture_output=True, text=True
    )
    assert "asked: []" in done.stdout, done.stdout + done.stderr[-2000:]
    found = (tmp_path / "out" / "ct.mrk.json").exists()
    assert found or "No vertebra" in done.stderr, "it came to its end, with or without vertebrae in the phantom"
