"""What compares millions of rows: the same answers as the plain ways that it stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from clipquarry.errors import ManifestError
from clipquarry.families.boxes.gates.files import line_names, repeated_in
from clipquarry.families.boxes.gates.prepared import _in_raw
from clipquarry.families.boxes.gates.rows import seconds
from clipquarry.manifest import RESULT_FIELDS, schema_of, write_rows
from clipquarry.pipeline.gates import catalogue
from clipquarry.quality.engine import BETWEEN, Engine, Rule, Suite
from clipquarry.quality.tables import RunTables, distinct, extract, has, looked_up, numbered, pick
from clipquarry.steps.fields import ATTEMPTS_FIELD
from quality_world import World


def test_equal_rows_have_equal_numbers() -> None:
    table = pd.DataFrame({"a": ["x", "x", "y", "x"], "b": [0.1, 0.1, 0.1, np.nan], "c": [1, 1, 1, 1]})
    numbers = numbered(*(table[name] for name in table))
    assert numbers[0] == numbers[1] and len(set(numbers.tolist())) == 3
    many = pd.Series(np.arange(1 << 14))
    wide = numbered(*[many] * 6, many % 2)  # 85 bits, were it not counted between
    assert len(np.unique(wide)) == len(many) and (numbered(*[many] * 6, many % 2) == wide).all()
    assert len(numbered(pd.Series([], dtype="str"))) == 0


def test_distinct_rows_keep_the_first_of_each() -> None:
    table = pd.DataFrame({"video_id": ["b", "a", "b"], "second": [1, 1, 1], "time": ["1.0", "1", "1.5"]})
    kept = distinct(table, "video_id", "second")
    assert kept["time"].tolist() == ["1.0", "1"] and kept.index.tolist() == [0, 1]


def test_names_are_looked_up_once_each() -> None:
    values = pd.Series(["b", "c", "b"], index=[4, 2, 9])
    found = looked_up(values, {"b": 7})
    assert found.index.tolist() == [4, 2, 9] and found.fillna(-1).tolist() == [7, -1, 7]
    groups = extract(values, r"\A(?P<letter>b)\z")["letter"]
    assert groups.index.tolist() == [4, 2, 9] and groups.fillna("").tolist() == ["b", "", "b"]
    assert seconds(pd.Series(["1.5", "x", "1.5", "."])).tolist() == [1.5, -1.0, 1.5, -1.0]


def test_numbers_among_ascending_ones() -> None:
    assert has(np.array([1, 3]), np.array([0, 1, 2, 3, 4])).tolist() == [False, True, False, True, False]
    assert has(np.array([], dtype=np.int64), np.array([1])).tolist() == [False]
    assert repeated_in(np.array([5, 5, 6, 7]), np.array([7, 5])).tolist() == [True, False, False, True]


def test_all_rows_are_picked_without_a_copy_and_stay_apart() -> None:
    table = pd.DataFrame({"n": [1, 2]}, index=[3, 4])
    chosen = pick(table, table["n"] > 0)
    chosen["n"] = 0
    assert table["n"].tolist() == [1, 2] and chosen.index.tolist() == [0, 1]


def rows(*values: tuple[float, int]) -> pd.DataFrame:
    table = pd.DataFrame(values, columns=["x1", "action_id"])
    return table.assign(y1=0.0, x2=1.0, y2=1.0)


@pytest.mark.parametrize("turn", [1, -1])
def test_rows_of_a_key_frame_are_found_in_any_order(turn: int) -> None:
    """Twice in the csv and three times here: one is too many. Another frame's row is none of this one."""
    raw, raw_key = rows((0.1, 1), (0.2, 1), (0.1, 1), (0.3, 2)), np.array([0, 0, 0, 1])
    own, own_key = rows((0.1, 1), (0.1, 1), (0.1, 1), (0.2, 1), (0.3, 2), (0.3, 1)), np.array([0, 0, 0, 0, 0, 1])
    raw, raw_key = raw[::turn].reset_index(drop=True), raw_key[::turn]
    found = _in_raw(own, raw, own_key, raw_key)
    assert found[:3].sum() == 2 and found[3:].tolist() == [True, False, False]


def test_names_are_made_for_the_rows_that_are_shown() -> None:
    table = pd.DataFrame({"n": pd.Series([1, 9, 1, 8], dtype="int32")})
    suite = Suite(
        "t", table, [Rule("clips.facts", BETWEEN, {"column": "n", "max_value": 5})], named=line_names("val/#line-")
    )
    (finding,) = Engine(catalogue()).run(suite)
    assert finding.rows is not None and finding.rows["item_id"].tolist() == ["val/#line-2", "val/#line-4"]
    assert [row["item_id"] for row in finding.result.worst] == ["val/#line-2", "val/#line-4"]


def test_rows_are_counted_without_being_read(world: World) -> None:
    from clipquarry.quality.tables import RunTables

    world.write()
    run = RunTables(world.run_dir)
    assert run.count(run.place.catalog) == len(world.catalog)
    with pytest.raises(ManifestError, match="There is no table"):
        run.count(world.run_dir / "nothing.parquet")
    (world.run_dir / "half.parquet").write_bytes(b"PAR1")
    with pytest.raises(ManifestError, match="not a whole table"):
        run.count(world.run_dir / "half.parquet")


@pytest.mark.parametrize("value", [[1, 2], (1,), {"a": 1}, np.array([1, 2])])
def test_lists_are_never_checked(value: object) -> None:
    """Great Expectations compares them wrongly, and says nothing."""
    table = pd.DataFrame({"item_id": ["a", "b"], "labels": pd.Series([None, value], dtype=object)})
    rule = Rule("clips.selected", BETWEEN, {"column": "labels", "min_value": 1})
    with pytest.raises(TypeError, match=r"\['labels'\] of the suite several hold lists"):
        list(Engine(catalogue()).run(Suite("several", table, [rule])))


def test_columns_of_lists_are_not_loaded(world: World) -> None:
    fields = [*RESULT_FIELDS, ATTEMPTS_FIELD]
    write_rows(world.run_dir / "results.parquet", schema_of(fields, "results"), [])
    run = RunTables(world.run_dir)
    assert run.load("results", ["item_id", "status"]).empty
    with pytest.raises(TypeError, match=r"\['attempts'\] hold lists"):
        run.load("results", ["item_id", "attempts"])
