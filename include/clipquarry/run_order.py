"""The order of runs: every run gets a number when it begins.

Times give no order, because a clock that was wrong once would decide for years which run is the latest. Runs of
older versions have no number. They come first, by the time at which they say that they began.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipquarry.file_lock import FileLock
from clipquarry.files import writing
from clipquarry.run_documents import known_run_facts
from clipquarry.run_folder import all_begun_runs

RunOrder = tuple[int, str, str]
"""Number (0: none), time of the beginning (ISO 8601, UTC), name: sorts oldest first."""

_COUNTER, _LOCK = ".number", ".number.lock"


def run_order(folder: Path, facts: Any = None) -> RunOrder:
    """Sort key of a run's folder. ``facts``: the content of its ``run.json``, if it was read."""
    if facts is None:
        facts = known_run_facts(folder)
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
    with FileLock.take(runs / _LOCK):
        try:
            last = int((runs / _COUNTER).read_text(encoding="ascii"))
        except (OSError, ValueError):  # new, or lost: count from the runs on disk
            last = max((run_order(folder)[0] for folder in all_begun_runs(runs)), default=0)
        with writing(runs / _COUNTER) as handle:
            handle.write(f"{last + 1}\n")
        return last + 1
