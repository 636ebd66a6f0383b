"""The kubernetes runtime: its settings, the pods it asks for, and whole tasks against an API server that runs them as processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import pytest
import yaml
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from clipquarry.acquire.breaker import Breaker
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.manifest import ITEM_FIELDS, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry_airflow.cluster import KubernetesSettings
from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.operators import kubernetes as runtime
from clipquarry_airflow.operators.kubernetes import KubernetesStepOperator
from clipquarry_airflow.runtimes import step_operator
from frames_shard import make_shard, manifest
from kubernetes.client import ApiClient, ApiException
from kubernetes.client import models as k8s

PAGE = (Path(__file__).parents[2] / "docs/kubernetes.md").read_text(encoding="utf-8")
DOCUMENTS = [
    document
    for block in re.findall(r"^ *```yaml\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)
    for document in yaml.safe_load_all(textwrap.dedent(block))
]
RIGHTS = {
    (verb, resource)
    for document in DOCUMENTS if document["kind"] == "Role"
    for rule in document["rules"] for resource in rule["resources"] for verb in rule["verbs"]
}  # fmt: skip
SCHEMA = "1.37"
LABEL = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
CLAIM = {"CLIPQUARRY_KUBERNETES_CLAIM": "clipquarry-data"}
DATA = Path("/data")


def valid(body: dict[str, Any]) -> None:
    """Raises for a pod that the API would refuse: by the schema, and by rules that no schema holds."""
    kubernetes_validate.validate(body, SCHEMA, strict=True)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", body["metadata"]["name"])
    for value in body["metadata"]["labels"].values():
        assert LABEL.fullmatch(value), value
    volumes = [volume["name"] for volume in body["spec"]["volumes"]]
    mounts = body["spec"]["containers"][0]["volumeMounts"]
    assert sorted(volumes) == sorted({mount["name"] for mount in mounts})
    paths = [mount["mountPath"] for mount in mounts]
    assert len(paths) == len(set(paths)) and not [path for path in paths if ":" in path]


# --- settings


def test_settings_have_defaults() -> None:
    assert KubernetesSettings.from_env(DATA, CLAIM) == KubernetesSettings(claim="clipquarry-data")


def test_all_settings_are_read() -> None:
    names = {"NAMESPACE": "video-sets", "MOUNTS": " mine:/mine, sub.domain:/a/b ", "SECRET": "cookies", "USER": "0:7",
             "SERVICE_ACCOUNT": "steps", "CONFIG": "/etc/kube.yaml"}  # fmt: skip
    environ = CLAIM | {f"CLIPQUARRY_KUBERNETES_{name}": value for name, value in names.items()}
    assert KubernetesSettings.from_env(DATA, environ) == KubernetesSettings(
        claim="clipquarry-data", namespace="video-sets", mounts=(("mine", "/mine"), ("sub.domain", "/a/b")), secret="cookies",
        user=0, group=7, service_account="steps", config="/etc/kube.yaml",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLAIM", ""), ("CLAIM", "Data"), ("CLAIM", "a_b"), ("CLAIM", "-a"), ("CLAIM", "a\n"), ("CLAIM", "a" * 254),
        ("CLAIM", "../etc"), ("CLAIM", "{{ var.value.x }}"), ("CLAIM", "$(HOME)"), ("CLAIM", "a..b"), ("CLAIM", "ä"),
        ("NAMESPACE", "a.b"), ("NAMESPACE", "a" * 64), ("NAMESPACE", "kube/system"), ("NAMESPACE", "A"),
        ("SECRET", "a b"), ("SECRET", "a/b"), ("SECRET", "x;y"), ("SERVICE_ACCOUNT", "a:b"), ("SERVICE_ACCOUNT", "Root"),
        ("USER", "root"), ("USER", "1000"), ("USER", "-1:0"), ("USER", "1:2:3"), ("USER", "2147483648:0"),
        ("USER", "1:2\n"), ("USER", "٣:٣"), ("CONFIG", "kube.yaml"), ("CONFIG", "~/.kube/config"),
        ("MOUNTS", "claim"), ("MOUNTS", "/host:/x"), ("MOUNTS", "claim:"), ("MOUNTS", "claim:x"), ("MOUNTS", "c:/a/../b"),
        ("MOUNTS", "c:/"), ("MOUNTS", "c:/data"), ("MOUNTS", "c:/tmp"), ("MOUNTS", "c:/a,d:/a"), ("MOUNTS", "c:/a:ro"),
        ("MOUNTS", "c:/a\nb"), ("MOUNTS", "c:/a/"), ("MOUNTS", "c://a"), ("MOUNTS", "C:/a"), ("MOUNTS", "c:/" + "a" * 5000),
    ],
)  # fmt: skip
def test_hostile_settings_are_refused_in_one_sentence(name: str, value: str) -> None:
    environ = CLAIM | {f"CLIPQUARRY_KUBERNETES_{name}": value}
    with pytest.raises(UserError, match=f"CLIPQUARRY_KUBERNETES_{name} ") as raised:
        KubernetesSettings.from_env(DATA, environ)
    text = str(raised.value)
    assert text.endswith(".") and "write" in text and "\n" not in text and len(text) < 600


@pytest.mark.parametrize("root", ["/", "/tmp", "/data:1", "/da\nta", "/a/../b", "data"])
def test_data_roots_that_no_pod_can_mount(root: str) -> None:
    with pytest.raises(UserError, match="CLIPQUARRY_DATA is "):
        KubernetesSettings.from_env(Path(root), CLAIM)


def test_a_mount_cannot_hide_the_data_root() -> None:
    with pytest.raises(UserError, match="above it"):
        KubernetesSettings.from_env(Path("/srv/data"), CLAIM | {"CLIPQUARRY_KUBERNETES_MOUNTS": "c:/srv"})


@pytest.mark.parametrize(
    ("secret", "cookies", "says"),
    [
        ("s", None, "CLIPQUARRY_COOKIES is not set"), ("s", "cookies.txt", "absolute path"), ("s", "/etc/../c", "absolute path"),
        ("s", "/data/cookies.txt", "inside a mounted volume"), ("s", "/mine/cookies.txt", "inside a mounted volume"),
        ("", "/etc/cookies.txt", "let CLIPQUARRY_KUBERNETES_SECRET name a Secret"),
    ],
)  # fmt: skip
def test_cookies_and_secret_must_fit(secret: str, cookies: str | None, says: str) -> None:
    settings = KubernetesSettings(claim="c", mounts=(("m", "/mine"),), secret=secret)
    with pytest.raises(UserError, match=says):
        settings.cookies(Path(cookies) if cookies else None, DATA)


def test_cookies_in_a_volume_need_no_secret() -> None:
    settings = KubernetesSettings(claim="c", mounts=(("m", "/mine"),))
    assert settings.cookies(None, DATA) is None
    assert settings.cookies(Path("/mine/cookies.txt"), DATA) is None
    assert settings.cookies(Path("/data/cookies.txt"), DATA) is None


# --- pods


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker whose environment holds secrets, and no proxy."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY") or name.startswith("CLIPQUARRY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path))
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_CLAIM", "clipquarry-data")
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_NAMESPACE", "clipquarry")
    monkeypatch.setenv("CLIPQUARRY_LEDGER", "postgresql://u:secret@h/d")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://u:secret@h/airflow")
    return tmp_path


class Store(dict[str, Any]):
    """Airflow's memory of a task between its tries."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


def context(store: Store | None = None, run: str = "manual__2026-11-21T01:02:03+00:00", **params: Any) -> Any:
    ti = SimpleNamespace(
        dag_id="kinetics400", run_id=run, task_id="frames", map_index=3, try_number=1, pushed={}, start_date=None
    )
    ti.xcom_push = lambda key, value: ti.pushed.update({key: value})
    found = {"params": params, "ti": ti, "run_id": run, "dag": SimpleNamespace()}
    return found if store is None else found | {"task_state_store": store}


def operator(step: str = "frames", job: dict[str, str] | None = None, **kwargs: Any) -> KubernetesStepOperator:
    made = KubernetesStepOperator(task_id=step, step=step, job=job, **kwargs)
    made.startup_check_interval_seconds = 0.05
    return made


JOB = {"name": "s", "items": "run/items.parquet", "params": "run/params.json", "out": "run/out/part-00000.parquet"}


def render(data: Path, step: str = "frames", sources: object = (), **kwargs: Any) -> dict[str, Any]:
    """The pod as it goes over the wire, checked."""
    write_json(data / JOB["params"], {"root": "k", "sources": sources})
    made = operator(step, JOB, **kwargs)
    made._configure(ContainerSettings.from_env(step), KubernetesSettings.from_env(data), data)
    made.do_xcom_push = False  # as run_step does
    body: dict[str, Any] = ApiClient().sanitize_for_serialization(made.build_pod_request_obj(context(), dry_run=True))
    valid(body)
    return body


def test_the_pod_is_confined(environment: Path) -> None:
    spec = render(environment)["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch", "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert container["securityContext"] == {
        "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Never", 5)
    assert not spec.get("hostNetwork") and "hostPID" not in spec and "serviceAccountName" not in spec
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["tmp"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "256Mi"}


def test_a_root_user_is_possible_and_said(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_USER", "0:0")
    assert render(environment)["spec"]["securityContext"]["runAsNonRoot"] is False


def test_the_command_is_a_list_for_the_images_entrypoint(environment: Path) -> None:
    (container,) = render(environment)["spec"]["containers"]
    assert "command" not in container or container["command"] == []
    assert container["args"][:2] == ["step", "frames"]
    assert container["args"][container["args"].index("--data") + 1] == str(environment)


def test_the_data_root_has_the_workers_path(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_MOUNTS", "mine:/mine,clipquarry-data:/again")
    spec = render(environment)["spec"]
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert not mounts[str(environment)].get("readOnly")
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": "clipquarry-data"}
    assert mounts["/mine"]["readOnly"] is mounts["/again"]["readOnly"] is True
    assert volumes["mount-0"]["persistentVolumeClaim"] == {"claimName": "mine", "readOnly": True}
    assert volumes["mount-1"]["persistentVolumeClaim"] == {"claimName": "clipquarry-data"}, (
        "one access mode for a claim"
    )


def test_extra_roots_are_claims_that_a_pod_may_write(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_EXTRA_ROOTS", "ssd:/ssd")
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_MOUNTS", "ssd:/again")
    spec = render(environment)["spec"]
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert not mounts["/ssd"].get("readOnly") and mounts["/again"]["readOnly"] is True
    assert (
        volumes["root-0"]["persistentVolumeClaim"]
        == volumes["mount-0"]["persistentVolumeClaim"]
        == {"claimName": "ssd"}
    )
    monkeypatch.setenv("CLIPQUARRY_EXTRA_ROOTS", "/ssd")
    with pytest.raises(UserError, match="for pods write claim:/folder"):
        KubernetesSettings.from_env(environment)


@pytest.mark.parametrize(("step", "network"), [("frames", "none"), ("resize", "none"), ("fetch", "egress")])
def test_labels_select_pods_without_network(environment: Path, step: str, network: str) -> None:
    labels = render(environment, step)["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "clipquarry"
    assert (labels["clipquarry.org/step"], labels["clipquarry.org/network"]) == (step, network)
    (policy,) = [document for document in DOCUMENTS if document["metadata"]["name"] == "clipquarry-no-network"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items() or network != "none"
    assert "Egress" in policy["spec"]["policyTypes"] and "egress" not in policy["spec"]


def test_deployments_in_one_namespace_are_told_apart(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = render(environment)["metadata"]
    assert one["name"] != render(environment)["metadata"]["name"], "names are unique"
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_CLAIM", "other")
    other = render(environment)["metadata"]
    assert one["labels"]["clipquarry.org/deployment"] != other["labels"]["clipquarry.org/deployment"]


def test_cookies_come_as_a_secret_and_only_to_steps_with_network(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPQUARRY_COOKIES", "/etc/clipquarry/cookies.txt")
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_SECRET", "clipquarry-cookies")
    spec = render(environment, "fetch")["spec"]
    mounts = {mount["mountPath"]: mount for mount in spec["containers"][0]["volumeMounts"]}
    assert mounts["/etc/clipquarry/cookies.txt"] == {
        "name": "cookies", "mountPath": "/etc/clipquarry/cookies.txt", "subPath": "cookies.txt", "readOnly": True,
    }  # fmt: skip
    (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert (secret["secretName"], secret["defaultMode"]) == ("clipquarry-cookies", 0o440)
    spec = render(environment, "frames")["spec"]
    assert [volume["name"] for volume in spec["volumes"]] == ["data", "tmp"]
    assert "cookies.txt" not in json.dumps(spec)


def test_limits_are_requests_and_jobs_follow(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_MEMORY_FRAMES", "1g")
    monkeypatch.setenv("CLIPQUARRY_CPUS", "2.5")
    (container,) = render(environment, jobs=8)["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "1073741824", "cpu": "2500m"}
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert container["args"][-2:] == ["--jobs", "2"]


def test_detect_gets_its_image_and_gpus(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_GPUS", "1")
    monkeypatch.setenv("CLIPQUARRY_DEVICE", "cuda")
    (container,) = render(environment, "detect")["spec"]["containers"]
    assert container["image"].startswith("clipquarry-detect:")
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    assert {"name": "CLIPQUARRY_DEVICE", "value": "cuda"} in container["env"]
    (container,) = render(environment)["spec"]["containers"]
    assert not container.get("resources")
    monkeypatch.setenv("CLIPQUARRY_GPUS", "all")
    with pytest.raises(UserError, match="write a number of GPUs"):
        render(environment, "detect")


def test_no_limits_ask_for_nothing(environment: Path) -> None:
    (container,) = render(environment, jobs=8)["spec"]["containers"]
    assert not container.get("resources")
    assert container["args"][-2:] == ["--jobs", "8"]


def test_nothing_of_the_workers_environment_leaks(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_MIRROR", "https://u:$(HOME)$$@mirror.example")
    monkeypatch.delenv("YTDLP_NO_PLUGINS", raising=False)  # other tests of this process may have set it
    body = render(environment, "fetch", sources=[{"url": "${CLIPQUARRY_MIRROR}/{clip}.mp4"}])
    (container,) = body["spec"]["containers"]
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert set(env) == {"CLIPQUARRY_MIRROR", "CLIPQUARRY_DATA", "HOME", "USER"}
    assert expand(env["CLIPQUARRY_MIRROR"], env) == os.environ["CLIPQUARRY_MIRROR"], "Kubernetes puts no variables in"
    assert "secret@" not in json.dumps(body) and not container.get("envFrom")


def test_a_data_root_with_a_dollar_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "a $(HOME) b"
    monkeypatch.setenv("CLIPQUARRY_DATA", str(data))
    (container,) = render(data)["spec"]["containers"]
    env = {entry["name"]: expand(entry["value"], {}) for entry in container["env"]}
    assert str(data) in [expand(word, env) for word in container["args"]]
    assert env["CLIPQUARRY_DATA"] == str(data) == container["volumeMounts"][0]["mountPath"]


def test_run_ids_become_valid_labels(environment: Path) -> None:
    labels = render(environment)["metadata"]["labels"]
    assert LABEL.fullmatch(labels["run_id"]) and "+" not in labels["run_id"]


def test_a_forgotten_pod_ends_by_itself(environment: Path) -> None:
    assert "activeDeadlineSeconds" not in render(environment)["spec"]
    spec = render(environment, execution_timeout=timedelta(hours=12))["spec"]
    assert spec["activeDeadlineSeconds"] == 12 * 3600 + 60


@pytest.mark.parametrize(
    "wrong",
    [{"readOnlyRootFileSystem": True}, {"allowPrivilegeEscalation": "no"}, {"capabilities": {"drop": "ALL"}}],
)
def test_the_schema_finds_wrong_fields(environment: Path, wrong: dict[str, Any]) -> None:
    body = render(environment)
    body["spec"]["containers"][0]["securityContext"] |= wrong
    with pytest.raises(kubernetes_validate.ValidationError):
        valid(body)


def test_a_pod_goes_through_old_clusters_schemas_too(environment: Path) -> None:
    kubernetes_validate.validate(render(environment, "fetch"), "1.28", strict=True)


def test_ids_are_never_templates() -> None:
    assert KubernetesStepOperator.template_fields == ()


def test_a_mapped_task_keeps_its_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_RUNTIME_FRAMES", "kubernetes")
    assert step_operator("frames") is KubernetesStepOperator
    with DAG("kinetics400"):
        mapped = step_operator("frames").partial(task_id="frames", step="frames", retries=2).expand(job=[JOB])
    task = mapped.unmap({"job": JOB})
    assert isinstance(task, KubernetesStepOperator)
    assert (task.do_xcom_push, task.job, task.retries, task.deferrable) == (True, JOB, 2, False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document["metadata"]["name"])
def test_the_pages_examples_are_valid(document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, SCHEMA, strict=True)


# --- whole tasks


def expand(text: str, env: dict[str, str]) -> str:
    """As Kubernetes does: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1 (args)."""
    return re.sub(
        r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else env.get(found[1] or "", found[0]), text
    )


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
        body["metadata"]["creationTimestamp"] = _now()
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
            self._state(name, "Running", running={"startedAt": _now()})
        assert process.stdout is not None
        if fate == "oom":
            os.killpg(process.pid, signal.SIGKILL)
        for line in process.stdout:
            self.lines[name].append(f"{_now()} {line}")
        code = process.wait()
        code = 128 - code if code < 0 else code
        with self.lock:
            if name not in self.pods:
                return
            reason = {0: "Completed"}.get(code, "OOMKilled" if fate == "oom" else "Error")
            if fate == "evicted":
                self.pods[name]["status"].update(reason="Evicted", message="The node was low on resource: memory.")
                code = 137
            ended = {"exitCode": code, "reason": reason, "finishedAt": _now()}
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


def _now() -> str:
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


def fetch_shard(data: Path) -> dict[str, str]:
    """One item that only YouTube could have."""
    row = {
        "item_id": "val/zumba/AAAAAAAAAAA_000001_000011", "video_id": "AAAAAAAAAAA", "clip_id": "AAAAAAAAAAA_000001_000011",
        "split": "val", "label": "zumba", "class_dir": "zumba", "label_index": 0, "start": of(1), "end": of(11), "row": 2,
    }  # fmt: skip
    write_rows(data / JOB["items"], schema_of(ITEM_FIELDS, "shard"), [row])
    source = {"id": "youtube", "kind": "youtube", "provides": "items", "content": "video"}
    write_json(data / JOB["params"], {"root": "kinetics400", "sources": [source], "budget_pause": 0})
    return JOB


def test_a_shard_in_a_pod(environment: Path, cluster: Cluster) -> None:
    made = operator(job=make_shard(environment))
    assert made.execute(context(Store(), jobs=1)) == {"done": 2}
    assert [row["status"] for row in manifest(environment)] == ["done", "done"]
    assert made.do_xcom_push, "the counts are the task's result"
    assert len(cluster.created[0]["spec"]["containers"]) == 1, "and no sidecar was made for it"
    assert not cluster.pods, "the pod is deleted"
    assert cluster.asked == {
        ("list", "pods"),
        ("create", "pods"),
        ("get", "pods"),
        ("get", "pods/log"),
        ("delete", "pods"),
    }
    assert cluster.asked == RIGHTS, "the documented Role has what is used, and nothing else"


def test_a_second_run_makes_another_pod_and_keeps_what_is_done(environment: Path, cluster: Cluster) -> None:
    made, store = operator(job=make_shard(environment)), Store()
    made.execute(context(store))
    assert made.execute(context(store)) == {"kept": 2}
    assert len({pod["metadata"]["name"] for pod in cluster.created}) == 2


def test_the_pods_lines_are_in_the_tasks_log(
    environment: Path, cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    operator(job=make_shard(environment)).execute(context())
    lines = [line.partition(" ")[2].strip() for line in cluster.lines[cluster.created[0]["metadata"]["name"]]]
    assert lines and all(line in capsys.readouterr().out for line in lines if line)


def test_a_wait_defers_the_task(environment: Path, cluster: Cluster) -> None:
    opened = Breaker(DataRoot(environment).egress("default")).open(Reason.RATE_LIMIT, "rate-limited by YouTube")
    with pytest.raises(TaskDeferred) as deferred:
        operator("fetch", fetch_shard(environment)).execute(context())
    moment = deferred.value.trigger.serialize()[1]["moment"]
    assert abs((moment - opened.resume_at).total_seconds()) < 60
    assert deferred.value.method_name == "execute"
    assert not cluster.pods, "nothing waits in the cluster"


def test_wrong_parameters_fail_without_a_retry(environment: Path, cluster: Cluster) -> None:
    with pytest.raises(AirflowFailException, match="refused its input"):
        operator(job=make_shard(environment, colour="red")).execute(context())
    assert not cluster.pods


def test_out_of_memory_is_one_sentence(environment: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPQUARRY_MEMORY", "512m")
    cluster.fate = "oom"
    with pytest.raises(AirflowException, match=r"ran out of memory \(512 MiB\): give the step more") as raised:
        operator(job=make_shard(environment)).execute(context())
    assert not isinstance(raised.value, AirflowFailException), "it is tried again"
    assert "CLIPQUARRY_MEMORY_FRAMES" in str(raised.value) and "goes on where it was" in str(raised.value)
    assert not cluster.pods


def test_an_evicted_pod_is_tried_again(environment: Path, cluster: Cluster) -> None:
    cluster.fate = "evicted"
    job = make_shard(environment, colour="red")  # ends without a result
    with pytest.raises(AirflowException, match=r"Kubernetes ended the pod \(Evicted: The node was low") as raised:
        operator(job=job).execute(context())
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("fate", "kind", "says"),
    [
        ("unpullable", AirflowFailException, r"image clipquarry-media:\S+ cannot be pulled \(ErrImagePull: .*CLIPQUARRY_IMAGE"),
        ("unschedulable", AirflowException, r"No node took the pod within 0.2 .*3 Insufficient memory.*CLIPQUARRY_MEMORY_FRAMES"),
        ("configless", AirflowException, r"did not start \(CreateContainerConfigError: secret not found\): .*kubectl"),
        ("failed", AirflowException, r"did not start \(UnexpectedAdmissionError: no device is left\)"),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_start(
    environment: Path, cluster: Cluster, fate: str, kind: type[Exception], says: str
) -> None:
    cluster.fate = fate
    made = operator(job=make_shard(environment))
    made.startup_timeout_seconds = made.schedule_timeout_seconds = 0.2  # type: ignore[assignment]
    with pytest.raises(kind, match=says) as raised:
        made.execute(context())
    assert type(raised.value) is kind and "\n" not in str(raised.value)
    assert not cluster.pods, "nothing is left behind"
    assert made.do_xcom_push


@pytest.mark.parametrize("store", [None, Store()], ids=["by labels", "by Airflow's memory"])
def test_the_pod_of_a_killed_worker_is_found_again(environment: Path, cluster: Cluster, store: Store | None) -> None:
    job = make_shard(environment, clips=30)
    killed = operator(job=job)
    killed._configure(ContainerSettings.from_env("frames"), KubernetesSettings.from_env(environment), environment)
    killed.do_xcom_push = False
    killed.get_or_create_pod(killed.build_pod_request_obj(context(store)), context(store))
    name = cluster.wait_for("Running")
    counts = operator(job=job).execute(context(store))
    assert counts == {"done": 30}
    assert [pod["metadata"]["name"] for pod in cluster.created] == [name], "no second pod works on the shard"
    assert not cluster.pods


def test_the_ended_pod_of_a_killed_worker_is_replaced(environment: Path, cluster: Cluster) -> None:
    job, store = make_shard(environment), Store()
    killed = operator(job=job)
    killed._configure(ContainerSettings.from_env("frames"), KubernetesSettings.from_env(environment), environment)
    killed.do_xcom_push = False
    killed.get_or_create_pod(killed.build_pod_request_obj(context(store)), context(store))
    cluster.wait_for("Succeeded")
    assert operator(job=job).execute(context(store)) == {"kept": 2}
    assert not cluster.pods


def test_a_pod_that_is_being_deleted_is_waited_for(
    environment: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_shard(environment)
    old = operator(job=job)
    old._configure(ContainerSettings.from_env("frames"), KubernetesSettings.from_env(environment), environment)
    old.do_xcom_push = False
    cluster.fate = "unschedulable"
    old.get_or_create_pod(old.build_pod_request_obj(context()), context())
    (name,) = cluster.pods
    cluster.pods[name]["metadata"]["deletionTimestamp"] = _now()
    cluster.fate = "run"
    monkeypatch.setattr(runtime, "LEAVING_SECONDS", 0)
    with pytest.raises(AirflowException, match=f"The pod {name} of an earlier try does not go away"):
        operator(job=job).execute(context())
    assert len(cluster.created) == 1
    monkeypatch.setattr(runtime, "LEAVING_SECONDS", 30)
    threading.Timer(0.5, cluster.pods.pop, [name]).start()
    assert operator(job=job).execute(context()) == {"done": 2}


def test_of_two_pods_of_a_shard_none_stays(environment: Path, cluster: Cluster) -> None:
    job = make_shard(environment, clips=30)
    for _ in range(2):
        lost = operator(job=job)
        lost._configure(ContainerSettings.from_env("frames"), KubernetesSettings.from_env(environment), environment)
        lost.do_xcom_push = False
        lost.pod_manager.create_pod(lost.build_pod_request_obj(context()))
    counts = operator(job=job).execute(context())
    assert sum(counts.values()) == 30
    assert len(cluster.created) == 3 and not cluster.pods


def test_a_cancelled_task_deletes_its_pod_and_the_step_ends(environment: Path, cluster: Cluster) -> None:
    made, caught = operator(job=make_shard(environment, clips=200)), []

    def run() -> None:
        try:
            made.execute(context(jobs=1))
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    name = cluster.wait_for("Running")
    while made.pod is None or not cluster.lines[name]:
        assert thread.is_alive()
        time.sleep(0.05)
    made.on_kill()
    assert not cluster.pods
    assert cluster.processes[name].wait(10) != 0
    thread.join(30)
    assert not thread.is_alive()
    assert isinstance(caught[0], AirflowException) and "\n" not in str(caught[0])


def test_what_the_api_refuses_is_not_tried_again(
    environment: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_NAMESPACE", "kube-system")
    with pytest.raises(AirflowFailException, match=r"namespace kube-system \(403: pods is forbidden"):
        operator(job=make_shard(environment)).execute(context())
    assert not cluster.created


@pytest.mark.parametrize(
    ("status", "says", "kind"),
    [
        (403, 'pods "x" is forbidden: exceeded quota: small', AirflowException), (409, "exists", AirflowException),
        (500, "etcd", AirflowException), (422, "Pod is invalid", AirflowFailException), (404, "no", AirflowFailException),
    ],
)  # fmt: skip
def test_what_passes_is_tried_again(status: int, says: str, kind: type[Exception]) -> None:
    error = ApiException(status=status, reason="because")
    for body in (json.dumps({"message": says}), says):
        error.body = body
        raised = operator()._refused(error)
        assert type(raised) is kind and says in str(raised)
    error.body = None
    assert "because" in str(operator()._refused(error))


@pytest.mark.parametrize(
    ("reason", "ended", "says"),
    [
        (None, {"exit_code": 128, "reason": "StartError", "message": "no\ntini"}, (128, "not run (StartError: no tini).")),
        ("DeadlineExceeded", {"exit_code": 137, "reason": "Error"}, (137, "ended the pod (DeadlineExceeded: told).")),
        ("Evicted", None, (-1, "before its container did (Evicted told).")),
        (None, {"exit_code": 137, "reason": "OOMKilled"}, (137, "out of memory: give the step more with")),
        (None, {"exit_code": 143, "reason": "Error"}, (143, "")), (None, {"exit_code": 0, "reason": "Completed"}, (0, "")),
    ],
)  # fmt: skip
def test_what_a_pods_end_says(reason: str | None, ended: dict[str, Any] | None, says: tuple[int, str]) -> None:
    made = operator()
    state = k8s.V1ContainerState(terminated=k8s.V1ContainerStateTerminated(**ended)) if ended else None
    statuses = [
        k8s.V1ContainerStatus(name="base", image="i", image_id="", ready=False, restart_count=0, state=state)
    ] if ended else None  # fmt: skip
    message = "told" if reason else None
    status = k8s.V1PodStatus(phase="Failed", reason=reason, message=message, container_statuses=statuses)
    made.remote_pod = k8s.V1Pod(status=status)
    code, why = made._ended(ContainerSettings("frames", "image"))
    assert code == says[0] and says[1] in why and bool(why) == bool(says[1])


def test_a_missing_setting_is_one_sentence(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIPQUARRY_KUBERNETES_CLAIM")
    with pytest.raises(AirflowFailException, match="CLIPQUARRY_KUBERNETES_CLAIM is not set"):
        operator(job=make_shard(environment)).execute(context())


@pytest.mark.parametrize("content", [None, "", "{", "clusters: []"])
def test_no_access_to_a_cluster_is_one_sentence(
    environment: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    config = environment / "kube.yaml"
    if content is not None:
        config.write_text(content)
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_CONFIG", str(config))
    with pytest.raises(AirflowFailException, match="no access to a Kubernetes cluster") as raised:
        operator(job=make_shard(environment)).execute(context())
    assert "\n" not in str(raised.value)


def test_outside_of_a_cluster_a_kubeconfig_is_needed(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(AirflowFailException, match="no access to a Kubernetes cluster"):
        operator(job=make_shard(environment)).execute(context())


def test_an_api_that_is_away_is_tried_again(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = environment / "kube.yaml"
    write_kubeconfig(config, "http://127.0.0.1:9")
    monkeypatch.setenv("CLIPQUARRY_KUBERNETES_CONFIG", str(config))
    with pytest.raises(AirflowException, match="does not answer") as raised:
        operator(job=make_shard(environment)).execute(context())
    assert type(raised.value) is AirflowException
