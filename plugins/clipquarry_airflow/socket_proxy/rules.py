"""Rules for a worker's requests to the engine. A process with the engine's socket controls the host, so requests are
rebuilt instead of filtered.

A request is one of a short list. Its path and body are written again from their parsed form, so that nothing that
the engine would read differently (names in another case, repeated names, odd paths, an old version of the API)
reaches it. A container is queried only after its labels show that it is a step of this deployment. A container is
created only as this deployment's operator creates it: every field is known from the deployment's own settings,
except the step's arguments, its environment and the values of our labels.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import parse_qsl, quote, urlencode

from clipquarry.errors import UserError
from clipquarry.steps.registry import STEPS

from clipquarry_airflow.containers import ContainerSettings
from clipquarry_airflow.engine import LABELS, PREFIX, DockerSettings, confinement, deployment_of, device_requests

MOST_BYTES = 100_000
"""Bytes of a body; the operator sends one to two thousand."""
_PATH = re.compile(
    r"(?P<version>/v1\.[0-9]{1,3})?/(?:(?P<about>_ping|version)|(?P<list>images|containers)/json|containers/(?P<create>create)"
    r"|containers/(?P<id>[0-9a-f]{12,64})(?:/(?P<verb>json|logs|attach|start|wait|stop|kill))?)"
)
_OLDEST = 25
"""Before API 1.24 the engine accepts a container's host configuration again at its start; before 1.25 it knows no
mounts.
"""
_HOST = ("/proc", "/sys", "/dev", "/run", "/var/run", "/var/lib/docker")
"""Folders that give control of the host."""
_QUERIES: dict[str, frozenset[str]] = {
    "about": frozenset(),
    "images": frozenset({"only_ids", "all", "filters"}),
    "containers": frozenset({"limit", "all", "size", "trunc_cmd", "filters"}),
    "create": frozenset(),
    "json": frozenset({"size"}),
    "logs": frozenset({"stdout", "stderr", "follow", "timestamps", "tail", "since", "until"}),
    "attach": frozenset({"logs", "stdout", "stderr", "stream"}),
    "start": frozenset(),
    "wait": frozenset({"condition"}),
    "stop": frozenset({"t"}),
    "kill": frozenset({"signal"}),
    "remove": frozenset({"v", "force", "link"}),
}
_METHODS = {
    "about": ("GET", "HEAD"),
    "images": ("GET",),
    "containers": ("GET",),
    "json": ("GET",),
    "logs": ("GET",),
    "remove": ("DELETE",),
}
_VALUE = re.compile(r"[A-Za-z0-9_.:-]{0,64}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=[^\x00]*", re.DOTALL)

_NEUTRAL: dict[str, Any] = {
    "ExposedPorts": {}, "Tty": False, "OpenStdin": False, "StdinOnce": False, "AttachStdin": False, "AttachStdout": True,
    "AttachStderr": True, "NetworkDisabled": False,
}  # fmt: skip
_NEUTRAL_HOST: dict[str, Any] = {"PortBindings": {}, "Ulimits": [], "LogConfig": {"Type": None, "Config": {}}}
"""Further fields that docker-py always sends: names that may be absent, with the one value that they may have."""
_WORDS = {
    "read_only": "ReadonlyRootfs", "cap_drop": "CapDrop", "security_opt": "SecurityOpt", "pids_limit": "PidsLimit", "tmpfs": "Tmpfs",
    "mem_limit": "Memory", "memswap_limit": "MemorySwap", "nano_cpus": "NanoCpus",
}  # fmt: skip
"""docker-py's names of :func:`~clipquarry_airflow.engine.confinement` to the engine's."""


class Refused(Exception):
    """A request that is not passed on. The message names the refused piece, and never repeats a value from outside."""


@dataclass(frozen=True)
class Request:
    """The request to send to the engine. ``container`` must first be verified as ours; ``target`` has a placeholder
    for its full id.
    """

    method: str
    target: str
    body: bytes = b""
    container: str = ""
    upgrade: bool = False

    def of(self, container: str) -> str:
        """The target for the container with this full id."""
        return self.target.replace("{id}", container)


@dataclass(frozen=True)
class Rules:
    """The deployment's own settings, as its workers have them. ``root`` is the data root in workers and steps."""

    root: Path
    docker: DockerSettings
    limits: Mapping[str, ContainerSettings]

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Rules:
        """Raises UserError for settings that would give a step more than its own folders."""
        root = Path(environ.get("CLIPQUARRY_DATA") or "/data")
        docker = DockerSettings.from_env(root, environ)
        if docker.network == "host" or ":" in docker.network:
            raise UserError(
                f"CLIPQUARRY_DOCKER_NETWORK is '{docker.network}'; the proxy passes no network of the host or of another container."
            )
        sources = [source for source, _, _ in docker.folders(root)]
        for source in sources:
            if source.startswith("/") and any(
                Path(source).is_relative_to(one) or Path(one).is_relative_to(source) for one in _HOST
            ):
                raise UserError(f"A step would get {source} of the host; no step may have that folder.")
            # A step that may write the upper folder can create a link there, which the engine would follow to anywhere
            # on its host.
            if any(other != source and source.startswith(f"{other}/") for other in sources):
                raise UserError(f"{source} lies in another folder that steps have; name folders side by side.")
        return cls(root, docker, {step: ContainerSettings.from_env(step, environ) for step in STEPS})

    @property
    def deployment(self) -> str:
        """The label's value that all containers of this deployment carry."""
        return deployment_of(self.docker.data)

    @property
    def images(self) -> frozenset[str]:
        """The images that steps may run in."""
        return frozenset(limits.image for limits in self.limits.values())

    def owns(self, container: Any) -> bool:
        """Whether the engine's description of a container is that of a step of this deployment."""
        labels = (container.get("Config") or {}).get("Labels") or {}
        return bool(labels.get(f"{PREFIX}deployment") == self.deployment)

    def request(self, method: str, target: str, body: bytes) -> Request:
        """The request for the engine; raises :class:`Refused`."""
        path, _, query = target.partition("?")
        found = _PATH.fullmatch(path)
        if found is None:
            raise Refused("this path")
        version = found["version"] or ""
        if version and int(version.removeprefix("/v1.")) < _OLDEST:
            raise Refused(f"a version of the API before 1.{_OLDEST}")
        kind = "about" if found["about"] else found["list"] or found["create"] or found["verb"] or "remove"
        if method not in _METHODS.get(kind, ("POST",)):
            raise Refused(f"this method for {kind}")
        asked = _query(kind, query)
        if kind == "create":
            return Request(method, f"{version}/containers/create", self.creates(_object(body, "the body")))
        if body.strip() not in (b"", b"{}", b"null"):
            raise Refused(f"a body for {kind}")
        if kind == "about":
            return Request(method, f"{version}/{found['about']}")
        if found["list"]:
            asked["filters"] = json.dumps(self._filters(kind, asked.get("filters", "")))
            return Request(method, f"{version}/{kind}/json?{urlencode(asked)}")
        verb = "" if kind == "remove" else f"/{kind}"
        text = f"?{urlencode(asked, quote_via=quote)}" if asked else ""
        return Request(
            method, f"{version}/containers/{{id}}{verb}{text}", container=found["id"], upgrade=kind == "attach"
        )

    def _filters(self, kind: str, text: str) -> dict[str, list[str]]:
        """Filters of the request: for containers always this deployment's; for images one of ours by its name."""
        given = _object(text.encode(), "filters") if text else {}
        known = "label" if kind == "containers" else "reference"
        values = given.pop(known, [])
        if given or not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise Refused(f"filters other than {known}")
        if kind == "containers":
            return {known: [*values, f"{PREFIX}deployment={self.deployment}"]}
        if not values or not set(values) <= self.images:
            raise Refused("images that are not those of steps")
        return {known: values}

    def creates(self, body: dict[str, Any]) -> bytes:
        """The rebuilt body that creates a step's container."""
        command = body.get("Cmd")
        if not _texts(command) or len(command) < 2 or command[0] != "step" or command[1] not in STEPS:
            raise Refused("Cmd: it is not 'step' and the name of a step")
        limits = self.limits[command[1]]
        labels = body.get("Labels")
        if (
            not isinstance(labels, dict)
            or set(labels) != {f"{PREFIX}{name}" for name in LABELS}
            or not _texts(list(labels.values()))
        ):
            raise Refused("Labels: they are not those of a step")
        variables = body.get("Env")
        if not _texts(variables) or not all(_VARIABLE.fullmatch(text) for text in variables):
            raise Refused("Env: it is not a list of NAME=value")
        host = body.get("HostConfig")
        if not isinstance(host, dict):
            raise Refused("HostConfig: it is missing")
        _only(labels, {f"{PREFIX}deployment": self.deployment}, dict.fromkeys(labels), "Labels")
        own = {"Cmd": command, "Labels": labels, "Env": variables, "HostConfig": host}
        _only(body, {"Image": limits.image, "User": self.docker.user, **own}, _NEUTRAL, "the body")
        _only(host, self._host(limits, host), _NEUTRAL_HOST, "HostConfig")
        return json.dumps(body).encode()

    def _host(self, limits: ContainerSettings, given: Mapping[str, Any]) -> dict[str, Any]:
        """The required host configuration of the step's container."""
        wanted = {_WORDS[name]: value for name, value in confinement(limits).items()}
        wanted["NetworkMode"] = self.docker.network if limits.network else "none"
        wanted["CpuShares"] = round((limits.cpus or 1.0) * 1024)
        wanted["Mounts"] = [
            {
                "Target": target,
                "Source": source,
                "Type": "bind" if source.startswith("/") else "volume",
                "ReadOnly": fixed,
            }
            for source, target, fixed in self.docker.folders(self.root)
        ]
        if requests := device_requests(limits.gpus):
            wanted["DeviceRequests"] = requests
        return wanted


def _only(given: Mapping[str, Any], wanted: Mapping[str, Any], neutral: Mapping[str, Any], where: str) -> None:
    """Every wanted name has its value, and no other name is there except neutral ones (None: any value) with theirs."""
    for name, value in wanted.items():
        if name not in given or not _same(given[name], value):
            raise Refused(f"{where}: {name} is not what the deployment's settings say")
    for name in given.keys() - wanted.keys():
        if name not in neutral or not (neutral[name] is None or _same(given[name], neutral[name])):
            raise Refused(f"{where}: {name[:40]!r}")


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 differs from true, and 0 from false."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _texts(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _query(kind: str, text: str) -> dict[str, str]:
    try:
        given = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=20)
    except ValueError:
        raise Refused(f"the query of {kind}") from None
    asked = dict(given)
    if len(asked) != len(given) or not set(asked) <= _QUERIES[kind]:
        raise Refused(f"the query of {kind}")
    if not all(name == "filters" or _VALUE.fullmatch(value) for name, value in asked.items()):
        raise Refused(f"a value in the query of {kind}")
    return asked


def _object(text: bytes, what: str) -> dict[str, Any]:
    """A JSON object without repeated names."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise Refused(f"{what}: a name stands twice")
        return dict(pairs)

    try:
        found = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Refused(f"{what}: it is not JSON") from None
    if not isinstance(found, dict):
        raise Refused(f"{what}: it is not a JSON object")
    return found
