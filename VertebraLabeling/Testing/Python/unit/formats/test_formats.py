"""Atomic writing, the CSV table and VerSe centroid files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import permutations, product

import numpy as np
import pytest
from csv_reader import read_table
from phantoms import affine, assert_same_labels, body, spine
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras, ras_to_ijk
from VertebraLabelingLib.errors import InputError
from VertebraLabelingLib.formats import csv_table, verse_json
from VertebraLabelingLib.system.atomic import atomic_path, remove_leftovers, write_text


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_makes_the_folder_and_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_text(path, "one")
    write_text(path, "zwei ü\n")
    assert path.read_bytes() == "zwei ü\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "umask"), reason="needs Unix permissions")
def test_a_written_file_can_be_read_by_whom_the_umask_allows(tmp_path):
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_a_name_of_255_bytes_can_be_written(tmp_path):
    path = tmp_path / ("n" * 246 + ".mrk.json")
    write_text(path, "x")
    assert path.read_text() == "x"


def test_what_a_killed_process_left_is_removed_but_not_what_a_living_one_writes(tmp_path):
    script = (
        "import os, sys\nfrom VertebraLabelingLib.system.atomic import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n    path.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.txt")], env=environment)
    assert len(list(tmp_path.iterdir())) == 1 and not (tmp_path / "a.txt").exists()
    with atomic_path(tmp_path / "b.txt") as mine:
        mine.write_text("being written")
        assert remove_leftovers(tmp_path) == 1
        assert mine.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b.txt"]


def test_the_table_is_read_back(tmp_path):
    cases = {"one": spine(), 'na,me "2"\nü': spine(("L1", "L2"))}
    csv_table.write_table(tmp_path / "a.csv", cases)
    read = read_table(tmp_path / "a.csv")
    assert list(read) == list(cases)
    for case, labels in cases.items():
        assert_same_labels(read[case], labels)
        assert [(p.confidence, p.status) for p in read[case].points] == [
            (p.confidence, p.status) for p in labels.points
        ]


def test_the_table_has_the_agreed_columns(tmp_path):
    csv_table.write_labels(tmp_path / "a.csv", spine(("L1",), top=(1.0, 2.0, 3.0)), "case 7")
    assert (tmp_path / "a.csv").read_text() == (
        "case,level,r,a,s,confidence,status\ncase 7,L1,1.000,2.000,3.000,0.5000,predicted\n"
    )


AXIS_CODES = ["".join(signs) for order in permutations(("RL", "AP", "SI")) for signs in product(*order)]


def axes_along(codes) -> np.ndarray:
    directions = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    return np.array([directions[code] for code in codes], dtype=float).T


@pytest.mark.parametrize("codes", AXIS_CODES)
def test_verse_centroids_are_read_back_for_every_orientation(tmp_path, codes):
    volume = body(ijk_to_ras=affine((1.5, 2.0, 3.0), (4.0, -7.0, 250.0), axes_along(codes)))
    verse_json.write_labels(tmp_path / "a.json", spine(), volume)
    entries = json.loads((tmp_path / "a.json").read_text())
    assert entries[0] == {"direction": list(codes)}
    assert [entry["label"] for entry in entries[1:]] == [7, 8, 9, 19, 28, 20, 24, 25]
    assert_same_labels(verse_json.read_labels(tmp_path / "a.json", volume), spine(), atol_mm=0.03)


@pytest.mark.parametrize("codes", AXIS_CODES)
def test_a_verse_file_in_another_orientation_names_the_same_voxel(tmp_path, codes):
    """Voxel (1, 2, 3) of the array as its owner stored it, counted along any other direction, is the same place."""
    volume = body(shape=(7, 6, 5), ijk_to_ras=affine((1.5, 2.0, 3.0), (4.0, -7.0, 250.0)))  # runs to R, A, S
    size, index = dict(zip("RAS", (5, 6, 7))), dict(zip("RAS", (1, 2, 3)))
    values = {**index, **{opposite: size[c] - 1 - index[c] for c, opposite in zip("RAS", "LPI")}}
    x, y, z = (values[code] for code in codes)
    entries = [{"direction": list(codes)}, {"label": 20, "X": x, "Y": y, "Z": z}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    (point,) = verse_json.read_labels(tmp_path / "a.json", volume).points
    np.testing.assert_allclose(point.ras, ijk_to_ras(volume, [(1, 2, 3)])[0], atol=1e-9)


def test_oblique_volumes_go_through_the_whole_affine(tmp_path):
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    volume = body(ijk_to_ras=affine((1.0, 2.0, 3.0), axes=turn))
    verse_json.write_labels(tmp_path / "a.json", spine(("L1",)), volume)
    entry = json.loads((tmp_path / "a.json").read_text())[1]
    expected = ras_to_ijk(volume, [spine(("L1",)).points[0].ras])[0]
    np.testing.assert_allclose((entry["X"], entry["Y"], entry["Z"]), expected, atol=0.006)


BAD_VERSE = {
    "truncated": '[{"direction": ["R"',
    "object": "{}",
    "no direction": '[{"label": 3, "X": 1, "Y": 2, "Z": 3}]',
    "two axes": '[{"direction": ["R", "A"]}]',
    "one axis twice": '[{"direction": ["R", "L", "S"]}]',
    "unknown axis": '[{"direction": ["R", "A", "Q"]}]',
    "direction is a number": '[{"direction": 5}]',
    "unknown label": '[{"direction": ["R", "A", "S"]}, {"label": 99, "X": 1, "Y": 2, "Z": 3}]',
    "no Z": '[{"direction": ["R", "A", "S"]}, {"label": 3, "X": 1, "Y": 2}]',
    "infinite": '[{"direction": ["R", "A", "S"]}, {"label": 3, "X": 1, "Y": 2, "Z": Infinity}]',
    "twice": '[{"direction": ["R","A","S"]}, {"label":3,"X":1,"Y":2,"Z":3}, {"label":3,"X":1,"Y":2,"Z":3}]',
    "deeply nested": "[" * 100_000,
}


@pytest.mark.parametrize("case", BAD_VERSE)
def test_a_damaged_verse_file_gives_one_sentence(tmp_path, case):
    (tmp_path / "a.json").write_text(BAD_VERSE[case])
    with pytest.raises(InputError) as error:
        verse_json.read_labels(tmp_path / "a.json", body())
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_sacrum_and_missing_values_of_a_verse_file_are_left_out(tmp_path):
    entries = [{"direction": list("RAS")}, {"label": 26, "X": 1, "Y": 2, "Z": 3}]
    entries += [{"label": 20, "X": float("nan"), "Y": 2, "Z": 3}, {"label": 24, "X": 1, "Y": 2, "Z": 3}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    assert [p.level for p in verse_json.read_labels(tmp_path / "a.json", body()).points] == ["L5"]


def test_published_verse_centroids_lie_in_front_of_their_masks(shared_data):
    """The centroids are body centers, so they lie at the front of each vertebra's mask, at the same height."""
    import SimpleITK as sitk
    from VertebraLabelingLib.preprocessing.sitk_image import from_sitk

    mask = from_sitk(sitk.ReadImage(str(shared_data / "labelmaps" / "sub-verse004_seg-vert_msk.nii.gz")))
    labels = verse_json.read_labels(shared_data / "labelmaps" / "sub-verse004_seg-subreg_ctd.json", mask)
    assert len(labels.points) >= 8
    for point in labels.points:
        inside = np.argwhere(mask.array == verse_json.VERSE_LABELS[point.level])[:, ::-1]
        world = ijk_to_ras(Volume(mask.array, mask.ijk_to_ras), inside)
        right, front, up = point.ras - world.mean(axis=0)
        assert 5 < front < 20 and abs(right) < 5 and abs(up) < 9
