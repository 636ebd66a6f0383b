"""The docker runtime on the real engine: confinement, limits, ends of every kind, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clipquarry
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipquarry.manifest import read_rows
from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.engine import DockerSettings, deployment_of
from clipquarry_airflow.operators.docker import DockerStepOperator
from clipquarry_airflow.operators.process import ProcessStepOperator
from clipquarry_airflow.orphans import remove_ended, remove_orphans, shard_labels
from docker_engine import containers
from frames_shard import JOB, context, make_shard, manifest

import docker

pytestmark = pytest.mark.timeout(300)


class OddStep(DockerStepOperator):
    """The container of a step, with another program in it: what the step's code could not do is shown by code that tries."""

    def __init__(self, *, code: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entrypoint = ["tini", "-g", "--", "python", "-c", code]

    def argv(self, data: Path) -> list[str]:
        return [str(data)]


@pytest.fixture
def data(tmp_path: Path, media_image: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    root = tmp_path / "a data root"
    root.mkdir()
    monkeypatch.setenv("CLIPQUARRY_DATA", str(root))
    yield root
    left = containers(deployment=deployment_of(str(root)))
    if left:
        subprocess.run(["docker", "rm", "-f", *left], check=True, stdout=subprocess.DEVNULL)
    assert not left, "a container was left behind"


def odd(code: str, step: str = "frames") -> OddStep:
    return OddStep(code=code, task_id="frames", step=step, job=JOB)


def wait_for(what: Any, seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def in_thread(operator: DockerStepOperator, **params: Any) -> tuple[threading.Thread, list[BaseException]]:
    caught: list[BaseException] = []

    def run() -> None:
        try:
            operator.execute(context(**params))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, caught


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


def test_lines_reach_the_log_while_the_step_works(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_shard(data)
    code = "import os, sys, time\nprint('frames: 1/2 (50 %)')\nwhile not os.path.exists(sys.argv[1] + '/go'): time.sleep(0.1)"
    thread, caught = in_thread(odd(code))
    wait_for(lambda: "frames: 1/2 (50 %)" in capsys.readouterr().out)
    assert thread.is_alive()
    (data / "go").touch()
    thread.join(60)
    assert "exit status 0" in str(caught[0])


SLEEP = "import signal, sys, time, os\nopen(sys.argv[1] + '/begun', 'w')\n{}time.sleep(300)"


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


WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
from frames_shard import context
from test_docker_runtime import odd, SLEEP
odd(SLEEP.format("")).execute(context(run=sys.argv[2]))
"""


def start_worker(data: Path, run: str) -> subprocess.Popen[bytes]:
    """A worker process whose task waits for a container."""
    (data / "begun").unlink(missing_ok=True)
    tests = Path(__file__).parent
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tests), run],
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_for((data / "begun").exists, 60)
    return worker


def test_a_killed_workers_container_is_removed_by_the_next_step(data: Path) -> None:
    make_shard(data)
    worker = start_worker(data, "run 1")
    other = start_worker(data, "run 2")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    deployment = deployment_of(str(data))
    assert len(containers(deployment=deployment)) == 2, "the engine does not notice that the worker died"
    cli = docker.APIClient()
    labels = shard_labels(str(data), context(run="run 3"))
    removed = remove_orphans(cli, labels, DockerStepOperator(task_id="x", step="frames").log)
    assert len(removed) == 1
    assert containers(deployment=deployment) == containers(run="run 2"), "that of the living worker stays"
    # The same shard's next try takes over, whoever is alive.
    remove_orphans(
        cli, shard_labels(str(data), context(run="run 2")), DockerStepOperator(task_id="x", step="frames").log
    )
    assert not containers(deployment=deployment)
    other.kill()
    other.wait()


def test_housekeeping_asks_airflow(data: Path) -> None:
    make_shard(data)
    workers = [start_worker(data, f"run {number}") for number in (1, 2, 3)]
    for worker in workers:
        worker.kill()
        worker.wait()
    states = {"run 1": {"frames_0": "running"}, "run 2": {"frames_0": "failed", "frames_1": "running"}, "run 3": {}}
    log = DockerStepOperator(task_id="x", step="frames").log
    removed = remove_ended(docker.APIClient(), deployment_of(str(data)), lambda _, run: states[run], log)
    assert len(removed) == 2
    assert containers(deployment=deployment_of(str(data))) == containers(run="run 1")
    remove_ended(docker.APIClient(), deployment_of(str(data)), lambda *_: {}, log)


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


def test_settings_have_defaults(tmp_path: Path) -> None:
    settings = DockerSettings.from_env(tmp_path, {})
    assert settings == DockerSettings(str(tmp_path), (), f"{os.getuid()}:{os.getgid()}", "bridge")
    given = DockerSettings.from_env(tmp_path, {"CLIPQUARRY_DOCKER_MOUNTS": "/nfs/k400, vol:/mirror"})
    assert given.mounts == (("/nfs/k400", "/nfs/k400"), ("vol", "/mirror"))


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
