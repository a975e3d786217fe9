"""Training of the centroid network: pairs of cubes, its loss, the earlier network, checks and old runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_training import centroid_trainer, spine_case
from VertebraLabelingLib.core.volume import AIR_HU
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.centroid_network import Placed
from VertebraLabelingTraining.networks.centroid_task import CentroidConfig, CentroidTrainer, charge, draw_pair


def test_the_blob_lies_at_the_place_that_is_taught():
    """Through every turn, zoom and flip, the balls in drawn cubes lie ``away`` mm from their middle."""
    case = spine_case(("T12", "L1", "L2"), 40, 45.0, ball_hu=900)
    config = CentroidConfig(shift=2.0)
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
        case, np.random.default_rng(seed), CentroidConfig(coarse_mm=(7.9, 8.0), unknown_phase=0)
    )
    assert not torch.equal(cube, coarse)
    assert (cube - coarse).abs().mean() < 0.75 * cube.std() and coarse.std() < cube.std()
    changed = [
        not torch.allclose(cube.mean(others), coarse.mean(others), atol=1.0) for others in ((1, 2), (0, 2), (0, 1))
    ]
    assert (phase.abs().amax(1) > 0).tolist() == [of_axis for of_axis in changed for _ in ("cosine", "sine", "size")]
    through_fine, same, none, _ = draw_pair(case, np.random.default_rng(seed), CentroidConfig(coarse_mm=(1.0, 2.0)))
    assert torch.equal(through_fine, same) and not none.any()


def test_both_cubes_of_a_pair_must_say_what_the_earlier_network_says_of_the_first(tmp_path):
    trainer = centroid_trainer(tmp_path)
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
    trainer = centroid_trainer(tmp_path)
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
    first = centroid_trainer(tmp_path / "first")
    first.run(until=1)
    second = centroid_trainer(tmp_path / "second")
    second.initialize(tmp_path / "first" / "checkpoint.pt")
    second.run(until=2)
    again = centroid_trainer(tmp_path / "second")
    assert again.resume()
    for trainer in (second, again):
        for key, value in trainer.earlier.state_dict().items():
            assert torch.equal(value, first.average.state_dict()[key]), key
    assert any(not torch.equal(a, b) for a, b in zip(second.network.parameters(), first.average.parameters()))


def test_with_an_earlier_network_half_of_the_cubes_lie_as_in_the_last_round(tmp_path):
    trainer = centroid_trainer(tmp_path, batch=200)
    far = trainer.batch(0)[2].norm(dim=1)
    trainer.earlier = trainer.average
    near = trainer.batch(0)[2].norm(dim=1)
    assert float((far < 3).float().mean()) < 0.2 < 0.25 < float((near < 3).float().mean()) < 0.6


def test_a_run_that_an_older_version_began_from_another_is_not_continued(tmp_path):
    first = centroid_trainer(tmp_path)
    first.start = {"file": "first/checkpoint.pt"}
    first.run(until=1)
    with pytest.raises(InputError, match="older version"):
        centroid_trainer(tmp_path).resume()


def test_a_run_whose_network_knew_no_phase_is_not_continued(tmp_path):
    centroid_trainer(tmp_path).run(until=1)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del saved["network"]["phase.weight"], saved["average"]["phase.weight"]
    torch.save(saved, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match="older version"):
        centroid_trainer(tmp_path).resume()
    second = centroid_trainer(tmp_path / "second")
    torch.nn.init.ones_(second.network.phase.weight)
    second.initialize(tmp_path / "checkpoint.pt")
    assert not second.network.phase.weight.any(), "but it can be started from"


def test_the_network_knows_the_phase_of_coarse_cubes_only(tmp_path):
    trainer = centroid_trainer(tmp_path, unknown_phase=0.0, coarse_mm=(5.5, 9.0))
    images, phase, _ = trainer.batch(0)
    fine, coarse = phase.chunk(2)
    assert len(phase) == len(images) and not fine.any() and (coarse.abs().amax((1, 2)) > 0).all()
    _, unknown, _ = centroid_trainer(tmp_path, unknown_phase=1.0, coarse_mm=(5.5, 9.0)).batch(0)
    assert not unknown.any()


def test_placing_is_learned(tmp_path):
    trainer = centroid_trainer(tmp_path, steps=24, batch=6)
    losses = [trainer.train_step()["loss"] for _ in range(24)]
    assert np.mean(losses[-6:]) < 0.6 * np.mean(losses[:6])


def test_cases_without_a_whole_vertebra_teach_no_places(tmp_path):
    cases = [spine_case(("L1", "L2"), name="cut", cut=("L1", "L2")), spine_case(("L1", "L2"), name="half", cut=("L1",))]
    assert [case.name for case in CentroidTrainer(CentroidConfig(), cases, tmp_path).cases] == ["half"]
