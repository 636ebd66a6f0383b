"""The trial command of docs/containers.md, as it stands there: its steps run in containers, and it says so."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from checkout import PROJECT, shell_lines
from clipquarry_airflow.engine import deployment_of
from docker_engine import containers

pytestmark = pytest.mark.timeout(1500)


def test_the_trial_command_starts_containers(checkout: Path, media_image: str) -> None:
    (command,) = [line for line in shell_lines(PROJECT / "docs/containers.md") if line.endswith("make demo")]
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("CLIPQUARRY_", "MAKE", "AIRFLOW"))
    }
    done = subprocess.run(
        ["bash", "-c", command], cwd=checkout, env={**clean, "CLIPQUARRY_IMAGE": media_image}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    told = [line.strip() for line in done.stdout.splitlines() if "steps ran in" in line]
    assert told[0] == f"steps ran in: docker ({media_image}): fetch, frames, resize"
    log = (checkout / ".demo/demo.log").read_text(errors="replace")
    assert log.count("Starting docker container from image") >= 3
    runs = sorted((checkout / ".demo/data/.clipquarry/runs/kinetics_demo").iterdir())
    said = {json.loads(path.read_text())["runtime"] for path in runs[0].glob("*/part-*.result.json")}
    assert said == {f"docker ({media_image})"}
    assert "steps ran in" in (runs[0] / "report/index.html").read_text()
    assert not containers(deployment=deployment_of(str(checkout / ".demo/data")))
