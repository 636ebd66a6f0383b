"""The images: what they hold, what they do not, how big they are."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clipquarry
import pytest
from acquire.made_archives import rar4
from clipquarry.datasets.families import family_names
from clipquarry.datasets.load import load_all
from clipquarry.errors import Exit
from clipquarry.manifest import ITEM_FIELDS, read_rows, schema_of, write_rows
from clipquarry.microseconds import of
from clipquarry.steps.unpack import VOLUME_FIELDS
from docker_engine import own_image
from PIL import Image

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
    assert labels["org.opencontainers.image.version"] == clipquarry.__version__
    assert labels["org.opencontainers.image.revision"]
    packages = inside(
        media_image,
        "python",
        "-c",
        "from importlib.metadata import distributions as d\nfor one in d(): print(one.name, one.version)",
    )
    installed = {tuple(line.lower().replace("_", "-").split()) for line in packages.splitlines()} - {
        ("clipquarry", clipquarry.__version__)
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
    doctor = inside(media_image, "clipquarry", "doctor", "--data", "/tmp/data")
    assert "fail" not in doctor
    assert "deno" in doctor


@pytest.fixture(scope="module")
def archives_image(media_image: str) -> Iterator[str]:
    with own_image("archives") as image:
        yield image


def test_the_step_extract_in_its_image(archives_image: str, media_image: str, tmp_path: Path) -> None:
    """A rar is unpacked, confined as a step is; the image of the other steps says what it lacks."""
    assert look(archives_image)["Size"] < 960e6
    assert look(archives_image)["Config"]["User"] == "10001:10001"
    data = tmp_path / "data"
    (data / "toy").mkdir(parents=True)
    (data / "toy/toy.rar").write_bytes(rar4({"top/one/a.avi": b"first", "top/b.avi": b"second"}))
    row = {"item_id": "archive/toy", "split": "train", "url": "toy.rar"}
    write_rows(data / "in.parquet", schema_of(VOLUME_FIELDS, "parts"), [row])
    params = {"source": "toy", "root": "toy", "urls": ["toy.rar"], "archive": {"into": "videos", "strip_top": "top"}}
    for path in (data, data / "toy"):
        path.chmod(0o777)
    said = ["--items=/data/in.parquet", f"--params={json.dumps(params)}", "--out=/data/out.parquet", "--data=/data"]
    confined = ["--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL", f"--volume={data}:/data"]

    def run(image: str, step: str = "extract", said: list[str] = said) -> subprocess.CompletedProcess[str]:
        asked = ["docker", "run", *confined, image, "step", step, *said]
        return subprocess.run(asked, text=True, capture_output=True)

    unpack = [said[0], f"--params={json.dumps({'source': 'toy', 'wanted': 'none.parquet'})}", *said[2:]]
    for lacking in (run(media_image), run(media_image, "unpack", unpack)):
        assert lacking.returncode == Exit.FAIL and "this machine has no libarchive" in lacking.stderr
    assert "none.parquet" in run(archives_image, "unpack", unpack).stderr, "it has ffmpeg and libarchive"
    done = run(archives_image)
    assert done.returncode == 0, done.stderr
    (result,) = read_rows(data / "out.parquet")
    assert (result["status"], result["files"]) == ("done", 2)
    assert {str(path.relative_to(data)): path.read_bytes() for path in (data / "toy/videos").rglob("*.avi")} == {
        "toy/videos/one/a.avi": b"first", "toy/videos/b.avi": b"second",
    }  # fmt: skip


def test_the_other_commands_say_what_they_lack(media_image: str) -> None:
    asked = ["docker", "run", "--rm", "--network=none", media_image]
    listed = subprocess.run([*asked, "--help"], text=True, capture_output=True)
    assert listed.returncode == 0
    assert "Run one step over one shard." in listed.stdout
    done = subprocess.run([*asked, "due", "kinetics400"], text=True, capture_output=True)
    assert done.returncode != 0
    assert "needs the package sqlalchemy" in done.stderr
    assert "Traceback" not in done.stderr


def test_families_are_described_in_the_image_of_steps(media_image: str) -> None:
    """``clipquarry step`` reads a data set's YAML, which its family checks; pandas and SQLAlchemy are not there."""
    program = (
        "from clipquarry.datasets.load import load_all\n"
        "from clipquarry.pipeline.family import family_of, tasks_of\n"
        "specs, errors = load_all()\n"
        "assert not errors, errors\n"
        "print(*sorted({family_of(spec).name for spec in specs.values() if tasks_of(spec)}), len(specs))"
    )
    specs, errors = load_all()
    assert (
        inside(media_image, "python", "-c", program) == f"{' '.join(sorted(family_names()))} {len(specs)}\n"
        and not errors
    )


def test_airflow(docker_engine: str) -> None:
    name = f"clipquarry-airflow:{clipquarry.__version__}"
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode != 0:
        pytest.skip("The image clipquarry-airflow was not built (make images).")
    image = look(name)
    assert image["Size"] < 1.5e9
    assert image["Config"]["User"] == "10001:10001"
    look_for_dags = (
        "import json, os; os.environ['CLIPQUARRY_RUNTIME'] = 'docker'; os.environ['AIRFLOW_HOME'] = '/tmp'\n"
        "from airflow.dag_processing.dagbag import DagBag; bag = DagBag('/opt/airflow/dags')\n"
        "print('@' + json.dumps([sorted(bag.dags), bag.import_errors]))"
    )
    dags, errors = json.loads(inside(name, "python", "-c", look_for_dags).rpartition("@")[2])
    assert errors == {}
    assert {"kinetics400", "kinetics400_refresh", "clipquarry_housekeeping"} <= set(dags)


@pytest.fixture(scope="module")
def detect_image(docker_engine: str) -> str:
    name = f"clipquarry-detect:{clipquarry.__version__}"
    if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode != 0:
        pytest.skip("The image clipquarry-detect was not built (docker/images.sh detect).")
    return name


def test_detect(detect_image: str) -> None:
    image = look(detect_image)
    assert image["Size"] < 2e9
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["Labels"]["org.opencontainers.image.title"] == "clipquarry-detect"
    packages = inside(
        detect_image,
        "python",
        "-c",
        "from importlib.metadata import distributions as d\nfor one in d(): print(one.name, one.version)",
    )
    installed = dict(line.lower().replace("_", "-").split() for line in packages.splitlines())
    lines = (PROJECT / "docker/media/detect.txt").read_text().splitlines()
    pins = dict(line.split("#")[0].strip().split("==") for line in lines if "==" in line)
    assert {name: installed[name].partition("+")[0] for name in pins} == pins
    others = {"opencv-python", "opencv-python-headless", "opencv-contrib-python"}
    assert not others & set(installed), "they would lie over the one with flow and without windows"
    locked = (PROJECT / "requirements.lock").read_text().splitlines()
    both = {line.split(" ;")[0].strip() for line in locked} & {f"{name}=={version}" for name, version in pins.items()}
    assert {
        "numpy==" + pins["numpy"],
        "opencv-contrib-python-headless==" + pins["opencv-contrib-python-headless"],
    } <= both
    for absent in ("gcc", "pip", "uv"):
        assert inside(detect_image, "python", "-c", f"import shutil; print(shutil.which({absent!r}))") == "None\n"


def test_the_step_detect_in_its_image(detect_image: str, tmp_path: Path) -> None:
    """Random weights, saved and looked at in the image, confined as a step is."""
    clip = "-wR5jVB-WPk_000010_000014"
    frames = tmp_path / "k/rawframes" / clip
    frames.mkdir(parents=True)
    for number in (1, 31, 61):
        Image.new("RGB", (160, 120), (number, 90, 200 - number)).save(frames / f"img_{number:05d}.jpg")
    rows = [
        {"item_id": f"train/{clip[:11]},{second:04d}", "video_id": clip[:11], "clip_id": clip, "split": "train",
         "label_index": -1, "start": of(second), "end": of(second + 1)}
        for second in (10, 11, 12, 13)
    ]  # fmt: skip
    write_rows(tmp_path / "items.parquet", schema_of(ITEM_FIELDS, "items"), rows)
    owner = f"{os.getuid()}:{os.getgid()}"
    confined = [
        "docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL", f"--user={owner}",
        f"--volume={tmp_path}:{tmp_path}",
    ]  # fmt: skip
    make = (
        f"import sys; sys.path.insert(0, '/models'); import pathlib, mmdet_models as m; folder = pathlib.Path({str(tmp_path)!r})\n"
        "m.save(m.random_model(m.small(m.RTMDET, folder)), folder / 'w.pth')"
    )
    models = f"--volume={PROJECT / 'tests/people'}:/models:ro"
    made = subprocess.run(
        [*confined, models, "--entrypoint=python", detect_image, "-c", make], text=True, capture_output=True
    )
    assert made.returncode == 0, made.stderr[-2000:]
    (config,) = tmp_path.glob("*_small.py")
    params = {"root": "k", "backend": "mmdet", "config": config.name, "checkpoint": "w.pth"}
    out = tmp_path / "out/part.parquet"
    step = ["step", "detect", "--items", str(tmp_path / "items.parquet"), "--params", json.dumps(params)]
    done = subprocess.run(
        [*confined, detect_image, *step, "--out", str(out), "--data", str(tmp_path)], text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = list(read_rows(out))
    assert [row["status"] for row in found] == ["done"] * 3 + ["missing"]
    assert all(row["boxes"] and row["width"] == 160 for row in found[:3])
    assert found[0]["detector"].startswith("mmdet-3.3.0 rtmdet_tiny")
