"""The suites that users bring, as rules over the tables of a gate: they run beside the gate's own and block as they do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import pandas as pd

from clipquarry.errors import UserError
from clipquarry.quality.check import Check
from clipquarry.quality.engine import OF_COLUMNS, Rule, Suite, columns_of
from clipquarry.quality.own_files import OwnExpectation, OwnSuite

_ADVICE: Final = "This is a check of your own, from {path}: look at the rows, or correct the check."


class OwnRules:
    """The suites of one gate. ``known``: names of its tables, of whatever run, ``*`` in them for a split and the like."""

    def __init__(self, gate: str, suites: Sequence[OwnSuite], known: Sequence[str]) -> None:
        self._gate, self._suites, self._known = gate, suites, known
        self._seen: list[str] = []
        self._ran: set[str] = set()

    def checks(self) -> dict[str, Check]:
        """What stands for the suites in a catalogue of checks, by id."""
        return {
            check.id: check
            for suite in self._suites
            for number, one in enumerate(suite.expectations, 1)
            for check in [_check(suite, number, one, self._gate)]
        }

    def refuse_wrong(self, build: Callable[[Rule], Any]) -> None:
        """Raise :class:`UserError` for a table that the gate never has, and for arguments that ``build`` refuses."""
        for suite in self._suites:
            if not any(_may_match(suite.table, name) for name in self._known):
                raise UserError(
                    f"{suite.path}: the gate has no table '{suite.table}': it has {', '.join(self._known)}."
                )
            for number, one in enumerate(suite.expectations, 1):
                try:
                    build(_rule(suite, number, one, ()))
                except Exception as error:  # the library's own kinds of errors
                    raise UserError(f"{one.place}: {_said(error)}.") from error

    def over(self, table: Suite) -> Iterator[Suite]:
        """The suites for the table of one of the gate's own."""
        self._seen.append(table.name)
        for suite in self._suites:
            if not re.fullmatch(_pattern(suite.table), table.name):
                continue
            several = "*" in suite.table
            name = f"{suite.id}.{table.name}" if several else suite.id
            missing = _missing(suite, table.table)
            if table.skipped and not table.rules and (missing or table.table.empty):
                why = f"there is no table '{table.name}': {table.skipped[0][1]}"
                yield Suite(name, pd.DataFrame(), skipped=_skipped(suite, why))
            elif missing:
                place, column = missing
                raise UserError(
                    f"{place}: the table '{table.name}' has no column '{column[:100]}': it has {', '.join(map(str, table.table.columns))}."
                )
            else:
                rules = [
                    _rule(suite, number, one, _columns(one, table.table), table.name if several else "")
                    for number, one in enumerate(suite.expectations, 1)
                ]
                yield Suite(name, table.table, rules, named=table.named)
            self._ran.add(suite.id)

    def left(self) -> Iterator[Suite]:
        """After the gate's last table: the suites whose table this run does not have."""
        for suite in self._suites:
            if suite.id not in self._ran:
                why = f"this run has no table '{suite.table}', it has {', '.join(self._seen) or 'none'}"
                yield Suite(suite.id, pd.DataFrame(), skipped=_skipped(suite, why))


def _id(suite: OwnSuite, number: int) -> str:
    return f"{suite.id}#{number}"


def _check(suite: OwnSuite, number: int, one: OwnExpectation, gate: str) -> Check:
    advice = one.advice or _ADVICE.format(path=suite.path)
    return Check(
        _id(suite, number), gate, one.severity, one.title, f"It stands in {suite.path}.", advice=advice, approvable=True
    )


def _rule(suite: OwnSuite, number: int, one: OwnExpectation, show: tuple[str, ...], table: str = "") -> Rule:
    mostly = one.kwargs.get("mostly")
    share = float(1 - Fraction(str(mostly))) if isinstance(mostly, int | float) and 0 <= mostly < 1 else 0.0
    return Rule(_id(suite, number), one.kind, one.kwargs, table, max_share=share, show=show, own=one.place)


def _skipped(suite: OwnSuite, why: str) -> list[tuple[str, str]]:
    return [(_id(suite, number), why) for number, _ in enumerate(suite.expectations, 1)]


def _columns(one: OwnExpectation, table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(name for name in columns_of(one.kwargs) if name != "item_id" and name in table.columns)


def _missing(suite: OwnSuite, table: pd.DataFrame) -> tuple[str, str] | None:
    """The first expectation, by its place, that names a column which the table lacks, and the column."""
    for one in suite.expectations:
        for column in () if one.kind in OF_COLUMNS else columns_of(one.kwargs):
            if column not in table.columns:
                return one.place, column
    return ("the suite", "item_id") if table.columns.empty else None


def _pattern(name: str) -> str:
    return ".*".join(map(re.escape, name.split("*")))


def _may_match(asked: str, known: str) -> bool:
    """Whether two names with ``*`` can mean the same table, as far as it matters: one pattern matches the other's text."""
    return bool(re.fullmatch(_pattern(known), asked) or re.fullmatch(_pattern(asked), known))


def _said(error: Exception) -> str:
    """One sentence of a validation error: the argument and what is wrong with it."""
    errors: Any = getattr(error, "errors", None)
    if callable(errors):
        first: Mapping[str, Any] = errors()[0]
        return f"'{'.'.join(str(part)[:50] for part in first['loc'] if part != '__root__') or 'kwargs'}': {str(first['msg'])[:200]}"
    return " ".join(str(error).split())[:200] or type(error).__name__
