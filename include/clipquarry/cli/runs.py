"""Commands for runs and their tasks: ``run``, ``refresh``, ``plan``, ``stage``, ``report``, ``release``."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import click

from clipquarry.cli.common import chain, data_option, new_run, settings_for, show_log
from clipquarry.pipeline.context import Kind, RunContext
from clipquarry.pipeline.family import tasks_of
from clipquarry.pipeline.make_context import make_context

log = logging.getLogger(__name__)

_run_options = chain(
    click.argument("dataset"),
    data_option,
    click.option("--run", "run_name", metavar="NAME",
                 help="Name of the run, of letters, digits and `_ . ~ : + -`; an existing name continues that run. Default: "
                      "`cli-full-{time}`."),
    click.option("--split", "splits", metavar="NAME", multiple=True,
                 help="Split to prepare; repeat for more. Default: the data set's."),
    click.option("--class", "classes", metavar="NAME", multiple=True,
                 help="Only this class, by its name in the csv or its folder; repeat for more."),
    click.option("--limit", metavar="N", type=click.IntRange(1), help="At most this many clips of each split, in csv order."),
    click.option("--source", "sources", metavar="ID", multiple=True,
                 help="Source to try; repeat for more, in this order. Default: the YAML's order."),
    click.option("--annotation-source", "annotation_sources", metavar="ID", multiple=True,
                 help="Source of annotation files, such as the official one or its backup; repeat for more, in this order. "
                      "Default: all, in the YAML's order."),
    click.option("--local-folder", metavar="DIR", help="A folder with your own clips or whole videos."),
    click.option("--mirror-url", metavar="URL", help="URL template of a mirror, such as `http://host/{clip}.mp4`."),
    click.option("--resize/--no-resize", default=None, help="Also make short-edge copies with dense key frames."),
    click.option("--frames/--no-frames", default=None, help="Also extract raw frames."),
    click.option("--short-edge", metavar="PIXELS", type=int, help="Short edge of copies and frames. Default: the recipe's."),
    click.option("--frame-width", metavar="PIXELS", type=int,
                 help="Fixed frame width, with `--frame-height`, instead of the short edge."),
    click.option("--frame-height", metavar="PIXELS", type=int, help="Fixed frame height."),
    click.option("--frame-rate", metavar="FPS", type=float,
                 help="Frames per second of raw frames; 0 keeps every frame. Default: 0; 30 in a flat layout."),
    click.option("--shards", metavar="N", type=click.IntRange(1, 1000), help="Number of shards, at most 1,000. Default: by size."),
    click.option("--jobs", metavar="N", type=int, help="Parallel downloads or encodes. Default: 2."),
    click.option("--dry-run", is_flag=True, help="Plan only: print the requests that a run would make, and stop."),
    click.option("--retry-all", is_flag=True, help="Try all missing items again, due or not."),
    click.option("--as-of", metavar="TIME", help="Decide what is due as of this time (ISO 8601 with time zone)."),
    click.option("--label-map", metavar="FILE", help="A label map, one class per line. Default: the classes of the train csv."),
    click.option("--annotation-counts", metavar="strict|warn", type=click.Choice(["strict", "warn"]),
                 help="Row counts that differ from the published ones stop the run, or only warn."),
    click.option("--set", "others", metavar="NAME=VALUE", multiple=True,
                 help="Any parameter of the data set's trigger form, such as `detector=hog`; repeat for more."),
)  # fmt: skip


def _assigned(text: str) -> tuple[str, Any]:
    """``detector=hog`` as name and value; numbers, lists and the like as JSON."""
    from clipquarry.errors import UserError

    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise UserError(f"--set {text[:60]!r}: write NAME=VALUE, such as detector=hog or limit=3.")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _params(values: dict[str, Any], *, plan: bool) -> dict[str, Any]:
    """The run's parameters from options and ``--set``. One that is given twice is refused, because either value
    would be dropped.
    """
    from clipquarry.errors import UserError

    params = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    others = params.pop("others")
    params = {
        key: value for key, value in params.items() if value not in (None, [], "", False) or key in ("resize", "frames")
    }
    params = {key: value for key, value in params.items() if value is not None}
    for name, value in map(_assigned, others):
        if name in params:
            raise UserError(f"The parameter '{name}' is given twice: leave one of them out.")
        params[name] = value
    if plan and params.setdefault("dry_run", True) is not True:
        raise UserError("'clipquarry plan' is a dry run: use 'clipquarry run' to ask for the clips.")
    return params


def _context(kind: Kind, values: dict[str, Any], *, plan: bool = False) -> RunContext:
    dataset, data, name = values.pop("dataset"), values.pop("data"), values.pop("run_name")
    params = _params(values, plan=plan)
    show_log()
    return make_context(dataset, name or new_run(kind), params, kind=kind, settings=settings_for(data), in_process=True)


def _go(kind: Kind, values: dict[str, Any], *, plan: bool = False) -> None:
    from clipquarry.pipeline.run import run_all

    summary = run_all(_context(kind, values, plan=plan))
    click.echo(summary["sentence"])


@click.command()
@_run_options
def run(**values: Any) -> None:
    """Prepare a data set from annotation to release, in this process."""
    _go("full", values)


@click.command()
@_run_options
def refresh(**values: Any) -> None:
    """Look again at missing clips whose time has come."""
    _go("refresh", values)


@click.command()
@_run_options
def plan(**values: Any) -> None:
    """Say what a run would ask for, and stop (a dry run)."""
    _go("full", values, plan=True)


def existing_run(dataset: str, run_name: str | None, data: Path | None) -> RunContext:
    """The context of an existing run, with its own parameters; the latest run if none is named."""
    from clipquarry.errors import UserError
    from clipquarry.files import read_json
    from clipquarry.run_folder import RunFolder, begun_runs
    from clipquarry.run_order import run_order

    show_log()
    settings = settings_for(data)
    folder = settings.data.runs(dataset)
    runs = sorted(begun_runs(folder), key=run_order)
    chosen = settings.data.run(dataset, run_name) if run_name else (runs[-1] if runs else folder / "none")
    path = RunFolder(chosen).run_file
    if not path.exists():
        raise UserError(
            f"{dataset} has no run {run_name or 'yet'} below {folder}; start one with 'clipquarry run {dataset}'."
        )
    try:
        about = read_json(path)
        run, params, kind = str(about["run"]), dict(about["params"]), about["kind"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not the file of a run ({error!r}): start the run again under its name.") from error
    if settings.data.run(dataset, run) != chosen or kind not in get_args(Kind):
        raise UserError(
            f"{path} is of the run {run[:60]!r} ({str(kind)[:20]}), but lies in the folder {chosen.name}: it was moved or "
            "edited; restore it, or start the run again under its name."
        )
    return make_context(dataset, run, params, kind=kind, settings=settings, started=True)


def _made_again(name: str, ctx: RunContext) -> Any:
    """A stage's return value; a sentence and exit code 2 if the run never came so far."""
    from clipquarry.errors import UserError
    from clipquarry.pipeline.publish import SameRelease
    from clipquarry.pipeline.stages import NothingToDo, run_stage

    try:
        return run_stage(name, ctx)
    except SameRelease as same:
        log.info(str(same))
        return same.folder
    except NothingToDo as nothing:
        raise UserError(f"{ctx.spec.name}, run {ctx.run}: {nothing}") from nothing


_existing_options: Callable[..., Any] = chain(
    click.argument("dataset"),
    click.option(
        "--run",
        "run_name",
        metavar="NAME",
        help="Name of the run; an Airflow run id works too. Default: the latest run.",
    ),
    data_option,
)


@click.command()
@click.argument("name", metavar="NAME")
@_existing_options
def stage(name: str, dataset: str, run_name: str | None, data: Path | None) -> None:
    """Run one stage of an existing run again."""
    from clipquarry.errors import UserError
    from clipquarry.pipeline.stages import NothingToDo, run_stage

    ctx = existing_run(dataset, run_name, data)
    # Only the runtime's own task makes shards.
    known = [task.name for task in tasks_of(ctx.spec) if not task.is_step]
    if name not in known:
        raise UserError(f"A run of {dataset} has no stage '{name}'; it has {', '.join(known)}.")
    try:
        result = run_stage(name, ctx)
    except NothingToDo as nothing:
        log.info(str(nothing))
    else:
        click.echo(json.dumps(result, indent=1, default=str))


@click.command()
@click.argument("dataset", required=False)
@click.option("--run", "run_name", metavar="NAME", help="Name of the run. Default: the latest run.")
@click.option("--index", is_flag=True, help="Write the index of all data sets instead.")
@data_option
def report(dataset: str | None, run_name: str | None, index: bool, data: Path | None) -> None:
    """Write a run's report again, or the index of all data sets; prints the path."""
    from clipquarry.errors import UserError

    if index:
        from clipquarry.datasets.load import load_all
        from clipquarry.pipeline.ledgers import open_ledger
        from clipquarry.report import write_index

        settings = settings_for(data)
        specs = load_all(settings.dataset_folders)[0].values()
        with ExitStack() as stack:
            ledger = stack.enter_context(open_ledger(settings)) if settings.has_ledger else None
            click.echo(write_index(settings.data, specs, datetime.now(UTC), ledger))
        return
    if dataset is None:
        raise UserError("Name a data set, or use --index.")
    click.echo(_made_again("report", existing_run(dataset, run_name, data)))


@click.command()
@_existing_options
def release(dataset: str, run_name: str | None, data: Path | None) -> None:
    """Publish a run's lists, missing clips, label map and lock; prints the folder."""
    from clipquarry.errors import UserError
    from clipquarry.run_documents import verdicts

    ctx = existing_run(dataset, run_name, data)
    for gate, verdict in verdicts(ctx.place).items():
        if verdict in ("block", "asked", "stopped"):
            raise UserError(
                f"{dataset}, run {ctx.run}: the gate '{gate}' does not hold, so nothing is released. Its report says what to do; "
                "then run it again under its name. 'clipquarry approve' is for a person who releases all the same."
            )
    click.echo(_made_again("release", ctx))


@click.command()
@_existing_options
@click.option(
    "--into",
    metavar="FOLDER",
    required=True,
    type=click.Path(path_type=Path),
    help="The folder to make; it must not exist.",
)
def gx(dataset: str, run_name: str | None, data: Path | None, into: Path) -> None:
    """Make a file context of Great Expectations with a run's suites, tables and results; prints the folder."""
    from clipquarry.pipeline.gates import make_file_context

    make_file_context(existing_run(dataset, run_name, data).folder, into)
    click.echo(into)
