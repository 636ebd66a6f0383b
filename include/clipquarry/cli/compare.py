"""``clipquarry diff``: compares two copies of a data set. ``clipquarry flatten``: one folder instead of class folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--csv", "csv", metavar="FILE", type=click.Path(path_type=Path), help="Also write every difference to this csv."
)
def diff(a: Path, b: Path, as_json: bool, csv: Path | None) -> None:
    """Compare two lock files; ends with 1 when they differ."""
    from clipquarry.release.diff import diff_locks

    result = diff_locks(a, b, full=csv)
    click.echo(json.dumps(result.as_json(), indent=1) if as_json else result.text())
    sys.exit(0 if result.is_equal else 1)


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--link", is_flag=True, help="Link the clips, and leave the class folders unchanged.")
def flatten(source: Path, target: Path, link: bool) -> None:
    """Move the clips of SOURCE's class folders into the one folder TARGET."""
    from clipquarry.release.flatten import flatten as do_flatten

    told = do_flatten(source, target, link=link)
    click.echo(", ".join(f"{count} {what}" for what, count in sorted(told.items())) or "no clips")
