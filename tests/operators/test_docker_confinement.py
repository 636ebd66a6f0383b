"""What a step can do in its container on the real engine: its user, what it sees and writes, its limits."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException
from clipquarry_airflow.operators.docker import DockerStepOperator
from docker_world import data as data
from docker_world import odd
from frames_shard import context, make_shard

pytestmark = pytest.mark.timeout(300)


def test_files_belong_to_the_chosen_user(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give the workspace to another user")
    job = make_shard(data)
    for path in [data, *data.rglob("*")]:
        os.chown(path, 23456, 23457)
    monkeypatch.setenv("CLIPQUARRY_DOCKER_USER", "23456:23457")
    assert DockerStepOperator(task_id="frames", step="frames", job=job).execute(context()) == {"done": 2}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in data.rglob("*")} == {(23456, 23457)}


LOOK = """
import json, os, socket, sys
def tries(action):
    try: action()
    except OSError as error: return error.strerror or str(error)
    return "worked"
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
json.dump({
    "uid": os.getuid(), "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"].strip(), "write_root": tries(lambda: open("/opt/x", "w")),
    "write_tmp": tries(lambda: open("/tmp/x", "w")), "write_cookies": tries(lambda: open(sys.argv[1] + "-cookies", "a")),
    "interfaces": [name for _, name in socket.if_nameindex()], "environment": sorted(os.environ),
    "engine": os.path.exists("/var/run/docker.sock"), "parent": open("/proc/1/comm").read().strip(),
    "mounts": [line.split()[4].replace("\\\\040", " ") for line in open("/proc/self/mountinfo")],
    "pids": open("/sys/fs/cgroup/pids/pids.max").read() if os.path.exists("/sys/fs/cgroup/pids/pids.max") else open("/sys/fs/cgroup/pids.max").read(),
}, open(sys.argv[1] + "/look.json", "w"))
"""


def test_confined(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_shard(data, sources=[{"url": "${MY_MIRROR}/x"}], overrides={"m": "${AIRFLOW__CORE__FERNET_KEY}"})
    cookies = Path(f"{data}-cookies")
    cookies.write_text("# Netscape HTTP Cookie File\n")
    for name in ("AIRFLOW__CORE__FERNET_KEY", "CLIPQUARRY_LEDGER", "MY_MIRROR", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CLIPQUARRY_COOKIES", str(cookies))
    with pytest.raises(AirflowException, match="exit status 0"):
        odd(LOOK).execute(context())
    seen = json.loads((data / "look.json").read_text())
    assert seen["uid"] == os.getuid()
    assert seen["capabilities"] == 0
    assert seen["no_new_privileges"] == "1"
    assert seen["write_root"] == "Read-only file system"
    assert seen["write_tmp"] == "worked"
    assert seen["interfaces"] == ["lo"], "frames needs no network"
    assert seen["engine"] is False
    assert seen["parent"] == "tini"
    assert seen["pids"].strip() == "512"
    assert str(cookies) not in seen["mounts"], "a step without network does not see the account"
    assert {"MY_MIRROR", "HTTPS_PROXY"} <= set(seen["environment"])
    assert not {"AIRFLOW__CORE__FERNET_KEY", "CLIPQUARRY_LEDGER", "CLIPQUARRY_COOKIES"} & set(seen["environment"])

    with pytest.raises(AirflowException, match="exit status 0"):
        odd(LOOK, "fetch").execute(context())
    seen = json.loads((data / "look.json").read_text())
    assert len(seen["interfaces"]) > 1, "fetch reaches out"
    assert str(cookies) in seen["mounts"]
    assert seen["write_cookies"] == "Read-only file system"


def test_out_of_memory_in_words(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_shard(data)
    monkeypatch.setenv("CLIPQUARRY_MEMORY_FRAMES", "64m")
    with pytest.raises(AirflowException, match=r"ran out of memory \(64 MiB\).*CLIPQUARRY_MEMORY_FRAMES"):
        odd("x = [bytearray(2**20) for _ in range(512)]").execute(context())


def test_a_small_limit_of_cores_slows_the_container_and_lowers_jobs(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_shard(data)
    monkeypatch.setenv("CLIPQUARRY_CPUS", "0.5")
    operator = DockerStepOperator(task_id="frames", step="frames", job=job)
    operator.execute(context(jobs=8))
    assert operator.jobs == 1
    monkeypatch.setenv("CLIPQUARRY_CPUS", "0.2")
    code = "import time; t = time.monotonic()\nwhile time.process_time() < 0.4: pass\nraise SystemExit(50 if time.monotonic() - t > 1.2 else 51)"
    with pytest.raises(AirflowException, match="exit status 50"):
        odd(code).execute(context())


def test_weights_are_read_only(data: Path, media_image: str) -> None:
    make_shard(data, clips=1)
    models = data / ".clipquarry/models"
    models.mkdir(parents=True)
    (models / "w.pth").write_bytes(b"weights")
    code = (
        "import sys, pathlib\nmodels = pathlib.Path(sys.argv[1]) / '.clipquarry/models'\n"
        "assert (models / 'w.pth').read_bytes() == b'weights'\n"
        "try: (models / 'x').touch()\nexcept OSError as error: raise SystemExit(50 if error.errno == 30 else 51)"
    )
    with pytest.raises(AirflowException, match="exit status 50"):
        odd(code).execute(context())
