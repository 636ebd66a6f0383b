"""The order of runs: a number that every run gets when it begins.

A clock that was wrong once must not decide for years which run is the latest, so no order is made of times. Runs of
older versions have no number; they come first, by the time at which they say that they began.
"""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipquarry.errors import UserError
from clipquarry.files import read_json, writing

RunOrder = tuple[int, str, str]
"""Number (0: none), time of the beginning (ISO 8601, UTC), name: sorts oldest first."""

_COUNTER, _LOCK = ".number", ".number.lock"


def run_order(folder: Path, facts: Any = None) -> RunOrder:
    """Where a run's folder stands among the others. ``facts``: the content of its ``run.json``, when it was read."""
    if facts is None:
        try:
            facts = read_json(folder / "run.json")
        except (UserError, OSError):
            facts = {}
    facts = facts if isinstance(facts, dict) else {}
    number = facts.get("number")
    try:
        began = datetime.fromisoformat(str(facts.get("started")))
        began = began.replace(tzinfo=UTC) if began.tzinfo is None else began.astimezone(UTC)
    except (ValueError, OverflowError):
        try:
            began = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
        except OSError:
            began = datetime.fromtimestamp(0, UTC)
    whole = number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else 0
    return whole, began.isoformat(), folder.name


def next_number(runs: Path) -> int:
    """The number of a run that begins now; ``runs`` is the folder ``{data}/.clipquarry/runs`` of all data sets."""
    runs.mkdir(parents=True, exist_ok=True)
    with open(runs / _LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            last = int((runs / _COUNTER).read_text(encoding="ascii"))
        except (OSError, ValueError):  # new, or lost: the runs on disk know
            last = max((run_order(path.parent)[0] for path in runs.glob("*/*/run.json")), default=0)
        with writing(runs / _COUNTER) as handle:
            handle.write(f"{last + 1}\n")
        return last + 1
