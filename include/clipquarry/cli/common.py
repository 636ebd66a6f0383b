"""What several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from clipquarry.settings import Settings

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data root. Default: CLIPQUARRY_DATA, else ./data.",
)


def settings_for(data: Path | None) -> Settings:
    """Settings of the environment, with the data root of the command line."""
    return Settings.from_env(data=data)


def say(form: str, *values: Any) -> None:
    """Like ``logger.info``, on standard error."""
    click.echo(form % values if values else form, err=True)


def new_run(kind: str) -> str:
    """A name for a run started by hand: ``cli-full-20261121T013000``."""
    return f"cli-{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}"


def table(rows: Iterable[Iterable[Any]], header: Iterable[str]) -> None:
    """Tab-separated values on standard output, tabs and line breaks in values shown as blanks."""
    click.echo("\t".join(header))
    for row in rows:
        click.echo("\t".join(" ".join(str("" if value is None else value).split()) for value in row))


def chain(*options: Callable[..., Any]) -> Callable[..., Any]:
    """Several click options as one decorator."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
