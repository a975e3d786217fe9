"""The curve of the spine as coordinates: true distances, both ways, in any posture."""

from __future__ import annotations

import numpy as np
import pytest
from spine_factory import lordotic, positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.straight_spine import ABOVE_MM, BELOW_MM, STEP_MM, straight_spine
from VertebraLabelingLib.errors import InputError

TRUE_WITHIN = 0.01  # of a distance along the curve


def labeled(places: np.ndarray) -> tuple[LabeledPoint, ...]:
    return tuple(LabeledPoint(level, tuple(place)) for level, place in zip(USUAL_LEVELS, np.asarray(places).tolist()))


def on_curve(curve, count: int, end: float) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) bodies of uneven heights on a curve ``t -> (x, y, z)``, and the true (N,) arc length to each."""
    t = np.linspace(0, end, 200_001)
    fine = np.stack(curve(t), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))])
    share = np.cumsum(np.linspace(1.0, 1.7, count))  # from the neck to the loins
    wanted = (share - share[0]) / (share[-1] - share[0]) * arc[-1]
    at = np.searchsorted(arc, wanted).clip(0, len(t) - 1)
    return fine[at], arc[at]


def helix(t):
    return 20 * np.cos(t), 20 * np.sin(t), -40 * t  # a turn of 250 mm: a scoliosis of 27 degrees all around


def s_shape(t):
    return 45 * np.sin(t / 80), 5 * np.sin(t / 60), -t  # Cobb angles of nearly 60 degrees


def kyphosis(t):
    return 0 * t, -110 * np.sin(t) + 4 * t, 110 * np.cos(t)  # half a circle: 170 degrees from end to end


def usual(t):
    return 0 * t, -(t**2) / 2000, -t


CURVES = {
    "helix": (helix, 24, 11.5),
    "S": (s_shape, 24, 480.0),
    "kyphosis": (kyphosis, 14, 2.9),
    "usual": (usual, 17, 400),
}


@pytest.fixture(params=CURVES)
def bent(request):
    return on_curve(*CURVES[request.param])


def test_distances_along_the_curve_are_true(bent):
    places, arc = bent
    heights = straight_spine(labeled(places)).to_straight(places)[:, 2]
    assert heights[0] == pytest.approx(0.0, abs=0.3)
    np.testing.assert_allclose(heights[0] - heights[-1], arc[-1], rtol=TRUE_WITHIN)
    np.testing.assert_allclose(heights[:-3] - heights[3:], arc[3:] - arc[:-3], rtol=TRUE_WITHIN)


def test_distances_stay_true_where_points_stand_two_millimeters_beside_their_bodies(bent):
    places, arc = bent
    loose = places + np.random.default_rng(3).uniform(-2, 2, places.shape)
    assert straight_spine(labeled(loose)).length_mm == pytest.approx(arc[-1], rel=TRUE_WITHIN)


def test_bodies_stand_on_the_axis(bent):
    places, _ = bent
    across = straight_spine(labeled(places)).to_straight(places)[:, :2]
    assert np.linalg.norm(across, axis=1).max() < 1.0


def test_a_place_comes_back_from_the_straightened_spine(bent):
    spine = straight_spine(labeled(bent[0]))
    rng = np.random.default_rng(1)
    straight = np.stack(
        [rng.uniform(-30, 30, 500), rng.uniform(-30, 30, 500), rng.uniform(spine.lowest, spine.highest, 500)], axis=1
    )
    np.testing.assert_allclose(spine.to_straight(spine.to_world(straight)), straight, atol=0.01)
    assert spine.holds(straight).all()


@pytest.mark.parametrize("reach", [60.0, 300.0], ids=["around the spine", "far away"])
def test_every_place_of_the_patient_has_one_in_the_straightened_spine(bent, reach):
    """Of two planes that cross behind a bend, the one whose part of the curve is nearer is taken."""
    spine = straight_spine(labeled(bent[0]))
    spread = np.random.default_rng(2).uniform(-reach, reach, (500, 3))
    world = bent[0][np.arange(500) % len(bent[0])] + spread
    straight = spine.to_straight(world)
    assert np.isfinite(straight).all()
    back = np.linalg.norm(spine.to_world(straight) - world, axis=1)
    assert np.quantile(back, 0.98) < 0.01
    beside = np.linalg.norm(world[:, None] - spine.center[None], axis=2).min(axis=1)
    assert (np.linalg.norm(straight[:, :2], axis=1)[back < 0.01] <= beside[back < 0.01] + reach).all()


def test_the_planes_are_right_handed_and_stand_across_the_curve(bent):
    spine = straight_spine(labeled(bent[0]))
    frames = np.stack([spine.right, spine.front, spine.up], axis=1)
    np.testing.assert_allclose(frames @ frames.transpose(0, 2, 1), np.tile(np.eye(3), (len(frames), 1, 1)), atol=1e-9)
    assert (np.linalg.det(frames) > 0.999).all()
    steps = np.diff(spine.center, axis=0) / STEP_MM
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 1.0, atol=1e-3)
    assert np.einsum("nc,nc->n", steps, spine.up[1:]).min() > 0.999


@pytest.mark.parametrize("angle", [lordotic, lambda part: 0.0], ids=["usual", "straight"])
def test_right_and_front_are_the_patient_s(angle):
    places = positions(USUAL_LEVELS, angle=angle)
    spine = straight_spine(labeled(places))
    beside = spine.to_straight(places[5:12] + np.array([12.0, 0, 0]))
    before = spine.to_straight(places[5:12] + np.array([0, 12.0, 0]))
    np.testing.assert_allclose(beside[:, 0], 12.0, atol=1.5)
    assert (before[:, 1] > 10.5).all()


TURNS = {
    "on the side": np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]]),
    "sitting": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "upside down": np.diag([-1.0, 1, -1]),
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_a_turned_patient_is_straightened_as_well(turn):
    places = positions(USUAL_LEVELS)
    upright, turned = straight_spine(labeled(places)), straight_spine(labeled(places @ turn.T))
    assert turned.length_mm == pytest.approx(upright.length_mm, abs=STEP_MM)
    np.testing.assert_allclose(turned.to_straight(places @ turn.T), upright.to_straight(places), atol=0.5)


def test_the_curve_runs_on_straight_beyond_its_ends():
    places = positions(USUAL_LEVELS[:7], angle=lambda part: 0.0)
    spine = straight_spine(labeled(places))
    top, bottom = spine.to_straight(np.array([places[0], places[-1]]))[:, 2]
    assert spine.highest - top == pytest.approx(ABOVE_MM, abs=1.0)
    assert bottom - spine.lowest == pytest.approx(BELOW_MM, abs=1.0)
    far = places[0] + np.array([3.0, -4.0, 150.0])
    np.testing.assert_allclose(spine.to_straight([far])[0], (3.0, -4.0, 150.0), atol=0.01)
    assert not spine.holds(spine.to_straight([far]))[0]


def test_a_zigzag_of_the_points_is_not_followed():
    places = positions(USUAL_LEVELS[7:19], angle=lambda part: 0.0)
    places[::2, 0] += 4.0
    beside = straight_spine(labeled(places)).to_straight(places)[2:-2, 0]
    assert (np.abs(beside) > 0.3).all()


def test_labels_keep_level_confidence_and_warnings_and_lose_the_scan():
    places = positions(USUAL_LEVELS)
    points = tuple(LabeledPoint(p.level, p.ras, 0.5, "moved") for p in labeled(places))
    made = straight_spine(points).labels(SpineLabels(points, provenance={"source": {"kind": "file"}}))
    assert [(p.level, p.confidence, p.status) for p in made.points] == [(lvl, 0.5, "moved") for lvl in USUAL_LEVELS]
    assert made.provenance == {} and made.evidence is None
    heights = [p.ras[2] for p in made.points]
    assert heights == sorted(heights, reverse=True) and heights[0] == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize(
    "places", [np.zeros((0, 3)), np.zeros((1, 3)), np.zeros((2, 3))], ids=["none", "one", "two at one place"]
)
def test_what_has_no_direction_is_refused(places):
    with pytest.raises(InputError, match="at least two vertebrae"):
        straight_spine(labeled(places))


def test_two_vertebrae_are_enough():
    spine = straight_spine(labeled(positions(USUAL_LEVELS[:2])))
    assert spine.length_mm == pytest.approx(np.linalg.norm(np.diff(positions(USUAL_LEVELS[:2]), axis=0)), abs=STEP_MM)


def test_points_in_the_wrong_order_are_refused_by_name():
    places = positions(USUAL_LEVELS)
    places[[8, 9]] = places[[9, 8]]
    with pytest.raises(InputError, match=r"turns back at T[12]\b.*put the points in their order"):
        straight_spine(labeled(places))
