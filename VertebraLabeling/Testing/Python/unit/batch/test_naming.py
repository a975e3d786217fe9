"""Output names: recognisable, unique, and unable to leave the output folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from VertebraLabelingLib.batch.naming import MAX_NAME_BYTES, Source, output_names, output_path, safe_name, unique
from VertebraLabelingLib.errors import InputError

STEMS = {
    "ct.nii.gz": "ct",
    "ct.nii": "ct",
    "CT.NII.GZ": "CT",
    "ct.nrrd": "ct",
    "ct.nhdr": "ct",
    "ct.mha": "ct",
    "ct.mhd": "ct",
    "ct.v2.nii.gz": "ct.v2",
    "1.2.840.113": "1.2.840.113",
    "Müller, Jörg.nii.gz": "Müller, Jörg",
    "..nii.gz": "unnamed",
    ".hidden.nii.gz": "_hidden",
    "-rf.nii.gz": "_rf",
    "=cmd|x.nii.gz": "_cmd_x",
    "a:b*c?.nii.gz": "a_b_c_",
    "con.nii.gz": "_con",
    "COM1.scan.nii.gz": "_COM1.scan",
    "trailing. .nii.gz": "trailing",
    "tab\tand\nline.nii": "tab_and_line",
}


@pytest.mark.parametrize("name", STEMS)
def test_a_file_gives_its_name_without_the_volume_suffix(name):
    assert output_names([Source(Path("/data") / name)]) == [STEMS[name]]


def test_a_dicom_series_gives_folder_name_and_series_number():
    folder = Path("/data/chest")
    assert output_names([Source(folder, "3"), Source(folder, "5"), Source(folder, "5.2")]) == [
        "chest_3",
        "chest_5",
        "chest_5.2",
    ]


def test_a_scan_of_a_tree_is_named_by_the_folders_that_lead_to_it():
    root = Path("/data")
    sources = [Source(root / p, root=root) for p in ("a/p1/ct.nii.gz", "b/other.nii.gz", "top.nii")]
    assert output_names(sources) == ["a__p1__ct", "b__other", "top"]


def test_folders_that_the_name_holds_already_are_left_out():
    root = Path("/data")
    paths = ("sub-01/ses-1/ct/sub-01_ses-1_ct.nii.gz", "p1/p1_ct.nii", "p1/p10.nii", "CT/scan_ct.nii")
    names = output_names([Source(root / p, root=root) for p in paths])
    assert names == ["sub-01_ses-1_ct", "p1_ct", "p1__p10", "scan_ct"]


@given(st.sets(st.sampled_from(["p1/ct.nii", "p2/ct.nii", "p2/ct_3.nii", "a/p1/ct.nii", "p1_ct.nii", "ct.nii"])))
def test_the_name_of_a_scan_does_not_depend_on_the_others_of_its_tree(others):
    def names(paths):
        return dict(zip(paths, output_names([Source(Path("/r") / p, root=Path("/r")) for p in paths])))

    alone = {path: names([path])[path] for path in others}
    assert names(sorted(others)) == alone


def test_files_named_one_by_one_take_the_folders_by_which_they_differ():
    assert output_names([Source(Path("/x/y/a/ct.nii")), Source(Path("/x/y/b/ct.nii"))]) == ["a__ct", "b__ct"]
    assert output_names([Source(Path("/x/a/p/ct.nii")), Source(Path("/x/b/p/ct.nii"))]) == ["a__p__ct", "b__p__ct"]


def test_names_that_differ_by_suffix_or_case_alone_get_a_number():
    sources = [Source(Path("/d") / name) for name in ("ct.nii.gz", "ct.nrrd", "CT.mha", "ct-2.nii")]
    assert unique(output_names(sources)) == ["ct", "ct-3", "CT-4", "ct-2"]


@pytest.mark.parametrize("series", ["../../x", "/etc/x", "3\x00", "a" * 300])
def test_a_hostile_series_number_stays_in_the_name(tmp_path, series):
    (name,) = output_names([Source(Path("/data/chest"), series)])
    assert name.startswith("chest_")
    assert output_path(tmp_path, name, ".mrk.json").parent == tmp_path


def test_the_current_folder_has_a_name(monkeypatch, tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert output_names([Source(Path("."), "2")]) == ["study_2"]


def test_long_names_are_cut_and_stay_different():
    names = output_names([Source(Path("/d") / ("é" * 300 + end + ".nii.gz")) for end in "xy"])
    assert len(set(names)) == 2
    assert all(len(name.encode()) <= MAX_NAME_BYTES for name in names)


HOSTILE = ["..", "../..", "/etc/passwd", "..\\..\\x", "C:\\x", "a/../../b", "\x00", "\u202egpj", "\ud800", "nul", "~"]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_stays_in_the_output_folder(tmp_path, text):
    name = safe_name(text)
    path = output_path(tmp_path, name, ".mrk.json")
    path.write_text("x")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@given(st.text(max_size=400))
def test_every_name_is_a_plain_printable_file_name(text):
    name = safe_name(text)
    assert name and name.isprintable() and not set(name) & set('/\\:*?"<>|')
    assert name[0] not in ".-=+@" and name[-1] not in ". " and len(name.encode()) <= MAX_NAME_BYTES
    assert output_path(Path("out"), name, ".csv").parent == Path("out")


PARTS = st.sampled_from(["a", "A", "b", "ct.nii", "ct.mha", "ct-2.nii"])


@given(st.lists(st.lists(PARTS, min_size=1, max_size=4), max_size=8), st.booleans())
def test_names_of_different_scans_are_different(paths, in_a_tree):
    scans = sorted({tuple(parts) for parts in paths})
    names = unique(
        output_names([Source(Path("/r", *parts), root=Path("/r") if in_a_tree else None) for parts in scans])
    )
    assert len({name.casefold() for name in names}) == len(scans)


@pytest.mark.parametrize("name", ["../x", "a/b", "/x", ".."])
def test_a_path_for_a_name_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="not a plain file name"):
        output_path(tmp_path, name, "")
