"""``clipquarry approve``: a person releases although a gate did not hold."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import click

from clipquarry.cli.common import data_option
from clipquarry.cli.runs import existing_run


@click.command()
@click.argument("dataset")
@click.argument("gate")
@click.option(
    "--because", metavar="TEXT", required=True, help="Why, in a few words; it stands in the release and in the report."
)
@click.option("--run", "run_name", metavar="NAME", help="Name of the run. Default: the latest run.")
@data_option
def approve(dataset: str, gate: str, because: str, run_name: str | None, data: Path | None) -> None:
    """Release although a gate does not hold: the run, started again under its name, then goes on."""
    from clipquarry.approvals import AIRFLOW, RELEASE, note, standing
    from clipquarry.errors import UserError
    from clipquarry.files import known_object
    from clipquarry.pipeline.family import gates_of

    ctx = existing_run(dataset, run_name, data)
    of = f"The run {ctx.run} of {dataset}"
    if gate not in (known := list(gates_of(ctx.spec))):
        raise UserError(f"There is no gate '{gate}' for {dataset}. Known: {', '.join(known)}.")
    if ctx.params.approve_gates == "never":
        raise UserError(
            f"{of} takes no approvals: run it again under its name with --set approve_gates=blocked (or warned)."
        )
    word, asked = standing(ctx.place, gate, known_object(ctx.place.gate(gate)))
    if asked is None:
        raise UserError(
            f"{of} asks nothing about the gate '{gate}': it holds, has not run, or may not be approved; its report says which."
        )
    if word == "approved":
        raise UserError(f"Nothing to do: {asked.told}.")
    if asked.where == AIRFLOW and word == "asked":
        raise UserError(f"{of} waits in Airflow: answer there, on the task gate_{gate}, under Required Actions.")
    told = note(ctx.place, asked.answered(RELEASE, by=_user(), because=because))
    click.echo(f"{told.told}. Now run it again with the same options: clipquarry run {dataset} --run {ctx.run}")


def _user() -> str:
    """Who works here, by the system: a variable of the environment could say anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container without an entry for its user
        return f"user {os.getuid()}"
