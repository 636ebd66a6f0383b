"""Runner of rules over a table with Great Expectations 1.x: an in-memory context, no files, no requests to the
network.

Rows are identified by position, not through ``unexpected_index_column_names``: for 650,000 unexpected rows that
option takes 40 s and the positions 1 s. The rows are looked up in our own table afterwards.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

import numpy as np
import pandas as pd

from clipquarry.errors import UserError
from clipquarry.quality.check import Check, Severity
from clipquarry.quality.light_import import light_imports
from clipquarry.quality.results import WORST, CheckResult
from clipquarry.quality.stored_suites import Keep
from clipquarry.quality.wording import broken_sentence

_LEVELS: Final[Mapping[Severity, str]] = {"error": "critical", "warn": "warning", "info": "info"}
_LISTS: Final = (list, tuple, dict, set, frozenset, np.ndarray)
_MAX_TEXT: Final = 300
BETWEEN: Final = "ExpectColumnValuesToBeBetween"
EQUAL: Final = "ExpectColumnPairValuesToBeEqual"
IN_SET: Final = "ExpectColumnValuesToBeInSet"
MATCH: Final = "ExpectColumnValuesToMatchRegex"
UNIQUE: Final = "ExpectColumnValuesToBeUnique"
ROWS: Final = "ExpectTableRowCountToBeBetween"
OF_COLUMNS: Final = frozenset(
    {
        "ExpectColumnToExist",
        "ExpectTableColumnCountToBeBetween",
        "ExpectTableColumnCountToEqual",
        "ExpectTableColumnsToMatchOrderedList",
        "ExpectTableColumnsToMatchSet",
    }
)
"""Expectations about the columns of a table, which need all of them."""

_WIDE: Final = {"int8": "int64", "int16": "int64", "int32": "int64", "float32": "float64"}
_RESULT_FORMAT: Final = {"result_format": "COMPLETE", "return_unexpected_index_query": False}


@dataclass(frozen=True)
class Rule:
    """One use of a check: an expectation of Great Expectations by its class name, and its arguments.

    The columns of an expectation must not contain nulls, because the library would leave those rows out.
    """

    check: str
    expectation: str
    kwargs: Mapping[str, Any]
    scope: str = ""
    severity: Severity | None = None
    """Replaces the catalogue's severity."""
    max_share: float = 0.0
    """Share of rows that may break the rule; more count as ``severity``."""
    block_share: float | None = None
    """A larger share counts as ``error`` (for checks that warn)."""
    show: tuple[str, ...] = ()
    """Columns written with each unexpected row, after ``item_id``."""
    worst_by: str = ""
    """Column whose largest values are the worst rows, written too; without it the first rows are shown."""
    note: str = ""
    """A sentence added to the result, such as the size of the sample."""
    list_rows: bool = True
    """False: the file has the rows under another scope already."""
    own: str = ""
    """The file of a user's own suite. Rows without a value are then left out, as the library does; and what cannot
    be checked is an error of that file.
    """

    def levels(self, usual: Severity) -> dict[Severity, float]:
        """The share above which each severity is reached; ``usual`` is the check's own."""
        levels = {self.severity or usual: self.max_share}
        if self.block_share is not None:
            levels["error"] = self.block_share
        return levels


@dataclass
class Suite:
    """Rules over one table with the column ``item_id``; and the checks that were left out, with the reason."""

    name: str
    table: pd.DataFrame
    rules: list[Rule] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    named: Callable[[pd.DataFrame], pd.Series[str]] | None = None
    """Makes ``item_id`` of the rows that are shown (by position), for tables where a name for every row would cost
    too much.
    """


@dataclass(frozen=True)
class Finding:
    """A check's result and all its unexpected rows (None when they are listed elsewhere or there are none)."""

    result: CheckResult
    rows: pd.DataFrame | None = None


def plain(value: Any) -> Any:
    """A cell as JSON can hold it: python numbers, None for NaN, text cut to 300 characters."""
    kind = type(value)
    if kind is int or kind is bool or (kind is str and len(value) <= _MAX_TEXT and value.isascii()):
        return value  # the usual case; this runs for every cell of the file of rows
    if value is None or value is pd.NA:
        return None
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    text = str(value).encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"


def versions() -> dict[str, str]:
    """Versions of the libraries that decide the results."""
    return {"great_expectations": version("great_expectations"), "pandas": pd.__version__}


def _mostly(share: float, checked: int) -> float:
    """The exact smallest share of good rows; ``1 - share`` would be off by one row at some limits."""
    return (checked - math.floor(Fraction(str(share)) * checked)) / checked if checked else 1.0


def _expectation(rule: Rule, index: int, level: Severity, share: float, checked: int) -> Any:
    import great_expectations.expectations as gxe

    kwargs = dict(rule.kwargs)
    if share > 0 and not rule.own:
        kwargs["mostly"] = _mostly(share, checked)
    meta = {"rule": index, "check": rule.check, "scope": rule.scope, "level": level} | (
        {"nulls": True} if rule.own else {}
    )
    return getattr(gxe, rule.expectation)(**kwargs, severity=_LEVELS[level], meta=meta)


def _holds_lists(column: pd.Series[Any]) -> bool:
    """Whether a column holds lists. Numbers and text have types of their own; objects are examined."""
    return column.dtype == object and any(isinstance(value, _LISTS) for value in column)


class Engine:
    """One in-memory context for the suites of a gate; only the table of the current suite is held. ``checks``: the
    catalogue, by id. ``keep`` gets each suite with its table.

    It is created for the first suite with a rule: a gate that leaves out all its checks imports nothing.
    """

    def __init__(self, checks: Mapping[str, Check], keep: Keep | None = None) -> None:
        self._checks, self._keep = checks, keep

    @cached_property
    def _whole(self) -> Any:
        """A batch definition that takes a whole table."""
        # Set before the import, which logs 214 lines. The second logger sets its own level when it is imported.
        logging.getLogger("great_expectations").setLevel(logging.WARNING)
        with light_imports():
            import great_expectations as gx
            import great_expectations.expectations
            from great_expectations.data_context.types.base import ProgressBarsConfig
            from great_expectations.execution_engine import pandas_execution_engine

        logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
        # Bytes below which Great Expectations computes a fingerprint of each table, twice, for batches that are
        # discarded.
        pandas_execution_engine.HASH_THRESHOLD = 0
        context = gx.get_context(mode="ephemeral")
        context.enable_analytics(False)
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("tables").add_dataframe_asset("table")
        return asset.add_batch_definition_whole_dataframe("whole")

    def build(self, rule: Rule) -> Any:
        """The rule in Great Expectations. Raises one of its own errors for arguments that it does not take."""
        _ = self._whole
        return _expectation(rule, 0, "error", 0, 0)

    def run(self, suite: Suite) -> Iterator[Finding]:
        """Check every rule of a suite, in order. A rule that cannot be checked counts as a broken ``error``.

        TypeError, a mistake in the program, for a column of lists: Great Expectations silently compares them
        wrongly.
        """
        if lists := [str(name) for name, column in suite.table.items() if _holds_lists(column)]:
            raise TypeError(f"the columns {lists} of the suite {suite.name} hold lists, which are never checked")
        table = suite.table.reset_index(drop=True)
        found: dict[tuple[int, Severity], Any] = {}
        for result in self._validate(suite, table) if suite.rules else ():
            meta = result.expectation_config.meta
            found[meta["rule"], meta["level"]] = result
        for index, rule in enumerate(suite.rules):
            check = self._checks[rule.check]
            yield _finding(
                check, rule, suite, table, {level: found[index, level] for level in rule.levels(check.severity)}
            )
        for name, why in suite.skipped:
            entry, text = self._checks[name], f"Skipped: {why}."
            yield Finding(CheckResult(entry.id, entry.title, entry.severity, True, skipped=why, sentence=text))

    def _validate(self, suite: Suite, table: pd.DataFrame) -> list[Any]:
        whole = self._whole
        import great_expectations as gx

        expectations = [
            _expectation(rule, index, level, share, len(table))
            for index, rule in enumerate(suite.rules)
            for level, share in rule.levels(self._checks[rule.check].severity).items()
        ]
        together = gx.ExpectationSuite(name=suite.name)
        for expectation in expectations:
            together.add_expectation(expectation)
        # Great Expectations hashes every column of a table, so it gets only the needed ones.
        names = dict.fromkeys(name for rule in suite.rules for name in columns_of(rule.kwargs))
        if any(rule.expectation in OF_COLUMNS for rule in suite.rules):
            names = dict.fromkeys([str(name) for name in table.columns])
        columns = [name for name in names if name in table.columns] or list(table.columns[:1])
        # Numbers of other sizes are processed one by one in Python.
        wide = {name: kind for name in columns if (kind := _WIDE.get(table[name].dtype.name))}
        frame = table[columns].astype(wide)
        batch = whole.get_batch({"dataframe": frame})
        results = list(batch.validate(together, result_format=_RESULT_FORMAT).results)
        if self._keep is not None:
            self._keep(together.to_json_dict(), frame)
        return results


def columns_of(kwargs: Mapping[str, Any]) -> list[str]:
    """The columns that the arguments of an expectation name."""
    one = [kwargs.get(name) for name in ("column", "column_A", "column_B")]
    listed = kwargs.get("column_list")
    return [str(name) for name in (*one, *(listed if isinstance(listed, list) else ())) if name is not None]


def _problem(result: Any) -> str:
    """The text of an exception inside Great Expectations, or ``""``. It comes as one dict, or one per metric."""
    info = result.exception_info or {}
    for each in [info] if "raised_exception" in info else list(info.values()):
        if each.get("raised_exception"):
            return str(each.get("exception_message") or "an unknown error")
    return ""


def _finding(check: Check, rule: Rule, suite: Suite, table: pd.DataFrame, results: Mapping[Severity, Any]) -> Finding:
    levels = rule.levels(check.severity)
    broken = [level for level in results if not results[level].success]
    severity: Severity = "error" if "error" in broken else next(iter(levels))
    first = results[severity]
    problem = next(filter(None, map(_problem, results.values())), "")
    if problem and rule.own:
        raise UserError(f"{rule.own}: it cannot be checked on the table '{suite.name}': {plain(problem)}.")
    if problem:
        text = f"Great Expectations could not check this ({plain(problem)}); nothing is known, so it counts as broken."
        return Finding(_result(check, rule, "error", False, first, sentence=text, checked=len(table)))
    facts = first.result
    if not {"element_count", "unexpected_count"} <= facts.keys():  # a rule about the whole table
        observed, good = _observed(facts), not broken
        told = "" if observed is None else f": {observed}"
        text = f"{'Holds' if good else 'Does not hold'}{told} in {len(table):,} rows{_wanted(rule)}."
        return Finding(
            _result(check, rule, severity, good, first, sentence=text, observed=observed, checked=len(table),
                    unexpected=int(not good), share=float(not good))
        )  # fmt: skip
    checked, unexpected = int(facts["element_count"]), int(facts["unexpected_count"])
    if rule.own:
        checked -= int(facts.get("missing_count") or 0)
    elif int(facts.get("missing_count") or 0):  # a defect of ours: see Rule
        text = f"{facts['missing_count']} values were absent and could not be checked, so it counts as broken."
        return Finding(_result(check, rule, "error", False, first, sentence=text, checked=checked))
    share = unexpected / checked if checked else 0.0
    rows: pd.DataFrame | None = None
    worst: tuple[dict[str, Any], ...] = ()
    if unexpected:
        rows = table.iloc[list(facts["unexpected_index_list"])]
        if suite.named is not None:
            rows = rows.assign(item_id=suite.named(rows))
        rows = rows[list(dict.fromkeys(("item_id", *rule.show, *([rule.worst_by] if rule.worst_by else []))))]
        ordered = rows if not rule.worst_by else rows.sort_values(rule.worst_by, ascending=False, kind="stable")
        worst = tuple(
            {str(key): plain(value) for key, value in row.items()} for row in ordered.head(WORST).to_dict("records")
        )
    text = f"{_sentence(check, not broken, checked, unexpected, levels[severity], worst)} {rule.note}".rstrip()
    return Finding(
        _result(check, rule, severity, not broken, first, sentence=text, checked=checked, unexpected=unexpected, share=share,
                worst=worst),
        rows if rule.list_rows and unexpected else None,
    )  # fmt: skip


def _observed(facts: Mapping[str, Any]) -> Any:
    """What a rule about a whole table saw; of sets the library tells only what is too many or lacks."""
    for name, said in (("partial_unexpected_list", "unexpected"), ("partial_missing_list", "missing")):
        if facts.get(name):
            return f"{said} {', '.join(str(plain(one)) for one in facts[name][:5])}"
    return plain(facts.get("observed_value"))


def _wanted(rule: Rule) -> str:
    low, high = rule.kwargs.get("min_value"), rule.kwargs.get("max_value")
    if low is None and high is None:
        return ""
    return (
        f", expected {low}"
        if low == high
        else f", expected {f'at least {low}' if high is None else f'{low} to {high}'}"
    )


def _sentence(
    check: Check, held: bool, checked: int, unexpected: int, limit: float, worst: Sequence[Mapping[str, Any]]
) -> str:
    if not unexpected:
        return f"Holds for all {checked:,} rows." if checked else "There was nothing to check."
    return broken_sentence(check.broken, unexpected, checked, limit, held, [row["item_id"] for row in worst])


def _result(check: Check, rule: Rule, severity: Severity, success: bool, result: Any, **more: Any) -> CheckResult:
    config = result.expectation_config
    kwargs = {
        key: plain(list(value) if isinstance(value, (set, frozenset)) else value)
        for key, value in config.kwargs.items()
        if key != "batch_id"
    }
    more["advice"] = "" if success else check.advice
    # Where Great Expectations could not check, nothing is known, and nobody can approve that.
    known = more.get("unexpected") is not None
    allowed = {"warn": known, "error": known and check.may_be_approved, "info": False}
    more["approvable"] = not success and allowed[severity]
    return CheckResult(
        check.id, check.title, severity, success, rule.scope,
        expectation={"type": config.type, "kwargs": kwargs},
        thresholds={str(level): share for level, share in rule.levels(check.severity).items()}, **more,
    )  # fmt: skip
