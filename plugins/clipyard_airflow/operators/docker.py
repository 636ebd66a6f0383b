"""The ``docker`` runtime: a step is a container, made by Airflow's DockerOperator and confined beyond what it has arguments for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.providers.docker.exceptions import DockerContainerFailedException
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk.definitions.context import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from clipyard.errors import UserError
from clipyard.settings import PRIVATE, Settings
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, Mount

from clipyard_airflow.containers import ContainerSettings, step_environment
from clipyard_airflow.operators.step import StepOperator
from clipyard_airflow.orphans import remove_container, remove_orphans, shard_labels

GRACE_SECONDS = 3
"""Between SIGTERM and SIGKILL when a task is cancelled; a step ends itself within three seconds."""
PIDS = 512
TMP_BYTES = 256 * 2**20
_VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]+")
_USER = re.compile(r"[0-9]{1,10}:[0-9]{1,10}")


@dataclass(frozen=True)
class DockerSettings:
    """Where the engine finds the workspace, and as whom steps work.

    ``data`` is the data root as the engine knows it (a folder of its host, or a volume); ``mounts`` are read-only
    (source, target) pairs; ``user`` is ``uid:gid``.
    """

    data: str
    mounts: tuple[tuple[str, str], ...]
    user: str
    network: str

    @classmethod
    def from_env(cls, root: Path, environ: Mapping[str, str] = os.environ) -> DockerSettings:
        data = environ.get("CLIPYARD_DOCKER_DATA") or str(root)
        if not data.startswith("/") and not _VOLUME.fullmatch(data):
            raise UserError(
                f"CLIPYARD_DOCKER_DATA is '{data}'; write an absolute path of the engine's host or a volume's name."
            )
        user = environ.get("CLIPYARD_DOCKER_USER") or f"{os.getuid()}:{os.getgid()}"
        if not _USER.fullmatch(user):
            raise UserError(f"CLIPYARD_DOCKER_USER is '{user}'; write two numbers, uid:gid, such as 1000:1000.")
        return cls(
            data=data,
            mounts=tuple(_mount(text) for text in environ.get("CLIPYARD_DOCKER_MOUNTS", "").split(",") if text.strip()),
            user=user,
            network=environ.get("CLIPYARD_DOCKER_NETWORK") or "bridge",
        )


def _mount(text: str) -> tuple[str, str]:
    source, colon, target = text.strip().partition(":")
    target = target if colon else source
    if (
        not target.startswith("/")
        or ".." in Path(target).parts
        or not (source.startswith("/") or _VOLUME.fullmatch(source))
    ):
        raise UserError(
            f"CLIPYARD_DOCKER_MOUNTS holds '{text.strip()}'; write /folder or SOURCE:/folder, separated by commas."
        )
    if "docker.sock" in source:
        raise UserError("CLIPYARD_DOCKER_MOUNTS names the engine's socket; a step must never have it.")
    return source, target


def _bind(source: str, target: str, *, read_only: bool = False) -> Mount:
    return Mount(target=target, source=source, type="bind" if source.startswith("/") else "volume", read_only=read_only)


def _gpus(asked: str) -> list[DeviceRequest] | None:
    """The engine's words for ``all``, a number, or ``device=0,2``."""
    if not asked:
        return None
    if asked.startswith("device="):
        return [DeviceRequest(device_ids=asked.removeprefix("device=").split(","), capabilities=[["gpu"]])]
    return [DeviceRequest(count=-1 if asked == "all" else int(asked), capabilities=[["gpu"]])]


class _Confining:
    """The engine's client; what is made through it gets the limits that DockerOperator has no argument for."""

    def __init__(self, client: Any, host_config: Mapping[str, Any]) -> None:
        self._client, self._host_config = client, host_config

    def create_host_config(self, **given: Any) -> Any:
        return self._client.create_host_config(**{**given, **self._host_config})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class DockerStepOperator(StepOperator, DockerOperator):  # type: ignore[misc]  # theirs returns its output
    """Runs the step in a container: read-only root, no capabilities, no new privileges, no network unless the step needs one.

    The data root is mounted at the path it has in the worker, so that both speak of the same files.
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
                f"No Docker engine answers at {engine} ({error}): start it, or set CLIPYARD_RUNTIME=process."
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
        self.image, self.command, self.user = limits.image, self.argv(data), docker.user
        self.network_mode = docker.network if limits.network else "none"
        self.environment = step_environment(data / self.job["params"], data) | limits.environment
        self.mounts = [_bind(docker.data, str(data))]
        self.mounts += [_bind(source, target, read_only=True) for source, target in docker.mounts]
        models = data / PRIVATE / "models"
        if docker.data.startswith("/") and models.is_dir():  # no step writes weights
            self.mounts.append(_bind(f"{docker.data}/{PRIVATE}/models", str(models), read_only=True))
        cookies = Settings.from_env().cookies
        if cookies is not None and limits.network and not any(cookies.is_relative_to(t) for _, t in docker.mounts):
            self.mounts.append(_bind(str(cookies.absolute()), str(cookies.absolute()), read_only=True))
        self.device_requests = _gpus(limits.gpus)
        self.labels = self._shard = shard_labels(docker.data, context)
        self.mem_limit, self.cpus = limits.memory, limits.cpus or 1.0
        self._host_config = {
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "pids_limit": PIDS,
            "tmpfs": {"/tmp": f"size={TMP_BYTES},mode=1777"},  # noqa: S108  the container's own
        }
        if limits.memory is not None:
            self._host_config["memswap_limit"] = limits.memory  # no swap beside it
        if limits.cpus is not None:
            self._host_config["nano_cpus"] = int(limits.cpus * 1e9)  # DockerOperator's cpus is only a share

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
                    f"give the step more with CLIPYARD_MEMORY_{self.step.upper()}, or ask for fewer jobs."
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
    """One sentence for what the engine said; an error of the set-up is not retried."""
    said = str(getattr(error, "explanation", None) or error).strip().rstrip(".")
    if isinstance(error, ImageNotFound) or any(
        word in said for word in ("pull access", "registry", "manifest unknown")
    ):
        make = "docker/images.sh detect" if image.startswith("clipyard-detect:") else "make images"
        return AirflowFailException(
            f"The image {image} is not on the Docker engine and cannot be pulled ({said[:300]}): run '{make}', or let "
            "CLIPYARD_IMAGE (CLIPYARD_IMAGE_DETECT for the step detect) name one that is."
        )
    if "could not select device driver" in said:
        return AirflowFailException(
            f"The Docker engine has no GPUs to give ({said[:300]}): install NVIDIA's container toolkit there, or unset CLIPYARD_GPUS."
        )
    if "bind source path does not exist" in said or "bind mount" in said:
        return AirflowFailException(
            f"The Docker engine does not find a folder to mount ({said[:300]}): CLIPYARD_DOCKER_DATA, CLIPYARD_DOCKER_MOUNTS "
            "and CLIPYARD_COOKIES name paths of the engine's host."
        )
    status = getattr(getattr(error, "response", None), "status_code", 500)
    kind = AirflowFailException if 400 <= status < 500 else AirflowException
    return kind(f"The Docker engine refuses to run {image}: {said[:500]}.")
