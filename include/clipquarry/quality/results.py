"""The result of a gate: its stored form (``gates/{gate}.json``), and the trend over earlier runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from clipquarry.errors import GateBlocked, UserError
from clipquarry.files import read_json
from clipquarry.quality.check import Severity
from clipquarry.run_documents import GATE_SCHEMA
from clipquarry.run_folder import gates_of_runs
from clipquarry.run_order import run_order

WORST: Final = 20
"""Rows of a broken check in the JSON document; the file of rows has all of them."""

Verdict = Literal["pass", "warn", "block"]


@dataclass(frozen=True)
class CheckResult:
    """One check over one table. ``scope`` distinguishes several uses of a check: a split, a column.

    ``checked`` and ``unexpected`` count rows (``unexpected`` is 0 or 1 for a rule about a whole table), ``share`` is
    0..1. ``thresholds`` are the shares above which the check counts as ``warn``, ``error`` or ``info``. ``severity``
    is the one that was reached, or would be first. A ``skipped`` check says why, and counts as held. ``worst`` are
    up to 20 rows, ``item_id`` first.
    """

    id: str
    title: str
    severity: Severity
    success: bool
    scope: str = ""
    skipped: str = ""
    sentence: str = ""
    expectation: dict[str, Any] = field(default_factory=dict)
    checked: int | None = None
    unexpected: int | None = None
    share: float | None = None
    observed: Any = None
    thresholds: dict[str, float] = field(default_factory=dict)
    worst: tuple[dict[str, Any], ...] = ()
    advice: str = ""
    """What to do, for a check that did not hold."""
    approvable: bool = False
    """It did not hold, and a person may release all the same."""

    @property
    def cure(self) -> str:
        """`` What to do: …``; empty if no advice was stored."""
        return f" What to do: {self.advice}" if self.advice else ""

    @property
    def name(self) -> str:
        """``clips.coverage [val]``: the id with its scope."""
        return f"{self.id} [{self.scope}]" if self.scope else self.id


def verdict_of(checks: tuple[CheckResult, ...]) -> Verdict:
    """The most severe level that was reached; ``info`` never counts."""
    broken = {check.severity for check in checks if not check.success}
    return "block" if "error" in broken else "warn" if "warn" in broken else "pass"


@dataclass(frozen=True)
class GateResult:
    """One gate of one run. ``started`` and ``ended`` are ISO 8601, UTC; ``tables`` are rows read by table name."""

    gate: str
    dataset: str
    run: str
    started: str
    ended: str
    seconds: float
    checks: tuple[CheckResult, ...]
    rows: int
    rows_file: str
    path: Path
    params: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    """Of the checks that did not hold, with the rows that broke them: the same failures have the same. Empty where none warns or
    blocks, and in results of earlier versions.
    """

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.checks)

    @property
    def blocked(self) -> bool:
        return self.verdict == "block"

    @property
    def broken(self) -> tuple[CheckResult, ...]:
        """Checks that did not hold, most severe first."""
        weight: Mapping[str, int] = {"error": 0, "warn": 1, "info": 2}
        return tuple(sorted((c for c in self.checks if not c.success), key=lambda check: weight[check.severity]))

    @property
    def sentence(self) -> str:
        """One sentence: which check, how many rows, the first ids, and where all of them are."""
        heavy = [check for check in self.broken if check.severity != "info"]
        if not heavy:
            skipped = sum(1 for check in self.checks if check.skipped)
            told = [check.name for check in self.broken]
            held = len(self.checks) - skipped - len(told)
            only = (
                f" {len(told)} did not and {'are' if len(told) > 1 else 'is'} only told ({', '.join(told[:3])}),"
                if told
                else ""
            )
            return f"The gate '{self.gate}' passed: {held} checks held,{only} {skipped} were skipped."
        first = heavy[0]
        rest = len({check.id for check in heavy}) - 1  # a check that is used on several splits counts once
        more = f" {rest} more check{'s' if rest > 1 else ''} did not hold." if rest else ""
        file = self.path.with_name(self.rows_file)
        does = "blocks" if self.blocked else "warns"
        return f"The gate '{self.gate}' {does}: {first.name}: {first.sentence}{more} All rows are in {file}."

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each broken check, most severe first, with the advice; a check of several splits has one
        line.
        """
        does = {"error": "blocks", "warn": "warns", "info": "tells"}
        first = {check.id: check for check in reversed(self.broken)}
        shown = [check for check in self.broken if first[check.id] is check]
        return tuple(f"{check.name} {does[check.severity]}: {check.sentence}{check.cure}" for check in shown)

    def error(self) -> GateBlocked:
        """The error to raise for a gate that blocked."""
        return GateBlocked(f"{self.sentence}{self.broken[0].cure}")

    def as_json(self) -> dict[str, Any]:
        """The content of ``gates/{gate}.json``."""
        value = {key: item for key, item in asdict(self).items() if key != "path"}
        return value | {
            "schema": GATE_SCHEMA,
            "verdict": self.verdict,
            "blocked": self.blocked,
            "sentence": self.sentence,
        }


def _check_from(value: Mapping[str, Any]) -> CheckResult:
    known = {name: value[name] for name in CheckResult.__dataclass_fields__ if name in value}
    if known["severity"] not in get_args(Severity) or not isinstance(known["success"], bool):
        raise ValueError(f"check {known['id']!r} has severity {known['severity']!r}")
    return CheckResult(**{**known, "worst": tuple(known.get("worst", ()))})


def load_result(path: Path) -> GateResult:
    """Read ``gates/{gate}.json``. Raises :class:`UserError` if it is no gate's result, or has a newer form."""
    value = read_json(path)
    schema = value.get("schema") if isinstance(value, dict) else None
    if schema != GATE_SCHEMA:
        raise UserError(f"{path} has the form {schema!r}, this Clipquarry reads {GATE_SCHEMA!r}: run the gate again.")
    try:
        known = {name: value[name] for name in GateResult.__dataclass_fields__ if name in value}
        checks = tuple(_check_from(check) for check in value["checks"])
        return GateResult(**{**known, "checks": checks, "path": path})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not a gate's result ({error!r}): run the gate again.") from error


@dataclass(frozen=True)
class HistoryPoint:
    """One earlier run of a gate. ``shares`` are the unexpected shares (0..1) by :attr:`CheckResult.name`.

    ``verdict`` is ``unreadable`` for a damaged result, which is shown instead of left out.
    """

    run: str
    started: str
    verdict: Verdict | Literal["unreadable"]
    shares: dict[str, float]


def history(runs_folder: Path, gate: str) -> list[HistoryPoint]:
    """Every stored result of ``gate`` below ``{data}/.clipquarry/runs/{dataset}``: oldest first, damaged ones last."""
    points: list[HistoryPoint] = []
    for path in gates_of_runs(runs_folder, gate):
        run = path.parents[1].name
        try:
            result = load_result(path)
        except (UserError, OSError):
            points.append(HistoryPoint(run, "", "unreadable", {}))
            continue
        shares = {check.name: check.share for check in result.checks if check.share is not None}
        points.append(HistoryPoint(run, result.started, result.verdict, shares))
    number = {point.run: run_order(runs_folder / point.run)[0] for point in points}
    return sorted(points, key=lambda point: (point.started == "", number[point.run], point.started))
