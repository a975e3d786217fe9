"""Reading levels along the straightened spine: mean rows, costs, added and cut bodies, and the phantom as a whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from axis_orders import name_of, stored, turned
from phantoms import affine, body
from torch import nn
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.networks.level_network import OUTPUTS, STRIDE, Counted, LevelNetwork
from VertebraLabelingLib.pipeline.level_classification import (
    ROW_MM,
    RowLevels,
    classify_along,
    level_centers,
    level_costs,
    named_by_rows,
    off_center_costs,
    with_level_bodies,
)
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan
from VertebraLabelingLib.preprocessing.straightening import BEYOND_MM

NUMBERS = SHIPPED.levels
ALONE = replace(NUMBERS, weight=1.0)  # the level network has all of the say

GAP_MM = 24.0  # from body to body of the phantom: six rows
C3, C4, T1 = (LEVEL_INDEX[level] for level in ("C3", "C4", "T1"))


def evidence_at(points, offsets=None, first_level=15) -> Evidence:
    """Candidates at world places, head to foot; ``offsets`` are their likely levels, counted from ``first_level``."""
    points = np.asarray(points, dtype=float).reshape(-1, 3)
    count = len(points)
    likely = first_level + np.asarray(range(count) if offsets is None else offsets)
    unary = np.minimum(3.0 * np.abs(np.arange(len(LEVELS)) - likely[:, None]), 12.0)
    corners = np.array(np.meshgrid((-70, 70), (-70, 70), (0, 400), indexing="ij"), dtype=float).reshape(3, 8).T
    return Evidence(points, unary, np.full(count, 0.9), np.full(len(LEVELS), 0.5), corners)


def log_shares(rows: int, shares: dict) -> np.ndarray:
    """(R, 27) log-probabilities; level -> {row: share of the row}, what is left is "no vertebra"."""
    share = np.zeros((rows, OUTPUTS))
    for level, its in shares.items():
        for row, part in its.items():
            share[row, level] = part
    share[:, -1] = 1 - share.sum(axis=1)
    return np.log(np.maximum(share, 1e-9))


def recount(evidence, volume, network) -> Evidence:
    """RowLevels and name, as the labeler does where no network places points."""
    count = classify_along(evidence, PreparedScan.of(volume), network)
    return evidence if count is None else named_by_rows(with_level_bodies(evidence, count), count)


def on_curve(rows, aside_mm=0.0) -> np.ndarray:
    """(N, 3) world places at rows of the curve of :func:`random_count`, or beside it."""
    rows = np.asarray(rows, dtype=float)
    return np.stack([np.full(len(rows), 5.0) + aside_mm, np.full(len(rows), -20.0), 300.0 - ROW_MM * rows], axis=1)


def random_count(rows=40, centers=None, **more) -> RowLevels:
    """A count along a vertical curve, unsure of everything but the levels in ``centers`` (level -> row of its body)."""
    logits = np.random.default_rng(0).normal(0, 1, (rows, OUTPUTS))
    logits[:, :T1] -= 8.0
    for level, row in (centers or {}).items():
        logits[row - 1 : row + 2, level] = 14.0
    level = torch.log_softmax(torch.from_numpy(logits), 1).numpy()
    return RowLevels(level, np.zeros((rows, 4)), on_curve(np.arange(rows)), **more)


class TestCenters:
    @pytest.mark.parametrize(
        ("shares", "row"),
        [
            ({10: 1, 11: 1, 12: 1}, 11.0),
            ({10: 0.5, 11: 1, 12: 1}, 11.2),
            ({0: 1, 1: 1}, 0.5),
            ({38: 1, 39: 1}, 38.5),
        ],
    )
    def test_a_level_is_centered_at_the_mean_of_its_rows(self, shares, row):
        centers = level_centers(log_shares(40, {C3: shares}))
        assert centers[C3] == pytest.approx(row, abs=1e-4)
        assert np.isnan(np.delete(centers, C3)).all()

    @pytest.mark.parametrize(
        ("shares", "why"),
        [
            ({C3: {10: 1.0}}, "too few rows for a body"),
            ({C3: {10: 1, 11: 1, 16: 1, 17: 1}}, "two bodies"),
            ({k: {row: 0.5 for row in range(10, 16)} for k in (C3, C4)}, "two levels share two bodies"),
            ({T1: {10: 1, 11: 1, 12: 1}}, "below the neck"),
            ({}, "nothing"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_level_that_is_not_told_from_its_neighbors_has_no_center(self, shares, why):
        assert np.isnan(level_centers(log_shares(40, shares))).all()

    def test_being_off_center_costs_by_the_square_up_to_a_most(self):
        centers = np.full(len(LEVELS), np.nan)
        centers[C3] = 10.0
        rows = 10.0 + np.array([0, 1, -1, 2, 20]) * NUMBERS.center_sd_mm / ROW_MM
        costs = off_center_costs(centers, rows)
        np.testing.assert_allclose(costs[:, C3], [0, 0.5, 0.5, 2.0, NUMBERS.off_center_cost])
        assert (np.delete(costs, C3, axis=1) == 0).all()


class TestCosts:
    def test_costs_are_those_of_the_26_levels_alone(self):
        level = random_count().level
        rows = np.array([0.0, 7.25, 20.0, 39.0])
        costs = level_costs(level, rows)
        assert costs.shape == (4, len(LEVELS)) and (costs >= 0).all()
        np.testing.assert_allclose(np.exp(-costs).sum(axis=1), 1.0, atol=1e-3)
        other = level.copy()
        other[:, -1] += 5.0  # "no vertebra" says nothing of which
        np.testing.assert_allclose(level_costs(other, rows), costs)

    def test_costs_between_two_rows_are_interpolated(self):
        level = random_count(rows=2).level[:, :-1]
        between = 0.75 * level[0] + 0.25 * level[1]
        expected = -(between - np.log(np.exp(between).sum()))
        costs = level_costs(np.pad(level, ((0, 0), (0, 1))), np.array([0.25]))
        np.testing.assert_allclose(costs[0], np.clip(expected, 0, 12))

    @pytest.mark.parametrize(("row", "end"), [(-3.0, 0), (99.0, -1)])
    def test_beyond_the_ends_the_end_counts(self, row, end):
        level = random_count().level
        rows = np.array([row, float(np.arange(len(level))[end])])
        costs = level_costs(level, rows)
        np.testing.assert_allclose(costs[0], costs[1])


class TestRows:
    @pytest.mark.parametrize("row", [0.0, 3.4, 17.5, 39.0])
    @pytest.mark.parametrize("aside", [0.0, 12.0])
    def test_a_point_has_the_row_at_which_it_lies(self, row, aside):
        found, apart = random_count().rows_of(on_curve([row], aside))
        assert found[0] == pytest.approx(row, abs=1e-6)
        assert aside <= apart[0] <= np.hypot(aside, ROW_MM / 2) + 1e-6

    def test_points_beyond_the_ends_have_the_last_rows(self):
        np.testing.assert_array_equal(random_count().rows_of(on_curve([-20.0, 80.0]))[0], [0, 39])

    def test_no_points_have_no_rows(self):
        assert [len(found) for found in random_count().rows_of(np.zeros((0, 3)))] == [0, 0]


class TestAdding:
    evidence = evidence_at(on_curve((10, 16, 22)))

    def test_a_body_without_a_candidate_becomes_one_where_the_curve_passes(self):
        more = with_level_bodies(self.evidence, random_count(centers={C3: 16, C4: 28}))
        assert len(more.points) == 4
        np.testing.assert_array_equal(more.points[:3], self.evidence.points)
        np.testing.assert_array_equal(more.unary[:3], self.evidence.unary)
        np.testing.assert_allclose(more.points[3:], on_curve([28]), atol=0.1)
        assert more.unary[3].argmin() == C4 and more.unary[3, C4] < 0.01
        np.testing.assert_allclose(more.detection, [0.9, 0.9, 0.9, NUMBERS.new_detection])
        for name in ("presence", "corners"):
            np.testing.assert_array_equal(getattr(more, name), getattr(self.evidence, name))

    @pytest.mark.parametrize(
        ("away", "added"), [(NUMBERS.new_mm - 0.5, 0), (NUMBERS.new_mm + 0.5, 1), (-NUMBERS.new_mm + 0.5, 0)]
    )
    def test_a_body_near_a_candidate_is_that_candidate(self, away, added):
        evidence = evidence_at(on_curve((10, 16, 22 + away / ROW_MM)))
        assert len(with_level_bodies(evidence, random_count(centers={C3: 22})).points) == 3 + added

    def test_a_candidate_far_from_the_curve_does_not_stand_for_a_body_on_it(self):
        evidence = evidence_at(np.concatenate([on_curve((10, 22)), on_curve([16], NUMBERS.farthest_mm + 1)]))
        assert len(with_level_bodies(evidence, random_count(centers={C3: 16})).points) == 4


class TestMixing:
    evidence = evidence_at(on_curve((10, 16, 22)))

    @pytest.mark.parametrize(
        ("weight", "t9", "t10", "far_from_c3", "near_c3", "unsure"),
        [
            (0.0, 0.0, 3.0, 12.0, 12.0, 0.0),
            (0.3, 0.13863, 2.37726, 11.6, 8.464, 0.65162),
            (1.0, 0.46210, 0.92420, 10.66667, 0.21333, 2.17206),
        ],
    )
    def test_the_costs_are_the_weighted_mean_of_both_networks(self, weight, t9, t10, far_from_c3, near_c3, unsure):
        """Worked by hand. The count says T9 with ln 2 / 1.5, T10 with ln 4 / 1.5, and of 26 levels alike ln 26 / 1.5.

        One row (4 mm) off the middle of C3 costs 0.32 / 1.5; far from C3 a candidate pays both most, (12 + 4) / 1.5.
        """
        t9_index, t11_index = LEVEL_INDEX["T9"], LEVEL_INDEX["T11"]
        shares = {C3: {15: 1, 16: 1, 17: 1}, t9_index: {10: 0.5}, t9_index + 1: {10: 0.25}, t11_index: {10: 0.25}}
        evidence = evidence_at(on_curve((10, 17, 22)), first_level=t9_index)
        mixed = named_by_rows(
            evidence,
            RowLevels(log_shares(40, shares), np.zeros((40, 4)), on_curve(np.arange(40))),
            replace(NUMBERS, weight=weight),
        )
        first, second, third = mixed.unary
        found = [first[t9_index], first[t9_index + 1], first[C3], second[C3], third[t11_index]]
        np.testing.assert_allclose(found, [t9, t10, far_from_c3, near_c3, unsure], atol=1e-4)
        np.testing.assert_array_equal(mixed.points, evidence.points)

    def test_the_centered_level_is_cheapest_at_its_own_candidate(self):
        mixed = named_by_rows(self.evidence, random_count(centers={C3: 16, C4: 22}), ALONE)
        assert mixed.unary[:, C3].argmin() == 1 and mixed.unary[:, C4].argmin() == 2

    def test_a_candidate_far_from_the_curve_gets_no_vote_on_its_level(self):
        aside = [
            on_curve([row], mm) for row, mm in ((10, 0), (16, NUMBERS.farthest_mm + 1), (22, NUMBERS.farthest_mm - 1))
        ]
        mixed = named_by_rows(evidence_at(np.concatenate(aside)), random_count(), replace(NUMBERS, weight=0.1))
        spread = np.ptp(mixed.unary - 0.9 * self.evidence.unary, axis=1)
        assert spread[1] < 1e-9  # the same for every level
        assert (spread[[0, 2]] > 0.1).all()

    def test_candidates_look_as_their_rows_do_and_ribs_are_usual(self):
        signs = np.zeros((40, 4))
        signs[16] = 1.0, 2.0, 3.0, 4.0
        count = replace(random_count(), landmarks=signs)
        points = np.concatenate([on_curve([16]), on_curve([16], NUMBERS.farthest_mm + 1)])
        mixed = named_by_rows(evidence_at(points), count, replace(NUMBERS, rib_prior=2.0))
        assert mixed.landmarks.tolist() == [[1.0, 2.0, 5.0, 4.0], [0.0, 0.0, 0.0, 0.0]]

    @pytest.mark.parametrize(
        ("last", "kept"),
        [
            (np.inf, [10, 16, 22, 28]),
            (28 + 6 * NUMBERS.end_room + 0.1, [10, 16, 22, 28]),
            (28 + 6 * NUMBERS.end_room - 0.1, [10, 16, 22]),
            (22 + 6 * NUMBERS.end_room - 0.1, [10, 16]),
        ],
    )
    def test_bodies_that_the_end_of_the_field_of_view_cuts_are_left_out(self, last, kept):
        """Those of the detection network and those that the count adds (row 28)."""
        count = random_count(centers={C4: 28}, last=last, gap=6.0)
        mixed = named_by_rows(with_level_bodies(self.evidence, count), count)
        np.testing.assert_allclose(mixed.points, on_curve(kept), atol=0.1)
        assert len(mixed.unary) == len(mixed.detection) == len(kept)

    def test_a_part_of_the_spine_beyond_the_end_of_the_curve_is_kept(self):
        """Where the spine leaves the field of view and comes back, the rest of it is not cut: it is elsewhere."""
        elsewhere = on_curve([40, 46], NUMBERS.farthest_mm + 1)
        count = random_count(last=22 + 6 * NUMBERS.end_room + 0.1, gap=6.0)
        mixed = named_by_rows(evidence_at(np.concatenate([on_curve((10, 16, 22, 28)), elsewhere])), count)
        np.testing.assert_allclose(mixed.points, np.concatenate([on_curve((10, 16, 22)), elsewhere]), atol=0.1)


def phantom(balls, axes=None, spacing=(2.5, 2.5, 3.0)):
    """A trunk with dense balls; about 130 x 130 x 250 mm around (2, 1, 164)."""
    axes = np.eye(3) if axes is None else axes
    size = np.round(np.array([130.0, 130.0, 252.0]) / spacing).astype(int)
    origin = np.array([1.75, 0.75, 164.5]) - axes @ ((size - 1) / 2 * spacing)
    return body(tuple(size[::-1]), affine(spacing, origin, axes), balls)


GANTRY_TILT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, np.sin(0.2)], [0.0, 0.0, np.cos(0.2)]])


BALLS = np.array([[2.0, -6.0, 220.0 - GAP_MM * n] for n in range(5)])


class BallCounter(nn.Module):
    """Stands in for the network: it counts the balls that the middle of the sections shows, from C1 at the head."""

    def forward(self, image):
        batch, _, sections, _, _ = image.shape
        middle = image[:, 0, :, 5:9, 14:18].mean((2, 3)).view(batch, sections // STRIDE, STRIDE).mean(2)
        dense = middle > 0.9
        begun = dense & ~torch.nn.functional.pad(dense, (1, 0))[:, :-1]
        number = torch.where(dense, begun.cumsum(1) - 1, OUTPUTS - 1)
        level = 12.0 * torch.nn.functional.one_hot(number, OUTPUTS)
        landmark = torch.stack([8.0 * (number == k) - 4.0 for k in (1, 7, 24)], dim=2)  # C2, T1, L5
        bears = (number >= 7) & (number < 20)  # T1 to T13
        rib = torch.stack([torch.where(bears, value, -value) for value in (-4.0, -4.0, 4.0)], dim=2)
        return Counted(level, level, middle, landmark, rib[:, :, None].expand(-1, -1, 2, -1))


def random_network() -> LevelNetwork:
    """Initialised at random, so that what it sees shows in what it says."""
    torch.manual_seed(0)
    network = LevelNetwork().eval()
    for layer in (network.level, network.flatten):
        layer.weight.data *= 6.0
    return network


class TestRecount:
    @pytest.mark.parametrize("points", [[], [[0.0, 0.0, 150.0]]])
    def test_evidence_without_a_chain_of_two_stays_as_it_is(self, points):
        evidence = evidence_at(points)
        assert recount(evidence, phantom(BALLS), BallCounter()) is evidence

    def test_a_missed_body_is_found_and_every_candidate_gets_its_number(self):
        evidence = evidence_at(BALLS[[0, 1, 3, 4]], (0, 1, 3, 4))
        count = classify_along(evidence, PreparedScan.of(phantom(BALLS)), BallCounter())
        rows = (BEYOND_MM + GAP_MM * np.array([0, 1, 3, 4])) / ROW_MM - 0.25  # a row's middle is between two sections
        row, apart = count.rows_of(evidence.points)
        np.testing.assert_allclose(row, rows, atol=0.1)
        assert (apart <= ROW_MM / 2 + 0.1).all()
        assert np.isinf(count.last)
        mixed = named_by_rows(with_level_bodies(evidence, count), count, ALONE)
        assert mixed.unary.argmin(axis=1).tolist() == [0, 1, 3, 4, 2]
        np.testing.assert_allclose(mixed.points[4], BALLS[2], atol=1.0)

    @pytest.mark.parametrize(("below_mm", "kept"), [(40.0, 5), (11.0, 5), (5.0, 4), (-8.0, 4)])
    def test_a_last_body_whose_middle_the_scan_cuts_is_left_out(self, below_mm, kept):
        """Bodies are 24 mm apart: the last needs 7.2 mm (NUMBERS.end_room) of image below its center."""
        whole = phantom(BALLS)
        first = round((BALLS[-1, 2] - below_mm - whole.corners[:, 2].min()) / 3.0)
        matrix = whole.ijk_to_ras.copy()
        matrix[2, 3] += 3.0 * first
        mixed = recount(evidence_at(BALLS), Volume(whole.array[first:], matrix), BallCounter())
        np.testing.assert_array_equal(mixed.points, BALLS[:kept])

    @pytest.mark.parametrize(
        "axis_order", [((2, 0, 1), (1, -1, 1)), ((0, 1, 2), (-1, -1, -1)), ((1, 2, 0), (-1, 1, -1))], ids=name_of
    )
    @pytest.mark.parametrize("make", [BallCounter, random_network])
    def test_a_volume_stored_in_another_axis_order_gives_the_same(self, axis_order, make):
        volume, evidence, network = phantom(BALLS), evidence_at(BALLS[[0, 1, 3, 4]], (0, 1, 3, 4)), make()
        plain, other = recount(evidence, volume, network), recount(evidence, stored(volume, axis_order), network)
        assert len(plain.points) == (5 if make is BallCounter else 4)
        for name in ("points", "unary", "detection"):
            np.testing.assert_allclose(getattr(other, name), getattr(plain, name), atol=1e-3)

    @pytest.mark.parametrize(
        "stored_as",
        [
            {"axes": turned(8, (0, 0, 1))},
            {"axes": turned(12, (1, 0, 0))},
            {"axes": turned(40, (0, 0, 1))},
            {"axes": GANTRY_TILT},
            {"spacing": (0.7, 0.7, 1.0)},
            {"spacing": (0.9, 0.9, 5.0)},
        ],
        ids=["oblique", "tilted", "very oblique", "sheared", "fine voxels", "thick slices"],
    )
    def test_a_volume_stored_otherwise_finds_the_body_at_the_same_place(self, stored_as):
        evidence = evidence_at(BALLS[[0, 1, 3, 4]], (0, 1, 3, 4))
        mixed = recount(evidence, phantom(BALLS, **stored_as), BallCounter())
        assert len(mixed.points) == 5
        np.testing.assert_allclose(mixed.points[4], BALLS[2], atol=1.5)

    def test_a_random_network_gives_finite_evidence_that_is_the_same_each_time(self):
        volume, evidence, network = phantom(BALLS), evidence_at(BALLS), random_network()
        first, again = recount(evidence, volume, network), recount(evidence, volume, network)
        for name in ("points", "unary", "detection"):
            assert np.isfinite(getattr(first, name)).all()
            np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
        assert (first.unary >= 0).all()
        # and it looks at the image: without the balls it says something else
        assert np.abs(recount(evidence, phantom(()), network).unary - first.unary).max() > 0.01

    def test_left_and_right_are_the_same_to_it(self):
        """The network runs on the straightened spine and on its mirror image."""
        mirror = np.array([-1.0, 1.0, 1.0])
        volume = phantom([*BALLS, (30.0, 0.0, 150.0)])
        mirrored = Volume(volume.array, np.diag([*mirror, 1.0]) @ volume.ijk_to_ras)
        network = random_network()
        plain = recount(evidence_at(BALLS), volume, network)
        other = recount(evidence_at(BALLS * mirror), mirrored, network)
        np.testing.assert_allclose(other.unary, plain.unary, atol=1e-3)


def test_the_network_says_one_row_for_two_sections_and_carries_what_it_saw_to_the_last():
    network = random_network()
    image = torch.randn(2, 1, 80, 22, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        counted = network(image)
        changed = network(torch.cat([image[:, :, :4] + 1.0, image[:, :, 4:]], dim=2))
    assert counted.level.shape == counted.local.shape == (2, 40, OUTPUTS) and counted.center.shape == (2, 40)
    level, local = ((getattr(changed, n) - getattr(counted, n)).abs().amax((0, 2)) for n in ("level", "local"))
    assert local[0] > 0 and (local[20:] == 0).all()  # before the Bi-LSTM, only the surroundings count
    assert (level > 0).sum() > (local > 0).sum()
