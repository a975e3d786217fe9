"""Nothing that is found disappears: links, other formats, reports beside images, lists as spreadsheets save them."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import write_report, write_series
from phantoms import body
from VertebraLabelingLib.batch.inputs import find_scans
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk

CT = to_sitk(body(shape=(4, 24, 20)))


def file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(CT, str(path))
    return path


def series(folder: Path, **tags) -> Path:
    write_series(folder, body(shape=(4, 24, 20)), **tags)
    return folder


def told(*arguments, **options) -> tuple[list[str], list[str], dict[str, str]]:
    """Names of jobs, sentences of problems, and file name -> reason of what is skipped."""
    inputs = find_scans(arguments, **options)
    skipped = {Path(skip.path).name: skip.reason for skip in inputs.skipped}
    return [job.name for job in inputs.jobs], [problem.message for problem in inputs.problems], skipped


def object_of(path: Path, sop_class: str) -> None:
    """A DICOM file of a kind that holds no image."""
    write_report(path)
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("name", ["sub-01_ct.nii.gz", "a.nrrd", "b.MHA"])
def test_a_scan_whose_link_leads_nowhere_has_failed(tmp_path, name):
    file(tmp_path / "t" / "good.nii.gz")
    (tmp_path / "t" / name).symlink_to("../.git/annex/objects/missing.nii.gz")
    names, problems, _ = told(tmp_path / "t")
    assert names == ["good"] and len(problems) == 1
    assert name in problems[0] and "link whose file is missing" in problems[0]
    names, (problem,), _ = told(tmp_path / "t" / name)
    assert "link whose file is missing" in problem


@pytest.mark.parametrize("name", ["IM0099", "x.dcm", "1.2.3.4"])
def test_images_whose_link_leads_nowhere_are_told(tmp_path, name):
    (series(tmp_path / "d") / name).symlink_to("nowhere")
    names, problems, skipped = told(tmp_path / "d")
    assert names == ["d_3"] and not problems
    assert skipped == {name: "a link whose file is missing"}


def test_folders_behind_links_are_searched_once(tmp_path):
    file(tmp_path / "elsewhere" / "p2" / "ct.nii.gz")
    file(tmp_path / "t" / "p1" / "ct.nii.gz")
    (tmp_path / "t" / "a2").symlink_to(tmp_path / "elsewhere" / "p2", target_is_directory=True)
    (tmp_path / "t" / "p3").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "t" / "again").symlink_to(tmp_path / "t" / "p1", target_is_directory=True)
    (tmp_path / "t" / "p1" / "loop").symlink_to(tmp_path / "t", target_is_directory=True)
    (tmp_path / "t" / "p1" / "self").symlink_to(".", target_is_directory=True)
    names, problems, skipped = told(tmp_path / "t")
    assert names == ["p1__ct", "a2__ct"] and not problems
    assert {name: skipped[name] for name in ("again", "loop", "self")} == dict.fromkeys(
        ("again", "loop", "self"), "a link to a folder that is searched already"
    )
    assert "ct.nii.gz" in skipped or "p2" in skipped  # below p3, which was seen through a2


def test_a_link_to_a_file_of_the_tree_is_told(tmp_path):
    file(tmp_path / "t" / "a.nii.gz")
    (tmp_path / "t" / "b.nii.gz").symlink_to("a.nii.gz")
    names, _, skipped = told(tmp_path / "t")
    assert names == ["a"] and skipped["b.nii.gz"].startswith("the same file as")


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_volumes_beside_a_dicom_series_are_taken(tmp_path, suffix):
    file(series(tmp_path / "d") / f"other{suffix}")
    assert told(tmp_path / "d")[0] == ["d_3", "other"]


def test_a_choice_that_is_open_costs_no_other_scan(tmp_path):
    for first, number in ((0, 1), (50, 2)):
        write_series(tmp_path / "d", body(shape=(4, 24, 20)), first_file=first, SeriesNumber=number)
    file(tmp_path / "d" / "beside.nii.gz")
    file(tmp_path / "d" / "below" / "ct.nii.gz")
    names, problems, _ = told(tmp_path / "d")
    assert names == ["beside", "below__ct"] and "choose one with --series" in problems[0]
    names, problems, skipped = told(tmp_path / "d", series=2)
    assert names == ["d_2", "beside", "below__ct"] and not problems
    assert list(skipped.values()) == ["not series 2"]


KINDS = {
    "1.2.840.10008.5.1.4.1.1.88.67": "a radiation dose report",
    "1.2.840.10008.5.1.4.1.1.481.3": "an RT structure set",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.11.1": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.88.33": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.1": "an encapsulated document",
}


@pytest.mark.parametrize("sop_class", KINDS)
def test_what_lies_beside_the_images_is_told_as_what_it_is(tmp_path, sop_class):
    from VertebraLabelingLib.scans.dicom_series import find_series

    object_of(series(tmp_path / "d") / "zz.dcm", sop_class)
    names, problems, skipped = told(tmp_path / "d")
    assert names == ["d_3"] and not problems and skipped == {"zz.dcm": KINDS[sop_class]}
    assert not [note for stack in find_series(tmp_path / "d") for note in stack.notes]


@pytest.mark.parametrize("size", [200, 400, 600])
def test_a_folder_of_images_that_cannot_be_read_has_failed(tmp_path, size):
    file(tmp_path / "t" / "good.nii.gz")
    for path in sorted(series(tmp_path / "t" / "lost").iterdir()):
        path.write_bytes(path.read_bytes()[:size])
    names, problems, _ = told(tmp_path / "t")
    assert names == ["good"] and "lost holds 4 DICOM images that cannot be read" in problems[0]


@pytest.mark.parametrize("name", ["study.zip", "brain.mgz", "a.img", "b.tar.gz"])
def test_other_formats_are_told(tmp_path, name):
    file(tmp_path / "t" / "good.nii.gz")
    (tmp_path / "t" / name).write_bytes(b"x")
    assert told(tmp_path / "t")[2] == {name: "not read: convert or unpack it first"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs Unix")
def test_a_pipe_is_no_scan_and_does_not_block(tmp_path):
    file(tmp_path / "good.nii.gz")
    os.mkfifo(tmp_path / "p.nii")
    assert told(tmp_path)[2] == {"p.nii": "no regular file"}
    assert "is no file" in told(tmp_path / "p.nii")[1][0]


UMLAUT = "Österreich Fälle/Müller, ct.nii.gz"
TABLES = {
    "semicolons": f"path;case\n{UMLAUT};M1\n".encode(),
    "of a German Excel": f"path;case;series\r\n{UMLAUT};M1;\r\n;;\r\n".encode("cp1252"),
    "with a hint": f"sep=;\npath;case\n{UMLAUT};M1\n".encode(),
    "with a quoted hint": f'"sep=;"\r\nCase;Path\r\nM1;"{UMLAUT}"\r\n'.encode("utf-8-sig"),
    "with a mark and quotes": f'"path","case"\r\n"{UMLAUT}","M1"\r\n'.encode("utf-8-sig"),
    "tabs, UTF-16": f"path\tcase\r\n{UMLAUT}\tM1\r\n".encode("utf-16"),
    "copied as path": f'path;case\n"""{UMLAUT}""";M1\n'.encode(),
    "of an old Mac": f"path;case\r{UMLAUT};M1\r".encode(),
}


@pytest.mark.parametrize("suffix", ["csv", "txt"])
@pytest.mark.parametrize("kind", TABLES)
def test_a_table_is_read_as_spreadsheets_save_it(tmp_path, kind, suffix):
    file(tmp_path / UMLAUT)
    listing = tmp_path / f"list.{suffix}"
    listing.write_bytes(TABLES[kind])
    assert told(listing if suffix == "csv" else f"@{listing}") == (["M1"], [], {})


LINES = {
    "double quotes": '"{0}"',
    "single quotes": "'{0}'",
    "typographic quotes": "„{0}“",
    "a semicolon at the end": "{0};",
    "several on a line": '"{0}";{1}',
    "spaces around": '  "{0}" \t',
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("kind", LINES)
def test_a_list_of_lines_is_read_as_people_paste_it(tmp_path, kind, encoding):
    paths = [file(tmp_path / name) for name in ("Fälle/Müller ct.nii.gz", "Fälle/b.nii.gz")]
    line = LINES[kind].format(*(path.relative_to(tmp_path) for path in paths))
    (tmp_path / "list.txt").write_bytes(f"# Fälle\r\n{line}\r\n".encode(encoding))
    names, problems, _ = told(f"@{tmp_path / 'list.txt'}")
    assert not problems
    assert names == ["Fälle__Müller ct", *(["Fälle__b"] if "{1}" in LINES[kind] else [])]


def test_names_with_quotes_and_semicolons_are_taken_as_they_are(tmp_path):
    for name in ('"q".nii', "a;b.nii"):
        file(tmp_path / name)
    (tmp_path / "list.txt").write_text('"q".nii\na;b.nii\n')
    assert told(f"@{tmp_path / 'list.txt'}")[0] == ["_q_", "a;b"]


def test_a_line_without_a_path_is_told(tmp_path):
    file(tmp_path / "a.nii")
    (tmp_path / "list.csv").write_text("path;case\na.nii;A\n;B\n;\n")
    names, problems, _ = told(tmp_path / "list.csv")
    assert names == ["A"] and len(problems) == 1 and "Line 3 of list.csv names no path (;B)" in problems[0]
