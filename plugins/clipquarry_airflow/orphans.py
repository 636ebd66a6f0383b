"""Removal of containers without a worker. A worker killed with -9 leaves its container running; labels identify its
shard.

Removed are containers that an earlier try of the same shard left (when the next try begins), that a dead process of
this host left (when any step begins), and that belong to no running task (the DAG ``clipquarry_housekeeping``, which
asks Airflow).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound

from clipquarry_airflow.engine import PREFIX, deployment_of

_SHARD = ("dag", "run", "task", "map_index")


def shard_labels(data: str, context: Mapping[str, Any]) -> dict[str, str]:
    """Labels of a container: the deployment, the shard, and the process that waits for it."""
    ti = context["ti"]
    return {
        f"{PREFIX}deployment": deployment_of(data),
        f"{PREFIX}dag": str(ti.dag_id),
        f"{PREFIX}run": str(ti.run_id),
        f"{PREFIX}task": str(ti.task_id),
        f"{PREFIX}map_index": str(ti.map_index),
        f"{PREFIX}try": str(ti.try_number),
        f"{PREFIX}host": socket.gethostname(),
        f"{PREFIX}process": process_mark(os.getpid()) or "",
    }


def process_mark(pid: int) -> str | None:
    """A process and its start time (numbers are reused); None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else f"{pid}:{fields[19]}"


def containers_of(cli: Any, deployment: str) -> list[tuple[str, dict[str, str]]]:
    """Id and our labels (without the prefix) of all containers of a deployment, running or not."""
    found = cli.containers(all=True, filters={"label": f"{PREFIX}deployment={deployment}"})
    return [
        (one["Id"], {k.removeprefix(PREFIX): v for k, v in one["Labels"].items() if k.startswith(PREFIX)})
        for one in found
    ]


def remove_container(cli: Any, container: str) -> None:
    """Remove a container, running or not. One that is gone already, or is going, is no error."""
    try:
        cli.remove_container(container, force=True, v=True)
    except NotFound:
        pass
    except APIError as error:
        if error.response is None or error.response.status_code != 409:  # another process removes it
            raise


def _is_left(theirs: Mapping[str, str], ours: Mapping[str, str]) -> bool:
    if all(theirs.get(key) == ours[key] for key in _SHARD):
        return True  # an earlier try of our shard: two must not work on it
    if theirs.get("host") != ours["host"]:
        return False
    mark = theirs.get("process", "")
    pid = mark.partition(":")[0]
    return not pid.isdigit() or process_mark(int(pid)) != mark


def remove_orphans(cli: Any, labels: Mapping[str, str], log: Any) -> list[str]:
    """Before a step begins, remove what earlier tries of the shard and dead processes of this host left. Returns the
    ids.
    """
    ours = {k.removeprefix(PREFIX): v for k, v in labels.items()}
    removed = []
    for container, theirs in containers_of(cli, ours["deployment"]):
        if _is_left(theirs, ours):
            log.info(
                "Removing a container that a killed worker left: %s %s", theirs.get("task"), theirs.get("map_index")
            )
            remove_container(cli, container)
            removed.append(container)
    return removed


States = Callable[[str, str], Mapping[str, str]]
"""(dag id, run id) to the states of its task instances, keyed ``task`` or ``task_{map index}``."""

_ALIVE = frozenset({"running", "restarting"})


def remove_ended(cli: Any, deployment: str, states: States, log: Any) -> list[str]:
    """Remove containers of tasks that do not run: cancelled, failed, or of deleted runs. Returns the ids."""
    known: dict[tuple[str, str], Mapping[str, str]] = {}
    removed = []
    for container, labels in containers_of(cli, deployment):
        run = (labels.get("dag", ""), labels.get("run", ""))
        if run not in known:
            known[run] = states(*run)
        index = labels.get("map_index", "-1")
        task = labels.get("task", "") + ("" if index == "-1" else f"_{index}")
        if known[run].get(task) not in _ALIVE:
            log.info("Removing the container of %s %s %s, which does not run.", *run, task)
            remove_container(cli, container)
            removed.append(container)
    return removed
