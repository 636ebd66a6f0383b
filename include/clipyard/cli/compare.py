"""``clipyard diff``: do two labs have the same data set?"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--csv", "csv", type=click.Path(path_type=Path), help="Also write every difference to this csv.")
def diff(a: Path, b: Path, as_json: bool, csv: Path | None) -> None:
    """Compare two lock files; ends with 1 when they differ."""
    from clipyard.release.diff import diff_locks

    result = diff_locks(a, b, full=csv)
    click.echo(json.dumps(result.as_json(), indent=1) if as_json else result.text())
    sys.exit(0 if result.is_equal else 1)
