"""The shipped network on the sample CT, a patient that it has never seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from VertebraLabelingLib.core.field_of_view import distance_to_face
from VertebraLabelingLib.core.metrics import score_case
from VertebraLabelingLib.core.parameters import GROUPS, SHIPPED, MissingParameters, PipelineParameters, PoseParameters
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.errors import Cancelled, NoSpineError, NotCtError
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.preprocessing.resampling import metal_free_block_mean
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.solver.chain import relabel


@pytest.fixture(scope="module")
def labeler():
    return VertebraLabeler(device="cpu")


@pytest.fixture(scope="module")
def volume(sample_ct):
    return read_volume(sample_ct)


@pytest.fixture(scope="module")
def labels(labeler, volume):
    return labeler.label(volume)


def shifted_by(i, j, k):
    """(4, 4) that begins the voxels at these indices."""
    matrix = np.eye(4)
    matrix[:3, 3] = i, j, k
    return matrix


def error_mm(labels, truth):
    found = labels.by_level
    return [np.linalg.norm(np.subtract(found[p.level].ras, p.ras)) for p in truth.values() if not p.cut]


def test_every_whole_vertebra_of_the_demo_patient_is_named_rightly(labels, sample_truth):
    truth = {level: point.ras for level, point in sample_truth.items()}
    cut = {level for level, point in sample_truth.items() if point.cut}
    score = score_case("demo", {point.level: point.ras for point in labels.points}, truth, cut)
    assert score.missed == () and score.false_positives == ()
    distances = error_mm(labels, sample_truth)
    assert np.mean(distances) < 1.8 and max(distances) < 4.2  # measured 1.26 and 2.64; the truth is good to 1-3 mm


def test_the_result_says_where_it_comes_from(labels):
    assert len(labels.provenance["weights_sha256"]) == 64
    assert labels.provenance["device"] == "cpu" and labels.provenance["seconds"] > 0
    assert all(0 <= point.confidence <= 1 and point.status == "predicted" for point in labels.points)


def test_axis_order_and_flips_do_not_move_a_point(labeler, volume, labels):
    """The array stored sagittally and upside down, its affine saying so, is the same scan."""
    array = volume.array.transpose(2, 0, 1)[:, ::-1]
    affine = volume.ijk_to_ras[:, [1, 2, 0, 3]].copy()  # new (i, j, k) = old (j, k, i)
    affine[:3, 3] += affine[:3, 1] * (array.shape[1] - 1)
    affine[:3, 1] *= -1
    turned = labeler.label(Volume(array, affine))
    assert [p.level for p in turned.points] == [p.level for p in labels.points]
    distance = [np.linalg.norm(np.subtract(a.ras, b.ras)) for a, b in zip(turned.points, labels.points)]
    assert max(distance) < 1.0


def axis_orders(volume):
    """All 48 ways to store a scan along its own axes, those of one permutation one after the other."""
    size = np.array(volume.array.shape[::-1])  # along i, j, k
    for order in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            affine, array = volume.ijk_to_ras.copy(), volume.array
            for axis in range(3):
                if flips[axis]:
                    affine[:3, 3] += affine[:3, axis] * (size[axis] - 1)
                    affine[:3, axis] *= -1
                    array = np.flip(array, 2 - axis)
            affine[:, :3] = affine[:, list(order)]
            yield Volume(array.transpose([2 - axis for axis in reversed(order)]), affine)


@pytest.mark.parametrize(
    "labeled",
    [(13, 31, 42), pytest.param((4, 9, 13, 18, 22, 27, 31, 36, 40, 45), marks=pytest.mark.long)],
    ids=["three", "ten"],
)
def test_all_48_axis_orders_of_one_ct_give_one_answer(labeler, volume, labeled):
    """All are prepared as one scan, voxel for voxel; three, differing in order and flips, are labeled too, and in the
    long tests ten, in which every permutation and every set of flips comes."""
    small = metal_free_block_mean(volume, (4, 4, 1))
    prepared, expected = PreparedScan.of(small).volume, labeler.label(small).by_level
    assert len(expected) >= 13
    for number, stored in enumerate(axis_orders(small)):
        again = PreparedScan.of(stored).volume
        np.testing.assert_array_equal(again.array, prepared.array)
        np.testing.assert_allclose(again.ijk_to_ras, prepared.ijk_to_ras, atol=1e-9)
        if number in labeled:
            found = labeler.label(stored).by_level
            assert list(found) == list(expected), number
            assert all(np.linalg.norm(np.subtract(found[n].ras, expected[n].ras)) < 1.0 for n in expected)


def test_a_crop_without_most_of_the_scan_is_still_labeled(labeler, volume, sample_truth):
    part = Volume(volume.array[30:105], volume.ijk_to_ras @ shifted_by(0, 0, 30))
    found = labeler.label(part).by_level
    low, high = part.corners.min(axis=0)[2], part.corners.max(axis=0)[2]
    whole = [level for level, point in sample_truth.items() if low + 20 < point.ras[2] < high - 20]
    assert len(whole) >= 4 and set(whole) <= set(found)
    assert max(np.linalg.norm(np.subtract(found[n].ras, sample_truth[n].ras)) for n in whole) < 4.0


def test_no_point_lies_outside_the_image(labels, volume):
    assert (distance_to_face(np.array([point.ras for point in labels.points]), volume.corners) >= 0).all()


def test_the_points_are_drawn_to_the_line_of_their_chain(labeler, volume, labels, monkeypatch):
    monkeypatch.setattr(stages, "with_smooth_chain", lambda evidence, chain, p: evidence)
    each_by_itself = labeler.label(volume)
    assert [point.level for point in each_by_itself.points] == [point.level for point in labels.points]
    steps = [np.linalg.norm(np.subtract(a.ras, b.ras)) for a, b in zip(labels.points, each_by_itself.points)]
    assert 0 < max(steps) <= SHIPPED.smoothing.most_mm + 0.01


def test_the_numbers_of_a_run_are_those_of_its_model(labeler, volume, labels):
    """Another model file brings its own: none is read from elsewhere."""
    read = set()

    def watched(group):
        kind = type(group)

        class Watched(kind):
            def __getattribute__(self, name):
                if name in kind.__dataclass_fields__:
                    read.add((kind.__name__, name))
                return super().__getattribute__(name)

        return Watched(**vars(group))

    parameters = PipelineParameters(**{name: watched(group) for name, group in vars(SHIPPED).items()})
    other = VertebraLabeler(device="cpu")
    other._model = replace(labeler.model, parameters=parameters)
    assert other.label(volume).points == labels.points
    every = {(kind.__name__, name) for kind in GROUPS.values() for name in kind.__dataclass_fields__}
    where_the_scan_is_usual = {("MissingParameters", name) for name in MissingParameters.__dataclass_fields__}
    where_the_scan_is_usual |= {("PoseParameters", name) for name in PoseParameters.__dataclass_fields__}
    where_the_scan_is_usual |= {("ImplantParameters", "at_level_mm3"), ("ImplantParameters", "least_mm3")}
    where_the_scan_is_usual |= {("EndParameters", "most_tissue")}
    assert every - read <= where_the_scan_is_usual
    assert {("MissingParameters", "wide"), ("PoseParameters", "small"), ("ImplantParameters", "near_mm")} <= read


def test_a_correction_solves_with_the_weights_of_the_run(labeler, volume, labels):
    bold = replace(SHIPPED, chain=replace(SHIPPED.chain, calibration=(0.0,) * 6))
    other = VertebraLabeler(device="cpu")
    other._model = replace(labeler.model, parameters=bold)
    result = other.label(volume)
    assert {point.confidence for point in result.points} == {0.5}
    first, *rest = relabel(result, {result.points[0].level: result.points[0].ras}).points
    assert first.confidence == 1.0 and {point.confidence for point in rest} == {0.5}
    damaged = replace(result, provenance={**result.provenance, "chain_parameters": {"appearance": "high"}})
    assert relabel(damaged, {}).points == relabel(labels, {}).points
    assert "chain_parameters" not in labels.provenance


def test_a_fixed_point_stays_and_its_neighbors_are_named_after_it(labeler, volume, labels, sample_truth):
    fixed = labeler.label(volume, fixed={"T7": sample_truth["T6"].ras})  # one level off on purpose
    assert np.allclose(fixed.by_level["T7"].ras, sample_truth["T6"].ras)
    assert np.linalg.norm(np.subtract(fixed.by_level["T8"].ras, sample_truth["T7"].ras)) < 10
    assert [p.level for p in relabel(labels, {"T7": sample_truth["T6"].ras}).points] == [p.level for p in fixed.points]


def test_progress_rises_to_one_and_names_the_stages(labeler, volume):
    seen = []
    labeler.label(volume, progress=lambda fraction, message: seen.append((fraction, message)))
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == 1
    assert len({message for _, message in seen}) >= 4


@pytest.mark.parametrize("calls", [0, 2, 5, 9])
def test_cancelling_at_any_stage_ends_the_call(labeler, volume, calls):
    count = iter(range(1000))
    with pytest.raises(Cancelled):
        labeler.label(volume, cancelled=lambda: next(count) >= calls)


def test_a_volume_without_a_spine_is_one_clear_sentence(labeler):
    """A water phantom: a CT, but nobody in it."""
    k, j, i = np.ogrid[:60, :64, :64]
    phantom = np.where((j - 32) ** 2 + (i - 32) ** 2 < 25**2, 0, -1000) + 0 * k
    noise = np.random.default_rng(0).normal(0, 10, phantom.shape)
    with pytest.raises((NoSpineError, NotCtError)) as caught:
        labeler.label(Volume((phantom + noise).astype(np.float32), np.diag([-4.0, -4.0, 4.0, 1.0])))
    assert str(caught.value).count(".") == 1
