"""Whole tasks of the kubernetes runtime: their pods run, are found again after a worker died, and never stay."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, TaskDeferred
from clipquarry.acquire.breaker import Breaker
from clipquarry.files import write_json
from clipquarry.manifest import ITEM_FIELDS, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.reasons import Reason
from clipquarry.settings import DataRoot
from clipquarry_airflow.cluster import KubernetesSettings
from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.operators import kubernetes as runtime
from frames_shard import make_shard, manifest
from kubernetes_cluster import Cluster, now
from kubernetes_cluster import cluster as cluster
from kubernetes_world import JOB, RIGHTS, Store, context, operator
from kubernetes_world import environment as environment


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
    cluster.pods[name]["metadata"]["deletionTimestamp"] = now()
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
