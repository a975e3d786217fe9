"""The whole way on a real CT with the shipped network, as `make web` shows it. A chest: no face is ever rendered."""

from __future__ import annotations

import os

import numpy as np
import pytest
from browser import ServerProcess, visitor
from VertebraLabelingLib.background import labeling_process
from VertebraLabelingLib.networks import weights


@pytest.fixture
def sample_server(browser, sample_ct, tmp_path):
    process = ServerProcess(tmp_path, [sample_ct], labeler=labeling_process.NETWORK, grace=60.0)
    yield process.wait()
    process.stop()


@pytest.mark.skipif(not weights.default_weights().is_file(), reason="the network weights are not in the repository")
def test_the_sample_is_labeled_corrected_and_kept_over_a_reload(browser, sample_server, sample_truth):
    with visitor(browser, sample_server) as person:
        person.open_scan()
        person.label()
        found = person.ask("positions")
        truth = {level: point.ras for level, point in sample_truth.items() if not point.cut}
        hits = [
            level
            for level, ras in truth.items()
            if level in found and np.linalg.norm(np.subtract(found[level], ras)) < 20
        ]
        assert len(hits) / len(truth) >= 0.8, sorted(found)
        person.choose("T8")
        _, aim = person.drag("T8", right=-14, up=2)
        person.wait("state.get('undo_what') === 'drag of T8'")
        assert np.linalg.norm(np.subtract(person.ask("positions")["T8"], aim)[1:]) < 1.0
        levels = person.levels()
        person.page.reload()
        person.open_scan_here()
        assert person.levels() == levels
        if picture := os.environ.get("VERTEBRA_LABELING_SCREENSHOT"):  # the picture of docs/web.md
            person.page.click("#undo")
            person.wait("state.get('undo_what') === ''")
            person.page.click("text=Fit")
            person.page.mouse.move(600, 20)
            person.page.wait_for_timeout(20_000)
            person.page.screenshot(path=picture)
