"""Servers and a headless Chromium for the tests of the page; without them the tests skip and say what is missing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from balls import centers, voxels
from browser import OFTEN_S, ServerProcess, chromium, visitor
from nginx import PUBLIC_HOST


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests; each visitor has a profile of its own in it."""
    if find_spec("trame_slicer") is None or find_spec("playwright") is None:
        pytest.skip("needs trame-slicer and playwright: pip install -r requirements/test.txt")
    if chromium() is None:
        pytest.skip("needs a browser: apt-get install --no-install-recommends chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules=MAP {PUBLIC_HOST} 127.0.0.1"]
        running = playwright.chromium.launch(executable_path=chromium(), args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="session")
def ball_ct(tmp_path_factory) -> Path:
    """A small CT with balls for T8 to L4, as a file."""
    return write_balls(tmp_path_factory.mktemp("ct") / "balls.nii.gz", centers())


@pytest.fixture(scope="session")
def thoracic_ct(tmp_path_factory) -> Path:
    """One with balls for T4 to T9: no landmark is in view."""
    return write_balls(tmp_path_factory.mktemp("ct") / "thoracic.nii.gz", centers("T4", "T9"))


def write_balls(path: Path, places) -> Path:
    """Write a CT with a ball at each of the places, level -> world RAS mm."""
    import SimpleITK as sitk
    from VertebraLabelingLib.core.volume import Volume
    from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

    balls = np.array(list(places.values()))
    spacing, size = np.array([2.5, 2.5, 3.0]), (36, 40, 110)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = balls.mean(axis=0) - spacing * (np.array(size) - 1) / 2
    array = voxels(balls, matrix, size)
    array[:, :4] = -1000  # air, as in a CT
    sitk.WriteImage(to_sitk(Volume(array, matrix)), str(path))
    return path


@pytest.fixture(scope="session")
def server(browser, ball_ct, tmp_path_factory):
    """A server that opens the balls for each session, and labels them in half a second."""
    process = ServerProcess(tmp_path_factory.mktemp("server"), [ball_ct])
    yield process.wait()
    process.stop()


@pytest.fixture
def keeping(browser, ball_ct, tmp_path):
    """A server that keeps a lost session for a minute."""
    process = ServerProcess(tmp_path, [ball_ct], keep=60.0, poll=OFTEN_S)
    yield process.wait()
    process.stop()


@pytest.fixture
def person(browser, server):
    """Somebody who has the balls before them."""
    with visitor(browser, server) as visiting:
        yield visiting.open_scan()


@pytest.fixture
def reader(person):
    """Somebody who has labeled the balls."""
    person.label()
    return person
