"""What the page saves beside the vertebrae: discs in all formats, the straightened spine, pictures."""

from __future__ import annotations

import csv
import gzip
import io
import json

import numpy as np
import pytest
import SimpleITK as sitk
from balls import centers
from browser import ServerProcess, visitor

DISCS = [f"{above}/{below}" for above, below in zip(centers(), list(centers())[1:])]


@pytest.fixture
def section(reader):
    """The section "Read levels", open, and a correction that no file has."""
    reader.page.click("#reading summary")
    reader.confirm("L1")
    return reader


def image(data, folder):
    path = folder / "image.nii.gz"
    path.write_bytes(data)
    return sitk.ReadImage(str(path))


def test_discs_are_saved_as_markups_table_image_and_picture_and_the_corrections_stay_unsaved(section, tmp_path):
    name, data = section.save("#save-discs-mrk")
    points = json.loads(data)["markups"][0]["controlPoints"]
    assert name == "balls.discs.mrk.json" and [point["label"] for point in points][: len(DISCS)] == DISCS
    between = (np.array(centers()["L1"]) + centers()["L2"]) / 2
    place = next(point["position"] for point in points if point["label"] == "L1/L2")
    assert np.linalg.norm(np.array(place) * (-1, -1, 1) - between) < 3
    name, data = section.save("#save-discs-csv")
    assert (
        name == "balls.discs.csv"
        and [row["disc"] for row in csv.DictReader(io.StringIO(data.decode()))][:2] == (DISCS[:2])
    )
    name, data = section.save("#save-discs-sct")
    values = set(sitk.GetArrayFromImage(image(data, tmp_path)).ravel().tolist())
    assert name == "balls.discs.nii.gz" and {15 + 1, 20, 21} <= values  # T8/T9 is 16, T12/L1 is 20
    name, data = section.save("#save-discs-png")
    assert name == "balls.discs.png" and data.startswith(b"\x89PNG")
    assert section.state("unsaved") and section.state("error") == ""


def test_the_straightened_spine_and_its_points_are_saved(section, tmp_path):
    name, data = section.save("#save-straight")
    assert name == "balls.straight.nii.gz" and gzip.decompress(data)
    volume = image(data, tmp_path)
    name, data = section.save("#save-straight-points")
    points = json.loads(data)["markups"][0]["controlPoints"]
    assert name == "balls.straight.json" and [point["label"] for point in points] == list(centers())
    for point in points:
        index = volume.TransformPhysicalPointToIndex(tuple(map(float, point["position"])))
        assert volume[index] > 900, point["label"]  # each lies in its ball
    assert section.state("unsaved")


def test_what_cannot_be_made_is_a_sentence_on_the_page(section):
    for level in section.levels()[1:]:
        section.choose(level)
        section.page.click("#delete")
        section.wait(f"!state.get('rows').some(row => row.level === '{level}')")
    section.page.click("#save-straight")
    section.wait("state.get('error').includes('at least two vertebrae')")
    assert section.page.locator("#error").is_visible() and section.state("scan_name") == "balls"


def test_what_could_not_be_made_of_a_scan_is_not_told_of_the_next_one(browser, ball_ct, tmp_path):
    server = ServerProcess(tmp_path, [ball_ct]).wait()
    try:
        with visitor(browser, server) as reader:
            reader.open_scan().label()
            reader.ask("refuse_slowly", 4.0)
            reader.page.click("#reading summary")
            with reader.page.expect_response("**/save/straight.nii.gz") as answer:
                reader.page.evaluate("void fetch('save/straight.nii.gz')")
                reader.page.evaluate("window.trame.trigger('open_served', [0])")
                reader.wait("state.get('scan_name') && !state.get('rows')?.length && !state.get('busy_text')")
            assert answer.value.status == 409
            reader.page.wait_for_timeout(500)
            assert reader.state("error") == ""
            reader.label()
            with reader.page.expect_response("**/save/straight.nii.gz"):
                reader.page.evaluate("void fetch('save/straight.nii.gz')")
            reader.wait("state.get('error') === 'It cannot be made.'")
    finally:
        server.stop()
