"""What the breaker did during a run is told to its report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clipquarry.acquire.breaker import Breaker
from clipquarry.files import read_json, write_json
from clipquarry.manifest import write_rows
from clipquarry.pipeline.context import RunContext
from clipquarry.pipeline.make_context import make_context
from clipquarry.pipeline.reporting import collect
from clipquarry.pipeline.state import RESULTS_SCHEMA
from clipquarry.pipeline.stops import tell_stops
from clipquarry.reasons import Reason
from clipquarry.report.verdict import verdict_of
from clipquarry.settings import DataRoot, Settings

BEGUN = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def ctx(tmp_path: Path) -> RunContext:
    settings = Settings(DataRoot(tmp_path), "sqlite://", egress="lab")
    made = make_context("kinetics400", "one", {}, settings=settings)
    write_json(made.folder / "run.json", made.as_json() | {"started": BEGUN.isoformat()})
    return made


def breaker(ctx: RunContext, minutes: float) -> Breaker:
    at = (BEGUN + timedelta(minutes=minutes)).timestamp()
    return Breaker(ctx.data.egress("lab"), clock=lambda: at)


def waiting(ctx: RunContext, *evidence: str) -> None:
    row: dict[str, Any] = {"split": "val", "status": "missing", "reason": "waiting", "key": ""}
    rows = [{**row, "item_id": f"val/{n}", "evidence": text} for n, text in enumerate(evidence)]
    write_rows(ctx.results, RESULTS_SCHEMA, rows)


def test_stops_of_the_run_are_told_with_what_to_do(ctx: RunContext) -> None:
    breaker(ctx, -600).open(Reason.HTTP_429, "long ago")
    breaker(ctx, -300).enter(_never()), breaker(ctx, -300).success()
    breaker(ctx, -10).open(Reason.RATE_LIMIT, "slow down")
    opened = breaker(ctx, 200).open(Reason.TOOL_STALE, "n challenge solving failed")
    assert opened is not None
    waiting(ctx, opened.sentence(), opened.sentence(), "a person must place it")
    tell_stops(ctx)
    told = read_json(ctx.place.stops)
    assert told["left"] == 2
    assert [(stop["reason"], stop["evidence"]) for stop in told["stops"]] == [
        ("rate_limit", "slow down"), ("tool_stale", "n challenge solving failed"),
    ]  # fmt: skip
    report = collect(ctx.spec, ctx.data, ctx.run, None, BEGUN + timedelta(hours=4))
    verdict = verdict_of(report)
    (wrong,) = [sentence for sentence in verdict.wrong if "the crawl stopped" in sentence]
    assert "upgrade yt-dlp" in wrong and "21 Nov 2026, 15:20 UTC" in wrong and "2 clips were left unasked" in wrong
    assert any(
        sentence.startswith("Upgrade yt-dlp") and "nobody is asked before" in sentence for sentence in verdict.next
    )


def test_one_that_is_over_asks_for_nothing(ctx: RunContext) -> None:
    breaker(ctx, 1).open(Reason.HTTP_429, "too many", 60.0)
    assert breaker(ctx, 5).enter(_never()) == "go"
    breaker(ctx, 5).success()
    tell_stops(ctx)
    (stop,) = read_json(ctx.place.stops)["stops"]
    assert stop["closed"] == (BEGUN + timedelta(minutes=5)).isoformat()
    verdict = verdict_of(collect(ctx.spec, ctx.data, ctx.run, None, BEGUN))
    assert any("asked again at 21 Nov 2026, 12:05 UTC" in sentence for sentence in verdict.wrong)
    assert not any("nobody is asked" in sentence for sentence in verdict.next)


def test_a_run_without_one_says_nothing_and_damage_is_no_stop(ctx: RunContext) -> None:
    tell_stops(ctx)
    assert not ctx.place.stops.exists()
    lines = ['{"event": "opened"}', "[]", "torn", '{"event": "opened", "reason": "x", "at": "never", "wait": 1e99}']
    folder = ctx.data.egress("lab")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "breaker.history.jsonl").write_text("\n".join(lines))
    tell_stops(ctx)
    assert not ctx.place.stops.exists()
    for damage in ({"stops": 3}, [], {"stops": [1, {"at": "x"}], "left": "many"}):
        write_json(ctx.place.stops, damage)
        report = collect(ctx.spec, ctx.data, ctx.run, None, BEGUN)
        assert (report.stops, report.left_unasked) == ((), 0)


def _never() -> Any:
    from threading import Event

    return Event()
