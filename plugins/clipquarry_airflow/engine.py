"""A step's container in terms of the Docker engine: mounts, user, confinement.

The operator requests it, and the proxy before the engine's socket (:mod:`clipquarry_airflow.socket_proxy`) passes
this and nothing else. The module needs no package, because the proxy's image has Python alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError

from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.folders import Pair, extra_roots, pairs

PREFIX = "org.clipquarry."
LABELS = ("deployment", "dag", "run", "task", "map_index", "try", "host", "process")
"""The labels of a step's container, without the prefix."""
PIDS = 512
TMP_BYTES = 256 * 2**20
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_USER = re.compile(r"[0-9]{1,10}:[0-9]{1,10}")


def deployment_of(data: str) -> str:
    """Distinguishes deployments on one engine by their data root (as the engine knows it)."""
    return hashlib.sha256(data.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class DockerSettings:
    """Mounts and user of steps on the engine.

    ``data`` is the data root as the engine knows it (a folder of its host, or a volume). ``mounts`` are read-only
    and ``roots`` writable (source, target) pairs; ``user`` is ``uid:gid``.
    """

    data: str
    mounts: tuple[Pair, ...]
    user: str
    network: str
    roots: tuple[Pair, ...] = ()

    @classmethod
    def from_env(cls, root: Path, environ: Mapping[str, str] = os.environ) -> DockerSettings:
        data = environ.get("CLIPQUARRY_DOCKER_DATA") or str(root)
        if not data.startswith("/") and not _VOLUME.fullmatch(data):
            raise UserError(
                f"CLIPQUARRY_DOCKER_DATA is '{data}'; write an absolute path of the engine's host or a volume's name."
            )
        user = environ.get("CLIPQUARRY_DOCKER_USER") or f"{os.getuid()}:{os.getgid()}"
        if not _USER.fullmatch(user):
            raise UserError(f"CLIPQUARRY_DOCKER_USER is '{user}'; write two numbers, uid:gid, such as 1000:1000.")
        return cls(
            data=data,
            mounts=pairs("CLIPQUARRY_DOCKER_MOUNTS", environ, root),
            user=user,
            network=environ.get("CLIPQUARRY_DOCKER_NETWORK") or "bridge",
            roots=extra_roots(root, environ),
        )

    def folders(self, root: Path) -> list[tuple[str, str, bool]]:
        """Source, target and read-only flag of the folders that every step's container has."""
        return [
            (self.data, str(root), False),
            *((source, target, False) for source, target in self.roots),
            *((source, target, True) for source, target in self.mounts),
        ]

    @property
    def targets(self) -> tuple[str, ...]:
        """The folders that a step has besides the data root."""
        return tuple(target for _, target in (*self.roots, *self.mounts))


def engine_is_ours(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the worker has the engine's socket itself, instead of a proxy or a remote engine."""
    return (environ.get("DOCKER_HOST") or "unix://").startswith("unix://")


def confinement(limits: ContainerSettings) -> dict[str, Any]:
    """The host configuration of every step's container, in docker-py's names: no rights, a read-only root, hard
    limits.
    """
    config: dict[str, Any] = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": PIDS,
        "tmpfs": {"/tmp": f"size={TMP_BYTES},mode=1777"},  # noqa: S108  the container's own
    }
    if limits.memory is not None:
        config |= {"mem_limit": limits.memory, "memswap_limit": limits.memory}  # no swap in addition
    if limits.cpus is not None:
        config["nano_cpus"] = int(limits.cpus * 1e9)  # DockerOperator's cpus is only a share
    return config


def device_requests(asked: str) -> list[dict[str, Any]]:
    """GPUs in the engine's terms, for ``all``, a number, or ``device=0,2``; none for an empty text."""
    if not asked:
        return []
    ids = asked.removeprefix("device=").split(",") if asked.startswith("device=") else []
    count = 0 if ids else -1 if asked == "all" else int(asked)
    return [{"Driver": "", "Count": count, "DeviceIDs": ids, "Capabilities": [["gpu"]], "Options": {}}]
