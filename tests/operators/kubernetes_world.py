"""What tests of the kubernetes runtime share: the documented objects, what the API takes, a worker and its task."""

from __future__ import annotations

import os
import re
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
import yaml
from clipquarry_airflow.operators.kubernetes import KubernetesStepOperator

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
JOB = {"name": "s", "items": "run/items.parquet", "params": "run/params.json", "out": "run/out/part-00000.parquet"}


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


def expand(text: str, env: dict[str, str]) -> str:
    """As Kubernetes does: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1 (args)."""
    return re.sub(
        r"\$\$|\$\(([^)]*)\)", lambda found: "$" if found[0] == "$$" else env.get(found[1] or "", found[0]), text
    )


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
