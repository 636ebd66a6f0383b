"""Runs and their parts: ``run``, ``refresh``, ``plan``, ``stage``, ``report``, ``release``."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from clipquarry.cli.common import chain, data_option, new_run, say, settings_for
from clipquarry.pipeline.context import Kind, RunContext, make_context
from clipquarry.pipeline.graph import GRAPHS, stages_of

_run_options = chain(
    click.argument("dataset"),
    data_option,
    click.option("--run", "run_name", help="Name of the run; the same name goes on where it was."),
    click.option("--split", "splits", multiple=True, help="Split to prepare (again for more). Default: the data set's."),
    click.option("--class", "classes", multiple=True, help="Only this class (again for more)."),
    click.option("--limit", type=click.IntRange(1), help="At most this many clips of each split."),
    click.option("--source", "sources", multiple=True, help="Source to try, in this order (again for more)."),
    click.option("--annotation-source", "annotation_sources", multiple=True,
                 help="Source of the annotation files to ask, in this order (again for more)."),
    click.option("--local-folder", help="A folder with clips or videos that you have."),
    click.option("--mirror-url", help="URL template of a mirror: http://host/{clip}.mp4"),
    click.option("--resize/--no-resize", default=None, help="Also make short-edge copies."),
    click.option("--frames/--no-frames", default=None, help="Also extract raw frames."),
    click.option("--short-edge", type=int, help="Short edge, pixels."),
    click.option("--frame-width", type=int, help="Fixed frame width, pixels; with --frame-height."),
    click.option("--frame-height", type=int, help="Fixed frame height, pixels."),
    click.option("--frame-rate", type=float, help="Frames per second of raw frames; 0 keeps every frame."),
    click.option("--shards", type=click.IntRange(1, 1000), help="Into how many shards the work is cut."),
    click.option("--jobs", type=int, help="Parallel items. Default: 2."),
    click.option("--dry-run", is_flag=True, help="Only plan: say what would be asked for, and stop."),
    click.option("--retry-all", is_flag=True, help="Ask again for everything missing, also what is not due."),
    click.option("--as-of", help="Pretend that it is this time (ISO 8601 with time zone)."),
    click.option("--label-map", help="A label map file; default: the train csv."),
    click.option("--annotation-counts", type=click.Choice(["strict", "warn"]),
                 help="Row counts other than the published ones stop, or only warn."),
    click.option("--set", "others", metavar="NAME=VALUE", multiple=True,
                 help="Any parameter of the data set's trigger form (again for more)."),
)  # fmt: skip


def _assigned(text: str) -> tuple[str, Any]:
    """``detector=hog`` as name and value; numbers, lists and the like as JSON."""
    from clipquarry.errors import UserError

    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise UserError(f"--set {text[:60]!r}: write NAME=VALUE, such as detector=hog or limit=3.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _params(values: dict[str, Any], *, plan: bool) -> dict[str, Any]:
    """The run's parameters, of options and ``--set`` alike. One that is given twice is refused: either would be dropped."""
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
    return make_context(dataset, name or new_run(kind), params, kind=kind, settings=settings_for(data), in_process=True)


def _go(kind: Kind, values: dict[str, Any], *, plan: bool = False) -> None:
    from clipquarry.pipeline.run import run_all

    summary = run_all(_context(kind, values, plan=plan), say)
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


def _stage_names() -> list[str]:
    """Of all data sets; shards are made by the runtime's own task."""
    names = (part.name for graph in GRAPHS.values() for part in graph if not part.is_step)
    return list(dict.fromkeys(names))


def _existing(dataset: str, run_name: str | None, data: Path | None) -> RunContext:
    """The context of a run that exists, with the parameters it was started with; the latest when none is named."""
    from clipquarry.errors import UserError
    from clipquarry.files import read_json
    from clipquarry.run_order import run_order
    from clipquarry.settings import slug

    settings = settings_for(data)
    folder = settings.data.runs(dataset)
    runs = sorted(folder.glob("*/run.json"), key=lambda path: run_order(path.parent))
    path = folder / slug(run_name) / "run.json" if run_name else (runs[-1] if runs else folder / "none")
    if not path.exists():
        raise UserError(
            f"{dataset} has no run {run_name or 'yet'} below {folder}; start one with 'clipquarry run {dataset}'."
        )
    try:
        about = read_json(path)
        run, params, kind = str(about["run"]), dict(about["params"]), about["kind"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is not the file of a run ({error!r}): start the run again under its name.") from error
    return make_context(dataset, run, params, kind=kind, settings=settings, started=True)


def _made_again(name: str, ctx: RunContext) -> Any:
    """What a stage returns; a sentence and exit code 2 when the run never came so far."""
    from clipquarry.errors import UserError
    from clipquarry.pipeline.publish import SameRelease
    from clipquarry.pipeline.stages import NothingToDo, run_stage

    try:
        return run_stage(name, ctx, say=say)
    except SameRelease as same:
        say("%s", str(same))
        return same.folder
    except NothingToDo as nothing:
        raise UserError(f"{ctx.spec.name}, run {ctx.run}: {nothing}") from nothing


_existing_options: Callable[..., Any] = chain(
    click.argument("dataset"),
    click.option("--run", "run_name", help="Name of the run. Default: the latest."),
    data_option,
)


@click.command()
@click.argument("name", type=click.Choice(_stage_names()))
@_existing_options
def stage(name: str, dataset: str, run_name: str | None, data: Path | None) -> None:
    """Run one stage of an existing run again."""
    from clipquarry.errors import UserError
    from clipquarry.pipeline.stages import NothingToDo, run_stage

    ctx = _existing(dataset, run_name, data)
    if name not in stages_of(ctx.spec.annotation_format):
        raise UserError(f"A run of {dataset} has no stage '{name}'.")
    try:
        result = run_stage(name, ctx, say=say)
    except NothingToDo as nothing:
        say("%s", str(nothing))
    else:
        click.echo(json.dumps(result, indent=1, default=str))


@click.command()
@click.argument("dataset", required=False)
@click.option("--run", "run_name", help="Name of the run. Default: the latest.")
@click.option("--index", is_flag=True, help="Write the page over all data sets instead.")
@data_option
def report(dataset: str | None, run_name: str | None, index: bool, data: Path | None) -> None:
    """Write a run's report again, or the index of all data sets; prints the path."""
    from clipquarry.errors import UserError

    if index:
        from clipquarry.datasets.load import load_all
        from clipquarry.ledger import Ledger
        from clipquarry.report import write_index

        settings = settings_for(data)
        specs = load_all(settings.dataset_folders)[0].values()
        with ExitStack() as stack:
            ledger = stack.enter_context(Ledger.open(settings.ledger_url)) if settings.has_ledger else None
            click.echo(write_index(settings.data, specs, datetime.now(UTC), ledger))
        return
    if dataset is None:
        raise UserError("Name a data set, or use --index.")
    click.echo(_made_again("report", _existing(dataset, run_name, data)))


@click.command()
@_existing_options
def release(dataset: str, run_name: str | None, data: Path | None) -> None:
    """Publish a run's lists, missing clips, label map and lock; prints the folder."""
    click.echo(_made_again("release", _existing(dataset, run_name, data)))
