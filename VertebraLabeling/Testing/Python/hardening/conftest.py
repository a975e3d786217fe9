"""The hardening tests share the phantoms, the DICOM writer and the network-free labeler of the unit tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
