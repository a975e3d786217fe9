"""The chain solver on spines whose right answer is known."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from spine_factory import FOUR_LUMBAR, NO_T12, WITH_L6, WITH_T13, evidence, names, positions
from VertebraLabelingLib.core.anatomy import LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.labels import PREDICTED
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.solver.chain import solve

CROPS = [
    USUAL_LEVELS[first : first + size] for size in range(3, 13) for first in range(0, len(USUAL_LEVELS) - size + 1)
]


def test_perfect_points_of_a_whole_spine_get_their_names_and_places():
    points = positions(USUAL_LEVELS)
    given = evidence(USUAL_LEVELS, points, strength=6.0)
    labels = solve(given)
    assert names(labels) == list(USUAL_LEVELS)
    np.testing.assert_array_equal([point.ras for point in labels.points], points)
    assert {point.status for point in labels.points} == {PREDICTED}
    assert min(point.confidence for point in labels.points) > 0.95
    assert labels.warnings == ()
    assert labels.evidence is given


def test_the_order_of_the_candidates_in_the_evidence_does_not_matter():
    points = positions(USUAL_LEVELS)
    rows = np.random.default_rng(5).permutation(len(points))
    labels = solve(evidence([USUAL_LEVELS[row] for row in rows], points[rows]))
    assert names(labels) == list(USUAL_LEVELS)
    np.testing.assert_array_equal([point.ras for point in labels.points], points)


@pytest.mark.parametrize("levels", CROPS, ids=lambda levels: f"{levels[0]}-{levels[-1]}")
def test_every_crop_with_moderate_evidence_is_named_rightly(levels):
    labels = solve(evidence(levels, positions(levels), strength=1.5, noise=0.7, seed=len(levels)))
    assert names(labels) == list(levels)


def test_appearance_without_presence_suffices_for_most_crops():
    right = [
        names(solve(evidence(crop, positions(crop), 1.5, 0.7, presence=False))) == list(crop) for crop in CROPS[::3]
    ]
    assert np.mean(right) > 0.95


@pytest.mark.parametrize("missed", ["C4", "T5", "T12", "L3"])
def test_a_missed_vertebra_does_not_shift_the_others(missed):
    keep = [level != missed for level in USUAL_LEVELS]
    levels = [level for level in USUAL_LEVELS if level != missed]
    labels = solve(evidence(levels, positions(USUAL_LEVELS)[keep], strength=1.5))
    assert names(labels) == levels
    above, below = USUAL_LEVELS[USUAL_LEVELS.index(missed) - 1], USUAL_LEVELS[USUAL_LEVELS.index(missed) + 1]
    assert f"{missed} not found between {above} and {below}." in map(str, labels.warnings)


@pytest.mark.parametrize("offset", [(45, 5, 4), (0, -60, 0), (6, 30, 10), (0, 0, 14)], ids=str)
def test_a_false_positive_is_left_out(offset):
    points = positions(USUAL_LEVELS)
    points = np.concatenate([points, points[14:15] + offset])
    labels = solve(evidence([*USUAL_LEVELS, ""], points))
    assert names(labels) == list(USUAL_LEVELS)
    np.testing.assert_array_equal([point.ras for point in labels.points], points[:-1])


@pytest.mark.parametrize(
    ("levels", "warning"),
    [
        (WITH_T13, "Thirteen vertebrae bear ribs, the last is named T13; counted from the sacrum it is T12."),
        (WITH_T13[8:], "T13 found; counted from the sacrum it is T12."),
        (WITH_T13[8:22], "T13 found."),
        (NO_T12, "Eleven vertebrae bear ribs: the next, named L1, may be T12 without ribs or L1."),
        (NO_T12[8:], "The vertebra named L1 may be T12 with short ribs or none, or L1."),
        (WITH_L6, "L6 or lumbarized S1 found."),
        (FOUR_LUMBAR, None),
    ],
    ids=["T13", "T13 and the sacrum", "T13 alone", "no T12", "no T12 alone", "L6", "four lumbar"],
)
def test_enumeration_variants_are_found_and_told(levels, warning):
    # the sacrum is in view below four lumbar vertebrae, too
    labels = solve(evidence(levels, positions(levels), strength=3.0, margin_mm=60.0))
    assert names(labels) == list(levels)
    assert warning is None or warning in map(str, labels.warnings)


@pytest.mark.parametrize(("levels", "variant"), [(WITH_T13, "T13"), (WITH_L6, "L6")], ids=["T13", "L6"])
def test_a_detection_network_that_knows_no_variant_does_not_speak_against_one(levels, variant):
    given = evidence(levels, positions(levels), strength=2.0, margin_mm=60.0)
    unheard = np.where(np.array(LEVELS) == variant, 0.001, given.presence)
    assert names(solve(replace(given, presence=unheard))) == list(levels)


@pytest.mark.parametrize(("first", "variant"), [("T12", "T13"), ("L5", "L6")])
def test_a_chain_begins_with_a_variant_only_where_it_is_seen(first, variant):
    """Few vertebrae below the edge of the image: a first one that looks like a variant no less."""
    levels = USUAL_LEVELS[USUAL_LEVELS.index(first) :][:4]
    points = positions(USUAL_LEVELS)[USUAL_LEVELS.index(first) :][:4]
    given = evidence(levels, points, strength=2.0, presence=False)
    alike = given.unary.copy()
    alike[0, LEVELS.index(variant)] = 0.0
    alike[0, LEVELS.index(first)] = 0.5
    assert names(solve(replace(given, unary=alike))) == list(levels)


@pytest.mark.parametrize("scale", [0.7, 0.85, 1.15])
@pytest.mark.parametrize(
    "levels", [USUAL_LEVELS, USUAL_LEVELS[6:18], USUAL_LEVELS[15:]], ids=["whole", "chest", "abdomen"]
)
def test_small_and_large_patients_are_named_alike(scale, levels):
    assert names(solve(evidence(levels, positions(levels, scale), strength=1.5))) == list(levels)


def test_a_kyphosis_that_brings_the_neck_below_the_shoulders_is_followed():
    points = positions(USUAL_LEVELS, angle=lambda part: 3.4 * (1 - part) ** 1.5 - 0.3)
    assert points[0, 2] < points[:, 2].max() - 50, "the neck hangs down"
    labels = solve(evidence(USUAL_LEVELS, points, strength=1.5))
    assert names(labels) == list(USUAL_LEVELS)


def test_a_scoliosis_is_followed():
    labels = solve(evidence(USUAL_LEVELS, positions(USUAL_LEVELS, sideways=0.9), strength=1.5))
    assert names(labels) == list(USUAL_LEVELS)


def test_any_orientation_of_the_patient_is_named_alike():
    points = positions(USUAL_LEVELS[8:])
    rng = np.random.default_rng(3)
    head_down = np.diag([1.0, -1.0, -1.0])
    turns = [head_down, *(np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(20))]
    for turn in turns:
        labels = solve(evidence(USUAL_LEVELS[8:], points @ turn.T, strength=2.0))
        assert names(labels) == list(USUAL_LEVELS[8:])


def test_without_appearance_the_order_follows_superior():
    points = positions(USUAL_LEVELS[10:18])
    labels = solve(evidence(USUAL_LEVELS[10:18], points, strength=0.0, presence=False))
    heights = [point.ras[2] for point in labels.points]
    assert heights == sorted(heights, reverse=True)


def test_presence_decides_where_appearance_is_silent():
    levels = USUAL_LEVELS[9:16]
    flat = evidence(levels, positions(levels), strength=0.0)
    assert names(solve(flat)) == list(levels)


def test_field_of_view_decides_where_the_sacrum_would_be_in_view():
    levels = USUAL_LEVELS[-6:]
    wide = evidence(levels, positions(levels), strength=0.0, presence=False, margin_mm=150.0)
    head_side_cut = wide.corners.copy()
    head_side_cut[:, 2] = np.minimum(head_side_cut[:, 2], wide.points[0, 2] + 12)
    labels = solve(Evidence(wide.points, wide.unary, wide.detection, wide.presence, head_side_cut))
    assert names(labels)[-1] in ("L5", "L6")


def test_weak_evidence_warns_of_a_shift_and_strong_evidence_does_not():
    levels = USUAL_LEVELS[9:16]
    weak = solve(evidence(levels, positions(levels), strength=0.0, presence=False))
    strong = solve(evidence(levels, positions(levels), strength=6.0))
    assert str(weak.warnings[0]).startswith("Levels may be shifted by one: no landmark is in view")
    assert not any("shifted" in text for text in map(str, strong.warnings))
    assert weak.provenance["shift_margin"] < 1.0 < 2.0 < strong.provenance["shift_margin"]
    assert max(point.confidence for point in weak.points) < min(point.confidence for point in strong.points)


def test_a_vertebra_at_the_edge_of_the_image_is_told():
    levels = USUAL_LEVELS[8:16]
    labels = solve(evidence(levels, positions(levels), margin_mm=4.0))
    assert f"The field of view ends inside {levels[0]}." in map(str, labels.warnings)
    assert f"The field of view ends inside {levels[-1]}." in map(str, labels.warnings)
    roomy = solve(evidence(levels, positions(levels), margin_mm=25.0))
    assert not any("inside" in text for text in map(str, roomy.warnings))


@pytest.mark.parametrize("count", [0, 3])
def test_no_vertebra_is_one_clear_sentence(count):
    points = np.arange(3.0 * count).reshape(count, 3) * 40
    nothing = Evidence(points, np.full((count, 26), 9.0), np.full(count, 0.05), np.full(26, 0.5), np.zeros((8, 3)))
    with pytest.raises(NoSpineError, match=r"^No vertebra was found .*\.$"):
        solve(nothing)


def test_an_unknown_field_of_view_is_no_obstacle():
    given = evidence(USUAL_LEVELS, positions(USUAL_LEVELS))
    blind = Evidence(given.points, given.unary, given.detection, given.presence, np.zeros((8, 3)))
    assert names(solve(blind)) == list(USUAL_LEVELS)


def test_fixed_points_alone_make_a_chain():
    nothing = Evidence(np.empty((0, 3)), np.empty((0, 26)), np.empty(0), np.full(26, 0.5), np.zeros((8, 3)))
    labels = solve(nothing, {"L1": (0.0, 0.0, 50.0), "T9": (0.0, 0.0, 300.0)})
    assert names(labels) == ["T9", "L1"]
    assert labels.by_level["L1"].ras == (0.0, 0.0, 50.0)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"S1": (0, 0, 0)}, "'S1' is not a vertebral level"),
        ({"L1": (0, 0)}, "position of L1"),
        ({"L1": (0, float("nan"), 0)}, "position of L1"),
        ({"L1": None}, "position of L1"),
        ({"L1": (0, 0, 0), "L2": (0, 0, 3)}, "L1 and L2 are fixed at the same place"),
        ({"L1": (3, -20, 300), "L3": (3, -20, 360)}, "L1 is fixed below L3"),
    ],
    ids=["unknown level", "two numbers", "nan", "none", "same place", "wrong order"],
)
def test_fixed_points_that_cannot_be_are_refused_in_a_sentence(fixed, message):
    given = evidence(USUAL_LEVELS, positions(USUAL_LEVELS))
    with pytest.raises(InputError, match=message) as caught:
        solve(given, fixed)
    assert str(caught.value).endswith(".")


@pytest.mark.timing
def test_forty_candidates_take_well_under_a_second():
    points = np.concatenate([positions(USUAL_LEVELS), positions(USUAL_LEVELS)[:16] + np.array([30, 10, 8])])
    given = evidence([*USUAL_LEVELS, *[""] * 16], points, strength=1.5, noise=0.5)
    assert given.unary.shape == (40, len(LEVELS))
    seconds = []
    for _ in range(3):
        start = time.process_time()
        labels = solve(given)
        seconds.append(time.process_time() - start)
    assert names(labels) == list(USUAL_LEVELS)
    assert min(seconds) < 1


class TestASpineThatLeavesTheFieldOfView:
    """A kyphotic spine that a narrow field of view loses behind its middle and finds again."""

    levels = USUAL_LEVELS[6:20]  # C7-L1
    lost = USUAL_LEVELS[11:16]  # T5-T9

    def given(self, behind_mm: float, detection: float = 0.6):
        """The field of view ends ``behind_mm`` behind the vertebrae next to the lost ones."""
        points = positions(self.levels, angle=lambda part: 0.6 * (part - 0.45))
        kept = [row for row, level in enumerate(self.levels) if level not in self.lost]
        whole = evidence([self.levels[row] for row in kept], points[kept], margin_mm=20.0)
        whole.detection[:] = detection
        edge = min(points[self.levels.index(level)][1] for level in ("T4", "T10")) - behind_mm
        corners = whole.corners.copy()
        corners[:, 1] = np.where(corners[:, 1] < points[:, 1].mean(), edge, corners[:, 1])
        return replace(whole, corners=corners)

    def test_both_parts_are_named_and_what_lies_outside_is_told(self):
        labels = solve(self.given(5.0))
        assert names(labels) == [level for level in self.levels if level not in self.lost]
        assert "T5-T9 not found between T4 and T10." in map(str, labels.warnings)

    def test_inside_of_the_field_of_view_five_vertebrae_are_not_passed_over(self):
        labels = solve(self.given(60.0))
        assert names(labels) != [level for level in self.levels if level not in self.lost]
        assert any("Further vertebral bodies" in text for text in map(str, labels.warnings))
