"""A data root of the old name is taken over: nothing is fetched or made again, and a kill in the middle costs nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from clipquarry import former
from clipquarry.adopt.data_root import adopt, open_runs
from clipquarry.cli import main
from clipquarry.demo.origin import Origin
from clipquarry.errors import UserError
from clipquarry.files import write_json
from clipquarry.manifest import CATALOG_FIELDS, count_rows, schema_of, write_rows
from clipquarry.settings import PRIVATE, Settings
from old_root import age, inodes, tables

RUN = ("run", "kinetics_demo", "--split", "val", "--resize", "--frames", "--short-edge", "128", "--shards", "2")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def nothing(_: str) -> None:
    pass


def small_root(root: Path, *, ended: bool = True) -> Path:
    """A data root of the old name with one table, one text that names a path, and an unfinished file."""
    folder = root / PRIVATE / "runs/kinetics_demo/one"
    rows = [{"item_id": "train/#row-2", "split": "train", "status": "rejected", "reason": "bad_id",
             "evidence": f"set aside as {PRIVATE}/set-aside/x.mp4"}]  # fmt: skip
    write_rows(folder / "catalog.parquet", schema_of(CATALOG_FIELDS, "catalog"), rows)
    times = {"started": "2026-11-01T00:00:00+00:00", **({"ended": "2026-11-01T01:00:00+00:00"} if ended else {})}
    write_json(folder / "run.json", {**times, "path": f"{PRIVATE}/runs", "url": f"https://a.example/x{PRIVATE}/y"})
    (root / "kinetics_demo/videos_train/zumba").mkdir(parents=True)
    (root / "kinetics_demo/videos_train/zumba" / f"{former.TEMPORARY_PREFIX}1234.mp4").write_bytes(b"half")
    (root / "kinetics_demo/videos_train/zumba/mine.mp4").write_bytes(b"whole")
    age(root)
    return root


@pytest.mark.timeout(600)
def test_killed_or_not_an_adopted_root_is_kept_whole(
    demo_origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo_origin.set_plan(
        {path: how for path, how in demo_origin.script.plan.items() if how["do"] in ("404", "410", "html")}
    )
    monkeypatch.setenv("CLIPQUARRY_DATA", str(tmp_path / "data"))
    made = run(*RUN, "--run", "one")
    assert made.exit_code == 0, made.output
    before, there, asked = tables(tmp_path / "data" / PRIVATE), inodes(tmp_path / "data"), demo_origin.asked.copy()
    age(tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / former.PRIVATE / "ledger.sqlite") as ledger:
        ledger.execute("UPDATE ledger_item SET evidence = ?", (f"yours is in {former.PRIVATE}/set-aside/a.mp4",))
    refused = run("coverage", "kinetics_demo")
    assert refused.exit_code == 2 and f"clipquarry adopt --data {tmp_path / 'data'}" in refused.output

    looked = 0

    def die(_: str) -> None:
        nonlocal looked
        looked += 1
        if looked == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adopt(tmp_path / "data", None, count=die)
    assert not (tmp_path / "data" / PRIVATE).exists(), "the folder's name comes last"
    assert run("adopt").exit_code == 0
    assert not (tmp_path / "data" / former.PRIVATE).exists()
    assert tables(tmp_path / "data" / PRIVATE) == before
    assert inodes(tmp_path / "data") == there
    again = run("adopt")
    assert again.exit_code == 0 and "0 tables and 0 texts rewritten, 0 rows" in again.output
    with sqlite3.connect(tmp_path / "data" / PRIVATE / "ledger.sqlite") as ledger:
        assert set(ledger.execute("SELECT evidence FROM ledger_item")) == {(f"yours is in {PRIVATE}/set-aside/a.mp4",)}

    assert run(*RUN, "--run", "two").exit_code == 0
    assert not [path for path in demo_origin.asked - asked if "annotations" not in path], "nothing is asked for again"
    results = tables(tmp_path / "data" / PRIVATE / "runs/kinetics_demo/two")
    for step in ("fetch", "resize", "frames"):
        states = {row["status"] for name, (_, rows) in results.items() if name.startswith(f"{step}/") for row in rows}  # type: ignore[misc, attr-defined]
        assert states == {"kept"}, (step, states)
    kept = inodes(tmp_path / "data")
    assert {name: node for name, node in there.items() if name.endswith((".mp4", ".jpg"))}.items() <= kept.items()


def test_words_paths_and_unfinished_files(tmp_path: Path) -> None:
    root = small_root(tmp_path)
    old = root / former.PRIVATE / "runs/kinetics_demo/one"
    changed = (old / "run.json").stat().st_mtime_ns
    done = adopt(root, None, count=nothing)
    assert (done.tables, done.texts, done.removed, done.ledger_rows) == (1, 1, 1, 0)
    folder = root / PRIVATE / "runs/kinetics_demo/one"
    assert count_rows(folder / "catalog.parquet") == 1
    facts = json.loads((folder / "run.json").read_text())
    assert facts["path"] == f"{PRIVATE}/runs" and former.PRIVATE in facts["url"], (
        "a name that only ends so is another name"
    )
    assert (folder / "run.json").stat().st_mtime_ns == changed
    assert [path.name for path in root.rglob("*.mp4")] == ["mine.mp4"]
    Settings.from_env({}, data=root)


def test_refused_while_a_run_is_open(tmp_path: Path) -> None:
    root = small_root(tmp_path, ended=False)
    assert open_runs(root / former.PRIVATE) == ["kinetics_demo/one"]
    refused = run("adopt", "--data", str(root))
    assert refused.exit_code == 2 and "kinetics_demo/one has not ended" in refused.output
    assert (root / former.PRIVATE).exists() and not (root / PRIVATE).exists()
    assert run("adopt", "--data", str(root), "--dead", "kinetics_demo/another").exit_code == 2
    assert run("adopt", "--data", str(root), "--dead", "kinetics_demo/one").exit_code == 0


def test_two_private_folders_and_none_are_sentences(tmp_path: Path) -> None:
    nowhere = run("adopt", "--data", str(tmp_path))
    assert nowhere.exit_code == 2 and "nothing of ours" in nowhere.output
    root = small_root(tmp_path / "a")
    shutil.copytree(root / former.PRIVATE, root / PRIVATE)
    with pytest.raises(UserError, match="both"):
        adopt(root, None, count=nothing)
    gone = run("adopt", "--data", str(tmp_path / "gone"))
    assert gone.exit_code == 2 and "cannot be opened" in gone.output


def test_a_damaged_table_is_left_to_whoever_needs_it(tmp_path: Path) -> None:
    root = small_root(tmp_path)
    (root / former.PRIVATE / "runs/kinetics_demo/one/part-00000.parquet").write_bytes(b"PAR1 and no more")
    assert adopt(root, None, count=nothing).tables == 1
