"""Suites that users bring: they run in the gate, block it, and stand in its result as theirs."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import clipquarry
import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pytest
from ava_world import BoxWorld
from clipquarry.errors import Exit, UserError
from clipquarry.families.boxes.gate_tables import TABLES as OF_BOXES
from clipquarry.families.clips.gate_tables import TABLES as OF_CLIPS
from clipquarry.families.segments.gate_tables import TABLES as OF_SEGMENTS
from clipquarry.families.tubes.gate_tables import TABLES as OF_TUBES
from clipquarry.pipeline.gates import catalogue
from clipquarry.quality.engine import Engine, Suite
from clipquarry.quality.own_files import KNOWN, read_own_suites
from clipquarry.quality.own_rules import OwnRules
from clipquarry.report.gates import read_gates
from clipquarry.run_folder import RunFolder
from own_suites import own_gate, write_own
from plain_gx import plain_verdicts
from quality_world import World, broken

INCLUDE = Path(clipquarry.__file__).parent
BETWEEN = "expect_column_values_to_be_between"
SHORT = {"table": "clips", "expectations": [{"type": BETWEEN, "kwargs": {"column": "duration", "max_value": 9}}]}


def expectation(kind: str = BETWEEN, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs}


def suite(*expectations: dict[str, Any], table: str = "clips", **more: Any) -> dict[str, Any]:
    return {"table": table, "expectations": list(expectations), **more}


LONG = expectation(column="duration", max_value=9)


def test_a_suite_of_a_user_blocks_the_gate_and_stands_in_its_result(world: World) -> None:
    path = write_own(
        world, "clips", "lengths.yaml", suite({**LONG, "description": "clips are short", "notes": "Cut again."})
    )
    result = own_gate(world, "clips")
    check = broken(result)["own.lengths.yaml#1"]
    assert (check.severity, check.title, check.checked, check.unexpected) == ("error", "clips are short", 20, 20)
    assert result.blocked and check.advice == "Cut again." and check.worst[0].keys() == {"item_id", "duration"}
    assert check.worst[0]["item_id"] == world.recorded[0]["item_id"]
    assert result.error().exit_code == Exit.BLOCKED and "own.lengths.yaml#1" in result.sentence
    with open(result.path.with_name(result.rows_file), newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["check"].startswith("own.")]
    assert len(rows) == 20 and json.loads(rows[0]["values"]) == {"duration": 10.0}
    (gate,) = read_gates(world.run_dir)
    shown = next(one for one in gate.checks if one.name == "own.lengths.yaml#1")
    assert (shown.level, shown.title, shown.unexpected, len(shown.worst)) == ("bad", "clips are short", 20, 10)
    path.unlink()
    assert own_gate(world, "clips").verdict == "pass"


def test_plain_great_expectations_gives_the_verdicts_of_a_users_suite_too(world: World) -> None:
    many = [expectation("expect_column_values_to_be_unique", column=name) for name in ("item_id", "height")]
    write_own(world, "clips", "mine.json", {"name": "mine", **suite(LONG, *many, severity="warn")})
    result = own_gate(world, "clips")
    told = {check.id: check.success for check in result.checks if check.id.startswith("own.")}
    found = {one["check"]: one["success"] for one in plain_verdicts(RunFolder(world.run_dir).gx("clips"))}
    assert told == {"own.mine.json#1": False, "own.mine.json#2": True, "own.mine.json#3": False}
    assert {name: found[name] for name in told} == told and result.verdict == "warn"


def test_a_suite_that_great_expectations_wrote_runs_as_it_is(world: World) -> None:
    """The table stands in its meta, which the library keeps."""
    gx.get_context(mode="ephemeral")
    made = gx.ExpectationSuite(name="mine", meta={"table": "clips", "severity": "warn"})
    made.add_expectation(gxe.ExpectColumnValuesToBeBetween(column="duration", max_value=9, mostly=0.5))
    made.add_expectation(gxe.ExpectColumnMaxToBeBetween(column="duration", max_value=9, severity="info"))
    made.add_expectation(gxe.ExpectTableRowCountToEqual(value=20, meta={"severity": "error"}))
    write_own(world, "clips", "mine.json", json.dumps(made.to_json_dict()))
    result = own_gate(world, "clips")
    found = {check.id: (check.severity, check.success) for check in result.checks if check.id.startswith("own.")}
    assert found == {
        "own.mine.json#1": ("warn", False), "own.mine.json#2": ("info", False), "own.mine.json#3": ("error", True),
    }  # fmt: skip
    assert "at most 50 % allowed" in broken(result)["own.mine.json#1"].sentence


@pytest.mark.parametrize(
    ("of_suite", "of_one", "meta", "wanted"),
    [
        (None, None, None, "error"), ("warn", None, None, "warn"), ("warn", "error", None, "error"),
        ("warn", "critical", None, "warn"), (None, "critical", None, "error"), ("error", "warning", None, "warn"),
        ("error", "info", None, "info"), ("info", "warn", "error", "error"), ("critical", None, None, "error"),
    ],
)  # fmt: skip
def test_severity(tmp_path: Path, of_suite: str | None, of_one: str | None, meta: str | None, wanted: str) -> None:
    one = {**LONG, **({"severity": of_one} if of_one else {}), **({"meta": {"severity": meta}} if meta else {})}
    path = tmp_path / "set/clips/a.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(suite(one, **({"severity": of_suite} if of_suite else {}))))
    (read,) = read_own_suites([tmp_path], "set", "clips", ["clips"])
    assert read.expectations[0].severity == wanted


def test_info_is_told_and_never_counts(world: World) -> None:
    write_own(world, "clips", "a.yml", suite(LONG, severity="info"))
    result = own_gate(world, "clips")
    assert result.verdict == "pass" and list(broken(result)) == ["own.a.yml#1"]


def test_a_star_means_every_table_of_such_a_name(world: World) -> None:
    write_own(
        world,
        "clips",
        "a.yaml",
        suite(expectation("expect_table_row_count_to_be_between", min_value=3), table="coverage_*"),
    )
    result = own_gate(world, "clips")
    found = {check.scope: check.success for check in result.checks if check.id == "own.a.yaml#1"}
    assert found == {"coverage_all": True, "coverage_test": False, "coverage_train": True, "coverage_val": True}
    stored = {path.stem for path in RunFolder(world.run_dir).gx_suites("clips")}
    assert {"own.a.yaml.coverage_all", "own.a.yaml.coverage_test"} <= stored


def test_a_table_that_this_run_lacks_is_skipped_with_the_reason(world: World) -> None:
    write_own(world, "frames", "a.yaml", suite(expectation(column="width", min_value=1), table="resized"))
    write_own(world, "clips", "b.yaml", suite(expectation(column="asked_height", min_value=1), table="height"))
    world.resized = None
    skipped = {
        check.id: check.skipped
        for gate in ("frames", "clips")
        for check in own_gate(world, gate).checks
        if check.skipped
    }
    assert skipped["own.a.yaml#1"].startswith("this run has no table 'resized', it has ")
    assert skipped["own.b.yaml#1"] == "there is no table 'height': no height was asked of any source"


def test_rows_without_a_value_are_left_out_as_the_library_does(tmp_path: Path) -> None:
    folder = tmp_path / "set/clips"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(
        json.dumps(
            suite(expectation(column="n", min_value=0), expectation("expect_column_values_to_not_be_null", column="n"))
        )
    )
    rules = OwnRules("clips", read_own_suites([tmp_path], "set", "clips", ["clips"]), ["clips"])
    table = pd.DataFrame({"item_id": ["a", "b", "c"], "n": [1.0, None, 2.0]})
    (own,) = rules.over(Suite("clips", table))
    one, two = Engine(rules.checks()).run(own)
    assert (one.result.success, one.result.checked) == (True, 2)
    assert (two.result.success, two.result.unexpected, two.rows is not None) == (False, 1, True)


def test_the_boxes_of_films_have_tables_too(ava: BoxWorld) -> None:
    write_own(
        ava,
        "annotations",
        "a.yaml",
        suite(expectation("expect_column_values_to_be_in_set", column="action_id", value_set=[1, 80]), table="rows_*"),
    )
    check = broken(own_gate(ava, "annotations"))["own.a.yaml#1 [rows_train]"]
    assert check.unexpected == 6 and check.worst[0]["item_id"].startswith("train/-5KQ66BBWC4,")


WORKING: dict[str, dict[str, Any]] = {
    "expect_column_values_to_be_between": {"column": "n", "min_value": 2},
    "expect_column_values_to_be_in_set": {"column": "t", "value_set": ["a"]},
    "expect_column_values_to_not_be_in_set": {"column": "t", "value_set": ["a"]},
    "expect_column_values_to_be_unique": {"column": "s"},
    "expect_column_values_to_be_null": {"column": "n"},
    "expect_column_values_to_not_be_null": {"column": "h"},
    "expect_column_values_to_be_increasing": {"column": "d"},
    "expect_column_values_to_be_decreasing": {"column": "n"},
    "expect_column_values_to_match_regex": {"column": "t", "regex": "^a"},
    "expect_column_values_to_not_match_regex": {"column": "t", "regex": "^a"},
    "expect_column_values_to_match_regex_list": {"column": "t", "regex_list": ["^a", "^x"]},
    "expect_column_values_to_not_match_regex_list": {"column": "t", "regex_list": ["^a", "^x"]},
    "expect_column_values_to_match_strftime_format": {"column": "t", "strftime_format": "%Y"},
    "expect_column_values_to_be_dateutil_parseable": {"column": "t"},
    "expect_column_values_to_be_json_parseable": {"column": "t"},
    "expect_column_value_lengths_to_be_between": {"column": "t", "min_value": 2},
    "expect_column_value_lengths_to_equal": {"column": "t", "value": 2},
    "expect_column_value_z_scores_to_be_less_than": {"column": "n", "threshold": 0.5, "double_sided": True},
    "expect_column_values_to_be_of_type": {"column": "n", "type_": "str"},
    "expect_column_values_to_be_in_type_list": {"column": "n", "type_list": ["str"]},
    "expect_column_pair_values_to_be_equal": {"column_A": "n", "column_B": "d"},
    "expect_column_pair_values_a_to_be_greater_than_b": {"column_A": "n", "column_B": "d"},
    "expect_column_pair_values_to_be_in_set": {"column_A": "n", "column_B": "d", "value_pairs_set": [[1, 3]]},
    "expect_compound_columns_to_be_unique": {"column_list": ["s", "s2"]},
    "expect_select_column_values_to_be_unique_within_record": {"column_list": ["n", "d"]},
    "expect_multicolumn_sum_to_equal": {"column_list": ["n", "d"], "sum_total": 5},
    "expect_column_max_to_be_between": {"column": "n", "max_value": 2},
    "expect_column_min_to_be_between": {"column": "n", "min_value": 2},
    "expect_column_mean_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_median_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_stdev_to_be_between": {"column": "n", "max_value": 0.5},
    "expect_column_sum_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_quantile_values_to_be_between": {
        "column": "n", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[0, 1]]},
    },
    "expect_column_unique_value_count_to_be_between": {"column": "n", "max_value": 2},
    "expect_column_proportion_of_unique_values_to_be_between": {"column": "n", "max_value": 0.5},
    "expect_column_proportion_of_non_null_values_to_be_between": {"column": "h", "min_value": 0.9},
    "expect_column_distinct_values_to_be_in_set": {"column": "n", "value_set": [1, 2]},
    "expect_column_distinct_values_to_contain_set": {"column": "n", "value_set": [1, 9]},
    "expect_column_distinct_values_to_equal_set": {"column": "n", "value_set": [1, 2]},
    "expect_column_most_common_value_to_be_in_set": {"column": "s", "value_set": ["z"]},
    "expect_column_to_exist": {"column": "absent"},
    "expect_table_column_count_to_be_between": {"max_value": 2},
    "expect_table_column_count_to_equal": {"value": 2},
    "expect_table_columns_to_match_ordered_list": {"column_list": ["item_id", "n"]},
    "expect_table_columns_to_match_set": {"column_set": ["item_id", "n"]},
    "expect_table_row_count_to_be_between": {"max_value": 2},
    "expect_table_row_count_to_equal": {"value": 2},
}  # fmt: skip


@pytest.mark.parametrize("kind", KNOWN)
def test_every_known_expectation_finds_what_it_should(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "set/clips"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text(json.dumps(suite(expectation(kind, **WORKING[kind]))))
    rules = OwnRules("clips", read_own_suites([tmp_path], "set", "clips", ["clips"]), ["clips"])
    table = pd.DataFrame(
        {
            "item_id": ["a", "b", "c"], "n": [1, 2, 3], "d": [3, 2, 1], "t": ["a", "b", "c"], "s": ["x", "x", "y"],
            "s2": ["x", "x", "y"], "h": [1.0, None, 2.0],
        }
    )  # fmt: skip
    engine = Engine({**catalogue(), **rules.checks()})
    rules.refuse_wrong(engine.build)
    (own,) = rules.over(Suite("clips", table))
    (finding,) = engine.run(own)
    assert not finding.result.success
    told = finding.result.observed is not None or kind == "expect_column_to_exist"
    assert told if finding.rows is None else 0 < len(finding.rows) <= 3


HOSTILE: list[tuple[str, Any, str]] = [
    ("a.json", "{", "is not valid JSON"),
    ("a.json", "[" * 100_000, "is not valid JSON"),
    ("a.json", '{"table": NaN}', "NaN is no JSON number"),
    ("a.json", " " * 1_000_001, "larger than 1000000 bytes"),
    ("a.json", json.dumps({"expectations": [0] * 20_001}), "more than 20000 values"),
    ("a.json", "[]", "is no suite"),
    ("a.yaml", "a: [", "not valid YAML"),
    ("a.yaml", "a: &x 1\nb: *x", "aliases are not read"),
    ("a.yaml", "table: !!python/object/apply:os.system ['true']", "not valid YAML"),
    ("a.yaml", {**SHORT, "actions": []}, "no key 'actions'"),
    ("a.yaml", {**SHORT, "suite_parameters": {"a": 1}}, "'suite_parameters' are not evaluated"),
    ("a.yaml", {"expectations": SHORT["expectations"]}, "'table' must name a table"),
    ("a.yaml", {**SHORT, "table": "../clips"}, "'table' must name a table"),
    ("a.yaml", {**SHORT, "table": "clip"}, "the gate has no table 'clip': it has recorded, selected, "),
    ("a.yaml", {**SHORT, "table": "video*"}, re.escape("the gate has no table 'video*'")),
    ("a.yaml", {**SHORT, "severity": "fatal"}, "'severity' is 'fatal'; it must be error, warn or info"),
    ("a.yaml", {**SHORT, "expectations": []}, "a list of 1 to 200"),
    ("a.json", {**SHORT, "expectations": [LONG] * 201}, "a list of 1 to 200"),
    ("a.yaml", {**SHORT, "expectations": ["x"]}, "expectation 1 must be an object"),
    ("a.yaml", suite({**LONG, "class": "os.system"}), "no key 'class'"),
    ("a.yaml", suite({**LONG, "windows": [{}]}), "'windows' need earlier results"),
    ("a.yaml", suite(expectation("expect_column_values_to_be_lovely", column="x")), "'expect_column_values_to_be_lovely' is not run here"),
    ("a.yaml", suite(expectation("unexpected_rows_expectation", unexpected_rows_query="x")), "is not run here"),
    ("a.yaml", suite(expectation("expect_column_values_to_match_json_schema", column="path", json_schema={})), "is not run here"),
    ("a.yaml", suite(expectation("expect_table_row_count_to_equal_other_table", other_table_name="x")), "is not run here"),
    ("a.yaml", suite(expectation(column="frames", row_condition="@pd.io", condition_parser="pandas")), "'row_condition' is refused"),
    ("a.yaml", suite(expectation(column="frames", row_condition={"type": "pass_through", "pass_through_filter": "x"})), "'row_condition' is refused"),
    ("a.yaml", suite(expectation(column="frames", min_value={"$PARAMETER": "now()"})), "'min_value' holds dict"),
    ("a.yaml", suite(expectation("expect_column_quantile_values_to_be_between", column="frames", quantile_ranges={"$PARAMETER": "x"})), "'quantile_ranges' holds dict"),
    ("a.yaml", "table: clips\nexpectations: [{type: expect_column_values_to_be_between, kwargs: {column: frames, min_value: 2020-01-01}}]", "'min_value' holds date"),
    ("a.yaml", suite(expectation(column="frames", min_value=float("inf"))), "'min_value' holds float inf"),
    ("a.yaml", suite(expectation("expect_column_values_to_match_regex", column="path", regex="a" * 1001)), "a text of more than 1000"),
    ("a.yaml", suite(expectation("expect_column_values_to_match_regex", column="path", regex="(")), "expectation 1: it cannot be checked on the table|expectation 1: "),
    ("a.yaml", suite(expectation(column="frames", minimum=1)), "expectation 1: 'minimum'"),
    ("a.yaml", suite(expectation(column="frames", min_value=1, mostly=7)), "expectation 1: 'mostly'"),
    ("a.yaml", suite(expectation(min_value=1)), "expectation 1: 'column'"),
    ("a.yaml", suite(expectation("expect_compound_columns_to_be_unique", column_list=7)), "expectation 1: 'column_list'"),
    ("a.yaml", suite(LONG, expectation(column="frame", min_value=1)), "expectation 2: the table 'clips' has no column 'frame': it has item_id, "),
    ("a.yaml", suite(expectation(column="path", min_value=1)), "expectation 1: it cannot be checked on the table"),
    ("a.py", "import os", "programs are not run here"),
    ("a b.yaml", SHORT, "name it with letters"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "says"), HOSTILE)
def test_a_wrong_suite_is_one_sentence_and_a_users_error(world: World, name: str, content: Any, says: str) -> None:
    path = write_own(world, "clips", name, content)
    with pytest.raises(UserError, match=says) as caught:
        own_gate(world, "clips")
    text = str(caught.value)
    assert caught.value.exit_code == Exit.USAGE and path.name in text and "\n" not in text and len(text) < 1000
    assert not RunFolder(world.run_dir).gate("clips").exists() and not RunFolder(world.run_dir).gx("clips").exists()


def test_a_folder_that_no_gate_reads_is_one_sentence(world: World) -> None:
    write_own(world, "clip", "a.yaml", SHORT)
    with pytest.raises(UserError, match="mini has no gate 'clip': rename the folder to one of annotations, clips, "):
        own_gate(world, "annotations")


def test_folders_of_several_people(tmp_path: Path) -> None:
    for who, name in (("one", "a.yaml"), ("two", "b.yaml"), ("two", "notes.md"), ("two", ".hidden.yaml")):
        (tmp_path / who / "set/clips").mkdir(parents=True, exist_ok=True)
        (tmp_path / who / "set/clips" / name).write_text(json.dumps(SHORT))
    folders = [tmp_path / "one", tmp_path / "two", tmp_path / "nowhere"]
    assert [one.id for one in read_own_suites(folders, "set", "clips", ["clips"])] == ["own.a.yaml", "own.b.yaml"]
    assert read_own_suites(folders, "other", "clips", ["clips"]) == ()
    (tmp_path / "two/set/clips/a.yaml").write_text(json.dumps(SHORT))
    with pytest.raises(UserError, match="has the same name: rename one"):
        read_own_suites(folders, "set", "clips", ["clips"])
    for number in range(101):
        (tmp_path / f"one/set/clips/{number}.yaml").write_text("")
    with pytest.raises(UserError, match="has 102 suites; 100 are the most"):
        read_own_suites(folders, "set", "clips", ["clips"])


def test_a_pipe_is_refused_and_not_waited_for(world: World) -> None:
    import os

    for name in ("a.json", "a.yaml"):
        path = write_own(world, "clips", name, "")
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(UserError, match=name):
            own_gate(world, "clips")
        path.unlink()


COMPUTED = {"x", "x_x", "balance_x_x", "leaks"}
"""Names whose first part is computed, which made runs have; and suites without a table, of a stage or a split that was left out."""


def _names(path: Path) -> Iterator[str]:
    """Names of the suites that a module makes, ``x`` for what it computes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Suite" and node.args:
            name = node.args[0]
            parts = name.values if isinstance(name, ast.JoinedStr) else [name]
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)


@pytest.mark.parametrize(
    ("tables", "family"), [(OF_CLIPS, "clips"), (OF_BOXES, "boxes"), (OF_SEGMENTS, "segments"), (OF_TUBES, "tubes")]
)
def test_every_suite_has_a_listed_table(tables: Mapping[str, Mapping[str, str]], family: str) -> None:
    """Also of data sets and stages that no made run has: what is not listed, no user can name."""
    listed = {name for names in tables.values() for name in names}
    assert all(re.fullmatch(r"[a-z_*]+", name) for name in listed)
    made = {name for path in (INCLUDE / f"families/{family}/gates").glob("*.py") for name in _names(path)}
    shared = {name for path in (INCLUDE / "quality").glob("*.py") for name in _names(path)} - {"x"}
    others = {one for known in (OF_BOXES, OF_CLIPS, OF_SEGMENTS, OF_TUBES) for names in known.values() for one in names}

    def is_among(name: str, known: set[str]) -> bool:
        return any(re.fullmatch(one.replace("*", ".+"), name) for one in known)

    assert len(made) > 5 and len(shared) > 15
    assert [name for name in sorted(made - COMPUTED) if not is_among(name, listed)] == []
    assert [name for name in sorted(shared) if not is_among(name, listed | others | {"x_results", "x_made"})] == []
