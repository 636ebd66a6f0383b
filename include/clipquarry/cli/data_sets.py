"""Data sets and the machine: ``datasets``, ``spec``, ``doctor``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from clipquarry.cli.common import data_option, settings_for, table
from clipquarry.errors import Exit
from clipquarry.settings import Settings


@click.command()
def datasets() -> None:
    """List the data sets, and say what is wrong with a YAML that cannot be loaded."""
    from clipquarry.datasets.load import load_all

    specs, errors = load_all(settings_for(None).dataset_folders)
    table(
        ((s.name, s.title, s.family, "yes" if s.is_runnable else "described only") for s in specs.values()),
        ("name", "title", "family", "runs"),
    )
    for error in errors:
        click.echo(f"clipquarry: {error}", err=True)
    if errors:
        sys.exit(int(Exit.USAGE))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
def spec(file: Path) -> None:
    """Check one data set's YAML: the keys, and all that a run needs."""
    from clipquarry.datasets.load import load_spec
    from clipquarry.pipeline.param_checks import parse_run_params

    loaded = load_spec(file, to_run=True)
    if not loaded.is_runnable:
        click.echo(
            f"{file}: {loaded.name} ({loaded.title}) is a valid description; this version cannot run family '{loaded.family}'."
        )
        return
    parse_run_params({}, loaded)
    click.echo(f"{file}: {loaded.name} ({loaded.title}) is a valid data set of family '{loaded.family}'.")


def _ledger(settings: Settings) -> list[tuple[str, str]]:
    try:
        from clipquarry.ledger import Ledger
    except ModuleNotFoundError as error:  # the image that steps run in
        told = (
            f"no ledger here ({error.name} is not installed): this is a place for steps; data root {settings.data.root}"
        )
        return [("ok", told)]
    with Ledger.open(settings.ledger_url) as ledger:
        states = sorted((settings.data.private / "state").glob("*.parquet"))
        unknown = [path.stem for path in states if "." not in path.stem and not ledger.knows(path.stem)]
        return [
            ("ok", f"the ledger opens; data root {settings.data.root}"),
            *(("warn", sentence) for sentence in ledger.in_the_future()),
            *(("warn", f"the ledger knows nothing of {name}, although it was run here: it is new, or was deleted; restore "
               "it, or use 'clipquarry rebuild'") for name in unknown),
        ]  # fmt: skip


@click.command()
@data_option
def doctor(data: Path | None) -> None:
    """Say whether this machine can do the work: ffmpeg, yt-dlp, a JavaScript runtime, disk, ledger."""
    from clipquarry.acquire.preflight import preflight_youtube
    from clipquarry.media.tools import ffmpeg

    settings = settings_for(data)
    tool = ffmpeg()
    rows = [("ok", f"ffmpeg {tool.version} ({tool.origin}, {tool.path})")]
    settings.data.root.mkdir(parents=True, exist_ok=True)
    found = preflight_youtube(
        cookies=settings.cookies,
        folder=settings.data.root,
        plugins=settings.ytdlp_plugins,
        extractor_args=settings.ytdlp_args,
    )
    rows += [(str(one.level), one.sentence) for one in found]
    rows += _ledger(settings)
    table(rows, ("level", "finding"))
    if any(level == "fail" for level, _ in rows):
        sys.exit(int(Exit.FAIL))
