"""A long scan is judged by the part with most of the spine, and only that is looked at again."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.long_scan import LONGEST_MM, evidence_within, spine_part
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume

MM = 4.0


def scan_of(length_mm: float, lowest: float = -700.0) -> Volume:
    affine = np.diag([MM, MM, MM, 1.0])
    affine[:3, 3] = -40, -40, lowest + MM / 2
    slices = round(length_mm / MM)
    return Volume(np.arange(slices, dtype=np.float32)[:, None, None] * np.ones((1, 20, 20), np.float32), affine)


def spine_and_doubtful(scan: Volume, top: float, legs: tuple[float, ...] = ()) -> Evidence:
    """Twelve sure vertebrae from ``top`` down, and doubtful candidates elsewhere."""
    z = np.array([*(top - 24.0 * np.arange(12)), *legs])
    unary = np.zeros((len(z), len(LEVELS)))
    unary[:12] = 6
    unary[np.arange(12), LEVEL_INDEX["T1"] + np.arange(12)] = 0
    detection = np.where(np.arange(len(z)) < 12, 0.7, 0.5)
    points = np.stack([np.zeros(len(z)), np.zeros(len(z)), z], axis=1)
    return Evidence(points, unary, detection, np.full(len(LEVELS), 0.5), scan.corners)


@pytest.mark.parametrize("length", (100, 300, LONGEST_MM))
def test_a_scan_that_is_not_long_is_judged_whole(length):
    scan = scan_of(length)
    assert spine_part(spine_and_doubtful(scan, -500.0), scan) is scan


@pytest.mark.parametrize("length", (480, 700, 1000, 1800))
@pytest.mark.parametrize("where", (0.0, 0.3, 1.0))
def test_the_part_holds_all_sure_vertebrae_wherever_they_are(length, where):
    scan = scan_of(length)
    low, high = scan.corners[:, 2].min(), scan.corners[:, 2].max()
    top = low + 280 + where * (length - 290)
    everywhere = tuple(np.linspace(low + 5, high - 5, 60))
    evidence = spine_and_doubtful(scan, top, everywhere)
    part = spine_part(evidence, scan)
    assert part.array.shape[0] * MM <= LONGEST_MM
    within = evidence_within(evidence, part)
    assert set(evidence.points[:12, 2]) <= set(within.points[:, 2])
    assert len(within.points) == len(within.unary) == len(within.detection) < len(evidence.points)
    assert (
        within.points[:, 2].min() >= part.corners[:, 2].min() and within.points[:, 2].max() <= part.corners[:, 2].max()
    )
    np.testing.assert_array_equal(within.corners, part.corners)


def test_the_part_is_where_its_voxels_are():
    scan = scan_of(1000)
    part = spine_part(spine_and_doubtful(scan, 250.0), scan)
    slice_of = (part.ijk_to_ras[2, 3] - scan.ijk_to_ras[2, 3]) / MM
    np.testing.assert_array_equal(part.array[0], slice_of)
    assert np.shares_memory(part.array, scan.array)


def test_without_a_candidate_the_middle_is_looked_at():
    scan = scan_of(1000)
    none = Evidence(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), np.full(26, 0.5), scan.corners)
    part = spine_part(none, scan)
    assert abs(part.corners.mean(axis=0) - scan.corners.mean(axis=0)).max() <= MM
    assert len(evidence_within(none, part).points) == 0


@pytest.fixture(scope="module")
def long_scan(sample_ct) -> Volume:
    """The sample CT with 600 mm of its lowest slices, noisy, below: legs of a kind."""
    volume = metal_free_block_mean(read_volume(sample_ct), (3, 3, 1))
    lowest = volume.array[:1] if volume.ijk_to_ras[2, 2] > 0 else volume.array[-1:]
    noise = np.random.default_rng(0).normal(0, 30, (240, *lowest.shape[1:]))
    legs = np.maximum(lowest + noise, AIR_HU).astype(np.float32)
    order = (legs, volume.array) if volume.ijk_to_ras[2, 2] > 0 else (volume.array, legs)
    affine = volume.ijk_to_ras.copy()
    if affine[2, 2] > 0:
        affine[:3, 3] -= affine[:3, 2] * len(legs)
    return Volume(np.concatenate(order), affine)


def looks(monkeypatch) -> list[int]:
    """The slices of each grid that the detection network sees from now on."""
    seen: list[int] = []
    run = stages.run_network

    def counted(network, grid, *arguments, **options):
        seen.append(grid.array.shape[0])
        return run(network, grid, *arguments, **options)

    monkeypatch.setattr(stages, "run_network", counted)
    return seen


def test_a_long_scan_upside_down_is_looked_at_in_parts_and_labeled_whole(long_scan, sample_truth, monkeypatch):
    seen = looks(monkeypatch)
    world = np.diag([-1.0, 1, -1, 1])
    labels = VertebraLabeler(device="cpu").label(Volume(long_scan.array, world @ long_scan.ijk_to_ras))
    whole = {level: point for level, point in sample_truth.items() if not point.cut}
    away = [
        np.linalg.norm(apply_affine(world, [point.ras])[0] - labels.by_level[level].ras)
        for level, point in whole.items()
    ]
    assert max(away) < 5.0
    assert any("upside down" in text for text in map(str, labels.warnings))
    longest = seen[0]
    assert len(seen) >= 3 and seen[-1] == longest and max(seen[1:-1]) * MM <= 1.5 * LONGEST_MM < longest * MM
    assert labels.evidence.corners[:, 2].min() == pytest.approx(-long_scan.corners[:, 2].max())
    assert labels.evidence.corners[:, 2].max() == pytest.approx(-long_scan.corners[:, 2].min())
