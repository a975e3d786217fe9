"""A result belongs to a scan: the same name from another patient, trees that grow, move and are copied, corrections."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from ball_batch import BALLS, run
from ball_labeler import BallLabeler
from owned_batch import A, B, correct, forget, label, levels, one, patient
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import in_processes, in_this_process, label_batch
from VertebraLabelingLib.batch.outputs import OutputPlan
from VertebraLabelingLib.batch.ownership import settle
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT
from VertebraLabelingLib.batch.workers import LabelerSpec
from VertebraLabelingLib.formats.mrk_json import read_source
from VertebraLabelingLib.scans.identify import identify


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".nrrd", ".mha", ".mhd", ".nhdr"])
def test_another_patient_under_the_same_name_gets_its_own_with_a_word(tmp_path, suffix):
    first, second = patient(tmp_path / "a" / f"ct{suffix}", A), patient(tmp_path / "b" / f"ct{suffix}", B)
    assert one(first, tmp_path / "out").name == "ct"
    before = (tmp_path / "out" / "ct.mrk.json").read_bytes()
    result = one(second, tmp_path / "out")
    assert result.status == DONE and result.name.startswith("ct~") and len(result.points) == B
    assert f"The name ct belongs to another scan, so this one is named {result.name}." in result.warnings
    assert (tmp_path / "out" / "ct.mrk.json").read_bytes() == before
    assert levels(tmp_path / "out") == {"ct": A, result.name: B}
    again = [one(path, tmp_path / "out") for path in (first, second)]
    assert [(r.name, r.status, len(r.points)) for r in again] == [("ct", PRESENT, A), (result.name, PRESENT, B)]


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_inbox_whose_file_is_replaced_is_labeled_anew(tmp_path, overwrite):
    """Of the same size, with the same time, in the same place."""
    inbox, kept = patient(tmp_path / "inbox" / "ct.nii", A), patient(tmp_path / "ct.nii", B)
    assert inbox.stat().st_size == kept.stat().st_size
    one(inbox, tmp_path / "out")
    shutil.copystat(inbox, kept)
    shutil.copy2(kept, inbox)
    result = one(inbox, tmp_path / "out", overwrite=overwrite)
    assert result.status == DONE and result.name.startswith("ct~")
    assert levels(tmp_path / "out") == {"ct": A, result.name: B}


def test_overwrite_replaces_the_points_of_the_same_scan_only(tmp_path):
    first, second = patient(tmp_path / "a" / "ct.nii", A), patient(tmp_path / "b" / "ct.nii", B)
    one(first, tmp_path / "out")
    labeler = BallLabeler()
    assert one(first, tmp_path / "out", overwrite=True, labeler=labeler).name == "ct" and labeler.count == 1
    name = one(second, tmp_path / "out", overwrite=True).name
    assert levels(tmp_path / "out") == {"ct": A, name: B} and name != "ct"


@pytest.mark.parametrize("named", [False, True], ids=["tree", "files"])
def test_a_name_stays_when_the_tree_grows(tmp_path, named):
    def inputs():
        return sorted((tmp_path / "t").rglob("*.nii")) if named else tmp_path / "t"

    first = patient(tmp_path / "t" / "p2" / "ct.nii", A)
    name = label(inputs(), tmp_path / "out")[str(first)].name
    before = correct(tmp_path / "out" / f"{name}.mrk.json")
    patient(tmp_path / "t" / "p1" / "ct.nii", B)
    patient(tmp_path / "t" / "p3" / "x" / "ct.nii", 1)
    patient(tmp_path / "t" / "ct.nii", 4)
    results = label(inputs(), tmp_path / "out")
    assert results[str(first)].name == name and results[str(first)].status == PRESENT
    assert (tmp_path / "out" / f"{name}.mrk.json").read_bytes() == before
    assert sorted(levels(tmp_path / "out").values()) == [1, B, A, 4] and len({r.name for r in results.values()}) == 4
    assert {r.status for r in label(inputs(), tmp_path / "out").values()} == {PRESENT}


def test_names_of_a_tree_do_not_depend_on_what_else_is_in_it(tmp_path):
    first = patient(tmp_path / "t" / "p1" / "ct.nii", A)
    alone = label(tmp_path / "t", tmp_path / "one")[str(first)].name
    patient(tmp_path / "t" / "p0" / "ct.nii", B)
    assert label(tmp_path / "t", tmp_path / "two")[str(first)].name == alone == "p1__ct"


@pytest.mark.parametrize("how", ["moved", "copied", "from below", "renamed", "by a link"])
def test_a_scan_that_moved_is_the_same(tmp_path, how):
    path = patient(tmp_path / "t" / "p1" / "ct.nii.gz", A)
    patient(tmp_path / "t" / "p2" / "ct.nii.gz", B)
    label(tmp_path / "t", tmp_path / "out")
    before = correct(tmp_path / "out" / "p1__ct.mrk.json", "confirmed")
    if how == "moved":
        new = (tmp_path / "t").rename(tmp_path / "elsewhere") / "p1" / "ct.nii.gz"
    elif how == "copied":
        new = Path(shutil.copy(path, tmp_path / "ct.nii.gz"))
    elif how == "renamed":
        new = path.rename(tmp_path / "other name.nii.gz")
    elif how == "by a link":
        new = tmp_path / "link.nii.gz"
        new.symlink_to(path)
    else:
        new = path
    labeler = BallLabeler()
    result = one(new, tmp_path / "out", labeler=labeler)
    assert (result.name, result.status, labeler.count) == ("p1__ct", PRESENT, 0)
    assert "was labeled as p1__ct before" in result.message
    assert (tmp_path / "out" / "p1__ct.mrk.json").read_bytes() == before


SPELLINGS = {"case": ("CT", "ct"), "sharp s": ("Straße", "STRASSE"), "accents": ("Müller", "MÜLLER")}


@pytest.mark.parametrize("kept", ["source", "journal"])
@pytest.mark.parametrize("names", SPELLINGS.values(), ids=SPELLINGS)
def test_a_scan_whose_name_changed_by_case_keeps_its_corrected_points(tmp_path, names, kept):
    first, second = names
    path, out = patient(tmp_path / f"{first}.nii.gz", A), tmp_path / "out"
    one(path, out)
    points = out / f"{first}.mrk.json"
    before = correct(points) if kept == "journal" else points.read_bytes()
    result = one(path.rename(tmp_path / f"{second}.nii.gz"), out)
    assert (result.name, result.status) == (first, PRESENT)
    assert points.read_bytes() == before and levels(out) == {first: A}


def test_points_that_came_back_with_accents_of_their_own_are_found(tmp_path):
    """As macOS and some archives write names."""
    path, out = patient(tmp_path / "Müller.nii.gz", A), tmp_path / "out"
    one(path, out)
    before = correct(out / "Müller.mrk.json")
    points = (out / "Müller.mrk.json").rename(out / unicodedata.normalize("NFD", "Müller.mrk.json"))
    for _ in range(2):
        assert one(path, out, overwrite=True).status == PRESENT
    assert points.read_bytes() == before and len(levels(out)) == 1


def test_two_scans_whose_names_differ_by_case_keep_their_points(tmp_path):
    first, second = patient(tmp_path / "a" / "CT.nii.gz", A), patient(tmp_path / "b" / "ct.nii.gz", B)
    one(first, tmp_path / "out")
    one(second, tmp_path / "other")
    if (tmp_path / "out" / "ct.mrk.json").exists():
        pytest.skip("a file system that takes both names for one")
    shutil.copy(tmp_path / "other" / "ct.mrk.json", tmp_path / "out")
    correct(tmp_path / "out" / "ct.mrk.json")
    correct(tmp_path / "out" / "CT.mrk.json")
    assert [len(one(path, tmp_path / "out").points) for path in (first, second)] == [A, B]


def test_of_two_results_of_a_scan_that_moved_the_corrected_one_is_taken(tmp_path):
    for name in ("a", "b"):
        patient(tmp_path / "in" / f"{name}.nii", A)
    label(tmp_path / "in", tmp_path / "out")
    correct(tmp_path / "out" / "b.mrk.json")
    (tmp_path / "in" / "a.nii").rename(tmp_path / "moved.nii")
    assert one(tmp_path / "moved.nii", tmp_path / "out").name == "b"


def test_copies_in_one_batch_have_their_own_outputs_also_when_it_is_continued(tmp_path):
    for name in ("a", "b", "c"):
        patient(tmp_path / "in" / f"{name}.nii", A)
    one(tmp_path / "in" / "b.nii", tmp_path / "out")
    assert {r.status for r in label(tmp_path / "in", tmp_path / "out").values()} == {DONE, PRESENT}
    assert levels(tmp_path / "out") == {"a": A, "b": A, "c": A}


def test_the_same_scan_twice_under_one_name_is_one_result(tmp_path):
    paths = [patient(tmp_path / folder / "ct.nii", A) for folder in ("a", "b")]
    one(paths[0], tmp_path / "out")
    plan = OutputPlan(str(tmp_path / "out"))
    inputs = settle(find_scans([tmp_path / "a", tmp_path / "b"]), plan)
    assert [job.name for job in inputs.jobs] == ["ct"]
    assert [skip.reason for skip in inputs.skipped] == [f"the same scan as {paths[0]}"]


def test_two_patients_of_one_name_in_one_batch(tmp_path):
    trees = [patient(tmp_path / root / "p" / "ct.nii", count).parents[1] for root, count in (("x", A), ("y", B))]
    results = label(trees, tmp_path / "out")
    (first, second) = results.values()
    assert first.name == "p__ct" and second.name.startswith("p__ct~") and second.warnings
    assert levels(tmp_path / "out") == {first.name: A, second.name: B}
    turned = label(trees[::-1], tmp_path / "out")
    assert {path: r.name for path, r in turned.items()} == {path: r.name for path, r in results.items()}
    assert {r.status for r in turned.values()} == {PRESENT}


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_of_earlier_versions_are_left_alone_with_a_word(tmp_path, overwrite):
    tree = patient(tmp_path / "t" / "p1" / "ct.nii", A).parents[1]
    patient(tmp_path / "old" / "ct.nii", B)
    out = tmp_path / "out"
    one(tmp_path / "old" / "ct.nii", out)
    forget(out)
    before = (out / "ct.mrk.json").read_bytes()
    result = one(tmp_path / "t" / "p1" / "ct.nii", out, overwrite=overwrite)
    assert result.status == DONE and result.name.startswith("ct~")
    assert any("ct.mrk.json does not say which scan" in w and "--adopt" in w for w in result.warnings)
    (result,) = label(tree, tmp_path / "out", overwrite=overwrite).values()
    assert (out / "ct.mrk.json").read_bytes() == before


def test_a_tree_tells_of_the_name_that_an_earlier_version_gave(tmp_path):
    path, out = patient(tmp_path / "t" / "p1" / "ct.nii", A), tmp_path / "out"
    one(path, out)
    forget(out)
    (result,) = label(tmp_path / "t", out).values()
    assert result.name == "p1__ct"
    assert any("ct.mrk.json does not say which scan" in w and "left alone" in w for w in result.warnings)


@pytest.mark.parametrize("corrected", [False, True])
def test_files_of_earlier_versions_can_be_adopted(tmp_path, corrected):
    path, out = patient(tmp_path / "t" / "p1" / "ct.nii", A), tmp_path / "out"
    one(path, out)
    forget(out)
    if corrected:
        correct(out / "ct.mrk.json")
    before = (out / "ct.mrk.json").read_bytes()
    (result,) = label(tmp_path / "t", out, adopt=True).values()
    assert (result.name, result.status) == ("ct", PRESENT) and "were adopted" in result.message
    assert (out / "ct.mrk.json").read_bytes() == before
    (result,) = label(tmp_path / "t", out).values()
    assert (result.name, result.status) == ("ct", PRESENT), "the journal remembers it"


@pytest.mark.parametrize("place", ["ct.nii", "t/p1/ct.nii"])
def test_the_advice_to_adopt_can_be_followed(tmp_path, place):
    path, out = patient(tmp_path / place, A), tmp_path / "out"
    one(path, out)
    forget(out)
    before, scans = correct(out / "ct.mrk.json"), tmp_path / place.split("/")[0]
    (result,) = label(scans, out).values()
    assert any(f"delete the files of {result.name} and run again with --adopt" in w for w in result.warnings)
    for file in result.files:
        (out / file).unlink()
    (result,) = label(scans, out, adopt=True).values()
    assert (result.name, result.status) == ("ct", PRESENT)
    assert (out / "ct.mrk.json").read_bytes() == before


def test_nothing_is_adopted_that_could_be_of_two_scans(tmp_path):
    paths = [patient(tmp_path / "t" / folder / "ct.nii", count) for folder, count in (("p1", A), ("p2", B))]
    one(paths[0], tmp_path / "out")
    forget(tmp_path / "out")
    results = label(tmp_path / "t", tmp_path / "out", adopt=True)
    assert [r.name for r in results.values()] == ["p1__ct", "p2__ct"]
    assert all(any("left alone" in w for w in r.warnings) for r in results.values())


@pytest.mark.parametrize("suffix", ["csv", "png", "verse.json"])
def test_other_files_of_that_name_are_not_overwritten(tmp_path, suffix):
    path = patient(tmp_path / "out" / "ct.nii", A)
    other = tmp_path / "out" / f"ct.{suffix}"
    other.write_text("of the user")
    result = one(path, tmp_path / "out", formats=("mrk.json", suffix))
    assert other.read_text() == "of the user" and result.name.startswith("ct~")
    assert one(path, tmp_path / "out", formats=("mrk.json",)).name == result.name


@pytest.mark.parametrize("formats", [("mrk.json", "csv", "verse.json"), ("mrk.json",)])
def test_other_formats_follow_points_that_were_exchanged(tmp_path, formats):
    """The tables of two scans stay where they were while their points change names."""
    for name, count in (("a", A), ("b", B)):
        patient(tmp_path / "in" / f"{name}.nii", count)
    out, all_formats = tmp_path / "out", ("mrk.json", "csv", "verse.json")
    label(tmp_path / "in", out, formats=all_formats)
    a, b, aside = (out / f"{name}.mrk.json" for name in ("a", "b", "aside"))
    a.rename(aside), b.rename(a), aside.rename(b)
    results = label(tmp_path / "in", out, formats=formats)
    assert all(any("were renamed" in warning for warning in result.warnings) for result in results.values())
    label(tmp_path / "in", out, formats=all_formats)
    assert levels(out) == {"a": B, "b": A}
    assert [len((out / f"{name}.csv").read_text().splitlines()) - 1 for name in "ab"] == [B, A]
    assert [len(json.loads((out / f"{name}.verse.json").read_text())) - 1 for name in "ab"] == [B, A]


def test_formats_without_a_source_belong_to_the_scan_of_the_journal(tmp_path):
    first, second = patient(tmp_path / "a" / "ct.nii", A), patient(tmp_path / "b" / "ct.nii", B)
    assert one(first, tmp_path / "out", formats=("csv",)).name == "ct"
    result = one(second, tmp_path / "out", formats=("csv",))
    assert result.name.startswith("ct~") and result.status == DONE
    assert one(first, tmp_path / "out", formats=("csv",)).status == PRESENT
    assert one(second, tmp_path / "out", formats=("csv",)).status == PRESENT


def test_a_scan_named_like_the_files_of_the_batch_gets_its_own_name(tmp_path):
    path = patient(tmp_path / "in" / "summary.nii", A)
    patient(tmp_path / "in" / "b.nii", B)
    result = label(tmp_path / "in", tmp_path / "out", formats=("mrk.json", "csv"))[str(path)]
    assert result.name.startswith("summary~") and "status" in (tmp_path / "out" / "summary.csv").read_text()


def test_a_scan_that_failed_takes_no_name(tmp_path):
    path = patient(tmp_path / "ct.nii", A)
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    assert one(path, tmp_path / "out").status == FAILED
    path.write_bytes(whole)
    assert one(path, tmp_path / "out").name == "ct"


def test_workers_keep_the_names_of_others(tmp_path):
    runner = in_processes(LabelerSpec(factory=BALLS), 2)
    for tree, count in (("x", A), ("y", B)):
        for number in (1, 2, 3):
            patient(tmp_path / tree / f"p{number}" / "ct.nii", count, number)
    label(tmp_path / "x", tmp_path / "out", runner=runner)
    results = label(tmp_path / "y", tmp_path / "out", runner=runner)
    assert all(r.status == DONE and r.name.startswith(f"p{n}__ct~") for n, r in enumerate(results.values(), start=1))
    assert sorted(levels(tmp_path / "out").values()) == [B] * 3 + [A] * 3


@pytest.mark.parametrize("formats", [("mrk.json",), ("mrk.json", "csv"), ("csv",)], ids=" ".join)
def test_a_name_that_is_taken_while_a_scan_is_labeled_is_left_to_the_other(tmp_path, formats):
    first, second = patient(tmp_path / "a" / "ct.nii", A), patient(tmp_path / "b" / "ct.nii", B)

    class Slow(BallLabeler):
        """Another batch labels another scan into the same folder meanwhile."""

        def label(self, *arguments, **options):
            if not (tmp_path / "out").exists():
                one(second, tmp_path / "out", formats=formats)
            return super().label(*arguments, **options)

    result = one(first, tmp_path / "out", formats=formats, labeler=Slow())
    assert result.status == DONE and result.name.startswith("ct~") and len(result.points) == A
    assert any("belongs to another scan by now" in warning for warning in result.warnings)
    if "mrk.json" in formats:
        assert levels(tmp_path / "out") == {"ct": B, result.name: A}
    else:
        assert len((tmp_path / "out" / "ct.csv").read_text().splitlines()) == 1 + B


def test_files_that_change_while_they_are_labeled_are_refused(tmp_path):
    path, other = patient(tmp_path / "ct.nii", A), patient(tmp_path / "other" / "ct.nii", B)
    out = tmp_path / "out"
    one(other, out)  # so that sources are looked up before
    plan = OutputPlan(str(out))
    inputs = settle(find_scans([path]), plan)
    shutil.copy(patient(tmp_path / "third.nii", 1), path)
    (result,) = label_batch(inputs, plan, in_this_process(BallLabeler()))
    assert result.status == FAILED and "changed while the batch was running" in result.message
    assert levels(out) == {"ct": B}


def test_the_source_is_in_the_points_the_journal_and_the_summary(tmp_path):
    paths = [patient(tmp_path / "in" / f"{n}.nii", n) for n in (1, 2)]
    run(tmp_path / "in", tmp_path / "out")
    for path in paths:
        source = identify(path)
        assert read_source(tmp_path / "out" / f"{path.stem}.mrk.json") == source
        lines = map(json.loads, (tmp_path / "out" / "summary.jsonl").read_text().splitlines())
        assert source.to_dict() in [line["source"] for line in lines]
        assert source.digest in (tmp_path / "out" / "summary.csv").read_text()
        scans = json.loads((tmp_path / "out" / "summary.json").read_text())["scans"]
        assert source.to_dict() in [scan["source"] for scan in scans]


def test_a_source_that_was_changed_by_hand_counts_as_none(tmp_path):
    path, out = patient(tmp_path / "ct.nii", A), tmp_path / "out"
    one(path, out)
    (out / "summary.jsonl").unlink()
    points = out / "ct.mrk.json"
    points.write_text(points.read_text().replace('"bytes": "', '"bytes": "1'))
    assert one(path, out).name.startswith("ct~")
