"""Patients who lie otherwise than the scan's axes say, and small ones, are found out and labeled all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.core.volume import Volume, apply_affine, to_canonical
from VertebraLabelingLib.pipeline.labeler import VertebraLabeler
from VertebraLabelingLib.pipeline.pose_search import GLANCES, LARGEST, TURNS_DEG, Findings, find_pose
from VertebraLabelingLib.preprocessing.pose import PatientPose
from VertebraLabelingLib.preprocessing.resampling import MAX_OBLIQUITY_DEG, metal_free_block_mean, obliquity_deg
from VertebraLabelingLib.scans.read_scan import read_volume

EVERY_TURN = [PatientPose(degrees, head_down) for head_down in (False, True) for degrees in range(0, 360, 15)]


def evidence(detection: float, sure: float = 8.0, count: int = 6, size: float = 1.0) -> Evidence:
    """A spine from T5 down of one detection; the correct level of each vertebra costs ``sure`` less than all others."""
    unary = np.full((count, len(LEVELS)), sure)
    unary[np.arange(count), LEVEL_INDEX["T5"] + np.arange(count)] = 0
    points = np.array([(10.0, 20.0, 150 - size * 24.0 * row) for row in range(count)])
    corners = np.array([(x, y, z) for x in (-90, 90) for y in (-90, 90) for z in (-10, 290)], dtype=float)
    return Evidence(points, unary, np.full(count, detection), np.full(len(LEVELS), 0.5), corners)


def network_looking_at(patient: PatientPose):
    """What a network finds that knows patients as they should lie: the less, the farther the tried turn is off."""

    def look(tried: PatientPose) -> Evidence:
        off = (tried.degrees - patient.degrees + 180) % 360 - 180
        seen = 0.75 * np.exp(-0.5 * (off / 28) ** 2) + 0.08
        return evidence(seen) if tried.head_down == patient.head_down else evidence(0.9 * seen, sure=0.5)

    return look


@pytest.mark.parametrize("patient", EVERY_TURN)
def test_each_turn_is_found_as_well_as_the_network_needs_it(patient):
    """The nearest turn that is tried, or one in which as much is seen as of patients who lie as usual."""
    look = network_looking_at(patient)
    found, _, glances = counted(look)
    assert found.enlarged == 1 and len(glances) == len(set(glances)) <= GLANCES + 1
    if Findings.of(look(PatientPose())).sure(SHIPPED.pose):
        assert found == PatientPose() and not patient.head_down and min(patient.degrees, 360 - patient.degrees) <= 30
    else:
        assert found.head_down == patient.head_down
        off = abs((found.degrees - patient.degrees + 180) % 360 - 180)
        assert off <= 15 or Findings.of(look(found)).certainty >= SHIPPED.pose.standing


def counted(look):
    """A search from the usual pose: what it finds, the poses that it looks at in full, those that it glances at."""
    looks, glances = [], []

    def noting(where):
        return lambda pose: where.append(pose) or look(pose)

    found = find_pose(look(PatientPose()), noting(looks), noting(glances))
    return found, looks, glances


@pytest.mark.parametrize(
    ("patient", "most"),
    [(PatientPose(180), 2), (PatientPose(90), 3), (PatientPose(270), 4), (PatientPose(0, True), 1)],
    ids=("on the belly", "on the right", "on the left", "feet first"),
)
def test_likely_poses_are_glanced_at_first_and_only_the_one_taken_is_looked_at(patient, most):
    found, looks, glances = counted(network_looking_at(patient))
    assert (found, looks) == (patient, [patient])
    assert len(glances) == len(set(glances)) <= most


def test_where_nothing_is_found_that_is_known_after_ten_glances():
    found, looks, glances = counted(lambda pose: evidence(0.1))
    assert (found, looks) == (PatientPose(), [PatientPose(head_down=True)])
    assert len(glances) == len(set(glances)) == 10


@pytest.mark.parametrize("seed", range(40))
def test_however_much_a_pose_shows_few_are_tried(seed):
    """The budget: at most three poses in full, and so many glances as take about as long."""
    rng = np.random.default_rng(seed)
    shown = {}

    def look(pose):
        return shown.setdefault(pose, evidence(rng.uniform(0, 0.6), rng.uniform(0, 4), rng.integers(1, 8)))

    _, looks, glances = counted(look)
    assert len(looks) <= 3 and len(glances) <= GLANCES + 2


def test_a_glance_at_the_other_way_up_that_names_clearly_less_saves_a_look():
    belly = PatientPose(180)
    look = network_looking_at(belly)

    def dimly(pose):
        return replace(look(pose), detection=0.5 * look(pose).detection)

    found, looks, _ = counted(dimly)
    assert (found, looks) == (belly, [belly])


@pytest.mark.parametrize("degrees", range(0, 360, 15))
def test_beside_a_right_angle_another_turn_shows_another_picture(degrees):
    """Up to 15 degrees the networks look along the scan's own axes: to glance there again would be in vain."""
    if degrees in TURNS_DEG:
        canonical = to_canonical(PatientPose(degrees).to_usual(Volume(np.zeros((9, 8, 7)), np.eye(4)), np.zeros(3)))
        assert degrees % 90 == 0 or obliquity_deg(canonical) > MAX_OBLIQUITY_DEG + 1
    else:
        assert abs((degrees + 45) % 90 - 45) <= MAX_OBLIQUITY_DEG


def test_a_sure_spine_that_makes_no_chain_is_looked_at_upside_down_and_no_more():
    """As where a vertebra is missing or doubled: nobody who is seen so well is turned."""
    upright = evidence(0.6)
    shuffled = replace(upright, unary=upright.unary[[3, 0, 5, 2, 4, 1]])
    found, looks, glances = counted(lambda pose: shuffled)
    assert (found, looks, glances) == (PatientPose(), [PatientPose(head_down=True)], [])


def test_a_spine_that_a_glance_shows_best_as_it_lies_is_not_turned():
    def glance(pose):
        return evidence(0.7 if pose == PatientPose() else 0.3)

    assert find_pose(evidence(0.2), lambda pose: evidence(0.1), glance) == PatientPose()


@pytest.mark.parametrize("head_down", [False, True])
def test_head_and_feet_are_told_apart_by_looking_in_full(head_down):
    """Of few vertebrae as many are named upside down; then the rest of the scan decides."""
    patient = PatientPose(90, head_down)

    def seen(pose, other_way_up):
        if pose.degrees != 90:
            return evidence(0.1)
        return evidence(0.39 if pose.head_down == patient.head_down else other_way_up)

    found = find_pose(evidence(0.1), lambda pose: seen(pose, 0.3), lambda pose: seen(pose, 0.41))
    assert found == patient


def test_what_only_a_glance_finds_better_is_not_taken():
    belly = PatientPose(180)
    found = find_pose(evidence(0.2), lambda pose: evidence(0.2), lambda pose: evidence(0.7 if pose == belly else 0.1))
    assert found == PatientPose()


def test_a_clear_spine_is_looked_at_once():
    def look(turn):
        raise AssertionError(turn)

    assert find_pose(evidence(0.7), look, look) == PatientPose()


@pytest.mark.parametrize("elsewhere", (0.0, 0.2, 0.22))
def test_what_is_found_no_better_in_another_way_stays_as_it_is(elsewhere):
    assert find_pose(evidence(0.2), *2 * [lambda turn: evidence(elsewhere)]) == PatientPose()


def test_a_spine_that_is_clear_but_makes_no_chain_is_looked_at_again_with_the_head_down():
    upright = evidence(0.6)
    shuffled = replace(upright, unary=upright.unary[[3, 0, 5, 2, 4, 1]])
    assert Findings.of(shuffled).certainty >= SHIPPED.pose.unsure and not Findings.of(shuffled).sure(SHIPPED.pose)
    look = [lambda turn: upright if turn.head_down else shuffled]
    assert find_pose(shuffled, *2 * look) == PatientPose(head_down=True)


@pytest.mark.parametrize(("share", "head_down"), [(0.48, False), (0.95, True)])
def test_another_pose_that_names_more_but_not_most_of_what_it_sees_is_not_taken(monkeypatch, share, head_down):
    """Two vertebrae of a narrow field of view with voxels of 7 mm, as found."""
    known = {False: Findings(0.26, 0.354, 0.92), True: Findings(0.34, 0.499, share)}
    monkeypatch.setattr(Findings, "of", classmethod(lambda cls, turned, numbers: known[turned]))
    look = [lambda pose: pose == PatientPose(head_down=True)]
    assert find_pose(False, *2 * look) == PatientPose(head_down=head_down)


def test_without_any_candidate_the_patient_stays_as_he_lies():
    none = Evidence(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), np.full(26, 0.5), evidence(0.5).corners)
    assert Findings.of(none) == Findings(0, 0, 0)
    assert find_pose(none, *2 * [lambda turn: none]) == PatientPose()


def network_knowing_adults(size: float):
    """What a network finds of a patient of some size, lying as he should: the less, the smaller he looks."""

    def look(tried: PatientPose) -> Evidence:
        seen = size * tried.enlarged
        lying = (not tried.head_down) * np.exp(-0.5 * (min(tried.degrees, 360 - tried.degrees) / 28) ** 2)
        return evidence(0.75 * np.exp(-0.5 * (np.log(seen) / 0.35) ** 2) * lying, size=seen)

    return look


@pytest.mark.parametrize("size", (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85))
def test_a_small_patient_is_enlarged_to_an_adults_size(size):
    look = network_knowing_adults(size)
    found = find_pose(look(PatientPose()), look, look)
    assert (found.degrees, found.head_down) == (0, False)
    assert 0.88 <= found.enlarged * size <= 1.12 and found.enlarged <= LARGEST


@pytest.mark.parametrize("size", (0.92, 1.0, 1.1, 1.25))
def test_an_adult_is_looked_at_once_and_not_enlarged(size):
    look = network_knowing_adults(size)
    assert find_pose(look(PatientPose()), *2 * [lambda pose: pytest.fail(str(pose))]) == PatientPose()


@pytest.mark.parametrize(("named", "certainty"), [(1.0, 1.0), (1.05, 1.0), (1.5, 0.9)])
def test_vertebrae_close_together_are_not_enlarged_where_that_does_not_show_more(monkeypatch, named, certainty):
    first = Findings(certainty=0.5, named=2.0, named_share=0.9, size=0.8)
    larger = Findings(certainty=0.5 * certainty, named=2.0 * named, named_share=0.9)
    known = {0.8: first, 1.0: larger}
    monkeypatch.setattr(Findings, "of", classmethod(lambda cls, size, numbers: known[size]))
    assert find_pose(0.8, *2 * [lambda pose: 1.0]) == PatientPose()


@pytest.mark.parametrize("pose", [*EVERY_TURN, PatientPose(enlarged=1.4), PatientPose(105, True, 1.7)])
def test_points_found_in_the_patients_own_world_come_back_to_the_scans(pose):
    affine = np.array([[0.8, 0, 0, -120], [0, 0.7, 0.1, 40], [0, 0, 2.5, -900], [0, 0, 0, 1]])
    volume = Volume(np.zeros((9, 8, 7), dtype=np.float32), affine)
    ijk, center = np.array([(0, 0, 0), (6, 7, 8), (3.5, 2, 1)]), np.array([3.0, -20, -890])
    undone = pose.to_usual(volume, center)
    np.testing.assert_allclose(undone.spacing, pose.enlarged * volume.spacing)
    found = Evidence(
        apply_affine(undone.ijk_to_ras, ijk), np.ones((3, 26)), np.ones(3), np.full(26, 0.5), undone.corners
    )
    np.testing.assert_allclose(pose.from_usual(found, center).points, apply_affine(affine, ijk), atol=1e-9)
    np.testing.assert_allclose(pose.from_usual(found, center).corners, volume.corners, atol=1e-9)
    assert np.isclose(np.linalg.det(pose.matrix), pose.enlarged**3)


def test_a_scan_far_from_the_origin_stays_there():
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = 9.9e4
    volume = Volume(np.zeros((9, 8, 7), dtype=np.float32), affine)
    undone = PatientPose(90, True, LARGEST).to_usual(volume, volume.corners.mean(axis=0))
    np.testing.assert_allclose(undone.corners.mean(axis=0), volume.corners.mean(axis=0))


@pytest.mark.parametrize(
    ("pose", "sentences"),
    [
        (PatientPose(), ()),
        (PatientPose(30), ("The patient seems to lie turned by about 30 degrees in this scan, and was labeled so.",)),
        (PatientPose(330), ("The patient seems to lie turned by about 30 degrees in this scan, and was labeled so.",)),
        (PatientPose(180), ("about 180 degrees in this scan, and was labeled so: check the scan's orientation, left",)),
        (PatientPose(0, True), ("The patient seems to lie upside down in this scan, and was labeled so: check",)),
        (PatientPose(90, True), ("lie upside down and turned by about 90 degrees in this scan",)),
        (
            PatientPose(enlarged=1.25),
            ("The spine is small, about 80 % of a usual adult's, and was labeled enlarged: check",),
        ),
        (PatientPose(45, enlarged=1.43), ("turned by about 45 degrees", "about 70 % of a usual adult's")),
    ],
)
def test_the_user_is_told(pose, sentences):
    assert len(pose.warnings) == len(sentences)
    assert all(part in said for part, said in zip(sentences, map(str, pose.warnings)))


@pytest.fixture(scope="module")
def scan(sample_ct):
    volume = read_volume(sample_ct)
    return metal_free_block_mean(volume, (3, 3, 1))


@pytest.fixture(scope="module")
def upright(scan):
    return VertebraLabeler(device="cpu").label(scan)


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (np.diag([-1, -1, 1]), "turned by about 180 degrees"),
        (np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), "turned by about 90 degrees"),
        (np.diag([-1, 1, -1]), "upside down"),
        (np.diag([1, 1, -1]), "upside down"),
    ],
    ids=("on the belly", "on the side", "feet first", "saved feet for head"),
)
def test_the_sample_patient_is_labeled_alike_however_the_header_lays_him(scan, upright, sample_truth, world, said):
    affine = np.eye(4)
    affine[:3, :3] = world
    told = []
    labels = VertebraLabeler(device="cpu").label(
        Volume(scan.array, affine @ scan.ijk_to_ras), progress=lambda fraction, _: told.append(fraction)
    )
    whole = [level for level, point in sample_truth.items() if not point.cut]
    assert set(labels.by_level) - set(sample_truth) == set()
    expected = apply_affine(affine, [upright.by_level[level].ras for level in whole])
    found = [labels.by_level[level].ras for level in whole]
    assert np.linalg.norm(expected - found, axis=1).max() <= 1.5
    assert any(said in text for text in map(str, labels.warnings))
    assert told == sorted(told)
    corners = Volume(scan.array, affine @ scan.ijk_to_ras).corners
    assert all(np.abs(labels.evidence.corners - corner).max(axis=1).min() < 1e-6 for corner in corners)


def test_the_sample_patient_as_he_lies_is_not_said_to_be_turned(upright):
    assert not any("seems to lie" in text for text in map(str, upright.warnings))


@pytest.mark.parametrize("size", (0.75, 0.85))
def test_a_smaller_patient_gets_the_same_names(scan, upright, sample_truth, size):
    affine = np.diag([size, size, size, 1.0])
    labels = VertebraLabeler(device="cpu").label(Volume(scan.array, affine @ scan.ijk_to_ras))
    whole = [level for level, point in sample_truth.items() if not point.cut]
    expected = apply_affine(affine, [upright.by_level[level].ras for level in whole])
    found = [labels.by_level[level].ras for level in whole]
    assert np.linalg.norm(expected - found, axis=1).max() <= 1.5
    assert set(labels.by_level) - set(sample_truth) == set()
