"""The command line: steps, the plan, queries of the ledger, the report and the release, without Airflow.

An error of ours is one sentence on standard error and an exit code of :class:`clipquarry.errors.Exit`; never a
traceback.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any

import click

from clipquarry import __version__
from clipquarry.errors import ClipquarryError, Exit, UserError
from clipquarry.former import refuse_old_settings

COMMANDS = {
    "run": "runs", "refresh": "runs", "plan": "runs", "stage": "runs", "step": "steps", "missing": "answers", "due": "answers",
    "history": "answers", "coverage": "answers", "report": "runs", "release": "runs", "gx": "runs", "diff": "compare", "datasets": "data_sets",
    "spec": "data_sets", "doctor": "data_sets", "rebuild": "answers", "flatten": "compare",
    "approve": "approving", "adopt": "adopt", "new-dag": "data_sets", "init": "init", "ssn-proposals": "proposals",
    "labels": "labels",
}  # fmt: skip
"""Command to its module, which is imported when the command is used. A step needs neither the ledger nor the checks,
and the image for steps lacks their packages.
"""


_NEEDS = "this command needs the package {package}, which is not installed here: pip install 'clipquarry[pipeline]'."


def _absent(name: str, package: str) -> click.Command:
    """Placeholder for a command whose packages are not installed, so that the others and ``--help`` work."""

    @click.command(
        name, help=f"(Not installed here.) Needs {package}.", context_settings={"ignore_unknown_options": True}
    )
    @click.argument("rest", nargs=-1)
    def absent(rest: tuple[str, ...]) -> None:
        raise UserError(
            f"'clipquarry {name}' needs the package {package}, which is not here: pip install 'clipquarry[pipeline]'."
        )

    return absent


class _Group(click.Group):
    """Imports a command when it is used, and turns our errors into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = getattr(
                import_module(f"clipquarry.cli.{COMMANDS[cmd_name]}"), cmd_name.replace("-", "_")
            )
        except ModuleNotFoundError as error:
            return _absent(cmd_name, str(error.name))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            refuse_old_settings(os.environ)
            return super().invoke(ctx)
        except ClipquarryError as error:
            click.echo(f"clipquarry: {error}", err=True)
            sys.exit(int(error.exit_code))
        except ModuleNotFoundError as error:  # never one of ours: an import inside a running command
            click.echo(f"clipquarry: {_NEEDS.format(package=error.name)}", err=True)
            sys.exit(int(Exit.ERROR))
        except BrokenPipeError:
            sys.exit(int(Exit.OK))
        except OSError as error:  # a data root that is a file, no permission, no space
            place = error.filename2 or error.filename  # of a rename the target: nobody knows the temporary name
            where = f"{place}: " if place else ""
            click.echo(f"clipquarry: {where}{error.strerror or error}.", err=True)
            sys.exit(int(Exit.ERROR))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Video action data sets, from annotation to checked release."""
