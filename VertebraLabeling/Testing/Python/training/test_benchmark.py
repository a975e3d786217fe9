"""The benchmark: its scans, its measurements in processes of their own, and what it makes of the numbers."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from VertebraLabelingLib.commands.cli import build_parser
from VertebraLabelingLib.core.labels import LabeledPoint, SpineLabels
from VertebraLabelingLib.core.volume import Volume, ijk_to_ras, ras_to_ijk
from VertebraLabelingLib.networks.detection_network import DetectionNetwork
from VertebraLabelingLib.networks.layers import fold_norms
from VertebraLabelingTraining.benchmarking import child, plan
from VertebraLabelingTraining.benchmarking.child import run_measurement
from VertebraLabelingTraining.benchmarking.labeling import time_labeling
from VertebraLabelingTraining.benchmarking.memory import PeakMemory
from VertebraLabelingTraining.benchmarking.nnunet_peer import padded_shape, patch_starts
from VertebraLabelingTraining.benchmarking.precision import to_bfloat16
from VertebraLabelingTraining.benchmarking.report import goals, markdown, scaling_exponent
from VertebraLabelingTraining.benchmarking.scans import read_scan, spine_crop, whole_body, write_scan


@pytest.fixture
def ct():
    """A rod of bone in a box of water, 96 x 96 x 40 mm, off the corner of the world."""
    array = np.full((20, 48, 48), -1000, np.int16)
    array[:, 8:40, 8:40] = 0
    array[:, 20:24, 30:34] = 700
    return Volume(array, np.array([[2.0, 0, 0, -30], [0, 2, 0, 10], [0, 0, 2, 5], [0, 0, 0, 1]]))


# --- scans ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [24, 64])
def test_the_timed_scan_has_the_asked_size_and_shows_the_ct_at_its_natural_size(ct, slices):
    body = whole_body(ct, slices)
    assert body.array.shape == (slices, 512, 512) and body.array.dtype == np.int16
    assert np.allclose(body.spacing, [500 / 512, 500 / 512, 1])
    area = (body.array[slices // 2] > 350).sum() * (500 / 512) ** 2
    assert area == pytest.approx(64, rel=0.25)  # 8 x 8 mm of bone
    assert (body.array > 350).any(axis=(1, 2)).all()  # repeated up and down: bone in every slice


def test_the_spine_crop_is_centered_on_the_points_and_keeps_their_place():
    volume = Volume(np.arange(300 * 60 * 60, dtype=np.float32).reshape(300, 60, 60), np.diag([5.0, 5.0, 4.0, 1.0]))
    points = [(100.0, 160.0, 700.0), (110.0, 150.0, 300.0)]
    crop = spine_crop(volume, points)
    assert crop.array.shape == (175, 40, 40)  # 700, 200 and 200 mm
    assert crop.corners.min(axis=0).tolist() == pytest.approx([5, 52.5, 150], abs=5)
    for point in points:
        k, j, i = np.round(ras_to_ijk(volume, [point])[0][::-1]).astype(int)
        inside = np.round(ras_to_ijk(crop, ijk_to_ras(volume, [(i, j, k)]))[0][::-1]).astype(int)
        assert crop.array[tuple(inside)] == volume.array[k, j, i]


def test_a_crop_of_a_small_scan_is_the_whole_scan(ct):
    assert np.array_equal(spine_crop(ct, [(0.0, 50.0, 20.0)]).array, ct.array)


def test_a_scan_written_for_a_measuring_process_is_read_back_the_same(ct, tmp_path):
    write_scan(tmp_path / "scan.npy", ct)
    read = read_scan(tmp_path / "scan.npy")
    assert np.array_equal(read.array, ct.array) and np.array_equal(read.ijk_to_ras, ct.ijk_to_ras)


# --- measurements --------------------------------------------------------------------------------------------------


def slow_labeler(volume, progress):
    """Two stages of 50 and 20 ms; the first holds 256 MB."""
    progress(0.0, "resampling")
    held = np.ones(2**25)
    time.sleep(0.05)
    del held
    progress(0.5, "naming levels")
    time.sleep(0.02)
    progress(1.0, "done")
    return SpineLabels((LabeledPoint("L1", (1.0, 2.0, 3.0), 0.9),))


def test_a_measurement_gives_the_time_of_each_stage_the_memory_and_the_points(ct):
    row = time_labeling(slow_labeler, ct, repeats=2)
    assert list(row["stages"]) == ["resampling", "naming levels"]
    assert row["stages"]["resampling"] >= 0.05 and row["stages"]["naming levels"] >= 0.02
    assert row["seconds"] >= sum(row["stages"].values()) * 0.9 and len(row["runs"]) == 2
    assert row["voxels"] == ct.array.size and row["points"] == {"L1": [1.0, 2.0, 3.0]}
    if row["memory_gb"] is not None:
        assert 0.2 <= row["memory_gb"] <= 0.6


def test_memory_counts_from_where_it_starts():
    held = np.ones(2**25)  # 256 MB that were there before
    memory = PeakMemory()
    assert memory.gigabytes is None or memory.gigabytes < 0.1
    del held


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"scan": "nowhere.npy"}, "nowhere.npy"), ({"scan": "nowhere.npy", "tempo": 1}, "tempo")],
)
def test_a_measurement_that_fails_says_why_in_one_line(arguments, words):
    result = run_measurement("labeling", 1, 300, **arguments)
    assert words in result["failed"] and "\n" not in result["failed"] and "over_seconds" not in result


def run_in_this_process(folder, kind, **arguments):
    (folder / "job.json").write_text(json.dumps({"kind": kind, "arguments": arguments}))
    assert child.main([str(folder / "job.json"), str(folder / "result.json")]) == 0
    return json.loads((folder / "result.json").read_text())


def test_a_scan_that_cannot_be_labeled_fails_in_the_words_that_a_user_would_see(tmp_path):
    write_scan(tmp_path / "air.npy", Volume(np.full((8, 8, 8), -1000, np.int16), np.eye(4)))
    result = run_in_this_process(tmp_path, "labeling", scan=str(tmp_path / "air.npy"))
    assert result["failed"].startswith("Every voxel has the same value")


def test_a_peer_that_is_not_installed_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(child.MEASUREMENTS, "ghost", "no_such_peer:measure")
    assert ".[bench]" in run_in_this_process(tmp_path, "ghost")["failed"]


def test_a_measurement_that_takes_too_long_is_stopped():
    assert run_measurement("labeling", 1, 0.05, scan="nowhere.npy")["over_seconds"] == 0.05


def test_bfloat16_gives_nearly_the_same_maps():
    torch.manual_seed(0)
    network = fold_norms(DetectionNetwork((4, 8, 8, 8, 8)).eval())
    image = torch.randn(1, 1, 32, 32, 16)
    with torch.no_grad():
        exact, rough = network(image), to_bfloat16(network)(image)
    for name in ("center", "level", "slices", "presence", "null"):
        one, other = getattr(exact, name), getattr(rough, name)
        assert other.dtype == torch.float32
        assert torch.allclose(one, other, atol=0.1), name
        assert name in ("presence", "null") or not torch.equal(one, other), name


@pytest.mark.parametrize(
    ("extent_mm", "patches"),
    [((700, 200, 200), 3), ((1000, 500, 500), 20), ((300, 300, 300), 1), ((400, 350, 300), 4)],
)
def test_the_sliding_window_has_as_many_patches_as_nnunet_lays(extent_mm, patches):
    shape = padded_shape(extent_mm)
    starts = patch_starts(shape)
    assert len(starts) == patches
    covered = np.zeros(shape, bool)
    for k, j, i in starts:
        covered[k : k + 128, j : j + 112, i : i + 112] = True
    assert covered.all()


def test_spine_segment_runs_its_own_localisation_to_the_end(tmp_path):
    pytest.importorskip("spine_segment", reason="needs the extra bench")
    from VertebraLabelingTraining.benchmarking.spine_segment_peer import measure_spine_segment

    write_scan(tmp_path / "scan.npy", Volume(np.zeros((30, 30, 30), np.int16), np.diag([2.0, 2.0, 2.0, 1.0])))
    row = measure_spine_segment(str(tmp_path / "scan.npy"))
    assert row["seconds"] > 0 and "random weights" in row["name"]


# --- results -------------------------------------------------------------------------------------------------------


def fake_measure(kind, threads, limit, **arguments):
    """Numbers as a quick computer might give: 4 s for 1000 slices, peers 100 and 50 s."""
    if kind == "spine-segment":
        return {"name": "spine-segment, localization only (0)", "seconds": 100.0, "memory_gb": 5.0, "how": "whole"}
    if kind == "nnunet":
        larger = {"seconds": 200.0, "patches": 20, "how": "20 patches"}
        return {"name": "nnU-Net (0)", "seconds": 50.0, "memory_gb": 3.0, "how": "3 patches", "larger": larger}
    voxels = read_scan_size(arguments["scan"])
    seconds = voxels / (512 * 512 * 40) * 4 * (0.5 if arguments["precision"] == "bf16" else 1)
    moved = 0.25 if arguments["precision"] == "bf16" else 0.0
    return {
        "voxels": voxels,
        "seconds": seconds,
        "stages": {"resampling": seconds / 4, "finding vertebrae": seconds * 3 / 4},
        "memory_gb": 0.8,
        "points": {"L1": [0.0, moved, 10.0]},
    }


def read_scan_size(path):
    return int(np.load(path, mmap_mode="r").size)


@pytest.fixture
def results(ct, monkeypatch):
    machine = {
        "torch": "0",
        "vertebra_labeling": "0",
        "cores": 2,
        "threads": 2,
        "load": 0.1,
        "bf16": True,
        "cuda": False,
    }
    monkeypatch.setattr(plan, "describe_machine", lambda threads: machine)
    return plan.run_benchmark(
        ct, [20, 40], repeats=1, threads=2, limit=9, measure=fake_measure, say=lambda message: None
    )


def test_every_scan_is_labeled_in_every_precision(results):
    rows = [(row["scan"], row["precision"]) for row in results["labeling"]]
    scans = ("512 x 512 x 20", "512 x 512 x 40", "spine crop")
    assert rows == [(scan, precision) for scan in scans for precision in ("fp32", "bf16")]
    assert results["bf16"] == {"other_levels": 0, "largest_mm": pytest.approx(0.25)}


def test_a_peer_is_held_against_our_time_for_the_same_scan(results):
    crop = next(r for r in results["labeling"] if r["scan"] == "spine crop" and r["precision"] == "fp32")
    ratios = {(peer["name"].split(",")[0].split(" (")[0], peer["scan"]): peer["ratio"] for peer in results["peers"]}
    assert ratios == {
        ("spine-segment", "spine crop"): pytest.approx(100 / crop["seconds"]),
        ("nnU-Net", "spine crop"): pytest.approx(50 / crop["seconds"]),
        ("nnU-Net", "512 x 512 x 40"): pytest.approx(50),
    }


@pytest.mark.parametrize(("load", "busy"), [(0.4, False), (0.6, True), (None, False)])
def test_a_busy_computer_is_named(results, load, busy):
    results["machine"]["load"] = load
    assert ("busy computer" in markdown(results)) is busy


def test_levels_that_bf16_names_otherwise_are_counted(results):
    results["labeling"][1]["points"] = {"L2": [0.0, 0.0, 10.0]}
    assert plan._bf16_difference(results["labeling"])["other_levels"] == 2


def test_a_scan_that_failed_in_one_precision_is_left_out_of_the_difference(results):
    failed = {"scan": "512 x 512 x 20", "precision": "bf16", "device": "cpu", "failed": "no memory"}
    assert plan._bf16_difference([results["labeling"][0], failed]) is None


@pytest.mark.parametrize(("power", "reached"), [(1.0, True), (0.8, True), (1.5, False)])
def test_the_exponent_tells_linear_from_worse(results, power, reached):
    rows = [{"voxels": n, "seconds": 1e-6 * n**power} for n in (100, 300, 1000)]
    assert scaling_exponent(rows) == pytest.approx(power)
    for row in results["labeling"]:
        row["seconds"] = 1e-6 * row["voxels"] ** power
    assert dict((goal, ok) for goal, _, ok in goals(results))["time linear in voxels"] is reached


def test_one_size_alone_has_no_exponent():
    assert scaling_exponent([{"voxels": 5, "seconds": 1.0}]) is None


@pytest.mark.parametrize(
    ("change", "goal"),
    [
        ({"seconds": 5.1}, "at most 5 s"),
        ({"memory_gb": 1.6}, "at most 1.5 GB"),
        ({"seconds": 1000.0}, "at least 20 x faster than spine-segment"),
    ],
)
def test_a_goal_that_is_missed_is_said_so(results, change, goal):
    def reached():
        return next(ok for name, _, ok in goals(results) if name.startswith(goal))

    assert reached()
    for row in results["labeling"]:
        row.update(change)
    results["peers"] = [plan._with_ratio(peer, results["labeling"]) for peer in results["peers"]]
    assert not reached()


def test_the_tables_name_what_failed_and_what_was_too_slow(results):
    results["labeling"][0] = {"scan": "512 x 512 x 20", "precision": "fp32", "device": "cpu", "failed": "no memory"}
    results["peers"][0] = plan._with_ratio(
        {"name": "spine-segment", "scan": "spine crop", "failed": "stopped after 900 s", "over_seconds": 900},
        results["labeling"],
    )
    results["peers"][1] = {"name": "nnU-Net", "scan": "spine crop", "failed": "No module named x", "ratio": None}
    text = markdown(results)
    assert "no memory" in text and "stopped after 900 s" in text and "over " in text and "No module named x" in text
    lines = [line for line in text.splitlines() if line.startswith(("| peer", "| spine-segment", "| nnU-Net"))]
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1


def test_the_published_tables_are_those_of_the_published_numbers_in_lines_that_fit():
    folder = Path(__file__).resolve().parents[4] / "docs" / "benchmark"
    text = (folder / "benchmark.md").read_text(encoding="utf-8")
    assert text == markdown(json.loads((folder / "benchmark.json").read_text(encoding="utf-8")))
    assert max(map(len, text.splitlines())) <= 120


# --- the command ---------------------------------------------------------------------------------------------------


def test_the_command_writes_json_tables_and_a_picture(results, ct, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(plan, "run_benchmark", lambda *args, **kwargs: results)
    monkeypatch.setattr("VertebraLabelingLib.scans.read_scan.read_volume", lambda path: ct)
    arguments = build_parser().parse_args(["benchmark", "ct.nii.gz", "-o", str(tmp_path / "out")])
    assert arguments.run(arguments) == 0
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text()) == results
    assert "times ours" in (tmp_path / "out" / "benchmark.md").read_text()
    assert (tmp_path / "out" / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    assert "512 x 512 x 40" in capsys.readouterr().out


def test_the_command_fails_when_our_own_labeling_failed(results, ct, monkeypatch):
    results["labeling"][0] = {"scan": "512 x 512 x 20", "precision": "fp32", "device": "cpu", "failed": "no memory"}
    monkeypatch.setattr(plan, "run_benchmark", lambda *args, **kwargs: results)
    monkeypatch.setattr("VertebraLabelingLib.scans.read_scan.read_volume", lambda path: ct)
    arguments = build_parser().parse_args(["benchmark", "ct.nii.gz", "--no-peers"])
    assert arguments.run(arguments) == 1
