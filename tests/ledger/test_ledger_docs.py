"""``docs/reasons.md`` holds every status and reason, with the policy that the code follows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clipquarry.ledger import RULES, describe
from clipquarry.reasons import Reason, Status

PAGE = (Path(__file__).parents[2] / "docs" / "reasons.md").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in PAGE.splitlines()
    if re.match(r"\| `", line) and (cells := [cell.strip() for cell in line.strip("| ").split(" | ")])
}


@pytest.mark.parametrize("status", Status, ids=str)
def test_status_is_documented(status: Status) -> None:
    assert status in ROWS and all(ROWS[status]) and len(ROWS[status]) == 3


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_reason_is_documented_as_the_code_has_it(reason: Reason) -> None:
    assert reason in ROWS, f"docs/reasons.md has no row for `{reason}`"
    _, about, looks, fault, policy = ROWS[reason]
    assert about == {"nothing": "—"}.get(RULES[reason].subject, RULES[reason].subject)
    assert len(looks) > 5 and fault
    assert policy == describe(reason)


def test_nothing_else_is_documented() -> None:
    assert set(ROWS) == {*map(str, Status), *map(str, Reason)}
