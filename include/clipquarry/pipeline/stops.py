"""The stops of the YouTube crawl by the breaker during a run, for the report: time, cause, items without a request,
advice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.compute as pc

from clipquarry.acquire.breaker import ASKED_FOR_A_PAUSE, NOTHING_IS_ASKED, Breaker, BreakerOpen
from clipquarry.errors import ClipquarryError
from clipquarry.files import write_json
from clipquarry.manifest import read_table
from clipquarry.pipeline.context import RunContext
from clipquarry.reasons import Reason
from clipquarry.run_documents import read_run_facts

_BY_ITSELF = "Wait: the crawl is tried again by itself"
_TODO = {
    Reason.TOOL_STALE: "Upgrade yt-dlp, yt-dlp-ejs and deno: with another version the crawl goes on at once",
    Reason.TOOL_FAILED: "Read the evidence and mend yt-dlp or ffmpeg; the crawl is tried again by itself",
    Reason.EGRESS_REFUSED: "Look at the account, the filter or the proxy that refuses, or use another egress",
    **dict.fromkeys(ASKED_FOR_A_PAUSE - {Reason.EGRESS_REFUSED}, f"{_BY_ITSELF}. Fewer questions an hour, or another egress, help"),
}  # fmt: skip


def tell_stops(ctx: RunContext) -> None:
    """Write ``stops.json`` of the run: ``left`` (items without a request while the breaker was open) and ``stops``,
    oldest first.

    A stop has ``at``, ``until`` and ``closed`` (ISO 8601, the last one null while it holds), ``reason``, ``why``,
    ``evidence`` and ``todo``. A stop before the run counts if it still held then. Nothing is written if there was
    none.
    """
    facts = read_run_facts(ctx.folder)
    begun = _time(facts.get("started"))
    egress = str(facts.get("egress") or ctx.settings.egress)
    stops: list[dict[str, Any]] = []
    for event in Breaker(ctx.data.egress(egress)).history():
        if event.get("event") == "opened" and (stop := _stop(event)) is not None:
            stops.append(stop)
        elif event.get("event") == "closed" and stops:
            stops[-1]["closed"] = str(event.get("at"))
    stops = [stop for stop in stops if begun is None or (_time(stop["closed"] or stop["until"]) or begun) >= begun]
    left = _left(ctx)
    if stops or left:
        write_json(ctx.place.stops, {"left": left, "stops": stops})
    else:
        ctx.place.stops.unlink(missing_ok=True)


def _stop(event: dict[str, Any]) -> dict[str, Any] | None:
    """None for an invalid line."""
    try:
        reason, at = Reason(event["reason"]), _time(event["at"])
        until = (at or datetime.max) + timedelta(seconds=float(event["wait"]))
    except (KeyError, ValueError, TypeError, OverflowError):
        return None
    why, evidence = BreakerOpen(until, reason, "").why, str(event.get("evidence") or "")
    return {
        "at": str(event["at"]), "until": until.isoformat(), "closed": None, "reason": str(reason), "why": why, "evidence": evidence,
        "todo": _TODO.get(reason, _BY_ITSELF),
    }  # fmt: skip


def _left(ctx: RunContext) -> int:
    """Items that the run recorded as waiting for the breaker."""
    if not ctx.results.exists():
        return 0
    try:
        table = read_table(ctx.results, ["reason", "evidence"])
    except ClipquarryError:
        return 0
    waits = pc.and_(
        pc.equal(table["reason"], str(Reason.WAITING)), pc.match_substring(table["evidence"], NOTHING_IS_ASKED)
    )
    return int(pc.sum(waits).as_py() or 0)


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
