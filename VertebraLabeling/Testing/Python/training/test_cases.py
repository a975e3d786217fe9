"""Truth of a second folder: joined with CTs that have none, never over truth beside a CT, never scored."""

from __future__ import annotations

import locale

import numpy as np
import pytest
import SimpleITK as sitk
from phantoms import affine, body
from VertebraLabelingLib.commands import cli
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.formats.mrk_json import read_points, write_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.review.review_decisions import read_decisions
from VertebraLabelingLib.system.decimal_point import decimal_point
from VertebraLabelingTraining.data.cases import GROWN_TRUTH, find_cases, fold_names, read_case, read_cases


def write(folder, name, suffix, level):
    """A CT (``.nii.gz``) or truth with one point of a level (``.mrk.json``)."""
    path = folder / (name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".mrk.json":
        write_labels(path, SpineLabels((LabeledPoint(level, (0.0, 0.0, 130.0)),)))
    else:
        sitk.WriteImage(to_sitk(body()), str(path))


@pytest.fixture
def folders(tmp_path):
    data, truth = tmp_path / "data", tmp_path / "truth"
    for name in ("one/own", "one/bare", "one/unknown"):
        write(data, name, ".nii.gz", "")
    write(data, "one/own", ".mrk.json", "L1")
    for name in ("one/own", "one/bare", "one/no_image", "two/bare"):
        write(truth, name, ".mrk.json", "L2")
    return data, truth


def test_a_second_folder_adds_truth_and_overrides_none(folders):
    data, truth = folders
    found = find_cases([data], truth=truth)
    assert list(found) == ["one/bare", "one/own"]
    levels = {case.name: case.levels.tolist() for case in read_cases(found, truth)}
    assert levels == {"one/own": [20], "one/bare": [21]}


def test_discs_beside_a_ct_are_no_truth_of_their_label_image(folders):
    """As ``label --discs --format mrk.json,discs.nii.gz`` leaves them."""
    data, _ = folders
    write(data, "one/own.discs", ".nii.gz", "")
    write(data, "one/own.discs", ".mrk.json", "L1")
    assert list(find_cases([data])) == ["one/own"]


def test_without_a_second_folder_only_truth_beside_the_ct_counts(folders):
    assert list(find_cases([folders[0]])) == ["one/own"]


def test_patterns_hold_for_the_second_folder_too(folders):
    data, truth = folders
    assert list(find_cases([data], exclude=["one/b*"], truth=truth)) == ["one/own"]


def test_the_kept_truth_is_what_the_decisions_say():
    rows = {row.case: row for row in read_decisions(GROWN_TRUTH / "decisions.csv")}
    kept = {path.name[: -len(".mrk.json")]: path for path in (GROWN_TRUTH / "openkbp").glob("*.mrk.json")}
    assert set(kept) == {case for case, row in rows.items() if row.verdict in ("accept", "shift", "edit")}
    for case, path in kept.items():
        for point in read_points(path):
            assert point.cut or point.description == f"status=reviewed;landmark={rows[case].landmark}", case


def test_every_kept_point_lies_in_its_ct_in_a_row_from_head_to_foot(shared_data):
    found = find_cases([shared_data], truth=GROWN_TRUTH)
    grown = sorted(set(found) - set(find_cases([shared_data])))
    assert len(grown) == len(list(GROWN_TRUTH.rglob("*.mrk.json"))), "each belongs to a CT that has no other truth"
    for name in grown[::16]:
        case = read_case(name, found[name], GROWN_TRUTH)
        whole = ~case.cut
        points, size = case.points[whole].numpy(), np.array(case.image.shape) * case.spacing.numpy()
        assert (points > 0).all() and (points < size).all(), name
        assert (np.diff(case.levels.numpy()) == 1).all() and (np.diff(case.points[:, 0].numpy()) < 0).all(), name


def test_no_fold_scores_a_patient_of_the_kept_truth(shared_data):
    scored = {name for fold in range(3) for name in fold_names(shared_data / "splits.json", fold)}
    assert not scored & {f"openkbp/{path.name[: -len('.mrk.json')]}" for path in GROWN_TRUTH.rglob("*.mrk.json")}


def test_a_decimal_comma_in_the_locale_moves_no_case(tmp_path, decimal_comma):
    spacing = (1.5, 1.5, 2.5)
    write(tmp_path, "scan", ".mrk.json", "L1")
    with decimal_point():
        sitk.WriteImage(to_sitk(body(ijk_to_ras=affine(spacing=spacing))), str(tmp_path / "scan.nrrd"))
    case = read_case("scan", tmp_path / "scan.nrrd")
    assert case.spacing.tolist() == list(spacing[::-1])
    assert locale.setlocale(locale.LC_NUMERIC) == decimal_comma, "the program's own locale is back"


def test_a_truth_folder_that_does_not_exist_is_one_sentence(folders, tmp_path, capsys):
    arguments = ["train", "--data", str(folders[0]), "--truth", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 1
    assert "does not exist" in capsys.readouterr().err
