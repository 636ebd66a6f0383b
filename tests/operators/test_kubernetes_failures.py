"""What goes wrong with pods and with the cluster is one sentence, and is tried again where that helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipquarry_airflow.containers import ContainerSettings
from frames_shard import make_shard
from kubernetes.client import ApiException
from kubernetes.client import models as k8s
from kubernetes_cluster import Cluster, write_kubeconfig
from kubernetes_cluster import cluster as cluster
from kubernetes_world import context, operator
from kubernetes_world import environment as environment


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
