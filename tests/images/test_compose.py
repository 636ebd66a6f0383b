"""The compose file, as compose reads it: who has the engine's socket, what is published, no password by default."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from clipquarry import former
from clipquarry_airflow.socket_proxy.rules import Rules

DOCKER = Path(__file__).parents[2] / "docker"
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "SECRET_KEY", "JWT_SECRET", "FERNET_KEY", "ADMIN_PASSWORD")


def compose() -> list[str]:
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ["docker", "compose"]
    if found := shutil.which("docker-compose"):
        return [found]
    pytest.skip("Neither 'docker compose' nor docker-compose is here: the compose file is not read.")


def read(tmp_path: Path, **given: str) -> subprocess.CompletedProcess[str]:
    """``compose config`` in a folder without a .env."""
    (tmp_path / "services").mkdir(exist_ok=True)
    shutil.copy(DOCKER / "compose.yaml", tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLIPQUARRY_")} | given
    return subprocess.run(
        [*compose(), "--project-name", "x", "--file", tmp_path / "compose.yaml", "config"],
        env=environment,
        text=True,
        capture_output=True,
    )


def checkout(folder: Path, *more: str) -> Path:
    """A copy of the folder ``docker`` without a .env, beside links to what its script needs. Skips where there is no compose."""
    shutil.copytree(DOCKER, folder / "docker", ignore=shutil.ignore_patterns(".env"))
    for name in ("include", "plugins", "pyproject.toml", *more):
        (folder / name).symlink_to(DOCKER.parent / name)
    compose()
    return folder / "docker"


@pytest.fixture
def deployment(tmp_path: Path) -> dict[str, Any]:
    given = {f"CLIPQUARRY_{name}": f"{name.lower()}-value" for name in SECRETS}
    done = read(tmp_path, CLIPQUARRY_VERSION="1.2.3", **given)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


@pytest.mark.parametrize("missing", SECRETS)
def test_no_secret_has_a_default(tmp_path: Path, missing: str) -> None:
    given = {f"CLIPQUARRY_{name}": "x" for name in SECRETS if name != missing}
    assert read(tmp_path, CLIPQUARRY_VERSION="1.2.3", **given).returncode != 0


def test_only_the_proxy_has_the_socket(deployment: dict[str, Any]) -> None:
    for name, service in deployment["services"].items():
        has_socket = "docker.sock" in str(service.get("volumes", ""))
        assert has_socket == (name == "socket-proxy"), name
        networks = set(service.get("networks") or {"default": None})
        assert ("engine" in networks) == (name in ("socket-proxy", "worker")), name
    assert deployment["networks"]["engine"]["internal"] is True
    proxy = deployment["services"]["socket-proxy"]
    assert proxy["read_only"] is True
    assert set(proxy.get("networks")) == {"engine"}


def test_the_proxy_is_told_what_workers_are_told(deployment: dict[str, Any]) -> None:
    proxy, worker = (deployment["services"][name]["environment"] for name in ("socket-proxy", "worker"))
    assert proxy.items() <= worker.items()
    assert set(proxy) >= {
        f"CLIPQUARRY_{name}"
        for name in ("DATA", "DOCKER_DATA", "DOCKER_MOUNTS", "EXTRA_ROOTS", "DOCKER_NETWORK", "IMAGE", "MEMORY")
    }
    assert Rules.from_env(proxy).docker.user == "10001:10001"
    about_steps = {name for name in worker if name.startswith(("CLIPQUARRY_DOCKER", "CLIPQUARRY_IMAGE"))} | {
        "CLIPQUARRY_MEMORY",
        "CLIPQUARRY_CPUS",
        "CLIPQUARRY_GPUS",
    }
    assert about_steps <= set(proxy)


def test_our_containers_have_no_capabilities_and_publish_one_local_port(deployment: dict[str, Any]) -> None:
    published = []
    for name, service in deployment["services"].items():
        if service["image"].startswith("clipquarry-"):
            assert service["image"].endswith(":1.2.3")
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
        published += [(name, port) for port in service.get("ports", [])]
    assert len(published) == 1
    assert published[0][0] == "api-server"
    assert "127.0.0.1" in str(published[0][1])


def test_every_lasting_service_has_a_health_check(deployment: dict[str, Any]) -> None:
    without = {name for name, service in deployment["services"].items() if "healthcheck" not in service}
    assert without == {"init"}


def test_secrets_reach_only_those_who_need_them(deployment: dict[str, Any]) -> None:
    for name, service in deployment["services"].items():
        text = str(service.get("environment", "")) + str(service.get("command", ""))
        assert ("admin_password-value" in text) == (name == "init"), name
        if name == "socket-proxy":
            assert "-value" not in text


def test_the_passwords_are_made_once_and_are_private(tmp_path: Path) -> None:
    copy = tmp_path / "docker"
    shutil.copytree(DOCKER, copy, ignore=shutil.ignore_patterns(".env"))
    shutil.copy(DOCKER.parent / "pyproject.toml", tmp_path)
    for name in ("include", "plugins"):
        (tmp_path / name).symlink_to(DOCKER.parent / name)
    no_engine = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
    compose()  # skips where there is none
    first = subprocess.run([copy / "compose.sh", "up"], env=no_engine, text=True, capture_output=True)
    assert first.returncode == 1
    assert "No Docker engine answers here" in first.stdout
    env = (copy / ".env").read_text()
    assert stat.S_IMODE((copy / ".env").stat().st_mode) == 0o600
    values = dict(line.split("=", 1) for line in env.splitlines() if not line.startswith("#"))
    assert set(values) == {f"CLIPQUARRY_{name}" for name in SECRETS}
    assert len(set(values.values())) == len(SECRETS)
    assert all(len(value) >= 32 for value in values.values())
    subprocess.run([copy / "compose.sh", "up"], env=no_engine, capture_output=True)
    assert (copy / ".env").read_text() == env


def test_folders_of_the_settings_are_mounted_into_airflows_containers(tmp_path: Path) -> None:
    copy = checkout(tmp_path)
    secrets = "".join(f"CLIPQUARRY_{name}=x\n" for name in SECRETS)
    (copy / ".env").write_text(
        f"{secrets}CLIPQUARRY_EXTRA_ROOTS=/host/ssd:/ssd,frames:/frames\nCLIPQUARRY_DOCKER_MOUNTS=/nas\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLIPQUARRY_")}
    done = subprocess.run([copy / "compose.sh", "config"], env=clean, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    for name in ("worker", "api-server"):
        mounted = str(services[name]["volumes"])
        assert all(word in mounted for word in ("/host/ssd", "/ssd", "/frames", "/nas"))
        assert services[name]["environment"]["CLIPQUARRY_EXTRA_ROOTS"] == "/host/ssd:/ssd,frames:/frames"
    assert "/ssd" not in str(services["postgres"].get("volumes"))
    refused = subprocess.run(
        [copy / "compose.sh", "config"], env={**clean, "CLIPQUARRY_EXTRA_ROOTS": "ssd"}, text=True, capture_output=True
    )
    assert refused.returncode == 2
    assert "CLIPQUARRY_EXTRA_ROOTS holds 'ssd'" in refused.stderr


def test_every_setting_of_the_file_reaches_airflow_and_what_the_deployment_decides_is_refused(tmp_path: Path) -> None:
    copy = checkout(tmp_path)
    secrets = "".join(f"CLIPQUARRY_{name}=secret-{name}\n" for name in SECRETS)
    given = {
        "CLIPQUARRY_CHAINS": "off", "CLIPQUARRY_EGRESS": "lab-2", "CLIPQUARRY_KEEP_RUNS": "5", "CLIPQUARRY_COOKIES": "/data/my cookies.txt",
        "CLIPQUARRY_MEMORY_FRAMES": "2g", "CLIPQUARRY_RUNTIME_PLAN": "process", "CLIPQUARRY_ONLY": "jester",
    }  # fmt: skip
    lines = "".join(f"{name}={value}\n" for name, value in given.items())
    (copy / ".env").write_text(f"# CLIPQUARRY_CANARY=no\n{secrets}{lines}")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CLIPQUARRY_")}
    done = subprocess.run([copy / "compose.sh", "config"], env=clean, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    for name in ("worker", "scheduler", "dag-processor", "triggerer", "api-server"):
        environment = services[name]["environment"]
        assert {key: environment.get(key) for key in given} == given, name
        assert "CLIPQUARRY_CANARY" not in environment and "CLIPQUARRY_ADMIN_PASSWORD" not in environment
    proxy = services["socket-proxy"]["environment"]
    assert proxy["CLIPQUARRY_MEMORY_FRAMES"] == "2g"
    assert not {"CLIPQUARRY_EGRESS", "CLIPQUARRY_COOKIES"} & set(proxy)
    for name in ("DATA", "LEDGER", "DOCKER_USER"):
        (copy / ".env").write_text(f"{secrets}export CLIPQUARRY_{name}=/mine\n")
        refused = subprocess.run([copy / "compose.sh", "config"], env=clean, text=True, capture_output=True)
        assert refused.returncode == 2 and f"sets CLIPQUARRY_{name}, but" in refused.stderr


def test_an_old_deployments_settings_are_adopted(tmp_path: Path) -> None:
    """What ``compose.sh adopt`` does without an engine; the volumes are tested with one (``adopt/``)."""
    copy = checkout(tmp_path, ".venv")
    (copy / ".env").write_text("".join(f"{former.PREFIX}{name}=x\n" for name in SECRETS))
    no_engine = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}
    refused = subprocess.run([copy / "compose.sh", "up"], env=no_engine, text=True, capture_output=True)
    assert refused.returncode == 2 and "compose.sh adopt" in refused.stderr
    done = subprocess.run([copy / "compose.sh", "adopt"], env=no_engine, text=True, capture_output=True)
    assert done.returncode == 1 and "No Docker engine answers here" in done.stdout
    assert (copy / ".env").read_text() == "".join(f"CLIPQUARRY_{name}=x\n" for name in SECRETS)
    assert (copy / ".env.before-adopt").exists()
