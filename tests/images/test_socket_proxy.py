"""The proxy before the engine's socket, attacked on the real engine: steps run through it, and nothing else of the engine is had.

Its rules are held one by one in ``tests/plugins/test_proxy_rules.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import attack
import pytest
import requests
from clipquarry_airflow.engine import DockerSettings, deployment_of
from clipquarry_airflow.operators.docker import DockerStepOperator
from clipquarry_airflow.orphans import containers_of, remove_container
from docker_engine import PROJECT, containers, own_image

import docker

sys.path.append(str(PROJECT / "tests" / "operators"))
from frames_shard import context, make_shard

pytestmark = pytest.mark.timeout(600)
SOCKET = Path("/var/run/docker.sock")


def run(*command: str) -> str:
    return subprocess.run(["docker", *command], text=True, capture_output=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data root of the deployment that the proxy belongs to."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def proxy(docker_engine: str, media_image: str, data: Path) -> Iterator[str]:
    """The proxy's address on this machine (host:port); confined as in compose.yaml."""
    if not SOCKET.exists():
        pytest.skip("the engine's socket is not at /var/run/docker.sock")
    name = f"clipquarry-test-proxy-{os.getpid()}"
    settings = {
        "CLIPQUARRY_DATA": str(data), "CLIPQUARRY_DOCKER_DATA": str(data), "CLIPQUARRY_DOCKER_USER": f"{os.getuid()}:{os.getgid()}",
        "CLIPQUARRY_IMAGE": media_image,
    }  # fmt: skip
    given = [f"--env={key}={value}" for key, value in settings.items()]
    with own_image("socket-proxy") as image:
        run("run", "--detach", f"--name={name}", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true",
            "--publish=127.0.0.1::2375", *given, f"--volume={SOCKET}:{SOCKET}", image)  # fmt: skip
        try:
            address = run("port", name, "2375/tcp").split()[0]
            for _ in range(200):
                try:
                    requests.get(f"http://{address}/_ping", timeout=5)
                    break
                except requests.ConnectionError:
                    time.sleep(0.1)
            yield address
        finally:
            run("stop", name)
            ended = run("inspect", "--format={{.State.ExitCode}}", name).strip()
            assert ended in ("0", "143"), "it ends when it is told to: 137 is the engine's kill after 10 s"
            run("rm", name)


@dataclass
class Stranger:
    """Somebody else's container, volume and network on the same engine."""

    what: dict[str, Any]

    def attacked(self, address: str) -> dict[str, str]:
        done = subprocess.run(
            [sys.executable, attack.__file__, json.dumps({**self.what, "address": address})],
            text=True,
            capture_output=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, str] = json.loads(done.stdout)
        return found


@pytest.fixture
def stranger(media_image: str, data: Path) -> Iterator[Stranger]:
    name = f"clipquarry-test-stranger-{os.getpid()}"
    write = f"echo {attack.SECRET} | tee /state/password; sleep 300"
    run("volume", "create", name)
    run("network", "create", name)
    try:
        one = run("run", "--detach", f"--name={name}", f"--env=PASSWORD={attack.SECRET}", f"--volume={name}:/state", f"--network={name}",
                  "--user=0", "--entrypoint=sh", media_image, "-c", write)  # fmt: skip
        for _ in range(100):
            if attack.SECRET in run("logs", name):
                break
            time.sleep(0.1)
        yield Stranger(
            {
                "id": one,
                "name": name,
                "volume": name,
                "network": name,
                "image": media_image,
                "body": step_body(media_image, data),
            }
        )
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True)
        run("network", "rm", name)
        run("volume", "rm", name)


def step_body(image: str, data: Path) -> dict[str, Any]:
    """What makes a step of the deployment."""
    keys = ("dag", "run", "task", "map_index", "try", "host", "process")
    return {
        "User": f"{os.getuid()}:{os.getgid()}", "Env": ["HOME=/tmp"], "Cmd": ["step", "frames", "--help"], "Image": image,
        "Labels": {"org.clipquarry.deployment": deployment_of(str(data)), **{f"org.clipquarry.{key}": "x" for key in keys}},
        "HostConfig": {
            "ReadonlyRootfs": True, "NetworkMode": "none", "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"], "CpuShares": 1024,
            "PidsLimit": 512, "Tmpfs": {"/tmp": "size=268435456,mode=1777"},
            "Mounts": [{"Target": str(data), "Source": str(data), "Type": "bind", "ReadOnly": False}],
        },
    }  # fmt: skip


def test_every_attack_works_on_the_bare_socket(stranger: Stranger) -> None:
    """Else their failure before the proxy would say nothing. Old versions of the API and exports depend on the engine."""
    got = stranger.attacked(str(SOCKET))
    assert set(attack.attacks()) - set(got) <= {
        "rights_are_given_at_the_start",
        "whole_of_a_stranger",
        "volume_in_the_place_of_data",
    }


def test_no_attack_gets_through(proxy: str, stranger: Stranger) -> None:
    assert stranger.attacked(proxy) == {}
    state = json.loads(run("inspect", stranger.what["id"]))[0]["State"]
    assert state["Running"], "it lives on"
    assert run("run", "--rm", f"--volume={stranger.what['volume']}:/state", "--user=0", "--entrypoint=cat", stranger.what["image"],
               "/state/password") == attack.SECRET  # fmt: skip


def test_a_step_runs_through_it(proxy: str, data: Path, media_image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_DATA", str(data))
    monkeypatch.setenv("CLIPQUARRY_IMAGE", media_image)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{proxy}")
    assert DockerStepOperator(task_id="frames", step="frames", job=make_shard(data)).execute(context()) == {"done": 2}
    assert not containers(deployment=deployment_of(str(data)))
    # A step of other limits than the deployment's is refused, in a sentence.
    monkeypatch.setenv("CLIPQUARRY_MEMORY", "8g")
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=r"refuses to run .*HostConfig: '?Memory"):
        DockerStepOperator(task_id="frames", step="frames", job=make_shard(data)).execute(context())


def test_what_a_killed_worker_left_is_found_and_removed_through_it(proxy: str, data: Path, media_image: str) -> None:
    settings = DockerSettings.from_env(data, {"CLIPQUARRY_DOCKER_DATA": str(data)})
    cli = docker.APIClient(f"tcp://{proxy}", version="auto")
    made = cli.create_container_from_config(step_body(media_image, data))["Id"]
    assert [one for one, _ in containers_of(cli, deployment_of(settings.data))] == [made]
    remove_container(cli, made)
    remove_container(cli, made)  # gone already
    assert containers_of(cli, deployment_of(settings.data)) == []
