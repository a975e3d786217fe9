"""Integral regression: sub-voxel positions, no pull from neighbors, gradients, and the null cell."""

from __future__ import annotations

import pytest
import torch
from VertebraLabelingLib.networks.soft_argmax import blocks_of_two, global_integral, local_integral, log_heat


def gaussian_logits(shape, *centers, height=8.0, sigma=1.5):
    """Logits with a Gaussian bump of ``height`` above -6 at each (z, y, x)."""
    axes = [torch.arange(n, dtype=torch.float64) for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    bumps = [torch.exp(-((grid - torch.tensor(c, dtype=torch.float64)) ** 2).sum(-1) / (2 * sigma**2)) for c in centers]
    return -6 + height * torch.stack(bumps).amax(0)


@pytest.mark.parametrize("center", [(10.0, 9.0, 8.0), (10.3, 9.0, 8.0), (10.5, 8.6, 8.2), (9.9, 9.45, 7.8)])
def test_the_local_integral_finds_a_center_between_voxels(center):
    heat = gaussian_logits((20, 18, 16), center)
    mode = torch.tensor(center).round().long()[None]
    mean, spread = local_integral(heat, mode, 3)
    assert torch.allclose(mean[0], torch.tensor(center, dtype=torch.float64), atol=0.12)
    assert 0 < spread[0] < 3


def test_a_neighboring_vertebra_does_not_pull_when_it_is_named_as_rival():
    upper, lower = (10.0, 8.0, 8.0), (14.0, 8.0, 8.0)
    heat = gaussian_logits((24, 16, 16), upper, lower)
    modes = torch.tensor([upper, lower]).long()
    pulled, _ = local_integral(heat, modes, 3)
    kept, _ = local_integral(heat, modes, 3, rivals=modes)
    error = (kept - modes).norm(dim=1)
    assert error.max() < 0.3
    assert (pulled - modes).norm(dim=1).min() > error.max()


def test_a_window_at_the_edge_of_the_field_of_view_stays_inside():
    heat = gaussian_logits((8, 8, 8), (0.0, 0.0, 7.0))
    mean, _ = local_integral(heat, torch.tensor([[0, 0, 7]]), 3)
    assert ((mean >= 0) & (mean <= 7)).all()
    assert torch.isfinite(mean).all()


def test_the_coordinate_is_differentiable():
    heat = gaussian_logits((12, 12, 12), (6.0, 6.0, 6.0)).requires_grad_()
    mean, _ = local_integral(heat, torch.tensor([[6, 6, 6]]), 2)
    mean[0, 0].backward()
    assert heat.grad[8, 6, 6] > 0 > heat.grad[4, 6, 6]  # more heat below moves the point down


def test_no_candidates_give_no_points():
    mean, spread = local_integral(torch.zeros(4, 4, 4), torch.zeros((0, 3), dtype=torch.long), 1)
    assert mean.shape == (0, 3) and spread.shape == (0,)


def test_blocks_factorise_the_softmax_of_the_fine_heat_map_exactly():
    torch.manual_seed(0)
    center, level = torch.randn(1, 8, 6, 4, dtype=torch.float64), torch.randn(1, 1, 4, 3, 2, dtype=torch.float64)
    block, positions = blocks_of_two(center)
    log_probability, log_null = log_heat(block, level, torch.full((1, 1), -1e9, dtype=torch.float64), torch.tensor(1.0))
    by_blocks = global_integral(log_probability, positions)[0, 0]

    fine = (center[0] + level[0, 0].repeat_interleave(2, 0).repeat_interleave(2, 1).repeat_interleave(2, 2)).flatten()
    axes = [torch.arange(n, dtype=torch.float64) for n in (8, 6, 4)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    direct = (torch.softmax(fine, 0)[:, None] * grid).sum(0)
    assert torch.allclose(by_blocks, direct, atol=1e-9)
    assert torch.allclose(log_probability.exp().sum(), torch.ones((), dtype=torch.float64)) and log_null < -1e8


def test_the_null_cell_takes_the_mass_of_an_absent_level():
    center = gaussian_logits((8, 8, 8), (4.0, 4.0, 4.0))[None]
    block, _ = blocks_of_two(center)
    level = torch.zeros(1, 2, 4, 4, 4, dtype=torch.float64)
    null = torch.tensor([[20.0, -20.0]], dtype=torch.float64)
    log_probability, log_null = log_heat(block, level, null, torch.tensor(1.0))
    assert log_null[0, 0].exp() > 0.99 and log_probability[0, 0].exp().sum() < 0.01
    assert log_null[0, 1].exp() < 0.01 and log_probability[0, 1].exp().sum() > 0.99
