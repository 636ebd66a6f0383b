"""The rules of the proxy before the engine's socket, against a stand-in for the engine that writes down what reaches it.

The real engine is attacked through the proxy's image in ``tests/images/test_socket_proxy.py``.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest
from clipquarry.errors import UserError
from clipquarry_airflow.engine import deployment_of
from clipquarry_airflow.socket_proxy.rules import Refused, Rules
from clipquarry_airflow.socket_proxy.server import Proxy
from docker_engine import PROJECT

OURS, STRANGER, GONE = "a" * 64, "b" * 64, "c" * 64
SETTINGS = {
    "CLIPQUARRY_DATA": "/data", "CLIPQUARRY_DOCKER_DATA": "clipquarry_data", "CLIPQUARRY_DOCKER_USER": "10001:10001",
    "CLIPQUARRY_EXTRA_ROOTS": "/ssd", "CLIPQUARRY_DOCKER_MOUNTS": "mirror:/mirror", "CLIPQUARRY_MEMORY": "4g", "CLIPQUARRY_GPUS": "1",
}  # fmt: skip
RULES = Rules.from_env(SETTINGS)


class _Engine(BaseHTTPRequestHandler):
    """Enough of the engine for the operator."""

    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, body))  # type: ignore[attr-defined]
        answers: dict[str, Any] = {
            "/version": {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}, "/images/json": [{"Id": "x"}], "/containers/json": [],
            "/containers/create": {"Id": OURS, "Warnings": []}, f"{OURS}/wait": {"StatusCode": 0},
            f"{OURS}/json": {"Id": OURS, "Config": {"Tty": False, "Labels": {"org.clipquarry.deployment": deployment_of("clipquarry_data")}}},
            f"{STRANGER}/json": {"Id": STRANGER, "Config": {"Tty": False, "Labels": None, "Env": ["PASSWORD=secret"]}},
        }  # fmt: skip
        path = self.path.partition("?")[0]
        found = next((value for end, value in answers.items() if path.endswith(end)), "OK")
        self.close_connection = "close" in self.headers.get("Connection", "")
        text = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        self.send_response(404 if GONE in path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    do_GET = do_HEAD = do_POST = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return "worker"


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


Seen = list[tuple[str, str, bytes]]


@contextmanager
def served(folder: Path, rules: Rules) -> Iterator[tuple[str, Seen]]:
    """The proxy's address, and what reached the engine behind it."""
    seen: Seen = []
    with (
        _UnixServer(str(folder / "e.sock"), _Engine) as behind,
        Proxy(("127.0.0.1", 0), rules, folder / "e.sock") as proxy,
    ):
        behind.seen = seen  # type: ignore[attr-defined]
        for server in (behind, proxy):
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{proxy.server_address[1]}", seen
        proxy.shutdown()
        behind.shutdown()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[str, Seen]]:
    with served(tmp_path, RULES) as found:
        yield found


def ask(address: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=20)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


# --- what is made


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    """What the operator's client sends for a step with a network."""
    labels = dict.fromkeys(("dag", "run", "task", "map_index", "try", "host", "process"), "x")
    mounts = [
        ("/data", "clipquarry_data", "volume", False),
        ("/ssd", "/ssd", "bind", False),
        ("/mirror", "mirror", "volume", True),
    ]
    return {
        "ExposedPorts": {}, "User": "10001:10001", "Tty": False, "OpenStdin": False, "StdinOnce": False, "AttachStdin": False,
        "AttachStdout": True, "AttachStderr": True, "Env": ["CLIPQUARRY_DATA=/data", "HOME=/tmp"], "Cmd": ["step", "fetch", "--data", "/data"],
        "Image": RULES.limits["fetch"].image, "NetworkDisabled": False,
        "Labels": {f"org.clipquarry.{name}": value for name, value in {**labels, "deployment": RULES.deployment}.items()},
        "HostConfig": {
            "ReadonlyRootfs": True, "NetworkMode": "bridge", "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"],
            "PortBindings": {}, "Ulimits": [], "LogConfig": {"Type": None, "Config": {}}, "CpuShares": 1024, "PidsLimit": 512,
            "Memory": 4 * 2**30, "MemorySwap": 4 * 2**30, "Tmpfs": {"/tmp": "size=268435456,mode=1777"},
            "Mounts": [{"Target": t, "Source": s, "Type": kind, "ReadOnly": fixed} for t, s, kind, fixed in mounts],
        },
    }  # fmt: skip


@pytest.mark.parametrize("step", ["fetch", "frames", "detect"])
def test_what_the_real_operator_asks_passes(step: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a data root of its own, since the worker reads parameters there."""
    from clipquarry_airflow.operators.docker import DockerStepOperator

    sys.path.append(str(PROJECT / "tests/operators"))
    from frames_shard import JOB, context

    (tmp_path / "run").mkdir()
    (tmp_path / JOB["params"]).write_text('{"root": "k"}')
    settings = {**SETTINGS, "CLIPQUARRY_DATA": str(tmp_path)}
    with served(tmp_path, Rules.from_env(settings)) as (address, seen):
        for name, value in {**settings, "DOCKER_HOST": f"tcp://{address}"}.items():
            monkeypatch.setenv(name, value)
        operator = DockerStepOperator(task_id=step, step=step, job=dict(JOB))
        with pytest.raises(Exception, match="exit status 0"):  # the stand-in runs no step
            operator.execute(context())
    asked = [(method, path.partition("?")[0].removeprefix("/v1.41")) for method, path, _ in seen]
    assert ("POST", "/containers/create") in asked
    assert asked[-1] == ("DELETE", f"/containers/{OURS}")
    made = json.loads(next(text for method, path, text in seen if path.endswith("/create")))
    assert made["HostConfig"]["NetworkMode"] == ("bridge" if step == "fetch" else "none")
    assert ("DeviceRequests" in made["HostConfig"]) == (step == "detect")
    listed = next(path for _, path, _ in seen if "/containers/json" in path)
    assert f"org.clipquarry.deployment%3D{RULES.deployment}" in listed


def test_the_body_is_written_anew(body: dict[str, Any]) -> None:
    assert json.loads(RULES.creates(body)) == body


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set (``HostConfig/Mounts/0/Source``), or taken away by ``...``."""
    copy = deepcopy(body)
    *parents, last = path.split("/")
    place: Any = copy
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is ...:
        del place[last]
    elif isinstance(place, list) and int(last) == len(place):
        place.append(value)
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return copy


STATE = {"Target": "/x", "Source": "clipquarry_state", "Type": "volume", "ReadOnly": True}
HOSTILE: list[tuple[str, Any]] = [
    ("Image", "postgres:17"), ("Image", "sha256:" + "0" * 64), ("image", "x"), ("User", "0:0"), ("User", ""), ("User", ...),
    ("Entrypoint", ["sh"]), ("entrypoint", ["sh"]), ("Cmd", ["sh"]), ("Cmd", ["run", "kinetics400"]), ("Cmd", "step fetch"), ("Cmd", None),
    ("Cmd", ["step", "frames"]),  # a step without a network, in a container with one
    ("Volumes", {"/x": {}}), ("WorkingDir", "/"), ("NetworkingConfig", {"EndpointsConfig": {"other_default": {}}}),
    ("Healthcheck", {"Test": ["CMD", "x"]}), ("Hostname", "postgres"), ("MacAddress", "x"), ("OnBuild", ["x"]), ("Tty", True), ("Shell", ["sh"]),
    ("Env", ["NO VALUE"]), ("Env", [1]), ("Env", {"A": "b"}), ("Labels", {}), ("Labels", ...), ("Labels/org.clipquarry.deployment", "0" * 12),
    ("Labels/com.docker.compose.project", "clipquarry"), ("Labels/org.clipquarry.task", 1), ("HostConfig", ...), ("HostConfig", []),
    ("HostConfig/Privileged", True), ("HostConfig/privileged", True), ("hostconfig", {"Privileged": True}), ("HostConfig/Binds", ["/:/host"]),
    ("HostConfig/Binds", ["clipquarry_state:/x"]), ("HostConfig/CapAdd", ["SYS_ADMIN"]), ("HostConfig/CapDrop", []), ("HostConfig/CapDrop", ...),
    ("HostConfig/Devices", [{"PathOnHost": "/dev/sda"}]), ("HostConfig/DeviceCgroupRules", ["a *:* rwm"]),
    ("HostConfig/DeviceRequests", [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]),
    ("HostConfig/NetworkMode", "host"), ("HostConfig/NetworkMode", "container:abc"), ("HostConfig/NetworkMode", "clipquarry_default"),
    ("HostConfig/NetworkMode", "stranger_default"), ("HostConfig/NetworkMode", ...), ("HostConfig/PidMode", "host"),
    ("HostConfig/PidMode", "container:abc"), ("HostConfig/IpcMode", "host"), ("HostConfig/UTSMode", "host"), ("HostConfig/UsernsMode", "host"),
    ("HostConfig/CgroupnsMode", "host"), ("HostConfig/VolumesFrom", ["clipquarry_postgres_1"]), ("HostConfig/SecurityOpt", ["seccomp=unconfined"]),
    ("HostConfig/SecurityOpt", ["no-new-privileges:true", "apparmor=unconfined"]), ("HostConfig/SecurityOpt", ["no-new-privileges:false"]),
    ("HostConfig/CgroupParent", "/x"), ("HostConfig/Runtime", "kata"), ("HostConfig/ReadonlyRootfs", False), ("HostConfig/ReadonlyRootfs", 1),
    ("HostConfig/MaskedPaths", []), ("HostConfig/ReadonlyPaths", []), ("HostConfig/Sysctls", {"kernel.x": "1"}), ("HostConfig/OomScoreAdj", -1000),
    ("HostConfig/OomKillDisable", True), ("HostConfig/Memory", 0), ("HostConfig/Memory", ...), ("HostConfig/MemorySwap", -1),
    ("HostConfig/PidsLimit", 0), ("HostConfig/PidsLimit", ...), ("HostConfig/CpuShares", 262144), ("HostConfig/NanoCpus", 10**11),
    ("HostConfig/Ulimits", [{"Name": "nofile", "Soft": 10**6, "Hard": 10**6}]), ("HostConfig/PortBindings", {"22/tcp": [{"HostPort": "22"}]}),
    ("HostConfig/PublishAllPorts", True), ("HostConfig/LogConfig", {"Type": "syslog", "Config": {"syslog-address": "tcp://evil"}}),
    ("HostConfig/RestartPolicy", {"Name": "always"}), ("HostConfig/AutoRemove", True), ("HostConfig/ContainerIDFile", "/etc/cron.d/x"),
    ("HostConfig/ExtraHosts", ["postgres:1.2.3.4"]), ("HostConfig/Links", ["postgres:db"]), ("HostConfig/GroupAdd", ["0"]),
    ("HostConfig/StorageOpt", {"size": "1"}), ("HostConfig/VolumeDriver", "other"), ("HostConfig/Isolation", "process"),
    ("HostConfig/Tmpfs", {"/tmp": "exec,suid"}), ("HostConfig/Tmpfs", {"/data": ""}), ("HostConfig/Tmpfs", ...), ("HostConfig/ShmSize", 2**40),
    ("HostConfig/Init", True), ("HostConfig/Mounts", []), ("HostConfig/Mounts", ...), ("HostConfig/Mounts/3", STATE),
    ("HostConfig/Mounts/0", STATE), ("HostConfig/Mounts/0/Source", "clipquarry_postgres"), ("HostConfig/Mounts/0/Source", "/var/lib/docker/volumes"),
    ("HostConfig/Mounts/0/Type", "bind"), ("HostConfig/Mounts/0/VolumeOptions", {"DriverConfig": {"Name": "local", "Options": {"o": "bind"}}}),
    ("HostConfig/Mounts/1/Source", "/"), ("HostConfig/Mounts/1/Source", "/ssd/../etc"), ("HostConfig/Mounts/1/BindOptions", {"Propagation": "rshared"}),
    ("HostConfig/Mounts/2/ReadOnly", False), ("HostConfig/Mounts/2/Target", "/opt/clipquarry"),
    ("HostConfig/Mounts/3", {"Target": "/x", "Source": "/var/run/docker.sock", "Type": "bind", "ReadOnly": True}),
]  # fmt: skip


def test_no_other_container_is_made(body: dict[str, Any]) -> None:
    passed = []
    for path, value in HOSTILE:
        try:
            RULES.creates(changed(body, path, value))
            passed.append((path, value))
        except Refused:
            pass
    assert passed == []


ENCODINGS = [
    ('"Image"', '"Image": "evil", "Image"', "a name twice"),
    ('"Image"', '"\\u0049mage": "evil", "Image"', "a name twice, one of them in escapes"),
    ('"HostConfig": {', '"HostConfig": {"Privileg\\u0065d": true, ', "escapes"),
    ('"HostConfig": {', '"HostConfig": {"Mounts": [], ', "a name twice, deeper"),
    ('"HostConfig": {', '"hostConfig": {"Privileged": true}, "HostConfig": {', "another case"),
    ("{", "[" * 50_000 + "{", "deep"),
    ("{", "", "no JSON"),
]


def test_nothing_hides_in_how_it_is_written(engine: tuple[str, Seen], body: dict[str, Any]) -> None:
    address, seen = engine
    text = json.dumps(body)
    got = {}
    for old, new, name in ENCODINGS:
        got[name] = ask(address, "POST", "/v1.41/containers/create", text.replace(old, new, 1).encode())[0]
    assert set(got.values()) == {403}, got
    assert ask(address, "POST", "/containers/create", text.encode() + b" " * 100_000)[0] == 403
    assert ask(address, "POST", "/containers/create", text.encode(), **{"Transfer-Encoding": "chunked"})[0] == 403
    assert seen == []
    assert ask(address, "POST", "/containers/create", text.encode())[0] == 200
    assert [json.loads(body_) for _, _, body_ in seen] == [body]


# --- what is asked about

REFUSED = [
    ("GET", "/info"), ("GET", "/volumes"), ("GET", "/secrets"), ("GET", "/events"), ("POST", "/build"), ("POST", "/images/create?fromImage=x"),
    ("DELETE", "/images/x"), ("POST", f"/containers/{OURS}/exec"), ("POST", "/exec/0/start"), ("POST", "/networks/create"),
    ("POST", "/volumes/create"), ("DELETE", "/volumes/clipquarry_state"), ("POST", "/swarm/init"), ("PUT", f"/containers/{OURS}/archive?path=/"),
    ("GET", f"/containers/{OURS}/archive?path=/etc"), ("POST", f"/containers/{OURS}/update"), ("POST", f"/containers/{OURS}/rename?name=x"),
    ("GET", f"/containers/{OURS}/export"), ("GET", f"/containers/{OURS}/top"), ("POST", f"/containers/{OURS}/pause"), ("POST", "/containers/prune"),
    ("GET", f"/containers/{OURS}/attach/ws"), ("GET", "/containers/json/../../info"), ("GET", "/containers/%6Ason"), ("POST", "/v1.41/build"),
    ("POST", "/commit"), ("GET", "/containers/clipquarry_postgres_1/json"), ("DELETE", "/containers/clipquarry_postgres_1"),
    ("GET", "/v1.41/images/json"), ("GET", '/images/json?filters={"reference":["postgres"]}'), ("GET", '/images/json?filters={"dangling":["true"]}'),
    ("GET", '/containers/json?filters={"name":["postgres"]}'), ("GET", "/containers/json?filters=[]"), ("GET", "/containers/json?before=x"),
    ("GET", "/containers/json?all=1&all=0"), ("POST", "/containers/create?name=postgres"), ("POST", f"/v1.22/containers/{OURS}/start"),
    ("POST", "/v1.22/containers/create"), ("POST", f"/containers/{OURS}/attach?stdin=1&stream=1"), ("POST", f"/containers/{OURS}/attach?detachKeys=x"),
    ("GET", f"/containers/{OURS}/start"), ("POST", f"/containers/{OURS}/json"), ("DELETE", "/containers/json"), ("POST", "/_ping"),
    ("DELETE", f"/containers/{OURS}?link=True%0d%0aX:y"), ("GET", f"/containers/{OURS}/logs?stdout=1 HTTP/1.1"), ("OPTIONS", "/_ping"),
]  # fmt: skip


def test_no_other_request_reaches_the_engine(engine: tuple[str, Seen]) -> None:
    address, seen = engine
    got = {}
    for method, path in REFUSED:
        with socket.create_connection(address.split(":"), 20) as worker:  # as it is: clients would tidy it
            worker.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            got[method, path] = worker.makefile("rb").readline().split()[1:2]
    assert [asked for asked, status in got.items() if status not in ([b"403"], [b"400"], [b"501"])] == []
    assert [one for one in seen if not one[1].endswith("/json") or "?" in one[1]] == []


@pytest.mark.parametrize(
    ("method", "verb"),
    [("GET", "/json"), ("GET", "/logs?stdout=1"), ("POST", "/attach?stream=1"), ("POST", "/start"), ("POST", "/wait"),
     ("POST", "/stop?t=3"), ("POST", "/kill"), ("DELETE", "?v=True&force=True")],
)  # fmt: skip
def test_only_containers_of_this_deployment(engine: tuple[str, Seen], method: str, verb: str) -> None:
    address, seen = engine
    for one, status in ((STRANGER, 403), (GONE, 404), (OURS, 200)):
        seen.clear()
        got, text = ask(address, method, f"/v1.41/containers/{one}{verb}")
        assert got == status
        assert b"secret" not in text
        looked = ("GET", f"/containers/{one}/json", b"")
        assert seen == ([looked] if one != OURS else [looked, (method, f"/v1.41/containers/{one}{verb}", b"")])


def test_a_beginning_of_an_id_that_means_a_stranger(engine: tuple[str, Seen]) -> None:
    """The engine answers with the whole id; the question is asked about that one."""
    address, seen = engine
    assert ask(address, "DELETE", f"/containers/{STRANGER[:12]}")[0] != 200
    assert all(method == "GET" for method, _, _ in seen)


def test_the_list_is_of_this_deployment_whatever_is_asked(engine: tuple[str, Seen]) -> None:
    address, seen = engine
    from urllib.parse import parse_qs, urlsplit

    for query in ("", "?all=1", '?all=1&filters={"label":["org.clipquarry.deployment=other"]}'):
        assert ask(address, "GET", f"/containers/json{query}")[0] == 200
        (filters,) = parse_qs(urlsplit(seen[-1][1]).query)["filters"]
        assert json.loads(filters)["label"][-1] == f"org.clipquarry.deployment={RULES.deployment}", (
            "labels are joined by 'and'"
        )


def test_what_follows_a_request_never_reaches_the_engine(engine: tuple[str, Seen]) -> None:
    address, seen = engine
    second = b"DELETE /containers/%s?force=1 HTTP/1.1\r\nHost: x\r\n\r\n" % STRANGER.encode()
    for verb in (b"POST /containers/%s/attach?stream=1", b"POST /containers/%s/start", b"GET /containers/%s/json"):
        seen.clear()
        with socket.create_connection(address.split(":"), 20) as worker:
            head = (
                verb % OURS.encode()
            ) + b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
            worker.sendall(head + second)
            worker.settimeout(5)
            worker.recv(65536)
            worker.sendall(second)
        assert all("DELETE" not in (method, path) and STRANGER not in path for method, path, _ in seen)


# --- settings


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("CLIPQUARRY_DOCKER_NETWORK", "host", "no network of the host"),
        ("CLIPQUARRY_DOCKER_NETWORK", "container:abc", "no network of the host"),
        ("CLIPQUARRY_DOCKER_DATA", "/", "no step may have"),
        ("CLIPQUARRY_DOCKER_DATA", "/var", "no step may have"),
        ("CLIPQUARRY_EXTRA_ROOTS", "/var/run/x:/x", "no step may have"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "/proc/1/root:/x", "no step may have"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "/var/run/docker.sock:/x", "must never have it"),
        ("CLIPQUARRY_DOCKER_MOUNTS", "/ssd/inner:/x", "lies in another folder"),
    ],
)
def test_settings_that_would_open_the_host(variable: str, value: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Rules.from_env(SETTINGS | {variable: value})


def test_it_needs_python_alone(tmp_path: Path) -> None:
    """As the image has it: the files that the Dockerfile names, no package."""
    for line in (PROJECT / "docker/socket-proxy/Dockerfile").read_text().replace("\\\n", "").splitlines():
        if line.startswith("COPY "):
            *sources, target = line.split()[1:]
            (tmp_path / target).mkdir(parents=True, exist_ok=True)
            for source in sources:
                found = PROJECT / source
                for file in found.glob("*.py") if found.is_dir() else [found]:
                    (tmp_path / target / file.name).write_bytes(file.read_bytes())
    program = "import clipquarry_airflow.socket_proxy.server as s; print(s.Rules.from_env({}).images)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(tmp_path)},
        text=True,
        capture_output=True,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "clipquarry-media" in done.stdout
