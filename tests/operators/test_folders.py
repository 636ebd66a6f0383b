"""Folders on another disk: a link in the layout, the setting that names the disk, and one sentence where it is missing."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from clipquarry.errors import UserError
from clipquarry_airflow.engine import deployment_of
from clipquarry_airflow.folders import check_folders, extra_roots, loopback
from clipquarry_airflow.operators.auto import AutoStepOperator
from clipquarry_airflow.operators.docker import DockerStepOperator
from clipquarry_airflow.operators.process import ProcessStepOperator
from clipquarry_airflow.operators.step import StepOperator
from docker_engine import containers
from frames_shard import context, make_shard, manifest


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    shm = Path("/dev/shm")
    if not shm.is_dir() or shm.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    folder = Path(tempfile.mkdtemp(dir=shm))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def linked(tmp_path: Path, disk: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict[str, str]]:
    """A data root whose frames are linked to the other disk, as docs/operating.md has it, and a shard."""
    data = tmp_path / "data"
    job = make_shard(data)
    (disk / "frames").mkdir()
    (data / "k/rawframes_val").symlink_to(disk / "frames")
    monkeypatch.setenv("CLIPQUARRY_DATA", str(data))
    return data, job


def check_frames(linked: tuple[Path, dict[str, str]], disk: Path) -> None:
    data, _ = linked
    assert [(row["status"], row["frames"]) for row in manifest(data)] == [("done", 10), ("done", 10)]
    assert len(list((disk / "frames").rglob("*.jpg"))) == 20, "on the other disk"
    assert (data / "k/rawframes_val").is_symlink(), "the link is left alone"


@pytest.mark.parametrize("operator", [ProcessStepOperator, AutoStepOperator])
def test_frames_on_another_disk_in_a_process(
    linked: tuple[Path, dict[str, str]], disk: Path, operator: type[StepOperator], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``auto`` has no engine to choose here."""
    data, job = linked
    monkeypatch.setenv("CLIPQUARRY_EXTRA_ROOTS", str(disk))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{data}/none.sock")
    assert operator(task_id="frames", step="frames", job=job).execute(context()) == {"done": 2}
    check_frames(linked, disk)
    assert json.loads((data / "run/frames/part-00000.result.json").read_text())["runtime"] == "process"


def test_a_disk_that_the_worker_has_not_is_one_sentence(
    linked: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPQUARRY_EXTRA_ROOTS", "/not/mounted")
    with pytest.raises(AirflowFailException, match="names /not/mounted, which is no folder that this worker can write"):
        ProcessStepOperator(task_id="frames", step="frames", job=linked[1]).execute(context())


def test_frames_on_another_disk_in_a_container(
    linked: tuple[Path, dict[str, str]], disk: Path, media_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, job = linked
    with pytest.raises(AirflowFailException, match=r"rawframes_val is a link to .*let CLIPQUARRY_EXTRA_ROOTS"):
        DockerStepOperator(task_id="frames", step="frames", job=job).execute(context())
    monkeypatch.setenv("CLIPQUARRY_EXTRA_ROOTS", str(disk))
    # The image was made of this code and an engine answers: 'auto' takes it.
    assert AutoStepOperator(task_id="frames", step="frames", job=job).execute(context()) == {"done": 2}
    check_frames(linked, disk)
    assert json.loads((data / "run/frames/part-00000.result.json").read_text())["runtime"] == f"docker ({media_image})"
    assert {path.stat().st_uid for path in (disk / "frames").rglob("*")} == {os.getuid()}
    assert not containers(deployment=deployment_of(str(data)))


# --- settings and parameters


@pytest.mark.parametrize(
    "text",
    [
        "ssd",
        "/ssd/../etc",
        "/",
        "/tmp",
        "/data",
        "/",
        "/ssd,/ssd",
        "a/b:/ssd",
        "/x:ssd",
        "/a//b",
        "/var/run/docker.sock:/s",
    ],
)
def test_wrong_roots_are_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match="CLIPQUARRY_EXTRA_ROOTS"):
        extra_roots(Path("/data/root"), {"CLIPQUARRY_EXTRA_ROOTS": text})


def test_roots_are_read() -> None:
    found = extra_roots(Path("/data"), {"CLIPQUARRY_EXTRA_ROOTS": "/ssd, /host/raid:/raid,volume:/frames,"})
    assert found == (("/ssd", "/ssd"), ("/host/raid", "/raid"), ("volume", "/frames"))


def test_links_anywhere_in_the_upper_levels(tmp_path: Path) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    (data / "k/videos_val/abseiling").mkdir(parents=True)
    (away / "deep").mkdir(parents=True)
    inner = data / "k/inner"
    inner.symlink_to(data / "k/videos_val")  # leads to a place below the root
    check_folders({"root": "k"}, data, (), places="X")
    for name, place in (("rawframes_val", away), ("videos_val/zumba", away / "deep"), ("dangling", away / "gone")):
        link = data / "k" / name
        link.symlink_to(place)
        with pytest.raises(UserError, match=f"{name} is a link to {place}, which the step does not see: let X name"):
            check_folders({"root": "k"}, data, (), places="X")
        check_folders({"root": "k"}, data, (str(away),), places="X")
        link.unlink()
    (data / "k/videos_val/clip.mp4").symlink_to(away / "clip.mp4")
    (away / "clip.mp4").touch()
    check_folders({"root": "k"}, data, (), places="X")
    (data / "whole").symlink_to(away)
    with pytest.raises(UserError, match="whole is a link"):
        check_folders({"root": "whole"}, data, (), places="X")


LOCAL = {"id": "local", "kind": "local", "path": "${CLIPQUARRY_LOCAL}/{split}/{clip}.mp4"}


@pytest.mark.parametrize(
    ("params", "folder"),
    [
        ({"sources": [LOCAL]}, "/nas/k400"),
        ({"sources": [LOCAL], "overrides": {"local": "/other/k400"}}, "/other/k400"),
        ({"sources": [{"id": "m", "kind": "http", "url": "file:///nas/{clip}.mp4"}]}, "/nas"),
    ],
)
def test_a_local_source_that_the_step_does_not_see(params: dict[str, Any], folder: str) -> None:
    environ = {"CLIPQUARRY_LOCAL": "/nas/k400"}
    with pytest.raises(UserError, match=f"reads {folder}"):
        check_folders(params, Path("/data"), ("/na",), environ, places="X")
    check_folders(params, Path("/data"), (folder,), environ, places="X")
    check_folders(
        {"sources": [{"id": "d", "kind": "dataset", "path": "kinetics700/{split}"}]},
        Path("/data"),
        (),
        environ,
        places="X",
    )


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("${DEMO}/videos/{id}.mp4", "http://127.0.0.1:8000"), ("http://LOCALHOST/{clip}", "http://LOCALHOST"),
        ("http://[::1]:80/x", "http://[::1]:80"), ("https://localhost.example.org/x", ""), ("https://example.org/127.0.0.1/x", ""),
    ],
)  # fmt: skip
def test_an_address_of_this_machine(url: str, found: str) -> None:
    assert loopback({"sources": [{"id": "m", "url": url}]}, {"DEMO": "http://127.0.0.1:8000"}) == found
