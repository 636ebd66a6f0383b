"""The command line: every step, the plan, the ledger's answers, the report and the release, without Airflow.

An error of ours is one sentence on standard error and the exit code of :class:`clipyard.errors.Exit`; never a traceback.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from clipyard import __version__
from clipyard.cli.answers import coverage, due, history, missing, rebuild
from clipyard.cli.compare import diff
from clipyard.cli.data_sets import datasets, doctor, spec
from clipyard.cli.runs import plan, refresh, release, report, run, stage
from clipyard.cli.steps import step
from clipyard.errors import ClipyardError, Exit


class _Group(click.Group):
    """Turns our errors into one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClipyardError as error:
            click.echo(f"clipyard: {error}", err=True)
            sys.exit(int(error.exit_code))
        except BrokenPipeError:
            sys.exit(int(Exit.OK))
        except OSError as error:  # a data root that is a file, no permission, no space
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"clipyard: {where}{error.strerror or error}.", err=True)
            sys.exit(int(Exit.ERROR))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Video action data sets, from annotation to checked release."""


for command in (
    run, refresh, plan, stage, step, missing, due, history, coverage, report, release, diff, datasets, spec, doctor, rebuild
):  # fmt: skip
    main.add_command(command)
