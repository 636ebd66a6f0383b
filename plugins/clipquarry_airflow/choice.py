"""The runtime ``auto``: Docker if an engine answers and has the step's image, else a process of the worker; with the
reason.

The engine is asked without docker-py, whose import takes longer than the request: DAG files are parsed every few
minutes.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from clipquarry.errors import UserError

from clipquarry_airflow.code_digest import LABEL, code_digest
from clipquarry_airflow.containers import ContainerSettings, read_params
from clipquarry_airflow.engine import DockerSettings, engine_is_ours
from clipquarry_airflow.folders import check_folders, loopback

ENGINE_SECONDS = 3.0
SOCKET = "unix:///var/run/docker.sock"
PAGE_SECONDS = 10.0


@dataclass(frozen=True)
class Choice:
    """``docker`` or ``process``, and the reason in a few words that follow 'because'."""

    runtime: str
    why: str


def choose(step: str, environ: Mapping[str, str] = os.environ, *, for_page: bool = False) -> Choice:
    """Runtime of a step under ``auto``, as far as this machine decides it. ``for_page``: the engine's answer of a few seconds ago will do,
    because a DAG's page asks for each step of each DAG of the file; a task that begins asks itself.
    """
    if environ.get("CLIPQUARRY_FFMPEG"):
        return Choice("process", "CLIPQUARRY_FFMPEG names a program of this machine")
    if not engine_is_ours(environ) and not environ.get("CLIPQUARRY_DOCKER_DATA"):
        return Choice(
            "process",
            "DOCKER_HOST names an engine elsewhere, and CLIPQUARRY_DOCKER_DATA does not say where it has the data root",
        )
    if not _has_provider():
        return Choice("process", "apache-airflow-providers-docker is not installed")
    image = ContainerSettings.from_env(step, environ).image
    host = environ.get("DOCKER_HOST") or SOCKET
    found = _recently(host, image, int(time.monotonic() / PAGE_SECONDS)) if for_page else _answer(host, image)
    if isinstance(found, str):
        return Choice("process", f"no Docker engine answers ({found})")
    if not found:
        return Choice("process", f"the image {image} is not on the engine")
    if (found[0].get("Labels") or {}).get(LABEL) != code_digest():
        return Choice("process", f"the image {image} was made of other code than this; 'make images' makes it anew")
    return Choice("docker", f"an engine answers, and has {image}")


def choose_for(step: str, params_file: Path, data: Path, environ: Mapping[str, str] = os.environ) -> Choice:
    """The same for one shard: the worker itself does what only it can reach."""
    choice = choose(step, environ)
    if choice.runtime != "docker":
        return choice
    docker, params = DockerSettings.from_env(data, environ), read_params(params_file)
    if docker.network != "host" and (address := loopback(params, environ)):
        return Choice("process", f"{address} is an address of this machine, which a container does not reach")
    try:
        check_folders(params, data, docker.targets, environ, places="")
    except UserError as error:
        told = str(error).partition(": let ")[0]
        return Choice("process", told[:1].lower() + told[1:])
    return choice


@cache
def _has_provider() -> bool:
    """Checked by name, because importing the module would load Airflow."""
    try:
        return bool(version("apache-airflow-providers-docker"))
    except PackageNotFoundError:
        return False


class _Unix(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=ENGINE_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(ENGINE_SECONDS)
        self.sock.connect(self._path)


@lru_cache(maxsize=16)
def _recently(host: str, image: str, time_slot: int) -> list[dict[str, Any]] | str:
    """The same, asked once in a slot of time; nor is an engine that does not answer waited for once per step."""
    return _answer(host, image)


def _answer(host: str, image: str) -> list[dict[str, Any]] | str:
    """The engine's entries for the image, or why it gives none."""
    try:
        return _images(host, image)
    except (OSError, HTTPException, ValueError) as error:
        return str(error)


def _images(host: str, image: str) -> list[dict[str, Any]]:
    """The engine's entries for the image: none or one. Raises OSError, HTTPException or ValueError."""
    address = urlsplit(host)
    if address.scheme not in ("unix", "tcp", "http"):
        raise ValueError(f"'auto' does not ask by {address.scheme or 'this way'}")
    port = address.port or 2375
    engine = (
        _Unix(address.path)
        if address.scheme == "unix"
        else HTTPConnection(address.hostname or "", port, timeout=ENGINE_SECONDS)
    )
    try:
        engine.request("GET", f"/images/json?filters={quote(json.dumps({'reference': [image]}))}")
        answer = engine.getresponse()
        if answer.status != 200:
            raise ValueError(f"it answers with {answer.status}")
        found: list[dict[str, Any]] = json.loads(answer.read())
        return found
    finally:
        engine.close()
