"""The whole thing through the command line: a small data set, served by the demo's web server, dead links included.

Takes some seconds: real videos are made, fetched and cut.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.demo.videos import make_video
from postgres_server import fresh_schema

GOOD, SECOND, DEAD, HOSTILE = "_demo-good0", "demo_good_1", "-demo_dead0", "../../passwd"
HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"
DATASET = "kinetics_toy"

SPEC = """
schema: dataset-spec/v1
name: kinetics_toy
title: Toy
family: clips
task: action-recognition
root: kinetics_toy
access: {kind: open}
options: {reader: kinetics_csv}
layout: {annotations: annotations, videos: "videos_{split}", resized: "videos_{split}_256p_dense_cache", rawframes: "rawframes_{split}"}
item: {level: 2, ext: [mp4], ids: youtube}
labels: {source: annotation, count: 2, order: codepoint}
splits: {train: annotations/kinetics_train.csv, val: annotations/kinetics_val.csv}
sources:
  - {id: csv, kind: http, provides: annotations, url: "${TOY_URL}/{split}.csv", into: "annotations/kinetics_{split}.csv"}
  - {id: origin, kind: http, provides: items, content: video, url: "${TOY_URL}/videos/{id}.mp4", attempts: 1, timeout_s: 5}
lists: {videos: "toy_{split}_list_videos.txt", rawframes: "toy_{split}_list_rawframes.txt"}
expected: {rows: {train: {count: 3}, val: {count: 2}}}
missing: {warn: 0.05, error: 0.9}
rejected: {error: 0.5}
recipe: {preset: ultrafast, max_seconds: 2}
"""


class Lab:
    """A data root, its data set's folder, and the command line over them."""

    def __init__(self, folder: Path, origin: Origin, ledger: str | None) -> None:
        self.folder, self.data, self.origin, self.ledger = folder, folder / "data", origin, ledger
        (folder / "specs").mkdir(exist_ok=True)
        (folder / "specs/kinetics_toy.yaml").write_text(SPEC)

    def environment(self) -> dict[str, str | None]:
        unset: dict[str, str | None] = {name: None for name in os.environ if name.startswith("CLIPQUARRY_")}
        return {
            **unset, "TOY_URL": self.origin.url, "CLIPQUARRY_DATA": str(self.data), "NO_PROXY": "127.0.0.1",
            "CLIPQUARRY_DATASETS": str(self.folder / "specs"), "CLIPQUARRY_LEDGER": self.ledger,
        }  # fmt: skip

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        """Run ``clipquarry`` in this process; it must end by itself, with the exit code ``code``."""
        done = CliRunner().invoke(main, list(arguments), env=self.environment())
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        assert done.exit_code == code, done.output
        return done

    def program(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``clipquarry`` as people do."""
        env = {name: value for name, value in {**os.environ, **self.environment()}.items() if value is not None}
        return subprocess.run(
            [sys.executable, "-m", "clipquarry", *arguments], env=env, capture_output=True, text=True, check=False
        )

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        """A table that a command prints."""
        head, *lines = self(*arguments).stdout.splitlines()
        return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The same story with either database below it."""
    ledger = fresh_schema(request.getfixturevalue("postgres")) if request.param == "postgresql" else None
    folder = tmp_path_factory.mktemp("lab")
    served = folder / "served"
    (served / "videos").mkdir(parents=True)
    for name in (GOOD, SECOND, DEAD):
        make_video(served / "videos" / f"{name}.mp4", 5, fps=10, label=name)
    (served / "train.csv").write_text(
        f"{HEADER}riding a bike,{GOOD},0,2,train,0\nzumba,{SECOND},1,3,train,0\nzumba,{DEAD},0,2,train,0\n"
    )
    (served / "val.csv").write_text(f"{HEADER}zumba,{GOOD},2,4,val,0\nzumba,{HOSTILE},0,2,val,0\n")
    with Origin(served, {f"videos/{DEAD}.mp4": "404"}) as origin:
        yield Lab(folder, origin, ledger)


@pytest.fixture(scope="module")
def first(lab: Lab) -> str:
    """The first run has been made; its last line."""
    done = lab.program("run", DATASET, "--run", "one", "--jobs", "1")
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()[-1]


def test_a_run_from_annotation_to_release(lab: Lab, first: str) -> None:
    assert first.startswith("kinetics_toy: 3 of 4 clips are there (not there: 1 not_found)")
    root = lab.data / DATASET
    clips = sorted(str(path.relative_to(root)) for path in root.glob("videos_*/*/*.mp4"))
    assert clips == [
        f"videos_train/riding_a_bike/{GOOD}_000000_000002.mp4",
        f"videos_train/zumba/{SECOND}_000001_000003.mp4",
        f"videos_val/zumba/{GOOD}_000002_000004.mp4",
    ]
    assert (root / "toy_train_list_videos.txt").read_text().splitlines() == [
        f"riding_a_bike/{GOOD}_000000_000002.mp4 0", f"zumba/{SECOND}_000001_000003.mp4 1",
    ]  # fmt: skip
    assert (root / "toy_val_list_videos.txt").read_text() == f"zumba/{GOOD}_000002_000004.mp4 1\n"
    run = lab.data / ".clipquarry/runs" / DATASET / "one"
    assert (run / "report/index.html").stat().st_size > 1000
    release = lab.data / ".clipquarry/releases" / DATASET
    assert (release / "latest").read_text() == "one\n"
    assert (release / "one" / f"{DATASET}.lock").exists()
    assert (release / "one/label_map.txt").read_text().splitlines() == ["riding a bike", "zumba"]
    assert not list(lab.data.rglob("passwd*"))


def test_what_the_ledger_answers(lab: Lab, first: str) -> None:
    missing = lab.rows("missing", DATASET)
    dead = next(row for row in missing if DEAD in row["item_id"])
    assert dead["reason"] == "not_found"
    assert lab.rows("missing", DATASET, "--reason", "geo") == []
    assert all(DEAD not in row["item_id"] for row in lab.rows("due", DATASET))
    later = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    assert any(DEAD in row["item_id"] for row in lab.rows("due", DATASET, "--as-of", later))
    assert {row["reason"] for row in lab.rows("history", "--", DEAD)} == {"not_found"}
    shares = {row["split"]: (row["expected"], row["present"]) for row in lab.rows("coverage", DATASET)}
    assert shares["train"] == ("3", "2")


def test_a_second_data_set_knows_what_the_first_one_learned(lab: Lab, first: str) -> None:
    twin = SPEC.replace("name: kinetics_toy", "name: kinetics_twin").replace(
        "root: kinetics_toy", "root: kinetics_twin"
    )
    (lab.folder / "specs/kinetics_twin.yaml").write_text(twin)
    asked = lab.origin.asked.copy()
    last = lab("run", "kinetics_twin", "--run", "one").stdout.splitlines()[-1]
    assert "3 of 4 clips are there" in last
    assert {key: count for key, count in (lab.origin.asked - asked).items() if "videos/" in str(key)} == {}
    dead = next(row for row in lab.rows("missing", "kinetics_twin") if DEAD in row["item_id"])
    assert dead["reason"] == "not_found", "why it was not asked for again"
    assert dead["evidence"]


def test_what_is_recorded_belongs_to_the_way_out_of_the_plan(lab: Lab, first: str) -> None:
    lab("refresh", DATASET, "--run", "other way", "--retry-all")
    asked = [row for row in lab.rows("history", "--", DEAD) if row["run"] == "other_way" or row["run"] == "other way"]
    assert {row["egress"] for row in asked} == {"default"}
    environment = {**lab.environment(), "CLIPQUARRY_EGRESS": "elsewhere"}
    done = CliRunner().invoke(main, ["stage", "record", DATASET, "--run", "other way"], env=environment)
    assert done.exit_code == 0, done.output
    assert {row["egress"] for row in lab.rows("history", "--", DEAD)} == {"default"}, "whoever records it"


def test_the_same_run_again_changes_nothing(lab: Lab, first: str) -> None:
    lock = lab.data / ".clipquarry/releases" / DATASET / "one" / f"{DATASET}.lock"
    before, asked = lock.read_bytes(), lab.origin.asked.copy()
    assert lab("run", DATASET, "--run", "one", "--jobs", "1").stdout.splitlines()[-1] == first
    assert lock.read_bytes() == before
    fetched = {path for path in lab.origin.asked if path.startswith("videos/") and lab.origin.asked[path] > asked[path]}
    assert fetched <= {f"videos/{DEAD}.mp4"}, "what is there is not fetched again"


def test_pages_stages_and_the_release_can_be_made_again(lab: Lab, first: str) -> None:
    page = lab.data / ".clipquarry/runs" / DATASET / "one/report/index.html"
    page.unlink()
    assert lab("report", DATASET, "--run", "one").stdout.strip() == str(page)
    assert page.exists()
    index = Path(lab("report", "--index").stdout.strip())
    assert DATASET in index.read_text()
    assert lab("release", DATASET, "--run", "one").stdout.strip().endswith(f"releases/{DATASET}/one")
    lists = json.loads(lab("stage", "lists", DATASET, "--run", "one").stdout)
    assert sum(entry["lines"] for entry in lists if "videos" in entry["path"]) >= 3
    counts = json.loads(lab("stage", "record", DATASET, "--run", "one").stdout)
    assert counts.get("done", 0) + counts.get("kept", 0) == 3
    assert "dry run; " in lab("plan", DATASET, "--limit", "1", "--run", "dry").stdout
    assert not (lab.data / ".clipquarry/runs" / DATASET / "dry/fetch").exists(), "a dry run fetches nothing"


def test_a_link_comes_back(lab: Lab, first: str) -> None:
    lock = lab.data / ".clipquarry/releases" / DATASET / "one" / f"{DATASET}.lock"
    assert "0 to ask for" in lab("refresh", DATASET, "--run", "early").stderr, "not due yet"
    lab.origin.set_plan({})
    later = (datetime.now(UTC) + timedelta(days=40)).isoformat()
    done = lab("refresh", DATASET, "--run", "late", "--as-of", later)
    assert done.stdout.splitlines()[-1].startswith("kinetics_toy: 4 of 4 clips are there")
    new = lock.parents[1] / "late" / lock.name
    assert lab("diff", str(lock), str(lock)).stdout
    changed = lab("diff", str(lock), str(new), "--json", code=1)
    assert DEAD in changed.stdout
    assert json.loads(changed.stdout)
    assert lab("diff", str(lock), str(lab.folder / "none.lock"), code=2).stderr.startswith("clipquarry: ")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "kinetics_none"], 2, "There is no data set 'kinetics_none'"),
        (["run", DATASET, "--split", "holdout"], 2, "has no split 'holdout'"),
        (["run", DATASET, "--class", "curling", "--run", "unknown-class"], 2, "has no class 'curling'"),
        (["run", DATASET, "--as-of", "yesterday"], 2, "as_of"),
        (["run", DATASET, "--as-of", "2026-11-21"], 2, "as_of needs a time zone"),
        (["due", DATASET, "--as-of", "yesterday"], 2, "is not a time"),
        (["run", DATASET, "--source", "nowhere"], 2, "has no source 'nowhere'"),
        (["run", DATASET, "--run", "///"], 2, "cannot name a run"),
        (["run", DATASET, "--label-map", "/nowhere/map.txt", "--run", "no-map"], 2, "/nowhere/map.txt"),
        (["report"], 2, "Name a data set"),
        (["report", DATASET, "--run", "nope"], 2, "has no run nope"),
        (["stage", "lists", "kinetics_none"], 2, "no run yet"),
        (["missing", "kinetics_none"], 2, "knows no data set 'kinetics_none'"),
        (["step", "explode", "--items", "a", "--out", "b", "--data", "c"], 2, "There is no step 'explode'"),
        (["step", "fetch", "--items", "a", "--out", "b", "--data", "c", "--params", "{}"], 2, "--params of step fetch"),
        (["step", "resize", "--items", "a", "--out", "b", "--data", "c", "--params", "{half"], 2, "Invalid JSON"),
        (["spec", "/nowhere.yaml"], 2, "cannot be read"),
        (["diff", "/nowhere.lock", "/nowhere.lock"], 2, "nowhere.lock"),
        (["explode"], 2, "No such command"),
    ],
    ids=lambda value: " ".join(value[:4]) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_one_sentence(lab: Lab, first: str, arguments: list[str], code: int, words: str) -> None:
    done = lab(*arguments, code=code)
    last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    assert words in last
    assert len(last) < 400


def test_a_data_root_that_cannot_be_written(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    done = lab("run", DATASET, "--data", str(tmp_path / "file/data"), code=2)
    assert (
        f"{tmp_path}/file/" in done.stderr.splitlines()[-1]
        and "a file is in the place of one of its folders" in done.stderr
    )


def test_a_yaml_that_no_run_could_use_is_told(lab: Lab) -> None:
    known = {row["name"]: row["family"] for row in lab.rows("datasets")}
    assert known[DATASET] == known["kinetics400"] == "clips"
    other = SPEC.replace("kinetics_toy", "other").replace("options: {reader: kinetics_csv}\n", "")
    (lab.folder / "specs/other.yaml").write_text(other)
    try:
        assert "key 'options': Field required" in lab("run", "other", code=2).stderr
        (lab.folder / "specs/other.yaml").write_text("name: [")
        assert "other.yaml, line" in lab("datasets", code=2).stderr
        assert (
            "is a valid data set of family 'clips'" in lab("spec", str(lab.folder / "specs/kinetics_toy.yaml")).stdout
        )
    finally:
        (lab.folder / "specs/other.yaml").unlink()
