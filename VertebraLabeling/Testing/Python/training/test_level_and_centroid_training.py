"""Training of the two small networks: targets, splices, what a sample depends on, exact resume, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import torch
from training_cases import ball_case, write_case
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVEL_RANK, LEVELS
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.centroid_network import Placed, PlacingNet
from VertebraLabelingLib.networks.detection_network import VertebraNet
from VertebraLabelingLib.networks.level_network import OUTPUTS, STRIDE, Counted
from VertebraLabelingLib.networks.weights import write_model
from VertebraLabelingLib.preprocessing.straightening import BEYOND_MM, DEPTH_CELLS, SIDE_CELLS, STEP_MM
from VertebraLabelingTraining.data.cases import Case
from VertebraLabelingTraining.networks import level_samples, small
from VertebraLabelingTraining.networks.centroid_task import PlacingConfig, PlacingTrainer, charge, draw_pair
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
from VertebraLabelingTraining.networks.level_task import CountingConfig, CountingTrainer, counting_loss, stack

NONE = len(LEVELS)
PLAIN = SampleSettings(
    splice=0, cut_field=0, jitter=0, offset=0, tilt=0, zoom=0, height=0, thick=0, narrow=0, displaced=0
)  # nothing varies but which vertebrae are shown


def spine_case(levels, hu=100, gap=30.0, name="spine", cut=(), ball_hu=None) -> Case:
    """A vertical spine from head to foot in tissue of one value, without air; balls of 8 mm radius where wanted."""
    spacing = torch.tensor([3.0, 2.0, 2.0])
    z = 45.0 + gap * np.arange(len(levels))[::-1]
    points = torch.tensor(np.stack([z, np.full(len(z), 80.0), np.full(len(z), 80.0)], 1), dtype=torch.float32)
    image = torch.full((int(z[0] + 45) // 3 + 1, 80, 80), hu, dtype=torch.int16)
    if ball_hu is not None:
        axes = [torch.arange(n) * s for n, s in zip(image.shape, spacing)]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        for point in points:
            image[(grid - point).norm(dim=-1) < 8] = ball_hu
    index = torch.tensor([LEVEL_INDEX[level] for level in levels])
    return Case(name, image, spacing, index, points, torch.tensor([level in cut for level in levels]))


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


def counting_trainer(out, **settings) -> CountingTrainer:
    config = CountingConfig(**{"steps": 4, "batch": 2, "freeze_norms_from": 0.75, "checkpoint_every": 100, **settings})
    cases = [spine_case(("T11", "T12", "L1", "L2"), name="a"), spine_case(("T12", "L1", "L2"), 300, name="b")]
    return CountingTrainer(config, cases, out)


def placing_trainer(out, **settings) -> PlacingTrainer:
    config = PlacingConfig(**{"steps": 4, "batch": 2, "freeze_norms_from": 0.75, "checkpoint_every": 100, **settings})
    return PlacingTrainer(config, [spine_case(("T12", "L1", "L2"), 40, 45.0, "balls", ball_hu=900)], out)


TRAINERS = pytest.mark.parametrize("make", [counting_trainer, placing_trainer])


@TRAINERS
def test_a_sample_depends_on_seed_step_and_place_alone(make, tmp_path):
    trainer = make(tmp_path)
    first = trainer.batch(3)
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - it must not matter
    trainer.batch(0)
    for one, other in zip(first, make(tmp_path).batch(3)):
        assert torch.equal(one, other)
    single = make(tmp_path, batch=1).batch(3)[0][0]
    size = min(single.shape[1], first[0].shape[2])  # of two samples the shorter is padded
    assert torch.equal(single[:, :size], first[0][0][:, :size])
    for other in (trainer.batch(2), make(tmp_path, seed=1).batch(3)):
        assert other[0].shape != first[0].shape or not torch.equal(other[0], first[0])
    assert not torch.equal(first[0][0], first[0][1])


@TRAINERS
def test_a_resumed_run_equals_an_uninterrupted_one(make, tmp_path):
    whole = make(tmp_path / "whole")
    whole.run()
    make(tmp_path / "parts").run(until=2)
    second = make(tmp_path / "parts")
    assert second.resume() and second.step == 2
    second.run()
    for name in ("network", "average"):
        other = getattr(second, name).state_dict()
        for key, value in getattr(whole, name).state_dict().items():
            assert torch.equal(value, other[key]), (name, key)
    rows = [json.loads(line) for line in (tmp_path / "parts" / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3] and all(np.isfinite(row["loss"]) for row in rows)


def test_a_second_run_starts_from_the_averaged_weights_and_remembers_what_they_have_seen(tmp_path):
    first = placing_trainer(tmp_path / "first")
    first.run(until=2)
    second = placing_trainer(tmp_path / "second")
    second.cases = second.cases[:1]
    second.initialize(tmp_path / "first" / "checkpoint.pt")
    for name in ("network", "average"):
        for key, value in getattr(second, name).state_dict().items():
            assert torch.equal(value, first.average.state_dict()[key]), (name, key)
    second.run(until=1)
    saved = torch.load(tmp_path / "second" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 1
    assert saved["seen"] == sorted({case.name for case in first.cases})
    assert saved["start"]["file"] == "first/checkpoint.pt"
    third = placing_trainer(tmp_path / "second")
    third.cases = third.cases[:1]
    assert third.resume() and third.start == saved["start"] and third.seen == saved["seen"]


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path):
    assert not placing_trainer(tmp_path).resume()


def test_cases_are_sorted_from_head_to_foot_and_small_ones_left_out(tmp_path):
    cases = [ball_case("balls"), spine_case(("L1", "L2"), name="two")]
    trainer = CountingTrainer(CountingConfig(), cases, tmp_path)
    (case,) = trainer.cases
    assert [LEVELS[k] for k in case.levels] == [f"T{n}" for n in range(4, 12)]
    assert (case.points[:-1, 0] > case.points[1:, 0]).all()


def test_cases_without_a_whole_vertebra_teach_no_places(tmp_path):
    cases = [spine_case(("L1", "L2"), name="cut", cut=("L1", "L2")), spine_case(("L1", "L2"), name="half", cut=("L1",))]
    assert [case.name for case in PlacingTrainer(PlacingConfig(), cases, tmp_path).cases] == ["half"]


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
    config = CountingConfig()
    loss, terms = counting_loss(right, level, center, weight, config)
    assert float(loss) < 1e-4 and set(terms) == {"level", "local", "center"}
    for name, change in (("level", 1), ("local", config.local_weight)):
        wrong = replace(right, **{name: logits.roll(1, 2)})
        worse, its = counting_loss(wrong, level, center, weight, config)
        assert its[name] == pytest.approx(20.0, abs=0.01) and float(worse) == pytest.approx(20.0 * change, rel=0.01)
    worse, its = counting_loss(replace(right, center=-right.center), level, center, weight, config)
    assert its["center"] == pytest.approx(20.0, abs=0.01)


def test_the_blob_lies_at_the_place_that_is_taught():
    """Through every turn, zoom and flip, the balls in drawn cubes lie ``away`` mm from their middle."""
    case = spine_case(("T12", "L1", "L2"), 40, 45.0, ball_hu=900)
    config = PlacingConfig(shift=2.0)
    axis = (np.arange(24) - 11.5) * 2.0
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)
    checked = 0
    for seed in range(25):
        cube, coarse, _, away = draw_pair(case, np.random.default_rng(seed), config)
        assert cube.shape == coarse.shape == (24, 24, 24) and away.abs().max() <= 10
        if (cube[0] == AIR_HU).all() or (cube[-1] == AIR_HU).all():
            continue  # the ball may be cut
        for seen, floor in ((cube, 350), (coarse, 250)):
            weight = np.clip(seen.numpy() - floor, 0, None)
            centroid = (weight[..., None] * grid).sum((0, 1, 2)) / weight.sum()
            np.testing.assert_allclose(centroid, away.numpy(), atol=1.0)
        checked += 1
    assert checked >= 15


@pytest.mark.parametrize("seed", range(8))
def test_the_other_cube_of_a_pair_is_the_same_through_larger_voxels(seed):
    case = spine_case(("T12", "L1", "L2"), 40, 45.0, "balls", ball_hu=900)
    cube, coarse, phase, _ = draw_pair(
        case, np.random.default_rng(seed), PlacingConfig(coarse_mm=(7.9, 8.0), unknown_phase=0)
    )
    assert not torch.equal(cube, coarse)
    assert (cube - coarse).abs().mean() < 0.75 * cube.std() and coarse.std() < cube.std()
    changed = [
        not torch.allclose(cube.mean(others), coarse.mean(others), atol=1.0) for others in ((1, 2), (0, 2), (0, 1))
    ]
    assert (phase.abs().amax(1) > 0).tolist() == [of_axis for of_axis in changed for _ in ("cosine", "sine", "size")]
    through_fine, same, none, _ = draw_pair(case, np.random.default_rng(seed), PlacingConfig(coarse_mm=(1.0, 2.0)))
    assert torch.equal(through_fine, same) and not none.any()


def test_both_cubes_of_a_pair_must_say_what_the_earlier_network_says_of_the_first(tmp_path):
    trainer = placing_trainer(tmp_path)
    images, phase, targets = trainer.batch(0)
    said = targets + 1.0
    heard = []
    trainer.network = lambda cubes, told: heard.append(told) or Placed(said, torch.ones(len(cubes)))
    loss, terms = trainer.loss(images, phase, targets)
    assert heard[0] is phase
    assert float(loss) == pytest.approx(1.0) and terms == {"error_mm": pytest.approx(1.0)}, "from scratch"
    of_first = targets[:2] + 0.5
    trainer.earlier = lambda cubes: Placed(of_first, torch.ones(len(cubes)))
    loss, terms = trainer.loss(images, phase, targets)
    assert terms == {name: pytest.approx(mm) for name, mm in (("error_mm", 1), ("unlike_mm", 0.5), ("moved_mm", 0.5))}
    assert float(loss) == pytest.approx(1.0 + 2 * (0.5 + 0.25) + 0.5)


@pytest.mark.parametrize(
    ("step", "spread", "refused"),
    [(500, 5.6, True), (500, np.nan, True), (500, 2.5, False), (100, 5.6, False)],
    ids=["wide", "diverged", "fine", "early"],
)
def test_heat_maps_that_stay_wide_on_their_own_cases_are_refused(step, spread, refused, tmp_path, monkeypatch):
    trainer = placing_trainer(tmp_path)
    trainer.step = step
    said = lambda cubes: Placed(torch.zeros(len(cubes), 3), torch.full((len(cubes),), spread))  # noqa: E731
    monkeypatch.setattr(trainer.average, "forward", said)
    if refused:
        with pytest.raises(InputError, match=f"{spread} mm wide.*another --seed"):
            trainer.check()
    else:
        trainer.check()


@pytest.mark.parametrize(("mm", "charged"), [(0.0, 0.0), (-0.5, 0.75), (2.0, 6.0), (-5.0, 5.0 + 16.0)])
def test_differences_are_charged_with_their_squares_up_to_two_millimeters(mm, charged):
    assert float(charge(torch.full((4, 3), mm))) == pytest.approx(charged)


def test_the_earlier_network_stays_as_it_was_through_training_and_resuming(tmp_path):
    first = placing_trainer(tmp_path / "first")
    first.run(until=1)
    second = placing_trainer(tmp_path / "second")
    second.initialize(tmp_path / "first" / "checkpoint.pt")
    second.run(until=2)
    again = placing_trainer(tmp_path / "second")
    assert again.resume()
    for trainer in (second, again):
        for key, value in trainer.earlier.state_dict().items():
            assert torch.equal(value, first.average.state_dict()[key]), key
    assert any(not torch.equal(a, b) for a, b in zip(second.network.parameters(), first.average.parameters()))


def test_with_an_earlier_network_half_of_the_cubes_lie_as_in_the_last_round(tmp_path):
    trainer = placing_trainer(tmp_path, batch=200)
    far = trainer.batch(0)[2].norm(dim=1)
    trainer.earlier = trainer.average
    near = trainer.batch(0)[2].norm(dim=1)
    assert float((far < 3).float().mean()) < 0.2 < 0.25 < float((near < 3).float().mean()) < 0.6


def test_a_run_that_an_older_version_began_from_another_is_not_continued(tmp_path):
    first = placing_trainer(tmp_path)
    first.start = {"file": "first/checkpoint.pt"}
    first.run(until=1)
    with pytest.raises(InputError, match="older version"):
        placing_trainer(tmp_path).resume()


def test_a_run_whose_network_knew_no_phase_is_not_continued(tmp_path):
    placing_trainer(tmp_path).run(until=1)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del saved["network"]["phase.weight"], saved["average"]["phase.weight"]
    torch.save(saved, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="older version"):
        placing_trainer(tmp_path).resume()
    second = placing_trainer(tmp_path / "second")
    torch.nn.init.ones_(second.network.phase.weight)
    second.initialize(tmp_path / "checkpoint.pt")
    assert not second.network.phase.weight.any(), "but it can be started from"


def test_the_network_knows_the_phase_of_coarse_cubes_only(tmp_path):
    trainer = placing_trainer(tmp_path, unknown_phase=0.0, coarse_mm=(5.5, 9.0))
    images, phase, _ = trainer.batch(0)
    fine, coarse = phase.chunk(2)
    assert len(phase) == len(images) and not fine.any() and (coarse.abs().amax((1, 2)) > 0).all()
    _, unknown, _ = placing_trainer(tmp_path, unknown_phase=1.0, coarse_mm=(5.5, 9.0)).batch(0)
    assert not unknown.any()


def test_placing_is_learned(tmp_path):
    trainer = placing_trainer(tmp_path, steps=24, batch=6)
    losses = [trainer.train_step()["loss"] for _ in range(24)]
    assert np.mean(losses[-6:]) < 0.6 * np.mean(losses[:6])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name in ("one", "two", "one+two", "demo"):
        write_case(folder, ball_case(name, count=4))
    splits = {"folds": [{"ct": ["one"]}, {"ct": ["two"]}], "same_patient": {"one": ["one+two"]}, "demo": ["demo"]}
    (folder / "splits.json").write_text(json.dumps(splits))
    return folder


class TestCommand:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setitem(small.KINDS, "counting", (CountingTrainer, CountingConfig(batch=1), ()))
        monkeypatch.setitem(small.KINDS, "placing", (PlacingTrainer, PlacingConfig(batch=2), ("*+*",)))

    @staticmethod
    def call(kind, data, out, *more) -> int:
        return small.main([str(part) for part in (kind, "--data", data, "--out", out, *more)])

    @pytest.mark.parametrize(
        ("kind", "fold", "cases"),
        [
            ("counting", ("--fold", 1), ["one", "one+two"]),
            ("counting", ("--fold", 0), ["two"]),
            ("placing", ("--fold", 1), ["one"]),
            ("placing", (), ["one", "two"]),
        ],
    )
    def test_it_trains_on_the_cases_that_it_may_see(self, data, tmp_path, kind, fold, cases):
        splits = ("--splits", data / "splits.json", *fold)
        assert self.call(kind, data, tmp_path, "--steps", 1, "--seed", 7, *splits) == 0
        saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        assert (saved["cases"], saved["step"], saved["config"]["seed"]) == (cases, 1, 7)

    def test_a_run_is_continued_only_when_told_to(self, data, tmp_path, capsys):
        assert self.call("placing", data, tmp_path, "--steps", 1) == 0
        before = (tmp_path / "checkpoint.pt").read_bytes()
        assert self.call("placing", data, tmp_path, "--steps", 2) == 1
        assert "already holds a run" in capsys.readouterr().err
        assert (tmp_path / "checkpoint.pt").read_bytes() == before
        assert self.call("placing", data, tmp_path, "--steps", 2, "--resume") == 0
        assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 2

    def test_it_starts_from_an_earlier_run_of_the_same_network(self, data, tmp_path, capsys):
        assert self.call("placing", data, tmp_path / "first", "--steps", 1) == 0
        init = ("--init", tmp_path / "first" / "checkpoint.pt")
        assert self.call("placing", data, tmp_path / "next", "--steps", 1, "--learning-rate", 1e-4, *init) == 0
        saved = torch.load(tmp_path / "next" / "checkpoint.pt", weights_only=True)
        assert saved["config"]["learning_rate"] == 1e-4 and "one+two" not in saved["seen"] and "demo" in saved["seen"]
        capsys.readouterr()
        held_out = ("--splits", data / "splits.json", "--fold", 0)
        assert self.call("placing", data, tmp_path / "fold", "--steps", 1, *init, *held_out) == 1
        assert "which this run leaves out" in capsys.readouterr().err
        assert self.call("counting", data, tmp_path / "other", "--steps", 1, *init) == 1
        assert "the other small network" in capsys.readouterr().err
        (tmp_path / "damaged.pt").write_bytes(b"no checkpoint")
        assert self.call("placing", data, tmp_path / "other", "--steps", 1, "--init", tmp_path / "damaged.pt") == 1
        assert "is no checkpoint" in capsys.readouterr().err
        assert not (tmp_path / "fold").exists() and not (tmp_path / "other").exists()

    def test_it_starts_from_a_models_part(self, data, tmp_path, capsys):
        torch.manual_seed(3)
        first, part = VertebraNet((4, 4, 4, 4, 4)), PlacingNet()
        card = {"cases": ["one", "older/case"], "steps": 1}
        write_model(tmp_path / "m.pt", first.state_dict(), (4, 4, 4, 4, 4), "0", card, {"placing": part.state_dict()})
        init = ("--init", tmp_path / "m.pt", "--steps", 1, "--learning-rate", 1e-9)
        assert self.call("placing", data, tmp_path / "out", *init) == 0
        saved = torch.load(tmp_path / "out" / "checkpoint.pt", weights_only=True)
        assert saved["seen"] == ["older/case", "one"] and saved["start"]["file"].endswith("/m.pt")
        for key, value in part.state_dict().items():
            if "running" not in key and "num_batches" not in key:
                np.testing.assert_allclose(saved["average"][key], value, atol=2e-3)
        capsys.readouterr()
        assert self.call("counting", data, tmp_path / "other", *init) == 1
        assert "lacks the network to train" in capsys.readouterr().err
        other = {"placing": PlacingNet((8, 16)).state_dict()}
        write_model(tmp_path / "m.pt", first.state_dict(), (4, 4, 4, 4, 4), "0", card, other)
        assert self.call("placing", data, tmp_path / "other", *init) == 1
        assert "does not fit this version's network" in capsys.readouterr().err
        (tmp_path / "m.pt").write_bytes(b"swapped")
        assert self.call("placing", data, tmp_path / "other", *init) == 1
        assert "SHA-256" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("more", "message"),
        [(("--fold", 0), "--fold needs --splits"), (("--fold", 5, "--splits", "splits.json"), "Fold 5 is not in")],
    )
    def test_a_fold_that_cannot_be_left_out_is_refused(self, data, tmp_path, capsys, monkeypatch, more, message):
        monkeypatch.chdir(data)
        assert self.call("counting", data, tmp_path / "run", "--steps", 1, *more) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
