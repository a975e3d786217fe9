"""One CT stored in other ways: axis order, obliquity, voxel size and field of view must not move its vertebrae.

Where the voxels are the same (axis order, a patient turned as a whole) the points are the same. Where the CT is sampled
anew, the network sees other voxels, and the points agree as measured in docs/robustness.md. The environment may name
other random draws, ``VERTEBRA_LABELING_DRAWS=200:236``, and another model file, ``VERTEBRA_LABELING_DRAWS_MODEL``.
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
import pytest
import SimpleITK as sitk
from axis_orders import AXES, turned
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.field_of_view import distance_to_face
from VertebraLabelingLib.core.label_warning import REVIEW_KINDS
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, to_canonical
from VertebraLabelingLib.errors import NoSpineError
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume

WHOLE_MM = 20.0  # a body center this far within both fields of view belongs to a whole vertebra
KINDS = ("oblique", "spacing", "crop", "all")
PATIENT_AXES_MM = (1.4, 1.4, 2.5)
DRAWS = range(*map(int, os.environ.get("VERTEBRA_LABELING_DRAWS", "100:112").split(":")))
MODEL = os.environ.get("VERTEBRA_LABELING_DRAWS_MODEL")


@lru_cache(maxsize=1)
def labeler() -> VertebraLabeler:
    return VertebraLabeler(MODEL, device="cpu")


@pytest.fixture(scope="module")
def source(sample_ct) -> Volume:
    volume = read_volume(sample_ct)
    factors = np.maximum(1, np.round(np.array(PATIENT_AXES_MM) / volume.spacing)).astype(int)
    return to_canonical(metal_free_block_mean(volume, tuple(factors.tolist())))


@pytest.fixture(scope="module")
def expected(source):
    return labeler().label(sampled(source, np.eye(3), np.array([2.8, 2.8, 2.5]), *field(source))).points


def field(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest world coordinates of a volume, mm."""
    return volume.corners.min(axis=0), volume.corners.max(axis=0)


def sampled(source: Volume, axes: np.ndarray, spacing: np.ndarray, low: np.ndarray, high: np.ndarray) -> Volume:
    """The CT as a scanner with these axes, voxel sizes and field of view would give it.

    Each voxel is the mean over its size: it is sampled at 2 mm or finer, then averaged, as slice thickness does.
    """
    parts = np.maximum(1, np.ceil(spacing / 2.0 - 1e-6)).astype(int)
    size = np.maximum(2, np.floor(np.abs(axes.T @ (high - low)) / spacing)).astype(int) * parts
    affine = np.eye(4)
    affine[:3, :3] = axes * (spacing / parts)
    affine[:3, 3] = (low + high) / 2 - affine[:3, :3] @ ((size - 1) / 2)
    to_index = np.linalg.inv(source.ijk_to_ras) @ affine
    transform = sitk.AffineTransform(to_index[:3, :3].ravel().tolist(), to_index[:3, 3].tolist())
    fine = sitk.Resample(
        *(sitk.GetImageFromArray(source.array), size.tolist(), transform, sitk.sitkLinear),
        *([0.0] * 3, [1.0] * 3, np.eye(3).ravel().tolist(), AIR_HU),
    )
    return metal_free_block_mean(Volume(sitk.GetArrayFromImage(fine), affine), tuple(parts.tolist()))


def drawn(source: Volume, kind: str, rng) -> Volume:
    """A random way to store the CT; ``kind`` says what is changed. Axis order and flips always are."""
    axes, spacing, (low, high) = np.eye(3), np.array([2.8, 2.8, 2.5]), field(source)
    if kind in ("oblique", "all"):
        axes = turned(rng.uniform(0, 30), rng.normal(size=3))
    if kind in ("spacing", "all"):
        spacing = np.exp(rng.uniform(np.log(0.8 if kind == "all" else 0.5), np.log(8.0), 3))
        spacing = np.maximum(spacing, 0.35 * (64.0 / spacing.prod()) ** (1 / 3))  # 25 million voxels at most
    if kind in ("crop", "all"):
        share = rng.uniform((0, 0, 0), (0.15, 0.15, 0.5)), rng.uniform((0.85, 0.85, 0.85), (1, 1, 1))
        low, high = low + share[0] * (high - low), low + share[1] * (high - low)
    order = AXES[rng.integers(48)]
    return sampled(source, axes @ order, np.abs(order.T) @ spacing, low, high)


def compare(source: Volume, expected, kind: str, seed: int) -> dict:
    """Distances (mm) of the vertebrae that are whole in both, how many are named otherwise, and the warnings."""
    volume = drawn(source, kind, np.random.default_rng(seed))
    labels = labeler().label(volume)
    places = np.array([point.ras for point in expected])
    whole = np.minimum(*(distance_to_face(places, each.corners) for each in (volume, source))) > WHOLE_MM
    found = np.array([point.ras for point in labels.points])
    distances, steps = [], []
    for point in np.array(expected, dtype=object)[whole]:
        away = np.linalg.norm(found - np.array(point.ras), axis=1)
        near = int(away.argmin())
        distances.append(float(away[near]))
        if away[near] < 10:
            steps.append(USUAL_LEVELS.index(labels.points[near].level) - USUAL_LEVELS.index(point.level))
    return {"mm": distances, "steps": steps, "warnings": labels.warnings, "spacing": volume.spacing}


def assert_agrees(result: dict) -> None:
    """Of the draws of the short run every vertebra keeps its name; docs/robustness.md has the whole distribution."""
    near = np.array(result["mm"])
    assert np.median(near) < MEDIAN_MM and np.mean(near < FOUND_MM) >= 0.8, result
    assert result["steps"] and not any(result["steps"]), result


def is_told(result: dict) -> bool:
    """Whether a warning asks to look."""
    return any(warning.kind in REVIEW_KINDS for warning in result["warnings"])


MEDIAN_MM, FOUND_MM = 1.0, 5.0
LEAST_WITHIN_1_MM = {"oblique": 1.0, "crop": 1.0, "spacing": 0.99, "all": 0.985}  # 1.06 through 7.8 mm, 0.98


def test_a_patient_turned_as_a_whole_is_labeled_alike(source):
    """The same voxels with their affine moved rigidly, by up to 15 degrees: only the world changes."""
    low, high = field(source)
    small = sampled(source, np.eye(3), np.array([4.0, 4.0, 4.0]), low, high)
    labels = labeler().label(small)
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = turned(12, (1.0, 0.3, -0.4)), (40.0, -70.0, 310.0)
    again = labeler().label(Volume(small.array, moved @ small.ijk_to_ras))
    assert [point.level for point in again.points] == [point.level for point in labels.points]
    wanted = apply_affine(moved, [point.ras for point in labels.points])
    assert np.linalg.norm(wanted - [point.ras for point in again.points], axis=1).max() < 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_ct_sampled_anew_keeps_its_vertebrae(source, expected, kind):
    assert_agrees(compare(source, expected, kind, seed=1))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_ct_sampled_anew_in_many_ways_keeps_its_vertebrae(source, expected, kind):
    results, none_found = [], 0
    for seed in DRAWS:
        try:
            results.append(compare(source, expected, kind, seed))
        except NoSpineError:
            none_found += 1
    millimeters = np.concatenate([result["mm"] for result in results])
    shares = [np.mean(millimeters < limit) for limit in (1.0, 2.0, 5.0)]
    renamed = [result for result in results if any(result["steps"])]
    told = [result for result in renamed if is_told(result)]
    percentiles = np.percentile(millimeters, (50, 90, 95, 99, 100)).round(2)
    print(f"{kind}: {len(millimeters)} vertebrae, percentiles {percentiles}, within 1, 2, 5 mm {np.round(shares, 3)},")
    far = [result["spacing"].round(1).tolist() for result in results if max(result["mm"], default=0) >= 1]
    print(f"{np.sum(millimeters >= 1)} beyond 1 mm (voxels {far}), ", end="")
    print(f"{len(renamed)} draws with other names, {len(told)} of them with a warning, {none_found} without a spine")
    assert np.median(millimeters) < 1.0 and shares[0] >= LEAST_WITHIN_1_MM[kind] and shares[1] > 0.9
    assert len(told) == len(renamed), "how many are renamed: see docs/robustness.md"
    assert none_found <= max(1, len(DRAWS) // 12)
