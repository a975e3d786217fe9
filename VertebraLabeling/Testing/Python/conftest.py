"""Fixtures shared by every test folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CT with truth; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("VERTEBRA_LABELING_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "splits.json").is_file():
        pytest.skip("needs the data folder with real CT and truth: set VERTEBRA_LABELING_DATA")
    return folder
