"""Re-anchoring: one correction by the user, and the rest follows."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from spine_factory import NO_T12, WITH_T13, evidence, names, positions
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.core.evidence import Evidence
from VertebraLabelingLib.core.label_warning import GAP, NO_GPU, SHIFT, LabelWarning
from VertebraLabelingLib.core.labels import CONFIRMED, LOW_CONFIDENCE, MOVED, PREDICTED, LabeledPoint, SpineLabels
from VertebraLabelingLib.errors import InputError, NoSpineError
from VertebraLabelingLib.solver.chain import relabel, solve
from VertebraLabelingLib.solver.corrected_evidence import after_moves

TRUE = USUAL_LEVELS[11:20]  # T5-L1
THORACIC = USUAL_LEVELS[10:16]  # T4-T9: no landmark to count from


def shifted_by_one(strength: float = 1.5) -> tuple[SpineLabels, np.ndarray]:
    """A scan of T5-L1 that the network sees as T6-L2, and its true positions."""
    points = positions(TRUE)
    labels = solve(evidence(USUAL_LEVELS[12:21], points, strength))
    assert names(labels) == list(USUAL_LEVELS[12:21])
    return replace(labels, provenance={**labels.provenance, "model": "test"}), points


def dragged(labels: SpineLabels, level: str, place, alone: bool = False) -> SpineLabels:
    """The labels after a drag; ``alone``: the point that stood at that place is left out."""
    place = tuple(float(value) for value in place)
    others = [p for p in labels.points if p.level != level and not (alone and p.ras == place)]
    return labels.with_points((*others, replace(labels.by_level[level], ras=place, status=MOVED)))


def with_status(labels: SpineLabels, level: str, status: str) -> SpineLabels:
    return labels.with_points(
        tuple(replace(point, status=status) if point.level == level else point for point in labels.points)
    )


@pytest.mark.parametrize(
    ("levels", "level", "name", "first"),
    [
        (WITH_T13[7:23], "T13", "T12", "C7"),
        (WITH_T13[7:23], "T13", "L1", "T1"),
        (WITH_T13[7:23], "T13", "T11", "C6"),
        (WITH_T13[7:23], "T12", "T13", "T2"),
        (WITH_T13[7:23], "L1", "T13", "C7"),
        (WITH_T13[7:23], "L1", "T12", "C6"),
        (NO_T12[7:23], "L1", "T12", "T1"),
        (NO_T12[7:23], "T11", "T12", "T2"),
    ],
)
@pytest.mark.parametrize("strength", [0.3, 1.5, 8.0])
@pytest.mark.parametrize("has_signs", [True, False])
def test_no_vertebra_is_lost_where_another_number_of_ribs_is_corrected(levels, level, name, first, strength, has_signs):
    given = evidence(levels, positions(levels), strength, presence=False, margin_mm=40.0)
    ribs = [[-5.0, 5.0 if each == "T1" else -5.0, 5.0 if each.startswith("T") else -5.0, -5.0] for each in levels]
    labels = solve(replace(given, landmarks=np.array(ribs)))
    assert names(labels) == list(levels)
    labels = labels if has_signs else replace(labels, evidence=given)
    result = relabel(labels, {name: labels.by_level[level].ras})
    assert [point.ras for point in result.points] == [point.ras for point in labels.points]
    assert result.points[0].level == first and GAP not in [warning.kind for warning in result.warnings]


@pytest.mark.parametrize("strength", [0.3, 1.5, 8.0])
@pytest.mark.parametrize("level", TRUE)
def test_naming_one_vertebra_renames_all_others(level, strength):
    labels, points = shifted_by_one(strength)
    place = points[TRUE.index(level)]
    result = relabel(labels, {level: place})
    assert names(result) == list(TRUE)
    np.testing.assert_array_equal([point.ras for point in result.points], points)
    assert result.by_level[level] == LabeledPoint(level, tuple(place), 1.0, CONFIRMED)
    assert {point.status for point in result.points if point.level != level} == {PREDICTED}
    assert not any("shifted" in text for text in map(str, result.warnings))


def test_provenance_foreign_warnings_and_evidence_are_kept():
    labels, points = shifted_by_one()
    labels = replace(labels, warnings=(LabelWarning(GAP, ("T9",), ("T8", "T10")), LabelWarning(NO_GPU)))
    result = relabel(labels, {"L1": points[-1]})
    assert result.provenance["model"] == "test"
    assert result.warnings == (LabelWarning(NO_GPU),)
    assert result.evidence.to_json() == labels.evidence.to_json()


def test_it_works_on_evidence_read_back_from_a_scene():
    labels, points = shifted_by_one()
    stored = replace(labels, evidence=Evidence.from_json(labels.evidence.to_json()))
    assert names(relabel(stored, {"L1": points[-1]})) == list(TRUE)


def test_without_evidence_the_user_is_told_to_label_again():
    with pytest.raises(InputError, match="no labeling evidence: label the scan again"):
        relabel(SpineLabels((LabeledPoint("L1", (0.0, 0.0, 0.0)),)), {"L2": (0, 0, 0)})


def test_a_dragged_point_stays_where_it_was_put_to_the_last_digit():
    labels, points = shifted_by_one()
    place = points[3] + (1.23456789012345, -4.1, 3.3)
    level = labels.points[3].level
    result = relabel(dragged(labels, level, place), {})
    assert names(result) == names(labels)
    assert (result.by_level[level].ras, result.by_level[level].status) == (tuple(place), MOVED)


def test_a_missed_vertebra_is_added_between_two():
    keep = [level != "C5" for level in USUAL_LEVELS]
    points = positions(USUAL_LEVELS, scale=0.8)
    found = [level for level in USUAL_LEVELS if level != "C5"]
    labels = solve(evidence(found, points[keep], strength=1.5))
    result = relabel(labels, {"C5": points[4]})
    assert names(result) == list(USUAL_LEVELS)
    assert result.by_level["C5"].ras == tuple(points[4])


@pytest.mark.parametrize("strength", [1.5, 8.0])
def test_adding_a_vertebra_that_was_not_counted_renames_those_below(strength):
    true = USUAL_LEVELS[6:16]  # C7-T9
    points = positions(true)
    keep = np.arange(len(true)) != 4
    counted = USUAL_LEVELS[6:15]  # the network counts on as if nothing were missing
    labels = solve(evidence(counted, points[keep], strength, presence=False))
    assert names(labels)[:4] == list(true[:4])
    result = relabel(labels, {true[4]: points[4]})
    assert names(result) == list(true)
    assert names(relabel(result, {true[5]: points[5] + (0, 3, 0)})) == list(true)


@pytest.mark.parametrize("strength", [1.5, 8.0])
def test_deleting_a_point_that_was_counted_renames_one_side(strength):
    true = USUAL_LEVELS[6:16]
    points = positions(true)
    extra = (points[4] + points[5]) / 2 + (9, -6, 0)
    counted = [*true[:5], "T5", *USUAL_LEVELS[12:17]]
    labels = solve(evidence(counted, np.concatenate([points[:5], extra[None], points[5:]]), strength, presence=False))
    assert names(labels) == counted, "the solver falls for the extra point"
    result = relabel(labels, {}, removed=[extra])
    shown = names(result)
    assert shown == list(USUAL_LEVELS[USUAL_LEVELS.index(shown[0]) :][: len(true)]), "no gap and no extra level"
    dragged = relabel(result, {shown[7]: points[7] + (0, 3, 0)})
    assert names(dragged) == shown, "a later correction keeps the new count"


def test_a_vertebra_beyond_the_end_can_be_added():
    labels, points = shifted_by_one()
    below = points[-1] + (points[-1] - points[-2]) * 1.1
    result = relabel(labels, {"L3": below})
    assert names(result) == [*names(labels), "L3"]


def test_a_deleted_false_point_does_not_come_back():
    true = USUAL_LEVELS[14:]
    points = positions(true)
    sacral = points[-1] + (0, 4, -33)
    given = evidence([*true, "L6"], np.concatenate([points, sacral[None]]), strength=1.5)
    labels = solve(given)
    assert names(labels)[-1] == "L6"
    result = relabel(labels, {}, removed=[labels.by_level["L6"].ras])
    assert names(result) == list(true)
    again = relabel(result, {"L1": result.by_level["L1"].ras})
    assert names(again) == list(true)
    assert len(again.evidence.points) == len(given.points) - 1


def test_several_points_can_be_deleted_at_once():
    labels, points = shifted_by_one()
    result = relabel(labels, {}, removed=points[:6])
    assert names(result) == names(labels)[6:]


def test_deleting_everything_leaves_no_spine():
    labels, points = shifted_by_one()
    with pytest.raises(NoSpineError):
        relabel(labels, {}, removed=points)


def test_shifting_up_renames_every_vertebra_including_confirmed_ones():
    labels, points = shifted_by_one()
    labels = with_status(labels, "T9", CONFIRMED)
    order = list(LEVELS)
    del order[LEVEL_INDEX["T13"]]
    up = {order[order.index(p.level) - 1]: p.ras for p in labels.points}
    result = relabel(labels, up)
    assert names(result) == list(TRUE)
    np.testing.assert_array_equal([point.ras for point in result.points], points)


def test_a_moved_point_follows_a_renamed_chain_and_keeps_its_place():
    labels, points = shifted_by_one()
    place = tuple(points[2] + (2.0, 2.0, 0.0))
    moved = relabel(dragged(labels, "T8", place), {})
    result = relabel(moved, {"L1": points[-1]})
    assert names(result) == list(TRUE)
    assert result.by_level["T7"].ras == place
    assert result.by_level["T7"].status == MOVED


def test_a_moved_point_keeps_its_level_when_another_is_moved():
    labels, points = shifted_by_one()
    first = relabel(dragged(labels, "T8", points[2] + (3, 0, 0)), {})
    second = relabel(dragged(first, "L1", points[-2] + (0, 4, 0)), {})
    assert second.by_level["T8"].ras == first.by_level["T8"].ras
    assert names(second) == names(labels)


def test_a_drag_says_where_a_vertebra_is_and_not_which():
    points = positions(THORACIC)
    labels = solve(evidence(THORACIC, points, strength=0.3, presence=False))
    assert any(warning.kind == SHIFT for warning in labels.warnings)
    result = relabel(dragged(labels, "T6", points[2] + (0, 2, 0)), {})
    assert result.warnings == labels.warnings
    for before, after in zip(labels.points, result.points):
        assert abs(after.confidence - before.confidence) < 0.05
    assert abs(result.provenance["shift_margin"] - labels.provenance["shift_margin"]) < 0.2
    assert result.provenance["strongest_sign"] == labels.provenance["strongest_sign"]


def test_a_name_dragged_onto_another_vertebra_is_kept_but_not_believed():
    labels = solve(evidence(TRUE, positions(TRUE), strength=1.5))
    result = relabel(dragged(labels, "T9", labels.by_level["T10"].ras, alone=True), {})
    assert result.by_level["T9"].ras == labels.by_level["T10"].ras
    assert names(result)[-1] == "T12", "the others are named around it"
    assert result.by_level["T9"].confidence < 0.3
    assert any(warning.kind == SHIFT for warning in result.warnings)


def test_naming_a_moved_point_settles_its_level():
    labels, points = shifted_by_one()
    moved = relabel(dragged(labels, "T8", points[2] + (2, 0, 0)), {})
    result = relabel(moved, {"T7": moved.by_level["T8"].ras})
    assert names(result) == list(TRUE)
    assert (result.by_level["T7"].confidence, result.by_level["T7"].status) == (1.0, CONFIRMED)


def test_a_known_place_of_a_vertebra_does_not_settle_its_level():
    points = positions(THORACIC)
    labels = solve(evidence(THORACIC, points, strength=0.3, presence=False))
    place = tuple(points[2] + (0, 3, 0))
    result = relabel(labels, {}, placed=[place])
    assert names(result) == names(labels)
    assert (result.by_level["T6"].ras, result.by_level["T6"].status) == (place, MOVED)
    assert result.by_level["T6"].confidence < LOW_CONFIDENCE
    assert result.warnings == labels.warnings


def test_evidence_follows_a_vertebra_that_is_moved_and_stays_where_another_is_claimed():
    labels = solve(evidence(TRUE, positions(TRUE), strength=1.5))
    before = labels.by_level["T9"].ras
    sideways = np.add(before, (15.6, 0, 0))
    followed = after_moves(labels, labels.evidence, [(before, sideways)])
    np.testing.assert_array_equal(followed.points[4], sideways)
    claimed = after_moves(labels, labels.evidence, [(before, labels.by_level["T10"].ras)])
    np.testing.assert_array_equal(claimed.points, labels.evidence.points)


def test_a_confirmed_point_stays_against_the_evidence_alone():
    labels, points = shifted_by_one()
    first = relabel(labels, {"L1": points[-1]})
    second = relabel(first, {"T8": points[3] + (0, 3, 0)})
    assert names(second) == list(TRUE)
    assert second.by_level["L1"] == first.by_level["L1"]


def test_a_confirmed_point_gives_way_to_a_new_one_of_its_level_or_at_its_place():
    labels, points = shifted_by_one()
    labels = relabel(labels, {"L1": points[-1]})
    assert names(relabel(labels, {"L2": points[-1]})) == list(USUAL_LEVELS[12:21])
    same_level = relabel(labels, {"L1": points[-2]})
    assert same_level.by_level["L1"].ras == tuple(points[-2])
    assert names(same_level) == list(USUAL_LEVELS[12:21])


@pytest.mark.parametrize(("settled", "row", "level", "at"), [("L1", -1, "L3", -3), ("T5", 0, "T4", 2)])
def test_a_confirmed_point_is_not_renamed_by_a_new_one_that_contradicts_it(settled, row, level, at):
    labels, points = shifted_by_one()
    labels = relabel(labels, {settled: points[row]})
    with pytest.raises(InputError, match=rf"\({settled}\) does not fit together any more with {level} where it is now"):
        relabel(labels, {level: points[at]})
    moved = replace(labels.by_level[settled], status=MOVED)
    labels = labels.with_points((*(point for point in labels.points if point.level != settled), moved))
    assert moved.ras in {point.ras for point in relabel(labels, {level: points[at]}).points}


def test_moved_points_for_which_no_chain_has_room_are_told():
    labels, points = shifted_by_one()
    labels = relabel(labels, {"T8": points[3]})
    between = tuple((np.asarray(points[3]) + points[4]) / 2)
    crowd = [LabeledPoint("L5", between, 1.0, MOVED)]
    labels = labels.with_points((*labels.points, *crowd))
    with pytest.raises(InputError, match=r"^What you moved or confirmed \(L5\) does not fit together any more with T9"):
        relabel(labels, {"T9": points[4]})


def test_fixed_levels_survive_any_evidence():
    labels, points = shifted_by_one()
    result = relabel(labels, {"C3": points[0], "C4": points[4], "L6": points[5]})
    for level, place in (("C3", 0), ("C4", 4), ("L6", 5)):
        assert result.by_level[level].ras == tuple(points[place])
        assert result.by_level[level].confidence == 1.0


def test_contradicting_points_are_refused_and_name_both():
    labels, points = shifted_by_one()
    with pytest.raises(InputError, match=r"^T6 is fixed below T9, against the order of the spine: .*\.$"):
        relabel(labels, {"T6": points[6], "T9": points[2]})


@pytest.mark.timing
def test_re_anchoring_takes_a_fraction_of_a_second():
    points = np.concatenate([positions(USUAL_LEVELS), positions(USUAL_LEVELS)[:16] + np.array([30, 10, 8])])
    labels = solve(evidence([*USUAL_LEVELS, *[""] * 16], points, strength=1.5))
    start = time.process_time()
    relabel(labels, {"L1": points[19]})
    assert time.process_time() - start < 2


def test_numpy_alone_is_enough():
    import subprocess
    import sys
    from pathlib import Path

    import VertebraLabelingLib

    heavy = "any(name in sys.modules for name in ('torch', 'SimpleITK'))"
    code = f"import sys, VertebraLabelingLib.solver.chain; sys.exit({heavy})"
    folder = Path(VertebraLabelingLib.__file__).parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=folder, check=False).returncode == 0
