"""One CT as colleagues and hosts store it, from file to points by the command line: right within 3 mm, or refused.

The CT and its right points come from the data folder; without it these tests are skipped. docs/robustness.md has a row
for each test.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import threading

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nifti_files import UNSET, moved, tilted, write_nifti
from sample_edges import CUT, WITHIN_MM, allowed_mm
from VertebraLabelingLib.commands.cli import main
from VertebraLabelingLib.core.volume import Volume, apply_affine
from VertebraLabelingLib.formats.mrk_json import read_points
from VertebraLabelingLib.preprocessing.sitk_image import to_sitk
from VertebraLabelingLib.scans.read_scan import read_volume
from VertebraLabelingLib.system.decimal_point import decimal_point


@pytest.fixture(scope="module")
def field(shared_data, tmp_path_factory):
    """The folder of unpacked field inputs that are no DICOM."""
    archive = shared_data / "field_inputs.tar.xz"
    if not archive.is_file():
        pytest.skip("needs field_inputs.tar.xz of the data folder")
    folder = tmp_path_factory.mktemp("field")
    with tarfile.open(archive) as files:
        wanted = [m for m in files.getmembers() if re.match(r"(\./)?(reference|07|18|23)", m.name)]
        files.extractall(folder, wanted, filter="data")
    return folder


@pytest.fixture(scope="module")
def ct(field):
    return read_volume(field / "23" / "lps.nrrd")


@pytest.fixture(scope="module")
def reference(field):
    return {point.level: np.array(point.ras) for point in read_points(field / "reference.mrk.json")}


def written(folder, name, volume):
    with decimal_point():
        sitk.WriteImage(to_sitk(volume), str(folder / name), useCompression=name.endswith("mha"))


def sound_and_told(folder, ct):
    """Files that are right, some with a word: name -> (where the CT lies then, words of the warning)."""
    own = ct.ijk_to_ras
    stored = Volume(np.clip(ct.array.astype(np.int32) // 8 * 8 + 1024, 0, 4000).astype(np.uint16), own)
    meters = np.diag([0.001, 0.001, 0.001, 1.0]) @ own
    write_nifti(folder / "both.nii.gz", ct)
    write_nifti(folder / "unknown_unit.nii", ct, UNSET, (own, 4), unit="unknown")
    write_nifti(folder / "placed_twice.nii.gz", ct, sform=(moved(own, (0, 0, 345)), 2))
    write_nifti(folder / "scanner_sform.nii", ct, qform=(moved(own, (0, 30, 0)), 1))
    write_nifti(folder / "tilted.nii", Volume(ct.array, tilted(own, 6)), UNSET)
    image = nibabel.Nifti1Image(ct.array.transpose(2, 1, 0), meters)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, folder / "meters.nii")
    written(folder, "stored_1024.nrrd", stored)
    written(folder, "packed.mha", ct)
    written(folder, "apart.mhd", ct)
    return {
        "both": (own, ""),
        "unknown_unit": (own, ""),
        "placed_twice": (own, "345 mm apart; points fit the qform"),
        "scanner_sform": (own, "30 mm apart; points fit the sform"),
        "tilted": (tilted(own, 6), "not at right angles"),
        "meters": (own, "in meters"),
        "stored_1024": (own, "HU + 1024"),
        "packed": (own, ""),
        "apart": (own, ""),
    }


def results(folder) -> dict[str, dict]:
    return {entry["name"]: entry for entry in json.loads((folder / "summary.json").read_text("utf-8"))["scans"]}


def error_mm(folder, name, ct, place, reference) -> float:
    """Largest distance of whole vertebrae to the right points, carried along with the CT.

    Infinite where other levels were found, or one that the edge cuts lies farther off than it may.
    """
    found = {point.level: point.ras for point in read_points(folder / f"{name}.mrk.json")}
    if set(found) - CUT != set(reference) - CUT:
        return float("inf")
    there = place @ np.linalg.inv(ct.ijk_to_ras)
    off = {
        level: float(np.linalg.norm(apply_affine(there, [reference[level]]) - found[level]))
        for level in set(found) & set(reference)
    }
    if any(mm >= allowed_mm(level) for level, mm in off.items() if level in CUT):
        return float("inf")
    return max(mm for level, mm in off.items() if level not in CUT)


def test_sound_files_and_those_that_are_told_are_labeled_rightly(tmp_path, ct, reference):
    expected = sound_and_told(tmp_path, ct)
    out = tmp_path / "out"
    inputs = [next(tmp_path.glob(f"{name}.*[!w]")) for name in expected]
    main(["label", *map(str, inputs), "-o", str(out), "--quiet"])
    told = results(out)
    for name, (place, words) in expected.items():
        assert told[name]["status"] == "done", told[name]["message"]
        assert error_mm(out, name, ct, place, reference) < WITHIN_MM, name
        assert words in " ".join(told[name]["warnings"]), name
        assert words or not any("form" in warning for warning in told[name]["warnings"])


FIELD_FILES = {
    "07/flip_q1_s2.nii.gz": "two different things of where left, front and head are",
    "07/none.nii.gz": "does not say how its axes lie",
    "18/cm.nrrd": "another unit than millimeters",
    "18/nospace.nrrd": "does not say how its axes lie",
}


@pytest.mark.parametrize("name", FIELD_FILES)
def test_files_from_the_field_are_refused_in_a_sentence(tmp_path, field, capfd, name):
    with pytest.raises(SystemExit) as ended:
        sys.exit(main(["label", str(field / name), "-o", str(tmp_path)]))
    assert ended.value.code != 0 and not list(tmp_path.glob("*.mrk.json"))
    assert FIELD_FILES[name] in capfd.readouterr().err


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.nii.gz"])
def test_a_program_around_with_decimal_commas_moves_no_point(tmp_path, ct, reference, decimal_comma, name):
    """Labeled in a thread of a program whose numbers have commas, with every text that is written."""
    written(tmp_path, name, ct)
    out = tmp_path / "out"
    arguments = ["label", str(tmp_path / name), "-o", str(out), "--quiet", "--format", "mrk.json,csv,verse.json"]
    thread = threading.Thread(target=main, args=(arguments,))
    thread.start()
    thread.join(300)
    assert error_mm(out, "a", ct, ct.ijk_to_ras, reference) < WITHIN_MM
    rows = (out / "a.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == 1 + len(reference) and all(row.count(",") == rows[0].count(",") for row in rows)
    assert len(json.loads((out / "a.verse.json").read_text("utf-8"))) == 1 + len(reference)


def test_worker_processes_of_such_a_program_move_no_point(tmp_path, ct, reference, decimal_comma):
    for name in ("a.nrrd", "b.nhdr", "c.mha"):
        written(tmp_path, name, ct)
    program = (
        "import locale, sys\nfrom VertebraLabelingLib.commands.cli import main\n"
        "if __name__ == '__main__':\n    locale.setlocale(locale.LC_ALL, '')\n    sys.exit(main(sys.argv[1:]))\n"
    )
    (tmp_path / "host.py").write_text(program)
    environment = {**os.environ, "LC_ALL": decimal_comma, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    files = [str(tmp_path / name) for name in ("a.nrrd", "b.nhdr", "c.mha")]
    command = [sys.executable, "host.py", "label", *files, "-o", "out", "--jobs", "2", "--quiet"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stderr
    for name in "abc":
        assert error_mm(tmp_path / "out", name, ct, ct.ijk_to_ras, reference) < WITHIN_MM
