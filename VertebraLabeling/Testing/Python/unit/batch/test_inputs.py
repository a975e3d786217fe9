"""Which scans are meant: files, folders, trees, patterns, lists and BIDS data sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk
from dicom_files import write_report, write_series
from phantoms import body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.batch.label_batch import label_folder
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

CT = to_sitk(body(shape=(4, 24, 20)))


def file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(CT, str(path))
    return path


def dicom(folder: Path, **tags) -> Path:
    write_series(folder, body(shape=(4, 24, 20)), **tags)
    return folder


def found(*arguments, **options) -> dict[str, str]:
    """Output name -> path of every scan found."""
    inputs = find_scans(arguments, **options)
    assert not inputs.problems, inputs.problems
    return {job.name: job.path for job in inputs.jobs}


def problem(*arguments, **options) -> str:
    inputs = find_scans(arguments, **options)
    (only,) = inputs.problems
    assert only.message.endswith(".") and "\n" not in only.message
    return only.message


def test_a_tree_gives_every_volume_and_every_ct_series_and_says_what_it_skips(tmp_path):
    file(tmp_path / "a" / "ct.nii.gz")
    file(tmp_path / "b" / "ct.nrrd")
    dicom(tmp_path / "c" / "thorax")
    dicom(tmp_path / "c" / "two", SeriesNumber=1)
    write_series(tmp_path / "c" / "two", body(shape=(4, 24, 20)), first_file=50, SeriesNumber=2)
    dicom(tmp_path / "d" / "mr", Modality="MR", SeriesNumber=9)
    dicom(tmp_path / "d" / "scout", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_report(tmp_path / "d" / "scout" / "sr.dcm")
    (tmp_path / "notes.txt").write_text("not an image")
    file(tmp_path / ".hidden" / "ct.nii.gz")
    inputs = find_scans([tmp_path])
    assert [job.name for job in inputs.jobs] == ["a__ct", "b__ct", "c__thorax_3", "c__two_1", "c__two_2"]
    assert [job.series for job in inputs.jobs] == ["", "", "3", "1", "2"]
    assert {skip.reason for skip in inputs.skipped} == {"modality MR", "localizer", "a structured report"}
    assert not inputs.problems


def test_a_series_number_picks_from_a_tree(tmp_path):
    for name in ("p1", "p2"):
        for first, number in ((0, 1), (50, 2)):
            write_series(tmp_path / name, body(shape=(4, 24, 20)), first_file=first, SeriesNumber=number)
    assert list(found(tmp_path, series="2")) == ["p1_2", "p2_2"]


def test_a_folder_of_one_series_may_have_others_below(tmp_path):
    dicom(tmp_path / "study")
    dicom(tmp_path / "study" / "more")
    assert list(found(tmp_path / "study")) == ["study_3", "more_3"]


def test_a_dicomdir_is_no_image(tmp_path):
    source = write_series(tmp_path / "disc" / "IMAGES", body(shape=(4, 24, 20)))[0]
    (tmp_path / "disc" / "DICOMDIR").write_bytes(source.read_bytes())
    assert list(found(tmp_path / "disc")) == ["IMAGES_3"]


def test_patterns_are_expanded(tmp_path):
    for name in ("p1/ct.nii.gz", "p2/ct.nii.gz", "p2/seg.nrrd"):
        file(tmp_path / name)
    assert list(found(f"{tmp_path}/**/ct.nii.gz")) == ["p1__ct", "p2__ct"]
    assert list(found(f"{tmp_path}/p?")) == ["p1__ct", "p2__ct", "p2__seg"]
    assert "Nothing matches" in problem(f"{tmp_path}/*.mha")


def test_a_name_with_pattern_signs_is_taken_as_it_is(tmp_path):
    assert list(found(file(tmp_path / "scan[1].nii.gz"))) == ["scan[1]"]


def test_a_list_names_paths_relative_to_itself(tmp_path):
    file(tmp_path / "data" / "one.nii.gz")
    dicom(tmp_path / "data" / "two")
    (tmp_path / "data" / "list.txt").write_text("# scans\none.nii.gz\n\n  two  \nmissing.nii\n", encoding="utf-8-sig")
    inputs = find_scans([f"@{tmp_path / 'data' / 'list.txt'}"])
    assert [job.name for job in inputs.jobs] == ["one", "two_3"]
    assert [Path(item.path).name for item in inputs.problems] == ["missing.nii"]


def test_a_csv_names_path_series_and_case(tmp_path):
    file(tmp_path / "one.nii.gz")
    for first, number in ((0, 1), (50, 2)):
        write_series(tmp_path / "two", body(shape=(4, 24, 20)), first_file=first, SeriesNumber=number)
    (tmp_path / "list.csv").write_text('Case,Path,Series\n"../x, 1",one.nii.gz,\nB,two,2\n')
    assert list(found(tmp_path / "list.csv")) == ["__x, 1", "B"]
    assert [job.series for job in find_scans([tmp_path / "list.csv"]).jobs] == ["", "2"]


def test_equal_cases_in_a_csv_are_told_apart(tmp_path):
    for name in ("one.nii.gz", "two.nii.gz"):
        file(tmp_path / name)
    (tmp_path / "list.csv").write_text("path,case\none.nii.gz,A\ntwo.nii.gz,a\n")
    assert list(found(tmp_path / "list.csv")) == ["A", "a-2"]


@pytest.mark.parametrize("line", ["a\0.nii", "*.n\0i", "\0.csv"], ids=["file", "pattern", "list"])
def test_a_nul_character_is_one_sentence(tmp_path, line):
    (tmp_path / "list.txt").write_text(line)
    assert "NUL character" in problem(f"@{tmp_path / 'list.txt'}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "names no scan"),
        (b"# nothing\n\n", "names no scan"),
        (b"\xff\xfe\x00bad", "not UTF-8"),
    ],
    ids=["empty", "comments", "binary"],
)
def test_a_bad_list_is_one_sentence(tmp_path, content, expected):
    (tmp_path / "list.txt").write_bytes(content)
    assert expected in problem(f"@{tmp_path / 'list.txt'}")


def test_a_csv_without_a_path_column_and_a_missing_list_are_one_sentence(tmp_path):
    (tmp_path / "list.csv").write_text("name,age\na,7\n")
    assert "no column named path" in problem(tmp_path / "list.csv")
    assert "cannot be read" in problem(f"@{tmp_path / 'nothing.txt'}")


def test_of_a_bids_tree_only_the_ct_is_taken(tmp_path):
    (tmp_path / "dataset_description.json").write_text("{}")
    file(tmp_path / "sub-01" / "ses-1" / "ct" / "sub-01_ses-1_ct.nii.gz")
    file(tmp_path / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    file(tmp_path / "sub-02" / "ct" / "sub-02_ct.nii.gz")
    file(tmp_path / "derivatives" / "sub-01" / "sub-01_seg-vert_msk.nii.gz")
    inputs = find_scans([tmp_path])
    assert [job.name for job in inputs.jobs] == ["sub-01_ses-1_ct", "sub-02_ct"]
    assert [skip.reason for skip in inputs.skipped] == ["derivatives of a BIDS data set", "BIDS suffix T1w"]


def test_the_same_scan_named_twice_is_one_job(tmp_path, monkeypatch):
    path = file(tmp_path / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    assert len(find_scans([path, "ct.nii.gz", tmp_path, "./ct.nii.gz"]).jobs) == 1


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda d: d, "holds no CT: give"),
        (lambda d: dicom(d, Modality="MR"), "skipped: modality MR"),
        (lambda d: write_report(d / "sr.dcm") or d, "holds no CT (skipped: a structured report): give"),
        (lambda d: (d / "a.txt").write_text("x") and d, "holds no CT: give"),
        (lambda d: d / "missing", "does not exist"),
    ],
    ids=["empty", "MR only", "report only", "text only", "missing"],
)
def test_a_folder_without_ct_is_one_sentence(tmp_path, make, expected):
    assert expected in problem(make(tmp_path))


def test_what_cannot_be_read_in_a_tree_is_passed_over(tmp_path, monkeypatch):
    file(tmp_path / "good" / "ct.nii.gz")
    (tmp_path / "locked").mkdir()
    real = Path.iterdir

    def refusing(path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "iterdir", refusing)
    inputs = find_scans([tmp_path])
    assert [job.name for job in inputs.jobs] == ["good__ct"]
    assert "Permission denied" in inputs.skipped[0].reason


def test_label_folder_takes_what_matches_its_pattern(tmp_path):
    file(tmp_path / "in" / "a_ct.nii.gz")
    file(tmp_path / "in" / "a_pet.nii.gz")
    from ball_labeler import BallLabeler

    results = label_folder(tmp_path / "in", tmp_path / "out", pattern="*_ct.nii.gz", labeler=BallLabeler())
    assert [result["name"] for result in results] == ["a_ct"]
    with pytest.raises(InputError, match=r"Nothing in .* matches"):
        label_folder(tmp_path / "in", tmp_path / "out", pattern="*.mha", labeler=BallLabeler())


@pytest.mark.parametrize("entry", ["list.csv", "*"])
def test_a_list_that_names_itself_is_told_or_left_out(tmp_path, entry):
    (tmp_path / "a.nii").write_bytes(b"")
    (tmp_path / "list.csv").write_text(f"path\n{entry}\na.nii\n")
    found = find_scans([tmp_path / "list.csv"])
    assert [job.name for job in found.jobs] == ["a"]
    assert ["list within a list" in problem.message for problem in found.problems] == ([True] if entry != "*" else [])


@pytest.mark.parametrize("entry", ["@list.txt", "@other.txt"])
def test_a_text_list_that_names_a_list_beside_it_is_told(tmp_path, monkeypatch, entry):
    monkeypatch.chdir(tmp_path)  # the paths of its lines then have no folder before their @
    (tmp_path / "a.nii").write_bytes(b"")
    (tmp_path / "other.txt").write_text("a.nii\n")
    (tmp_path / "list.txt").write_text(f"{entry}\na.nii\n")
    found = find_scans(["@list.txt"])
    assert [job.name for job in found.jobs] == ["a"]
    assert [problem.message for problem in found.problems] == [
        f"{entry} is a list within a list: name its scans in the first one."
    ]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("n" * 400, "does not exist"),
        ("[" * 400, "Nothing matches"),
        ("@" + "n" * 400, "cannot be read"),
        ("[" * 100_000, "too long for a path"),
        ("*/" * 2000, "too many folders"),
    ],
    ids=["name", "pattern", "list", "long pattern", "deep pattern"],
)
def test_a_name_that_is_too_long_for_a_file_is_one_sentence(tmp_path, monkeypatch, name, told):
    monkeypatch.chdir(tmp_path)
    assert told in problem(name)
    (tmp_path / "list.txt").write_text(f"{name.lstrip('@')}\n")
    assert len(find_scans(["@list.txt"]).problems) == 1


def test_a_very_long_pattern_without_a_match_is_named_by_its_ends():
    told = problem(f"{'[ab]' * 300}last.nii")
    assert told.startswith("Nothing matches [ab]") and told.endswith("last.nii: check the pattern.")
    assert len(told) < 320
