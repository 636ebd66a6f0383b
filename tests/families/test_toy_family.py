"""A family of another package, found by its entry point: nothing of ours names it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clipquarry.demo.origin import Origin
from clipquarry.manifest import read_rows
from toy_package import YAML, install, toy_family

INCLUDE = Path(__file__).parents[2] / "include"


class Toys:
    """A data root, and the command line in a process that sees the other package."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.data, self.url = folder, folder / "data", url
        install(folder)

    def __call__(self, *arguments: str, path: str = "", site: bool = True) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CLIPQUARRY_")}
        paths = [path, str(self.folder / "site") if site else ""]
        env = kept | {
            "CLIPQUARRY_DATASETS": str(self.folder / "specs"), "CLIPQUARRY_DATA": str(self.data), "CLIPQUARRY_DEMO_URL": self.url,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }  # fmt: skip
        command = [sys.executable, "-m", "clipquarry", *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=self.folder)


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    folder = tmp_path_factory.mktemp("toys")
    made = toy_family().sample().make(folder / "origin")
    with Origin(made.folder, made.plan) as origin:
        toys = Toys(folder, origin.url)
        made.place(toys.data / "toys")
        yield toys


def rows(toys: Toys, run: str) -> dict[str, str]:
    found = read_rows(toys.data / f".clipquarry/runs/toys/{run}/recorded.parquet")
    return {str(row["item_id"]): str(row["status"]) for row in found}


def test_a_run_of_it_is_green_and_the_second_keeps_everything(toys: Toys) -> None:
    names = ["train/ball_000000_000002", "train/ball_000001_000003", "train/train_000000_000002"]
    first = toys("run", "toys", "--run", "one", "--jobs", "1")
    assert first.returncode == 0, first.stderr[-3000:]
    assert rows(toys, "one") == dict.fromkeys(names, "done")
    assert (toys.data / ".clipquarry/releases/toys/one/toys.lock").is_file()
    second = toys("run", "toys", "--run", "two", "--jobs", "1")
    assert second.returncode == 0, second.stderr[-3000:]
    assert rows(toys, "two") == dict.fromkeys(names, "kept")


def test_its_gates_and_stages_stand_in_the_report(toys: Toys) -> None:
    if not (toys.data / ".clipquarry/runs/toys/one").is_dir():
        assert toys("run", "toys", "--run", "one").returncode == 0
    report = json.loads((toys.data / ".clipquarry/runs/toys/one/report/report.json").read_text())
    assert [gate["name"] for gate in report["gates"]] == ["annotations", "clips", "notes"]
    assert ("note", "ran") in {(stage["name"], stage["state"]) for stage in report["stages"]}
    assert report["noun"] == "toy"
    page = (toys.data / ".clipquarry/runs/toys/one/report/index.html").read_text()
    assert "3 toys" in page


def test_its_own_check_blocks(toys: Toys) -> None:
    (toys.folder / "specs/toys.yaml").write_text(YAML.replace("longest: 3", "longest: 1"))
    try:
        done = toys("run", "toys", "--run", "short")
        assert done.returncode == 3 and "toy.length" in done.stderr.splitlines()[-1], done.stderr[-2000:]
    finally:
        (toys.folder / "specs/toys.yaml").write_text(YAML)


def test_its_options_are_checked(toys: Toys) -> None:
    bad = toys.folder / "bad.yaml"
    bad.write_text(YAML.replace("longest: 3", "longest: 3, shortest: 1"))
    done = toys("spec", str(bad))
    assert done.returncode == 2 and "key 'options.shortest': unknown key" in done.stderr


def test_without_the_package_one_sentence_says_so(toys: Toys) -> None:
    done = toys("run", "toys", site=False)
    assert done.returncode == 2
    assert "key 'family': there is no family 'toy'; known: boxes, clips" in done.stderr.splitlines()[-1]


def test_with_the_code_only_on_the_path(toys: Toys, tmp_path: Path) -> None:
    """The Astro way: folders ``include`` and ``plugins`` on ``PYTHONPATH``, no installed package."""
    program = (
        "import sys\n"
        "sys.path = [p for p in sys.path if 'editable' not in p]\n"
        "from clipquarry.datasets.load import load_all\n"
        "specs, errors = load_all()\n"
        "assert not errors, errors\n"
        "from clipquarry.pipeline.family import tasks_of\n"
        "print(sum(len(tasks_of(spec)) for spec in specs.values()))\n"
    )
    code = tmp_path / "code"
    shutil.copytree(INCLUDE, code, ignore=shutil.ignore_patterns("__pycache__"))
    env = {**os.environ, "PYTHONPATH": str(code)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False, cwd=code
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100
