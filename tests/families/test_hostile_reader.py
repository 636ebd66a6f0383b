"""A reader that passes on whatever its file says: what no run could use is rejected, and no name leaves the data root."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result
from clipquarry.annotations.catalog import write_catalog
from clipquarry.annotations.items import Item, RejectedRow
from clipquarry.annotations.label_table import Label
from clipquarry.annotations.labels import LabelIndex
from clipquarry.cli import main
from clipquarry.families.clips import options
from clipquarry.families.clips.annotation_files import catalog_facts, split_files
from clipquarry.files import TEMPORARY_PREFIX
from clipquarry.manifest import read_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.reasons import Reason

YAML = (Path(__file__).parent / "gestures/toy_gestures.yaml").read_text()
GOOD = {"video": "a", "clip": "a_1", "folder": "nod", "start": 0, "end": 1_000_000, "label": 0}


def read(split: str, path: Path) -> Iterator[Item | RejectedRow]:
    """Lines of JSON, each an item, or a rejected row (``reject``)."""
    for line in path.read_text().splitlines()[1:]:
        row = json.loads(line)
        if "reject" in row:
            yield RejectedRow(1, Reason.BAD_ROW, "no", row["reject"])
            continue
        labels = (Label(row["label"], row.get("text", "nod")),)
        names = row["video"], row["clip"], row["folder"]
        yield Item(1, *names, row["start"], row["end"], labels, row.get("start_text"))


def reader() -> ModuleType:
    """The module of the format."""
    module: Any = ModuleType("clipquarry.families.clips.readers.trusting")
    module.NAMES, module.problems = "own", lambda spec: iter(())

    def write(ctx: RunContext) -> dict[str, Any]:
        files = split_files(ctx)
        summary = write_catalog(ctx.annotation_csvs(), ctx.catalog, read, LabelIndex(("nod", "wave"), "the format"))
        return catalog_facts(ctx, files, summary)

    module.write_catalog = write
    return module


class World:
    def __init__(self, root: Path) -> None:
        self.root, self.data = root, root / "data"
        (root / "specs").mkdir()
        (root / "specs/toy_gestures.yaml").write_text(
            YAML.replace("toy_lines", "trusting").replace("{error: 0.5}", "{error: 1.0}")
        )
        (root / "clips").mkdir()

    @property
    def folder(self) -> Path:
        return self.data / ".clipquarry/runs/toy_gestures/one"

    def __call__(self, *lines: dict[str, Any] | str) -> Result:
        place = self.data / "toy_gestures/annotations"
        place.mkdir(parents=True, exist_ok=True)
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        (place / "train.txt").write_text("".join(f"{text}\n" for text in ["# lines", *texts]))
        (place / "val.txt").write_text(f"# lines\n{json.dumps(GOOD)}\n")
        command = [
            "run",
            "toy_gestures",
            "--run",
            "one",
            "--dry-run",
            "--data",
            str(self.data),
            "--set",
            'annotation_counts="warn"',
        ]
        return CliRunner().invoke(main, command)

    def rejected(self) -> list[tuple[str, str, str]]:
        rows = [row for row in read_rows(self.folder / "catalog.parquet") if row["status"] == "rejected"]
        return [(row["item_id"], row["reason"], row["evidence"]) for row in rows]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setitem(sys.modules, "clipquarry.families.clips.readers.trusting", reader())
    monkeypatch.setattr(options, "READERS", (*options.READERS, "trusting"))
    monkeypatch.setenv("CLIPQUARRY_DATASETS", str(tmp_path / "specs"))
    monkeypatch.setenv("TOY_GESTURES", str(tmp_path / "clips"))
    return made


@pytest.mark.parametrize(
    ("change", "reason", "sentence"),
    [
        ({"clip": "../x"}, "bad_id", "the clip's name holds a slash"),
        ({"clip": "/etc/x"}, "bad_id", "the clip's name holds a slash"),
        ({"clip": ".x"}, "bad_id", "begins with a dot"),
        ({"clip": "x\0"}, "bad_id", "holds a control character"),
        ({"clip": "x\ud800"}, "bad_id", "holds a control character"),
        ({"clip": "x y"}, "bad_id", "white space"),
        ({"clip": None}, "bad_id", "is empty"),
        ({"clip": "x", "video": "../v"}, "bad_id", "the id holds a slash"),
        ({"clip": "x", "folder": "../../up"}, "bad_label", "the class folder holds a slash"),
        ({"clip": "x", "folder": ".."}, "bad_label", "hidden or empty folder"),
        ({"clip": "x", "folder": "a b"}, "bad_label", "the class folder holds white space"),
        ({"clip": "x", "folder": ""}, "bad_label", "the class folder is empty"),
        ({"clip": "x", "start": -1}, "bad_time", "no whole number of microseconds"),
        ({"clip": "x", "start": float("nan")}, "bad_time", "no whole number of microseconds"),
        ({"clip": "x", "end": 10**30}, "bad_time", "no whole number of microseconds"),
        ({"clip": "x", "start": 5, "end": 5}, "bad_time", "before or where it starts"),
        ({"clip": "x", "start_text": "1\n2"}, "bad_time", "control character"),
        ({"clip": "x", "label": 2}, "unknown_label", "the class 2 is not one of the 2"),
        ({"clip": "x", "label": -1}, "unknown_label", "the class -1 is not one of the 2"),
        ({"clip": "x", "text": "no\nd"}, "bad_label", "control character"),
        ({}, "duplicate", "was given before"),
        ({"reject": "x\ud800\0"}, "bad_row", "no: x\\ud800\\x00"),
    ],
)
def test_what_no_run_could_use_is_a_rejected_row(
    tmp_path: Path, change: dict[str, Any], reason: str, sentence: str
) -> None:
    path, out = tmp_path / "train.txt", tmp_path / "run/catalog.parquet"
    path.write_text("".join(f"{text}\n" for text in ["# lines", json.dumps(GOOD), json.dumps(GOOD | change)]))
    summary = write_catalog({"train": path}, out, read, LabelIndex(("nod", "wave"), "the format")).splits["train"]
    _, row = read_rows(out)
    assert (summary.rows, summary.good, summary.rejected) == (2, 1, {reason: 1})
    assert (row["item_id"], row["status"], row["reason"]) == ("train/#row-1", "rejected", reason)
    assert sentence in row["evidence"]


def test_names_that_differ_in_case_or_normal_form_only_are_different_clips(tmp_path: Path) -> None:
    path, out = tmp_path / "train.txt", tmp_path / "catalog.parquet"
    names = ("a", "A", "-a", "é", "e\u0301", "a..b")
    path.write_text("".join(f"{text}\n" for text in ["#", *(json.dumps(GOOD | {"clip": name}) for name in names)]))
    summary = write_catalog({"train": path}, out, read, LabelIndex(("nod",), "the format"))
    assert summary.splits["train"].good == 6
    assert [row["clip_id"] for row in read_rows(out)] == list(names)


def test_a_run_has_every_rejected_row_and_ends_with_a_sentence(world: World) -> None:
    """Rows of one line are told apart."""
    done = world(GOOD, {**GOOD, "clip": "../x"}, {**GOOD, "folder": "../../up"}, {"reject": "y"})
    assert done.exit_code == 3 and "The gate 'annotations' blocks" in done.output  # val has train's clip
    assert [(name, reason) for name, reason, _ in world.rejected()] == [
        ("train/#row-1", "bad_id"), ("train/#row-1-2", "bad_label"), ("train/#row-1-3", "bad_row"),
    ]  # fmt: skip
    assert not list(world.root.rglob("up"))


def test_a_reader_that_fails_in_the_middle_leaves_no_catalog(world: World) -> None:
    done = world(GOOD, "{nonsense")
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit)
    told = (
        f"clipquarry: The reader trusting.py failed on {world.data}/toy_gestures/annotations/train.txt, after line 1 "
    )
    assert told + "(JSONDecodeError:" in done.output and "correct the reader, or the file." in done.output
    assert not {"catalog.parquet", "labels.parquet", "catalog.json"} & {path.name for path in world.folder.iterdir()}
    assert not [path for path in world.data.rglob("*") if path.name.startswith(TEMPORARY_PREFIX)]


def test_a_file_without_a_usable_row_says_why(world: World) -> None:
    done = world({**GOOD, "clip": "../x"})
    assert done.exit_code == 2
    assert "train.txt: no row of it can be used, the first because the clip's name holds a slash." in done.output
