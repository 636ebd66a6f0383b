"""The last known result of every item, over all runs."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clipquarry.errors import ManifestError
from clipquarry.manifest import read_rows
from clipquarry.pipeline.record import record
from clipquarry.pipeline.state import STATE_SCHEMA, check_files, locked, merged, read_state, write_table
from families.made_run import CATALOG, write_manifest
from pipeline_world import World

OLD_SCHEMA = STATE_SCHEMA.remove(STATE_SCHEMA.get_field_index("asked_height"))


def _state(**status: str) -> pa.Table:
    rows: list[dict[str, Any]] = [
        {
            "item_id": name,
            "split": "train",
            "status": value,
            "reason": "ok",
            "evidence": "",
            "key": "",
            "path": f"{name}.mp4",
        }
        for name, value in status.items()
    ]
    return pa.Table.from_pylist(rows, STATE_SCHEMA)


def _as_dict(table: pa.Table) -> dict[str, str]:
    return dict(zip(table["item_id"].to_pylist(), table["status"].to_pylist(), strict=True))


def test_new_rows_replace_old_ones_and_the_catalog_decides(tmp_path: Path) -> None:
    assert read_state(tmp_path / "none.parquet").num_rows == 0
    old, new = _state(a="done", b="missing", c="done"), _state(b="done", d="missing")
    assert _as_dict(merged(old, new, pa.array(["a", "b", "d"]))) == {"a": "done", "b": "done", "d": "missing"}
    assert _as_dict(merged(STATE_SCHEMA.empty_table(), new, pa.array(["b", "d"]))) == {"b": "done", "d": "missing"}
    assert _as_dict(merged(old, STATE_SCHEMA.empty_table(), pa.array(["a"]))) == {"a": "done"}


def test_a_state_of_an_older_version_has_its_new_columns_empty(tmp_path: Path) -> None:
    write_table(tmp_path / "old.parquet", _state(a="done").drop_columns(["asked_height"]), OLD_SCHEMA)
    read = read_state(tmp_path / "old.parquet")
    assert read.schema.names == STATE_SCHEMA.names
    assert (_as_dict(read), read["asked_height"].to_pylist()) == ({"a": "done"}, [None])


def test_a_vanished_file_becomes_missing(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").touch()
    table = _state(a="done", b="kept", c="missing")
    assert check_files(table, tmp_path).equals(table)
    (tmp_path / "b.mp4").unlink()
    checked = check_files(table, tmp_path)
    assert _as_dict(checked) == {"a": "done", "b": "missing", "c": "missing"}
    assert "has gone from the disk" in checked["evidence"].to_pylist()[1]
    assert checked.schema.equals(table.schema)


def test_runs_over_parts_of_the_data_set_add_up(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.go(world.context("train", splits=["train"]))
    ctx = world.context("val", splits=["val"])
    world.go(ctx)
    assert len({row["item_id"] for row in read_rows(ctx.state)}) == 60
    victim = world.catalog[3]
    (tmp_path / world.path_of(victim)).unlink()
    record(ctx)
    gone = [row["item_id"] for row in read_rows(ctx.state) if row["status"] == "missing"]
    assert gone == [victim["item_id"]]
    world.catalog = [row for row in world.catalog if row["split"] == "val"]
    world.go(world.context("later", splits=["val"]))
    assert {row["split"] for row in read_rows(ctx.state)} == {"val"}, "what left the catalog leaves the state"


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path / "state.parquet"):
            order.append("second")

    with locked(tmp_path / "state.parquet"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_table_of_another_kind_is_no_state(tmp_path: Path) -> None:
    """All its columns would be empty."""
    write_manifest(tmp_path / "state.parquet", CATALOG, [])
    with pytest.raises(ManifestError, match="is a table of 'catalog', not of the state of a data set"):
        read_state(tmp_path / "state.parquet")
