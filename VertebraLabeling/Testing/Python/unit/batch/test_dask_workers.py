"""A real Dask cluster on this computer: the same files as one process gives, also when a worker is killed."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

distributed = pytest.importorskip("distributed", reason="needs dask[distributed]")

import dask  # noqa: E402
from ball_batch import FORMATS, outputs, run, write_scans  # noqa: E402
from ball_labeler import BallLabeler  # noqa: E402
from VertebraLabelingLib.batch.inputs import ScanJob  # noqa: E402
from VertebraLabelingLib.batch.label_batch import in_this_process, on_dask  # noqa: E402
from VertebraLabelingLib.batch.outputs import OutputPlan  # noqa: E402
from VertebraLabelingLib.batch.scan_job import DONE, FAILED, PRESENT  # noqa: E402
from VertebraLabelingLib.batch.workers import LabelerSpec  # noqa: E402
from VertebraLabelingLib.commands.cli import main  # noqa: E402
from VertebraLabelingLib.errors import InputError  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    # on a busy computer a worker may take long to come back after its death
    dask.config.set({"distributed.deploy.lost-worker-timeout": "300 s", "distributed.scheduler.allowed-failures": 1})
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, memory_limit="2GiB", dashboard_address="127.0.0.1:0", silence_logs=50
    ) as cluster:
        yield cluster


def on(cluster, labeler="BallLabeler"):
    return on_dask(LabelerSpec(factory=f"ball_labeler:{labeler}"), cluster.scheduler_address, 1)


def test_a_cluster_gives_the_same_files_as_one_process(cluster, tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2, 4, 0)
    alone = run(folder, tmp_path / "one", in_this_process(BallLabeler()))
    together = run(folder, tmp_path / "two", on(cluster))
    assert outputs(tmp_path / "one") == outputs(tmp_path / "two")
    assert [(r.name, r.status, r.points) for r in alone] == [(r.name, r.status, r.points) for r in together]


def test_a_worker_killed_in_the_middle_loses_no_scan(cluster, tmp_path):
    folder = write_scans(tmp_path / "in", 3, 2, 4, 1, 2, 3)
    with distributed.Client(cluster) as client:
        pids = list(client.run(os.getpid).values())

    def kill_when_the_first_is_done():
        while not list((tmp_path / "out").glob("*.mrk.json")):
            time.sleep(0.02)
        os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_when_the_first_is_done)
    killer.start()
    results = run(folder, tmp_path / "out", on(cluster, "SlowLabeler"))
    killer.join()
    # a result that was still on the dead worker is made again, and finds its files there
    assert {result.status for result in results} <= {DONE, PRESENT} and len(results) == 6
    assert len(outputs(tmp_path / "out")) == 6 * len(FORMATS)
    with distributed.Client(cluster) as client:
        assert pids[0] not in client.run(os.getpid).values(), "no worker was killed"


@pytest.mark.long
def test_a_scan_that_kills_every_worker_fails_alone(cluster, tmp_path):
    folder = write_scans(tmp_path / "in", 2, 5, 3)
    results = run(folder, tmp_path / "out", on(cluster, "DyingLabeler"))
    assert [result.status for result in results] == [DONE, FAILED, DONE]
    assert "Workers of the cluster died at this scan" in results[1].message


def test_a_scheduler_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch):
    real = distributed.Client
    monkeypatch.setattr(distributed, "Client", lambda address, timeout: real(address, timeout=1))
    runner = on_dask(LabelerSpec(factory="ball_labeler:BallLabeler"), "tcp://127.0.0.1:9", 1)
    jobs = [ScanJob("a.nii", "a")]
    with pytest.raises(InputError, match="No Dask scheduler answers"):
        list(runner(jobs, OutputPlan(str(tmp_path)), None, None))


@pytest.mark.long
def test_the_command_labels_on_a_cluster_of_its_own(tmp_path, monkeypatch, capsys):
    from functools import partial

    from VertebraLabelingLib.batch import workers

    monkeypatch.setattr(workers, "LabelerSpec", partial(LabelerSpec, factory="ball_labeler:BallLabeler"))
    folder = write_scans(tmp_path / "in", 3, 2)
    assert main(["label", str(folder), "-o", str(tmp_path / "out"), "--dask", "local", "--jobs", "1"]) == 0
    assert set(outputs(tmp_path / "out")) == {"scan0.mrk.json", "scan1.mrk.json"}
    assert "2 labeled" in capsys.readouterr().out
