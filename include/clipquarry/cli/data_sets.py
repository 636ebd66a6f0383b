"""Commands about data sets and the machine: ``datasets``, ``spec``, ``doctor``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from clipquarry.cli.common import data_option, settings_for, table
from clipquarry.errors import Exit, UserError
from clipquarry.settings import Settings


@click.command()
def datasets() -> None:
    """List the data sets, and say what is wrong with a YAML that cannot be loaded."""
    from clipquarry.datasets.load import load_all

    specs, errors = load_all(settings_for(None).dataset_folders)
    table(
        ((s.name, s.title, s.family) for s in specs.values()),
        ("name", "title", "family"),
    )
    for error in errors:
        click.echo(f"clipquarry: {error}", err=True)
    if errors:
        sys.exit(int(Exit.USAGE))


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--json-schema", is_flag=True, help="Print the JSON schema of the YAML for editors, and check no file.")
def spec(file: Path | None, json_schema: bool) -> None:
    """Check one data set's YAML: the keys, and all that a run needs."""
    if json_schema == (file is not None):
        raise click.UsageError("Give the YAML that is to be checked, or --json-schema for the schema of all of them.")
    if file is None:
        from clipquarry.datasets import families

        click.echo(json.dumps(families.json_schema(), indent=2, ensure_ascii=False))
        return
    from clipquarry.datasets.load import load_spec
    from clipquarry.datasets.ways import can_expire
    from clipquarry.pipeline.param_checks import parse_run_params

    loaded = load_spec(file)
    parse_run_params({}, loaded)
    click.echo(f"{file}: {loaded.name} ({loaded.title}) is a valid data set of family '{loaded.family}'.")
    if not can_expire(loaded) and "refresh" in loaded.model_fields_set and loaded.refresh.schedule:
        click.echo("It gets no refresh DAG, since nothing in it can expire: 'refresh.schedule' is not used.")


@click.command("new-dag")
@click.argument("name")
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("dags"),
    help="The folder with the DAG files; it must exist. Default: `./dags`.",
)
def new_dag(name: str, into: Path) -> None:
    """Write the DAG file of a data set, packaged or of your own. A file that is there is left alone."""
    from clipquarry.datasets.load import find_spec
    from clipquarry.files import write_new
    from clipquarry.pipeline.dag_file import dag_file

    text = dag_file(find_spec(name, settings_for(None).dataset_folders))
    if not into.is_dir():
        raise UserError(f"{into} is no folder: make it, or name the folder with your DAG files by --into.")
    target = into / f"{name}.py"
    try:
        write_new(target, text)
    except FileExistsError:
        raise UserError(f"{target} is there already and is left alone: move it away, or name another folder.") from None
    click.echo(f"{target}: the DAGs of {name}; Airflow shows them when it reads its DAG files next.")


def _ledger(settings: Settings) -> list[tuple[str, str]]:
    from clipquarry.pipeline.ledgers import open_ledger

    try:
        opened = open_ledger(settings)
    except ModuleNotFoundError as error:  # the image that steps run in
        told = (
            f"no ledger here ({error.name} is not installed): this is a place for steps; data root {settings.data.root}"
        )
        return [("ok", told)]
    with opened as ledger:
        unknown = [name for name in settings.data.data_sets_with_state() if not ledger.knows(name)]
        return [
            ("ok", f"the ledger opens; data root {settings.data.root}"),
            *(("warn", sentence) for sentence in ledger.in_the_future()),
            *(("warn", f"the ledger knows nothing of {name}, although it was run here: it is new, or was deleted; restore "
               "it, or use 'clipquarry rebuild'") for name in unknown),
        ]  # fmt: skip


def _with_archives(settings: Settings) -> list[str]:
    """Names of the data sets that have an archive, of annotations or of items."""
    from clipquarry.datasets.load import load_all

    specs, _ = load_all(settings.dataset_folders)
    return sorted(name for name, spec in specs.items() if any(source.archive for source in spec.sources))


@click.command()
@data_option
def doctor(data: Path | None) -> None:
    """Say whether this machine can do the work: ffmpeg, yt-dlp, a JavaScript runtime, disk, ledger."""
    from clipquarry.acquire.preflight import preflight_archives, preflight_youtube
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
    rows += [(str(one.level), one.sentence) for one in (*found, preflight_archives(_with_archives(settings)))]
    rows += _ledger(settings)
    table(rows, ("level", "finding"))
    if any(level == "fail" for level, _ in rows):
        sys.exit(int(Exit.FAIL))
