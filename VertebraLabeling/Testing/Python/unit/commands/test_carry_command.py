"""``vertebra-labeling carry``: files in, points and picture out; whose points they are, and what is never replaced."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import write_series
from phantoms import body
from textured_patient import LEVELS, patient
from VertebraLabelingLib.commands.cli import main
from VertebraLabelingLib.core.counting import COUNT, Count, stored_count
from VertebraLabelingLib.core.label_warning import LAST_RIB, SHIFT, LabelWarning
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume
from VertebraLabelingLib.formats.mrk_json import read_labels, read_source, write_labels
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.identify import identify

MOVED = np.array((12.0, -9.0, 45.0))
COUNTED, SHIFTED = Count((LAST_RIB,)), LabelWarning(SHIFT)  # what the labeling counted and warned of


def write(path, volume) -> None:
    sitk.WriteImage(to_sitk(Volume(volume.array.astype(np.int16), volume.ijk_to_ras)), str(path))


@pytest.fixture
def study(tmp_path):
    """A CT with its points, and the same patient elsewhere."""
    volume, labels = patient()
    matrix = volume.ijk_to_ras.copy()
    matrix[:3, 3] += MOVED
    write(tmp_path / "ct.nii.gz", volume)
    write(tmp_path / "other.nii.gz", Volume(volume.array, matrix))
    source = identify(tmp_path / "ct.nii.gz").to_dict()
    provenance = {"source": source, "model": "some model", "weights_sha256": "ab", COUNT: COUNTED.to_json()}
    write_labels(tmp_path / "ct.mrk.json", SpineLabels(labels.points, (SHIFTED,), provenance))
    return tmp_path


def carry(study, *options, points="ct.mrk.json", target="other.nii.gz") -> int:
    return main(["carry", str(study / points), str(study / target), "-o", str(study / "out"), *map(str, options)])


def test_points_and_picture_of_a_scan_that_lies_elsewhere(study, capsys):
    assert carry(study, "--source", study / "ct.nii.gz") == 0
    before, after = (read_labels(study / name).by_level for name in ("ct.mrk.json", "out/other.mrk.json"))
    assert list(after) == list(LEVELS)
    for level, point in after.items():
        assert np.linalg.norm(np.array(point.ras) - before[level].ras - MOVED) < 1.0
    assert read_source(study / "out" / "other.mrk.json") == identify(study / "other.nii.gz")
    assert (study / "out" / "other.png").read_bytes()[1:4] == b"PNG"
    assert read_labels(study / "out" / "other.mrk.json").provenance["model"] == "some model"
    width, height = struct.unpack(">2I", (study / "out" / "other.png").read_bytes()[16:24])
    assert width > 800 and height > 600
    told = capsys.readouterr().out
    assert "estimated error" in told
    passed_on(study, told)


def passed_on(study, told: str) -> None:
    """What the labeling counted and warned of has gone along."""
    read = read_labels(study / "out" / "other.mrk.json")
    assert read.warnings[0] == SHIFTED and "carried" in str(read.warnings[1])
    assert stored_count(read) == COUNTED and f"warning: {SHIFTED}" in told


def test_one_frame_that_the_user_knows_needs_no_source(study, capsys):
    assert carry(study, "--same-frame") == 0
    before, after = (read_labels(study / name).by_level for name in ("ct.mrk.json", "out/other.mrk.json"))
    assert all(after[level].ras == before[level].ras for level in after)
    told = capsys.readouterr().out
    assert "nothing to compute" in told
    assert not (study / "out" / "other.png").exists()
    passed_on(study, told)


@pytest.mark.parametrize("options", [("--same-frame",), ("--source", "ct.nii.gz")])
def test_a_label_map_is_no_other_scan(study, capsys, options):
    """One of the same patient lies where the CT does, so the points would fit it well."""
    volume, _ = patient()
    write(study / "labels.nii.gz", Volume(np.where(volume.array > 300, 1, 0), volume.ijk_to_ras))
    options = [study / each if each.endswith(".gz") else each for each in options]
    assert "The other scan is a label map" in refused(study, capsys, *options, target="labels.nii.gz")


def test_one_frame_that_the_headers_tell_needs_no_source(tmp_path, capsys):
    volume = body((8, 24, 20))
    for number in (1, 2):
        folder = tmp_path / f"s{number}"
        write_series(folder, volume, FrameOfReferenceUID="1.2.3.4", SeriesInstanceUID=f"1.2.{number}")
    place = tuple(volume.corners.mean(axis=0).tolist())
    labels = SpineLabels((LabeledPoint("L1", place),), provenance={"source": identify(tmp_path / "s1").to_dict()})
    write_labels(tmp_path / "s1.mrk.json", labels)
    assert main(["carry", str(tmp_path / "s1.mrk.json"), str(tmp_path / "s2"), "-o", str(tmp_path / "out")]) == 0
    assert "same frame of reference" in capsys.readouterr().out
    np.testing.assert_allclose(read_labels(tmp_path / "out" / "s2.mrk.json").by_level["L1"].ras, place, atol=1e-3)


@pytest.mark.parametrize("tag", ["PatientID", "PatientName", "PatientBirthDate"])
def test_a_frame_that_an_anonymizer_gave_to_two_patients_is_none(tmp_path, capsys, tag):
    volume = body((8, 24, 20))
    for number, value in ((1, "19500203"), (2, "19610405")):
        uids = {"FrameOfReferenceUID": "1.2.3.4", "SeriesInstanceUID": f"1.2.{number}"}
        write_series(tmp_path / f"s{number}", volume, **uids, **{tag: value})
    place = tuple(volume.corners.mean(axis=0).tolist())
    labels = SpineLabels((LabeledPoint("L1", place),), provenance={"source": identify(tmp_path / "s1").to_dict()})
    write_labels(tmp_path / "s1.mrk.json", labels)
    arguments = ["carry", str(tmp_path / "s1.mrk.json"), str(tmp_path / "s2"), "-o", str(tmp_path / "out")]
    assert main(arguments) == 1 and not (tmp_path / "out").exists()
    assert "do not share a known frame of reference" in capsys.readouterr().err
    assert main([*arguments, "--same-frame"]) == 0, "the user knows better"


@pytest.mark.parametrize(
    ("tag", "told"),
    [("PatientID", True), ("SeriesNumber", False), pytest.param("PatientName", True, marks=pytest.mark.long)],
)
def test_headers_of_two_patients_are_told_where_the_scans_fit(tmp_path, capsys, tag, told):
    volume, labels = patient()
    whole = Volume(volume.array.astype(np.int16), volume.ijk_to_ras)
    for number in (1, 2):
        write_series(tmp_path / f"s{number}", whole, SeriesInstanceUID=f"1.2.{number}", **{tag: str(number)})
    provenance = {"source": identify(tmp_path / "s1").to_dict(), COUNT: Count((LAST_RIB,)).to_json()}
    write_labels(tmp_path / "ct.mrk.json", SpineLabels(labels.points, provenance=provenance))
    assert carry(tmp_path, "--source", tmp_path / "s1", "--no-picture", target="s2") == 0
    warnings = " ".join(map(str, read_labels(tmp_path / "out" / "s2.mrk.json").warnings))
    assert told == ("name two patients" in capsys.readouterr().out) == ("name two patients" in warnings)


def refused(study, capsys, *options, **files) -> str:
    before = sorted(path.name for path in study.rglob("*"))
    assert carry(study, *options, **files) == 1
    assert sorted(path.name for path in study.rglob("*")) == before
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    return error


def test_without_a_known_frame_the_source_is_asked_for(study, capsys):
    assert "give the scan of the points by --source" in refused(study, capsys)


def test_another_source_than_that_of_the_points_is_refused(study, capsys):
    error = refused(study, capsys, "--source", study / "other.nii.gz", target="ct.nii.gz")
    assert "ct.mrk.json was not made from other.nii.gz" in error


def without_source(study, shift=0.0) -> None:
    """The points as Slicer saves them."""
    points = tuple(
        replace(point, ras=tuple(np.add(point.ras, (0.0, 0.0, shift))))
        for point in read_labels(study / "ct.mrk.json").points
    )
    write_labels(study / "saved.mrk.json", SpineLabels(points))


def test_points_that_do_not_lie_in_the_source_are_those_of_another_scan(study, capsys):
    without_source(study, shift=70.0)
    assert carry(study, "--source", study / "ct.nii.gz", points="saved.mrk.json") == 1
    assert "mm outside the scan of the points: give the scan that they are of" in capsys.readouterr().err
    without_source(study)
    assert carry(study, "--source", study / "ct.nii.gz", "--no-picture", points="saved.mrk.json") == 0


def test_a_file_in_the_place_of_the_folder_gets_its_sentence(study, capsys):
    (study / "out").write_text("mine")
    assert carry(study, "--same-frame") == 1
    assert "out cannot be written" in capsys.readouterr().err and (study / "out").read_text() == "mine"


def test_what_is_there_already_is_never_replaced(study, capsys):
    assert carry(study, "--same-frame") == 0
    capsys.readouterr()
    kept = (study / "out" / "other.mrk.json").read_bytes()
    assert "is there already" in refused(study, capsys, "--same-frame")
    assert (study / "out" / "other.mrk.json").read_bytes() == kept


def test_a_missing_or_damaged_file_gets_its_sentence(study, capsys):
    assert "cannot be read" in refused(study, capsys, points="none.mrk.json")
    (study / "broken.nii.gz").write_bytes(b"no scan")
    assert "broken.nii.gz" in refused(study, capsys, "--same-frame", target="broken.nii.gz")
