"""``adopt``: takes over a data root or deployment of the product's old name."""

from __future__ import annotations

import os
from pathlib import Path

import click

from clipquarry.cli.common import data_option
from clipquarry.progress import Progress
from clipquarry.settings import Settings


@click.command()
@data_option
@click.option(
    "--dead", multiple=True, metavar="DATASET/RUN", help="An open run that nobody will continue; repeat for more."
)
@click.option(
    "--env", "env_file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rename the settings in this file (`docker/.env`), instead of converting a data root; keeps the old file.",
)  # fmt: skip
@click.option(
    "--volumes", metavar="IMAGE",
    help="Move the volumes of the old compose deployment, instead of converting a data root. IMAGE must have `sh`.",
)  # fmt: skip
def adopt(data: Path | None, dead: tuple[str, ...], env_file: Path | None, volumes: str | None) -> None:
    """Take over what the product kept under its old name: nothing is fetched or made again.

    Refused while a run is open. May be run again at any time, and goes on where it was killed.
    """
    if env_file or volumes:
        from clipquarry.adopt.deployment import adopt_env, adopt_volumes

        if env_file:
            click.echo(adopt_env(env_file))
        if volumes:
            click.echo(adopt_volumes(volumes))
        return
    from clipquarry.adopt.data_root import adopt as adopt_root
    from clipquarry.adopt.data_root import files_of

    root = Settings.root_of(os.environ, data)
    progress = Progress("adopt", files_of(root))
    done = adopt_root(root, os.environ.get("CLIPQUARRY_LEDGER"), dead=dead, count=progress.add, namespaces=_namespaces)
    progress.close()
    click.echo(f"{root} is adopted: {done}.")


def _namespaces() -> dict[str, str]:
    from clipquarry.pipeline.ledgers import namespaces

    return namespaces(
        Settings.from_env({"CLIPQUARRY_DATASETS": os.environ.get("CLIPQUARRY_DATASETS", "")}, data=Path("/nowhere"))
    )
