"""What stages of all data sets share: their words for having nothing to do, how a run begins, gates, record and report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clipquarry.errors import UserError
from clipquarry.files import read_json, write_json
from clipquarry.pipeline.context import RunContext, update_run_file
from clipquarry.pipeline.failures import failures_of
from clipquarry.pipeline.finished import ASKING, finished_part, is_over
from clipquarry.pipeline.inherit import remember
from clipquarry.pipeline.old_runs import remove_old_runs
from clipquarry.pipeline.sweep import sweep
from clipquarry.quality.params import GateParams
from clipquarry.run_order import next_number, run_order
from clipquarry.settings import slug

if TYPE_CHECKING:
    from clipquarry.pipeline.plan import Plan

Say = Callable[..., None]
Stage = Callable[[RunContext, Say], Any]
WriteJobs = Callable[[RunContext, "Plan"], dict[str, list[dict[str, str]]]]
"""Makes the jobs of a plan, by step."""


class NothingToDo(Exception):
    """The stage is switched off, or what it needs was not asked for; its sentence says which."""


class NothingInThisRun(NothingToDo):
    """No later stage has anything to do either."""


def needs_plan(ctx: RunContext) -> dict[str, Any]:
    """The run's plan. A dry run stops after it."""
    if not ctx.plan_file.exists():
        raise NothingToDo("There is no plan, because an earlier stage stopped the run.")
    plan: dict[str, Any] = read_json(ctx.plan_file)
    if plan["dry_run"]:
        raise NothingToDo("A dry run stops after the plan.")
    return plan


def needs_catalog(ctx: RunContext) -> None:
    if not ctx.catalog.exists():
        raise NothingToDo("There is no catalog, because nothing was to be done.")


def needs_made(ctx: RunContext, name: str, stage: str) -> None:
    """A file of the run that an earlier stage makes."""
    if not (ctx.folder / name).exists():
        raise NothingToDo(f"There is no {name}, because the run never came through '{stage}'.")


def begin(ctx: RunContext, say: Say) -> None:
    """The run's file is written, what killed writers left is removed, and what the run names is looked for on this machine.

    A refresh of what was never run ends here.
    """
    from clipquarry.pipeline.param_checks import check_here
    from clipquarry.steps.tools import tool_versions

    if ctx.kind == "refresh" and not ctx.state.exists():
        raise NothingInThisRun(f"{ctx.spec.name} was never run, so there is nothing to look at again.")
    _refuse_another_run(ctx)
    if is_over(ctx.data, ctx.folder):
        for step in ASKING:  # what a run that is over did not get is asked for again, when it is run again
            shutil.rmtree(ctx.folder / step, ignore_errors=True)
    number = run_order(ctx.folder)[0] or next_number(ctx.data.private / "runs")
    update_run_file(
        ctx, number=number, started=datetime.now(UTC).isoformat(), ended=None, title=ctx.spec.title,
        tools=tool_versions(),
    )  # fmt: skip
    sweep(ctx)
    if ctx.inherited:
        told = ", ".join(f"{name}={value}" for name, value in ctx.inherited.items())
        say("%s", f"As in the last full run: {told}")
    here = ctx.in_process or _runtime(ctx, os.environ) == "process"
    check_here(ctx.params, ctx.spec, steps_here=here, states=ctx.state.parent)


def _runtime(ctx: RunContext, environ: Mapping[str, str]) -> str:
    """Where the step that brings the items runs."""
    step = "download" if ctx.spec.annotation_format == "ava_csv" else "fetch"
    return environ.get(f"CLIPQUARRY_RUNTIME_{step.upper()}") or environ.get("CLIPQUARRY_RUNTIME") or "auto"


def _refuse_another_run(ctx: RunContext) -> None:
    """A dry run or a refresh under the name of another run would take its plan and its report away."""
    path = ctx.folder / "run.json"
    if not path.exists():
        return
    before = read_json(path)
    params = before.get("params") or {}
    what = "a refresh" if before.get("kind") == "refresh" else "a full run"
    if before.get("kind", ctx.kind) != ctx.kind:
        raise UserError(f"The run '{ctx.run}' of {ctx.spec.name} is {what}: give this one a name of its own.")
    if ctx.params.dry_run and not params.get("dry_run") and ctx.plan_file.exists():
        raise UserError(f"The run '{ctx.run}' of {ctx.spec.name} was no dry run: give the dry run a name of its own.")


def tell_ledger(ctx: RunContext, say: Say) -> None:
    """The catalog's items and the run. A ledger that lost what the disk knows is filled again first."""
    from clipquarry.pipeline.sources import askers, of_refresh

    who, later = askers(ctx), of_refresh(ctx)
    update_run_file(ctx, sources={"keys": who.keys, "for_good": who.archives, "refresh": later.clocks})
    with ctx.ledger() as ledger:
        if ctx.state.exists() and not ledger.knows(ctx.spec.name):
            told = ledger.rebuild(ctx.data.private / "runs", only=slug(ctx.spec.name))
            say(
                "%s",
                f"The ledger {ledger} knew nothing of {ctx.spec.name}, although it was run before: it is new, or was deleted. "
                f"It was filled again from the runs on disk ({told.items} items, {told.attempts} attempts). What only the "
                "old one knew is lost: if you have a backup, stop the run and restore it.",
            )
        ledger.sync_catalog(ctx.spec.name, ctx.catalog)
        ledger.begin_run(
            ctx.spec.name, ctx.run, kind=ctx.kind, egress=ctx.settings.egress,
            params=ctx.params.model_dump(mode="json"), sources=later.clocks,
        )  # fmt: skip


def plan(ctx: RunContext, say: Say, *, write_jobs: WriteJobs) -> dict[str, Any]:
    """Choose the items and cut them into shards, which ``write_jobs`` gives to the steps."""
    from clipquarry.pipeline.plan import existing_plan, make_plan, write_plan

    needs_catalog(ctx)
    if (kept := existing_plan(ctx)) is not None:
        if read_json(ctx.plan_file).get("nothing_due"):
            raise NothingInThisRun("Nothing was due when this run was planned, so there is nothing to go on with.")
        say("%s", "The plan of this run is kept: what is done stays done, the rest goes on.")
        return kept
    made = make_plan(ctx)
    jobs = write_jobs(ctx, made)
    written = write_plan(ctx, made, jobs)
    if ctx.kind == "full":
        remember(ctx.spec, ctx.data, ctx.run, ctx.params)
    counts = made.counts
    held = sum(counts["held"].values())
    say(
        "%s",
        f"{counts['selected']} items selected, {counts['asked']} to ask for from {counts['videos']} videos in "
        f"{counts['shards']} shards, {held} left alone because their time has not come.",
    )
    if counts["absent"]:
        say("%s", f"{counts['absent']} more lie in no folder of this run's sources, and nobody else is to be asked.")
    if _nothing_changes(ctx, counts):
        write_json(ctx.plan_file, {**written, "nothing_due": True})
        record(ctx, say)
        report(ctx, say)
        raise NothingInThisRun(
            f"Nothing of {ctx.spec.name} is due, and its newest release holds what is there: the run ends here."
        )
    return counts


_CHANGE_NOTHING = frozenset(
    {
        "limit",
        "sources",
        "annotation_sources",
        "local_folder",
        "mirror_url",
        "shards",
        "jobs",
        "retry_all",
        "as_of",
        "splits",
    }
)
"""Parameters that decide what is asked, and from whom, but not what is made of it."""


def _nothing_changes(ctx: RunContext, counts: Mapping[str, Any]) -> bool:
    """Whether a refresh asks for nothing, is to make nothing else, and finds the newest release as current as it can be."""
    from clipquarry.pipeline.param_checks import parse_run_params
    from clipquarry.pipeline.publish import release_is_current

    if ctx.kind != "refresh" or ctx.params.dry_run or counts["asked"] or counts["shards"]:
        return False
    usual = parse_run_params(ctx.inherited, ctx.spec)
    chosen = {name for name in type(usual).model_fields if getattr(ctx.params, name) != getattr(usual, name)}
    return chosen <= _CHANGE_NOTHING and release_is_current(ctx)


def needs_other_annotations(ctx: RunContext) -> None:
    """For the first gate of a refresh: the files that the newest release was made of have passed it."""
    from clipquarry.pipeline.publish import same_annotations

    if ctx.kind == "refresh" and same_annotations(ctx):
        raise NothingToDo("The annotation files and the YAML are those of the newest release, which passed this gate.")


def shards(ctx: RunContext, say: Say, *, step: str) -> list[dict[str, str]]:
    """The shards of one step, to be mapped over; none in a dry run or when the step is off.

    Of a run that was stopped, shards that were finished are left out: nobody is asked twice in one run.
    """
    jobs: list[dict[str, str]] = needs_plan(ctx)["jobs"][step]
    left = [job for job in jobs if finished_part(ctx.data, step, ctx.data.root / job["out"]) is None]
    more = f", {len(jobs) - len(left)} more are finished" if left != jobs else ""
    say("%s", f"{step}: {len(left)} shards{more}")
    return left


def record(ctx: RunContext, say: Say) -> dict[str, int]:
    """Collect the shards' results; tell the ledger."""
    from clipquarry.pipeline.record import record as do_record

    needs_plan(ctx)
    counts = do_record(ctx)
    say("%s", ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nothing was asked for")
    return counts


def gate(ctx: RunContext, say: Say, name: str, params: GateParams) -> str:
    """Run a gate; raises when it blocks."""
    from clipquarry.quality.gates import run_gate

    result = run_gate(name, ctx.spec, ctx.folder, ctx.data, params)
    for line in result.lines:
        say("%s", line)
    if result.blocked:
        say("%s", f"The report shows the rows: {ctx.folder / 'report' / 'index.html'}")
        raise result.error()
    say("%s", result.sentence)
    return str(result.verdict)


def report(ctx: RunContext, say: Say) -> str:
    """Write the report, whatever happened before."""
    from clipquarry.pipeline.record import counts_of
    from clipquarry.pipeline.stops import tell_stops
    from clipquarry.pipeline.summary import run_summary
    from clipquarry.report import write_report

    if not (ctx.folder / "run.json").exists() and not failures_of(ctx.folder):
        raise NothingToDo("The run did not begin, so there is nothing to report.")
    update_run_file(ctx, ended=datetime.now(UTC).isoformat())
    tell_stops(ctx)
    with ctx.ledger() as ledger:
        if ctx.recorded.exists():
            ledger.end_run(ctx.spec.name, ctx.run, counts_of(ctx.recorded)["status"])
        path = write_report(ctx.spec, ctx.data, ctx.run, ledger, ctx.now())
    say("%s", run_summary(ctx.data, ctx.spec.name, ctx.run)["sentence"])
    say("%s", f"Report: {path}")
    for name in remove_old_runs(ctx):
        say("%s", f"The folder of the old run {name} was removed (CLIPQUARRY_KEEP_RUNS is {ctx.settings.keep_runs}).")
    return str(path)
