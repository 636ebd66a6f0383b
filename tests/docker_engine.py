"""The real Docker engine of this machine, and the image that steps run in."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clipquarry
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


@contextmanager
def own_image(name: str) -> Iterator[str]:
    """An image of today's code (built when the code changed since), under a name of this test process's own."""
    tag = f"{clipquarry.__version__}-test-{os.getpid()}"
    built = subprocess.run(
        [PROJECT / "docker" / "images.sh", name], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "TAG": tag},
    )  # fmt: skip
    if built.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"the image {name} cannot be built: {built.stdout[-3000:]}")
        pytest.skip(f"The image {name} cannot be built here: {built.stdout.strip().splitlines()[-1]}")
    try:
        yield f"clipquarry-{name}:{tag}"
    finally:
        subprocess.run(["docker", "image", "rm", f"clipquarry-{name}:{tag}"], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="session")
def media_image(docker_engine: str) -> Iterator[str]:
    """The image that steps run in, for the whole of this process: steps in containers take it instead of the released one."""
    with own_image("media") as image, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLIPQUARRY_IMAGE", image)
        yield image


def containers(**labels: str) -> list[str]:
    """Ids of all containers with our labels, running or not."""
    filters = [f"--filter=label=org.clipquarry.{name}={value}" for name, value in labels.items()]
    asked = ["docker", "ps", "--all", "--quiet", "--no-trunc", *(filters or ["--filter=label=org.clipquarry.dag"])]
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_HOST"}
    return subprocess.run(asked, text=True, capture_output=True, check=True, env=environment).stdout.split()
