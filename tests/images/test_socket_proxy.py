"""What the proxy before the engine's socket lets through, on the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from clipyard_airflow.operators.docker import DockerStepOperator
from docker_engine import PROJECT, own_image

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def proxy_image(docker_engine: str) -> Iterator[str]:
    with own_image("socket-proxy") as image:
        yield image


@pytest.fixture(scope="module", params=["volumes only", "folders too"])
def proxy(request: pytest.FixtureRequest, proxy_image: str) -> Iterator[str]:
    """The proxy's address on this machine."""
    if not Path("/var/run/docker.sock").exists():
        pytest.skip("the engine's socket is not at /var/run/docker.sock")
    name = f"clipyard-test-proxy-{os.getpid()}"
    binds = "allow" if request.param == "folders too" else ""
    subprocess.run(
        ["docker", "run", "--detach", "--rm", f"--name={name}", "--read-only", "--cap-drop=ALL", "--publish=127.0.0.1::2375",
         f"--env=CLIPYARD_DOCKER_BINDS={binds}", "--volume=/var/run/docker.sock:/var/run/docker.sock",
         proxy_image],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port = subprocess.run(["docker", "port", name, "2375/tcp"], text=True, capture_output=True, check=True).stdout
        address = f"http://{port.split()[0]}"
        for _ in range(100):
            try:
                requests.get(f"{address}/_ping", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield address
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)


ID = "0" * 64
REFUSED = [
    ("GET", "/info"), ("GET", "/volumes"), ("GET", "/secrets"), ("POST", "/build"), ("POST", "/images/create?fromImage=x"),
    ("DELETE", "/images/x"), ("POST", f"/containers/{ID}/exec"), ("POST", "/exec/0/start"), ("POST", "/networks/create"),
    ("POST", "/volumes/create"), ("POST", "/swarm/init"), ("PUT", f"/containers/{ID}/archive?path=/"),
    ("GET", f"/containers/{ID}/archive?path=/etc"), ("POST", f"/containers/{ID}/update"), ("POST", "/containers/prune"),
    ("GET", "/containers/json/../../info"), ("GET", "/containers/%6Ason"), ("POST", "/v1.41/build"), ("POST", "/commit"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_refused(proxy: str, method: str, path: str) -> None:
    request = requests.Request(method, proxy).prepare()
    request.url = proxy + path  # as it is: requests would tidy the dots away
    assert requests.Session().send(request, timeout=10).status_code == 403


@pytest.mark.parametrize(
    "path", ["/_ping", "/version", "/v1.41/version", "/images/json", "/v1.41/containers/json?all=1"]
)
def test_allowed(proxy: str, path: str) -> None:
    assert requests.get(proxy + path, timeout=10).status_code == 200


HOSTILE: list[dict[str, Any]] = [
    {"Privileged": True},
    {"privileged": True},
    {"Binds": ["/:/host"]},
    {"CapAdd": ["SYS_ADMIN"]},
    {"Devices": [{"PathOnHost": "/dev/sda"}]},
    {"NetworkMode": "host"},
    {"NetworkMode": "container:abc"},
    {"PidMode": "host"},
    {"IpcMode": "host"},
    {"VolumesFrom": ["other"]},
    {"SecurityOpt": ["seccomp=unconfined"]},
    {"CgroupParent": "/x"},
    {
        "Mounts": [
            {
                "Type": "volume",
                "Target": "/x",
                "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": {"o": "bind"}}},
            }
        ]
    },
    {"Mounts": [{"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/x"}]},
]


@pytest.mark.parametrize("host_config", HOSTILE, ids=lambda value: json.dumps(value)[:40])
@pytest.mark.parametrize(
    "separators", [(", ", ": "), (",", ":"), ("\n,\n", "\t:\n")], ids=["docker-py", "tight", "wide"]
)
def test_a_container_that_could_get_at_the_host(
    proxy: str, host_config: dict[str, Any], separators: tuple[str, str]
) -> None:
    body = json.dumps({"Image": "x", "HostConfig": host_config}, separators=separators)
    made = requests.post(
        f"{proxy}/containers/create", data=body, headers={"Content-Type": "application/json"}, timeout=10
    )
    assert made.status_code == 403


def test_escapes_hide_nothing(proxy: str) -> None:
    body = '{"Image": "x", "HostConfig": {"\\u0050rivileged": true}}'
    assert requests.post(f"{proxy}/containers/create", data=body, timeout=10).status_code == 403
    long = json.dumps({"Image": "x", "Labels": {"x": "y" * 200_000}, "HostConfig": {"Privileged": True}})
    assert requests.post(f"{proxy}/containers/create", data=long, timeout=10).status_code in (403, 413)


def test_chunked_bodies_hide_nothing(proxy: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"Image": "x", "HostConfig": {"Privi'
        time.sleep(0.3)
        yield b'leged": true}}'

    assert requests.post(f"{proxy}/containers/create", data=pieces(), timeout=20).status_code in (403, 411)


def test_a_step_runs_through_it(
    proxy: str, request: pytest.FixtureRequest, media_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    sys.path.append(str(PROJECT / "tests" / "operators"))
    from airflow.sdk.exceptions import AirflowFailException
    from frames_shard import context, make_shard

    monkeypatch.setenv("CLIPYARD_DATA", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", proxy.replace("http://", "tcp://"))
    operator = DockerStepOperator(task_id="frames", step="frames", job=make_shard(tmp_path))
    if "folders too" in request.node.callspec.id:
        assert operator.execute(context()) == {"done": 2}
    else:
        with pytest.raises(AirflowFailException, match="refuses to run"):
            operator.execute(context())
