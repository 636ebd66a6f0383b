"""The settings of the docker runtime: defaults, images and GPUs, and what the engine refuses in one sentence."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import clipquarry
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.engine import DockerSettings
from clipquarry_airflow.operators.docker import DockerStepOperator
from docker_world import data as data
from docker_world import odd
from frames_shard import context, make_shard

pytestmark = pytest.mark.timeout(300)


def test_settings_have_defaults(tmp_path: Path) -> None:
    settings = DockerSettings.from_env(tmp_path, {})
    assert settings == DockerSettings(str(tmp_path), (), f"{os.getuid()}:{os.getgid()}", "bridge")
    given = DockerSettings.from_env(tmp_path, {"CLIPQUARRY_DOCKER_MOUNTS": "/nfs/k400, vol:/mirror"})
    assert given.mounts == (("/nfs/k400", "/nfs/k400"), ("vol", "/mirror"))


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("CLIPQUARRY_IMAGE", "clipquarry-media:no-such-tag", "is not on the Docker engine and cannot be pulled"),
        ("CLIPQUARRY_IMAGE", "--privileged", "no name of an image"),
        ("CLIPQUARRY_IMAGE", "a; rm -rf /", "no name of an image"),
        ("CLIPQUARRY_IMAGE", "../x", "no name of an image"),
        ("CLIPQUARRY_IMAGE", "A/B\n", "no name of an image"),
        ("CLIPQUARRY_MEMORY", "lots", "write 512m or 4g"),
        ("CLIPQUARRY_MEMORY", "1m", "at least 64m"),
        ("CLIPQUARRY_MEMORY_FRAMES", "x", "CLIPQUARRY_MEMORY_FRAMES is 'x'"),
        ("CLIPQUARRY_CPUS", "-1", "number of cores"),
        ("CLIPQUARRY_CPUS", "nan", "number of cores"),
        ("CLIPQUARRY_GPUS", "0", "write all, a number, or device=0,2"),
        ("CLIPQUARRY_GPUS", "all; rm", "write all, a number, or device=0,2"),
        ("CLIPQUARRY_IMAGE_DETECT", "clipquarry-detect:no-such-tag", "run 'docker/images.sh detect'"),
        ("CLIPQUARRY_DOCKER_USER", "root", "uid:gid"),
        ("CLIPQUARRY_DOCKER_DATA", "../up", "absolute path"),
        ("CLIPQUARRY_DOCKER_DATA", "/no/such/folder", "does not find a folder to mount"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "/no/such/mirror", "does not find a folder to mount"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "mirror", "write /folder or SOURCE:/folder"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "/a:/b/../../etc", "write /folder or SOURCE:/folder"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "/var/run/docker.sock", "must never have it"),
        ("CLIPQUARRY_DOCKER_NETWORK", "no-such-net", "refuses to run"),
    ],
)
def test_wrong_settings_are_one_sentence_and_no_retry(
    data: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    job = make_shard(data, clips=1)
    monkeypatch.setenv(variable, value)
    with pytest.raises(AirflowFailException, match=sentence) as raised:
        step = "fetch" if "NETWORK" in variable else "detect" if variable.endswith(("GPUS", "DETECT")) else "frames"
        DockerStepOperator(task_id="frames", step=step, job=job).execute(context())
    assert "Traceback" not in str(raised.value)


def test_no_engine_is_one_sentence_and_a_retry(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_shard(data, clips=1)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(AirflowException, match=r"No Docker engine answers at tcp://127\.0\.0\.1:1") as raised:
        DockerStepOperator(task_id="frames", step="frames", job=job).execute(context())
    assert type(raised.value) is AirflowException


# --- detect


def test_the_detector_has_its_own_image_and_gpus() -> None:
    version = clipquarry.__version__
    plain = ContainerSettings.from_env("detect", {})
    assert (plain.image, plain.gpus, plain.environment, plain.network) == (
        f"clipquarry-detect:{version}",
        "",
        {},
        False,
    )
    environ = {
        "CLIPQUARRY_IMAGE": "mine:1",
        "CLIPQUARRY_GPUS": "device=0,GPU-1f",
        "CLIPQUARRY_DEVICE": "cuda:1",
        "CLIPQUARRY_CPUS": "2.5",
    }
    chosen = ContainerSettings.from_env("detect", environ)
    assert (chosen.image, chosen.gpus) == (f"clipquarry-detect:{version}", "device=0,GPU-1f"), "mine:1 has no PyTorch"
    assert chosen.environment == {"OMP_NUM_THREADS": "3", "CLIPQUARRY_DEVICE": "cuda:1"}
    for step in ("unpack", "extract"):
        own = environ | {f"CLIPQUARRY_IMAGE_{step.upper()}": "mine:1"}
        assert ContainerSettings.from_env(step, environ).image.startswith("clipquarry-archives:")
        assert ContainerSettings.from_env(step, own).image == "mine:1"
    assert ContainerSettings.from_env("detect", environ | {"CLIPQUARRY_IMAGE_DETECT": "gpu:2"}).image == "gpu:2"
    assert ContainerSettings.from_env("frames", {}).image == f"clipquarry-media:{version}"
    other = ContainerSettings.from_env("frames", environ)
    assert (other.image, other.gpus, other.environment) == ("mine:1", "", {}), "no other step gets a GPU"


@pytest.mark.parametrize(
    ("asked", "request_"),
    [
        ("", None), ("all", {"Count": -1, "DeviceIDs": []}), ("2", {"Count": 2, "DeviceIDs": []}),
        ("device=0,2", {"Count": 0, "DeviceIDs": ["0", "2"]}),
    ],
)  # fmt: skip
def test_gpus_in_the_engines_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, request_: dict[str, Any] | None
) -> None:
    monkeypatch.setenv("CLIPQUARRY_GPUS", asked)
    job = make_shard(tmp_path, clips=1)
    for step in ("detect", "frames"):
        made = DockerStepOperator(task_id="frames", step=step, job=job)
        made._configure(ContainerSettings.from_env(step), DockerSettings.from_env(tmp_path), tmp_path, context())
        if request_ is None or step == "frames":
            assert made.device_requests is None
            continue
        (request,) = made.device_requests
        assert {name: request[name] for name in request_} == request_
        assert request["Capabilities"] == [["gpu"]]


def test_an_engine_without_gpus_says_so(data: Path, media_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = subprocess.run(["docker", "info", "--format", "{{json .Runtimes}}"], text=True, capture_output=True).stdout
    if "nvidia" in asked:
        pytest.skip("this engine has GPUs")
    make_shard(data, clips=1)
    monkeypatch.setenv("CLIPQUARRY_GPUS", "all")
    monkeypatch.setenv("CLIPQUARRY_IMAGE_DETECT", media_image)
    with pytest.raises(AirflowFailException, match=r"no GPUs to give .*unset CLIPQUARRY_GPUS"):
        odd("pass", "detect").execute(context())
