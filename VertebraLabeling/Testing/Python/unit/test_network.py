"""The network: shapes, folding of normalisations, gradients through every head."""

from __future__ import annotations

import torch
from VertebraLabelingLib.anatomy import LEVELS
from VertebraLabelingLib.network import VertebraNet, fold_norms, widen_input, window

NARROW = (4, 8, 8, 8, 8)


def small_network(seed=0) -> VertebraNet:
    torch.manual_seed(seed)
    return VertebraNet(NARROW)


def test_each_head_has_the_shape_that_its_grid_asks_for():
    prediction = small_network()(torch.zeros(2, 1, 48, 32, 16))
    assert prediction.center.shape == (2, 48, 32, 16)
    assert prediction.level.shape == (2, len(LEVELS) + 1, 24, 16, 8)
    assert prediction.slices.shape == (2, 24, len(LEVELS) + 1)
    assert prediction.presence.shape == prediction.null.shape == (2, len(LEVELS))


def test_folding_the_normalisations_does_not_change_the_output():
    network = small_network()
    for _ in range(3):  # give the running statistics something to be
        network(torch.randn(2, 1, 32, 16, 16))
    network.eval()
    image = torch.randn(1, 1, 32, 32, 16)
    with torch.no_grad():
        before = network(image)
        after = fold_norms(network)(image)
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in network.modules())
    for name in ("center", "level", "slices", "presence", "null"):
        assert torch.allclose(getattr(before, name), getattr(after, name), atol=1e-3), name


def test_widening_the_input_does_not_change_the_output():
    network = fold_norms(small_network().eval())
    image = torch.randn(1, 1, 32, 32, 16)
    with torch.no_grad():
        before = network(image)
        after = widen_input(network)(image)
    assert torch.allclose(before.center, after.center, atol=1e-5)
    assert torch.allclose(before.level, after.level, atol=1e-5)


def test_every_parameter_learns_from_the_sum_of_the_heads():
    network = small_network()
    p = network(torch.randn(2, 1, 32, 16, 16))
    heat = network.temperature * p.level.square().mean() + p.center.square().mean()
    (heat + p.slices.square().mean() + p.null.square().mean()).backward()
    silent = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert silent == []


def test_presence_knows_the_order_along_the_body_axis():
    """A Bi-LSTM, unlike pooling, answers differently when the slices are reversed."""
    network = small_network().eval()
    features = torch.randn(1, 10, NARROW[1] + NARROW[2])
    with torch.no_grad():
        forward, backward = network.sequence(features)[1], network.sequence(features.flip(1))[1]
    assert not torch.allclose(forward, backward, atol=1e-4)


def test_the_window_clips_air_and_metal():
    hu = torch.tensor([-3024.0, -1000.0, 0.0, 500.0, 30000.0])
    assert window(hu).tolist() == [-1.0, -1.0, 0.0, 1.0, 2.5]
