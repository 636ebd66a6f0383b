"""Reader of suites that users bring: ``{folder}/{data set}/{gate}/*.json`` as Great Expectations writes a suite, or the
same as ``.yaml`` or ``.yml``.

A file is data, never a program. Only expectations of the library itself are known, and only those that look at one
table: what would run SQL, evaluate an expression or fetch a schema is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

from clipquarry.datasets.safe_yaml import MAX_BYTES, MAX_DEPTH, MAX_VALUES, read_yaml
from clipquarry.errors import UserError, unread
from clipquarry.files import refuse_pipe
from clipquarry.quality.check import Severity

MAX_FILES: Final = 100
"""Of one data set's gate."""
MAX_EXPECTATIONS: Final = 200
"""Of one suite."""
MAX_TEXT: Final = 1000
"""Characters of a pattern or another text."""

_SUFFIXES: Final = (".json", ".yaml", ".yml")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_TABLE: Final = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9_.*-]{0,99}", re.ASCII)
_TYPE: Final = re.compile(r"expect_[a-z_]{1,90}", re.ASCII)
_LEVELS: Final[Mapping[str, Severity]] = {"critical": "error", "warning": "warn", "info": "info"}
"""Great Expectations' severities, and ours."""
_USUAL: Final = "critical"
_SUITE_KEYS: Final = {"name", "expectations", "meta", "notes", "id", "table", "severity", "suite_parameters",
                      "expectation_suite_name", "data_asset_type", "ge_cloud_id"}  # fmt: skip
_KEYS: Final = {"type", "expectation_type", "kwargs", "meta", "severity", "notes", "description", "id",
                "rendered_content", "windows"}  # fmt: skip
_DROPPED: Final = ("result_format", "catch_exceptions", "batch_id", "include_config")
"""Arguments that Great Expectations stores beside those of an expectation, and that say nothing about the data."""
_NEVER: Final = ("row_condition", "condition_parser")
"""Their texts reach ``DataFrame.query``, which evaluates them as a program."""

KNOWN: Final[Mapping[str, str]] = {
    f"expect_{name}": "Expect" + "".join(part.capitalize() for part in name.split("_"))
    for name in (
        "column_values_to_be_between", "column_values_to_be_in_set", "column_values_to_not_be_in_set",
        "column_values_to_be_unique", "column_values_to_be_null", "column_values_to_not_be_null",
        "column_values_to_be_increasing", "column_values_to_be_decreasing", "column_values_to_match_regex",
        "column_values_to_not_match_regex", "column_values_to_match_regex_list",
        "column_values_to_not_match_regex_list", "column_values_to_match_strftime_format",
        "column_values_to_be_dateutil_parseable", "column_values_to_be_json_parseable",
        "column_value_lengths_to_be_between", "column_value_lengths_to_equal", "column_value_z_scores_to_be_less_than",
        "column_values_to_be_of_type", "column_values_to_be_in_type_list",
        "column_pair_values_to_be_equal", "column_pair_values_a_to_be_greater_than_b",
        "column_pair_values_to_be_in_set", "compound_columns_to_be_unique",
        "select_column_values_to_be_unique_within_record", "multicolumn_sum_to_equal",
        "column_max_to_be_between", "column_min_to_be_between", "column_mean_to_be_between",
        "column_median_to_be_between", "column_stdev_to_be_between", "column_sum_to_be_between",
        "column_quantile_values_to_be_between", "column_unique_value_count_to_be_between",
        "column_proportion_of_unique_values_to_be_between", "column_proportion_of_non_null_values_to_be_between",
        "column_distinct_values_to_be_in_set", "column_distinct_values_to_contain_set",
        "column_distinct_values_to_equal_set", "column_most_common_value_to_be_in_set",
        "column_to_exist", "table_column_count_to_be_between", "table_column_count_to_equal",
        "table_columns_to_match_ordered_list", "table_columns_to_match_set",
        "table_row_count_to_be_between", "table_row_count_to_equal",
    )
}  # fmt: skip
"""The expectations that are run, by the names in suites; the class of each."""


@dataclass(frozen=True)
class OwnExpectation:
    """One expectation of a user's suite. ``place`` says where it stands, for messages."""

    place: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Severity
    title: str
    advice: str

    @property
    def kind(self) -> str:
        """The class in Great Expectations."""
        return KNOWN[self.type]


@dataclass(frozen=True)
class OwnSuite:
    """A file with expectations for one table of a gate; ``table`` may hold ``*``."""

    path: Path
    table: str
    severity: Severity
    expectations: tuple[OwnExpectation, ...]

    @property
    def id(self) -> str:
        """What its checks are called: ``own.lengths.yaml``."""
        return f"own.{self.path.name}"


def read_own_suites(folders: Sequence[Path], dataset: str, gate: str, gates: Sequence[str]) -> tuple[OwnSuite, ...]:
    """The suites of one data set's gate in all ``folders``, by name. ``gates``: those that the data set has.

    Raises :class:`UserError`, one sentence, for a file that is no such suite, and for a folder that no gate reads.
    """
    found: dict[str, OwnSuite] = {}
    for folder in folders:
        here = folder / dataset
        if not here.is_dir():
            continue
        for one in sorted(here.iterdir()):
            if one.is_dir() and not one.name.startswith(".") and one.name not in gates:
                raise UserError(
                    f"{one}: {dataset} has no gate '{one.name}': rename the folder to one of {', '.join(gates)}."
                )
        for path in _files(here / gate):
            suite = _suite(path)
            if suite.id in found:
                raise UserError(f"{path}: {found[suite.id].path} has the same name: rename one of them.")
            found[suite.id] = suite
    return tuple(found.values())


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    if program := next((path for path in paths if path.suffix == ".py"), None):
        raise UserError(
            f"{program}: programs are not run here: write a suite as .json or .yaml of expectations that are built in."
        )
    suites = [path for path in paths if path.suffix in _SUFFIXES]
    if len(suites) > MAX_FILES:
        raise UserError(f"{folder} has {len(suites)} suites; {MAX_FILES} are the most.")
    if odd := next((path for path in suites if not _NAME.fullmatch(path.name)), None):
        raise UserError(f"{str(odd)!r}: name it with letters, digits, '_', '-' and '.', 100 characters at most.")
    return suites


def _suite(path: Path) -> OwnSuite:
    refuse_pipe(path)
    value = _read_json(path) if path.suffix == ".json" else read_yaml(path, "a suite")[1]
    if not isinstance(value, dict):
        raise UserError(f"{path} is no suite: it must be an object with the keys 'table' and 'expectations'.")
    if unknown := sorted(str(key) for key in value.keys() - _SUITE_KEYS):
        raise UserError(f"{path}: a suite has no key '{unknown[0][:100]}'.")
    if value.get("suite_parameters"):
        raise UserError(f"{path}: 'suite_parameters' are not evaluated here: write the values themselves.")
    meta = _object(value.get("meta"), f"{path}: 'meta'")
    table = value.get("table", meta.get("table"))
    if not isinstance(table, str) or not _TABLE.fullmatch(table):
        raise UserError(
            f"{path}: 'table' must name a table of the gate, such as 'table: clips' (in GX JSON: in 'meta')."
        )
    usual = _severity(value.get("severity", meta.get("severity")), f"{path}: 'severity'")
    listed = value.get("expectations")
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_EXPECTATIONS:
        raise UserError(f"{path}: 'expectations' must be a list of 1 to {MAX_EXPECTATIONS} expectations.")
    made = tuple(_expectation(one, f"{path}, expectation {number}", usual) for number, one in enumerate(listed, 1))
    return OwnSuite(path, table, usual or "error", made)


def _read_json(path: Path) -> Any:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path} is larger than {MAX_BYTES} bytes: that is not a suite.")
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # also what is not UTF-8, and numbers of thousands of digits
        raise UserError(f"{path} is not valid JSON: {unread(error)[:200]}.") from error
    if sum(1 for _ in _values(value, path, 0)) > MAX_VALUES:
        raise UserError(f"{path} has more than {MAX_VALUES} values.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _values(value: Any, path: Path, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        raise UserError(f"{path} is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _values(one, path, depth + 1)
    else:
        yield value


def _object(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{where} must be an object.")
    return value


def _severity(value: Any, where: str) -> Severity | None:
    """A severity in our words or in Great Expectations'; None for none."""
    if value is None:
        return None
    known: dict[Any, Severity] = {**_LEVELS, **{one: one for one in get_args(Severity)}}
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{where} is {str(value)[:100]!r}; it must be error, warn or info.")
    return known[value]


def _expectation(value: Any, where: str, usual: Severity | None) -> OwnExpectation:
    if not isinstance(value, dict):
        raise UserError(f"{where} must be an object with the keys 'type' and 'kwargs'.")
    if unknown := sorted(str(key) for key in value.keys() - _KEYS):
        raise UserError(f"{where}: an expectation has no key '{unknown[0][:100]}'.")
    kind = value.get("type", value.get("expectation_type"))
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind) or kind not in KNOWN:
        raise UserError(
            f"{where}: {str(kind)[:100]!r} is not run here: use an expectation about one table that is built into "
            "Great Expectations, such as expect_column_values_to_be_between."
        )
    if value.get("windows"):
        raise UserError(f"{where}: 'windows' need earlier results, which are not kept here: take them out.")
    kwargs = {
        key: one for key, one in _object(value.get("kwargs"), f"{where}: 'kwargs'").items() if key not in _DROPPED
    }
    if asked := next((key for key in _NEVER if kwargs.pop(key, None) is not None), None):
        raise UserError(
            f"{where}: '{asked}' is refused, because it would be run as a program: choose a table of the gate instead."
        )
    for key, one in kwargs.items():
        _refuse_odd(one, f"{where}: '{str(key)[:100]}'", of_quantiles=key == "quantile_ranges")
    meta = _object(value.get("meta"), f"{where}: 'meta'")
    said = value.get("severity")
    severity = _severity(meta.get("severity"), f"{where}: 'meta.severity'") or _severity(said, f"{where}: 'severity'")
    if said == _USUAL and usual is not None and "severity" not in meta:
        severity = usual  # Great Expectations writes its default into every expectation
    title = value.get("description") or f"{kind.replace('_', ' ').replace('expect ', '', 1)}{_of(kwargs)}"
    notes = value.get("notes")
    advice = " ".join(map(str, notes)) if isinstance(notes, list) else str(notes or "")
    return OwnExpectation(where, kind, kwargs, severity or usual or "error", str(title)[:200], advice[:500])


def _of(kwargs: Mapping[str, Any]) -> str:
    names = [kwargs.get(key) for key in ("column", "column_A", "column_B")]
    listed = kwargs.get("column_list")
    names += listed if isinstance(listed, list) else []
    told = ", ".join(str(name)[:50] for name in names if name is not None)
    return f" ({told})" if told else ""


def _refuse_odd(value: Any, where: str, *, of_quantiles: bool = False) -> None:
    """Only values and lists of them: an object may be a parameter that is evaluated, ``{"$PARAMETER": …}``."""
    if of_quantiles and isinstance(value, dict) and value.keys() == {"quantiles", "value_ranges"}:
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _refuse_odd(one, where)
    elif isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise UserError(f"{where} has a text of more than {MAX_TEXT} characters.")
    elif not (value is None or isinstance(value, int | float)) or value != value or value in (math.inf, -math.inf):
        raise UserError(
            f"{where} holds {type(value).__name__} {str(value)[:100]}; write a text, a number, true, false or a list of them."
        )
