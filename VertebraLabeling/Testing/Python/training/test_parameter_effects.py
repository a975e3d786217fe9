"""What a chosen number is worth: moved by a third, compared in a table that holds all of them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from spine_factory import evidence, positions
from VertebraLabelingLib.core.anatomy import USUAL_LEVELS
from VertebraLabelingLib.core.parameters import GROUPS, SHIPPED, chosen_numbers
from VertebraLabelingLib.core.volume import to_canonical
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.networks.weights import default_weights, load_model
from VertebraLabelingLib.pipeline import stages
from VertebraLabelingLib.pipeline.reporting import Reporter
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.solver.chain import solve
from VertebraLabelingTraining.evaluation.parameter_effects import (
    Truth,
    difference,
    effects,
    first_stage,
    main,
    moved,
    page,
    rows_of,
    score,
)

TESTING = Path(__file__).resolve().parents[1]
PAGE = TESTING.parents[2] / "docs" / "parameters.md"
LEVELS = USUAL_LEVELS[8:15]
POINTS = positions(LEVELS)
TRUTHS = {"a": Truth(dict(zip(LEVELS, map(tuple, POINTS))), frozenset(LEVELS))}


def test_one_number_moves_and_no_other():
    less = moved(SHIPPED, "chain", "missed", 2 / 3)
    assert less.chain.missed == pytest.approx(4.0)
    assert moved(less, "chain", "missed", 1.5) == SHIPPED
    assert moved(SHIPPED, "chain", "confusion", 0.5).chain.confusion == pytest.approx((2.0, 0.3, 0.3))
    assert moved(SHIPPED, "levels", "weight", 4 / 3).levels.weight == 0.99, "a share stays a share"


def test_a_difference_is_told_and_none_is_an_equals_sign():
    labels = solve(evidence(LEVELS, POINTS))
    before = score({"a": labels}, TRUTHS)
    assert (before.named, before.total) == (7, 7)
    assert difference(before, before) == "="
    fewer = labels.with_points(labels.points[1:])
    assert difference(before, score({"a": fewer}, TRUTHS)).startswith("-1 named")
    assert difference(before, replace(before, told={"a": ("Look.",)})) == "1 warned"
    assert difference(before, replace(before, distance=before.distance + 0.1)) == "+0.10 mm"


def test_every_number_of_the_solver_is_moved_both_ways():
    given, seen = evidence(LEVELS, POINTS), []

    def label(parameters):
        seen.append(parameters.chain)
        return {"a": solve(given, parameters=parameters.chain)}

    names = [name for name, *_ in effects("chain", label, TRUTHS)]
    assert names == [name for group, name, *_ in chosen_numbers() if group == "chain"]
    assert len(set(map(str, seen))) == len(seen) == 2 * len(names) + 1


def test_a_run_begins_anew_with_the_first_stage_that_reads_a_number(sample_ct):
    model, state = load_model(default_weights()), stages.State(to_canonical(read_volume(sample_ct)))
    read = {}
    for stage in (*stages.FIRST_STAGES, *stages.NETWORK_STAGES, *stages.LAST_STAGES):
        watched = Watched()
        engine = stages.Engine(partial(replace, model, parameters=watched), "cpu", Reporter(None, None))
        state = stages.run_stages([stage], state, engine)
        read |= {group: stage for group in watched.seen if group not in read}
    assert len(state.labels.points) > 5, "all stages had something to do"
    read.pop("chain")
    assert read == {group: first_stage(group) for group in GROUPS if group != "chain"}


class Watched:
    """The shipped numbers; remembers of which stages they were read."""

    def __init__(self) -> None:
        self.seen = set()

    def __getattr__(self, group: str):
        self.seen.add(group)
        return getattr(SHIPPED, group)


def test_rows_survive_a_run_that_measures_other_stages(tmp_path):
    rows = {("levels", "weight"): ("M", "=", "+1 named"), ("chain", "missed"): ("F", "-1 named", "=")}
    (tmp_path / "p.md").write_text(page(rows), encoding="utf-8")
    read = rows_of(tmp_path / "p.md")
    assert {key: read[key] for key in rows} == rows
    assert set(read) - {("stage", "number"), ("---", "---")} == {(group, name) for group, name, *_ in chosen_numbers()}


def test_the_published_table_holds_today_s_numbers_all_measured():
    if not PAGE.is_file():
        pytest.skip("docs are not here")
    text = PAGE.read_text(encoding="utf-8")
    assert page(rows_of(PAGE)) == text
    assert "| ? |" not in text


def test_a_folder_without_the_scans_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds none of the scans"):
        main(["--data", str(tmp_path), "--stages", "ends", "--model", str(default_weights()), "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_command_measures_the_solver_on_the_golden_evidence(tmp_path):
    out = tmp_path / "p.md"
    assert main(["--golden", str(TESTING / "data" / "golden"), "--stages", "chain", "--out", str(out)]) == 0
    measured = {key: cells for key, cells in rows_of(out).items() if key[0] == "chain"}
    assert measured[("chain", "shift_sign")][1:] != ("=", "=")
    if PAGE.is_file():
        assert measured == {key: cells for key, cells in rows_of(PAGE).items() if key[0] == "chain"}
