"""Unusual numbers of vertebrae: how they are joined from two patients, and what each is then called."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_training import spine_case
from VertebraLabelingLib.core.anatomy import LEVEL_INDEX, LEVELS, USUAL_LEVELS
from VertebraLabelingLib.networks.level_network import NO_RIB, SHORT_RIB
from VertebraLabelingLib.preprocessing.straightening import CELL_MM, DEPTH_CELLS, SIDE_CELLS
from VertebraLabelingTraining.networks import level_samples
from VertebraLabelingTraining.networks.hidden_ribs import STUMP_MM, with_ribs_below, without_ribs
from VertebraLabelingTraining.networks.level_samples import SampleSettings, draw_sample
from VertebraLabelingTraining.networks.level_targets import Piece, targets
from VertebraLabelingTraining.networks.variant_counts import (
    DOUBLED,
    OMITTED,
    UNNAMED,
    USUAL,
    above,
    below,
    counted_names,
    first_of_lower,
)


def named(looks: str, hidden: str = "") -> str:
    """Names of a spine given by what its vertebrae look like, a dash for none; ``hidden`` are not whole in view."""
    levels = looks.split()
    index = np.array([LEVEL_INDEX[level] for level in levels])
    names = counted_names(index, np.array([level not in hidden.split() for level in levels]))
    return " ".join("-" if k == UNNAMED else LEVELS[k] for k in names)


@pytest.mark.parametrize(
    ("looks", "names"),
    [
        ("T10 T11 T12 L1 L2", "T10 T11 T12 L1 L2"),
        ("T1 T2 T2 T3", "T1 T2 T3 T4"),
        ("C7 T1 T3 T4", "C7 T1 T2 T3"),
        ("T9 T10 T10 T11 T12 L1", "T8 T9 T10 T11 T12 L1"),
        ("T8 T10 T11 T12 L1", "T9 T10 T11 T12 L1"),
        ("T12 L1 L2 L2 L3 L4 L5", "T12 L1 L2 L3 L4 L5 L6"),
        ("T12 L1 L3 L4 L5", "T12 L1 L2 L3 L4"),
        ("L2 L2 L3 L4 L5", "L1 L2 L3 L4 L5"),
        ("L1 L1 L2 L3 L4 L5", "- - - - - -"),
        ("T5 T5 T6 T7", "- - - -"),
        ("L2 L2 L3", "- - -"),
        ("T11 T12 T12 L1", "T10 T11 T12 L1"),
        ("T12 T13 L1", "T11 T12 L1"),
        ("L4 L5 L6", "L4 L5 L6"),
    ],
)
def test_vertebrae_are_counted_from_the_landmarks_in_view(looks, names):
    assert named(looks) == names


def test_thirteen_from_the_first_rib_are_t13_and_fourteen_are_nothing_known():
    whole = " ".join(USUAL_LEVELS[7:19])
    assert named(whole.replace("T5", "T5 T5") + " L1").split()[-2:] == ["T13", "L1"]
    assert named(whole.replace("T5", "T5 T5 T5") + " L1").split()[:-1] == ["-"] * 14
    assert named(whole.replace("T5 ", "") + " L1").split()[-2:] == ["T11", "L1"]


def test_what_is_cut_off_is_no_landmark():
    assert named("T1 T2 T2 T3", hidden="T1") == "- - - -"


@pytest.mark.parametrize("kind", [USUAL, DOUBLED, OMITTED])
def test_the_lower_patient_begins_where_the_kind_says(kind):
    for last in ("T5", "T12", "L2"):
        first = LEVELS[first_of_lower(LEVEL_INDEX[last], kind)]
        at = USUAL_LEVELS.index(last)
        assert first == USUAL_LEVELS[at + {USUAL: 1, DOUBLED: 0, OMITTED: 2}[kind]]


def test_above_is_the_inverse_of_below():
    assert [LEVELS[above(below(LEVEL_INDEX[level]))] for level in USUAL_LEVELS[:-1]] == list(USUAL_LEVELS[:-1])


def test_drawn_samples_double_and_leave_out_vertebrae(monkeypatch):
    pieces: list[Piece] = []
    finish = level_samples._finish
    monkeypatch.setattr(level_samples, "_finish", lambda piece, *rest: pieces.append(piece) or finish(piece, *rest))
    levels = USUAL_LEVELS[5:]
    cases = [spine_case(levels, name="ct/a"), spine_case(levels, 300, name="ct/b")]
    settings = SampleSettings(splice=1.0, variant=1.0, cut_field=0.0, jitter=0, offset=0, tilt=0)
    for seed in range(12):
        draw_sample(cases, np.array([0.5, 0.5]), np.random.default_rng(seed), settings)
    counts = [sum(LEVELS[k][0] == "T" for k in piece.names) for piece in pieces]
    lumbar = [sum(LEVELS[k][0] == "L" for k in piece.names) for piece in pieces]
    # (12, 5): no partner was drawn
    assert {11, 13} <= set(counts) and set(zip(counts, lumbar)) <= {(11, 5), (13, 5), (12, 4), (12, 6), (12, 5)}
    assert all((np.diff(piece.rows) > 8).all() for piece in pieces), "a vertebra is whole, or not there"


class TestHiddenRibs:
    """Ribs of bone as bars to either side of a body in soft tissue; rows every 15 sections."""

    @staticmethod
    def chest(touching=False) -> torch.Tensor:
        image = torch.full((60, DEPTH_CELLS, SIDE_CELLS), 40.0)
        image[:, 4:12, 13:19] = 300.0
        for row in (12, 27):
            image[row - 4 : row - 1, 8:10, :] = 500.0
        if touching:
            image[20:35, :20, :8] = 300.0
        return image

    def test_the_ribs_of_one_vertebra_become_tissue(self):
        image = self.chest()
        hidden = without_ribs(image, 27.0, 15.0, STUMP_MM, np.random.default_rng(0))
        side = int((SIDE_CELLS / 2) - STUMP_MM / CELL_MM)
        assert (hidden[23:26, 8:10, : side - 1] < 150).all() and (hidden[23:26, 8:10, -(side - 1) :] < 150).all()
        assert torch.equal(hidden[:20], image[:20]), "those of its neighbor stay"
        assert torch.equal(hidden[:, :, 12:20], image[:, :, 12:20]), "and so does the vertebra"

    def test_stubs_are_left_where_they_are_wanted(self):
        hidden = without_ribs(self.chest(), 27.0, 15.0, 40.0, np.random.default_rng(0))
        assert (hidden[24, 9, 7:25] > 300).all() and (hidden[24, 9, :5] < 150).all()

    def test_a_rib_that_touches_something_as_bright_is_left_alone(self):
        assert without_ribs(self.chest(touching=True), 27.0, 15.0, STUMP_MM, np.random.default_rng(0)) is None

    def test_no_ribs_no_change(self):
        image = torch.full((60, DEPTH_CELLS, SIDE_CELLS), 40.0)
        assert without_ribs(image, 27.0, 15.0, STUMP_MM, np.random.default_rng(0)) is None

    def test_the_next_vertebra_bears_the_same_ribs(self):
        image = self.chest()
        more = with_ribs_below(image, 27.0, 15.0)
        side = int((SIDE_CELLS / 2) - STUMP_MM / CELL_MM)
        assert torch.equal(more[38:41, :, :side], image[23:26, :, :side])
        assert torch.equal(more[:, :, 12:20], image[:, :, 12:20]) and torch.equal(more[:35], image[:35])
        assert with_ribs_below(image, 42.0, 15.0) is None, "there are none to copy"
        assert with_ribs_below(image[:45], 27.0, 15.0) is None, "the image ends"

    def changed(self, levels: tuple[str, ...], count: int = 40) -> list[Piece]:
        """What becomes of a piece of a spine in many draws."""
        index = np.array([LEVEL_INDEX[level] for level in levels])
        piece = Piece(self.chest(), np.array([-3.0, 12.0, 27.0, 42.0]), index, np.zeros(4, bool))
        return [level_samples._with_changed_ribs(replace(piece), np.random.default_rng(seed)) for seed in range(count)]

    @pytest.mark.parametrize("levels", [("T10", "T11", "T12", "L1"), ("T1", "T11", "T12", "L1")])
    def test_without_ribs_t12_is_known_from_above_alone(self, levels):
        of_t12 = [piece for piece in self.changed(levels) if 2 in piece.ribs]
        assert {piece.ribs[2] for piece in of_t12} == {NO_RIB, SHORT_RIB}
        for piece in of_t12:
            unnamed = piece.ribs[2] == NO_RIB and levels[0] != "T1"
            assert (piece.names == (UNNAMED if unnamed else piece.levels)).all()

    def test_a_vertebra_above_without_ribs_keeps_its_name(self):
        of_t11 = [piece for piece in self.changed(("T10", "T11", "T12", "L1")) if 1 in piece.ribs]
        assert of_t11 and all((piece.names == piece.levels).all() for piece in of_t11)

    @pytest.mark.parametrize(
        ("levels", "names"),
        [
            (("T11", "T12", "L1", "L2"), ["T10", "T11", "T12", "L1"]),
            (("T1", "T12", "L1", "L2"), ["T1", "T2", "T3", "L1"]),
            (("T10", "T11", "T12", "L1"), None),
        ],
        ids=["from the last rib", "from the first rib", "neither in view"],
    )
    def test_an_l1_with_ribs_is_named_as_the_last_rib_bearing_one(self, levels, names):
        n = levels.index("L1")
        of_l1 = [piece for piece in self.changed(levels) if n in piece.ribs]
        assert bool(of_l1) == bool(names)
        for piece in of_l1:
            assert [LEVELS[k] for k in piece.names] == names
            row = round(piece.rows[n] / 2)
            assert targets(piece, len(piece.image)).rib[row].tolist() == [[0, 1, 1]] * 2, "it bears ribs, short or long"
