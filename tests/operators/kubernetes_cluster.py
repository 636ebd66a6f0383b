"""An API server of a cluster, without the cluster: it runs pods as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import pytest
import yaml
from kubernetes_world import RIGHTS, expand, valid


class Cluster:
    """An API server whose kubelet runs a pod's command as a process. It allows what the documented Role allows, no more.

    ``fate`` of the pods: run, oom (killed at its first line), unpullable, unschedulable, evicted, failed.
    """

    def __init__(self) -> None:
        self.fate = "run"
        self.pods: dict[str, dict[str, Any]] = {}
        self.created: list[dict[str, Any]] = []
        self.lines: dict[str, list[str]] = {}
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.asked: set[tuple[str, str]] = set()
        self.lock = threading.RLock()
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cluster.answer(self, "get")

            def do_POST(self) -> None:
                cluster.answer(self, "create")

            def do_DELETE(self) -> None:
                cluster.answer(self, "delete")

            def do_PATCH(self) -> None:
                cluster.answer(self, "patch")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: Any, verb: str) -> None:
        url = urlsplit(request.path)
        body = json.loads(request.rfile.read(int(request.headers.get("Content-Length") or 0)) or "null")
        found = re.fullmatch(r"/api/v1/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?(/log)?", url.path)
        assert found, url.path
        namespace, kind, name, log = found.groups()
        verb = "list" if verb == "get" and name is None else verb
        resource = kind + (log or "")
        self.asked.add((verb, resource))
        if (verb, resource) not in RIGHTS or namespace != "clipquarry":
            return self._say(request, 403, {"message": f"{resource} is forbidden: cannot {verb} in {namespace}"})
        with self.lock:
            if name is not None and name not in self.pods:
                return self._say(request, 404, {"message": f'pods "{name}" not found'})
            if verb == "create":
                return self._create(request, body)
            if verb == "list":
                pods = [
                    pod for pod in self.pods.values() if self._matches(pod, parse_qs(url.query)["labelSelector"][0])
                ]
                return self._say(request, 200, {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": pods})
            if verb == "delete":
                return self._delete(request, name)
            if not log:
                return self._say(request, 200, self.pods[name])
        return self._log(request, name)

    @staticmethod
    def _say(request: Any, code: int, body: dict[str, Any]) -> None:
        text = json.dumps(body if code < 400 else {"kind": "Status", "code": code, **body}).encode()
        request.send_response(code)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    @staticmethod
    def _matches(pod: dict[str, Any], selector: str) -> bool:
        labels = pod["metadata"]["labels"]
        for part in selector.split(","):
            key, unequal, value = part.partition("!=")
            if unequal:
                good = labels.get(key) != value
            elif part.startswith("!"):
                good = part[1:] not in labels
            else:
                key, _, value = part.partition("=")
                good = labels.get(key) == value
            if not good:
                return False
        return True

    def _create(self, request: Any, body: dict[str, Any]) -> None:
        try:
            valid(body)
        except (kubernetes_validate.ValidationError, AssertionError) as error:
            return self._say(request, 422, {"message": f"Pod is invalid: {error}"})
        fate = self.fate  # before the answer: who gets it may choose another one for the next pod
        self.created.append(json.loads(json.dumps(body)))
        name = body["metadata"]["name"]
        body["metadata"]["creationTimestamp"] = now()
        body["status"] = {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "True"}]}
        self.pods[name], self.lines[name] = body, []
        self._say(request, 201, body)
        if fate == "unschedulable":
            said = "0/3 nodes are available: 3 Insufficient memory."
            body["status"]["conditions"] = [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
            ]
        elif fate == "failed":
            body["status"] = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no device is left"}
        elif fate == "unpullable":
            self._state(name, "Pending", waiting={"reason": "ErrImagePull", "message": "clipquarry-media: not found"})
        elif fate == "configless":
            self._state(
                name, "Pending", waiting={"reason": "CreateContainerConfigError", "message": "secret not found"}
            )
        else:
            threading.Thread(target=self._run, args=(name, fate), daemon=True).start()
        return None

    def _state(self, name: str, phase: str, **state: Any) -> None:
        image = self.pods[name]["spec"]["containers"][0]["image"]
        status = {"name": "base", "image": image, "imageID": "", "ready": False, "restartCount": 0, "state": state}
        self.pods[name]["status"].update(phase=phase, containerStatuses=[status])

    def _run(self, name: str, fate: str) -> None:
        with self.lock:  # a pod that was deleted before its kubelet heard of it never runs
            if name not in self.pods:
                return
            (container,) = self.pods[name]["spec"]["containers"]
            env = {entry["name"]: expand(entry["value"], {}) for entry in container["env"]}
            argv = [sys.executable, "-m", "clipquarry", *(expand(word, env) for word in container["args"])]
            process = subprocess.Popen(
                argv, env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"} | env, text=True, start_new_session=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self.processes[name] = process
            self._state(name, "Running", running={"startedAt": now()})
        assert process.stdout is not None
        if fate == "oom":
            os.killpg(process.pid, signal.SIGKILL)
        for line in process.stdout:
            self.lines[name].append(f"{now()} {line}")
        code = process.wait()
        code = 128 - code if code < 0 else code
        with self.lock:
            if name not in self.pods:
                return
            reason = {0: "Completed"}.get(code, "OOMKilled" if fate == "oom" else "Error")
            if fate == "evicted":
                self.pods[name]["status"].update(reason="Evicted", message="The node was low on resource: memory.")
                code = 137
            ended = {"exitCode": code, "reason": reason, "finishedAt": now()}
            self._state(name, "Failed" if code else "Succeeded", terminated=ended)

    def _delete(self, request: Any, name: str) -> None:
        process = self.processes.get(name)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)  # a pod stays until its containers have ended
        self._say(request, 200, self.pods.pop(name))

    def _log(self, request: Any, name: str) -> None:
        request.send_response(200)
        request.end_headers()
        sent = 0
        while True:
            ended = name not in self.pods or self.pods[name]["status"]["phase"] in ("Succeeded", "Failed")
            for line in self.lines[name][sent:]:
                request.wfile.write(line.encode())
                request.wfile.flush()
                sent += 1
            if ended:
                return
            time.sleep(0.02)

    def wait_for(self, phase: str) -> str:
        """The name of the one pod, once it has that phase."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with self.lock:
                for name, pod in self.pods.items():
                    if pod["status"]["phase"] == phase:
                        return name
            time.sleep(0.02)
        raise AssertionError(f"no pod became {phase}")


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_kubeconfig(path: Path, url: str) -> None:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": url}}], "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    path.write_text(yaml.safe_dump(config))


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    fake = Cluster()
    config = tmp_path_factory.mktemp("kube") / "config.yaml"
    write_kubeconfig(config, fake.url)
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_CONFIG", str(config))
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    for process in fake.processes.values():
        if process.poll() is None:
            process.kill()
