"""Whatever labels a scan has, every format gives them back."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from cases import ct
from csv_reader import read_table
from dicom_files import write_series
from geometries import geometries
from hypothesis import given, settings
from hypothesis import strategies as st
from VertebraLabelingLib.background.labeling_process import labels_from_json, labels_to_json
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import note
from VertebraLabelingLib.core.labels import GIVEN, STATUSES, LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.formats import csv_table, mrk_json, verse_json

NEAR_MM = 3000.0
HUNDREDTHS = st.integers(0, 100).map(lambda n: n / 100)
TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30)


@st.composite
def spines(draw, smallest=0) -> SpineLabels:
    """Any set of levels, each anywhere within 3 m, with any confidence that files hold and any status.

    A given level is sure: no confidence of it is known.
    """
    levels = draw(st.sets(st.sampled_from(LEVELS), min_size=smallest))
    place = st.tuples(*[st.floats(-NEAR_MM, NEAR_MM)] * 3)
    points = [LabeledPoint(lv, draw(place), draw(HUNDREDTHS), draw(st.sampled_from(STATUSES))) for lv in sorted(levels)]
    sure = [1.0 if point.status == GIVEN else point.shown_confidence for point in points]
    return SpineLabels(tuple(replace(point, confidence=each) for point, each in zip(points, sure)))


def assert_same(read: SpineLabels, written: SpineLabels, atol_mm: float, all_fields: bool = True) -> None:
    assert [point.level for point in read.points] == [point.level for point in written.points]
    if written.points:
        np.testing.assert_allclose([p.ras for p in read.points], [p.ras for p in written.points], atol=atol_mm)
    if all_fields:
        kept = [[(p.confidence, p.status) for p in labels.points] for labels in (read, written)]
        assert kept[0] == kept[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


@settings(max_examples=40, deadline=None)
@given(labels=spines())
def test_markups_files(folder, labels):
    mrk_json.write_labels(folder / "a.mrk.json", labels)
    assert_same(mrk_json.read_labels(folder / "a.mrk.json"), labels, 1e-3)


@settings(max_examples=40, deadline=None)
@given(cases=st.dictionaries(TEXT, spines(smallest=1), max_size=3))
def test_tables_with_cases_of_any_name(folder, cases):
    csv_table.write_table(folder / "a.csv", cases)
    read = read_table(folder / "a.csv")
    assert list(read) == list(cases)
    for name, labels in cases.items():
        assert_same(read[name], labels, 1e-3)


@settings(max_examples=40, deadline=None)
@given(labels=spines(), affine=geometries(spacing=(0.4, 8.0)))
def test_verse_files_for_any_volume(folder, labels, affine):
    volume = Volume(ct().array, affine)
    verse_json.write_labels(folder / "a.json", labels, volume)
    read = verse_json.read_labels(folder / "a.json", volume)
    assert_same(read, labels, 0.005 * volume.spacing.max() * 2, all_fields=False)  # two decimals of a voxel


@settings(max_examples=4, deadline=None)
@given(labels=spines(smallest=1))
def test_dicom_reports(folder, labels):
    dicom_sr = pytest.importorskip("VertebraLabelingLib.formats.dicom_sr")
    pytest.importorskip("highdicom")
    if not (folder / "series").exists():
        write_series(folder / "series", ct())
    files = [str(path) for path in sorted((folder / "series").iterdir())]
    dicom_sr.write_labels(folder / "a.dcm", labels, files[:3])
    read = dicom_sr.read_labels(folder / "a.dcm")
    assert_same(read, labels, 1e-3, all_fields=False)
    np.testing.assert_allclose([p.confidence for p in read.points], [p.confidence for p in labels.points], atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(labels=spines(), count=st.integers(0, 30), seed=st.integers(0, 2**32 - 1))
def test_evidence_and_whole_results_as_json(labels, count, seed):
    rng = np.random.default_rng(seed)
    evidence = Evidence(
        rng.uniform(-900, 900, (count, 3)),
        rng.uniform(0, 12, (count, 26)),
        rng.random(count),
        rng.random(26),
        rng.uniform(-900, 900, (8, 3)),
    )
    read = Evidence.from_json(evidence.to_json())
    for name, atol in {"points": 0.005, "unary": 0.005, "detection": 5e-4, "presence": 5e-5, "corners": 0.05}.items():
        np.testing.assert_allclose(getattr(read, name), getattr(evidence, name), atol=atol * 1.01)
    assert Evidence.from_json(read.to_json()).to_json() == read.to_json(), "a second way changes nothing"
    whole = SpineLabels(labels.points, (note("Careful."),), {"model": "m", "seconds": 1.5}, evidence)
    back = labels_from_json(json.loads(json.dumps(labels_to_json(whole))))
    assert (back.points, back.warnings, back.provenance) == (whole.points, whole.warnings, whole.provenance)


@settings(max_examples=60, deadline=None)
@given(spines(smallest=1))
def test_descriptions_of_control_points(labels):
    for point in labels.points:
        pairs = LabeledPoint.parse_description(point.description)
        assert pairs["status"] == point.status
        assert ("confidence" in pairs) == (point.status != GIVEN)
        assert float(pairs.get("confidence", 1.0)) == point.shown_confidence
