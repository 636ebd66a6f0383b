"""The real Docker engine of this machine, and the image that steps run in."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import clipyard
import pytest

PROJECT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def docker_engine() -> str:
    """The engine's version; a test that needs one is skipped where none answers."""
    if shutil.which("docker") is None:
        pytest.skip("There is no docker client here: the docker runtime is not tested.")
    asked = subprocess.run(["docker", "version", "--format", "{{.Server.Version}}"], text=True, capture_output=True)
    if asked.returncode != 0:
        pytest.skip("No Docker engine answers here: the docker runtime is not tested.")
    return asked.stdout.strip()


@pytest.fixture(scope="session")
def media_image(docker_engine: str) -> str:
    """The image of today's code (built when the code changed since)."""
    built = subprocess.run(
        [PROJECT / "docker" / "images.sh", "media"], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if built.returncode != 0:
        last = built.stdout.strip().splitlines()[-1]
        if os.environ.get("CI"):
            pytest.fail(f"the media image cannot be built: {built.stdout[-3000:]}")
        pytest.skip(f"The media image cannot be built here: {last}")
    return f"clipyard-media:{clipyard.__version__}"


def containers(**labels: str) -> list[str]:
    """Ids of all containers with our labels, running or not."""
    filters = [f"--filter=label=org.clipyard.{name}={value}" for name, value in labels.items()]
    asked = ["docker", "ps", "--all", "--quiet", "--no-trunc", *(filters or ["--filter=label=org.clipyard.dag"])]
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    return subprocess.run(asked, text=True, capture_output=True, check=True, env=environment).stdout.split()
