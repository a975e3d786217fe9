"""What looking for the pose costs, in computing time of one thread beside that of a usual run.

A scan whose only oddity is a missing or doubled vertebra takes at most three times as long, a patient who lies
otherwise about three times.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
from VertebraLabelingLib.core.volume import Volume, ras_to_ijk
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume

LYING = {
    "on the belly": np.diag([-1, -1, 1]),
    "on the left": np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]),
    "feet first": np.diag([-1, 1, -1]),
    "feet first on the belly": np.diag([1, -1, -1]),
}
OFTEN = ("on the belly", "feet first", "missing-T7", "doubled-T11")  # the others are long tests


@pytest.fixture(scope="module")
def scan(sample_ct):
    return metal_free_block_mean(read_volume(sample_ct), (3, 3, 1))


@pytest.fixture(scope="module")
def labeler():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would count the time in which they wait for one another
    yield VertebraLabeler(device="cpu")
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def usual(labeler, scan) -> float:
    """Seconds that the scan takes as it is."""
    return min(cpu_seconds(labeler, scan) for _ in range(2))


def turned(scan: Volume, world: np.ndarray) -> Volume:
    """The patient otherwise in the world."""
    affine = np.eye(4)
    affine[:3, :3] = world
    return Volume(scan.array, affine @ scan.ijk_to_ras)


def with_slab(scan: Volume, truth, level: str, times: int) -> Volume:
    """The slices of a vertebra left out, or there several times."""
    center = float(ras_to_ijk(scan, np.array([truth[level].ras]))[0, 2])
    half = 12.0 / scan.spacing[2]
    first, end = round(center - half), round(center + half)
    array = np.concatenate([scan.array[:first], *[scan.array[first:end]] * times, scan.array[end:]])
    return Volume(array, scan.ijk_to_ras)


def cpu_seconds(labeler: VertebraLabeler, volume: Volume) -> float:
    began = time.process_time()
    labeler.label(volume)
    return time.process_time() - began


def takes_at_most(labeler: VertebraLabeler, volume: Volume, seconds: float) -> bool:
    """In the faster of two runs: another process may have slowed the first."""
    return any(cpu_seconds(labeler, volume) < seconds for _ in range(2))


@pytest.mark.timing
@pytest.mark.parametrize(
    "lying", [pytest.param(lying, marks=[] if lying in OFTEN else pytest.mark.long) for lying in LYING]
)
def test_a_patient_who_lies_otherwise_takes_about_three_times_as_long(scan, labeler, usual, lying):
    """A third is left for a busy computer, whose threads disturb one another."""
    assert takes_at_most(labeler, turned(scan, LYING[lying]), 4 * usual)


@pytest.mark.timing
@pytest.mark.parametrize(
    ("level", "times"),
    [
        pytest.param(level, times, id=f"{what}-{level}", marks=[] if f"{what}-{level}" in OFTEN else pytest.mark.long)
        for level in ("T4", "T7", "T11")
        for times, what in ((0, "missing"), (2, "doubled"))
    ],
)
def test_a_missing_or_doubled_vertebra_does_not_set_off_the_search(
    scan, labeler, usual, sample_truth, monkeypatch, level, times
):
    """At most three looks, and at most three times as long."""
    passes = []
    network = stages.run_network
    monkeypatch.setattr(stages, "run_network", lambda *given: passes.append(given) or network(*given))
    altered = with_slab(scan, sample_truth, level, times)
    first = cpu_seconds(labeler, altered)
    assert 1 <= len(passes) <= 3
    assert first < 3 * usual or cpu_seconds(labeler, altered) < 3 * usual
