"""Whole tasks of the docker runtime on the real engine: the same results as in a process, ends of every kind, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException
from clipquarry.manifest import read_rows
from clipquarry_airflow.engine import deployment_of
from clipquarry_airflow.operators.docker import DockerStepOperator
from clipquarry_airflow.operators.process import ProcessStepOperator
from docker_engine import containers
from docker_world import SLEEP, in_thread, odd, wait_for
from docker_world import data as data
from frames_shard import context, make_shard, manifest

pytestmark = pytest.mark.timeout(300)


def test_the_same_manifest_as_in_a_process(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_shard(data)
    done = DockerStepOperator(task_id="frames", step="frames", job=job).execute(context())
    assert done == {"done": 2}
    in_container = manifest(data)
    result = json.loads((data / "run/frames/part-00000.result.json").read_text())
    assert result["tools"]["ffmpeg_origin"] == "wheel", "the container's ffmpeg, not the machine's"
    images = {path: path.stat().st_size for path in (data / "k").rglob("*.jpg")}
    assert len(images) == 20

    shutil.rmtree(data / "k/rawframes_val")
    shutil.rmtree(data / ".clipquarry")
    import imageio_ffmpeg

    monkeypatch.setenv("CLIPQUARRY_FFMPEG", imageio_ffmpeg.get_ffmpeg_exe())
    ProcessStepOperator(task_id="frames", step="frames", job=job).execute(context())
    assert manifest(data) == in_container
    assert {path: path.stat().st_size for path in (data / "k").rglob("*.jpg")} == images


def test_lines_reach_the_log_while_the_step_works(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_shard(data)
    code = "import os, sys, time\nprint('frames: 1/2 (50 %)')\nwhile not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.1)"
    thread, caught = in_thread(odd(code))
    wait_for(lambda: "frames: 1/2 (50 %)" in capsys.readouterr().out)
    assert thread.is_alive()
    (data / "go").touch()
    thread.join(60)
    assert "exit status 0" in str(caught[0])


@pytest.mark.parametrize("deaf", ["", "signal.signal(15, signal.SIG_IGN)\n"], ids=["hears", "deaf"])
def test_cancel_is_quick(data: Path, deaf: str) -> None:
    make_shard(data)
    operator = odd(SLEEP.format(deaf))
    thread, caught = in_thread(operator)
    wait_for((data / "begun").exists)
    begun = time.monotonic()
    operator.on_kill()
    assert time.monotonic() - begun < 9, "the engine waits 10 s for a container that does not hear"
    thread.join(60)
    assert not thread.is_alive()
    # Both sides ask for the removal; the one that comes second returns while the engine is still at it.
    wait_for(lambda: not containers(deployment=deployment_of(str(data))))
    assert isinstance(caught[0], AirflowException)


def test_a_step_that_is_cancelled_is_made_whole_by_the_next_try(data: Path) -> None:
    job = make_shard(data, clips=150)
    operator = DockerStepOperator(task_id="frames", step="frames", job=job)
    thread, _ = in_thread(operator, jobs=1)
    journal = data / "run/frames/part-00000.journal.jsonl"
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 2)
    operator.on_kill()
    thread.join(60)
    assert not (data / job["out"]).exists()
    counts = DockerStepOperator(task_id="frames", step="frames", job=job).execute(context(try_number=2))
    assert sum(counts.values()) == 150
    assert {row["frames"] for row in manifest(data)} == {10}


def test_two_runs_of_one_shard(data: Path) -> None:
    job = make_shard(data, clips=150)
    first = DockerStepOperator(task_id="frames", step="frames", job=job)
    thread, caught = in_thread(first, jobs=1)
    wait_for((data / "run/frames/part-00000.journal.jsonl").exists)
    with pytest.raises(AirflowException, match="Another process is still working") as second:
        DockerStepOperator(task_id="frames", step="frames", job=job).execute(context(run="another"))
    assert type(second.value) is AirflowException, "it is tried again"
    thread.join(120)
    assert not caught
    assert len(manifest(data)) == 150


def test_full_disk(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_shard(data, clips=4, short_edge=2000, parity=True)  # enlarged, they fill it
    full = data.parent / "small"
    full.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", full], capture_output=True).returncode != 0:
        pytest.skip("this user cannot mount a small file system")
    try:
        shutil.copytree(data, full, dirs_exist_ok=True)
        monkeypatch.setenv("CLIPQUARRY_DATA", str(full))
        with pytest.raises(AirflowException, match=r"(?i)space|disk") as raised:
            DockerStepOperator(task_id="frames", step="frames", job=job).execute(context())
        assert type(raised.value) is AirflowException, "it is tried again"
        assert not (full / job["out"]).exists()
        assert not containers(deployment=deployment_of(str(full)))
    finally:
        subprocess.run(["umount", full], check=True)


def test_a_volume_as_workspace(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = f"clipquarry-test-{os.getpid()}"
    subprocess.run(["docker", "volume", "create", volume], check=True, stdout=subprocess.DEVNULL)
    try:
        job = make_shard(data)
        mounted = Path(
            subprocess.run(
                ["docker", "volume", "inspect", "-f", "{{.Mountpoint}}", volume], text=True, capture_output=True
            ).stdout.strip()
        )
        if not os.access(mounted, os.W_OK):
            pytest.skip("only root can look into a volume")
        shutil.copytree(data, mounted, dirs_exist_ok=True)
        monkeypatch.setenv("CLIPQUARRY_DOCKER_DATA", volume)
        # The worker does not see the volume, so it finds no result; the container's files are there.
        with pytest.raises(AirflowException, match="exit status 0"):
            DockerStepOperator(task_id="frames", step="frames", job=job).execute(context())
        assert [row["status"] for row in read_rows(mounted / job["out"])] == ["done", "done"]
    finally:
        subprocess.run(["docker", "volume", "rm", volume], check=True, stdout=subprocess.DEVNULL)
