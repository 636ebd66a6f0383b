"""The ``docker`` runtime: a step is a container, created by Airflow's DockerOperator and confined further than its
arguments allow.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipquarry.errors import UserError
from clipquarry.settings import DataRoot, Settings
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, Mount

from clipquarry_airflow.containers import ContainerSettings, read_params, step_environment
from clipquarry_airflow.engine import DockerSettings, confinement, device_requests, engine_is_ours
from clipquarry_airflow.folders import check_folders, loopback
from clipquarry_airflow.operators.step import StepOperator
from clipquarry_airflow.orphans import remove_container, remove_orphans, shard_labels

GRACE_SECONDS = 3
"""Seconds between SIGTERM and SIGKILL when a task is cancelled; a step ends itself within three seconds."""


def _bind(source: str, target: str, *, read_only: bool = False) -> Mount:
    return Mount(target=target, source=source, type="bind" if source.startswith("/") else "volume", read_only=read_only)


def _arguments(request: Mapping[str, Any]) -> dict[str, Any]:
    """The engine's terms as docker-py's."""
    return {"count": request["Count"], "device_ids": request["DeviceIDs"], "capabilities": request["Capabilities"]}


class _Confining:
    """The engine's client; what it creates gets the limits that DockerOperator has no argument for."""

    def __init__(self, client: Any, host_config: Mapping[str, Any]) -> None:
        self._client, self._host_config = client, host_config

    def create_host_config(self, **given: Any) -> Any:
        return self._client.create_host_config(**{**given, **self._host_config})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class DockerStepOperator(StepOperator, DockerOperator):  # type: ignore[misc]  # theirs returns its output
    """Runs the step in a container: read-only root, no capabilities, no new privileges, no network unless the step
    needs one.

    The data root is mounted at the worker's path, so that both name the same files.
    """

    template_fields = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            image="chosen when the task runs", mount_tmp_dir=False, auto_remove="never", retrieve_output=False, **kwargs
        )
        self._host_config: dict[str, Any] = {}
        self._shard: dict[str, str] = {}
        self._cancelled = False

    @property
    def where(self) -> str:
        return f"docker ({self.image})"

    @property
    def cli(self) -> Any:
        return _Confining(self.hook.api_client, self._host_config)

    def run_step(self, data: Path, context: Context) -> tuple[int, str]:
        limits = ContainerSettings.from_env(self.step)
        self.jobs = limits.jobs(self.jobs)
        self._configure(limits, DockerSettings.from_env(data), data, context)
        try:
            self.hook.api_client.ping()
        except (AirflowException, DockerException, OSError) as error:
            engine = os.environ.get("DOCKER_HOST") or "/var/run/docker.sock"
            raise AirflowException(
                f"No Docker engine answers at {engine} ({error}): start it, or set CLIPQUARRY_RUNTIME=process."
            ) from None
        try:
            remove_orphans(self.cli, self._shard, self.log)
            return self._run(limits)
        except DockerException as error:
            if self._cancelled:
                raise AirflowException("The step was cancelled.") from None
            raise _explained(error, self.image) from None
        finally:
            self._remove()

    def _configure(self, limits: ContainerSettings, docker: DockerSettings, data: Path, context: Context) -> None:
        params = read_params(data / self.job["params"])
        if (
            limits.network
            and docker.network != "host"
            and engine_is_ours()
            and (address := loopback(params, os.environ))
        ):
            raise UserError(
                f"{address} is an address of this machine, which a container does not reach: set CLIPQUARRY_DOCKER_NETWORK=host, or give another."
            )
        check_folders(
            params, data, docker.targets,
            places="CLIPQUARRY_EXTRA_ROOTS (to write) or CLIPQUARRY_DOCKER_MOUNTS (to read)",
        )  # fmt: skip
        self.image, self.command, self.user = limits.image, self.argv(data), docker.user
        self.network_mode = docker.network if limits.network else "none"
        self.environment = step_environment(data / self.job["params"], data) | limits.environment
        self.mounts = [_bind(source, target, read_only=fixed) for source, target, fixed in docker.folders(data)]
        models = DataRoot(data).models
        # No step writes weights. A proxy passes no folder below the data root: it cannot tell where a link there leads on the host.
        if docker.data.startswith("/") and models.is_dir() and engine_is_ours():
            self.mounts.append(_bind(f"{docker.data}/{models.relative_to(data)}", str(models), read_only=True))
        cookies = Settings.from_env().cookies
        if (
            cookies is not None
            and limits.network
            and not any(cookies.is_relative_to(t) for _, t in docker.mounts + docker.roots)
        ):
            self.mounts.append(_bind(str(cookies.absolute()), str(cookies.absolute()), read_only=True))
        self.device_requests = [DeviceRequest(**_arguments(one)) for one in device_requests(limits.gpus)] or None
        self.labels = self._shard = shard_labels(docker.data, context)
        self.cpus = limits.cpus or 1.0
        self._host_config = confinement(limits)

    def _run(self, limits: ContainerSettings) -> tuple[int, str]:
        try:
            DockerOperator.execute(self, {})
        except DockerContainerFailedException:
            state = self.cli.inspect_container(self.container["Id"])["State"]
            why = ""
            if state.get("OOMKilled"):
                size = f"{limits.memory // 2**20} MiB" if limits.memory else "no limit of its own"
                why = (
                    f"The container ran out of memory ({size}): "
                    f"give the step more with CLIPQUARRY_MEMORY_{self.step.upper()}, or ask for fewer jobs."
                )
            elif state.get("Error"):
                why = f"The container could not run: {state['Error']}."
            return int(state["ExitCode"]), why
        return 0, ""

    def _remove(self) -> None:
        if self.container is not None:
            remove_container(self.cli, self.container["Id"])

    def on_kill(self) -> None:
        """Cancelled or timed out: the container is asked to end, and removed."""
        self._cancelled = True
        if self.container is not None:
            self.log.info("Stopping the step's container.")
            try:
                self.cli.stop(self.container["Id"], timeout=GRACE_SECONDS)
            except NotFound:
                pass
            finally:
                self._remove()


def _explained(error: DockerException, image: str) -> AirflowException:
    """One sentence for the engine's error; an error of the set-up is not retried."""
    said = str(getattr(error, "explanation", None) or error).strip().rstrip(".")
    if isinstance(error, ImageNotFound) or any(
        word in said for word in ("pull access", "registry", "manifest unknown")
    ):
        make = "docker/images.sh detect" if image.startswith("clipquarry-detect:") else "make images"
        return AirflowFailException(
            f"The image {image} is not on the Docker engine and cannot be pulled ({said[:300]}): run '{make}', or let "
            "CLIPQUARRY_IMAGE (CLIPQUARRY_IMAGE_DETECT for the step detect) name one that is."
        )
    if "could not select device driver" in said:
        return AirflowFailException(
            f"The Docker engine has no GPUs to give ({said[:300]}): install NVIDIA's container toolkit there, or unset CLIPQUARRY_GPUS."
        )
    if "bind source path does not exist" in said or "bind mount" in said:
        return AirflowFailException(
            f"The Docker engine does not find a folder to mount ({said[:300]}): CLIPQUARRY_DOCKER_DATA, CLIPQUARRY_DOCKER_MOUNTS "
            "and CLIPQUARRY_COOKIES name paths of the engine's host."
        )
    status = getattr(getattr(error, "response", None), "status_code", 500)
    kind = AirflowFailException if 400 <= status < 500 else AirflowException
    return kind(f"The Docker engine refuses to run {image}: {said[:500]}.")
