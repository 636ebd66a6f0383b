"""The images: what they hold, what they do not, how big they are."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import clipyard
import pytest

PROJECT = Path(__file__).parents[2]

pytestmark = pytest.mark.timeout(900)


def look(image: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "image", "inspect", image], text=True, capture_output=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found


def inside(image: str, *command: str) -> str:
    confined = ["--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL"]
    done = subprocess.run(
        ["docker", "run", *confined, f"--entrypoint={command[0]}", image, *command[1:]], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_media(media_image: str) -> None:
    image = look(media_image)
    assert image["Size"] < 900e6
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["Entrypoint"][0] == "tini"
    labels = image["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == clipyard.__version__
    assert labels["org.opencontainers.image.revision"]
    packages = inside(
        media_image,
        "python",
        "-c",
        "from importlib.metadata import distributions as d\nfor one in d(): print(one.name, one.version)",
    )
    installed = {tuple(line.lower().replace("_", "-").split()) for line in packages.splitlines()} - {
        ("clipyard", clipyard.__version__)
    }
    lines = (PROJECT / "requirements.lock").read_text().splitlines()
    pins = {
        tuple(line.split(" ;")[0].strip().lower().split("==")) for line in lines if "==" in line and line[0] not in " #"
    }
    assert {(name.replace("[binary]", "").replace(".", "-"), version) for name, version in pins} >= {
        (name.replace(".", "-"), version) for name, version in installed
    }
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert not {"apache-airflow", "sqlalchemy", "great-expectations", "pandas", "pip", "uv"} & {
        name for name, _ in installed
    }
    assert len(project["dependencies"]) <= len(installed)
    for absent in ("gcc", "pip", "uv"):
        assert inside(media_image, "python", "-c", f"import shutil; print(shutil.which({absent!r}))") == "None\n"
    assert inside(media_image, "python", "-c", "import os; print(os.listdir('/var/lib/apt/lists'))") == "[]\n"
    assert "HOGDescriptor" in inside(media_image, "python", "-c", "import cv2; print(cv2.HOGDescriptor())")
    doctor = inside(media_image, "clipyard", "doctor", "--data", "/tmp/data")
    assert "fail" not in doctor
    assert "deno" in doctor


def test_the_other_commands_say_what_they_lack(media_image: str) -> None:
    asked = ["docker", "run", "--rm", "--network=none", media_image]
    listed = subprocess.run([*asked, "--help"], text=True, capture_output=True)
    assert listed.returncode == 0
    assert "Run one step over one shard." in listed.stdout
    done = subprocess.run([*asked, "due", "kinetics400"], text=True, capture_output=True)
    assert done.returncode != 0
    assert "needs the package sqlalchemy" in done.stderr
    assert "Traceback" not in done.stderr


def test_airflow(docker_engine: str) -> None:
    name = f"clipyard-airflow:{clipyard.__version__}"
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode != 0:
        pytest.skip("The image clipyard-airflow was not built (make images).")
    image = look(name)
    assert image["Size"] < 1.5e9
    assert image["Config"]["User"] == "10001:10001"
    look_for_dags = (
        "import json, os; os.environ['CLIPYARD_RUNTIME'] = 'docker'; os.environ['AIRFLOW_HOME'] = '/tmp'\n"
        "from airflow.dag_processing.dagbag import DagBag; bag = DagBag('/opt/airflow/dags')\n"
        "print('@' + json.dumps([sorted(bag.dags), bag.import_errors]))"
    )
    dags, errors = json.loads(inside(name, "python", "-c", look_for_dags).rpartition("@")[2])
    assert errors == {}
    assert {"kinetics400", "kinetics400_refresh", "clipyard_housekeeping"} <= set(dags)
