"""Patients who lie otherwise than the scan's axes say are found out, and labeled all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from VertebraLabelingLib.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.io import read_volume
from VertebraLabelingLib.labeler import VertebraLabeler
from VertebraLabelingLib.labels import Evidence
from VertebraLabelingLib.patient_turn import UNSURE, Findings, PatientTurn, find_turn
from VertebraLabelingLib.volume import Volume, apply_affine, block_mean

EVERY_TURN = [PatientTurn(degrees, head_down) for head_down in (False, True) for degrees in range(0, 360, 15)]


def evidence(detection: float, sure: float = 8.0, count: int = 6) -> Evidence:
    """A spine from T5 down of one detection; the right level of each vertebra costs ``sure`` less than all others."""
    unary = np.full((count, len(LEVELS)), sure)
    unary[np.arange(count), LEVEL_INDEX["T5"] + np.arange(count)] = 0
    points = np.array([(10.0, 20.0, 150 - 24.0 * row) for row in range(count)])
    corners = np.array([(x, y, z) for x in (-90, 90) for y in (-90, 90) for z in (-10, 290)], dtype=float)
    return Evidence(points, unary, np.full(count, detection), np.full(len(LEVELS), 0.5), corners)


def network_looking_at(patient: PatientTurn):
    """What a network finds that knows patients as they should lie: the less, the farther the tried turn is off."""

    def look(tried: PatientTurn) -> Evidence:
        off = (tried.degrees - patient.degrees + 180) % 360 - 180
        seen = 0.75 * np.exp(-0.5 * (off / 28) ** 2) + 0.08
        return evidence(seen) if tried.head_down == patient.head_down else evidence(0.9 * seen, sure=0.5)

    return look


@pytest.mark.parametrize("patient", EVERY_TURN)
def test_each_turn_is_found_within_half_a_fine_step_where_it_matters(patient):
    look = network_looking_at(patient)
    found = find_turn(look(PatientTurn()), look)
    if Findings.of(look(PatientTurn())).certainty >= UNSURE:
        assert found is None and not patient.head_down and min(patient.degrees, 360 - patient.degrees) <= 30
    else:
        assert found is not None and found.head_down == patient.head_down
        assert abs((found.degrees - patient.degrees + 180) % 360 - 180) <= 7.5


def test_a_clear_spine_is_looked_at_once():
    def look(turn):
        raise AssertionError(turn)

    assert find_turn(evidence(0.7), look) is None


@pytest.mark.parametrize("elsewhere", (0.0, 0.2, 0.22))
def test_what_is_found_no_better_in_another_way_stays_as_it_is(elsewhere):
    assert find_turn(evidence(0.2), lambda turn: evidence(elsewhere)) is None


def test_a_spine_that_is_clear_but_makes_no_chain_is_looked_at_again_with_the_head_down():
    upright = evidence(0.8)
    shuffled = replace(upright, unary=upright.unary[[3, 0, 5, 2, 4, 1]])
    assert Findings.of(shuffled).certainty >= UNSURE
    assert find_turn(shuffled, lambda turn: upright if turn.head_down else shuffled) == PatientTurn(head_down=True)


def test_without_any_candidate_the_patient_stays_as_he_lies():
    none = Evidence(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), np.full(26, 0.5), evidence(0.5).corners)
    assert Findings.of(none) == Findings(0, 0, 0)
    assert find_turn(none, lambda turn: none) is None


@pytest.mark.parametrize("turn", EVERY_TURN)
def test_points_found_in_the_patients_own_world_come_back_to_the_scans(turn):
    affine = np.array([[0.8, 0, 0, -120], [0, 0.7, 0.1, 40], [0, 0, 2.5, -900], [0, 0, 0, 1]])
    volume = Volume(np.zeros((9, 8, 7), dtype=np.float32), affine)
    ijk = np.array([(0, 0, 0), (6, 7, 8), (3.5, 2, 1)])
    undone = turn.undone(volume)
    found = Evidence(
        apply_affine(undone.ijk_to_ras, ijk), np.ones((3, 26)), np.ones(3), np.full(26, 0.5), undone.corners
    )
    np.testing.assert_allclose(turn.redone(found).points, apply_affine(affine, ijk), atol=1e-9)
    np.testing.assert_allclose(turn.redone(found).corners, volume.corners, atol=1e-9)
    assert np.isclose(np.linalg.det(turn.rotation), 1)


@pytest.mark.parametrize(
    ("turn", "sentence"),
    [
        (PatientTurn(30), "The patient seems to lie turned by about 30 degrees in this scan, and was labeled so."),
        (PatientTurn(330), "The patient seems to lie turned by about 30 degrees in this scan, and was labeled so."),
        (
            PatientTurn(180),
            "about 180 degrees in this scan, and was labeled so: check the scan's orientation, left",
        ),
        (PatientTurn(0, True), "The patient seems to lie upside down in this scan, and was labeled so: check"),
        (PatientTurn(90, True), "lie upside down and turned by about 90 degrees in this scan"),
    ],
)
def test_the_user_is_told(turn, sentence):
    assert sentence in turn.sentence


@pytest.fixture(scope="module")
def scan(sample_ct):
    volume = read_volume(sample_ct)
    return block_mean(volume, (3, 3, 1))


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
    assert any(said in text for text in labels.warnings)
    assert told == sorted(told)
    corners = Volume(scan.array, affine @ scan.ijk_to_ras).corners
    assert all(np.abs(labels.evidence.corners - corner).max(axis=1).min() < 1e-6 for corner in corners)


def test_the_sample_patient_as_he_lies_is_not_said_to_be_turned(upright):
    assert not any("seems to lie" in text for text in upright.warnings)
