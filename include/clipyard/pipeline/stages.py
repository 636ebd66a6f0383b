"""The stages of a run by name. Each is safe to run again and leaves its outcome in the run's folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from clipyard.errors import RetryLater, UserError
from clipyard.files import read_json, sweep_unfinished, write_json
from clipyard.pipeline.context import RunContext, update_run_file

Say = Callable[..., None]


class NothingToDo(Exception):
    """The stage is switched off, or what it needs was not asked for; its sentence says which."""


class NothingInThisRun(NothingToDo):
    """No later stage has anything to do either."""


def _needs_plan(ctx: RunContext, *, dry_run_stops: bool = True) -> dict[str, Any]:
    if not ctx.plan_file.exists():
        raise NothingToDo("There is no plan, because an earlier stage stopped the run.")
    plan: dict[str, Any] = read_json(ctx.plan_file)
    if dry_run_stops and plan["dry_run"]:
        raise NothingToDo("A dry run stops after the plan.")
    return plan


def obtain(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Obtain the annotation files, build the catalog, begin the run in the ledger."""
    from clipyard.acquire.official import obtain_annotations
    from clipyard.annotations.catalog import build_catalog
    from clipyard.steps.tools import tool_versions

    if ctx.kind == "refresh" and not ctx.state.exists():
        raise NothingInThisRun(f"{ctx.spec.name} was never run, so there is nothing to look at again.")
    update_run_file(ctx, started=datetime.now(UTC).isoformat(), title=ctx.spec.title, tools=tool_versions())
    sweep_unfinished(ctx.data.runs(ctx.spec.name))
    obtained = obtain_annotations(ctx.spec, ctx.data, parts=ctx.splits)
    if "train" in ctx.spec.parts and "train" not in ctx.splits and ctx.label_map is None:
        # The label index comes from the train csv; without it the labels of the other csvs must be complete.
        try:
            obtained += obtain_annotations(ctx.spec, ctx.data, parts=["train"])
        except (UserError, RetryLater) as error:
            say("%s", f"Going on without the train csv: {error}")
    for one in obtained:
        say("%s", f"{one.part}: {one.path} ({one.source}, sha256 {one.sha256[:12]}…)")
    summary = build_catalog(
        ctx.annotation_csvs(), ctx.catalog, label_map=ctx.label_map, expected_labels=ctx.spec.labels.count
    )
    content = {
        **summary.as_json(),
        "label_names": list(summary.label_names),
        "obtained": [{"part": one.part, "source": one.source, "sha256": one.sha256} for one in obtained],
    }
    write_json(ctx.folder / "catalog.json", content)
    with ctx.ledger() as ledger:
        ledger.sync_catalog(ctx.spec.name, ctx.catalog)
        ledger.begin_run(
            ctx.spec.name, ctx.run, kind=ctx.kind, egress=ctx.settings.egress, params=ctx.params.model_dump(mode="json")
        )
    return {"rows": summary.rows}


def plan(ctx: RunContext, say: Say) -> dict[str, Any]:
    """Choose the items and cut them into shards; what it returns is mapped over."""
    from clipyard.pipeline.plan import existing_plan, make_plan, write_plan
    from clipyard.pipeline.step_params import write_jobs

    _needs_catalog(ctx)
    if (kept := existing_plan(ctx)) is not None:
        say("%s", "The plan of this run is kept: what is done stays done, the rest goes on.")
        return kept
    made = make_plan(ctx)
    jobs = write_jobs(ctx, made)
    write_plan(ctx, made, jobs)
    counts = made.counts
    held = sum(counts["held"].values())
    say(
        "%s",
        f"{counts['selected']} clips selected, {counts['asked']} to ask for from {counts['videos']} videos in "
        f"{counts['shards']} shards, {held} left alone because their time has not come.",
    )
    return counts


def shards(ctx: RunContext, say: Say, *, step: str) -> list[dict[str, str]]:
    """The shards of one step, to be mapped over; none in a dry run or when the step is off."""
    jobs: list[dict[str, str]] = _needs_plan(ctx)["jobs"][step]
    say("%s", f"{step}: {len(jobs)} shards")
    return jobs


def record(ctx: RunContext, say: Say) -> dict[str, int]:
    """Collect the shards' results; tell the ledger."""
    from clipyard.pipeline.record import record as do_record

    _needs_plan(ctx)
    counts = do_record(ctx)
    say("%s", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing was asked for")
    return counts


def _gate(ctx: RunContext, say: Say, name: str) -> str:
    from clipyard.quality.gates import run_gate
    from clipyard.quality.params import GateParams

    chosen = ctx.params
    params = GateParams(
        annotation_counts=chosen.annotation_counts,
        rejected_error=ctx.spec.rejected.error,
        label_map=ctx.label_map is not None,
        resize=chosen.resize,
        short_edge=chosen.short_edge,
        frames=chosen.frames,
        frame_short_edge=None if chosen.frame_width else chosen.short_edge,
        frame_size=(chosen.frame_width, chosen.frame_height) if chosen.frame_width else None,
        frame_fps=chosen.frame_rate or None,
    )
    result = run_gate(name, ctx.spec, ctx.folder, ctx.data, params)
    say("%s", result.sentence)
    if result.blocked:
        raise result.error()
    return str(result.verdict)


def _needs_catalog(ctx: RunContext) -> None:
    if not ctx.catalog.exists():
        raise NothingToDo("There is no catalog, because nothing was to be done.")


def gate_annotations(ctx: RunContext, say: Say) -> str:
    """Checks on the catalog."""
    _needs_catalog(ctx)
    return _gate(ctx, say, "annotations")


def gate_clips(ctx: RunContext, say: Say) -> str:
    """Checks on what was fetched, and on how much of it."""
    _needs_plan(ctx)
    return _gate(ctx, say, "clips")


def gate_frames(ctx: RunContext, say: Say) -> str:
    """Checks on resized copies and frames."""
    _needs_plan(ctx)
    if not (ctx.params.resize or ctx.params.frames):
        raise NothingToDo("Neither resized copies nor frames were asked for.")
    return _gate(ctx, say, "frames")


def lists(ctx: RunContext, say: Say) -> list[dict[str, Any]]:
    """Write the list files from the catalog and what is on disk."""
    from clipyard.release.lists import build_lists

    _needs_plan(ctx)
    summaries = build_lists(
        ctx.spec,
        ctx.data,
        ctx.catalog,
        ctx.folder,
        recorded=ctx.state if ctx.state.exists() else None,
        splits=ctx.splits,
    )
    content = [summary.as_json() for summary in summaries]
    write_json(ctx.folder / "lists.json", content)
    for summary in summaries:
        say("%s", f"{summary.path.name}: {summary.lines} lines, {summary.missing} missing of {summary.rows} rows")
    return content


def gate_lists(ctx: RunContext, say: Say) -> str:
    """Checks on the list files."""
    _needs_plan(ctx)
    return _gate(ctx, say, "lists")


def release(ctx: RunContext, say: Say) -> str:
    """Publish lists, missing clips, label map and lock."""
    from clipyard.pipeline.publish import publish_release

    _needs_plan(ctx)
    folder = publish_release(ctx)
    say("%s", f"Release: {folder}")
    return str(folder)


def report(ctx: RunContext, say: Say) -> str:
    """Write the report, whatever happened before."""
    from clipyard.pipeline.record import counts_of
    from clipyard.pipeline.summary import run_summary
    from clipyard.report import write_report

    if not (ctx.folder / "run.json").exists():
        raise NothingToDo("The run did not begin, so there is nothing to report.")
    update_run_file(ctx, ended=datetime.now(UTC).isoformat())
    with ctx.ledger() as ledger:
        if ctx.recorded.exists():
            ledger.end_run(ctx.spec.name, ctx.run, counts_of(ctx.recorded)["status"], ended=ctx.now())
        path = write_report(ctx.spec, ctx.data, ctx.run, ledger, ctx.now())
    say("%s", run_summary(ctx.data, ctx.spec.name, ctx.run)["sentence"])
    say("%s", f"Report: {path}")
    return str(path)


STAGES: dict[str, Callable[[RunContext, Say], Any]] = {
    "annotations": obtain,
    "gate_annotations": gate_annotations,
    "plan": plan,
    **{f"{step}_shards": partial(shards, step=step) for step in ("unpack", "fetch", "resize", "frames")},
    "record": record,
    "gate_clips": gate_clips,
    "gate_frames": gate_frames,
    "lists": lists,
    "gate_lists": gate_lists,
    "release": release,
    "report": report,
}
"""Stages that run in the worker, in order; the steps (unpack, fetch, resize, frames) run in a runtime."""


def run_stage(name: str, ctx: RunContext, *, say: Say) -> Any:
    """Run one stage; ``say`` gets ``("%s", sentence)`` like a logger."""
    return STAGES[name](ctx, say)
