"""A new data set of a known family is a YAML, a DAG file and a reader: nothing else of the product is touched.

The test adds them to a copy of the product, as a commit would, and runs the data set from there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clipquarry.demo.videos import make_video, read_frame_numbers
from clipquarry.files import read_json
from clipquarry.manifest import read_rows

HERE = Path(__file__).parent / "gestures"
PROJECT = Path(__file__).parents[2]
ROOMS = ("include", "plugins", "dags")
TRAIN = "# video begin end class\na\t0\t10\tWave hand\nb\t5\t15\tnod\na\t10\t25\tnod\nb\t0\t10\tWave hand\n"
VAL = "c\t0\t10\tnod\nc\t10\t20\tWave hand\nc\t1\tx\tnod\n../up\t0\t10\tnod\n"


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for room in ROOMS
        for path in (root / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


class Copy:
    """A copy of the product in which the data set stands, with a data root and clips."""

    def __init__(self, folder: Path) -> None:
        self.root, self.data = folder / "product", folder / "data"
        for room in ROOMS:
            shutil.copytree(
                PROJECT / room, self.root / room, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        self.before = files(self.root)
        package = self.root / "include/clipquarry"
        shutil.copy(HERE / "toy_gestures.yaml", package / "datasets")
        shutil.copy(HERE / "toy_lines.py", package / "families/clips/readers")
        (folder / "clips").mkdir()
        for name in "abc":
            make_video(folder / f"clips/{name}.mp4", 3, 10, (64, 48), label=name, tone=False)
        annotations = self.data / "toy_gestures/annotations"
        annotations.mkdir(parents=True)
        (annotations / "train.txt").write_text(TRAIN)
        (annotations / "val.txt").write_text(VAL)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CLIPQUARRY_", "AIRFLOW_"))},
            "CLIPQUARRY_DATA": str(self.data), "TOY_GESTURES": str(folder / "clips"), "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(self.root / "include"), str(self.root / "plugins")]),
        }  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "clipquarry", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, cwd=self.root)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    made = Copy(tmp_path_factory.mktemp("gestures"))
    made("new-dag", "toy_gestures", "--into", "dags")
    return made


def test_what_was_touched(copy: Copy) -> None:
    after = files(copy.root)
    assert {name: after[name] for name in copy.before} == copy.before
    assert sorted(set(after) - set(copy.before)) == [
        "dags/toy_gestures.py",
        "include/clipquarry/datasets/toy_gestures.yaml",
        "include/clipquarry/families/clips/readers/toy_lines.py",
    ]


def test_a_whole_run_and_a_second_one(copy: Copy) -> None:
    copy("run", "toy_gestures", "--run", "one", "--jobs", "1")
    folder = copy.data / ".clipquarry/runs/toy_gestures/one"
    rejected = {
        str(row["item_id"]): str(row["reason"])
        for row in read_rows(folder / "catalog.parquet")
        if row["status"] == "rejected"
    }
    assert rejected == {"val/#row-3": "bad_row", "val/#row-4": "bad_id"}
    places = {str(row["clip_id"]): str(row["path"]) for row in read_rows(folder / "recorded.parquet") if row["path"]}
    assert read_frame_numbers(copy.data / places["a_10_25"]) == list(range(10, 25))
    release = copy.data / ".clipquarry/releases/toy_gestures/one"
    assert (release / "label_map.txt").read_text() == "Wave hand\nnod\n"
    assert (release / "toy_gestures_val_list_videos.txt").read_text() == "nod/c_0_10.mp4 1\nWave_hand/c_10_20.mp4 0\n"
    report = read_json(folder / "report/report.json")
    assert [gate["name"] for gate in report["gates"]] == ["annotations", "clips", "lists"]
    copy("run", "toy_gestures", "--run", "two", "--jobs", "1")
    second = read_rows(folder.with_name("two") / "recorded.parquet")
    assert {str(row["status"]) for row in second if row["path"]} == {"kept"}


def test_the_graph_has_its_dag(copy: Copy) -> None:
    """The file is the one that ``new-dag`` writes, and Airflow reads it."""
    program = (
        "import runpy; from airflow.sdk import DAG\n"
        "made = runpy.run_path('dags/toy_gestures.py')\n"
        "print(sorted(value.dag_id for value in made.values() if isinstance(value, DAG)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=copy.environment | {"AIRFLOW_HOME": str(copy.data)}, cwd=copy.root,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "['toy_gestures']", "nothing expires: no refresh"
