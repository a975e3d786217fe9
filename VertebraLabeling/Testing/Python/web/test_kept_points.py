"""Corrections on the disk: whole, found again by their session only, and gone when their time is over."""

from __future__ import annotations

import logging
import os
import time

import numpy as np
import pytest
from VertebraLabelingLib.core.label_warning import SHIFT, LabelWarning
from VertebraLabelingLib.core.labels import CONFIRMED, LabeledPoint, SpineLabels
from VertebraLabelingWeb import kept_points
from VertebraLabelingWeb.kept_points import Kept, KeptPoints

LABELS = SpineLabels(
    (LabeledPoint("T12", (1.0, 2.5, -3.125), 0.8), LabeledPoint("L1", (1.0, 2.0, -40.0), 1.0, CONFIRMED)),
    (LabelWarning(SHIFT, ("L1",)),),
    {"model": "x", "found_in": {"size": [1, 2, 3]}},
)


@pytest.fixture
def store(tmp_path):
    return KeptPoints(tmp_path / "deep" / "unsaved")


def kept(key="k1", scan="脊柱"):
    return Kept(key, scan, "served:/data/a.nii.gz:", LABELS)


def test_what_is_kept_comes_back_whole(store):
    store.keep("session", kept())
    (found,) = store.of("session")
    assert (found.key, found.scan, found.origin, found.labels) == ("k1", "脊柱", "served:/data/a.nii.gz:", LABELS)
    assert abs(found.time - time.time()) < 60
    assert np.allclose([point.ras for point in found.labels.points], [point.ras for point in LABELS.points])


def test_it_belongs_to_its_session_until_it_is_handed_over(store):
    store.keep("a", kept("k1", "first"))
    store.keep("a", kept("k2", "second"))
    store.keep("a", kept("k2", "second, moved on"))
    assert store.of("b") == store.of("") == store.of(None) == []
    store.hand_over("a", "b")
    store.hand_over(None, "c")
    assert store.of("a") == [] and {each.scan for each in store.of("b")} == {"first", "second, moved on"}
    store.forget("b", "k1")
    store.forget("b", "never there")
    assert [each.scan for each in store.of("b")] == ["second, moved on"]


def test_old_and_surplus_files_are_deleted(store, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_points, "MOST_FILES", 3)
    for number in range(5):
        store.keep("a", kept(f"k{number}"))
        (path,) = tmp_path.glob(f"deep/unsaved/*.k{number}.json")
        os.utime(path, (time.time() - 100 + number, time.time() - 100 + number))
    assert [each.key for each in store.of("a")] == ["k4", "k3", "k2"]
    (path,) = tmp_path.glob("deep/unsaved/*.k4.json")
    os.utime(path, (1, 1))
    assert [each.key for each in store.of("a")] == ["k3", "k2"]
    assert len(list(tmp_path.glob("deep/unsaved/*"))) == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"scan": "x", "origin": "", "labels": {"points": 7}}']
)
def test_a_damaged_file_is_left_out(store, tmp_path, content):
    store.keep("a", kept("k1"))
    store.keep("a", kept("k2"))
    next(tmp_path.glob("deep/unsaved/*.k1.json")).write_bytes(content)
    assert [each.key for each in store.of("a")] == ["k2"]


def test_a_disk_that_takes_nothing_ends_nothing_and_is_told_once(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    store = KeptPoints(tmp_path / "file" / "unsaved")
    with caplog.at_level(logging.WARNING):
        store.keep("a", kept())
        store.keep("a", kept())
    assert [record.levelname for record in caplog.records] == ["WARNING"] and "脊柱" not in caplog.text
