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
from VertebraLabelingLib.preprocessing.straightening import BEYOND_MM, STEP_MM
from VertebraLabelingTraining.networks import level_samples
from VertebraLabelingTraining.networks.level_samples import (
    Sample,
    SampleSettings,
    displace_soft_tissue,
    draw_sample,
    straight_piece,
)
from VertebraLabelingTraining.networks.level_targets import IGNORE, Targets
from VertebraLabelingTraining.networks.level_task import LevelConfig, level_loss, stack

NONE = len(LEVELS)
PLAIN = SampleSettings(
    splice=0,
    cut_field=0,
    jitter=0,
    offset=0,
    tilt=0,
    zoom=0,
    height=0,
    thick=0,
    narrow=0,
    displaced=0,
    variant=0,
    changed_ribs=0,
)  # nothing varies but which vertebrae are shown


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
        named = [k for k in range(len(sample.targets.local)) if 0 <= sample.targets.local[k] < NONE]
        before, after = max(k for k in named if k < row), min(k for k in named if k > row)
        assert row - before == pytest.approx(after - row, abs=1.01)  # in the middle, to one row: the disc
        return sample, tuple(LEVELS[sample.targets.local[k]] for k in (before, after))

    def test_levels_stay_in_order_and_the_seam_is_at_the_disc(self):
        seams = set()
        for seed in range(30):
            sample, seam = self.splice([self.upper, self.lower], seed)
            ranks = [LEVEL_RANK[LEVEL_INDEX[level]] for level in sequence(sample.targets.local)]
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


def targets_of(level, center, weight, landmark, rib) -> Targets:
    """One spine as a batch."""
    level = torch.tensor([level])
    as_float = (torch.tensor([values], dtype=torch.float32) for values in (center, weight))
    return Targets(level, level, *as_float, torch.tensor([landmark]), torch.tensor([rib], dtype=torch.float32))


def test_a_batch_is_padded_with_air_that_teaches_nothing():
    samples = []
    for n in (20, 13):
        ones, rows = torch.ones(n // 2), torch.zeros(n // 2).long()
        marks, ribs = torch.ones(n // 2, 3).long(), torch.ones(n // 2, 2, 3)
        samples.append(Sample(torch.full((n, 4, 6), 50.0), Targets(rows, rows, ones, ones, marks, ribs)))
    image, *stacked = stack(samples)
    t = Targets(*stacked)
    assert image.shape == (2, 1, 24, 4, 6) and t.level.shape == t.center.shape == t.center_weight.shape == (2, 12)
    assert t.landmark.shape == (2, 12, 3) and t.rib.shape == (2, 12, 2, 3)
    assert (image[1, 0, 13:] == AIR_HU).all() and (image[1, 0, :13] == 50).all()
    for name in ("level", "local", "landmark"):
        value = getattr(t, name)
        assert (value[1, 6:] == IGNORE).all() and (value[1, :6] != IGNORE).all()
    assert (t.center_weight[1, 6:] == 0).all() and (t.rib[1, 6:] == 0).all() and (t.rib[1, :6] == 1).all()


def test_the_loss_is_small_for_the_truth_and_blind_to_what_truth_leaves_open():
    short_or_long, none, unknown = [[0, 1, 1]] * 2, [[1, 0, 0]] * 2, [[0, 0, 0]] * 2
    t = targets_of(
        [3, 3, IGNORE, NONE],
        [0.0, 1.0, 0.0, 0.0],
        [1.0, 1.0, 0.0, 1.0],
        [[1, 0, 0], [0, 0, 1], [IGNORE] * 3, [0, 0, 0]],
        [short_or_long, none, unknown, none],
    )
    logits = 20.0 * torch.nn.functional.one_hot(torch.tensor([[3, 3, 0, NONE]]), OUTPUTS).float()
    marks = torch.where(t.landmark == 1, 20.0, -20.0)
    ribs = 20.0 * torch.tensor([[[[0, 0, 1.0]] * 2, [[1.0, 0, 0]] * 2, [[0, 1.0, 0]] * 2, [[1.0, 0, 0]] * 2]])
    right = Counted(logits, logits, torch.tensor([[-20.0, 20.0, 20.0, -20.0]]), marks, ribs)
    config = LevelConfig()
    loss, terms = level_loss(right, t, config)
    assert float(loss) < 1e-4 and set(terms) == {"level", "local", "center", "landmark", "rib"}
    wrong = {
        "level": (logits.roll(1, 2), 20.0, 1.0),
        "local": (logits.roll(1, 2), 20.0, config.local_weight),
        "center": (-right.center, 20.0, config.center_weight),
        "landmark": (-marks, 20.0, config.landmark_weight),
        "rib": (ribs.roll(1, 3), 20.0, config.rib_weight),
    }
    for name, (value, cost, weight) in wrong.items():
        worse, its = level_loss(replace(right, **{name: value}), t, config)
        assert its[name] == pytest.approx(cost, rel=0.35), name
        assert float(worse) == pytest.approx(weight * float(its[name]), rel=0.01), name
    open_end = replace(right, rib=ribs.clone())
    open_end.rib[0, 0] = torch.tensor([0, 20.0, 0])
    assert float(level_loss(open_end, t, config)[1]["rib"]) < 1e-4, "a stub may be short or long"
