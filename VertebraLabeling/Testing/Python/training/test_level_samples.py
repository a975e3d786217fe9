"""What the level network is trained on: targets, pieces, splices, and what a batch and its loss make of them."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import torch
from small_training import spine_case
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVEL_RANK, LEVELS
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.networks.level_network import OUTPUTS, STRIDE, Counted
from VertebraLabelingLib.preprocessing.straightening import BEYOND_MM, DEPTH_CELLS, SIDE_CELLS, STEP_MM
from VertebraLabelingTraining.networks import level_samples
from VertebraLabelingTraining.networks.level_samples import (
    IGNORE,
    Piece,
    Sample,
    SampleSettings,
    displace_soft_tissue,
    draw_sample,
    straight_piece,
    targets,
)
from VertebraLabelingTraining.networks.level_task import LevelConfig, level_loss, stack

NONE = len(LEVELS)
PLAIN = SampleSettings(
    splice=0, cut_field=0, jitter=0, offset=0, tilt=0, zoom=0, height=0, thick=0, narrow=0, displaced=0
)  # nothing varies but which vertebrae are shown


def piece_of(levels, first_row=16.5, gap=16.0, sections=120, cut=()) -> Piece:
    """A piece of tissue with a vertebra every ``gap`` sections."""
    rows = first_row + gap * np.arange(len(levels))
    image = torch.full((sections, DEPTH_CELLS, SIDE_CELLS), 50.0)
    return Piece(image, rows, np.array([LEVEL_INDEX[k] for k in levels]), np.array([k in cut for k in levels]))


def test_displaced_organs_move_along_the_spine_and_bone_stays():
    image = torch.full((20, 2, 3), 40.0)
    image[5, :, 0], image[8, :, 1] = 300.0, -700.0  # bone; lung
    moved = displace_soft_tissue(image, 4)
    assert (moved[5, :, 0] == 300).all() and (moved[9, :, 0] == 40).all(), "bone neither moves nor leaves a copy"
    assert (moved[12, :, 1] == -700).all() and (moved[8, :, 1] == 40).all()


def test_displaced_organs_do_not_cover_what_lies_outside_of_the_field_of_view():
    image = torch.full((20, 1, 1), 40.0)
    image[:6] = AIR_HU
    assert torch.equal(displace_soft_tissue(image, -3)[:6], image[:6])


def sequence(level: torch.Tensor) -> list[str]:
    """The levels that the rows show, one name for each unbroken run."""
    runs = [k for k, _ in groupby(level.tolist())]
    return [LEVELS[k] for k in runs if 0 <= k < NONE]


def row_of(section: float) -> float:
    return (section + 0.5) / STRIDE - 0.5


class TestTargets:
    def test_levels_come_in_order_and_between_them_truth_says_nothing(self):
        level, _, _ = targets(piece_of(("T4", "T5", "T6", "T7")), 120)
        assert len(level) == 60 and sequence(level) == ["T4", "T5", "T6", "T7"]
        for body, name in enumerate(("T4", "T5", "T6", "T7")):
            assert level[8 + 8 * body] == LEVEL_INDEX[name]
            assert level[8 + 8 * body + 4] == IGNORE  # the disc
        assert (level != NONE).all()  # above T4 and below T7 there are others

    @pytest.mark.parametrize(
        ("levels", "above", "below"),
        [
            (("C1", "C2", "C3"), NONE, IGNORE),
            (("L3", "L4", "L5"), IGNORE, NONE),
            (("C2", "C3", "C4"), IGNORE, IGNORE),
            (("L4", "L5", "L6"), IGNORE, IGNORE),
        ],
    )
    def test_above_c1_and_below_l5_there_is_no_vertebra(self, levels, above, below):
        level, _, weight = targets(piece_of(levels, first_row=36.0), 120)
        assert level[0] == above and level[-1] == below
        assert weight[0] == (above == NONE) and weight[-1] == (below == NONE)
        assert sequence(level) == list(levels)

    def test_air_shows_no_vertebra_and_no_center(self):
        piece = piece_of(("T4", "T5", "T6"))
        piece.image[41:] = AIR_HU  # from between T5 and T6
        level, center, _ = targets(piece, 120)
        assert (level[21:] == NONE).all() and (center[21:] == 0).all()
        assert sequence(level) == ["T4", "T5"] and center[:21].max() > 0.9

    def test_centers_peak_at_the_bodies(self):
        _, center, weight = targets(piece_of(("T4", "T5", "T6")), 120)
        rows = [8, 16, 24]  # of two sections: bodies at 16.5, 32.5 and 48.5
        assert (center[rows] == 1).all() and (weight[rows] == 1).all()
        away = np.abs(np.arange(60)[:, None] - rows).min(axis=1) * STRIDE * STEP_MM
        np.testing.assert_allclose(center, np.exp(-0.5 * (away / 3.0) ** 2), atol=1e-5)

    def test_cut_bodies_weigh_nothing_in_the_centers(self):
        _, _, whole = targets(piece_of(("T4", "T5", "T6")), 120)
        level, _, weight = targets(piece_of(("T4", "T5", "T6"), cut=("T6",)), 120)
        near = np.abs(np.arange(60) - 24) * STRIDE * STEP_MM < 10
        assert near.sum() >= 4 and (weight[near] == 0).all()
        assert torch.equal(weight[~near], whole[~near])
        assert sequence(level) == ["T4", "T5", "T6"]  # what is seen of it still has its name

    def test_beyond_the_known_vertebrae_centers_weigh_nothing(self):
        _, _, weight = targets(piece_of(("T4", "T5", "T6")), 120)
        assert (weight[:2] == 0).all() and (weight[32:] == 0).all() and (weight[4:28] == 1).all()

    def test_a_piece_without_vertebrae_is_unknown_tissue(self):
        level, center, _ = targets(piece_of(()), 120)
        assert (level == IGNORE).all() and (center == 0).all()


class TestPieces:
    case = spine_case(("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5"), gap=36.0)

    @pytest.mark.parametrize("seed", range(12))
    def test_vertebrae_lie_where_they_are_on_the_curve_though_it_may_lack_an_end(self, seed):
        """A neighbor that the curve does not reach has no row."""
        piece = straight_piece(self.case, 2, 5, True, True, np.random.default_rng(seed), PLAIN)
        np.testing.assert_allclose(np.diff(piece.rows), 36.0 / STEP_MM, atol=0.1)
        assert set(range(2, 6)) <= {int((self.case.levels == k).nonzero()) for k in piece.levels}
        assert (piece.rows > 0).all() and (piece.rows < len(piece.image) - 1).all()

    def test_an_open_end_is_cut_between_the_last_vertebra_and_the_next(self):
        for seed in range(6):
            piece = straight_piece(self.case, 2, 5, True, True, np.random.default_rng(seed), PLAIN)
            seen = np.flatnonzero(piece.image[:, 7, 16] > 0)
            top, bottom = (piece.rows[piece.levels == self.case.levels[k]][0] for k in (2, 5))
            for room in (top - seen[0], seen[-1] - bottom):
                assert 0.4 * 36 / STEP_MM <= room <= 1.1 * 36 / STEP_MM

    def test_an_end_to_be_spliced_is_not_cut(self):
        piece = straight_piece(self.case, 2, 5, False, False, np.random.default_rng(0), PLAIN)
        assert (piece.image[:, 7, 16] > 0).all()
        assert len(piece.image) >= (3 * 36 + 2 * BEYOND_MM - 36) / STEP_MM


class TestSplices:
    upper = spine_case(("T10", "T11", "T12", "L1", "L2"), hu=100, name="a")
    lower = spine_case(("T11", "T12", "L1", "L2", "L3"), hu=300, name="b")
    with_t13 = spine_case(("T11", "T12", "T13", "L1", "L2"), hu=300, name="c")

    @pytest.fixture(autouse=True)
    def same_look(self, monkeypatch):
        """Keep the tissue's value, which tells whose it is."""
        monkeypatch.setattr(level_samples, "vary_look", lambda image, rng: image)

    @staticmethod
    def splice(cases, seed) -> tuple[Sample, tuple[str, ...]]:
        """A sample and the two levels at its seam; none where the draw found no partner."""
        settings = replace(PLAIN, splice=1.0, cut_field=0.5)
        sample = draw_sample(cases, np.array([0.5, 0.5]), np.random.default_rng([seed, 0, 0]), settings)
        tissue = sample.image[:, 7, 16].numpy()
        side = np.where(tissue < 0, 0, np.sign(tissue - 200))
        seams = np.flatnonzero(side[:-1] * side[1:] < 0)
        if len(seams) == 0:
            return sample, ()
        (seam,) = seams
        row = row_of(seam + 0.5)
        named = [k for k in range(len(sample.level)) if 0 <= sample.level[k] < NONE]
        before, after = max(k for k in named if k < row), min(k for k in named if k > row)
        assert row - before == pytest.approx(after - row, abs=1.01)  # in the middle, to one row: the disc
        return sample, tuple(LEVELS[sample.level[k]] for k in (before, after))

    def test_levels_stay_in_order_and_the_seam_is_at_the_disc(self):
        seams = set()
        for seed in range(30):
            sample, seam = self.splice([self.upper, self.lower], seed)
            ranks = [LEVEL_RANK[LEVEL_INDEX[level]] for level in sequence(sample.level)]
            assert len(ranks) >= 3 and np.diff(ranks).tolist() == [1.0] * (len(ranks) - 1)
            seams.add(seam)
        assert seams - {()} == {("T11", "T12"), ("T12", "L1"), ("L1", "L2")}

    def test_no_seam_runs_through_a_t13(self):
        """Where one of the patients has a T13, no disc joins T12 to L1."""
        seams = {self.splice([self.upper, self.with_t13], seed)[1] for seed in range(30)}
        assert seams - {()} == {("T11", "T12"), ("L1", "L2")}

    def test_patients_without_two_levels_in_common_are_not_spliced(self):
        cases = [self.upper, spine_case(("C3", "C4", "C5"), hu=300, name="neck")]
        sample = draw_sample(cases, np.array([0.5, 0.5]), np.random.default_rng(0), replace(PLAIN, splice=1.0))
        tissue = sample.image[:, 7, 16]
        assert len(tissue[tissue > 0].round().unique()) == 1

    def test_a_cut_vertebra_is_not_spliced_at(self):
        lower = replace(self.lower, cut=self.lower.levels == LEVEL_INDEX["L1"])
        assert {self.splice([self.upper, lower], seed)[1] for seed in range(12)} - {()} == {("T11", "T12")}


def test_a_batch_is_padded_with_air_that_teaches_nothing():
    samples = [
        Sample(torch.full((n, 4, 6), 50.0), torch.zeros(n // 2).long(), torch.ones(n // 2), torch.ones(n // 2))
        for n in (20, 13)
    ]
    image, level, center, weight = stack(samples)
    assert image.shape == (2, 1, 24, 4, 6) and level.shape == center.shape == weight.shape == (2, 12)
    assert (image[1, 0, 13:] == AIR_HU).all() and (image[1, 0, :13] == 50).all()
    assert (level[1, 6:] == IGNORE).all() and (weight[1, 6:] == 0).all() and (level[1, :6] == 0).all()


def test_the_loss_is_small_for_the_truth_and_blind_to_what_truth_leaves_open():
    level = torch.tensor([[3, 3, IGNORE, NONE]])
    center, weight = torch.tensor([[0.0, 1.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0, 1.0]])
    logits = 20.0 * torch.nn.functional.one_hot(torch.tensor([[3, 3, 0, NONE]]), OUTPUTS).float()
    right = Counted(logits, logits, torch.tensor([[-20.0, 20.0, 20.0, -20.0]]))
    config = LevelConfig()
    loss, terms = level_loss(right, level, center, weight, config)
    assert float(loss) < 1e-4 and set(terms) == {"level", "local", "center"}
    for name, change in (("level", 1), ("local", config.local_weight)):
        wrong = replace(right, **{name: logits.roll(1, 2)})
        worse, its = level_loss(wrong, level, center, weight, config)
        assert its[name] == pytest.approx(20.0, abs=0.01) and float(worse) == pytest.approx(20.0 * change, rel=0.01)
    worse, its = level_loss(replace(right, center=-right.center), level, center, weight, config)
    assert its["center"] == pytest.approx(20.0, abs=0.01)
