"""``clipquarry ssn-proposals``: results of a network for proposals as a list that SSN reads."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--annotation",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="BSN's annotation of the videos, such as `ActivityNet/anet_anno_val.json` in the data root.",
)
@click.option(
    "--classes",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="The classes in the order of their labels, one a line, such as `ActivityNet/anet_activity_indexes_val.txt`.",
)
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path),
    required=True,
    help="List to write. A file that is there is never replaced.",
)
def ssn_proposals(results: Path, annotation: Path, classes: Path, out: Path) -> None:
    """Convert the json RESULTS of BMN or BSN to a list of proposals for SSN, in seconds.

    Videos of the annotation that have no result are left out of the list, and named in '{OUT}.missing.csv'.
    """
    from clipquarry.annotations.ssn_proposals import convert

    done = convert(results, annotation, classes, out)
    click.echo(f"{out}: {done.videos} videos, {done.proposals} proposals")
    if done.without:
        click.echo(f"{done.missing}: {len(done.without)} videos without a result are left out")
