"""Contents of a step's container: image, limits, mounts, environment. The same for Docker and Kubernetes, from
``CLIPQUARRY_*``.

Read from the worker's environment when the task runs, so that a changed limit needs no parsing of DAGs.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clipquarry
from clipquarry.errors import UserError
from clipquarry.steps.registry import STEPS

# The grammar of https://pkg.go.dev/github.com/distribution/reference: [host[:port]/]path[:tag][@digest]
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?[a-z0-9]+(?:(?:\.|__?|-+|/)[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_BYTES = re.compile(r"([0-9]+)([kmg])", re.IGNORECASE)
_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_ALWAYS = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "YTDLP_NO_PLUGINS")
_GPUS = re.compile(r"all|[1-9][0-9]{0,2}|device=[A-Za-z0-9-]+(?:,[A-Za-z0-9-]+)*")
BYTES_PER_JOB = 512 * 2**20
"""Memory that one download or encode may need (a 1080p encode needed 300 MiB); a smaller limit reduces ``--jobs``."""


def _setting(environ: Mapping[str, str], name: str, step: str) -> tuple[str, str]:
    """The variable that applies and its value: ``CLIPQUARRY_{name}_{STEP}``, else ``CLIPQUARRY_{name}``, else an
    empty text.
    """
    variable = f"CLIPQUARRY_{name}_{step.upper()}"
    variable = variable if environ.get(variable) else f"CLIPQUARRY_{name}"
    return variable, environ.get(variable, "")


@dataclass(frozen=True)
class ContainerSettings:
    """One step's container. ``memory`` in bytes and ``cpus`` in cores, None: no limit.

    ``gpus``: ``all``, a number of them, or ``device=0,2``; empty: none.
    """

    step: str
    image: str
    memory: int | None = None
    cpus: float | None = None
    gpus: str = ""
    device: str = ""
    """``CLIPQUARRY_DEVICE`` of the worker, for a step that computes on a GPU."""

    @classmethod
    def from_env(cls, step: str, environ: Mapping[str, str] = os.environ) -> ContainerSettings:
        variable, image = _setting(environ, "IMAGE", step)
        gpu, own = STEPS[step].gpu, STEPS[step].image
        if own != "media" and not variable.endswith(step.upper()):
            image = ""  # the other steps' image lacks what this one needs
        image = image or f"clipquarry-{own}:{clipquarry.__version__}"
        if not _IMAGE.fullmatch(image):
            raise UserError(f"{variable} is {image!r}, which is no name of an image; write registry/name:tag.")
        limits = _memory(*_setting(environ, "MEMORY", step)), _cpus(*_setting(environ, "CPUS", step))
        if not gpu:
            return cls(step, image, *limits)
        return cls(step, image, *limits, _gpus(environ), environ.get("CLIPQUARRY_DEVICE", ""))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the step itself. PyTorch sees the machine's cores instead of the container's, so it is given
        the limit.
        """
        threads = str(math.ceil(self.cpus)) if self.cpus is not None and STEPS[self.step].gpu else ""
        return {
            name: value for name, value in (("OMP_NUM_THREADS", threads), ("CLIPQUARRY_DEVICE", self.device)) if value
        }

    @property
    def network(self) -> bool:
        """Whether the step has a network."""
        return STEPS[self.step].network

    def gpu_number(self) -> str:
        """Number of GPUs of a pod: a cluster allocates them by number."""
        if not self.gpus.isdigit():
            raise UserError(f"CLIPQUARRY_GPUS is '{self.gpus}'; for pods write a number of GPUs, such as 1.")
        return self.gpus

    def jobs(self, asked: int) -> int:
        """Parallel items that the limits allow, at most what the run asks for."""
        fits = [asked]
        if self.cpus is not None:
            fits.append(math.ceil(self.cpus))
        if self.memory is not None:
            fits.append(self.memory // BYTES_PER_JOB)
        return max(1, min(fits))


def _gpus(environ: Mapping[str, str]) -> str:
    text = environ.get("CLIPQUARRY_GPUS", "").strip()
    if text and not _GPUS.fullmatch(text):
        raise UserError(f"CLIPQUARRY_GPUS is '{text}'; write all, a number, or device=0,2.")
    return text


def _memory(variable: str, text: str) -> int | None:
    if not text:
        return None
    found = _BYTES.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2].lower()] if found else 0
    if size < 64 * 2**20:
        raise UserError(f"{variable} is '{text}'; write 512m or 4g (at least 64m).")
    return size


def _cpus(variable: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1024:
        raise UserError(f"{variable} is '{text}'; write a number of cores, such as 2 or 0.5.")
    return value


def read_params(params_file: Path) -> dict[str, Any]:
    """The step's own parameters."""
    try:
        found: dict[str, Any] = json.loads(params_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"{params_file} cannot be read: {error.strerror}. Clear the task 'plan': it writes it."
        ) from error
    except ValueError as error:
        raise UserError(f"{params_file} is no JSON. Clear the task 'plan': it writes it.") from error
    return found


def step_environment(params_file: Path, data: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of a container: those that the step's own parameters name (``${CLIPQUARRY_MIRROR}``, the password of
    its archive), and proxies.

    It gets nothing else of the worker's environment, which contains the addresses of Airflow's database and of the
    ledger.
    """
    # Only from the YAML's addresses: a value in the trigger form must not name a secret.
    params = read_params(params_file)
    named = _VARIABLE.findall(json.dumps(params.get("sources", [])))
    password = (params.get("archive") or {}).get("password_env")  # the step's file has the name, never the password
    if password and environ.get(password):
        from airflow.sdk.log import mask_secret

        mask_secret(environ[password], password)  # the provider of Kubernetes logs pods where the level is DEBUG
        named.append(password)
    passed = {name: environ[name] for name in (*named, *_ALWAYS) if environ.get(name)}
    return {**passed, "CLIPQUARRY_DATA": str(data), "HOME": "/tmp", "USER": "clipquarry"}  # noqa: S108  its own tmpfs
