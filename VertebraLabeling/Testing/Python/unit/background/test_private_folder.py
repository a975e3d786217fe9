"""The folder of a volume that is handed over: private, in memory where there is room, and not left behind."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest
from VertebraLabelingLib.background import private_folder
from VertebraLabelingLib.background.private_folder import (
    PREFIX,
    make_private_folder,
    private_folders,
    remove_leftovers,
    remove_private_folder,
)
from VertebraLabelingLib.system.processes import host_name


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A folder in the place of memory, and the temporary folder."""
    for name in ("memory", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(private_folder, "IN_MEMORY", tmp_path / "memory")
    return tmp_path / "memory", tmp_path / "temporary"


def ended() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_the_user_can_open_it(places):
    assert stat.S_IMODE(make_private_folder(places[1], 1).stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("size", "free", "place"), [(10, 10**9, 0), (10, 15, 1), (10, None, 1), (10**18, 10**19, 1), (0, 10**9, 0)]
)
def test_it_lies_in_memory_where_that_has_room(places, monkeypatch, size, free, place):
    monkeypatch.setattr(private_folder, "free_memory", lambda: free)
    assert make_private_folder(places[1], size).parent == places[place]


def test_without_a_file_system_in_memory_it_lies_in_the_temporary_folder(places):
    places[0].rmdir()
    folder = make_private_folder(places[1], 1)
    assert folder.parent == places[1]
    assert private_folders(places[1]) == [folder]


def test_what_a_killed_program_left_goes_and_what_others_use_stays(places):
    left = [parent / f"{PREFIX}{host_name()}-{ended()}-x" for parent in places]
    used = [
        places[0] / f"{PREFIX}{host_name()}-{os.getpid()}-x",
        places[0] / f"{PREFIX}another{ended()}-{ended()}-x",
        places[1] / f"{PREFIX}mine",
    ]
    for folder in (*left, *used):
        folder.mkdir()
        (folder / "volume.npy").write_bytes(b"voxels")
    made = make_private_folder(places[1], 1)
    assert not any(folder.exists() for folder in left)
    assert sorted(private_folders(places[1])) == sorted([*used, made])


def test_a_link_with_such_a_name_is_not_followed(places, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all my work")
    link = places[0] / f"{PREFIX}{host_name()}-{ended()}-x"
    link.symlink_to(tmp_path / "mine")
    remove_leftovers(places[0])
    remove_private_folder(link)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_no_other_folder_is_removed(tmp_path):
    remove_private_folder(tmp_path)
    assert tmp_path.exists()
