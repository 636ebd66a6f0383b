"""The pods that the kubernetes runtime asks for, each checked as the API would, and the objects that the page documents."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from airflow.sdk import DAG
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry_airflow.cluster import KubernetesSettings
from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.operators.kubernetes import KubernetesStepOperator
from clipquarry_airflow.runtimes import step_operator
from kubernetes.client import ApiClient
from kubernetes_world import DOCUMENTS, JOB, LABEL, SCHEMA, context, expand, operator, valid
from kubernetes_world import environment as environment


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
