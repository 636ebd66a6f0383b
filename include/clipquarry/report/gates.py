"""Reader of the gates' stored results (``gates/{gate}.json``, form ``gate-result/v1``) for the page.

It reads the stored form only, without the code that wrote it. A result that this version cannot read is shown as
unreadable, and counts as blocked, because its content is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipquarry.approvals import Approval, standing
from clipquarry.errors import UserError
from clipquarry.files import read_json
from clipquarry.report.data import Check, Gate, Level
from clipquarry.report.text import number, share
from clipquarry.run_documents import GATE_SCHEMA
from clipquarry.run_folder import GATES, PACKED, RunFolder

WORST = 10
_VERDICTS = {"pass": "passed", "warn": "warned", "block": "blocked"}
_LEVELS: dict[str, Level] = {"error": "bad", "warn": "warn", "info": "info"}


def read_gates(folder: Path, previous: Path | None = None, order: Sequence[str] = ()) -> tuple[Gate, ...]:
    """All gates of the run in ``folder``, in the ``order`` of a run. ``previous`` is the run before, for comparison."""
    paths = sorted(RunFolder(folder).gates(), key=lambda path: _place(path.stem, order))
    return tuple(_gate(path, RunFolder(previous).gate(path.stem) if previous else None) for path in paths)


def _place(name: str, order: Sequence[str]) -> tuple[int, str]:
    return (order.index(name) if name in order else len(order), name)


def _load(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict) or value.get("schema") != GATE_SCHEMA or value.get("verdict") not in _VERDICTS:
        raise UserError(f"{path.name} is not a gate's result of the form {GATE_SCHEMA}: run the gate again.")
    return value


def _gate(path: Path, before: Path | None) -> Gate:
    try:
        value = _load(path)
        old = _unexpected(before)
        checks = tuple(_check(check, old) for check in value["checks"])
        rows = RunFolder(path.parents[1]).gate_rows(path.stem)
        packed = rows.with_name(f"{rows.name}{PACKED}")
        rows = packed if value.get("rows_file") == packed.name else rows
        kept = rows.is_file() and any(check.unexpected for check in checks)
        word, told = standing(RunFolder(path.parents[1]), path.stem, value)
        return Gate(
            name=path.stem,
            verdict=word or _VERDICTS[value["verdict"]],
            answer=_answer(told) if told else "",
            seconds=float(value.get("seconds") or 0),
            checks=tuple(sorted(checks, key=lambda check: ("bad", "warn", "info", "good").index(check.level))),
            rows_file=f"../{GATES}/{rows.name}" if kept else None,
            rows_bytes=rows.stat().st_size if kept else 0,
        )
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        said = str(error) if isinstance(error, UserError) else f"{path.name} is damaged ({type(error).__name__})."
        return Gate(path.stem, "unreadable", said, (), None)


def _answer(told: Approval) -> str:
    about = f"about {', '.join(told.checks)} (verdict {told.code})"
    if told.answer:
        return f"{told.told}. It was {about}."
    return f"A person was asked {about} at {told.asked}, and has not answered yet.{' ' if told.problem else ''}{told.problem}"


def _unexpected(path: Path | None) -> dict[str, int]:
    """Rows that broke each check in the run before; empty if that is not known."""
    if path is None:
        return {}
    try:
        return {_name(check): int(check["unexpected"] or 0) for check in _load(path)["checks"]}
    except (UserError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return {}


def _name(check: Mapping[str, Any]) -> str:
    return f"{check['id']} [{check['scope']}]" if check.get("scope") else str(check["id"])


def _check(check: Mapping[str, Any], old: Mapping[str, int]) -> Check:
    name, unexpected = _name(check), check.get("unexpected")
    held = check["success"] is True
    return Check(
        name=name,
        title=str(check.get("title", "")),
        level="good" if held else _LEVELS.get(str(check.get("severity")), "bad"),
        skipped=str(check.get("skipped") or ""),
        sentence=str(check.get("sentence") or ""),
        observed=_observed(check),
        unexpected=None if unexpected is None else int(unexpected),
        before=old.get(name),
        worst=tuple(_row(row) for row in list(check.get("worst") or ())[:WORST]),
        advice=str(check.get("advice") or ""),
    )


def _observed(check: Mapping[str, Any]) -> str:
    """``1,842 of 19,906 rows (9.2 %)``, or the observed value of a check of a whole table."""
    unexpected, checked = check.get("unexpected"), check.get("checked")
    if unexpected is not None and checked:
        return f"{number(unexpected)} of {number(checked)} rows ({share(unexpected, checked)})"
    observed = check.get("observed")
    if observed is None:
        return ""
    return observed if isinstance(observed, str) else json.dumps(observed, ensure_ascii=False)


def _row(row: Mapping[str, Any]) -> tuple[str, str]:
    """A row that broke a check: its id, and its other columns as text."""
    rest = ", ".join(f"{key} {value}" for key, value in row.items() if key != "item_id" and value not in (None, ""))
    return str(row.get("item_id", "")), rest
