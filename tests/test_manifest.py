"""Manifests: whole or not at all, versioned, streamed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clipquarry import manifest
from clipquarry.errors import ManifestError
from clipquarry.manifest import (
    CATALOG_FIELDS,
    ITEM_FIELDS,
    RESULT_FIELDS,
    ManifestWriter,
    check_items,
    count_rows,
    kind_of,
    read_rows,
    read_table,
    scalar,
    schema_of,
    write_rows,
)

SCHEMA = schema_of([pa.field("item_id", pa.string(), nullable=False), pa.field("n", pa.int32())], "toy")


def _rows(count: int) -> list[dict[str, object]]:
    return [{"item_id": f"train/a/{n}", "n": n} for n in range(count)]


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "deep/a.parquet"
    assert write_rows(path, SCHEMA, _rows(10_000)) == 10_000
    assert list(read_rows(path, batch=7)) == _rows(10_000)
    assert read_table(path).to_pylist() == _rows(10_000)
    assert (kind_of(path), count_rows(path)) == ("toy", 10_000)
    assert read_table(path, ["n"]).schema.names == ["n"]
    assert next(iter(read_rows(path, ["n"]))) == {"n": 0}
    assert [p.name for p in path.parent.iterdir()] == ["a.parquet"]


def test_no_rows_are_a_manifest_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert write_rows(path, SCHEMA, []) == 0
    assert list(read_rows(path)) == []
    assert count_rows(path) == 0


def test_missing_columns_are_null_and_unknown_ones_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_rows(path, SCHEMA, [{"item_id": "x"}])
    assert list(read_rows(path)) == [{"item_id": "x", "n": None}]
    with pytest.raises(ValueError, match=r"\['other'\] are not in the schema"):
        write_rows(path, SCHEMA, [{"item_id": "x", "other": 1}])
    assert list(read_rows(path)) == [{"item_id": "x", "n": None}], "the old one stays"


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(ZeroDivisionError), ManifestWriter(path, SCHEMA, rows_per_group=2) as writer:
        for row in _rows(5):
            writer.write(row)
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(ManifestError, match=r"There is no manifest .*a\.parquet"):
        read_table(path)
    write_rows(path, SCHEMA, _rows(100))
    whole = path.read_bytes()
    for bad in (b"", b"PAR1", b"garbage" * 100, whole[: len(whole) // 2], whole[:-10]):
        path.write_bytes(bad)
        with pytest.raises(ManifestError, match=r"a\.parquet is not a readable manifest"):
            list(read_rows(path))
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(ManifestError, match="not one of Clipquarry's"):
        count_rows(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ManifestError):
        count_rows(path)


def _with_version(path: Path, version: bytes) -> None:
    table = pa.table({"item_id": ["x"], "n": pa.array([1], pa.int32())})
    pq.write_table(table.replace_schema_metadata({b"clipquarry.schema": version, b"clipquarry.kind": b"toy"}), path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    _with_version(tmp_path / "a.parquet", str(manifest.VERSION + 1).encode())
    with pytest.raises(ManifestError, match="upgrade Clipquarry"):
        read_table(tmp_path / "a.parquet")


@pytest.mark.parametrize("version", [b"", b"one", b"\xff", b"0", b"9" * 5000])
def test_a_version_that_is_no_number_is_refused(version: bytes, tmp_path: Path) -> None:
    _with_version(tmp_path / "a.parquet", version)
    with pytest.raises(ManifestError):
        read_table(tmp_path / "a.parquet")


def test_an_older_schema_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _with_version(tmp_path / "a.parquet", str(manifest.VERSION).encode())
    monkeypatch.setitem(manifest.MIGRATIONS, manifest.VERSION, lambda t: t.append_column("new", pa.array([7])))
    monkeypatch.setattr(manifest, "VERSION", manifest.VERSION + 1)
    assert read_table(tmp_path / "a.parquet", ["n", "new"]).to_pylist() == [{"n": 1, "new": 7}]
    assert list(read_rows(tmp_path / "a.parquet")) == [{"item_id": "x", "n": 1, "new": 7}]


_OLD = (
    *((name, pa.string()) for name in ("item_id", "video_id", "clip_id", "split", "label", "class_dir")),
    *((name, pa.int32()) for name in ("label_index", "start", "end")), ("row", pa.int64()), ("status", pa.string()),
)  # fmt: skip
_CLIP = {
    "item_id": "val/a/x_000417_000427",
    "clip_id": "x_000417_000427",
    "start": 417,
    "end": 427,
    "row": 3,
    "status": "done",
}


def _old_table(path: Path, count: int = 2) -> None:
    """A table as version 1 wrote it: whole seconds."""
    schema = pa.schema(_OLD, metadata={b"clipquarry.schema": b"1", b"clipquarry.kind": b"catalog"})
    rejected = {"item_id": "val/#row-4", "row": 4, "status": "rejected"}
    pq.write_table(pa.Table.from_pylist([_CLIP, rejected] * (count // 2), schema=schema), path)


def test_seconds_of_version_1_become_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    _old_table(path, 10_000)
    table = read_table(path)
    assert table.schema.names == [*(f.name for f in ITEM_FIELDS), "status"]
    assert table.schema.types[: len(ITEM_FIELDS)] == [f.type for f in ITEM_FIELDS]
    first, second = table.slice(0, 2).to_pylist()
    assert (first["start"], first["end"], first["start_text"]) == (417_000_000, 427_000_000, None)
    assert (second["start"], second["end"]) == (None, None)
    assert list(read_rows(path, batch=7)) == table.to_pylist()
    assert next(read_rows(path, ["end", "parent"])) == {"end": 427_000_000, "parent": None}
    assert read_table(path, ["status"]).schema.names == ["status"]
    assert manifest.column_names(path) == {*(f.name for f in ITEM_FIELDS), "status"}
    with pytest.raises(KeyError):
        read_table(path, ["nothing"])


def test_a_table_of_another_kind_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_rows(path, SCHEMA, _rows(2))
    for read in (
        lambda: read_table(path, ["split"]),
        lambda: list(read_rows(path, ["split"])),
        lambda: check_items(path),
    ):
        with pytest.raises(
            ManifestError, match=r"a\.parquet has no column 'split'.*: delete it and run its step again"
        ):
            read()
    write_rows(path, schema_of([pa.field("item_id", pa.int64())], "toy"), [{"item_id": 7}])
    with pytest.raises(ManifestError, match="has other values in its column 'item_id'"):
        read_table(path)
    write_rows(path, schema_of([pa.field("item_id", pa.string())], "toy"), [{}])
    for read in (lambda: read_table(path), lambda: list(read_rows(path))):
        with pytest.raises(ManifestError, match="has rows without 'item_id'"):
            read()


@pytest.mark.parametrize("value", [10.5, 10.0, float("nan")])
def test_a_float_among_integers_is_never_cut(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is no integer, which n of a\.parquet holds"):
        write_rows(tmp_path / "a.parquet", SCHEMA, [{"item_id": "x", "n": value}])
    assert not list(tmp_path.iterdir())


def test_the_item_comes_first_everywhere() -> None:
    assert RESULT_FIELDS[: len(ITEM_FIELDS)] == ITEM_FIELDS == CATALOG_FIELDS[: len(ITEM_FIELDS)]
    assert [f.name for f in ITEM_FIELDS][:1] == ["item_id"]


_STREAM = """
import resource, sys
from pathlib import Path
import pyarrow as pa
from clipquarry.manifest import read_rows, schema_of, write_rows
schema = schema_of([pa.field("item_id", pa.string()), pa.field("text", pa.string())], "toy")
path = Path(sys.argv[1])
def go(count):
    write_rows(path, schema, ({"item_id": f"train/x/{n:08d}", "text": f"{n * 7919:050d}"} for n in range(count)))
    assert sum(1 for _ in read_rows(path)) == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small, big = go(20_000), go(150_000)
print((big - small) / 1024)
"""


def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STREAM, str(tmp_path / "a.parquet")], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 30, "MiB more for 130,000 more rows (a list of them takes 60)"


def test_a_manifest_that_cannot_be_begun_leaves_no_file(tmp_path: Path) -> None:
    unwritable = pa.schema([pa.field("x", pa.month_day_nano_interval())])
    with pytest.raises(pa.ArrowNotImplementedError), ManifestWriter(tmp_path / "a.parquet", unwritable):
        raise AssertionError("it was begun")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "nested",
    [
        pa.list_(pa.int32()),
        pa.large_list(pa.string()),
        pa.struct([("index", pa.int32())]),
        pa.map_(pa.string(), pa.int32()),
    ],
)
def test_columns_of_lists_are_a_mistake_in_the_program(nested: pa.DataType) -> None:
    """Several labels of an item stand in a table of their own: joins, pandas and Great Expectations see scalars only."""
    with pytest.raises(TypeError, match="hold lists"):
        schema_of((*CATALOG_FIELDS, pa.field("labels", nested)), "catalog")
    table = pa.table({"item_id": pa.array(["a"]), "labels": pa.nulls(1, nested)})
    with pytest.raises(TypeError, match=r"\['labels'\] hold lists"):
        scalar(table)
    assert scalar(table.select(["item_id"])).num_rows == 1
    schema_of((*ITEM_FIELDS, pa.field("attempts", nested)), "fetch")


def test_items_are_scalar() -> None:
    assert scalar(pa.schema((*CATALOG_FIELDS, *RESULT_FIELDS)).empty_table()).num_rows == 0


def test_a_column_is_of_integers_where_all_are_whole() -> None:
    whole = manifest.column_of_seconds(pa.chunked_array([[1_000_000, None, 0]]))
    assert whole.type == pa.int64() and whole.to_pylist() == [1, None, 0]
    parts = manifest.column_of_seconds(pa.chunked_array([[1_000_000, 100_000, None]]))
    assert parts.type == pa.float64() and parts.to_pylist() == [1.0, 0.1, None]
    assert manifest.column_of_seconds(pa.chunked_array([pa.array([None], pa.int64())])).to_pylist() == [None]
