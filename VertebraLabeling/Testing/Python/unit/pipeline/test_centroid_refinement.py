"""Centroids refined in cubes around themselves: onto bodies, in any volume, and no farther than a body's size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from axis_orders import name_of, stored, turned
from phantoms import affine
from torch import nn
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.parameters import SHIPPED
from VertebraLabelingLib.core.volume import AIR_HU, Volume, apply_affine, ras_to_ijk, to_canonical
from VertebraLabelingLib.networks.centroid_network import CELL_MM, CELLS, CentroidNetwork, Placed, voxel_phase
from VertebraLabelingLib.pipeline import centroid_refinement
from VertebraLabelingLib.pipeline.centroid_refinement import (
    ASIDE,
    BATCH,
    ONE_VIEW,
    TWO_VIEWS,
    steps,
)
from VertebraLabelingLib.preprocessing.interpolation import sample, sample_around
from VertebraLabelingLib.preprocessing.prepared_scan import PreparedScan

NUMBERS = SHIPPED.centroids

BLOBS = np.array([[4.0, -8.0, 170.0], [1.0, 3.0, 110.0], [-6.0, 5.5, 52.0]])  # so far apart that no cube shows two
WHOLE = np.ones(3, dtype=int)  # voxels that were not divided
AWAY = np.array([[3.0, -2.0, 4.0], [-4.0, 3.0, -2.0], [0.5, 5.0, 3.0]])


def place(evidence, volume, *arguments, **options):
    """The centroid refinement in a volume of any orientation."""
    return centroid_refinement.place(evidence, PreparedScan.of(volume), *arguments, **options)


class Centroid(nn.Module):
    """Stands in for the network: the centroid of what is denser than 250 HU, mm from the middle of the cube."""

    def __init__(self, spread=2.0):
        super().__init__()
        self.spread = spread

    def forward(self, x, phase=None):
        axis = (torch.arange(CELLS) - (CELLS - 1) / 2) * CELL_MM
        weight = (x[:, 0] - 0.5).clamp(min=0)
        mass = weight.sum((1, 2, 3)).clamp(min=1e-6)
        offset = torch.stack([(weight.sum(d) * axis).sum(1) / mass for d in ((2, 3), (1, 3), (1, 2))], dim=1)
        return Placed(offset, torch.full((len(x),), self.spread))


class DrawnAlong(Centroid):
    """Moves along with the mean of all that it sees, air as well."""

    def forward(self, x, phase=None):
        placed = super().forward(x)
        return Placed(placed.offset + x.mean((1, 2, 3, 4))[:, None], placed.spread)


def blob_volume(spacing=(1.5, 1.5, 2.0), axes=None, shift=(0.0, 0.0, 0.0)) -> Volume:
    """Smooth dense blobs at :data:`BLOBS` in muscle; about 120 x 120 x 220 mm around (0, 0, 110)."""
    size = np.round(np.array([120.0, 120.0, 220.0]) / spacing).astype(int)
    matrix = affine(spacing, (0, 0, 0), axes)
    matrix[:3, 3] = np.array([0.0, 0.0, 110.0]) - matrix[:3, :3] @ ((size - 1) / 2) + shift
    k, j, i = np.indices(size[::-1])
    world = apply_affine(matrix, np.stack((i, j, k), axis=-1).reshape(-1, 3))
    values = np.full(len(world), 40.0)
    for blob in BLOBS:
        values += 1100 * np.exp(-((world - blob) ** 2).sum(axis=1) / (2 * 5.0**2))
    return Volume(values.reshape(size[::-1]).astype(np.float32), matrix)


def evidence_at(points) -> Evidence:
    points = np.asarray(points, dtype=float).reshape(-1, 3)
    unary = np.random.default_rng(0).uniform(0, 5, (len(points), 26))
    return Evidence(points, unary, np.linspace(0.2, 0.9, len(points)), np.full(26, 0.5), np.zeros((8, 3)))


@pytest.mark.parametrize(
    ("stored_as", "tolerance_mm"),
    [
        ({}, 0.1),
        ({"spacing": (0.8, 0.8, 1.0)}, 0.1),
        ({"spacing": (1.0, 1.0, 5.0)}, 0.5),
        ({"shift": (0.5, 0.7, 0.9)}, 0.1),
        ({"shift": (-0.6, 0.2, -0.4)}, 0.1),
        ({"axes": turned(10)}, 0.1),
        ({"axes": turned(35)}, 0.1),
    ],
    ids=["plain", "fine", "thick", "grid phase", "other phase", "oblique", "very oblique"],
)
def test_candidates_move_onto_the_blobs_however_the_volume_is_stored(stored_as, tolerance_mm):
    placed = place(evidence_at(BLOBS + AWAY), blob_volume(**stored_as), Centroid())
    np.testing.assert_allclose(placed.points, BLOBS, atol=tolerance_mm)


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 2.0), (1.5, 7.0, 2.0)], ids=["small voxels", "large voxels"])
def test_air_beside_a_body_is_as_good_as_any_other_air(spacing):
    """Lung, air and what a scanner stores as air look alike; fat and all that is denser stay as they are."""
    volume = blob_volume(spacing)
    j = np.arange(volume.array.shape[1])[:, None]
    kinds = []
    for hu in (NUMBERS.lowest_hu, -700.0, -1000.0, -2048.0):
        array = np.where(j > 0.7 * j.max(), np.float32(hu), volume.array)
        kinds.append(place(evidence_at(BLOBS), Volume(array, volume.ijk_to_ras), DrawnAlong()).points)
    for points in kinds[1:]:
        np.testing.assert_allclose(points, kinds[0], atol=1e-6)
    fat = Volume(np.where(j > 0.7 * j.max(), np.float32(-100.0), volume.array), volume.ijk_to_ras)
    assert np.abs(place(evidence_at(BLOBS), fat, DrawnAlong()).points - kinds[0]).max() > 1e-3


def test_costs_and_field_of_view_stay():
    before = evidence_at(BLOBS + AWAY)
    after = place(before, blob_volume(), Centroid())
    for name in ("unary", "presence", "corners"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    np.testing.assert_array_equal(before.points, BLOBS + AWAY)  # the input is not written to


def eager(seed: int = 0) -> CentroidNetwork:
    """An untrained network that says more than the middle, and something else where it knows the phase of voxels."""
    torch.manual_seed(seed)
    network = CentroidNetwork().eval()
    network.heat.weight.data *= 50
    nn.init.normal_(network.phase.weight, std=0.1)
    return network


@pytest.mark.parametrize("spacing", [(1.5, 1.5, 2.0), (7.0, 1.5, 6.0)], ids=["small", "large"])
@pytest.mark.parametrize("axis_order", [((0, 1, 2), (-1, -1, 1)), ((1, 2, 0), (-1, 1, -1))], ids=name_of)
def test_a_volume_stored_in_another_axis_order_gives_the_same_places(axis_order, spacing):
    network, evidence, volume = eager(), evidence_at(BLOBS + AWAY), blob_volume(spacing)
    plain, other = place(evidence, volume, network), place(evidence, stored(volume, axis_order), network)
    assert np.abs(plain.points - evidence.points).max() > 0.1
    np.testing.assert_allclose(other.points, plain.points, atol=1e-2)


@pytest.mark.parametrize("parts", [WHOLE, WHOLE * 4], ids=["small voxels", "large voxels"])
@pytest.mark.parametrize("views", [TWO_VIEWS, ASIDE], ids=["two views", "aside"])
def test_left_and_right_are_the_same_to_it(views, parts):
    """Half of the cubes are mirrored, as their places are: a mirrored patient has mirrored points."""
    network = eager(1)
    mirror = np.array([-1.0, 1.0, 1.0])
    volume = blob_volume()
    mirrored = to_canonical(Volume(volume.array, np.diag([*mirror, 1.0]) @ volume.ijk_to_ras))
    image, mirror_image = (torch.from_numpy(np.ascontiguousarray(each.array)) for each in (volume, mirrored))
    plain, spread = (of.mean(axis=0) for of in steps(network, image, volume, parts, BLOBS + AWAY, views))
    other, other_spread = (
        of.mean(axis=0) for of in steps(network, mirror_image, mirrored, parts, (BLOBS + AWAY) * mirror, views)
    )
    assert np.abs(plain[:, 0]).max() > 0.01
    np.testing.assert_allclose(other, plain * mirror, atol=1e-2)
    np.testing.assert_allclose(other_spread, spread, atol=1e-2)


def test_a_candidate_that_wanders_too_far_stays_where_it_was():
    direction = np.array([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    start = BLOBS + direction * np.array([[NUMBERS.farthest_mm + 1.5], [NUMBERS.farthest_mm - 1.5], [0.0]])
    placed = place(evidence_at(start), blob_volume(), Centroid())
    np.testing.assert_array_equal(placed.points[0], start[0])
    np.testing.assert_allclose(placed.points[1:], BLOBS[1:], atol=0.1)


def test_a_candidate_that_comes_to_rest_keeps_its_detection():
    before = evidence_at(BLOBS + AWAY)
    np.testing.assert_array_equal(place(before, blob_volume(), Centroid()).detection, before.detection)


def test_a_candidate_that_wanders_too_far_loses_detection():
    start = BLOBS + np.array([[NUMBERS.farthest_mm + 1.5, 0, 0], [0, 0, 0], [0, 0, 0]])
    before = evidence_at(start)
    after = place(before, blob_volume(), Centroid())
    np.testing.assert_allclose(after.detection / before.detection, [NUMBERS.unsettled, 1, 1])


def test_a_candidate_whose_heat_map_hesitates_loses_detection():
    before = evidence_at(BLOBS)
    after = place(before, blob_volume(), Centroid(spread=6.0))
    np.testing.assert_allclose(after.points, BLOBS, atol=0.1)
    np.testing.assert_allclose(after.detection, NUMBERS.unsettled * before.detection)


class Torn(nn.Module):
    """Says its offsets (z, y, x) one cube after the other: of the first round, of two views, of two views aside."""

    def __init__(self, *offsets):
        super().__init__()
        self.offsets = iter(offsets)

    def forward(self, x, phase=None):
        return Placed(torch.tensor([next(self.offsets) for _ in x]), torch.full((len(x),), 2.0))


@pytest.mark.parametrize(("aside", "moved"), [(1.0, 0.5), (3.0, 0.0)], ids=["alike", "torn"])
def test_views_aside_count_where_they_say_about_the_same(aside, moved):
    """Two views stay where they are; those aside, 2 mm off, see the center at ``aside`` mm to the right."""
    here = (0.0, 0.0, 0.0)
    network = Torn(here, here, here, (-2.0, -2.0, aside - 2.0), (-2.0, -2.0, -(aside + 2.0)))
    placed = place(evidence_at(BLOBS[:1]), blob_volume(), network)
    np.testing.assert_allclose(placed.points - BLOBS[:1], [[moved, 0.0, 0.0]], atol=1e-6)


def test_candidates_before_the_first_stay_as_they_are():
    before = evidence_at(BLOBS + AWAY)
    after = place(before, blob_volume(), Centroid(spread=6.0), first=2)
    np.testing.assert_array_equal(after.points[:2], before.points[:2])
    np.testing.assert_allclose(after.detection / before.detection, [1, 1, NUMBERS.unsettled])


def test_more_cubes_than_a_batch_are_the_same_cubes():
    network, volume = eager(1), blob_volume()
    image = torch.from_numpy(volume.array)
    points = BLOBS[0] + np.random.default_rng(0).normal(0, 4, (BATCH // 2 + 3, 3))
    many, spread = steps(network, image, volume, WHOLE, points, TWO_VIEWS)
    assert many.shape == (2, len(points), 3) and spread.shape == (2, len(points))
    few, few_spread = steps(network, image, volume, WHOLE, points[-2:], TWO_VIEWS)
    np.testing.assert_allclose(many[:, -2:], few, atol=1e-3)
    np.testing.assert_allclose(spread[:, -2:], few_spread, atol=1e-3)


def test_without_candidates_nothing_is_placed():
    empty = evidence_at([])
    assert place(empty, blob_volume(), Centroid()) is empty


def test_samples_are_trilinear_inside_and_air_outside():
    k, j, i = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in (6, 7, 8)), indexing="ij")
    image = (10 * k + 20 * j - 5 * i).to(torch.int16)
    index = torch.tensor([[[2.0, 3.0, 4.0], [0.25, 5.5, 6.75]], [[-3.0, 2.0, 2.0], [2.0, 9.0, 2.0]]])
    values = sample(image, index)
    assert values.shape == (2, 2)
    torch.testing.assert_close(values[0], torch.tensor([60.0, 78.75]))
    torch.testing.assert_close(values[1], torch.tensor([AIR_HU, AIR_HU]))


@pytest.mark.parametrize("number", [1, 6, 31, 48])
def test_any_number_of_samples_is_shared_among_threads(number):
    image = torch.arange(5.0 * 6 * 7).view(5, 6, 7)
    index = torch.rand(number, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([4.0, 5.0, 6.0])
    torch.testing.assert_close(sample(image, index), index @ torch.tensor([42.0, 7.0, 1.0]), atol=1e-3, rtol=0)


def test_samples_around_centers_are_those_at_their_sums():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(9, 8, 7, generator=generator) * 1000
    centers, offsets = torch.rand(5, 3, generator=generator) * 9, torch.rand(2, 4, 3, generator=generator) * 6 - 3
    around = sample_around(image, centers, offsets)
    assert around.shape == (5, 2, 4) and (around == AIR_HU).any()
    torch.testing.assert_close(around, sample(image, centers[:, None, None] + offsets), atol=1e-2, rtol=0)


class Listening(Centroid):
    """Stays where it is, and keeps what is said of the voxels' phase for the cubes of each round."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def forward(self, x, phase=None):
        self.heard.append(None if phase is None else phase.reshape(len(x), 3, 3, CELLS).numpy())
        return Placed(torch.zeros(len(x), 3), torch.full((len(x),), 2.0))


@pytest.mark.parametrize("axes", [None, turned(10)], ids=["straight", "oblique"])
def test_the_network_knows_where_each_large_voxel_has_its_middle(axes):
    """In cubes around the point, in those aside, and in mirrored ones."""
    volume, network = blob_volume((7.0, 0.8, 6.0), axes), Listening()
    place(evidence_at(BLOBS[:1]), volume, network)
    ((i, _, k),) = ras_to_ijk(volume, BLOBS[:1])
    cells = (np.arange(CELLS) - (CELLS - 1) / 2) * CELL_MM
    first, last = network.heard
    for heard, (*shift, mirrored) in zip((*first, *last), (*ONE_VIEW, *TWO_VIEWS, *ASIDE), strict=True):
        for along, middle, size, away, sign in ((0, k, 6.0, shift[0], 1), (2, i, 7.0, shift[2], -1 if mirrored else 1)):
            angle = sign * 2 * np.pi * (middle + (away + sign * cells) / size)
            np.testing.assert_allclose(heard[along, 0], np.cos(angle), atol=1e-4)
            np.testing.assert_allclose(heard[along, 1], np.sin(angle), atol=1e-4)
            np.testing.assert_allclose(heard[along, 2], size / 8)
        assert not heard[1].any(), "small voxels"


@pytest.mark.parametrize(
    "stored_as", [{}, {"spacing": (1.0, 1.0, 5.0)}, {"spacing": (7.0, 1.5, 6.0), "axes": turned(25)}]
)
def test_without_very_large_voxels_along_the_cube_it_knows_no_phase(stored_as):
    network = Listening()
    place(evidence_at(BLOBS[:1]), blob_volume(**stored_as), network)
    assert network.heard == [None, None]


class TestCentroidNetwork:
    cubes = torch.randn(3, 1, CELLS, CELLS, CELLS, generator=torch.Generator().manual_seed(0))

    @torch.inference_mode()
    def test_an_even_heat_map_says_the_middle(self):
        network = CentroidNetwork().eval()
        nn.init.zeros_(network.heat.weight)
        torch.testing.assert_close(network(self.cubes).offset, torch.zeros(3, 3), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("cell", [(0, 5, 11), (11, 0, 3)])
    @torch.inference_mode()
    def test_a_single_hot_cell_is_the_place(self, cell):
        """In the order z, y, x, mm: 12 cells of 4 mm, the first 22 mm before the middle."""
        network = CentroidNetwork().eval()

        class OneCell(nn.Module):
            def forward(self, x):
                heat = torch.full((len(x), 1, *x.shape[2:]), -50.0)
                heat[(slice(None), 0, *cell)] = 50.0
                return heat

        network.heat = OneCell()
        expected = torch.tensor([-22.0 + 4.0 * index for index in cell])
        torch.testing.assert_close(network(self.cubes).offset, expected.expand(3, 3), atol=1e-4, rtol=0)

    @torch.inference_mode()
    def test_a_heat_map_of_two_bodies_is_wide(self):
        network = CentroidNetwork().eval()

        class TwoCells(nn.Module):
            def forward(self, x):
                heat = torch.full((len(x), 1, *x.shape[2:]), -50.0)
                heat[:, 0, 4, 6, 6] = heat[:, 0, 7, 6, 6] = 50.0
                return heat

        network.heat = TwoCells()
        torch.testing.assert_close(network(self.cubes).spread, torch.full((3,), 6.0), atol=1e-4, rtol=0)

    def test_the_phase_turns_once_from_voxel_to_voxel(self):
        places = np.zeros((1, 3, CELLS)) + np.array([0.0, 0.25, 0.5, 0.75])[np.arange(CELLS) % 4]
        phase = voxel_phase(places, np.array([8.0, 5.4, 6.0])).reshape(3, 3, CELLS)
        for axis in (0, 2):
            torch.testing.assert_close(phase[axis, :2, :4], torch.tensor([[1.0, 0, -1, 0], [0, 1, 0, -1]]))
        assert not phase[1].any() and (phase[0, 2] == 1).all() and (phase[2, 2] == 0.75).all()

    @torch.inference_mode()
    def test_the_phase_along_an_axis_counts_along_it(self):
        network = eager()
        along_z, along_y = torch.zeros(3, 9, CELLS), torch.zeros(3, 9, CELLS)
        plain = network(self.cubes).offset
        torch.testing.assert_close(network(self.cubes, along_z).offset, plain)
        along_z[:, 0], along_y[:, 3] = torch.linspace(-1, 1, CELLS), torch.linspace(-1, 1, CELLS)
        with_z, with_y = network(self.cubes, along_z).offset, network(self.cubes, along_y).offset
        assert (with_z - plain).abs().max() > 0.1 and (with_y - with_z).abs().max() > 0.1
        network.phase.weight.data = network.phase.weight.roll(len(network.phase.weight) // 3, 0)
        for layer in network.modules():
            if isinstance(layer, nn.Conv3d):
                layer.weight.data = layer.weight.transpose(2, 3)
        turned_around = network(self.cubes.transpose(2, 3), along_y).offset
        torch.testing.assert_close(turned_around, with_z[:, [1, 0, 2]], atol=1e-3, rtol=0)

    @torch.inference_mode()
    def test_weights_of_networks_that_knew_no_phase_still_load(self):
        older = {name: value for name, value in eager().state_dict().items() if name != "phase.weight"}
        network = eager(1)
        network.load_state_dict(older)
        phase = torch.ones(3, 9, CELLS)
        torch.testing.assert_close(network(self.cubes, phase).offset, eager()(self.cubes).offset)
        with pytest.raises(RuntimeError, match="Missing key"):
            network.load_state_dict(dict(list(older.items())[1:]))

    @torch.inference_mode()
    def test_the_place_never_leaves_the_cube(self):
        torch.manual_seed(0)
        network = CentroidNetwork().eval()
        network.heat.weight.data *= 1e4
        assert network(1e3 * self.cubes).offset.abs().max() <= 22.0 + 1e-4
