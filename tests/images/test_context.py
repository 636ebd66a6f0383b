"""What enters the context of a build, and with the astro CLI's Dockerfile the image: our sources, never secrets or data."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths
from docker_engine import PROJECT

ROOMS = ("dags", "docker", "include", "plugins")
FILES = {
    "LICENSE", "README.md", "airflow_settings.yaml", "packages.txt", "pyproject.toml", "requirements.lock", "requirements.txt",
}  # fmt: skip
SECRETS = (
    "docker/.env", "docker/.env.new", "docker/media/.env", ".env", ".env.local", "include/.env", "include/clipquarry/cookies.txt",
    "cookies.youtube.txt", "dags/cookies.txt", "plugins/passwords.json", ".airflow/passwords.json", ".airflow/airflow.db",
    ".demo/data/kinetics_demo/clip.mp4", ".demo-ava/airflow/passwords.json", ".demo-own/x", "data/kinetics400/clip.mp4",
    "include/data/clip.mp4", "dags/ledger.sqlite", "logs/up.log", "docker/compose.override.yaml", "notes.txt", "kubeconfig", "id_rsa",
)  # fmt: skip


def tracked() -> list[str]:
    """The files of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, text=True, capture_output=True)
    if listed.returncode != 0:
        pytest.skip("This is no git checkout: what belongs to the repository is not known.")
    return [name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The repository's files, and beside them whatever a working checkout holds that no image may."""
    for name in tracked():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, tmp_path / name)
    for name in (*SECRETS, *ignored_names()):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    (tmp_path / "docker/wheels/mmcv-1-any.whl").write_text("a wheel")
    return tmp_path


def ignored_names() -> list[str]:
    """One name for each pattern of .gitignore, at the top and within each folder that enters the context."""
    patterns = [line for line in (PROJECT / ".gitignore").read_text().splitlines() if line and line[0] != "#"]
    names = [f"{line.replace('*', 'x')}file" if line.endswith("/") else line.replace("*", "x") for line in patterns]
    return [f"{place}{name}" for name in names for place in ("", "dags/", "docker/media/", "include/", "plugins/")]


def check(context: set[str]) -> None:
    ours = set(tracked())
    assert context - ours == {"docker/wheels/mmcv-1-any.whl"}, "only wheels are given to a build besides what git has"
    assert {name for name in context if "/" not in name} == FILES
    assert {name.split("/")[0] for name in context if "/" in name} == set(ROOMS)
    assert context >= {name for name in ours if name.startswith(("dags/", "include/", "plugins/"))}, (
        "nothing is left out"
    )


def test_the_context_holds_sources_and_no_secret(checkout: Path) -> None:
    patterns = [line for line in (checkout / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    found = exclude_paths(str(checkout), patterns, dockerfile="docker/airflow/Dockerfile")
    dockerfile = {".dockerignore", "docker/airflow/Dockerfile"}  # sent for the engine's own use
    check({name for name in found if (checkout / name).is_file()} - dockerfile)


def test_git_ignores_the_secrets_too() -> None:
    secret = [
        name
        for name in SECRETS
        if Path(name).name not in ("notes.txt", "kubeconfig", "id_rsa", "compose.override.yaml")
    ]
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=PROJECT,
        text=True,
        capture_output=True,
        input="\n".join(secret),
    )
    if asked.returncode == 128:
        pytest.skip("This is no git checkout.")
    assert set(asked.stdout.split()) == set(secret)


def test_what_the_engine_is_sent(checkout: Path, docker_engine: str) -> None:
    """``COPY . .`` on the real engine, as the astro CLI's base image does it."""
    name = f"clipquarry-test-context:{os.getpid()}"
    (checkout / "docker/media/Context").write_text('FROM scratch\nCOPY . /\nCMD ["/none"]\n')
    subprocess.run(
        ["docker", "build", "--quiet", "--file", checkout / "docker/media/Context", "--tag", name, checkout],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    made = subprocess.run(["docker", "create", name], text=True, capture_output=True, check=True).stdout.strip()
    try:
        whole = subprocess.run(["docker", "export", made], capture_output=True, check=True).stdout
    finally:
        subprocess.run(["docker", "rm", made], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["docker", "image", "rm", name], check=True, stdout=subprocess.DEVNULL)
    with tarfile.open(fileobj=io.BytesIO(whole)) as image:
        files = {member.name for member in image if member.isfile()}
    of_the_engine = {
        ".dockerenv",
        "dev/console",
        "etc/hostname",
        "etc/hosts",
        "etc/resolv.conf",
        "docker/media/Context",
    }
    check(files - of_the_engine)
