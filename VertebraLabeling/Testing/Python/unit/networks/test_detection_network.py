"""The network: shapes, folding of normalizations, gradients through every head."""

from __future__ import annotations

import torch
from VertebraLabelingLib.core.anatomy import LEVELS
from VertebraLabelingLib.networks.detection_network import (
    BACKGROUND,
    NO_CENTER,
    SPINE_MARGIN,
    STRIDE,
    DetectionNetwork,
    widen_input,
)
from VertebraLabelingLib.networks.layers import fold_norms, window

NARROW = (4, 8, 8, 8, 8)


def small_network(seed=0) -> DetectionNetwork:
    torch.manual_seed(seed)
    return DetectionNetwork(NARROW)


def test_each_head_has_the_shape_that_its_grid_asks_for():
    prediction = small_network()(torch.zeros(2, 1, 48, 32, 16))
    assert prediction.center.shape == (2, 48, 32, 16)
    assert prediction.level.shape == (2, len(LEVELS) + 1, 24, 16, 8)
    assert prediction.slices.shape == (2, 24, len(LEVELS) + 1)
    assert prediction.presence.shape == prediction.null.shape == (2, len(LEVELS))


def test_sizes_that_the_coarsest_scale_does_not_divide_are_taken():
    prediction = small_network()(torch.zeros(1, 1, 3 * STRIDE, 5 * STRIDE, 2 * STRIDE))
    assert prediction.center.shape == (1, 24, 40, 16)
    assert prediction.slices.shape == (1, 12, len(LEVELS) + 1)


class SpineAt(torch.nn.Module):
    """A level head that sees a vertebra in one part of its 8 mm grid."""

    def __init__(self, part) -> None:
        super().__init__()
        self.part = part

    def forward(self, x):
        level = torch.zeros(len(x), len(LEVELS) + 1, *x.shape[2:])
        level[:, BACKGROUND] = 20.0
        level[(slice(None), BACKGROUND, *self.part)] = -20.0
        return level


@torch.no_grad()
def test_centers_are_looked_for_around_what_the_level_map_takes_for_spine():
    network, image = fold_norms(small_network().eval()), torch.randn(1, 1, 64, 48, 48)
    network.near_spine = True
    network.level = SpineAt((slice(10, 20), slice(12, 13), slice(0, 3)))
    stem = torch.relu(network.stem(image))
    s1 = network.e1(stem)
    s2 = network.e2(s1)
    s3 = network.e3(s2)
    everywhere = network._center(network.u1(network.u2(network.u3(network.e4(s3), s3), s2), s1), stem)
    center, margin = network(image).center, 2 * SPINE_MARGIN
    inner = (slice(None), slice(20, 40), slice(24, 26), slice(0, 6))
    assert torch.allclose(center[inner], everywhere[inner], atol=1e-5)
    outside = torch.ones_like(center, dtype=torch.bool)
    outside[:, 20 - margin : 40 + margin, 24 - margin : 26 + margin, : 6 + margin] = False
    assert (center[outside] == NO_CENTER).all() and (center[~outside] != NO_CENTER).all()


@torch.no_grad()
def test_a_scan_without_spine_has_no_center():
    network = small_network().eval()
    network.near_spine = True
    network.level = SpineAt((slice(0, 0),))
    assert (network(torch.randn(1, 1, 32, 32, 16)).center == NO_CENTER).all()


def test_folding_the_normalizations_does_not_change_the_output():
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
