"""What the level network should say of each row: levels, centers, landmarks and ribs."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest
import torch
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.networks.level_network import LANDMARKS, NO_RIB, STRIDE
from VertebraLabelingLib.preprocessing.straightening import DEPTH_CELLS, SIDE_CELLS, STEP_MM
from VertebraLabelingTraining.networks.level_targets import IGNORE, Piece, targets
from VertebraLabelingTraining.networks.variant_counts import UNNAMED

NONE = len(LEVELS)


def piece_of(levels, first_row=16.5, gap=16.0, sections=120, cut=()) -> Piece:
    """A piece of tissue with a vertebra every ``gap`` sections."""
    rows = first_row + gap * np.arange(len(levels))
    image = torch.full((sections, DEPTH_CELLS, SIDE_CELLS), 50.0)
    return Piece(image, rows, np.array([LEVEL_INDEX[k] for k in levels]), np.array([k in cut for k in levels]))


def sequence(level: torch.Tensor) -> list[str]:
    """The levels that the rows show, one name for each unbroken run."""
    return [LEVELS[k] for k, _ in groupby(level.tolist()) if 0 <= k < NONE]


def three_of(piece: Piece, sections: int):
    t = targets(piece, sections)
    return t.level, t.center, t.center_weight


class TestTargets:
    def test_levels_come_in_order_and_between_them_truth_says_nothing(self):
        level = targets(piece_of(("T4", "T5", "T6", "T7")), 120).level
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
            (("L4", "L5", "L6"), IGNORE, NONE),
        ],
    )
    def test_above_c1_and_below_the_last_there_is_no_vertebra(self, levels, above, below):
        level, _, weight = three_of(piece_of(levels, first_row=36.0), 120)
        assert level[0] == above and level[-1] == below
        assert weight[0] == (above == NONE) and weight[-1] == (below == NONE)
        assert sequence(level) == list(levels)

    def test_air_shows_no_vertebra_and_no_center(self):
        piece = piece_of(("T4", "T5", "T6"))
        piece.image[41:] = AIR_HU  # from between T5 and T6
        level, center, _ = three_of(piece, 120)
        assert (level[21:] == NONE).all() and (center[21:] == 0).all()
        assert sequence(level) == ["T4", "T5"] and center[:21].max() > 0.9

    def test_centers_peak_at_the_bodies(self):
        _, center, weight = three_of(piece_of(("T4", "T5", "T6")), 120)
        rows = [8, 16, 24]  # of two sections: bodies at 16.5, 32.5 and 48.5
        assert (center[rows] == 1).all() and (weight[rows] == 1).all()
        away = np.abs(np.arange(60)[:, None] - rows).min(axis=1) * STRIDE * STEP_MM
        np.testing.assert_allclose(center, np.exp(-0.5 * (away / 3.0) ** 2), atol=1e-5)

    def test_cut_bodies_weigh_nothing_in_the_centers(self):
        _, _, whole = three_of(piece_of(("T4", "T5", "T6")), 120)
        level, _, weight = three_of(piece_of(("T4", "T5", "T6"), cut=("T6",)), 120)
        near = np.abs(np.arange(60) - 24) * STRIDE * STEP_MM < 10
        assert near.sum() >= 4 and (weight[near] == 0).all()
        assert torch.equal(weight[~near], whole[~near])
        assert sequence(level) == ["T4", "T5", "T6"]  # what is seen of it still has its name

    def test_beyond_the_known_vertebrae_centers_weigh_nothing(self):
        _, _, weight = three_of(piece_of(("T4", "T5", "T6")), 120)
        assert (weight[:2] == 0).all() and (weight[32:] == 0).all() and (weight[4:28] == 1).all()

    def test_a_piece_without_vertebrae_is_unknown_tissue(self):
        level, center, _ = three_of(piece_of(()), 120)
        assert (level == IGNORE).all() and (center == 0).all()


class TestLandmarksAndRibs:
    """Bodies lie at rows 8, 16, 24 and so on."""

    def test_each_landmark_is_at_its_vertebra_alone(self):
        for name, levels in zip(LANDMARKS, (("C1", "C2", "C3"), ("C7", "T1", "T2"), ("L4", "L5"))):
            landmark = targets(piece_of(levels), 120).landmark
            column = LANDMARKS.index(name)
            assert landmark[16, column] == 1 and landmark[8, column] == 0, name
            assert (np.delete(landmark[16].numpy(), column) == 0).all()
            assert (landmark[12] == IGNORE).all()

    def test_thoracic_vertebrae_bear_ribs_and_those_of_t12_may_be_short(self):
        rib = targets(piece_of(("C7", "T1", "T11", "T12", "L1")), 120).rib
        seen = [rib[8 * n + 8, 0].tolist() for n in range(5)]
        assert seen == [[1, 0, 0], [0, 0, 1], [0, 0, 1], [0, 1, 1], [1, 0, 0]]
        assert torch.equal(rib[:, 0], rib[:, 1]) and (rib[12] == 0).all()

    def test_below_l5_lies_no_rib_and_no_last_vertebra(self):
        t = targets(piece_of(("L3", "L4", "L5"), first_row=36.0), 120)
        assert (t.landmark[-1] == 0).all() and t.rib[-1, 0].tolist() == [1, 0, 0]

    def test_changed_ribs_are_what_they_were_made(self):
        piece = piece_of(("T11", "T12", "L1"))
        piece.ribs = {1: NO_RIB}
        assert targets(piece, 120).rib[16, 0].tolist() == [1, 0, 0]

    def test_of_a_drawn_spine_only_what_its_truth_says(self):
        piece = piece_of(("C7", "T1", "T12", "L1", "L4"))
        piece.exact = False
        t = targets(piece, 120)
        assert [int(t.rib[8 * n + 8, 0].sum()) for n in range(5)] == [0, 1, 0, 0, 1]
        assert t.landmark[40, 2] == IGNORE and t.landmark[16, 1] == 1

    def test_names_differ_from_what_vertebrae_look_like(self):
        piece = piece_of(("T11", "T12", "L1"))
        piece.names = np.array([LEVEL_INDEX["T12"], LEVEL_INDEX["T13"], UNNAMED])
        t = targets(piece, 120)
        assert sequence(t.level) == ["T12", "T13"] and sequence(t.local) == ["T11", "T12", "L1"]
        assert t.level[24] == IGNORE
