"""DICOM structured reports: the points come back, and the validators of dicom3tools find no error."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

hd = pytest.importorskip("highdicom", reason="DICOM reports need highdicom")

import pydicom  # noqa: E402
from dicom_files import FRAME, STUDY, write_series  # noqa: E402
from phantoms import affine, assert_same_labels, body, spine  # noqa: E402
from VertebraLabelingLib.core.anatomy import SNOMED_CODES  # noqa: E402
from VertebraLabelingLib.core.count_rules import AS_SEEN, FROM_ABOVE, FROM_SACRUM  # noqa: E402
from VertebraLabelingLib.core.counting import COUNT, Count, how_counted  # noqa: E402
from VertebraLabelingLib.core.label_warning import (  # noqa: E402
    COUNTS,
    FIRST_RIB,
    LAST_RIB,
    NO_GPU,
    NOTE,
    RULE,
    SACRUM,
    SHIFT,
    LabelWarning,
)
from VertebraLabelingLib.core.volume import to_canonical  # noqa: E402
from VertebraLabelingLib.errors import InputError  # noqa: E402
from VertebraLabelingLib.formats.dicom_sr import read_labels, write_labels  # noqa: E402
from VertebraLabelingLib.scans.read_scan import read_scan  # noqa: E402

# a scanner writes these; the validators ask for them
SCANNER = {"Laterality": "", "PatientPosition": "HFS", "KVP": "120"}


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ct")
    write_series(folder, body(shape=(6, 48, 40)), **SCANNER)
    return folder


def report_of(series, tmp_path) -> Path:
    write_labels(tmp_path / "report.dcm", spine(), read_scan(series).dicom_files)
    return tmp_path / "report.dcm"


def test_the_points_are_read_back(series, tmp_path):
    read = read_labels(report_of(series, tmp_path))
    assert_same_labels(read, spine())
    np.testing.assert_allclose([p.confidence for p in read.points], [p.confidence for p in spine().points], atol=1e-3)


def test_the_report_is_tid_1500_in_the_frame_of_the_ct(series, tmp_path):
    report = pydicom.dcmread(report_of(series, tmp_path))
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (report.Modality, report.StudyInstanceUID, report.PatientID) == ("SR", STUDY, "P1")
    content = hd.sr.srread(tmp_path / "report.dcm").content
    groups = content.get_planar_roi_measurement_groups()
    for group, point in zip(groups, spine().points):
        assert group.roi.ReferencedFrameOfReferenceUID == FRAME
        assert group.finding_sites[0].value.value == SNOMED_CODES.get(point.level, "51282000")
        assert group.tracking_identifier == point.level
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert len(evidence.ReferencedSOPSequence) == 6


def test_the_same_labels_give_the_same_identifiers(series, tmp_path):
    first = pydicom.dcmread(report_of(series, tmp_path))
    second = pydicom.dcmread(report_of(series, tmp_path))
    assert first.SOPInstanceUID == second.SOPInstanceUID
    write_labels(tmp_path / "report.dcm", spine(("L1", "L2")), read_scan(series).dicom_files)
    assert pydicom.dcmread(tmp_path / "report.dcm").SOPInstanceUID != first.SOPInstanceUID


def counted_spine(rule: str = AS_SEEN):
    """Labels that say how they were counted."""
    count = Count((FIRST_RIB, LAST_RIB, SACRUM), 13, 5, 1, "L5", rule, None if rule == AS_SEEN else 0)
    return replace(spine(("T12", "L1", "L2")), provenance={COUNT: count.to_json()})


def comments_of(path: Path) -> list[str]:
    content = pydicom.dcmread(path).ContentSequence
    return [item.TextValue for item in content if item.ConceptNameCodeSequence[0].CodeValue == "121106"]


def test_levels_that_may_be_wrong_are_told_in_the_report_but_nothing_of_the_computer(series, tmp_path):
    told = (
        LabelWarning(SHIFT),
        LabelWarning(COUNTS, ("L1",), ("T12",), text=FROM_SACRUM),
        LabelWarning(RULE, text=FROM_ABOVE),
    )
    others = (LabelWarning(NO_GPU), LabelWarning(NOTE, text="Patient Doe"))
    labels = replace(counted_spine(), warnings=(*told, *others))
    write_labels(tmp_path / "report.dcm", labels, read_scan(series).dicom_files)
    assert comments_of(tmp_path / "report.dcm") == [how_counted(labels), *map(str, told)]
    one = pydicom.dcmread(tmp_path / "report.dcm").SOPInstanceUID
    write_labels(tmp_path / "report.dcm", counted_spine(), read_scan(series).dicom_files)
    assert pydicom.dcmread(tmp_path / "report.dcm").SOPInstanceUID != one, "another text is another report"


def test_a_comment_says_how_the_spine_was_counted(series, tmp_path):
    def comments():
        return comments_of(tmp_path / "report.dcm")

    report_of(series, tmp_path)
    assert comments() == []
    files = read_scan(series).dicom_files
    identifiers = set()
    for labels in (counted_spine(), counted_spine(FROM_ABOVE)):
        write_labels(tmp_path / "report.dcm", labels, files)
        assert comments() == [how_counted(labels)] and "thirteen vertebrae bear ribs" in comments()[0]
        assert_same_labels(read_labels(tmp_path / "report.dcm"), labels)
        identifiers.add(pydicom.dcmread(tmp_path / "report.dcm").SOPInstanceUID)
    assert len(identifiers) == 2, "another text is another report"


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs the Debian package dicom3tools")
@pytest.mark.parametrize("labels", [spine(), counted_spine()], ids=["plain", "counted"])
def test_the_validators_find_no_error(series, tmp_path, labels):
    report = tmp_path / "report.dcm"
    write_labels(report, labels, read_scan(series).dicom_files)
    found = subprocess.run(["dciodvfy", "-new", str(report)], capture_output=True, text=True)
    assert "Comprehensive3DSR" in found.stderr and "Error" not in found.stderr + found.stdout
    files = [str(path) for path in sorted(series.iterdir())]
    found = subprocess.run(["dcentvfy", *files, str(report)], capture_output=True, text=True)
    assert "Error" not in found.stderr + found.stdout


@pytest.mark.parametrize(
    ("case", "expected"),
    [("no dicom", "came as DICOM"), ("no frame", "lack FrameOfReferenceUID"), ("damaged", "cannot be read")],
)
def test_a_scan_that_cannot_have_a_report_gives_one_sentence(tmp_path, case, expected):
    files = write_series(
        tmp_path / "ct", body(shape=(3, 48, 40)), **({"FrameOfReferenceUID": ""} if case == "no frame" else {})
    )
    if case == "damaged":
        files[1].write_bytes(b"no DICOM at all")
    names = [] if case == "no dicom" else [str(path) for path in files]
    with pytest.raises(InputError, match=expected):
        write_labels(tmp_path / "report.dcm", spine(), names)
    assert not (tmp_path / "report.dcm").exists()


def test_a_file_that_is_no_report_gives_one_sentence(series, tmp_path):
    for path in (next(series.iterdir()), tmp_path / "nothing.dcm"):
        with pytest.raises(InputError):
            read_labels(path)


def test_an_enhanced_multi_frame_ct_is_read_like_its_single_slices(tmp_path):
    turn = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]])
    ct = body(shape=(6, 48, 40), ijk_to_ras=affine((2, 2, 3), axes=turn))
    slices = [pydicom.dcmread(path) for path in write_series(tmp_path / "slices", ct, **SCANNER)]
    enhanced = hd.legacy.LegacyConvertedEnhancedCTImage(
        slices, series_instance_uid=hd.UID(), series_number=9, sop_instance_uid=hd.UID(), instance_number=1
    )
    (tmp_path / "enhanced").mkdir()
    enhanced.save_as(tmp_path / "enhanced" / "one.dcm")
    for path in (tmp_path / "enhanced", tmp_path / "enhanced" / "one.dcm"):
        scan = read_scan(path)
        read = to_canonical(scan.volume)
        np.testing.assert_allclose(read.ijk_to_ras, ct.ijk_to_ras, atol=1e-6)
        np.testing.assert_array_equal(read.array, ct.array)
        assert len(scan.dicom_files) == 1
