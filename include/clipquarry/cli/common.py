"""Helpers that several commands share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from clipquarry.settings import Settings

data_option = click.option(
    "--data",
    metavar="ROOT",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data root. Default: `CLIPQUARRY_DATA`, else `./data`.",
)


def settings_for(data: Path | None) -> Settings:
    """Settings of the environment, with the data root of the command line."""
    return Settings.from_env(data=data)


class _Echo(logging.Handler):
    """Log lines on standard error, without logger names and times, for people who watch."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def show_log() -> None:
    """From now on, print the product's log in this process."""
    logger = logging.getLogger("clipquarry")
    if not any(isinstance(handler, _Echo) for handler in logger.handlers):
        logger.addHandler(_Echo())
    logger.setLevel(logging.INFO)


def new_run(kind: str) -> str:
    """A name for a run started by hand: ``cli-full-20261121T013000``."""
    return f"cli-{kind}-{datetime.now(UTC):%Y%m%dT%H%M%S}"


def table(rows: Iterable[Iterable[Any]], header: Iterable[str]) -> None:
    """Print tab-separated values, with tabs and line breaks in values replaced by blanks."""
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
